/**
 * P8 on the way into the lake: values of a real PostgreSQL, through COPY, pieces, DuckDB and a file
 * of each format, are printed again and compared with what the server prints.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { csvRelation, uncarriedCounts } from '../../src/columns/csv.ts'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import type { FileFormat, WrittenFile } from '../../src/columns/file.ts'
import { readFiles, writeFile } from '../../src/columns/files.ts'
import { longestRow } from '../../src/columns/file-text.ts'
import { openPieceWriter, type Pieces } from '../../src/storage/pieces.ts'
import { toText } from '../../src/columns/text.ts'
import { carriedType } from '../../src/postgres/carried.ts'
import { connect } from '../../src/postgres/connection.ts'
import { beginReading } from '../../src/postgres/session.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
let engine: Engine
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-values-'))
  engine = await openEngine({ tempFolder: join(folder, 'tmp'), threads: 2 })
  database = await (await testServer()).createDatabase('values')
  await database.query(
    `create type public.mood as enum ('good', 'it''s', ''); create domain short as varchar(3); create type pair as (a integer, b text)`,
  )
})

afterAll(async () => {
  engine.close()
  await database.drop()
  await rm(folder, { recursive: true, force: true })
})

interface Read {
  readonly pieces: Pieces
  readonly columns: { readonly id: number; readonly name: string; readonly carried: string }[]
}

/** The columns `id` and `value` of a query, as pieces. */
async function read(query: string, type: string): Promise<Read> {
  const connection = await connect({ side: 'source', name: 'shop', url: database.url })
  try {
    await connection.query(
      'begin',
      beginReading('repeatable read', { lockTimeoutMs: 1_000, statementTimeoutMs: 60_000 }),
    )
    const writer = openPieceWriter(folder, `p${Math.floor(performance.now() * 1000)}`)
    const rows = await connection.copyOut('read', `copy (${query}) to stdout (format csv)`, writer)
    const pieces = await writer.finish()
    expect(pieces.rows).toBe(rows)
    const columns = [
      { id: 1, name: 'id', carried: 'INTEGER' },
      { id: 2, name: 'value', carried: carriedType(type) },
    ]
    return { pieces, columns }
  } finally {
    await connection.close()
  }
}

const FORMATS: readonly FileFormat[] = ['parquet', 'csv', 'json']

/** The values as they come out of a file of each format, printed; the formats must agree. */
async function throughTheLake({ pieces, columns }: Read): Promise<(string | null)[]> {
  const relation = `(select 'u' as _tote_op, * from (${csvRelation(await pieces.files(), columns, pieces.longestRow)}))`
  const printed: (string | null)[][] = []
  for (const format of FORMATS) {
    const path = join(folder, `f${Math.floor(performance.now() * 1000)}.${format}`)
    await engine.run(writeFile(format, { relation, columns, key: ['id'], batch: 1, path }))
    const longest =
      format === 'parquet'
        ? 0
        : Number((await engine.rows(longestRow(format, { relation, columns })))[0]?.['longest'])
    printed.push(await printedRows({ path, format, longest, carried: {} }, columns))
  }
  await pieces.discard()
  const [first = [], ...others] = printed
  for (const other of others) expect(other).toEqual(first)
  return first
}

async function printedRows(
  file: WrittenFile,
  columns: Read['columns'],
): Promise<(string | null)[]> {
  const carried = columns[1]?.carried ?? ''
  const rows = readFiles([file], columns)
  const [schema] = await engine.rows(
    `select column_type from (describe select "value" from ${rows})`,
  )
  expect(schema?.['column_type']).toBe(carried)
  // As bytes: the package that hands rows to JavaScript drops a leading byte order mark.
  const found = await engine.rows(
    `select hex(${toText('"value"', carried)}) as value from ${rows} order by id`,
  )
  return found.map(({ value }) =>
    value === null ? null : Buffer.from(String(value), 'hex').toString('utf8'),
  )
}

