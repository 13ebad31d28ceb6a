/** Texts as PostgreSQL prints them become values, and values those texts again; decimals by the quick way too. */
import fc from 'fast-check'
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import { quoteText } from '../../src/columns/sql.ts'
import { fromText, isUncarried, toLine, toText } from '../../src/columns/text.ts'

let engine: Engine
beforeAll(async () => {
  engine = await openEngine({ tempFolder: tmpdir() })
})
afterAll(() => engine.close())

async function outcome(sql: string): Promise<string> {
  return engine.rows(sql).then(
    (rows) => JSON.stringify(rows.map(Object.values)),
    () => 'refused',
  )
}

const decimal = fc
  .integer({ min: 19, max: 38 })
  .chain((precision) =>
    fc.tuple(fc.constant(precision), fc.integer({ min: 0, max: Math.min(18, precision) })),
  )
  .chain(([precision, scale]) =>
    fc.record({
      type: fc.constant(`DECIMAL(${precision},${scale})`),
      sign: fc.constantFrom('', '-'),
      // Also one digit too many, which must be refused.
      whole: fc.stringMatching(new RegExp(`^(0|[1-9][0-9]{0,${precision - scale}})$`)),
      part: fc.stringMatching(new RegExp(`^[0-9]{${scale}}$`)),
    }),
  )

test('P8: a wide decimal is what DuckDB makes of its text, or is refused as DuckDB does', async () => {
  await fc.assert(
    fc.asyncProperty(decimal, async ({ type, sign, whole, part }) => {
      const text = `${sign}${whole}${part === '' ? '' : `.${part}`}`
      const from = `from (select ${quoteText(text)} as c)`
      expect(await outcome(`select cast(${fromText('c', type)} as varchar) as v ${from}`)).toBe(
        await outcome(`select cast(cast(c as ${type}) as varchar) as v ${from}`),
      )
    }),
    { numRuns: 300 },
  )
  for (const odd of ['NaN', 'Infinity', '', 'x']) {
    const read = fromText('c', 'DECIMAL(20,8)')
    expect(await outcome(`select ${read} as v from (select ${quoteText(odd)} as c)`)).toBe(
      'refused',
    )
  }
})

/** As PostgreSQL prints them with the settings of a batch (postgres/session.ts), by the type that carries them. */
const TEXTS: Readonly<Record<string, readonly string[]>> = {
  BOOLEAN: ['t', 'f'],
  SMALLINT: ['0', '-32768', '32767'],
  BIGINT: ['-9223372036854775808', '9223372036854775807'],
  FLOAT: ['0', '-0', '1.5', '-1e+20', 'Infinity', '-Infinity', 'NaN'],
  DOUBLE: ['0', '1.5', 'Infinity', '-Infinity', 'NaN'],
  'DECIMAL(3,3)': ['0.000', '-0.001', '0.999'],
  'DECIMAL(10,2)': ['0.00', '-0.01', '12345678.90'],
  'DECIMAL(38,10)': ['0.0000000001', '-1234567890123456789012345678.0123456789'],
  BLOB: [String.raw`\x`, String.raw`\x00ff5c`],
  UUID: ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  DATE: ['2026-11-27', '0044-03-15 BC', '0001-01-01', 'infinity', '-infinity'],
  TIMESTAMP: ['2026-11-27 09:30:00.123456', '0044-03-15 23:59:59 BC', 'infinity'],
  'TIMESTAMP WITH TIME ZONE': [
    '2026-11-27 09:30:00.5+00',
    '0044-03-15 01:02:03+00 BC',
    '0001-01-01 00:00:00.000001+00',
    '10000-01-01 00:00:00+00',
    '294247-01-09 23:59:59.999999+00',
    'infinity',
    '-infinity',
  ],
  TIME: ['00:00:00', '23:59:59.999999'],
  VARCHAR: ['', ' x ', "it's", '0044-03-15 BC', String.raw`\x`],
}

/** The one value of a `select` over the text. */
async function valueOf(expression: string, text: string): Promise<unknown> {
  const [row] = await engine.rows(`select ${expression} as v from (select ${quoteText(text)} as c)`)
  return row?.['v']
}

test.each(Object.entries(TEXTS))(
  'P8: a text of PostgreSQL is read as %s and printed as it was',
  async (carried, texts) => {
    for (const text of texts) {
      const value = `(${fromText('c', carried)})`
      expect(await valueOf(`typeof${value}`, text)).toBe(carried)
      // DuckDB prints floats its own way; what counts is that PostgreSQL reads the same.
      const printed = String(await valueOf(toText(value, carried), text))
      if (carried === 'FLOAT' && Number.isFinite(Number(text)))
        expect(Object.is(Number(printed), Number(text))).toBe(true)
      else expect(printed.replace(/\.0$/, ''), `${text}`).toBe(text)
      expect(await valueOf(isUncarried('c', carried), text)).toBe(false)
    }
  },
)

test('P8: an instant is printed as DuckDB prints it in UTC', async () => {
  const instants = `select make_timestamptz((hash(n)::hugeint % 200000000000000000 - 100000000000000000)::bigint) as c from range(20000) r(n)`
  const printed = toText('c', 'TIMESTAMP WITH TIME ZONE')
  const own = `case when c < '0001-01-01 00:00:00+00'::timestamptz then ${printed} else c::varchar end`
  const differ = `select count(*) filter (where ${printed} is distinct from ${own}) as n, count(*) filter (where ${printed} like '% BC') as bc from (${instants})`
  const [row] = await engine.rows(differ)
  expect(Number(row?.['n'])).toBe(0)
  expect(Number(row?.['bc'])).toBeGreaterThan(100)
})

