/**
 * Rows that are kept in memory are those of the lake, whatever another process does to the table between
 * two points: batches, bases, merged files, a column that comes to be text, a whole other lake.
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  openEngine,
  openEngineHome,
  type Engine,
  type EngineHome,
} from '../../src/columns/engine.ts'
import { openKeptRows, type ReadRows } from '../../src/kept/current-rows.ts'
import type { Context } from '../../src/events.ts'
import { writeDueBases } from '../../src/lake/base.ts'
import { goOnWith } from '../../src/lake/carried.ts'
import { fromMicros } from '../../src/lake/instant.ts'
import type { CommittedManifest } from '../../src/lake/manifest.ts'
import { rowsAsOf } from '../../src/lake/read.ts'
import { writeRows } from '../../src/lake/write.ts'
import { openZone, type Zone } from '../../src/lake/zone.ts'
import { openFolderStore } from '../../src/storage/store-folder.ts'
import type { Column } from '../../src/types.ts'

let folder: string
let home: EngineHome
let other: Engine
beforeAll(async () => {
  // A disk would be asked to be durable some thousand times.
  const memory = '/dev/shm'
  folder = await mkdtemp(join(existsSync(memory) ? memory : tmpdir(), 'tote-kept-'))
  home = openEngineHome({ tempFolder: join(folder, 'tmp'), threads: 1 })
  other = await openEngine({ tempFolder: join(folder, 'tmp'), threads: 1 })
})
afterAll(async () => {
  other.close()
  await home.close()
  await rm(folder, { recursive: true, force: true })
})

const COLUMNS: readonly Column[] = [
  { id: 1, name: 'id', type: 'integer', carried: 'INTEGER', notNull: true },
  { id: 3, name: 'the "part"', type: 'text', carried: 'VARCHAR', notNull: true },
  { id: 7, name: 'value', type: 'integer', carried: 'INTEGER', notNull: false },
]
/** A key that is one and the same in two spellings. */
const FLOAT_COLUMNS = COLUMNS.map((column) =>
  column.name === 'id' ? { ...column, carried: 'DOUBLE' } : column,
)
/** And one whose values change where two that are equal are not the same. */
const FLOAT_VALUES = COLUMNS.map((column) =>
  column.name === 'value' ? { ...column, carried: 'DOUBLE' } : column,
)
const TEXT_COLUMNS = COLUMNS.map((column) => ({ ...column, carried: 'VARCHAR' }))
const KEY = ['id', 'the "part"']
const context: Context = {
  run: 'r',
  signal: new AbortController().signal,
  now: () => new Date(0),
  emit: () => undefined,
}

interface Change {
  readonly deleted: boolean
  readonly id: string
  readonly part: string
  readonly value: string | null
}

/** A batch of table `t`, committed by another process than the one that keeps rows. */
async function commit(
  zone: Zone,
  parent: CommittedManifest | null,
  changes: readonly Change[],
  columns: readonly Column[] = COLUMNS,
): Promise<CommittedManifest> {
  const batch = (parent?.batch ?? 0) + 1
  const entry = parent?.tables['t'] ?? null
  const values = changes.map(
    ({ deleted, id, part, value }) =>
      `('${deleted ? 'd' : 'u'}', '${id}'::${columns[0]?.carried}, '${part.replaceAll("'", "''")}', ${deleted || value === null ? 'null' : `'${value}'`}::${columns[2]?.carried})`,
  )
  const where = {
    chain: 'shop',
    table: 't',
    columns,
    key: KEY,
    batch,
    instant: fromMicros(BigInt(batch)),
    base: false,
  }
  const file = await writeRows(zone, other, {
    ...where,
    relation: `(values ${values.join(', ')}) v("_tote_op", "id", "the ""part""", "value")`,
    rows: changes.length,
    deletes: changes.filter(({ deleted }) => deleted).length,
  })
  const before = goOnWith(entry, columns)
  const t = {
    ...before,
    columns,
    key: KEY,
    shape: '',
    position: {},
    rows: 0,
    files: [...before.files, file],
  }
  const draft = {
    chain: 'c',
    batch,
    instant: where.instant,
    run: 'r',
    writer: 'test',
    tables: { t },
  }
  // No base is written of a table whose rows are others than its entry says.
  const sql = await rowsAsOf(zone, { ...draft, ...NOT_YET }, 't', batch)
  const [counted] = await other.rows(`select count(*) as n from (${sql})`)
  const tables = { t: { ...t, rows: Number(counted?.['n']) } }
  return zone.chain('shop').commit({ ...draft, tables }, parent)
}

