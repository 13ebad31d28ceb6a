import { expect, test } from 'vitest'
import { naturalType, transferOf } from '../../src/vectors/copy-types.ts'
import { carriedType } from '../../src/postgres/carried.ts'

test.each([
  ['INTEGER', 'bigint', 'direct'],
  ['BIGINT', 'integer', 'direct'],
  ['INTEGER', 'numeric(10,0)', 'cast'],
  ['BIGINT', 'double precision', 'inexact'],
  ['HUGEINT', 'numeric', 'direct'],
  ['DOUBLE', 'numeric(10,2)', 'inexact'],
  ['DOUBLE', 'real', 'inexact'],
  ['FLOAT', 'double precision', 'direct'],
  ['DECIMAL(10,2)', 'numeric', 'direct'],
  ['DECIMAL(10,2)', 'numeric(8,3)', 'direct'],
  ['DECIMAL(10,2)', 'numeric(10,1)', 'inexact'],
  ['DECIMAL(10,2)', 'integer', 'inexact'],
  ['VARCHAR', 'character varying(3)', 'direct'],
  ['VARCHAR', 'jsonb', 'cast'],
  ['JSON', 'json', 'direct'],
  ['TIMESTAMP', 'date', 'inexact'],
  ['TIMESTAMPTZ', 'timestamp(3) with time zone', 'direct'],
  ['INTEGER[]', 'integer[]', undefined],
  ['STRUCT(a INTEGER)', 'text', undefined],
])('%s as %s: %s', (duckdbType, postgresType, expected) => {
  expect(transferOf(duckdbType, postgresType)).toBe(expected)
})

test('what a source column is carried as can be sent back as its own type', () => {
  const types = [
    'smallint',
    'integer',
    'bigint',
    'real',
    'double precision',
    'boolean',
    'uuid',
    'bytea',
    'date',
    'time(3) without time zone',
    'timestamp without time zone',
    'timestamp(3) with time zone',
    'numeric(38,38)',
    'text',
    'character varying(3)',
  ]
  expect(types.map((type) => transferOf(carriedType(type), type))).toEqual(
    types.map(() => 'direct'),
  )
})

test('what a type is sent as by itself can be sent', () => {
  const types = [
    'BOOLEAN',
    'UTINYINT',
    'UINTEGER',
    'UBIGINT',
    'UHUGEINT',
    'DECIMAL(38,4)',
    'TIMESTAMPTZ',
    'JSON',
    'BLOB',
    'TIME',
    'UUID',
  ]
  expect(types.map((type) => transferOf(type, naturalType(type) ?? ''))).toEqual(
    types.map(() => 'direct'),
  )
  expect(naturalType('INTERVAL')).toBeUndefined()
})
