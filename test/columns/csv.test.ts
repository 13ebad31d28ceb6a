/** PostgreSQL's CSV as DuckDB reads it: text that looks like CSV, long rows, folders with odd names. */
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { csvRelation, readCsv, readLines, uncarriedCounts } from '../../src/columns/csv.ts'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import { openPieceWriter } from '../../src/storage/pieces.ts'

let folder: string
let engine: Engine

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-csv-'))
  engine = await openEngine({ tempFolder: join(folder, 'tmp'), threads: 4 })
})

afterAll(async () => {
  engine.close()
  await rm(folder, { recursive: true, force: true })
})

const text = (...names: string[]): { name: string; carried: string }[] =>
  names.map((name) => ({ name, carried: 'VARCHAR' }))
const quote = (value: string): string => `"${value.replaceAll('"', '""')}"`
const md5 = (value: string): string => createHash('md5').update(value).digest('hex')

async function readFileText(
  body: string | Buffer,
  columns: { name: string; carried: string }[],
  under = folder,
): Promise<Record<string, unknown>[]> {
  const path = join(under, 'file.csv')
  await writeFile(path, body)
  return engine.rows(csvRelation([path], columns, Buffer.byteLength(body)))
}

test('P8: NULL is not the empty string, in a table of one column and of several', async () => {
  expect(await readFileText('a\n\n""\n"\\."\n\\N\n"NULL"\n', text('x'))).toEqual([
    { x: 'a' },
    { x: null },
    { x: '' },
    { x: '\\.' },
    { x: '\\N' },
    { x: 'NULL' },
  ])
  expect(await readFileText('a,\n,\n"",""\n,b\n', text('x', 'y'))).toEqual([
    { x: 'a', y: null },
    { x: null, y: null },
    { x: '', y: '' },
    { x: null, y: 'b' },
  ])
})

test('P8: columns named like our own names for them keep their own values', async () => {
  expect(await readFileText('a,b,c\n', text('c1', 'c2', 'c0'))).toEqual([
    { c1: 'a', c2: 'b', c0: 'c' },
  ])
})

/** Text that, seen from its middle, looks like rows of the very file that it stands in. */
const CSV_IN_TEXT: readonly ((n: number) => string)[] = [
  (n) => Array.from({ length: n }, (_, i) => `${i},a,b`).join('\n'),
  (n) => Array.from({ length: n }, (_, i) => `${i},"a","b"`).join('\n'),
  (n) => Array.from({ length: n }, () => '"').join('\n'),
  (n) => Array.from({ length: n }, (_, i) => `"\n${i},"`).join(','),
  (n) => '\n'.repeat(n * 4),
  (n) => '\r\n'.repeat(n * 3),
  (n) => Array.from({ length: n }, (_, i) => `${i},,`).join('\n'),
  (n) => Array.from({ length: n }, (_, i) => `${i}x",\n1,"y`).join(''),
]

test.each([1, 4])(
  'P8: a large table whose text is itself CSV is read as it was written, by %i threads',
  async (threads) => {
    const writer = openPieceWriter(folder, `csv-${threads}`)
    const expected: string[] = []
    for (let bytes = 0; bytes < 40 << 20; bytes += writer.bytes - bytes) {
      const id = expected.length
      const kind = CSV_IN_TEXT[id % CSV_IN_TEXT.length] as (n: number) => string
      const [a, b] = [kind(1 + ((id * 7919) % 3000)), id % 3 === 0 ? null : kind(1 + (id % 50))]
      writer.row(Buffer.from(`${id},${quote(a)},${b === null ? '' : quote(b)}\n`))
      expected.push(`${id} ${md5(a)} ${b === null ? 'null' : md5(b)}`)
      await writer.ready()
    }
    const pieces = await writer.finish()
    const own = await openEngine({ tempFolder: join(folder, 'tmp'), threads })
    try {
      const rows = await own.rows(
        `select id || ' ' || md5(a) || ' ' || coalesce(md5(b), 'null') as row from (${csvRelation(await pieces.files(), text('id', 'a', 'b'), pieces.longestRow)}) order by id::integer`,
      )
      expect(rows.map(({ row }) => row)).toEqual(expected)
    } finally {
      own.close()
      await pieces.discard()
    }
  },
  60_000,
)

test('P8: a byte order mark is part of the value that begins with it, also in the first row of a piece', async () => {
  const writer = openPieceWriter(folder, 'marks')
  const filler = 'x'.repeat((1 << 20) - 8)
  const expected: string[] = []
  // Blocks of one row each, so that every piece begins with such a row.
  for (const text of ['', ...Array.from({ length: 40 }, () => filler)]) {
    writer.row(Buffer.from(`\uFEFF${text}\n`))
    expected.push(Buffer.from(`\uFEFF${text}`).subarray(0, 4).toString('hex').toUpperCase())
    await writer.ready()
  }
  const pieces = await writer.finish()
  const files = await pieces.files()
  expect(files.length).toBeGreaterThan(1)
  const rows = await engine.rows(
    `select hex(x)[:8] as start from (${csvRelation(files, text('x'), pieces.longestRow)}) order by length(x)`,
  )
  expect(rows.map(({ start }) => start)).toEqual(expected)
  await pieces.discard()
})

