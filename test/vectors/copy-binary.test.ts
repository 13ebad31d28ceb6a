import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BinaryColumn } from '../../src/vectors/copy-encoders.ts'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import { encoded } from './encoded.ts'

let engine: Engine
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-binary-'))
  engine = await openEngine({ tempFolder: folder })
})
afterAll(async () => {
  engine.close()
  await rm(folder, { recursive: true, force: true })
})

async function encode(
  select: string,
  ...columns: readonly BinaryColumn[]
): Promise<readonly Uint8Array[]> {
  return encoded(engine, select, columns)
}

function column(duckdbType: string, postgresType: string): BinaryColumn {
  return { name: 'c', duckdbType, postgresType }
}

test('the format, byte by byte', async () => {
  const columns = [
    column('INTEGER', 'integer'),
    column('VARCHAR', 'text'),
    column('DECIMAL(10,2)', 'numeric'),
  ]
  const bytes = Buffer.concat(
    await encode(
      `select * from (values (258, 'hé', -12345.67::decimal(10,2)), (null, '', 0::decimal(10,2))) t`,
      ...columns,
    ),
  ).toString('hex')
  expect(bytes).toBe(
    [
      '5047434f50590aff0d0a00',
      '00000000',
      '00000000',
      '0003',
      '00000004',
      '00000102',
      '00000003',
      '68c3a9',
      '0000000e',
      '0003',
      '0001',
      '4000',
      '0002',
      '0001',
      '0929',
      '1a2c',
      '0003',
      'ffffffff',
      '00000000',
      '00000008',
      '0000',
      '0000',
      '0000',
      '0002',
      'ffff',
    ].join(''),
  )
})

test('no rows are a header and a trailer', async () => {
  expect(
    Buffer.concat(await encode('select 1 where false', column('INTEGER', 'integer'))),
  ).toHaveLength(21)
})

test('buffers hold about 256 KiB, of few rows what they need, and a longer row makes a longer one', async () => {
  const narrow = await encode(
    'select i::integer from range(0, 200000) t(i)',
    column('INTEGER', 'integer'),
  )
  const [first, ...others] = narrow.slice(0, -2)
  expect(first?.buffer.byteLength, 'one chunk').toBe(19 + 2048 * 10)
  expect(others.every(({ length }) => length > 262_000 && length <= 262_144)).toBe(true)
  const wide = await encode(
    `select repeat('x', 1000000) from range(0, 3)`,
    column('VARCHAR', 'text'),
  )
  expect(wide.map(({ length }) => length)).toEqual([19, 1_000_006, 1_000_006, 1_000_006, 2])
})

describe('P8: what PostgreSQL cannot store is refused, naming the column and no value', () => {
  const DATE = 'a date outside what PostgreSQL can store'
  const TIMESTAMP = 'a timestamp outside what PostgreSQL can store'
  const NUL = 'a text with a NUL character, which PostgreSQL cannot store'
  const number = (type: string): string => `a number that ${type} cannot hold`
  test.each([
    ['a date after its last', `date '1970-01-01' + 2145042906::integer`, 'DATE', 'date', DATE],
    ['a date before its first', `date '4714-11-23 (BC)'`, 'DATE', 'date', DATE],
    [
      'a timestamp before its first',
      `timestamp '4714-11-23 (BC) 23:59:59.999999'`,
      'TIMESTAMP',
      'timestamp without time zone',
      TIMESTAMP,
    ],
    [
      'a timestamp long before its first',
      'make_timestamp(-9223372022400000000)',
      'TIMESTAMP',
      'timestamp without time zone',
      TIMESTAMP,
    ],
    ['a NUL in a short text', `'a' || chr(0)`, 'VARCHAR', 'text', NUL],
    ['a NUL in a long text', `repeat('a', 20) || chr(0) || 'b'`, 'VARCHAR', 'text', NUL],
    ['a bigint that is no integer', '2147483648', 'BIGINT', 'integer', number('integer')],
    ['a bigint that is none below', '-2147483649', 'BIGINT', 'integer', number('integer')],
    ['a bigint that is far above', '9223372036854775807', 'BIGINT', 'integer', number('integer')],
    ['a bigint that is no smallint', '-32769::bigint', 'BIGINT', 'smallint', number('smallint')],
    ['an integer that is no smallint', '32768::integer', 'INTEGER', 'smallint', number('smallint')],
    ['a uinteger that is no integer', '2147483648', 'UINTEGER', 'integer', number('integer')],
  ])('%s', async (_what, value, duckdbType, postgresType, held) => {
    const refused = encode(`select (${value})::${duckdbType}`, column(duckdbType, postgresType))
    await expect(refused).rejects.toMatchObject({
      name: 'ValueNotCarried',
      message: `Column "c" of "thing" holds ${held}.`,
      facts: { where: 'thing.c' },
    })
  })

  test.each([
    ['INTERVAL', 'interval'],
    ['INTEGER[]', 'integer[]'],
    ['STRUCT(a INTEGER)', 'text'],
    ['TIMESTAMP_NS', 'timestamp without time zone'],
    ['DOUBLE', 'numeric'],
    ['VARCHAR', 'jsonb'],
  ])('%s as %s, before any row', async (duckdbType, postgresType) => {
    await expect(
      encode('select 1 where false', column(duckdbType, postgresType)),
    ).rejects.toMatchObject({
      name: 'ValueNotCarried',
      message: `Column "c" of "thing" is ${duckdbType}, which cannot be sent as ${postgresType}.`,
      facts: { where: 'thing.c', fix: 'cast the column in the model to a type that both have' },
    })
  })
})

test('rows of other types than announced are a bug, not garbage', async () => {
  const [a, b] = [column('INTEGER', 'integer'), column('TIMESTAMPTZ', 'timestamp with time zone')]
  for (const [select, columns, said] of [
    ['select 1::bigint', [a], '(BIGINT) and were announced as (INTEGER)'],
    ['select 1, 2', [a], '(INTEGER, INTEGER) and were announced as (INTEGER)'],
    ['select 1', [a, b], '(INTEGER) and were announced as (INTEGER, TIMESTAMP WITH TIME ZONE)'],
    [
      'select 1, 2',
      [a, b],
      '(INTEGER, INTEGER) and were announced as (INTEGER, TIMESTAMP WITH TIME ZONE)',
    ],
    [
      'select now(), 1',
      [a, b],
      '(TIMESTAMP WITH TIME ZONE, INTEGER) and were announced as (INTEGER, TIMESTAMP WITH TIME ZONE)',
    ],
  ] as const)
    await expect(encode(select, ...columns)).rejects.toMatchObject({
      name: 'Bug',
      message: `The rows of "thing" are ${said}.`,
    })
})

test('a row that just fits a buffer, and one that does not, are whole', async () => {
  for (const more of [-1, 0, 1]) {
    // Twice two bytes for the fields' count and four for a length.
    const bytes = 262_144 - 19 - 12 + more
    const buffers = await encode(
      `select repeat('x', n) from (values (100), (${bytes - 100})) t(n)`,
      column('VARCHAR', 'text'),
    )
    const all = Buffer.concat(buffers)
    expect(all).toHaveLength(19 + 12 + bytes + 2)
    expect(buffers.map(({ length }) => length)).toEqual(
      more > 0 ? [19 + 6 + 100, 6 + bytes - 100, 2] : [19 + 12 + bytes, 2],
    )
    expect(all.toString('latin1', 25, 125)).toBe('x'.repeat(100))
    expect(all.toString('latin1', 131, all.length - 2)).toBe('x'.repeat(bytes - 100))
  }
})
