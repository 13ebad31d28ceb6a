/** Types that travel exactly, and all others as text. */
import { expect, test } from 'vitest'
import { carriedType, holdsAll } from '../../src/postgres/carried.ts'

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
  ['timestamp with time zone', 'TIMESTAMP WITH TIME ZONE'],
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
  'timestamp with time zone[]',
  'time without time zone[]',
  'public.numeric(10,2)',
  'odd.time without time zone',
  'odd.timestamp without time zone',
  'odd.timestamp with time zone',
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

test.each([
  ['smallint', 'integer'],
  ['integer', 'bigint'],
  ['bigint', 'numeric'],
  ['integer', 'numeric(12,2)'],
  ['real', 'double precision'],
  ['numeric(10,2)', 'numeric(12,2)'],
  ['numeric(10,2)', 'numeric(12,4)'],
  ['numeric(38,10)', 'numeric'],
  ['character varying(3)', 'character varying(4)'],
  ['character varying(3)', 'text'],
  ['text', 'character varying'],
  ['character(3)', 'character(9)'],
  ['bit varying(3)', 'bit varying'],
  ['timestamp(3) without time zone', 'timestamp without time zone'],
  ['time(0) with time zone', 'time(3) with time zone'],
  ['integer[]', 'bigint[]'],
  ['character varying(12)', 'character varying(100)'],
  ['character(10)', 'character(12)'],
  ['character varying(9)[]', 'text[]'],
])('%s is held by %s, and not the other way round', (narrow, wide) => {
  expect(holdsAll({ type: wide }, { type: narrow })).toBe(true)
  const same = ['text', 'character varying'].includes(narrow) && wide === 'character varying'
  expect(holdsAll({ type: narrow }, { type: wide })).toBe(same)
})

test.each([
  ['numeric(10,2)', 'numeric(10,4)'],
  ['integer', 'numeric(9,0)'],
  ['integer', 'text'],
  ['bigint', 'double precision'],
  ['double precision', 'numeric'],
  ['character(3)', 'text'],
  ['character varying(9)', 'character varying(8)'],
  ['date', 'timestamp without time zone'],
  ['timestamp without time zone', 'timestamp with time zone'],
  ['json', 'jsonb'],
  ['integer[]', 'bigint'],
  ['integer', 'integer[]'],
  ['text[]', 'text'],
  ['text', 'text[]'],
  ['bit varying(3)[]', 'bit varying'],
  ['numeric(10,2)[]', 'numeric'],
  ['numeric(10,2)', 'odd.numeric(12,2)'],
  ['odd.text', 'text'],
  ['text', 'odd.text'],
  ['odd.character(3)', 'character(4)'],
  ['real', 'numeric'],
  ['real', 'text'],
  ['time(3) without time zone', 'timestamp without time zone'],
  ['time(3) with time zone', 'time(3) with time zone[]'],
  ['odd.time(3) with time zone', 'time(4) with time zone'],
  ['timestamp(3) without time zone[]', 'timestamp(6) without time zone'],
])('%s is not followed as %s', (before, now) => {
  expect(holdsAll({ type: now }, { type: before })).toBe(false)
})

test('a domain, or an enum, is held by what it is made of', () => {
  expect(holdsAll({ type: 'text' }, { type: 'public.mood', builtin: 'text' })).toBe(true)
  expect(holdsAll({ type: 'bigint' }, { type: 'public.small', builtin: 'integer' })).toBe(true)
  expect(
    holdsAll({ type: 'public.wide', builtin: 'text' }, { type: 'public.mood', builtin: 'text' }),
  ).toBe(true)
  expect(holdsAll({ type: 'integer' }, { type: 'public.mood', builtin: 'text' })).toBe(false)
  expect(holdsAll({ type: 'public.mood' }, { type: 'public.mood', builtin: 'text' })).toBe(true)
})