test('P8: rows around and above the length that DuckDB takes unasked', async () => {
  for (const length of [1_999_999, 2_000_000, 2_000_001, 2_097_153, 6_000_000]) {
    const value = 'x'.repeat(length - 5)
    const rows = await readFileText(`1,"${value}"\n2,"${value}"\n`, text('id', 'value'))
    expect(rows.map(({ id, value: found }) => [id, found === value])).toEqual([
      ['1', true],
      ['2', true],
    ])
  }
})

test.each(['lines', 'csv'] as const)(
  'P2: of many rows that are all as long as the longest none is lost, in %s',
  async (format) => {
    const path = join(folder, 'longest.csv')
    for (const longestRow of [2_000_000, 2_000_001]) {
      await writeFile(path, `${'x'.repeat(longestRow - 1)}\n`.repeat(9))
      const options = { names: ['c0'], header: false, longestRow, compressed: false }
      const from = format === 'lines' ? readLines([path], longestRow) : readCsv([path], options)
      const [row] = await engine.rows(
        `select count(*)::integer as rows, sum(strlen(c0))::integer as bytes from ${from}`,
      )
      expect(row).toEqual({ rows: 9, bytes: 9 * (longestRow - 1) })
    }
  },
)

test('P8: what stands under a header, compressed or not, is read by the names that it is given', async () => {
  const body = 'ä,"b ""c"""\n1,"two\nlines"\n,""\n'
  const expected = [
    { one: '1', "it's": 'two\nlines' },
    { one: null, "it's": '' },
  ]
  for (const compressed of [true, false]) {
    const path = join(folder, 'by-names')
    await writeFile(path, compressed ? gzipSync(body) : body)
    const names = ['one', "it's"]
    const from = readCsv([path], { names, header: true, longestRow: 100, compressed })
    expect(await engine.rows(`from ${from}`)).toEqual(expected)
  }
})

/** What the text format has, and more: it has no control character but the tab. */
const LINES = [
  'a\tb|\\N\t|"|""|"a","b"|,|it\'s|\\|\\b\\v|NULL|\\r| |\t|\t\t\\N|#|# a|é🐘'.split('|'),
  'x'.repeat(3000),
].flat()

test('P8: lines are read whole, whatever stands in them', async () => {
  const paths = [join(folder, 'lines-1'), join(folder, 'lines-2')]
  // Each line is once the first of a file, of which more would be guessed.
  for (const first of LINES) {
    const lines = [first, ...LINES]
    for (const path of paths) await writeFile(path, lines.map((line) => `${line}\n`).join(''))
    const rows = await engine.rows(`select c0 from ${readLines(paths, 3001)}`)
    expect(rows.map(({ c0 }) => String(c0)).toSorted()).toEqual([...lines, ...lines].toSorted())
  }
})

test('P8: folders named like columns, or with the characters of patterns, change no value', async () => {
  for (const name of ['c0=other', 'id=7', '[ab]', 'what?', 'all*', "it's"]) {
    const under = join(folder, name, 'x')
    await mkdir(under, { recursive: true })
    expect(await readFileText('1,own\n', text('id', 'c0'), under), `${name}`).toEqual([
      { id: '1', c0: 'own' },
    ])
  }
})

test('P8: values that DuckDB cannot hold are refused and counted by column, never changed', async () => {
  const columns = [
    { name: 'day', carried: 'DATE' },
    { name: 'at', carried: 'TIMESTAMP' },
    { name: 'zoned', carried: 'TIMESTAMP WITH TIME ZONE' },
    { name: 'amount', carried: 'DECIMAL(10,2)' },
    { name: 'bytes', carried: 'BLOB' },
  ]
  const good =
    '2026-11-20,2026-11-20 09:30:00.123456,2026-11-20 09:30:00.123456+00,12345678.90,"\\\\x00ff"\n,,,,\ninfinity,-infinity,infinity,-0.01,"\\\\x"\n0044-03-15 BC,0044-03-15 00:00:00 BC,0044-03-15 00:00:00+00 BC,,\n'.replaceAll(
      '\\\\',
      '\\',
    )
  expect(await readFileText(good, columns)).toHaveLength(4)
  const bad = [
    '5881581-01-01,,,,\n',
    ',294276-12-31 23:59:59.999999,,,\n',
    ',,294276-12-31 00:00:00+00,,\n',
    ',,,NaN,\n',
    ',,,Infinity,\n',
  ]
  for (const row of bad)
    await expect(readFileText(row, columns), `${row}`).rejects.toThrow(/Conversion Error|CSV Error/)
  const path = join(folder, 'bad.csv')
  await writeFile(path, good + bad.join(''))
  const [counts] = await engine.rows(uncarriedCounts([path], columns, 100))
  expect(
    Object.fromEntries(Object.entries(counts ?? {}).map(([name, n]) => [name, Number(n)])),
  ).toEqual({ day: 1, at: 1, zoned: 1, amount: 2, bytes: 0 })
})

test('a table without columns has nothing that could not be carried', async () => {
  const path = join(folder, 'nothing.csv')
  await writeFile(path, '\n\n')
  expect(await engine.rows(uncarriedCounts([path], [], 10))).toEqual([{ 'count_star()': 2n }])
})
