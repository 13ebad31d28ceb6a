/**
 * P8, P12: rows as whole lines. What PostgreSQL prints of a row in its text format, and what DuckDB makes of the row in
 * the lake, is one line for one row: equal rows are found equal by it alone, and any that differs is not.
 */
import fc from 'fast-check'
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { csvRelation } from '../../src/columns/csv.ts'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import { openPieceWriter, type Pieces } from '../../src/storage/pieces.ts'
import { quoteName } from '../../src/columns/sql.ts'
import { toText } from '../../src/columns/text.ts'
import { connect, type Connection } from '../../src/postgres/connection.ts'
import { quoteLiteral } from '../../src/postgres/identifiers.ts'
import { compareRanges } from '../../src/verification/compare.ts'
import { copiedSide, mayBeLines, queriedLines, type Side } from '../../src/verification/sides.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'
import { testContext } from '../support/star.ts'

const COLUMNS = [
  { name: 'word', type: 'text', carried: 'VARCHAR' },
  { name: 'other', type: 'text', carried: 'VARCHAR' },
  { name: 'n', type: 'bigint', carried: 'BIGINT' },
  { name: 'bytes', type: 'bytea', carried: 'BLOB' },
  { name: 'at', type: 'timestamptz', carried: 'TIMESTAMP WITH TIME ZONE' },
  { name: 'local', type: 'timestamp', carried: 'TIMESTAMP' },
  { name: 'day', type: 'date', carried: 'DATE' },
  { name: 'price', type: 'numeric(4,4)', carried: 'DECIMAL(4,4)' },
  { name: 'yes', type: 'boolean', carried: 'BOOLEAN' },
  { name: 'words', type: 'text[]', carried: 'VARCHAR' },
] as const

/** Every character that the text format writes otherwise, those that look like what it writes, and those that a CSV reader may stumble over. */
const character = fc.constantFrom(
  ...Array.from('\b\t\n\v\f\r\\Nbtnvfrx.ab,"\' \u0001\u007f\u0085\u2028\uFEFF😀é'),
)
const word = fc.oneof(
  fc.constantFrom('', '\\N', 'N', '\\', '\\.', '\t', '\uFEFF', '\uFEFFx', '\r\n', '\\n', '\n'),
  fc.string({ unit: character, maxLength: 6 }),
)
const nullable = (value: fc.Arbitrary<string>): fc.Arbitrary<string | null> =>
  fc.option(value, { freq: 5 })
const row = fc.tuple(
  nullable(word),
  nullable(word),
  nullable(fc.constantFrom('0', '-1', '9223372036854775807')),
  nullable(fc.constantFrom('\\x', '\\x5c4e', '\\x09')),
  nullable(fc.constantFrom('infinity', '0044-03-15 12:00:00+00 BC', '2026-11-27 13:00:00.1+00')),
  nullable(fc.constantFrom('-infinity', '0001-01-01 00:00:00', '2026-11-27 13:00:00.000001')),
  nullable(fc.constantFrom('0044-03-15 BC', '2026-02-28')),
  nullable(fc.constantFrom('0.0001', '-0.5000', '0.0000')),
  nullable(fc.constantFrom('t', 'f')),
  nullable(word.map((text) => `{"${text.replaceAll(/["\\]/g, '\\$&')}",NULL,"a\\\\b"}`)),
)

let database: TestDatabase
let connection: Connection
let engine: Engine
beforeAll(async () => {
  database = await (await testServer()).createDatabase('lines')
  connection = await connect({ side: 'source', name: 'lines', url: database.url })
  await connection.query('set', "set timezone = 'UTC'; set intervalstyle = 'postgres'")
  const typed = COLUMNS.map(({ name, type }) => `${quoteName(name)} ${type}`)
  await connection.query('create', `create table rows (${typed.join(', ')})`)
  engine = await openEngine({ tempFolder: tmpdir() })
})
afterAll(async () => {
  engine.close()
  await connection.close()
  await database.drop()
})

type Row = readonly (string | null)[]

async function put(rows: readonly Row[]): Promise<void> {
  const values = rows.map(
    (cells) =>
      `(${cells.map((cell, index) => (cell === null ? 'null' : `${quoteLiteral(cell)}::${COLUMNS[index]?.type}`)).join(', ')})`,
  )
  const insert = values.length === 0 ? '' : `; insert into rows values ${values.join(', ')}`
  await connection.query('put', `truncate rows${insert}`)
}

const carried = COLUMNS.map((column) => column.carried)
const none: Side = {
  pass: () => {
    throw new Error('the rows were parted')
  },
}

