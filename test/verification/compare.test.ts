/** Two sides compared by ranges and then by row, against a comparison of multisets in JavaScript. */
import fc from 'fast-check'
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import { quoteText } from '../../src/columns/sql.ts'
import {
  compareRanges,
  compareSides,
  describeKey,
  type TwoSides,
} from '../../src/verification/compare.ts'
import { queriedSide, type Side } from '../../src/verification/sides.ts'

let engine: Engine
beforeAll(async () => {
  engine = await openEngine({ tempFolder: tmpdir() })
})
afterAll(() => engine.close())

type Cell = string | null
type Row = readonly Cell[]

/** Texts that look alike, and those that a careless hash takes for each other. */
const cell = fc.oneof(
  fc.constantFrom<Cell>(
    null,
    '',
    ' ',
    'NULL',
    'n',
    '\\N',
    '0',
    '-0',
    '1.5',
    '1.50',
    'a',
    'aa',
    'a,',
    ',',
  ),
  fc.string({ maxLength: 3, unit: fc.constantFrom('a', 'b', '\u0001', '😀', "'", '"') }),
)
const WIDTH = 3
const row = fc.tuple(cell, cell, cell)

function side(rows: readonly Row[]): Side {
  const values = rows.map(
    (cells) => `(${cells.map((one) => (one === null ? 'null' : quoteText(one))).join(', ')})`,
  )
  const names = Array.from({ length: WIDTH }, (_, index) => `v${index}`).join(', ')
  const typed = Array.from({ length: WIDTH }, (_, index) => `v${index}::varchar as v${index}`)
  const none = `select ${typed.map((one) => one.replace(/^v\d/, 'null')).join(', ')} where false`
  const some = `select ${typed.join(', ')} from (values ${values.join(', ')}) as t(${names})`
  return queriedSide(rows.length === 0 ? none : some, ['r.v0', 'r.v1', 'r.v2'])
}

function sides(expected: readonly Row[], found: readonly Row[], key: readonly string[]): TwoSides {
  // Whatever the pieces in which rows come.
  const half = found.length >> 1
  const inPieces: Side = {
    pass: async (take) => {
      for (const piece of [found.slice(half), found.slice(0, half)]) await side(piece).pass(take)
    },
  }
  return { columns: ['a', 'b', 'c'], key, expected: side(expected), found: inPieces }
}

function countsOf(rows: readonly Row[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const one of rows.map((cells) => JSON.stringify(cells)))
    counts.set(one, (counts.get(one) ?? 0) + 1)
  return counts
}

/** Some of the same rows, so that most sides differ in little. */
const alike = fc
  .tuple(fc.array(row, { maxLength: 8 }), fc.array(row, { maxLength: 3 }), fc.nat(), fc.boolean())
  .map(([common, more, drop, doubled]) => {
    const found = common.filter((_, index) => index !== drop % 9)
    return [
      common,
      [...found.toReversed(), ...more, ...(doubled ? found.slice(0, 2) : [])],
    ] as const
  })

test('P12: without a key, rows that are missing or too many are exactly those of the multisets', async () => {
  await fc.assert(
    fc.asyncProperty(alike, async ([expected, found]) => {
      const [theirs, ours] = [countsOf(expected), countsOf(found)]
      let [missing, extra] = [0, 0]
      for (const one of new Set([...theirs.keys(), ...ours.keys()])) {
        const more = (theirs.get(one) ?? 0) - (ours.get(one) ?? 0)
        if (more > 0) missing += more
        else extra -= more
      }
      const { findings: result } = await compareSides(engine, sides(expected, found, []))
      expect(result).toMatchObject({
        rowsExpected: expected.length,
        rowsFound: found.length,
        missing,
        extra,
        different: 0,
      })
      expect(result.rangesDiffer === 0).toBe(missing + extra === 0)
    }),
    { numRuns: 80 },
  )
})

test('P12: with a key, what differs is named by kind, column and key', async () => {
  const keyed = fc.uniqueArray(fc.tuple(fc.nat(20).map(String), cell, cell), {
    selector: ([key]) => key,
    maxLength: 12,
  })
  await fc.assert(
    fc.asyncProperty(keyed, keyed, async (expected, found) => {
      const ours = new Map(found.map((one) => [one[0], one]))
      const theirs = new Map(expected.map((one) => [one[0], one]))
      const both = expected.flatMap((one) => {
        const other = ours.get(one[0])
        return other === undefined ? [] : [[one, other] as const]
      })
      const differ = (index: number): number =>
        both.filter(([one, other]) => one[index] !== other[index]).length
      const columns = { b: differ(1), c: differ(2) }
      const missing = expected.filter(([key]) => !ours.has(key))
      const extra = found.filter(([key]) => !theirs.has(key))
      const different = both.filter(([one, other]) => JSON.stringify(one) !== JSON.stringify(other))
      const { findings: result } = await compareSides(engine, sides(expected, found, ['a']))
      expect(result).toMatchObject({
        missing: missing.length,
        extra: extra.length,
        different: different.length,
      })
      expect(result.columns).toEqual(
        Object.fromEntries(Object.entries(columns).filter(([, rows]) => rows > 0)),
      )
      const named = [
        ...different.map(([[key]]) => `a ${key} (different)`),
        ...extra.map(([key]) => `a ${key} (too many)`),
        ...missing.map(([key]) => `a ${key} (missing)`),
      ]
      expect(result.keys.value).toHaveLength(Math.min(10, named.length))
      expect(named).toEqual(expect.arrayContaining([...result.keys.value]))
    }),
    { numRuns: 80 },
  )
})

