/** The difference of two relations against a model of it: every kind of change, every way values differ. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { csvRelation } from '../../src/columns/csv.ts'
import {
  countChanges,
  countKeyFaults,
  DIFFERENCE_COLUMNS,
  differenceTable,
  insertTable,
  keepDifference,
} from '../../src/columns/difference.ts'
import { openEngine, type Engine } from '../../src/columns/engine.ts'

let folder: string
let engine: Engine

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-difference-'))
  engine = await openEngine({ tempFolder: folder, threads: 1 })
})

afterAll(async () => {
  engine.close()
  await rm(folder, { recursive: true, force: true })
})

const COLUMNS = [
  // Not in the key's order, and named to need quoting.
  { name: 'part', carried: 'VARCHAR' },
  { name: 'the "value"', carried: 'DOUBLE' },
  { name: 'id', carried: 'INTEGER' },
  { name: 'text', carried: 'VARCHAR' },
  { name: 'bytes', carried: 'BLOB' },
] as const
const KEY = ['id', 'part']

interface Values {
  readonly value: string | null
  readonly text: string | null
  readonly bytes: string | null
}
type Relation = ReadonlyMap<string, Values>

const values: fc.Arbitrary<Values> = fc.record({
  value: fc.constantFrom(
    null,
    '0.0',
    '-0.0',
    'nan',
    'inf',
    '-inf',
    '1.5',
    '0.1',
    '0.10000000000000002',
  ),
  text: fc.constantFrom(null, '', ' ', 'a', 'A', 'ä', 'a\u0308', 'NULL'),
  bytes: fc.constantFrom(null, '', '\\x00', '\\x00\\x00'),
})
const relations: fc.Arbitrary<Relation> = fc
  .array(fc.tuple(fc.nat(3), fc.constantFrom('', 'p', "q'"), values), { maxLength: 8 })
  .map((rows) => new Map(rows.map(([id, part, row]) => [`${id}|${part}`, row])))

const literal = (text: string | null): string =>
  text === null ? 'null' : `'${text.replaceAll("'", "''")}'`

function select(relation: Relation): string {
  const columns =
    'part::varchar as part, v::double as "the ""value""", id::integer as id, t::varchar as "text", b::blob as "bytes"'
  const rows = [...relation].map(([key, row]) => {
    const [id, part = ''] = key.split('|')
    return `(${literal(part)}, ${literal(row.value)}, ${id}, ${literal(row.text)}, ${literal(row.bytes)})`
  })
  if (rows.length === 0)
    return `select ${columns} from (select null as part, null as v, null as id, null as t, null as b) where false`
  return `select ${columns} from (values ${rows.join(', ')}) r(part, v, id, t, b)`
}

const READ = `select "_tote_op" as op, "_tote_kind" as kind, id || '|' || part as key, "the ""value"""::varchar as value, "text", "bytes"::varchar as bytes from d order by key`

function model(previous: Relation, next: Relation): unknown[] {
  const changes: { key: string; kind: string; row: Values }[] = []
  for (const [key, row] of next) {
    const before = previous.get(key)
    if (before === undefined) changes.push({ key, kind: 'i', row })
    else if (before.value !== row.value || before.text !== row.text || before.bytes !== row.bytes)
      changes.push({ key, kind: 'u', row })
  }
  const nothing = { value: null, text: null, bytes: null }
  for (const key of previous.keys())
    if (!next.has(key)) changes.push({ key, kind: 'd', row: nothing })
  return changes
    .toSorted((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
    .map(({ key, kind, row }) => ({ op: kind === 'd' ? 'd' : 'u', kind, key, ...row }))
}

test('P2: inserts, updates of any value and deletes are found, and nothing else, by a key of two columns', async () => {
  const kinds = { i: 0, u: 0, d: 0 }
  await fc.assert(
    fc.asyncProperty(relations, relations, async (previous, next) => {
      const expected = model(previous, next) as { kind: 'i' | 'u' | 'd' }[]
      for (const { kind } of expected) kinds[kind] += 1
      await engine.run('drop table if exists d')
      await engine.run(
        differenceTable({
          into: 'd',
          previous: select(previous),
          next: select(next),
          columns: COLUMNS,
          key: KEY,
        }),
      )
      expect(await engine.rows(READ)).toEqual(expected)
      const count = (kind: string): number =>
        expected.filter((change) => change.kind === kind).length
      expect(await countChanges(engine, 'd')).toEqual({
        inserted: count('i'),
        updated: count('u'),
        deleted: count('d'),
      })
    }),
    { numRuns: 300 },
  )
  expect(Math.min(...Object.values(kinds)), 'every kind of change came up').toBeGreaterThan(50)
}, 60_000)

test('without a before, every row is an insert', async () => {
  await fc.assert(
    fc.asyncProperty(relations, async (next) => {
      await engine.run('drop table if exists d')
      await engine.run(insertTable({ into: 'd', next: select(next), columns: COLUMNS }))
      expect(await engine.rows(READ)).toEqual(model(new Map(), next))
    }),
    { numRuns: 30 },
  )
})

test('P2: a table that is all key has inserts and deletes', async () => {
  const rows = (ids: readonly number[]): string =>
    `select * from (values ${ids.map((id) => `(${id}::integer)`).join(', ')}) r(id)`
  await engine.run('drop table if exists d')
  await engine.run(
    differenceTable({
      into: 'd',
      previous: rows([1, 2]),
      next: rows([2, 3]),
      columns: [{ name: 'id', carried: 'INTEGER' }],
      key: ['id'],
    }),
  )
  expect(await engine.rows('select "_tote_kind" as kind, id from d order by id')).toEqual([
    { kind: 'd', id: 1 },
    { kind: 'i', id: 3 },
  ])
})

test('P6: columns that the source has no more are null in changed rows, and alone change none', async () => {
  const columns = [
    { name: 'id', carried: 'INTEGER' },
    { name: 'v', carried: 'VARCHAR' },
  ]
  const gone = [
    { name: 'old "one"', carried: 'DOUBLE' },
    { name: 'older', carried: 'VARCHAR' },
  ]
  await engine.run('drop table if exists d')
  await engine.run(
    differenceTable({
      into: 'd',
      previous: `select * from (values (1, 'same', 1.5, 'x'), (2, 'was', 2.5, 'y')) r(id, v, "old ""one""", older)`,
      next: `select * from (values (1, 'same'), (2, 'is'), (3, 'new')) r(id, v)`,
      columns,
      gone,
      key: ['id'],
    }),
  )
  expect(
    await engine.rows('select *, typeof("old ""one""") as type from d order by id'),
  ).toMatchObject([
    { _tote_kind: 'u', id: 2, v: 'is', 'old "one"': null, older: null, type: 'DOUBLE' },
    { _tote_kind: 'i', id: 3, v: 'new', 'old "one"': null, older: null },
  ])
})

test('P2: rows that say themselves what became of them are kept as a difference, and counted as they are', async () => {
  const path = join(folder, 'changes.csv')
  await writeFile(path, 'u,u,1,is\nu,i,2,new\nd,d,3,\nd,d,4,\n')
  const columns = [
    { name: 'id', carried: 'INTEGER' },
    { name: 'v', carried: 'VARCHAR' },
  ]
  const make = keepDifference({
    into: 'd "kept"',
    rows: csvRelation([path], [...DIFFERENCE_COLUMNS, ...columns], 20),
    gone: [
      { name: 'old "one"', carried: 'DOUBLE' },
      { name: 'older', carried: 'VARCHAR' },
    ],
  })
  expect(await countChanges(engine, 'd "kept"', make)).toEqual({
    inserted: 1,
    updated: 1,
    deleted: 2,
  })
  const gone = { 'old "one"': null, older: null, type: 'DOUBLE' }
  expect(
    await engine.rows('select *, typeof("old ""one""") as type from "d ""kept""" order by id'),
  ).toEqual([
    { _tote_op: 'u', _tote_kind: 'u', id: 1, v: 'is', ...gone },
    { _tote_op: 'u', _tote_kind: 'i', id: 2, v: 'new', ...gone },
    { _tote_op: 'd', _tote_kind: 'd', id: 3, v: null, ...gone },
    { _tote_op: 'd', _tote_kind: 'd', id: 4, v: null, ...gone },
  ])
})

test('P2: rows without a whole key, and rows that share one, are counted', async () => {
  const faults = async (...rows: string[]): Promise<unknown> =>
    countKeyFaults(engine, `(select * from (values ${rows.join(', ')}) r(a, "b ""b""", v))`, [
      'a',
      'b "b"',
    ])
  expect(await faults('(1, 1, 1)', '(1, 2, 1)', '(2, 1, 1)')).toEqual({ withoutKey: 0, doubled: 0 })
  expect(await faults('(null, 1, 1)', '(1, null, 1)', '(1, 1, null)')).toEqual({
    withoutKey: 2,
    doubled: 0,
  })
  expect(
    await faults(
      '(1, 1, 1)',
      '(1, 1, 2)',
      '(1, 1, 1)',
      '(2, 1, 1)',
      '(null, 1, 1)',
      '(null, 1, 1)',
    ),
  ).toEqual({ withoutKey: 2, doubled: 3 })
})

test('P8: any float is told from any other, the sign of zero included, and NaN is itself', async () => {
  const floats = ['0.0', '-0.0', '1.5', 'nan', 'inf', '-inf', null]
  for (const carried of ['DOUBLE', 'FLOAT']) {
    const columns = [
      { name: 'id', carried: 'INTEGER' },
      { name: 'value', carried },
    ]
    for (const [before, after] of floats.flatMap((a) => floats.map((b) => [a, b] as const))) {
      const row = (value: string | null): string =>
        `select 1 as id, ${literal(value)}::${carried} as value`
      await engine.run('drop table if exists d')
      await engine.run(
        differenceTable({
          into: 'd',
          previous: row(before),
          next: row(after),
          columns,
          key: ['id'],
        }),
      )
      expect((await countChanges(engine, 'd')).updated, `${carried}: ${before} → ${after}`).toBe(
        before === after ? 0 : 1,
      )
    }
  }
})