test('P8: a date before our era is not read as one of it', async () => {
  expect(await valueOf(`year(${fromText('c', 'DATE')})`, '0044-03-15 BC')).toBe(-43n)
  expect(await valueOf(`epoch(${fromText('c', 'TIMESTAMP')})`, '0044-03-15 23:59:59 BC')).toBe(
    Date.parse('-000043-03-15T23:59:59Z') / 1000,
  )
})

test('texts pass as they are, and wide decimals of few digits behind the point the quick way', () => {
  expect([fromText('c', 'VARCHAR'), toText('c', 'VARCHAR')]).toEqual(['c', 'c'])
  expect(isUncarried('c', 'VARCHAR')).toBe('false')
  const quick = (carried: string): boolean => fromText('c', carried).includes('try_cast')
  expect(['DECIMAL(19,0)', 'DECIMAL(38,18)'].map(quick)).toEqual([true, true])
  expect(
    ['DECIMAL(18,18)', 'DECIMAL(38,19)', 'DECIMAL(20,8)[]', 'MAP(UUID, DECIMAL(20,8))'].map(quick),
  ).toEqual([false, false, false, false])
  const isPadded = (carried: string): boolean => toText('c', carried).includes(`'0.'`)
  expect(['DECIMAL(3,3)', 'DECIMAL(38,38)'].map(isPadded)).toEqual([true, true])
  expect(['DECIMAL(13,3)', 'DECIMAL(3,3)[]', 'MAP(UUID, DECIMAL(3,3))'].map(isPadded)).toEqual([
    false,
    false,
    false,
  ])
})

/** PostgreSQL, "COPY", Text Format. */
function written(text: string): string {
  const escapes: Readonly<Record<string, string>> = {
    '\\': '\\\\',
    '\b': '\\b',
    '\t': '\\t',
    '\n': '\\n',
    '\v': '\\v',
    '\f': '\\f',
    '\r': '\\r',
  }
  return text.replaceAll(/[\\\b\t\n\v\f\r]/g, (character) => escapes[character] ?? '')
}

test('P12: a row becomes the line that COPY prints of it, whatever its texts hold', async () => {
  const character = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.constantFrom('\\', '\b', '\t', '\n', '\v', '\f', '\r', 'b', 'N', ',', '"'),
    },
    { weight: 2, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }) },
  )
  const text = fc.string({ unit: character, maxLength: 8 }).filter((one) => !one.includes('\0'))
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ a: fc.option(text), b: text, n: fc.option(fc.integer()) }), {
        minLength: 1,
        maxLength: 12,
      }),
      async (rows) => {
        const line = toLine([
          { text: 'r.a', carried: 'VARCHAR', notNull: false },
          { text: 'r.b', carried: 'VARCHAR', notNull: true },
          { text: toText('r.n', 'BIGINT'), carried: 'BIGINT', notNull: false },
        ])
        const literal = (value: string | number | null): string =>
          value === null ? 'null' : typeof value === 'number' ? `${value}` : quoteText(value)
        const values = rows.map(
          ({ a, b, n }, place) => `(${place}, ${literal(a)}, ${literal(b)}, ${literal(n)}::bigint)`,
        )
        const lines = await engine.rows(
          `select ${line} as v from (values ${values.join(', ')}) r(place, a, b, n) order by place`,
        )
        expect(lines.map(({ v }) => v)).toEqual(
          rows.map(({ a, b, n }) =>
            [a === null ? '\\N' : written(a), written(b), n ?? '\\N'].join('\t'),
          ),
        )
      },
    ),
    { numRuns: 300 },
  )
})

test('P12: of a type whose texts hold nothing to be written otherwise none is looked at', () => {
  const line = (carried: string): string => toLine([{ text: 'x', carried, notNull: true }])
  const plain =
    'BOOLEAN TINYINT UTINYINT SMALLINT USMALLINT INTEGER UINTEGER BIGINT UBIGINT HUGEINT UHUGEINT DATE TIME TIMESTAMP UUID'
  for (const carried of [...plain.split(' '), 'DECIMAL(10,2)', 'TIMESTAMP WITH TIME ZONE'])
    expect([carried, line(carried)]).toEqual([carried, "concat_ws('\t', x)"])
  for (const carried of ['VARCHAR', 'BLOB', 'INTEGER[]', 'UUID[]', 'MYUUID', 'FLOAT'])
    expect([carried, line(carried).includes('replace(')]).toEqual([carried, true])
})

test('P8: what a type cannot hold is told, and raises where it is read', async () => {
  for (const [carried, text] of [
    ['SMALLINT', '32768'],
    ['DECIMAL(10,2)', 'NaN'],
    ['DECIMAL(10,2)', '123456789.00'],
    ['DATE', '9999999-01-01'],
    ['TIMESTAMP', '294276-12-31 00:00:00 x'],
    ['BOOLEAN', 'x'],
  ] as const) {
    expect(await valueOf(isUncarried('c', carried), text), `${text}`).toBe(true)
    expect(
      await outcome(`select ${fromText('c', carried)} from (select ${quoteText(text)} as c)`),
    ).toBe('refused')
  }
  // Text and bytes hold anything.
  for (const carried of ['VARCHAR', 'BLOB'])
    expect(await valueOf(isUncarried('c', carried), 'x')).toBe(false)
})