const backslash = String.raw`\ \\ \n \N \. \x41`
const TEXTS = [
  '',
  ' ',
  'NULL',
  'null',
  '\\N',
  '\\.',
  backslash,
  '"',
  '""',
  "'",
  ',',
  ';',
  '\t',
  '\n',
  '\r',
  '\r\n',
  'a\r\nb\n\nc\r',
  '\n"\n',
  '","',
  '0044',
  '007',
  '1e5',
  'true',
  'naïve €',
  '日本語',
  '🏴\u200d☠️',
  'e\u0301 ≠ é',
  '\u0001\u007f',
  '\uFEFF',
  ' leading',
  'trailing ',
  'x'.repeat(2_500_000),
  '"\n,'.repeat(800_000),
] as const

test('P8: text of any kind, empty ≠ NULL, however long', async () => {
  await database.query('create table texts (id integer primary key, value text)')
  for (const [id, value] of [...TEXTS, null].entries())
    await database.query('insert into texts values ($1, $2)', [id, value])
  const found = await throughTheLake(
    await read('select id, value from public.texts order by id', 'text'),
  )
  expect(found.length).toBe(TEXTS.length + 1)
  for (const [id, value] of [...TEXTS, null].entries())
    expect(found[id] === value, `text ${id}: ${value?.slice(0, 20)}`).toBe(true)
}, 60_000)

const VALUES: readonly (readonly [type: string, values: readonly string[]])[] = [
  ['smallint', ['-32768', '32767', '0']],
  ['integer', ['-2147483648', '2147483647']],
  ['bigint', ['-9223372036854775808', '9223372036854775807', '9007199254740993']],
  ['numeric(10,2)', ['0.00', '-0.01', '99999999.99', '-99999999.99', '1.10']],
  [
    'numeric(38,10)',
    [
      '1234567890123456789012345678.0123456789',
      '-9999999999999999999999999999.9999999999',
      '0.0000000001',
    ],
  ],
  ['numeric(38,0)', ['99999999999999999999999999999999999999']],
  ['numeric(4,4)', ['0.0001', '-0.9999']],
  [
    'numeric',
    ['1.50', '1.5', 'NaN', 'Infinity', '-Infinity', `${'9'.repeat(60)}.${'1'.repeat(60)}`],
  ],
  ['numeric(50,20)', ['1.00000000000000000000']],
  ['boolean', ['t', 'f']],
  [
    'date',
    [
      '2026-11-20',
      '0001-01-01',
      '9999-12-31',
      '10000-01-01',
      '5874897-12-31',
      'infinity',
      '-infinity',
      '0044-03-15 BC',
      '4714-11-24 BC',
    ],
  ],
  ['time without time zone', ['00:00:00', '23:59:59.999999', '24:00:00', '01:02:03.4']],
  [
    'timestamp without time zone',
    [
      '2026-11-20 09:30:00.123456',
      '2026-11-20 09:30:00',
      '0001-01-01 00:00:00',
      '294246-12-31 23:59:59.999999',
      '1969-12-31 23:59:59.999999',
      'infinity',
      '-infinity',
      '0044-03-15 12:00:00 BC',
      '4714-11-24 00:00:00.000001 BC',
      '294247-01-10 04:00:54.775806',
    ],
  ],
  ['timestamp(3) without time zone', ['2026-11-20 09:30:00.123', '2026-11-20 09:30:00.1']],
  [
    'timestamp with time zone',
    [
      '2026-11-20 09:30:00.123456+00',
      '1900-01-01 00:00:00+00',
      '0044-03-15 12:00:00+00 BC',
      '0001-12-31 23:59:59.999999+00 BC',
      'infinity',
      '-infinity',
    ],
  ],
  ['time with time zone', ['09:30:00.123456+05:30']],
  ['interval', ['1 year 2 mons -3 days +04:05:06.789', '-178000000 years', '00:00:00']],
  ['bytea', ['\\x', '\\x00', '\\xdeadbeef0a0d22275c']],
  [
    'uuid',
    [
      '00000000-0000-0000-0000-000000000000',
      'ffffffff-ffff-ffff-ffff-ffffffffffff',
      '6f9619ff-8b86-d011-b42d-00c04fc964ff',
    ],
  ],
  ['public.mood', ['good', "it's", '']],
  ['public.short', ['abc', '']],
  ['public.pair', ['(1,"a ""b"", c")', '(,)']],
  ['jsonb', ['{"a": [1, null, "x\\n\\"y"]}', 'null', '""', '1.50']],
  ['json', ['{ "a" :1 , "a":2}']],
  ['text[]', ['{}', '{NULL,"NULL","","a,b","\\"","\\\\"}', '[2:3]={a,b}', '{{a,b},{c,d}}']],
  ['timestamp with time zone[]', ['{"2026-11-20 09:30:00+00",infinity}']],
  ['inet', ['192.168.0.1/24', '::1']],
  ['cidr', ['10.0.0.0/8']],
  ['macaddr', ['08:00:2b:01:02:03']],
  ['bit(3)', ['101']],
  ['bit varying', ['', '10110']],
  ['character(5)', ['ab   ']],
  ['character varying(3)', ['GBP']],
  ['int4range', ['[1,5)', 'empty']],
  ['tsvector', ["'a':1 'b':2"]],
  ['point', ['(1.5,-2)']],
  ['xml', ['<a b="c">d</a>']],
  ['oid', ['4294967295']],
  ['"char"', ['a']],
  ['name', ['pg_class']],
]

