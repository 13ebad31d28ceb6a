/**
 * The versioned table against a model of it: random histories of batches, with bases written at random
 * points, through real files in mixed formats,
 * with a column that comes to be carried as text. Current rows, rows as of any batch, and the changes of any span.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import type { FileFormat } from '../../src/columns/file.ts'
import type { Context } from '../../src/events.ts'
import { dueCompaction, writeDueBases, type BasePolicy } from '../../src/lake/base.ts'
import { goOnWith } from '../../src/lake/carried.ts'
import { fromMicros } from '../../src/lake/instant.ts'
import type { CommittedManifest, DataFile, TableEntry } from '../../src/lake/manifest.ts'
import {
  changesIn,
  changesWithPlace,
  filesBetween,
  filesOfBatch,
  rowsAsOf,
} from '../../src/lake/read.ts'
import { writeRows } from '../../src/lake/write.ts'
import { openZone, type Zone } from '../../src/lake/zone.ts'
import { openFolderStore } from '../../src/storage/store-folder.ts'
import type { Column } from '../../src/types.ts'

let folder: string
let engine: Engine

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-versioned-'))
  engine = await openEngine({ tempFolder: join(folder, 'tmp'), threads: 1 })
})

afterAll(async () => {
  engine.close()
  await rm(folder, { recursive: true, force: true })
})

const COLUMNS: readonly Column[] = [
  { id: 1, name: 'id', type: 'integer', carried: 'INTEGER', notNull: true },
  // A second part of the key whose name needs quoting, and a value named like a folder above the lake.
  { id: 3, name: 'the "part"', type: 'text', carried: 'VARCHAR', notNull: true },
  { id: 7, name: 'env', type: 'text', carried: 'VARCHAR', notNull: false },
]
/** From some batch on: a key column that is carried as text. */
const TEXT_COLUMNS = COLUMNS.map((column) => ({ ...column, carried: 'VARCHAR' }))
const context: Context = {
  run: 'r',
  signal: new AbortController().signal,
  now: () => new Date(0),
  emit: () => undefined,
}
const KEY = ['id', 'the "part"']

type Rows = ReadonlyMap<string, string | null>
interface Change {
  readonly op: 'u' | 'd'
  readonly key: string
  readonly value: string | null
}
type Step =
  | { readonly type: 'batch'; readonly changes: readonly Change[] }
  | { readonly type: 'base' | 'merge' }

const change = fc.record({
  op: fc.constantFrom('u' as const, 'u' as const, 'u' as const, 'd' as const),
  key: fc.tuple(fc.nat(9), fc.constantFrom('a', "b'")).map(([id, part]) => `${id}|${part}`),
  value: fc.constantFrom(null, '', 'x', 'y'),
})
/** Two formats of files, written in turn. */
const format = fc.constantFrom<FileFormat>('parquet', 'csv', 'json')
const formats = fc.tuple(format, format)
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        type: fc.constant('batch' as const),
        changes: fc.uniqueArray(change, { selector: ({ key }) => key, maxLength: 6 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constantFrom('base' as const, 'merge' as const) }),
    },
  ),
  { minLength: 4, maxLength: 16 },
)

/** A base at once, or merged change files as long as a merge shortens their list. */
const POLICIES: Readonly<Record<'base' | 'merge', BasePolicy>> = {
  base: { files: 0 },
  merge: { files: 1, fewRows: 0, share: 0 },
}

const literal = (text: string | null): string =>
  text === null ? 'null' : `'${text.replaceAll("'", "''")}'`

/** What a batch really changes: a delete needs a row, and an upsert another value. */
function effective(rows: Rows, changes: readonly Change[]): Change[] {
  return changes.filter(({ op, key, value }) =>
    op === 'd' ? rows.has(key) : !rows.has(key) || rows.get(key) !== value,
  )
}

function apply(rows: Rows, changes: readonly Change[]): Rows {
  const next = new Map(rows)
  for (const { op, key, value } of changes) {
    if (op === 'd') next.delete(key)
    else next.set(key, value)
  }
  return next
}