const NOT_YET = { format: 2, name: 'shop', number: 0, parent: null, sha256: '' } as const

/** Of fewer rows a few changes make a base due, and no merged file. */
const MANY: readonly Change[] = Array.from({ length: 30 }, (_, index) => ({
  deleted: false,
  id: String(index + 1),
  part: 'a',
  value: '1',
}))

const keepRows = async (engine: Engine): Promise<ReadRows> =>
  (await openKeptRows(engine)).on(engine)

async function readText(engine: Engine, sql: string): Promise<string[]> {
  const rows = await engine.rows(
    `select "id"::varchar as a, "the ""part""" as b, "value"::varchar as c, typeof("id") as d from (${sql})`,
  )
  return rows.map((row) => JSON.stringify(row)).toSorted()
}

const change = fc.record({
  deleted: fc.nat(3).map((n) => n === 0),
  id: fc.constantFrom('0', '-0', '1', '2', '3'),
  part: fc.constantFrom('a', "b'"),
  value: fc.constantFrom(null, '0', '-0', '1'),
})
const changes = fc.uniqueArray(change, {
  selector: ({ id, part }) => `${Number(id) + 0}|${part}`,
  minLength: 1,
  maxLength: 5,
})
const step = fc.record({
  does: fc.constantFrom('batch', 'batch', 'batch', 'batch', 'base', 'merge', 'merge', 'nothing'),
  changes,
  /** How many batches back a reader looks first. */
  back: fc.constantFrom(0, 0, 0, 1, 2),
  asks: fc.nat(3).map((n) => n > 0),
})

test('P7: rows kept in memory are those of the lake, after whatever another process committed', async () => {
  const seen = { kept: 0, read: 0, bases: 0, merged: 0 }
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 3, maxLength: 12 }),
      fc.nat(14),
      fc.constantFrom(COLUMNS, FLOAT_COLUMNS, FLOAT_VALUES),
      async (steps, textFrom, first) => {
        const lake = await mkdtemp(join(folder, 'lake-'))
        const writer = openZone(openFolderStore(lake))
        const reader = openZone(openFolderStore(lake))
        let newest = await commit(writer, null, MANY, first)
        for (const [index, { does, changes: made, back, asks }] of steps.entries()) {
          const columns = index < textFrom ? first : TEXT_COLUMNS
          if (does === 'batch') newest = await commit(writer, newest, made, columns)
          if (does === 'base')
            newest = await writeDueBases(writer, other, newest, { files: 0 }, context)
          if (does === 'merge')
            newest = await writeDueBases(
              writer,
              other,
              newest,
              { files: 1, fewRows: -1, share: 0 },
              context,
            )
          const { base = [], files = [] } = newest.tables['t'] ?? {}
          if (does === 'base') seen.bases += base.length
          if (does === 'merge' && files.some(({ merged }) => merged !== undefined)) seen.merged += 1
          if (!asks) continue
          const engine = await home.engine()
          try {
            const read = await keepRows(engine)
            for (const batch of [Math.max(1, newest.batch - back), newest.batch, newest.batch]) {
              const sql = await read(reader, newest, 't', batch)
              seen[sql.includes('_tote_kept') ? 'kept' : 'read'] += 1
              expect(await readText(engine, sql), `as of ${batch}`).toEqual(
                await readText(other, await rowsAsOf(writer, newest, 't', batch)),
              )
            }
          } finally {
            engine.close()
          }
        }
      },
    ),
    { numRuns: 40 },
  )
  expect(seen.kept).toBeGreaterThan(50)
  expect(seen.read).toBeGreaterThan(5)
  expect(seen.bases).toBeGreaterThan(0)
  expect(seen.merged).toBeGreaterThan(0)
}, 120_000)

test('P7: rows kept in memory go on with one file of several batches in which a key stands more than once', async () => {
  const zone = openZone(openFolderStore(await mkdtemp(join(folder, 'lake-'))))
  let newest = await commit(zone, null, MANY)
  const engine = await home.engine()
  await (
    await keepRows(engine)
  )(zone, newest, 't', newest.batch)
  for (const value of ['2', null, '4'])
    newest = await commit(zone, newest, [{ deleted: value === null, id: '1', part: 'a', value }])
  const policy = { files: 1, fewRows: -1, share: 0 }
  newest = await writeDueBases(zone, other, newest, policy, context)
  expect(newest.tables['t']?.files.map(({ merged }) => merged?.from)).toEqual([undefined, 2])
  const sql = await (await keepRows(engine))(zone, newest, 't', newest.batch)
  expect(sql).toContain('_tote_kept')
  expect(await readText(engine, sql)).toEqual(
    await readText(other, await rowsAsOf(zone, newest, 't', newest.batch)),
  )
  engine.close()
})

