/** Runs that wait, are stopped, or come in parts: nothing is half done, and the next run goes on. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import pg from 'pg'
import { createProject, type TestProject } from '../support/project.ts'
import { expectRefusal } from '../support/refusal.ts'

let project: TestProject
beforeAll(async () => {
  project = await createProject()
  await project.good()
})
afterAll(async () => project.close())

/** Another session that holds a table until it is told to let go. */
async function holding(url: string, table: string): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(`begin; lock table ${table} in access exclusive mode`)
  return async () => client.end()
}

/** Resolves when a session of that role waits for a lock. */
async function waiting(role: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const [found] = await project.source.query(
      "select count(*) as n from pg_stat_activity where usename = $1 and wait_event_type = 'Lock'",
      [role],
    )
    if (found?.['n'] !== '0') return
    await sleep(50)
  }
  throw new Error(`no session of ${role} waits for a lock`)
}

/** The server notices that nobody is there when the lock comes, or is not given in time. */
async function nobodyIsLeft(): Promise<void> {
  await vi.waitFor(
    async () =>
      expect(
        await project.source.query(
          'select usename, query from pg_stat_activity where usename = any($1)',
          [[project.reader, project.loader]],
        ),
      ).toEqual([]),
    { timeout: 5_000, interval: 100 },
  )
}

const ledger = async (): Promise<unknown> => project.warehouse.query('table tote.ledger')

const change = async (): Promise<unknown> =>
  project.source.query('update sale set units = units + 1 where sale_id = 8800101')

describe('stopped by a person', () => {
  test('Ctrl-C while the source makes us wait: exit 130 at once, nothing written, nobody left behind', async () => {
    await change()
    const before = await project.standing()
    const letGo = await holding(project.source.url, 'sale')
    try {
      const run = project.start('run')
      await waiting(project.reader)
      run.child.kill('SIGINT')
      const stoppedAt = Date.now()
      const told = await run.ended
      expect(told.stderr).toContain('RunCancelled  Interrupted by SIGINT; nothing is half done')
      expect(told.exit).toBe(130)
      expect(Date.now() - stoppedAt).toBeLessThan(2_000)
      await nobodyIsLeft()
    } finally {
      await letGo()
    }
    expect(await project.standing()).toEqual(before)
  })
  test('P4: SIGTERM while the warehouse makes us wait: exit 143, and the next run loads what waits', async () => {
    const letGo = await holding(project.warehouse.url, 'fact_sale')
    const before = await ledger()
    try {
      const run = project.start('run')
      await waiting(project.loader)
      run.child.kill('SIGTERM')
      const stoppedAt = Date.now()
      const told = await run.ended
      expect(told.stderr).toContain('RunCancelled  Interrupted by SIGTERM')
      expect(told.exit).toBe(143)
      expect(Date.now() - stoppedAt).toBeLessThan(2_000)
      expect(await ledger()).toEqual(before)
      // While the lock is held still: a server from 14 on looks whether we are there.
      const [server] = await project.warehouse.query('show server_version_num')
      if (Number(server?.['server_version_num']) >= 140_000) await nobodyIsLeft()
    } finally {
      await letGo()
    }
    await nobodyIsLeft()
    expect((await project.good()).warehouse).toContainEqual(
      expect.objectContaining({ table: 'fact_sale', rowsLoaded: 1, rowsCurrent: 6 }),
    )
  })
  test('--timeout', async () => {
    const letGo = await holding(project.source.url, 'sale')
    try {
      await expectRefusal(project, {
        name: 'RunTimedOut',
        args: ['run', '--timeout', '1s'],
        says: ['after the timeout of 1s', 'nothing is half done', '--timeout'],
      })
    } finally {
      await letGo()
    }
  })
})

test('P11: a lock that the source does not give in time: SourceBusy with SQLSTATE and what to type again', async () => {
  await project.configure({ source: "lockTimeout: '1s'" })
  const letGo = await holding(project.source.url, 'sale')
  try {
    await expectRefusal(project, {
      name: 'SourceBusy',
      says: ['source "shop"', `${project.reader}@`, 'SQLSTATE 55P03', 'again tote run'],
    })
  } finally {
    await letGo()
    await project.configure({})
  }
})

test('two runs at once: --no-wait ends with 4, the default waits and then finds its work done', async () => {
  await change()
  const letGo = await holding(project.source.url, 'sale')
  const first = project.start('run')
  try {
    await waiting(project.reader)
    await expectRefusal(project, {
      name: 'RunLocked',
      args: ['run', '--no-wait'],
      says: [/Run \w{14} of this project is under way \(process \d+\)/, 'leave out --no-wait'],
    })
  } finally {
    const second = project.start('run')
    await sleep(700)
    await letGo()
    const [one, two] = await Promise.all([first.ended, second.ended])
    expect([one.exit, two.exit]).toEqual([0, 0])
    expect(one.stdout).toContain('succeeded')
    expect(two.stdout).toContain('nothing to do')
    expect(two.stderr).toMatch(/waiting for run \w{14} \(process \d+\) to end/)
  }
})

describe('in parts', () => {
  const units = async (): Promise<(string | null)[]> =>
    project.warehouse
      .query('select units from fact_sale where sale_id = 8800106 order by valid_from')
      .then((rows) => rows.map((row) => row['units'] ?? null))

  test('P4 and P6: --only, stage by stage, and an outage of the warehouse: every batch is caught up, in order', async () => {
    for (const value of [61, 62, 63]) {
      await project.source.query(`update sale set units = ${value} where sale_id = 8800106`)
      const told = await project.tote('run', '--only', 'extract')
      expect(told.exit).toBe(0)
      expect(told.stderr).not.toMatch(/transform|load/)
    }
    await project.environment({ SHOP_WAREHOUSE_URL: 'postgres://nobody@127.0.0.1:1/none' })
    const transformed = await project.tote('run', '--only', 'transform')
    expect(transformed.exit).toBe(0)
    expect((await project.tote('run', '--only', 'load')).exit).toBe(3)
    const status = await project.tote('status')
    expect(status.exit).toBe(0)
    expect(status.stdout).toMatch(/where the warehouse stands is not known: WarehouseUnreachable/)
    await project.environment({})
    expect((await project.tote('status')).stdout).toMatch(
      /3 batches not loaded yet\n +tote run --only load/,
    )
    expect(await units()).toEqual(['60'])
    const loaded = await project.good({ only: 'load' })
    expect(loaded.warehouse).toMatchObject([{ table: 'fact_sale', rowsLoaded: 3 }])
    expect(await units()).toEqual(['60', '61', '62', '63'])
    expect((await project.good({ only: 'load' })).outcome).toBe('nothing to do')
  })
  test('--full-refresh compares every row, finds nothing, and adds no batch', async () => {
    const before = await project.standing()
    const { batches } = await project.good()
    const told = await project.tote('run', '--full-refresh')
    expect(told.exit).toBe(0)
    expect(told.stdout).toContain('nothing to do')
    expect((await project.good()).batches).toEqual(batches)
    expect((await project.standing()).warehouse).toEqual(before.warehouse)
  })
  test('a run of nothing writes nothing at all into the lake', async () => {
    const before = await project.standing()
    expect((await project.tote('run')).stdout).toContain('nothing to do')
    expect(await project.standing()).toEqual(before)
  })
})