async function commitBatch(
  zone: Zone,
  parent: CommittedManifest | null,
  changes: readonly Change[],
  { rows, columns = COLUMNS }: { rows: number; columns?: readonly Column[] },
): Promise<CommittedManifest> {
  const batch = (parent?.batch ?? 0) + 1
  const instant = fromMicros(BigInt(batch))
  const entry = parent?.tables['t']
  let file: DataFile | null = null
  if (changes.length > 0) {
    const values = changes.map(({ op, key, value }) => {
      const [id = '', part = ''] = key.split('|')
      return `(${literal(op)}, ${id}::${columns[0]?.carried}, ${literal(part)}, ${literal(op === 'd' ? null : value)}::varchar)`
    })
    file = await writeRows(zone, engine, {
      chain: 'shop',
      table: 't',
      relation: `(values ${values.join(', ')}) v("_tote_op", "id", "the ""part""", "env")`,
      columns,
      key: KEY,
      batch,
      instant,
      base: false,
      rows: changes.length,
      deletes: changes.filter(({ op }) => op === 'd').length,
    })
  }
  const before = goOnWith(entry ?? null, columns)
  const next: TableEntry = {
    ...before,
    columns,
    key: KEY,
    shape: '',
    position: {},
    rows,
    files: [...before.files, ...(file === null ? [] : [file])],
  }
  return zone
    .chain('shop')
    .commit({ chain: 'c', batch, instant, run: 'r', writer: 'test', tables: { t: next } }, parent)
}

async function read(sql: string): Promise<Rows> {
  const rows = await engine.rows(sql)
  const found = new Map(
    rows.map((row) => [
      `${String(row['id'])}|${String(row['the "part"'])}`,
      row['env'] as string | null,
    ]),
  )
  expect(found.size, 'each key once').toBe(rows.length)
  return found
}

const byText = (rows: unknown[]): unknown[] =>
  rows.toSorted((a, b) => (String(a) < String(b) ? -1 : 1))
const sorted = (rows: Rows): unknown[] => [...rows].toSorted(([a], [b]) => (a < b ? -1 : 1))

test('P3, P6: current rows, rows as of every batch and the changes of every span are those of the model', async () => {
  const compactions = { base: 0, merge: 0 }
  let spans = 0
  await fc.assert(
    fc.asyncProperty(steps, formats, fc.nat(9), async (history, [first, second], textFrom) => {
      // A folder named like a column must not lend it its value.
      const store = openFolderStore(join(await mkdtemp(join(folder, 'lake-')), 'env=prod'))
      const zones = [openZone(store, first), openZone(store, second)] as const
      let manifest: CommittedManifest | null = null
      const states: Rows[] = [new Map()]
      const batches: Change[][] = [[]]
      for (const [index, step] of history.entries()) {
        const zone = zones[index % 2] ?? zones[0]
        const before: Rows = states.at(-1) ?? new Map()
        if (step.type !== 'batch') {
          if (manifest === null) continue
          const policy = POLICIES[step.type]
          const compacted: CommittedManifest = await writeDueBases(
            zone,
            engine,
            manifest,
            policy,
            context,
          )
          if (compacted.number > manifest.number) compactions[step.type] += 1
          manifest = compacted
          continue
        }
        const changes = effective(before, step.changes)
        const after = apply(before, changes)
        const columns = index < textFrom ? COLUMNS : TEXT_COLUMNS
        manifest = await commitBatch(zone, manifest, changes, { rows: after.size, columns })
        states.push(after)
        batches.push(changes)
      }
      if (manifest === null) return
      // A reader that has nothing in memory, as another process would be.
      const reader = openZone(openFolderStore(store.url))
      const newest = await reader.chain('shop').newest()
      expect(newest).toEqual(manifest)
      if (newest === null) return
      for (const [batch, state] of states.entries()) {
        expect(
          sorted(await read(await rowsAsOf(reader, newest, 't', batch))),
          `as of batch ${batch}`,
        ).toEqual(sorted(state))
      }
      const entry = newest.tables['t'] as TableEntry
      for (const [batch, changes] of batches.entries()) {
        if (batch === 0) continue
        const files = await filesOfBatch(reader, newest, 't', batch)
        const found = await engine.rows(await changesIn(reader, entry, files))
        expect(
          byText(
            found.map((row) => [
              row['_tote_op'],
              `${String(row['id'])}|${String(row['the "part"'])}`,
              row['env'],
            ]),
          ),
          `changes of batch ${batch}`,
        ).toEqual(byText(changes.map(({ op, key, value }) => [op, key, op === 'd' ? null : value])))
      }
      for (let after = 0; after < states.length; after++) {
        for (let upTo = after; upTo < states.length; upTo++) {
          spans += 1
          const files = await filesBetween(reader, newest, 't', after, upTo)
          const expected = batches.flatMap((changes, batch) =>
            changes.length > 0 && batch > after && batch <= upTo ? [batch] : [],
          )
          const found = await engine.rows(
            `select distinct "_tote_batch" as batch from (${await changesIn(reader, entry, files)}) order by batch`,
          )
          expect(
            found.map(({ batch }) => Number(batch)),
            `batches after ${after} up to ${upTo}`,
          ).toEqual(expected)
          const rows = batches.slice(after + 1, upTo + 1).flat().length
          expect(files.reduce((sum, file) => sum + file.rows, 0)).toBe(rows)
        }
      }
    }),
    { numRuns: 40 },
  )
  expect(compactions.base, 'the histories hold bases').toBeGreaterThan(10)
  expect(compactions.merge, 'the histories hold merges').toBeGreaterThan(3)
  expect(spans).toBeGreaterThan(100)
}, 120_000)

