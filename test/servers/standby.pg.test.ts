/**
 * Standbys as sources: real streaming replication. What a batch has is what was replayed; one that is behind is told,
 * also where its snapshot does not show it.
 */
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test, type TestContext } from 'vitest'
import {
  DEBIAN_15,
  missingTools,
  openClusters,
  type Cluster,
  type Clusters,
} from '../support/cluster.ts'
import type { TestProject } from '../support/project.ts'
import { expectShop, fillShop, projectOn } from '../support/shop-server.ts'

const missing = missingTools(DEBIAN_15)
let clusters: Clusters
let primary: Cluster
let standby: Cluster

beforeAll(async () => {
  if (missing !== undefined) return
  clusters = await openClusters(DEBIAN_15)
  primary = await clusters.create({ autovacuum: 'off' })
  await primary.start()
  await fillShop(primary)
  standby = await clusters.follow(primary)
  await standby.start()
})

afterAll(async () => clusters?.end())

beforeEach((context: TestContext) => {
  if (missing !== undefined) context.skip(missing)
})

const replay = async (what: 'pause' | 'resume'): Promise<void> => {
  await standby.query('postgres', `select pg_wal_replay_${what}()`)
}

/** How long the standby lets a read hold its replay up. */
const delay = async (span: string): Promise<void> => {
  await standby.query('postgres', `alter system set max_standby_streaming_delay = '${span}'`)
  await standby.query('postgres', 'select pg_reload_conf()')
}

async function caughtUp(): Promise<void> {
  const [now] = await primary.query('postgres', 'select pg_current_wal_flush_lsn()::text as lsn')
  for (let tries = 0; tries < 400; tries++) {
    const [row] = await standby.query(
      'postgres',
      `select (pg_last_wal_replay_lsn() >= '${now?.['lsn']}')::text as there`,
    )
    if (row?.['there'] === 'true') return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error('the standby never caught up')
}

async function session(cluster: Cluster): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: cluster.url('shop') })
  await client.connect()
  return client
}

test('P2: a standby is a source like any other, and has what it has replayed', async () => {
  const shop = await projectOn(standby)
  try {
    await shop.good()
    await expectShop(shop, primary)
    await primary.query('shop', 'update sale set units = units + 1 where sale_id = 8800101')
    await caughtUp()
    await shop.good()
    await expectShop(shop, primary)
  } finally {
    await shop.close()
  }
})

test('P2: a commit that was in progress, and that the standby has not replayed, makes it behind, though both snapshots look the same', async () => {
  const shop = await projectOn(primary)
  const [slow, quick] = [await session(primary), await session(primary)]
  try {
    await slow.query("begin; update sale set note = 'slow Qx7' where sale_id = 8800102")
    await quick.query("update sale set note = 'quick Qx7' where sale_id = 8800103")
    await caughtUp()
    await replay('pause')
    await slow.query('commit')
    await shop.good()
    await expectShop(shop, primary)
    const position = `select pg_snapshot_xmax(s)::text as xmax, (select count(*) from pg_snapshot_xip(s))::text as listed
      from pg_current_snapshot() s`
    // The trap is real: nothing in the snapshots tells them apart.
    expect(await standby.query('shop', position)).toEqual(await primary.query('shop', position))
    await shop.pointAt(standby)
    const running = shop.start('run', '--json')
    await said(running, 'SourceBehind); try 2 of 5')
    // It asks again in the same run; meanwhile the standby goes on.
    await replay('resume')
    expect((await running.ended).exit).toBe(0)
    await expectShop(shop, primary)
  } finally {
    await replay('resume')
    await Promise.all([slow.end(), quick.end()])
    await shop.close()
  }
})

test('P2: a standby that stays behind is refused as SourceBehind after a few tries, and nothing is written', async () => {
  const shop = await projectOn(primary)
  try {
    await caughtUp()
    await replay('pause')
    await primary.query('shop', "update sale set note = 'newer Qx7' where sale_id = 8800104")
    await shop.good()
    const before = await shop.standing()
    await shop.pointAt(standby)
    const { error, events } = await shop.run()
    expect(error).toMatchObject({ name: 'SourceBehind', retry: true })
    expect(await shop.standing()).toEqual(before)
    const tries = events.filter(
      (event) => event.type === 'note' && / try \d of 5 /.test(event.text),
    )
    expect(tries).toHaveLength(4)
  } finally {
    await replay('resume')
    await shop.close()
  }
}, 60_000)

