/**
 * Tables of more than one part (64 MB): read part by part without a sort, written file by file on a
 * first load, and compared when they are there already. Lake and source are compared whole each time.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { DataFile, PairsEntry } from '../../src/lake/manifest.ts'
import { rowsAsOf } from '../../src/lake/read.ts'
import type { NewEvent } from '../../src/events.ts'
import { createProject, type TestProject } from '../support/project.ts'

let project: TestProject

/** Above 9,000 pages, the first of 11 rows each; the keys come in no order. */
const SETUP = `
  create table event (id integer primary key, kind text not null, payload text);
  insert into event select (n * 7919::bigint) % 100003, 'k' || n % 5, repeat(md5(n::text), 22)
    from generate_series(1, 100000) n;
  create table small (id integer primary key, note text);
  insert into small values (1, 'one'), (2, null);
  create table nothing (id integer primary key);
  analyze`
const MODELS = { dim_small: '-- kind: dimension\n-- key: id\nselect id, note from shop.small\n' }

beforeAll(async () => {
  project = await createProject({ setup: SETUP, models: MODELS })
}, 60_000)
afterAll(async () => project.close())

interface Sides {
  readonly source: unknown
  readonly lake: unknown
  readonly files: readonly DataFile[]
}

async function sides(): Promise<Sides> {
  const digest = `select count(*) as n, md5(string_agg(md5(id || ':' || kind || ':' || coalesce(payload, '-')), '' order by id)) as digest from`
  const [source] = await project.source.query(`${digest} event`)
  return project.opened(async ({ ingestion, engine: open }) => {
    const manifest = await ingestion.chain('shop').newest()
    if (manifest === null) throw new Error('nothing was extracted')
    const engine = await open()
    try {
      const rows = await rowsAsOf(ingestion, manifest, 'event', manifest.batch)
      const [lake] = await engine.rows(`${digest} (${rows})`)
      const files = manifest.tables['event']?.files ?? []
      return { source, lake: { ...lake, n: String(lake?.['n']) }, files }
    } finally {
      engine.close()
    }
  })
}

const written = (events: readonly NewEvent[]): number =>
  events.filter((event) => event.type === 'file.written' && event.table === 'event').length

test('P2, P8: a first load writes a file for each part; lake and source are equal, row for row', async () => {
  const { events, error } = await project.run({ only: 'extract' })
  expect(error).toBeUndefined()
  const { source, lake, files } = await sides()
  expect(lake).toEqual(source)
  expect(files.map((file) => file.batch)).toEqual([1, 1])
  expect(files.map((file) => file.rows).reduce((sum, rows) => sum + rows)).toBe(100_000)
  for (const { least, greatest } of files)
    expect(Number(least[0])).toBeLessThan(Number(greatest[0]))
  expect(written(events)).toBe(2)
  const progress = events.filter((event) => event.type === 'table.progress')
  expect(progress.at(-1)).toMatchObject({ table: 'event', rows: 100_000, expectedRows: 100_000 })
}, 60_000)

test('rows of a large table lie in the lake as they lay at the source, so that what lay in order need not be sorted', async () => {
  const [source] = await project.source.query(
    `select md5(string_agg(id::text, ',' order by ctid)) as ids from event`,
  )
  const lake = await project.opened(async ({ ingestion, engine: open }) => {
    const files = (await ingestion.chain('shop').newest())?.tables['event']?.files ?? []
    const engine = await open()
    try {
      const rows = files.map(
        async (file, at) =>
          `select id, ${at} as file, file_row_number as place from read_parquet('${await ingestion.store.localPath(file.key, file)}', file_row_number = true)`,
      )
      const [found] = await engine.rows(
        `select md5(string_agg(id::varchar, ',' order by file, place)) as ids from (${(await Promise.all(rows)).join(' union all ')})`,
      )
      return found
    } finally {
      engine.close()
    }
  })
  expect(lake).toEqual(source)
}, 60_000)

test('P2: a first load leaves pairs; the next run tells where they lie, and then nothing is to do', async () => {
  const pairsNow = async (): Promise<PairsEntry | undefined> =>
    project.opened(
      async ({ ingestion }) => (await ingestion.chain('shop').newest())?.tables['event']?.pairs,
    )
  const first = await pairsNow()
  expect(first?.base.map(({ rows }) => rows).reduce((sum, rows) => sum + rows)).toBe(100_000)
  expect(first?.blocks).toBeNull()
  const looked = await project.run({ only: 'extract' })
  expect(looked.error).toBeUndefined()
  expect(looked.summary.tables.every((table) => table.rowsInLake === table.rowsInSource)).toBe(true)
  expect(written(looked.events)).toBe(0)
  const second = await pairsNow()
  // All of them anew, once; no row was read.
  expect(second?.files).toEqual([])
  expect(second?.base.map(({ rows }) => rows)).toEqual([100_000])
  expect(second?.blocks).not.toBeNull()
  const { summary, events } = await project.run({ only: 'extract' })
  expect(summary.outcome).toBe('nothing to do')
  expect(written(events)).toBe(0)
}, 60_000)

test('P2: updates, inserts and deletes in a large table are found, and only they are written', async () => {
  await project.source.query(`
    update event set kind = 'new' where id % 1000 = 1;
    delete from event where id % 1000 = 2;
    insert into event select n, 'late', null from generate_series(200000, 200009) n`)
  const { summary, error } = await project.run({ only: 'extract' })
  expect(error).toBeUndefined()
  expect(summary.tables.find(({ table }) => table === 'event')).toMatchObject({
    inserted: 10,
    updated: 101,
    deleted: 101,
    rowsInSource: 99_909,
    rowsInLake: 99_909,
  })
  const { source, lake, files } = await sides()
  expect(lake).toEqual(source)
  expect(files.at(-1)?.rows).toBe(212)
}, 60_000)

test('rows that lie elsewhere since, and are the same, are no change', async () => {
  await project.source.query('vacuum full event')
  const { summary, error } = await project.run({ only: 'extract' })
  expect(error).toBeUndefined()
  expect(summary.tables.find(({ table }) => table === 'event')).toMatchObject({
    inserted: 0,
    updated: 0,
    deleted: 0,
  })
  const { source, lake } = await sides()
  expect(lake).toEqual(source)
}, 60_000)