test('a manifest stays small whatever a key holds: long ones are cut', async () => {
  const zone = openZone(openFolderStore(await mkdtemp(join(folder, 'lake-'))))
  const { least, greatest } = await writeRows(zone, engine, {
    chain: 'shop',
    table: 't',
    relation: `(select 'u' as "_tote_op", i::integer as "id", repeat('🐘', 100000) || i as "the ""part""", null::varchar as "env" from range(2) r(i))`,
    columns: COLUMNS,
    key: KEY,
    batch: 1,
    instant: fromMicros(4n),
    base: true,
    rows: 2,
    deletes: 0,
  })
  expect([least, greatest]).toEqual([
    ['0', '🐘'.repeat(200)],
    ['1', '🐘'.repeat(200)],
  ])
})

test('a file has field ids, is sorted by key, and its entry says what is in it', async () => {
  const zone = openZone(openFolderStore(await mkdtemp(join(folder, 'lake-'))))
  const count = 300_000
  const file = await writeRows(zone, engine, {
    chain: 'shop',
    table: 't',
    relation: `(select 'u' as "_tote_op", ((i * 7919) % ${count})::integer as "id", 'p' as "the ""part""", null::varchar as "env" from range(${count}) r(i))`,
    columns: COLUMNS,
    key: KEY,
    batch: 4,
    instant: fromMicros(4n),
    base: true,
    rows: count,
    deletes: 0,
  })
  expect(file).toMatchObject({
    batch: 4,
    rows: count,
    least: ['0', 'p'],
    greatest: [String(count - 1), 'p'],
  })
  expect(file.key).toMatch(/^shop\/t\/1970\/01\/01\/000000000004-base-0-[0-9a-f]+\.parquet$/)
  const path = await zone.store.localPath(file.key, file)
  const schema = await engine.rows(
    `select name, field_id from parquet_schema('${path}') where field_id is not null`,
  )
  expect(schema.map((row) => [row['name'], Number(row['field_id'])])).toEqual([
    ['_tote_op', 2_000_000_000],
    ['_tote_batch', 2_000_000_001],
    ['id', 1],
    ['the "part"', 3],
    ['env', 7],
  ])
  const [order] = await engine.rows(
    `select count(*) as n, count(*) filter (where id <> file_row_number) as displaced, min(_tote_batch) as batch from read_parquet('${path}', file_row_number = true)`,
  )
  expect([Number(order?.['n']), Number(order?.['displaced']), Number(order?.['batch'])]).toEqual([
    count,
    0,
    4,
  ])
})

test('P7: places in a file are the order of the key, of every row group and by any number of threads', async () => {
  const zone = openZone(openFolderStore(await mkdtemp(join(folder, 'lake-'))))
  const parallel = await openEngine({ tempFolder: join(folder, 'tmp'), threads: 4 })
  const write = async (relation: string, counts: { rows: number; deletes: number }) =>
    writeRows(zone, parallel, {
      chain: 'shop',
      table: 't',
      relation,
      columns: COLUMNS,
      key: KEY,
      batch: 1,
      instant: fromMicros(1n),
      base: false,
      ...counts,
    })
  const select = (count: number, op: string): string =>
    `(select ${op} as "_tote_op", ((i * 7919) % ${count} // 3)::integer as "id", chr((97 + (i * 7919) % ${count} % 3)::integer) as "the ""part""", i::varchar as "env" from range(${count}) r(i))`
  const entry: TableEntry = {
    columns: COLUMNS,
    key: KEY,
    shape: '',
    position: {},
    rows: 0,
    base: [],
    files: [],
    previous: null,
  }
  try {
    const count = 600_000
    const file = await write(select(count, "'u'"), { rows: count, deletes: 0 })
    const { relation, place } = await changesWithPlace(zone, entry, [file])
    expect(place).not.toBeNull()
    const [row] = await parallel.rows(
      `select count(*) as n, count(*) filter (where number <> place + 1) as displaced
       from (select row_number() over (order by "id", "the ""part""") as number, "${place}" as place from ${relation})`,
    )
    expect([Number(row?.['n']), Number(row?.['displaced'])]).toEqual([count, 0])
    // A delete is no row of its own, and a second file begins anew.
    const deletes = await write(select(9, "if(i = 1, 'd', 'u')"), { rows: 9, deletes: 1 })
    expect((await changesWithPlace(zone, entry, [deletes])).place).toBeNull()
    expect((await changesWithPlace(zone, entry, [file, file])).place).toBeNull()
    expect((await changesWithPlace(zone, entry, [])).place).toBeNull()
    // Few are not sorted.
    const few = await write(select(2048, "'u'"), { rows: 2048, deletes: 0 })
    expect((await changesWithPlace(zone, entry, [few])).place).toBeNull()
    const more = await write(select(2049, "'u'"), { rows: 2049, deletes: 0 })
    expect((await changesWithPlace(zone, entry, [more])).place).not.toBeNull()
  } finally {
    parallel.close()
  }
})