test('two copies of a row do not cancel each other', async () => {
  // Under one key, as only a damaged lake has them: as many rows in one range, each of them twice.
  const twice = (text: string): Row[] => Array.from({ length: 2 }, () => ['1', text, 'y'])
  const [expected, found] = [side(twice('x')), side(twice('z'))]
  const both = { columns: ['a', 'b', 'c'], key: ['a'], expected, found }
  const { differ } = await compareRanges(engine, both)
  expect(differ).toHaveLength(1)
})

test('values that change places between columns, or between rows, are seen', async () => {
  const before: Row[] = [
    ['1', 'x', 'y'],
    ['2', 'z', 'w'],
  ]
  const places: readonly Row[][] = [
    [
      ['1', 'y', 'x'],
      ['2', 'z', 'w'],
    ],
    [
      ['1', 'z', 'y'],
      ['2', 'x', 'w'],
    ],
    [
      ['1', 'x', 'w'],
      ['2', 'z', 'y'],
    ],
    [
      ['1', 'z', 'w'],
      ['2', 'x', 'y'],
    ],
    [
      ['1', 'xy', ''],
      ['2', 'z', 'w'],
    ],
    [
      ['1', 'x', 'y'],
      ['2', 'z', null],
    ],
  ]
  for (const after of places) {
    const { differ } = await compareRanges(engine, sides(before, after, ['a']))
    expect(differ.length).toBeGreaterThan(0)
  }
})

test('sides that are equal take a statement for each piece of them, whatever their key', async () => {
  const rows = Array.from({ length: 50 }, (_, n): Row => [String(n), 'x', null])
  const asked: string[] = []
  const listening: Engine = {
    ...engine,
    run: async (sql) => (asked.push(sql), engine.run(sql)),
    rows: async (sql) => (asked.push(sql), engine.rows(sql)),
  }
  const both = sides(rows, rows, ['a'])
  const { findings: result, ranges } = await compareSides(listening, both)
  expect(result).toMatchObject({ rowsExpected: 50, rowsFound: 50, rangesDiffer: 0 })
  expect(ranges.sums).toBeUndefined()
  expect(asked).toHaveLength(3)
})

test('a table without columns has only a number of rows', async () => {
  const rows = (count: number): Side => ({
    pass: async (take) => take(`(select null as c0 from range(${count}))`),
  })
  const compare = async (expected: number, found: number): Promise<unknown> =>
    (
      await compareSides(engine, {
        columns: [],
        key: [],
        expected: rows(expected),
        found: rows(found),
      })
    ).findings
  expect(await compare(3, 3)).toMatchObject({ missing: 0, extra: 0 })
  expect(await compare(3, 1)).toMatchObject({ missing: 2, extra: 0, rangesDiffer: 1 })
  expect(await compare(0, 1)).toMatchObject({ missing: 0, extra: 1 })
})

test('a key is told with its columns, its NULLs, what is the matter, and in a hundred characters', () => {
  expect(
    describeKey('missing', [
      ['sale_id', '17'],
      ['line', null],
    ]),
  ).toBe('sale_id 17, line NULL (missing)')
  expect(describeKey('extra', [['a', '']])).toBe('a  (too many)')
  expect(describeKey('different', [['a', 'x'.repeat(98)]])).toBe(`a ${'x'.repeat(98)} (different)`)
  expect(describeKey('different', [['a', 'x'.repeat(99)]])).toBe(`a ${'x'.repeat(97)}… (different)`)
})

test('P12: of few rows that differ among many, the rest is not gathered, and nothing stays behind', async () => {
  const rows = Array.from({ length: 5000 }, (_, n): Row => [String(n), 'x', 'y'])
  const found = rows.map((one): Row => (one[0] === '7' ? ['7', 'x', 'z'] : one))
  const { findings: result } = await compareSides(engine, sides(rows, found, ['a']))
  expect(result).toMatchObject({ rangesDiffer: 1, missing: 0, extra: 0, different: 1 })
  expect(result.keys.value).toEqual(['a 7 (different)'])
  // Keys are spread over the ranges, so that each has few.
  const { differ } = await compareRanges(engine, sides(rows, rows.slice(100), ['a']))
  expect(differ.length).toBeGreaterThan(80)
  expect(Math.max(...differ)).toBeLessThan(1024)
  const left = await engine.rows(
    "select table_name from duckdb_tables() where table_name like '%differing' or table_name like '%expected' or table_name like '%found'",
  )
  expect(left).toEqual([])
})
