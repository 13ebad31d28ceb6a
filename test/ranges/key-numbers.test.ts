/** What number DuckDB says a key has, against one that was reckoned without it. */
import { tmpdir } from 'node:os'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import { quoteText } from '../../src/columns/sql.ts'
import { numbersOf } from '../../src/ranges/key-numbers.ts'
import { NUMBERED_KEYS } from '../support/numbered-keys.ts'

let engine: Engine
beforeAll(async () => {
  engine = await openEngine({ tempFolder: tmpdir() })
})
afterAll(() => engine.close())

function known(type: string): NonNullable<ReturnType<typeof numbersOf>> {
  const numbers = numbersOf(type)
  if (numbers === undefined) throw new Error(`no numbers of ${type}`)
  return numbers
}

async function numbersInDuckDB(
  type: string,
  texts: readonly string[],
  shift = 0,
): Promise<(bigint | null)[]> {
  const values = texts.map((text, index) => `(${index}, ${quoteText(text)})`)
  const rows = await engine.rows(
    `select ${known(type).number('t', shift)}::${known(type).type} as n from (values ${values.join(', ')}) as r(i, t) order by i`,
  )
  return rows.map(({ n }) => (n === null ? null : BigInt(n ?? Number.NaN)))
}

describe.each(Object.keys(NUMBERED_KEYS))('%s', (type) => {
  const keys = NUMBERED_KEYS[type] ?? fc.constant({ text: '', number: 0n })

  test('P2: every key has its number, and one beyond all bounds lies beyond them', async () => {
    const { least, greatest } = known(type)
    await fc.assert(
      fc.asyncProperty(fc.array(keys, { minLength: 1, maxLength: 200 }), async (some) => {
        const found = await numbersInDuckDB(
          type,
          some.map(({ text }) => text),
        )
        for (const [index, { text, number }] of some.entries()) {
          const has = found[index] ?? greatest
          if (number === 'least' || (typeof number === 'bigint' && number < least))
            expect([text, has < least]).toEqual([text, true])
          else if (number === 'greatest' || number > greatest)
            expect([text, has >= greatest]).toEqual([text, true])
          else expect([text, has]).toEqual([text, number])
        }
      }),
      { numRuns: 30 },
    )
  })

  test('P2: a number without its lowest bits is the number divided', async () => {
    const most = known(type).type === 'BIGINT' ? 62 : 124
    // In between, 64 bits of 128 are left.
    const shifts = fc.oneof(fc.nat(most), fc.constant(most / 2 + 2))
    await fc.assert(
      fc.asyncProperty(
        fc.array(keys, { minLength: 1, maxLength: 50 }),
        shifts,
        async (some, shift) => {
          const texts = some.map(({ text }) => text)
          const whole = await numbersInDuckDB(type, texts)
          expect(await numbersInDuckDB(type, texts, shift)).toEqual(
            whole.map((number) => (number === null ? null : number >> BigInt(shift))),
          )
        },
      ),
      { numRuns: 40 },
    )
  })

  test('P2: the key that a server is told for a number is one that has it', async () => {
    const { least, greatest } = known(type)
    const number = fc.oneof(
      fc.constantFrom(least, least + 1n, greatest - 1n, greatest),
      fc.bigInt({ min: least, max: greatest }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(number, { minLength: 1, maxLength: 100 }), async (some) => {
        const told = some.map((one) => /^'(.*)'::[a-z]+$/.exec(known(type).key(one))?.[1] ?? '')
        expect(await numbersInDuckDB(type, told)).toEqual(some)
      }),
      { numRuns: 10 },
    )
  })

  test('P12: what is no such key stops nothing, as only a damaged lake has it', async () => {
    expect(await numbersInDuckDB(type, ['', 'x', '-'])).toHaveLength(3)
  })
})

/** Of each type that the server knows apart: between which keys bounds may lie. */
const ENDS: Readonly<Record<string, readonly [least: string, greatest: string]>> = {
  smallint: [`'-9223372036854775808'::bigint`, `'9223372036854775807'::bigint`],
  numeric: [`'-1${'0'.repeat(37)}'::numeric`, `'1${'0'.repeat(37)}'::numeric`],
  uuid: [
    `'00000000-0000-0000-0000-000000000000'::uuid`,
    `'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid`,
  ],
  date: [`'0001-01-01'::date`, `'9999-12-31'::date`],
  'timestamp without time zone': [
    `'0001-01-01 00:00:00.000000'::timestamp`,
    `'9999-12-31 23:59:59.999999'::timestamp`,
  ],
  'timestamp(0) with time zone': [
    `'0001-01-01 00:00:00.000000+00'::timestamptz`,
    `'9999-12-31 23:59:59.999999+00'::timestamptz`,
  ],
}

test.each(Object.entries(ENDS))(
  'P2: bounds over %s lie where server and DuckDB both read them',
  (type, ends) => {
    const { least, greatest, key } = known(type)
    expect([key(least), key(greatest)]).toEqual(ends)
  },
)

test('P2: types whose order is not known have no numbers', () => {
  const others = (
    'text|character varying(8)|real|time without time zone|interval|integer[]|my.integer|bigint[]|numeric(10,2)[]|' +
    'my.numeric|uuid[]|date[]|timestamp with time zone[]|my.timestamp with time zone|'
  ).split('|')
  expect(others.filter((type) => numbersOf(type) !== undefined)).toEqual([])
  expect(numbersOf('numeric(38,10)')).toBe(numbersOf('numeric'))
  expect(numbersOf('timestamp(3) with time zone')).toBe(numbersOf('timestamp with time zone'))
})