test('P3: rows are never read from a file that is not what its manifest says', async () => {
  const zone = openZone(openFolderStore(await mkdtemp(join(folder, 'lake-'))))
  const manifest = await commitBatch(zone, null, [{ op: 'u', key: '1|a', value: 'x' }], { rows: 1 })
  const file = manifest.tables['t']?.files[0] as DataFile
  await rm(join(zone.store.url, file.key))
  const fresh = openZone(openFolderStore(zone.store.url))
  await expect(rowsAsOf(fresh, manifest, 't', 1)).rejects.toMatchObject({ name: 'LakeCorrupt' })
  await expect(changesIn(fresh, manifest.tables['t'] as TableEntry, [file])).rejects.toMatchObject({
    name: 'LakeCorrupt',
  })
})

test('P3: whoever loses the race to write a base leaves the batch that is there, and the winner stays', async () => {
  const zone = openZone(openFolderStore(await mkdtemp(join(folder, 'lake-'))))
  const first = await commitBatch(zone, null, [{ op: 'u', key: '1|a', value: 'x' }], { rows: 1 })
  const second = await commitBatch(zone, first, [{ op: 'u', key: '1|a', value: 'y' }], { rows: 1 })
  const other = openZone(openFolderStore(zone.store.url))
  await commitBatch(other, second, [{ op: 'd', key: '1|a', value: null }], { rows: 0 })
  expect(await writeDueBases(zone, engine, second, { files: 0 }, context)).toBe(second)
  const newest = await openZone(openFolderStore(zone.store.url)).chain('shop').newest()
  expect([newest?.number, newest?.batch, newest?.tables['t']?.rows]).toEqual([3, 3, 0])
})

test('a base is due after enough changed rows; after many files a base of a small table, or merged files of a large one', () => {
  const file = (rows: number, batch: number): DataFile => ({
    key: '',
    batch,
    rows,
    deletes: 0,
    bytes: 0,
    sha256: '',
    least: [],
    greatest: [],
  })
  const entry = (rows: number, base: number[], files: number[]): TableEntry => ({
    columns: [],
    key: [],
    shape: '',
    position: {},
    rows,
    base: base.map((count) => file(count, 0)),
    files: files.map((count, index) => file(count, index + 1)),
    previous: null,
  })
  const due = (rows: number, base: number[], files: number[]): string | null =>
    dueCompaction(entry(rows, base, files), { files: 3 })
  expect(due(10, [], [10, 1, 1, 1])).toBe(null)
  expect(due(10, [], [10, 1, 1, 1, 1])).toBe('base')
  expect(due(10, [10], [1, 1, 1])).toBe(null)
  expect(due(10, [10], [1, 1, 1, 1])).toBe('base')
  // The first load is no change of itself, however large.
  expect(due(5_000_000, [], [5_000_000])).toBe(null)
  expect(due(500_000, [], [500_000, 400_000])).toBe(null)
  expect(due(500_000, [], [500_000, 500_001])).toBe('base')
  expect(due(500_000, [500_000], [250_000, 250_001])).toBe('base')
  // A large table of which little has changed is not copied.
  expect(due(5_000_000, [], [5_000_000, 1, 1, 1, 1])).toBe('merge')
  expect(due(5_000_000, [5_000_000], [1, 1, 1, 1])).toBe('merge')
  expect(due(5_000_000, [5_000_000], [1, 1, 1, 625_000])).toBe('base')
  // A first batch of many files is a base of many files.
  const parts = Array.from({ length: 80 }, () => ({ ...file(250_000, 1) }))
  const large = { ...entry(20_000_000, [], []), files: parts }
  expect(dueCompaction(large, { files: 3 })).toBe(null)
  // Nothing would become fewer.
  expect(due(5_000_000, [5_000_000], [64, 16, 4, 1])).toBe('base')
})