test('P11: a standby that cancels a read is asked again, later, in the same run', async () => {
  const shop = await projectOn(standby, `rateLimit: '1MB/s'`)
  try {
    await primary.query(
      'shop',
      `create table journal (id integer primary key, note text not null);
       insert into journal select n, repeat('Qx7', 400) from generate_series(1, 2500) n;
       grant select on journal to reader`,
    )
    await caughtUp()
    await delay('300ms')
    const running = shop.start('run', '--only', 'extract', '--json')
    await untilReading()
    // Row versions that the read needs are gone, and the standby must follow.
    await primary.query('shop', 'delete from journal where id > 1000')
    await primary.query('shop', 'vacuum journal')
    const told = await running.ended
    expect(told.stdout).toMatch(/SourceUnreachable\); try 2 of 5/)
    expect(told.exit).toBe(0)
    const last = JSON.parse(told.stdout.trim().split('\n').at(-1) ?? '') as {
      summary: { tables: { table: string; rowsInSource: number }[] }
    }
    expect(last.summary.tables.find(({ table }) => table === 'journal')?.rowsInSource).toBe(1000)
  } finally {
    await primary.query('shop', 'drop table if exists journal')
    await shop.close()
  }
}, 60_000)

test('P11: a migration on the primary is not held up by a read of the standby', async () => {
  const shop = await projectOn(standby, `rateLimit: '500kB/s', giveWayAfter: '500ms'`)
  try {
    // It is us who give way, and not the standby that cancels.
    await delay('30s')
    await primary.query(
      'shop',
      `create table journal (id integer primary key, note text not null);
       insert into journal select n, repeat('Qx7', 400) from generate_series(1, 2500) n;
       grant select on journal to reader`,
    )
    await caughtUp()
    const running = shop.start('run', '--only', 'extract', '--json')
    await untilReading()
    await primary.query(
      'shop',
      'alter table journal add constraint short check (length(note) < 5000)',
    )
    await caughtUp()
    const told = await running.ended
    expect(told.stdout).toContain('SourceBusy')
  } finally {
    await primary.query('shop', 'drop table if exists journal')
    await shop.close()
  }
}, 60_000)

/** Resolves when the run has said it; fails when it ends without. */
async function said(
  { child, ended }: ReturnType<TestProject['start']>,
  words: string,
): Promise<void> {
  const heard = new Promise<true>((resolve) => {
    let text = ''
    child.stdout?.on('data', (more) => {
      text += String(more)
      if (text.includes(words)) resolve(true)
    })
  })
  const first = await Promise.race([heard, ended])
  expect(first, `a run that says ${words}`).toBe(true)
}

async function untilReading(): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    const [row] = await standby.query(
      'postgres',
      "select count(*)::text as reading from pg_stat_activity where query like 'copy%journal%' and usename = 'reader'",
    )
    if (row?.['reading'] === '1') return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error('the run never read')
}

// The last: afterwards nobody follows.
test('P2: a promoted standby is a new history: what it never got is undone, and the old primary is behind', async () => {
  const shop = await projectOn(primary)
  try {
    await caughtUp()
    await standby.stop()
    await primary.query(
      'shop',
      "update sale set units = 99 where sale_id = 8800105; insert into staff values (77, 'Lost Qx7', 1)",
    )
    await shop.good()
    await expectShop(shop, primary)
    await primary.stop('immediate')
    // As after the loss of a primary whose standby lagged.
    await standby.start({ primary_conninfo: '' })
    await standby.query('postgres', 'select pg_promote()')
    await standby.query('shop', "insert into staff values (78, 'New Qx7', 2)")
    await shop.pointAt(standby)
    await shop.good()
    await expectShop(shop, standby)
    expect(
      await shop.warehouse.query('select is_deleted from dim_staff where staff_id = 77'),
    ).toEqual([{ is_deleted: 't' }])
    await primary.start()
    await shop.pointAt(primary)
    const { error } = await shop.run()
    expect(error).toMatchObject({ name: 'SourceBehind' })
  } finally {
    await shop.close()
  }
}, 60_000)
