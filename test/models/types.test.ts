import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { transferOf } from '../../src/vectors/copy-types.ts'
import { canonicalPostgresType, mapDuckdbType, TYPES } from '../../src/models/types.ts'

describe('the type of a computed column', () => {
  test.each(Object.entries(TYPES))(
    'P8: %s is loaded without changing a value',
    (_duckdb, { carried, type }) => {
      expect(transferOf(carried, type)).toBe('direct')
    },
  )
  test('decimals keep their size, enums become text', () => {
    expect(mapDuckdbType('DECIMAL(12,3)')).toEqual({
      carried: 'DECIMAL(12,3)',
      type: 'numeric(12,3)',
    })
    expect(mapDuckdbType("ENUM('a', 'b')")).toEqual({ carried: 'VARCHAR', type: 'text' })
  })
  test.each([
    'UHUGEINT',
    'INTEGER[]',
    'STRUCT(a INTEGER)',
    'INTERVAL',
    'TIMESTAMP_NS',
    "ENUM('a')[]",
    'MAP(INTEGER, INTEGER)',
  ])('%s must be cast', (type) => {
    expect(mapDuckdbType(type)).toBeUndefined()
  })
  test('the docs print this table', async () => {
    const docs = await readFile(path.join(import.meta.dirname, '../../docs/models.md'), 'utf8')
    const rows = [...docs.matchAll(/^\| `([A-Z_ ]+)` *\| `([^`]+)` *\|$/gm)].map(
      ([, duckdb, type]) => [duckdb, type],
    )
    expect(Object.fromEntries(rows)).toEqual(
      Object.fromEntries(Object.entries(TYPES).map(([duckdb, { type }]) => [duckdb, type])),
    )
  })
})

describe('a type as people write it', () => {
  test.each([
    ['int', 'integer'],
    ['VARCHAR', 'character varying'],
    ['varchar ( 3 )', 'character varying(3)'],
    ['char', 'character(1)'],
    ['numeric', 'numeric'],
    ['decimal(10)', 'numeric(10,0)'],
    ['numeric(10, 2)', 'numeric(10,2)'],
    ['double  precision', 'double precision'],
    ['float', 'double precision'],
    ['timestamp', 'timestamp without time zone'],
    ['timestamp(3)', 'timestamp(3) without time zone'],
    ['timestamp(6)', 'timestamp without time zone'],
    ['timestamptz(3)', 'timestamp(3) with time zone'],
    ['timestamp with time zone', 'timestamp with time zone'],
    ['time(0) without time zone', 'time(0) without time zone'],
    ['timetz', 'time with time zone'],
    ['jsonb', 'jsonb'],
    ['text[]', 'text[]'],
    ['varchar(3)[][]', 'character varying(3)[]'],
  ])('%s is %s', (written, expected) => {
    expect(canonicalPostgresType(written)).toBe(expected)
  })
  test.each([
    'strin',
    'integer(3)',
    'text(3)',
    'numeric(a)',
    'timestamptz with time zone',
    'date with time zone',
    'text; drop table x',
    '',
    'time(1,2)',
  ])('"%s" is none', (written) => {
    expect(canonicalPostgresType(written)).toBeUndefined()
  })
})
