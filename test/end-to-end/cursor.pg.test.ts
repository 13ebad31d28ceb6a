/**
 * Strategy `cursor`: what it finds, exactly what it misses (docs/strategies.md), and that the full comparison,
 * when it is due, heals all of it.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rowsAsOf } from '../../src/lake/read.ts'
import type { NewEvent, SourceTableSummary } from '../../src/events.ts'
import { extract as extractSource } from '../../src/pipeline/extract.ts'
import { run } from '../../src/pipeline/run.ts'
import { contextHere } from '../support/here.ts'
import { createProject, type TestProject } from '../support/project.ts'

let project: TestProject

const SETUP = `
  create table event (id integer primary key, seen timestamptz, v text);
  create index on event (seen);
  create table counter (id integer primary key, n bigint not null, v text);
  insert into event select n, timestamptz '2026-01-01 12:00Z' + n * interval '1 minute', 'v' || n from generate_series(1, 100) n;
  insert into counter select n, n * 10, 'v' || n from generate_series(1, 100) n`
const MODELS = { dim_event: '-- kind: dimension\n-- key: id\nselect id, v from shop.event\n' }
const settings = (reconcile: string): string => `table: {
  event: { strategy: 'cursor', cursor: { column: 'seen', lookBack: '1h', reconcile: '${reconcile}' } },
  counter: { strategy: 'cursor', cursor: { column: 'n', lookBack: 20, reconcile: '${reconcile}' } },
}`

beforeAll(async () => {
  project = await createProject({ setup: SETUP, models: MODELS, source: settings('24h') })
}, 60_000)
afterAll(async () => project.close())

async function extract(): Promise<Readonly<Record<string, SourceTableSummary>>> {
  const { tables } = await project.good({ only: 'extract' })
  return Object.fromEntries(tables.map((table) => [table.table, table]))
}

/** The whole table is compared, because it is time. */
async function reconcile(): Promise<Readonly<Record<string, SourceTableSummary>>> {
  await project.configure({ source: settings('1ms') })
  const tables = await extract()
  await project.configure({ source: settings('24h') })
  return tables
}

/** Keys of rows that differ between lake and source, either way. */
async function differing(table: string): Promise<string[]> {
  const asked = `select concat_ws('|', id::text, coalesce(v, 'NULL')) as r from`
  const inSource = (await project.source.query(`${asked} ${table}`)).map(({ r }) => String(r))
  const inLake = await project.opened(async ({ ingestion, engine: open }) => {
    const manifest = await ingestion.chain('shop').newest()
    if (manifest === null) throw new Error('nothing was extracted')
    const engine = await open()
    try {
      const rows = await rowsAsOf(ingestion, manifest, table, manifest.batch)
      const found = (await engine.rows(`${asked} (${rows})`)).map(({ r }) => String(r))
      expect(manifest.tables[table]?.rows).toBe(found.length)
      return found
    } finally {
      engine.close()
    }
  })
  const differ = [
    ...inSource.filter((row) => !inLake.includes(row)),
    ...inLake.filter((row) => !inSource.includes(row)),
  ]
  return [...new Set(differ.map((row) => row.split('|')[0] ?? ''))].toSorted((a, b) => +a - +b)
}

test('a first batch is whole, and counted', async () => {
  const { event, counter } = await extract()
  expect(event).toMatchObject({ inserted: 100, rowsInSource: 100, rowsInLake: 100 })
  expect(counter).toMatchObject({ inserted: 100, rowsInSource: 100, rowsInLake: 100 })
  expect((await project.good({ only: 'extract' })).outcome).toBe('nothing to do')
}, 60_000)

test('P2: what the column tells is found, what came late within the look-back, too; the others were not counted (P12)', async () => {
  await project.source.query(`
    insert into event values (101, '2026-01-01 14:00Z', 'new');
    update event set v = 'stamped', seen = '2026-01-01 14:01Z' where id = 3;
    insert into event values (102, '2026-01-01 12:50Z', 'late');
    insert into counter values (101, 1001, 'new'), (102, 985, 'late');
    update counter set v = 'again', n = 1002 where id = 5`)
  const { event, counter } = await extract()
  expect(event).toMatchObject({
    inserted: 2,
    updated: 1,
    deleted: 0,
    rowsInSource: null,
    rowsInLake: 102,
  })
  expect(counter).toMatchObject({
    inserted: 2,
    updated: 1,
    deleted: 0,
    rowsInSource: null,
    rowsInLake: 102,
  })
  expect(await differing('event')).toEqual([])
  expect(await differing('counter')).toEqual([])
  expect((await project.good({ only: 'extract' })).outcome).toBe('nothing to do')
}, 60_000)

test('what it can miss, it misses: untouched columns, deletions, NULL, what came too late; all is healed when the table is compared in full', async () => {
  await project.source.query(`
    update event set v = 'silent' where id = 10;
    delete from event where id = 11;
    insert into event values (103, null, 'null'), (104, '2026-01-01 12:30Z', 'too late'), (105, '2026-01-01 15:00Z', 'seen');
    update event set v = 'silent, but near' where id = 101;
    update counter set v = 'silent' where id = 10;
    delete from counter where id = 11;
    insert into counter values (104, 970, 'too late'), (105, 1100, 'seen')`)
  const { event, counter } = await extract()
  expect(event).toMatchObject({ inserted: 1, updated: 1, deleted: 0, rowsInSource: null })
  expect(counter).toMatchObject({ inserted: 1, updated: 0, deleted: 0, rowsInSource: null })
  expect(await differing('event')).toEqual(['10', '11', '103', '104'])
  expect(await differing('counter')).toEqual(['10', '11', '104'])
  const healed = await reconcile()
  expect(healed['event']).toMatchObject({
    inserted: 2,
    updated: 1,
    deleted: 1,
    rowsInSource: 104,
    rowsInLake: 104,
  })
  expect(healed['counter']).toMatchObject({
    inserted: 1,
    updated: 1,
    deleted: 1,
    rowsInSource: 103,
    rowsInLake: 103,
  })
  expect(await differing('event')).toEqual([])
  expect(await differing('counter')).toEqual([])
  // Not due again, whether the last one found something or nothing.
  expect((await extract())['event']?.rowsInSource).toBeNull()
  expect((await reconcile())['event']?.rowsInSource).toBe(104)
  expect((await extract())['event']?.rowsInSource).toBeNull()
}, 120_000)

