/** A column of a file may have any name that a column of a table may have, and a file as many columns. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import type { FileFormat } from '../../src/columns/file.ts'
import { longestRow, type TextFormat } from '../../src/columns/file-text.ts'
import { readFiles, writeFile } from '../../src/columns/files.ts'
import {
  BATCH_COLUMN,
  BATCH_FIELD_ID,
  batchOf,
  OP_COLUMN,
  OP_FIELD_ID,
  quoteName,
  quoteText,
  ROW_COLUMN,
  sortNames,
} from '../../src/columns/sql.ts'

let folder: string
let engine: Engine
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-names-'))
  engine = await openEngine({ tempFolder: join(folder, 'tmp'), threads: 1 })
})
afterAll(async () => {
  engine.close()
  await rm(folder, { recursive: true, force: true })
})

const AWKWARD = [
  '*',
  'a.b',
  'a,b',
  "it's",
  'say "so"',
  '(x)',
  '[x]',
  '{x}',
  '$1',
  '🐘',
  ' ',
  'a\nb',
]

test.each<FileFormat>(['parquet', 'csv', 'json'])(
  "P8: %s: DuckDB's key words, names of its functions and awkward names are names of columns",
  async (format) => {
    const words = await engine.rows(
      `select keyword_name as name from duckdb_keywords()
       union select lower(function_name) from duckdb_functions() where parameters = [] order by 1`,
    )
    const names = [...words.map(({ name }) => String(name)), ...AWKWARD]
    expect(names).toEqual(expect.arrayContaining(['user', 'current_date', 'select', 'all']))
    const columns = names.map((name, index) => ({ id: index + 1, name, carried: 'VARCHAR' }))
    const values = names.map((name) => `${quoteText(`of ${name}`)} as ${quoteName(name)}`)
    const relation = `(select 'u' as _tote_op, ${values.join(', ')})`
    const path = join(folder, `names.${format}`)
    await engine.run(writeFile(format, { relation, columns, key: ['user'], batch: 1, path }))
    const written = readFiles([{ path, format, longest: 0, carried: {} }], columns)
    const [row] = await engine.rows(`select * from ${written}`)
    for (const name of names) expect([name, row?.[name]]).toEqual([name, `of ${name}`])
  },
)

test.each<TextFormat>(['csv', 'json'])(
  'P8: %s: how long the longest of rows of 1,600 columns may be is known',
  async (format) => {
    const columns = Array.from({ length: 1600 }, (_, index) => ({
      id: index + 1,
      name: `c${index}`,
      carried: index % 3 === 0 ? 'INTEGER' : index % 3 === 1 ? 'VARCHAR' : 'BLOB',
    }))
    const values = columns.map(({ name, carried }) => {
      if (carried === 'INTEGER') return `-2147483648 as ${name}`
      if (carried === 'BLOB') return `case when i > 1 then 'abc'::blob end as ${name}`
      return `case when i > 1 then repeat('"' || chr(1), i) end as ${name}`
    })
    const relation = `(select 'u' as _tote_op, ${values.join(', ')} from range(5) r(i))`
    const path = join(folder, `many.${format}`)
    await engine.run(writeFile(format, { relation, columns, key: [], batch: 1, path }))
    const lines = gunzipSync(await readFile(path))
      .toString('utf8')
      .split('\n')
    const actual = Math.max(...lines.map((line) => Buffer.byteLength(line)))
    const [row] = await engine.rows(longestRow(format, { relation, columns }))
    expect(Number(row?.['longest'])).toBeGreaterThanOrEqual(actual)
    expect(Number(row?.['longest'])).toBeLessThan(8 * actual)
  },
)

test('what stands in the files of a lake is called as it was by earlier versions', () => {
  expect([OP_COLUMN, BATCH_COLUMN, ROW_COLUMN]).toEqual(['_tote_op', '_tote_batch', '_tote_row'])
  expect([OP_FIELD_ID, BATCH_FIELD_ID]).toEqual([2_000_000_000, 2_000_000_001])
})

test('the batch of a row is the one that is told, or its own', async () => {
  const rows = async (batch: number | null): Promise<unknown> =>
    engine.rows(`select ${batchOf(batch)} from (select 3::bigint as _tote_batch)`)
  expect(await rows(null)).toEqual([{ _tote_batch: 3n }])
  expect(await rows(7)).toEqual([{ _tote_batch: 7n }])
})

test('P8: rows are sorted by the whole key, and keep the sign of their zeros', async () => {
  const columns = [
    { name: 'v', carried: 'FLOAT' },
    { name: 'k', carried: 'DOUBLE' },
    { name: 'a', carried: 'INTEGER' },
  ]
  const table = `(select * from (values (1, '1'), (0, '-0'), (1, '-0'), (0, '0')) r(a, t))`
  expect(sortNames(['v'], columns)).toBe('"v" + 0')
  const order = sortNames(['a', 'k'], columns, 'x.')
  const rows = await engine.rows(
    `select a || ' ' || k::varchar as row from (select a, t::double as k from ${table}) x order by ${order}, k::varchar`,
  )
  expect(rows.map(({ row }) => row)).toEqual(['0 -0.0', '0 0.0', '1 -0.0', '1 1.0'])
})
