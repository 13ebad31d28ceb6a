/** Types that travel exactly, and all others as text. */
import { expect, test } from 'vitest'
import { carriedType } from '../../src/postgres/carried.ts'

test.each([
  ['smallint', 'SMALLINT'],
  ['integer', 'INTEGER'],
  ['bigint', 'BIGINT'],
  ['real', 'FLOAT'],
  ['double precision', 'DOUBLE'],
  ['boolean', 'BOOLEAN'],
  ['uuid', 'UUID'],
  ['bytea', 'BLOB'],
  ['date', 'DATE'],
  ['time without time zone', 'TIME'],
  ['time(3) without time zone', 'TIME'],
  ['timestamp without time zone', 'TIMESTAMP'],
  ['timestamp(3) without time zone', 'TIMESTAMP'],
  ['timestamp(6) with time zone', 'TIMESTAMP WITH TIME ZONE'],
  ['numeric(10,2)', 'DECIMAL(10,2)'],
  ['numeric(38,10)', 'DECIMAL(38,10)'],
  ['numeric(38,38)', 'DECIMAL(38,38)'],
])('P8: %s is carried exactly, as %s', (type, carried) => {
  expect(carriedType(type)).toBe(carried)
})

test.each([
  'numeric',
  'numeric(39,2)',
  'numeric(5,-2)',
  'numeric(2,5)',
  'time with time zone',
  'interval',
  'text',
  'character varying(10)',
  'character(3)',
  'integer[]',
  'numeric(10,2)[]',
  'timestamp without time zone[]',
  'jsonb',
  'public."My Type"',
  'public.integer',
  '"integer"',
  'inet',
  'money',
  'bit(8)',
])('P8: %s is carried as text', (type) => {
  expect(carriedType(type)).toBe('VARCHAR')
})