test('a value far ahead hides others until the table is compared in full; --full-refresh does, too', async () => {
  await project.source.query(
    `insert into event values (200, '2100-01-01 00:00Z', 'far'), (201, 'infinity', 'farther')`,
  )
  expect((await project.tote('run', '--only', 'extract')).stdout).toMatch(
    /shop\.event .* not counted/,
  )
  await project.source.query(
    `insert into event values (202, '2026-01-01 16:00Z', 'hidden'); delete from event where id = 200`,
  )
  await extract()
  expect(await differing('event')).toEqual(['200', '202'])
  const { tables } = await project.good({ only: 'extract', fullRefresh: true })
  expect(tables.find(({ table }) => table === 'event')).toMatchObject({ inserted: 1, deleted: 1 })
  expect(await differing('event')).toEqual([])
  await project.source.query(`insert into event values (203, '2026-01-01 16:01Z', 'found')`)
  await extract()
  expect(await differing('event')).toEqual([])
}, 60_000)

test('tote check --live says what a cursor misses, and what it costs without an index', async () => {
  const told = await project.tote('check', '--live', '--json')
  const { warnings } = JSON.parse(told.stdout) as { warnings: { message: string }[] }
  expect(warnings.map(({ message }) => message)).toEqual([
    'table "counter": no index begins with the cursor "n", so that every run reads the whole table to find new rows',
    'table "event": rows whose cursor "seen" is NULL are seen only when the table is compared in full',
  ])
}, 60_000)

test('P12: what a cursor misses is a warning of the first run; later ones say it to a person, and beside their warnings', async () => {
  const fresh = await createProject({ setup: SETUP, models: MODELS, source: settings('24h') })
  const warned = [
    'source "shop": table "counter": no index begins with the cursor "n", so that every run reads the whole table to find new rows',
    'source "shop": table "event": rows whose cursor "seen" is NULL are seen only when the table is compared in full',
  ]
  try {
    const first = await fresh.run()
    expect(first.summary).toMatchObject({ outcome: 'succeeded', warnings: 2 })
    expect(first.summary.standing).toBeUndefined()
    expect(first.events.filter(({ type }) => type === 'note')).toEqual(
      warned.map((text) => ({ type: 'note', level: 'warn', text })),
    )
    const second = await fresh.run()
    expect(second.summary).toMatchObject({
      outcome: 'nothing to do',
      warnings: 0,
      standing: warned,
    })
    // A schedule's log does not fill with it, and a person sees it.
    const scheduled = await fresh.tote('run')
    expect(scheduled.stderr).not.toContain('is NULL are seen only')
    expect(scheduled.stdout).toContain('2 warnings as in every run, see tote check --live')
    expect((await fresh.tote('run', '-v')).stderr).toContain(warned[1])
    expect((await fresh.tote('run', '--quiet')).stderr).toBe('')
    expect((await fresh.tote('run', '--log-format', 'json')).stderr).toContain('"level":"standing"')
    expect((await fresh.onTerminal('run')).stderr).toContain(warned[1])
    // A batch that must be computed again says it once.
    const events: NewEvent[] = []
    const { summary } = await fresh.opened(async (opened) =>
      run(
        opened,
        {},
        contextHere((event) => void events.push(event)),
        {
          command: 'run',
          begin: async () => undefined,
          extract: async (...given) => {
            await extractSource(...given)
            return extractSource(...given)
          },
          verify: async () => false,
        },
      ),
    )
    expect(summary.standing).toEqual(warned)
    expect(events.filter(({ type }) => type === 'note')).toHaveLength(2)
  } finally {
    await fresh.close()
  }
}, 120_000)

test('a cursor that cannot be one is a problem of the config', async () => {
  await project.configure({
    source: `table: {
      event: { strategy: 'cursor', cursor: { column: 'v' } },
      counter: { strategy: 'cursor', cursor: { column: 'n', lookBack: '1h' } },
    }`,
  })
  const { error } = await project.run({ only: 'extract' })
  expect(error?.name).toBe('ConfigInvalid')
  expect(error?.facts.problems?.map(({ message }) => message)).toEqual([
    'column "n" has numbers, so the look-back is one, too',
    'column "v" is text; a cursor is a smallint, integer, bigint, numeric(p,s), date or timestamp',
  ])
  await project.configure({
    source: `table: { event: { strategy: 'cursor' }, counter: { strategy: 'xmin', cursor: { column: 'n' } } }`,
  })
  const told = await project.tote('check')
  expect(told.exit).toBe(2)
  expect(told.stderr).toContain('a cursor needs its column: cursor: { column }')
  expect(told.stderr).toContain('the strategy "xmin" has no cursor')
  await project.configure({ source: settings('24h') })
}, 60_000)