/** What the server has now, as lines, beside what was read of it before, as the lake would hold it. */
async function linesDiffer(
  held: Pieces,
  notNull: ReadonlySet<string> = new Set(),
): Promise<boolean> {
  const read = csvRelation(await held.files(), COLUMNS, held.longestRow)
  const values = COLUMNS.map(({ name, carried: as }) => toText(`r.${quoteName(name)}`, as))
  const copied = {
    table: 'rows',
    tempFolder: tmpdir(),
    carried,
    copy: async (sink: Parameters<Connection['copyOut']>[2], format: 'csv' | 'lines') =>
      void (await connection.copyOut(
        'read',
        `copy rows to stdout (format ${format === 'lines' ? 'text' : 'csv'})`,
        sink,
      )),
  }
  let parted = false
  const seen: Side = { pass: async () => void (parted = true) }
  await compareRanges(engine, {
    columns: ['any', 'thing'],
    key: [],
    expected: seen,
    found: seen,
    lines: {
      expected: copiedSide(copied, 'lines', testContext()),
      found: queriedLines(
        read,
        COLUMNS.map((column, index) => ({
          ...column,
          text: values[index] ?? '',
          notNull: notNull.has(column.name),
        })),
      ),
    },
  })
  return parted
}

async function readNow(): Promise<Pieces> {
  const writer = openPieceWriter(tmpdir(), `lines-${process.pid}`)
  await connection.copyOut('read', 'copy rows to stdout (format csv)', writer)
  return writer.finish()
}

test('P8, P12: the lines of equal rows are equal, whatever their values; of rows that differ in one value they are not', async () => {
  let different = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(row, { minLength: 1, maxLength: 12 }),
      row,
      fc.nat(),
      fc.nat(),
      async (rows, other, at, which) => {
        // prettier-ignore
        await put(rows)
        const held = await readNow()
        try {
          expect(await linesDiffer(held)).toBe(false)
          const index = at % rows.length
          const column = which % COLUMNS.length
          const changed = rows.map((cells, n) =>
            n === index
              ? cells.map((cell, c) => (c === column ? (other[c] ?? null) : cell))
              : cells,
          )
          const differ = rows[index]?.[column] !== (other[column] ?? null)
          if (differ) different += 1
          await put(changed)
          expect(await linesDiffer(held)).toBe(differ)
        } finally {
          await held.discard()
        }
      },
    ),
    { numRuns: 60 },
  )
  expect(different).toBeGreaterThan(20)
})

test('P8: a NULL in a column that has none is a field too few, and no other value', async () => {
  const notNull = new Set(COLUMNS.map(({ name }) => name))
  const whole: Row = [
    'a',
    'b',
    '0',
    '\\x',
    'infinity',
    'infinity',
    '2026-02-28',
    '0.0001',
    't',
    '{}',
  ]
  const without = (column: number): Row => whole.map((cell, at) => (at === column ? null : cell))
  await put([whole])
  const held = await readNow()
  expect(await linesDiffer(held, notNull)).toBe(false)
  await held.discard()
  for (const index of COLUMNS.keys()) {
    await put([without(index)])
    const lacking = await readNow()
    for (const other of [whole, without(index), without((index + 1) % COLUMNS.length)]) {
      await put([other])
      expect(await linesDiffer(lacking, notNull)).toBe(true)
    }
    await put([whole.with(index, '')].filter(() => COLUMNS[index]?.type === 'text'))
    expect(await linesDiffer(lacking, notNull)).toBe(true)
    await lacking.discard()
  }
})

test('P8: a line of several MB, and one that begins with a byte order mark, is itself and no other', async () => {
  const rest = COLUMNS.slice(1).map(() => null)
  const long = `${'tab\tand\\backslash\n'.repeat(160_000)}é`
  for (const [own, other] of [
    [long, `${long} `],
    ['\uFEFFx', 'x'],
    ['x', '\uFEFFx'],
    ['\uFEFF', ''],
  ] as const) {
    // prettier-ignore
    await put([[own, ...rest]])
    const held = await readNow()
    expect(await linesDiffer(held)).toBe(false)
    await put([[other, ...rest]])
    expect(await linesDiffer(held)).toBe(true)
    await held.discard()
  }
})

test('where lines agree nothing is parted; a float, and a single column, are not compared as lines', async () => {
  const line = (text: string): Side => ({
    pass: async (take) => take(`(select '${text}' as c0)`),
  })
  const sides = { columns: ['a', 'b'], key: ['a'], expected: none, found: none }
  expect(
    await compareRanges(engine, { ...sides, lines: { expected: line('a'), found: line('a') } }),
  ).toEqual({ rowsExpected: 1, rowsFound: 1, differ: [] })
  await expect(
    compareRanges(engine, { ...sides, lines: { expected: line('a'), found: line('b') } }),
  ).rejects.toThrow('parted')
  expect(
    [['VARCHAR', 'INTEGER'], ['INTEGER', 'DOUBLE'], ['VARCHAR', 'FLOAT'], ['VARCHAR'], []].map(
      mayBeLines,
    ),
  ).toEqual([true, false, false, false, false])
})
