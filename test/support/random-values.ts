/** Random values of PostgreSQL's types, as SQL expressions: ordinary ones and those at the edges. */
import fc from 'fast-check'
import { quoteLiteral } from '../../src/postgres/identifiers.ts'

type Expression = fc.Arbitrary<string>

const literal = (values: fc.Arbitrary<unknown>): Expression =>
  values.map((value) => quoteLiteral(String(value)))
const among = (...texts: string[]): Expression => literal(fc.constantFrom(...texts))
const mixed = (edges: Expression, others: Expression): Expression =>
  fc.oneof({ weight: 1, arbitrary: edges }, { weight: 4, arbitrary: others })
const whole = (bits: bigint): Expression =>
  literal(
    fc.oneof(
      fc.bigInt(-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n),
      fc.bigInt(-100n, 100n),
      fc.constantFrom(-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n),
    ),
  )

/** Any text that PostgreSQL can store. */
const text = fc
  .oneof(
    fc.string({ unit: 'grapheme', maxLength: 30 }),
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.constantFrom(
      '',
      'NULL',
      '\\N',
      '\\.',
      '"',
      '""',
      '{}',
      '\uFEFF',
      '\r\n',
      '\n',
      ',',
      "'",
      '\u0001',
    ),
    fc.string({
      unit: fc.constantFrom(',', '"', '\n', '\r', '\\', ' ', 'a', '\uFEFF'),
      maxLength: 12,
    }),
  )
  .map((value) => value.replaceAll('\0', ''))
const texts = literal(text)
const cut = (length: number): Expression =>
  literal(text.map((value) => Array.from(value).slice(0, length).join('')))
const plain = literal(fc.stringMatching(/^[ -~]{0,10}$/))

const digits = (places: number, scale: number): Expression =>
  literal(
    fc
      .tuple(
        fc.boolean(),
        fc.stringMatching(new RegExp(`^\\d{1,${places}}$`)),
        fc.stringMatching(new RegExp(`^\\d{${scale}}$`)),
      )
      .map(
        ([minus, before, after]) => `${minus ? '-' : ''}${before}${scale === 0 ? '' : `.${after}`}`,
      ),
  )
const free = literal(
  fc
    .tuple(fc.boolean(), fc.stringMatching(/^\d{1,60}$/), fc.stringMatching(/^(\.\d{1,40})?$/))
    .map(([minus, before, after]) => `${minus ? '-' : ''}${before}${after}`),
)
const floats = (values: fc.Arbitrary<number>): Expression =>
  literal(values.map((value) => (Object.is(value, -0) ? '-0' : String(value))))

/**
 * PostgreSQL's first and last day, and the last but one of a timestamp, since 2000-01-01: it rounds the last
 * moment of all to the year 294277, which it cannot read again itself.
 */
const FIRST_DAY = -2_451_545
const LAST_DAY = 2_145_031_948
const LAST_MOMENT = 106_751_981
const day = (last: number): Expression =>
  fc
    .oneof(
      fc.integer({ min: -20_000, max: 20_000 }),
      fc.integer({ min: FIRST_DAY, max: last }),
      fc.constantFrom(FIRST_DAY, last),
    )
    .map((days) => `date '2000-01-01' + ${days}`)
const clock = fc.bigInt(0n, 86_399_999_999n).map((micros) => {
  const two = (value: bigint): string => String(value).padStart(2, '0')
  const seconds = micros / 1_000_000n
  return `${two(seconds / 3600n)}:${two((seconds / 60n) % 60n)}:${two(seconds % 60n)}.${String(micros % 1_000_000n).padStart(6, '0')}`
})
const moment = fc
  .tuple(day(LAST_MOMENT), clock)
  .map(([days, time]) => `((${days}) + time '${time}')`)
