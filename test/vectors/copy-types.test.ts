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

/** Every type that another's name could be taken for stands among them, too. */
const POSTGRES = [
  'smallint',
  'smallint[]',
  'integer',
  'integer[]',
  'pinteger',
  'bigint',
  'bigint[]',
  'numeric',
  'numeric[]',
  'unumeric',
  'numeric(12,10)',
  'numeric(12,10)[]',
  'numeric(5,-2)',
  'real',
  'real[]',
  'surreal',
  'double precision',
  'double precision[]',
  'no double precision',
  'money',
  'money[]',
  'boolean',
  'boolean[]',
  'myboolean',
  'date',
  'daterange',
  'date[]',
  'mydate',
  'uuid',
  'uuid[]',
  'myuuid',
  'time without time zone',
  'time(3) without time zone',
  'time without time zone[]',
  'mytime without time zone',
  'time with time zone',
  'mytime',
  'timestamp without time zone',
  'timestamp(3) without time zone',
  'timestamp(3) without time zone[]',
  'mytimestamp without time zone',
  'timestamp with time zone',
  'timestamp(3) with time zone',
  'timestamp with time zone[]',
  'mytimestamp with time zone',
  'text',
  'text[]',
  'citext',
  'json',
  'json[]',
  'jsonb',
  'character varying',
  'character varying(30)',
  'character varying(30)[]',
  'character(12)',
  'character(12)[]',
  'bytea',
  'bytea[]',
  'mybytea',
] as const
const WHOLE = ['smallint', 'integer', 'bigint']
const FLOATS = ['real', 'double precision']
const SCALED = ['numeric', 'numeric[]', 'numeric(12,10)', 'numeric(12,10)[]', 'numeric(5,-2)']
const TIMES = POSTGRES.filter((type) => /^time\b/.test(type))

test.each([
  ['BOOLEAN', 'boolean', ['boolean'], []],
  ...['TINYINT', 'UTINYINT', 'SMALLINT'].map((type) => [type, 'smallint', WHOLE, FLOATS] as const),
  ...['USMALLINT', 'INTEGER'].map((type) => [type, 'integer', WHOLE, FLOATS] as const),
  ...['UINTEGER', 'BIGINT'].map((type) => [type, 'bigint', WHOLE, FLOATS] as const),
  ...['UBIGINT', 'HUGEINT', 'UHUGEINT'].map(
    (type) => [type, 'numeric', ['numeric', 'numeric(12,10)'], FLOATS] as const,
  ),
  ['FLOAT', 'real', FLOATS, [...WHOLE, ...SCALED]],
  ['DOUBLE', 'double precision', ['double precision'], ['real', ...WHOLE, ...SCALED]],
  ['DATE', 'date', ['date'], []],
  ['TIME', 'time without time zone', ['time without time zone', 'time(3) without time zone'], []],
  [
    'TIMESTAMP',
    'timestamp without time zone',
    ['timestamp without time zone', 'timestamp(3) without time zone'],
    ['date', ...TIMES],
  ],
  [
    'TIMESTAMP WITH TIME ZONE',
    'timestamp with time zone',
    ['timestamp with time zone', 'timestamp(3) with time zone'],
    ['date', ...TIMES],
  ],
  ['UUID', 'uuid', ['uuid'], []],
  ...['VARCHAR', 'TEXT', 'STRING', 'JSON'].map(
    (type) =>
      [
        type,
        'text',
        ['text', 'json', 'character varying', 'character varying(30)', 'character(12)'],
        [],
      ] as const,
  ),
  ['BLOB', 'bytea', ['bytea'], []],
  [
    'DECIMAL(12,4)',
    'numeric(12,4)',
    ['numeric', 'numeric(12,10)'],
    [...WHOLE, ...FLOATS, 'money', 'numeric(5,-2)'],
  ],
  [
    'DECIMAL(12, 10)',
    'numeric(12,10)',
    ['numeric', 'numeric(12,10)'],
    [...WHOLE, ...FLOATS, 'money', 'numeric(5,-2)'],
  ],
] as const)(
  'P8: as what %s can be sent without a change to any value',
  (type, natural, direct, inexact) => {
    const by = (wanted: string): string[] =>
      POSTGRES.filter((postgres) => transferOf(type, postgres) === wanted).toSorted()
    expect(naturalType(type)).toBe(natural)
    expect(by('direct')).toEqual([...direct].toSorted())
    expect(by('inexact')).toEqual([...inexact].toSorted())
    expect(by('cast')).toHaveLength(POSTGRES.length - direct.length - inexact.length)
  },
)

test.each(['DECIMAL(12,4)[]', 'MAP(VARCHAR, DECIMAL(12,4))', 'DECIMAL', 'INTERVAL'])(
  '%s cannot be sent',
  (type) => {
    expect(naturalType(type)).toBeUndefined()
    expect(transferOf(type, 'text')).toBeUndefined()
  },
)