test('P8: a zero kept in memory has the sign that the last change gave it', async () => {
  const zone = openZone(openFolderStore(await mkdtemp(join(folder, 'lake-'))))
  const engine = await home.engine()
  let newest = await commit(zone, null, MANY, FLOAT_VALUES)
  for (const value of ['0', '-0', '0', '-0']) {
    const row = { deleted: false, id: '1', part: 'a', value }
    newest = await commit(zone, newest, [row], FLOAT_VALUES)
    const sql = await (await keepRows(engine))(zone, newest, 't', newest.batch)
    expect(sql).toContain('_tote_kept')
    const [found] = await engine.rows(`select "value"::varchar as value from (${sql}) where id = 1`)
    expect(found?.['value']).toBe(`${value}.0`)
  }
  engine.close()
})

test('what a point was handed stays as it is while the point lasts', async () => {
  const zone = openZone(openFolderStore(await mkdtemp(join(folder, 'lake-'))))
  const first = await commit(zone, null, [{ deleted: false, id: '1', part: 'a', value: '1' }])
  const second = await commit(zone, first, [{ deleted: false, id: '2', part: 'a', value: '2' }])
  const engine = await home.engine()
  const read = await keepRows(engine)
  await engine.run(`create view v as ${await read(zone, first, 't', 1)}`)
  expect(await read(zone, second, 't', 2)).not.toContain('_tote_kept')
  expect(await readText(engine, 'from v')).toHaveLength(1)
  engine.close()
})

test('a file that cannot be read is an error of whoever reads it, not of what is kept', async () => {
  const zone = openZone(openFolderStore(await mkdtemp(join(folder, 'lake-'))))
  const first = await commit(zone, null, [{ deleted: false, id: '1', part: 'a', value: '1' }])
  const [file] = first.tables['t']?.files ?? []
  await unlink(join(zone.store.url, ...(file?.key ?? '').split('/')))
  const engine = await home.engine()
  const sql = await (await keepRows(engine))(zone, first, 't', 1)
  expect(sql).not.toContain('_tote_kept')
  await expect(engine.rows(sql)).rejects.toThrow('No files found')
  engine.close()
})

test('an engine without a home keeps nothing', async () => {
  const zone = openZone(openFolderStore(await mkdtemp(join(folder, 'lake-'))))
  const first = await commit(zone, null, [{ deleted: false, id: '1', part: 'a', value: '1' }])
  expect(await (await keepRows(other))(zone, first, 't', 1)).toBe(
    await rowsAsOf(zone, first, 't', 1),
  )
})

test('of very many tables some are kept, because each column takes memory, however few its rows', async () => {
  const zone = openZone(openFolderStore(await mkdtemp(join(folder, 'lake-'))))
  const columns = Array.from({ length: 200 }, (_, index) => ({
    id: index + 1,
    name: `c${index}`,
    type: 'integer',
    carried: 'INTEGER',
    notNull: false,
  }))
  const names = Array.from({ length: 30 }, (_, index) => `t${index}`)
  const where = { ...goOnWith(null, columns), key: ['c0'], shape: '', position: {}, rows: 0 }
  const entry = { ...where, columns, files: [] }
  const manifest = await zone.chain('shop').commit(
    {
      chain: 'c',
      batch: 1,
      instant: fromMicros(1n),
      run: 'r',
      writer: 'test',
      tables: Object.fromEntries(names.map((name) => [name, entry])),
    },
    null,
  )
  const own = openEngineHome({ tempFolder: join(folder, 'tmp'), threads: 1 })
  const engine = await own.engine()
  const read = await keepRows(engine)
  const kept: string[] = []
  for (const name of names)
    if ((await read(zone, manifest, name, 1)).includes('_tote_kept')) kept.push(name)
  expect(kept).toEqual(names.slice(0, kept.length))
  expect(kept.length).toBeGreaterThan(10)
  expect(kept.length).toBeLessThan(20)
  engine.close()
  await own.close()
})