const infinite = among('infinity', '-infinity')
const offset = fc
  .tuple(
    fc.constantFrom('+', '-'),
    fc.integer({ min: 0, max: 15 }),
    fc.integer({ min: 0, max: 59 }),
  )
  .map(
    ([sign, hours, minutes]) =>
      `${sign}${String(hours).padStart(2, '0')}:${String(minutes).padStart(2, '0')}`,
  )
const small = { min: -100_000, max: 100_000 }
const span = fc
  .tuple(fc.integer(small), fc.integer(small), fc.bigInt(-(10n ** 15n), 10n ** 15n))
  .map(
    ([months, days, micros]) =>
      `make_interval(months => ${months}, days => ${days}) + ${quoteLiteral(`${micros} microseconds`)}::interval`,
  )

const bits = (length: fc.StringConstraints): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom('0', '1'), ...length })
const hex = fc
  .uint8Array({ maxLength: 40 })
  .map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`)
const host = fc.oneof(
  fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })).map(([ip, mask]) => `${ip}/${mask}`),
  fc.ipV4(),
  fc.ipV6().filter((ip) => !ip.includes('%')),
)
const mac = (length: number): Expression =>
  literal(
    fc
      .uint8Array({ minLength: length, maxLength: length })
      .map((bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':')),
  )
const json = literal(
  fc.jsonValue().map((value) =>
    JSON.stringify(value)
      .replaceAll('\\u0000', '')
      .replaceAll(/\\ud[89a-f]../gi, ''),
  ),
)

/** `array[…]`: one or two dimensions, with nulls, now and then counted from elsewhere than 1. */
const list = (element: Expression, type: string): Expression => {
  const orNull = fc
    .option(element, { freq: 4 })
    .map((value) => (value === null ? 'null' : `(${value})::${type}`))
  const one = fc
    .array(orNull, { maxLength: 5 })
    .map((items) => `array[${items.join(', ')}]::${type}[]`)
  const two = fc
    .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 2 }))
    .chain(([rows, width]) =>
      fc.array(fc.array(orNull, { minLength: width, maxLength: width }), {
        minLength: rows,
        maxLength: rows,
      }),
    )
    .map(
      (rows) => `array[${rows.map((items) => `array[${items.join(', ')}]::${type}[]`).join(', ')}]`,
    )
  const moved = fc
    .tuple(fc.integer({ min: -5, max: 5 }), orNull)
    .map(
      ([at, item]) =>
        `array_fill(${item === 'null' ? `null::${type}` : item}, array[2], array[${at}])`,
    )
  return fc.oneof({ weight: 3, arbitrary: one }, two, moved)
}
const range = (type: string, bound: Expression, of: string): Expression =>
  fc.oneof(
    { weight: 1, arbitrary: among('empty', '(,)') },
    {
      weight: 4,
      arbitrary: fc
        .tuple(bound, bound, fc.constantFrom('[)', '(]', '[]', '()'))
        .map(
          ([a, b, ends]) =>
            `${type}(least((${a})::${of}, (${b})::${of}), greatest((${a})::${of}, (${b})::${of}), '${ends}')`,
        ),
    },
  )
const number = (min: number, max: number): Expression => fc.integer({ min, max }).map(String)
const doubles = floats(fc.double())

/** SQL that makes the types of one's own that TYPES holds. */
export const OWN_TYPES = `create extension hstore; create extension citext;
create type mood as enum ('good', 'it''s', '', 'a,b'); create domain price as numeric(10,2);
create type pair as (a integer, b text); create type textrange as range (subtype = text, collation = "C")`

const mood = among('good', "it's", '', 'a,b')
const price = mixed(among('NaN'), digits(8, 2))

export const TYPES: Readonly<Record<string, Expression>> = {
  smallint: whole(16n),
  integer: whole(32n),
  bigint: whole(64n),
  numeric: mixed(among('NaN', 'Infinity', '-Infinity', '1e-300', '1.500'), free),
  'numeric(10,2)': digits(8, 2),
  'numeric(12,3)': mixed(among('NaN'), digits(9, 3)),
  'numeric(38,10)': digits(28, 10),
  'numeric(4,4)': literal(fc.stringMatching(/^-?0\.\d{4}$/)),
  'numeric(5,-2)': digits(6, 0),
  'numeric(60,30)': digits(30, 30),
  real: floats(fc.float()),
  'double precision': doubles,
  money: literal(
    fc
      .bigInt(-(10n ** 15n), 10n ** 15n)
      .map(
        (cents) =>
          `${cents / 100n}.${String(cents < 0n ? -(cents % 100n) : cents % 100n).padStart(2, '0')}`,
      ),
  ),
  boolean: among('t', 'f'),
  date: mixed(infinite, day(LAST_DAY)),
  time: mixed(among('24:00', '00:00'), literal(clock)),
  'time(3)': literal(clock),
  timetz: literal(fc.tuple(clock, offset).map(([time, zone]) => `${time}${zone}`)),
  timestamp: mixed(infinite, moment),
  'timestamp(3)': mixed(infinite, moment),
  timestamptz: mixed(
    infinite,
    moment.map((value) => `${value} at time zone 'UTC'`),
  ),
  interval: span,
  text: texts,
  'varchar(5)': cut(5),
  'char(3)': cut(3),
  name: plain,
  '"char"': literal(fc.stringMatching(/^[ -~]?$/)),
  citext: texts,
  json,
  jsonb: json,
  xml: plain.map((value) => `xmlelement(name a, ${value})`),
  tsvector: plain.map((value) => `to_tsvector('simple', ${value})`),
  bytea: literal(hex),
  'bit(3)': literal(bits({ minLength: 3, maxLength: 3 })),
  'bit varying': literal(bits({ maxLength: 70 })),
  uuid: literal(fc.uuid()),
  inet: literal(host),
  cidr: literal(host).map((value) => `network(${value}::inet)`),
  macaddr: mac(6),
  macaddr8: mac(8),
  oid: number(0, 2_147_483_647),
  pg_lsn: literal(
    fc.tuple(fc.nat(), fc.nat()).map(([a, b]) => `${a.toString(16)}/${b.toString(16)}`),
  ),
  point: fc.tuple(doubles, doubles).map(([x, y]) => `point(${x}, ${y})`),
  mood,
  price,
  pair: fc
    .tuple(fc.option(number(-5, 5)), fc.option(texts))
    .map(([a, b]) => `row(${a ?? 'null'}, ${b ?? 'null'})`),
  hstore: fc
    .tuple(texts, fc.option(texts))
    .map(([key, value]) => `hstore(${key}, ${value ?? 'null'})`),
  int4range: range('int4range', number(-1000, 1000), 'integer'),
  numrange: range('numrange', free, 'numeric'),
  tstzrange: range(
    'tstzrange',
    moment.map((value) => `${value} at time zone 'UTC'`),
    'timestamptz',
  ),
  textrange: range('textrange', texts, 'text collate "C"'),
  int4multirange: range('int4range', number(-1000, 1000), 'integer').map(
    (value) => `int4multirange(${value.startsWith("'") ? `${value}::int4range` : value})`,
  ),
  'integer[]': list(whole(32n), 'integer'),
  'text[]': list(texts, 'text'),
  'numeric(6,2)[]': list(digits(4, 2), 'numeric(6,2)'),
  'timestamptz[]': list(
    mixed(
      infinite,
      moment.map((value) => `${value} at time zone 'UTC'`),
    ),
    'timestamptz',
  ),
  'bytea[]': list(literal(hex), 'bytea'),
  'jsonb[]': list(json, 'jsonb'),
  'mood[]': list(mood, 'mood'),
  'pair[]': list(
    fc.tuple(number(-5, 5), texts).map(([a, b]) => `row(${a}, ${b})`),
    'pair',
  ),
  'price[]': list(price, 'price'),
  'hstore[]': list(
    texts.map((value) => `hstore('k', ${value})`),
    'hstore',
  ),
}