test.each(VALUES)('P8: %s', async (type, values) => {
  const rows = [...values, null].map(
    (value, id) =>
      `(${id}, ${value === null ? 'null' : `'${value.replaceAll("'", "''")}'`}::${type})`,
  )
  const query = `select id, value from (values ${rows.join(', ')}) v(id, value) order by id`
  expect(await throughTheLake(await read(query, type))).toEqual([...values, null])
})

test.each([
  [
    'double precision',
    [
      '0',
      '-0',
      '1',
      '0.1',
      '1.7976931348623157e+308',
      '5e-324',
      '0.30000000000000004',
      '123456789012345680',
      'NaN',
      'Infinity',
      '-Infinity',
    ],
  ],
  ['real', ['-0', '0.1', '3.4028235e+38', '1e-45', '16777216', 'NaN', 'Infinity', '-Infinity']],
])('P8: %s, to the last bit', async (type, values) => {
  const query = `select id, value from (values ${values.map((value, id) => `(${id}, '${value}'::${type})`).join(', ')}) v(id, value) order by id`
  const found = await throughTheLake(await read(query, type))
  const numbers = found.map(Number)
  const round = type === 'real' ? Math.fround : (value: number): number => value
  for (const [index, value] of values.entries())
    expect(
      Object.is(round(numbers[index] ?? 0), round(Number(value))),
      `${value} became ${found[index]}`,
    ).toBe(true)
})

test.each([
  ['timestamp without time zone', '294276-12-31 23:59:59.999999'],
  ['timestamp with time zone', '294247-01-10 04:00:54.775807+00'],
  ['numeric(10,2)', 'NaN'],
])('P8: a %s that DuckDB has no place for (%s) is counted, not changed', async (type, value) => {
  const { pieces, columns } = await read(`select 1 as id, '${value}'::${type} as value`, type)
  const files = await pieces.files()
  await expect(engine.rows(csvRelation(files, columns, pieces.longestRow))).rejects.toMatchObject({
    name: 'EngineFailure',
  })
  const [counts] = await engine.rows(uncarriedCounts(files, columns, pieces.longestRow))
  expect([Number(counts?.['id']), Number(counts?.['value'])]).toEqual([0, 1])
  await pieces.discard()
})
