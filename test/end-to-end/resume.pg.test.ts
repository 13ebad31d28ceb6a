/**
 * A first load that is killed: what was finished is not read again, whatever has happened at the source
 * since is brought by difference, and the batch is one snapshot (P1). Rows that are sent are counted at
 * the server: `payload` lies out of line, so that each value that is sent is one look into the TOAST
 * index, and pairs look none up.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { rowsAsOf } from '../../src/lake/read.ts'
import { createProject, startCli, type TestProject } from '../support/project.ts'

const ROWS = 10_000
/** Some 15 rows a page, and parts of 128 pages. */
const SETUP = `
  create table event (id integer, kind text, filler text, payload text, primary key (id, kind));
  alter table event alter filler set storage plain, alter payload set storage external;
  insert into event select n, 'k' || n % 3, repeat('f', 440), repeat(md5(n::text), 70) from generate_series(1, ${ROWS}) n;
  create table note (id integer primary key, event_id integer);
  insert into note select n, n from generate_series(1, 20) n;
  analyze`
const MODELS = { dim_note: '-- kind: dimension\n-- key: id\nselect id, event_id from shop.note\n' }
const SWITCH = fileURLToPath(new URL('../support/kill-switch.mjs', import.meta.url))

let project: TestProject

beforeAll(async () => {
  project = await createProject({ setup: SETUP, models: MODELS, source: 'partSize: 1' })
}, 60_000)
afterAll(async () => project.close())
beforeEach(async () => {
  rmSync(join(project.folder, 'lake'), { recursive: true, force: true })
})
afterEach(async () => {
  await project.source.query(`truncate event; truncate note;
    insert into event select n, 'k' || n % 3, repeat('f', 440), repeat(md5(n::text), 70) from generate_series(1, ${ROWS}) n;
    insert into note select n, n from generate_series(1, 20) n`)
})

/** Runs extract in a process of its own that is killed before the first effect that fits. */
async function killedAt(effect: RegExp): Promise<void> {
  const { ended } = startCli(project.folder, ['run', '--only', 'extract', '--json'], {
    NODE_OPTIONS: `--import ${SWITCH}`,
    KILL_ON: effect.source,
  })
  expect((await ended).exit).toBeNull()
}

const notes = (): number => {
  const folder = join(project.folder, 'lake/ingestion/shop/_drafts/0000000001')
  return existsSync(folder)
    ? readdirSync(folder).filter((name) => name.endsWith('.json')).length
    : 0
}

/** How many payloads the server has looked up for others since. */
async function sentWhile(work: () => Promise<void>): Promise<number> {
  const looked = async (): Promise<number> => {
    // A session's counts are written when it ends, or rests.
    await project.source.query('select pg_sleep(1.2)')
    const [row] = await project.source.query(
      `select idx_scan from pg_stat_all_tables where relid = (select reltoastrelid from pg_class where oid = 'event'::regclass)`,
    )
    return Number(row?.['idx_scan'])
  }
  const before = await looked()
  await work()
  return (await looked()) - before
}

async function expectEqual(): Promise<void> {
  const digest = `select count(*) as n, count(distinct id) as ids, md5(string_agg(md5(id || ':' || kind || ':' || coalesce(payload, '-')), '' order by id, kind)) as digest from`
  const [source] = await project.source.query(`${digest} event`)
  const lake = await project.opened(async ({ ingestion, engine: open }) => {
    const manifest = await ingestion.chain('shop').newest()
    if (manifest === null) throw new Error('nothing was extracted')
    const engine = await open()
    try {
      const rows = await rowsAsOf(ingestion, manifest, 'event', manifest.batch)
      const [found] = await engine.rows(`${digest} (${rows})`)
      const orphans = await rowsAsOf(ingestion, manifest, 'note', manifest.batch)
      const [missing] = await engine.rows(
        `select count(*) as n from (${orphans}) o where event_id not in (select id from (${rows}))`,
      )
      expect(Number(missing?.['n']), 'P1: notes of an event that is not there').toBe(0)
      const { files = [], rows: counted } = manifest.tables['event'] ?? {}
      if (manifest.batch === 1)
        expect(files.reduce((all, file) => all + file.rows, 0)).toBe(counted)
      return { ...found, n: String(found?.['n']), ids: String(found?.['ids']) }
    } finally {
      engine.close()
    }
  })
  expect(lake).toEqual(source)
}

test('P1, P3: killed at every part, a first load goes on with the others; finished ones are not sent again', async () => {
  // Two parts at least are finished before the third is noted; each kill leaves one more.
  for (let finished = 0; finished < 3; finished++) {
    await killedAt(/extract fs\.link .*_drafts/)
    expect(notes()).toBe(finished)
    await killedAt(
      new RegExp(`extract fs\\.open\\(wx\\) .*_drafts/0000000001/000000000${finished + 2}\\.json`),
    )
    expect(notes()).toBe(finished + 1)
  }
  const sent = await sentWhile(async () => {
    await project.good({ only: 'extract' })
  })
  expect(sent).toBeGreaterThan(0)
  // Three parts of 128 pages with 15 or 16 rows are there.
  expect(sent).toBeLessThan(ROWS - 3 * 128 * 14)
  await expectEqual()
}, 120_000)

test('P1, P2: what has happened since is brought by difference: only new row versions are sent', async () => {
  // Room on every page, so that some new versions lie in the parts of the old ones.
  await project.source.query(
    'delete from event where id % 7 = 6; delete from note where event_id % 7 = 6',
  )
  await project.source.query('vacuum event')
  await killedAt(/extract fs\.open\(wx\) .*_drafts\/0000000001\/0000000004\.json/)
  expect(notes()).toBe(3)
  await project.source.query(
    `
    update event set payload = 'changed' where id % 500 = 7;
    update event set kind = 'moved' where id = 8;
    delete from event where id = 9;
    delete from event where id = 10; delete from note where event_id in (9, 10);
    insert into event values (10, 'k1', 'again', 'short');
    insert into event select n, 'late', null, null from generate_series(100001, 100020) n;
    insert into note values (100, 100001);
    vacuum event;
    insert into event values (100021, 'late', null, repeat('new', 1000)), (100022, 'in place of another', null, null)`.replace(
      'vacuum event;',
      '',
    ),
  )
  const sent = await sentWhile(async () => {
    await project.good({ only: 'extract' })
  })
  expect(sent).toBeLessThan(ROWS - 3 * 128 * 14)
  await expectEqual()
  // And goes on from there.
  await project.source.query(`update event set kind = 'later' where id = 11`)
  const { tables } = await project.good({ only: 'extract' })
  expect(tables.find(({ table }) => table === 'event')).toMatchObject({ inserted: 1, deleted: 1 })
  await expectEqual()
}, 120_000)

test('P1: several readers share one snapshot; a resumed load may have another number of them', async () => {
  await project.configure({ source: 'partSize: 1, readers: 3' })
  await killedAt(/extract fs\.open\(wx\) .*_drafts\/0000000001\/0000000003\.json/)
  await project.source.query(`update event set kind = 'other' where id % 1000 = 0`)
  await project.good({ only: 'extract' })
  await expectEqual()
  await project.source.query(`update event set payload = 'again' where id % 1000 = 1`)
  const { tables } = await project.good({ only: 'extract' })
  expect(tables.find(({ table }) => table === 'event')).toMatchObject({ updated: 10 })
  expect((await project.run({ only: 'extract' })).summary.outcome).toBe('nothing to do')
  await project.configure({ source: 'partSize: 1' })
}, 120_000)

test('a draft of a table that has another shape since is not used', async () => {
  await killedAt(/extract fs\.open\(wx\) .*_drafts\/0000000001\/0000000003\.json/)
  await project.source.query(`alter table event add column since integer default 7`)
  const sent = await sentWhile(async () => {
    await project.good({ only: 'extract' })
  })
  expect(sent).toBe(ROWS)
  await expectEqual()
  await project.source.query(`alter table event drop column since`)
}, 120_000)
