/** Ranges of keys: what DuckDB puts into one, and what is asked for of it, must be the same keys. */
import { tmpdir } from 'node:os'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import { quoteText } from '../../src/columns/sql.ts'
import { rowsInRanges } from '../../src/extraction/read-rows.ts'
import { numbersOf, WHOLE } from '../../src/ranges/key-numbers.ts'
import type { KeyRange } from '../../src/ranges/key-range.ts'
import { boundsOf, chooseSpans, RANGES, spanOf, spansOver } from '../../src/ranges/key-spans.ts'
import { NUMBERED_KEYS, type NumberedKey } from '../support/numbered-keys.ts'

let engine: Engine
beforeAll(async () => {
  engine = await openEngine({ tempFolder: tmpdir() })
})
afterAll(() => engine.close())

const lies = (number: NumberedKey['number'], { least, below }: KeyRange): boolean => {
  if (number === 'least') return least === null
  if (number === 'greatest') return below === null
  return (least === null || number >= least) && (below === null || number < below)
}

describe.each(Object.keys(NUMBERED_KEYS))('%s', (type) => {
  const keys = NUMBERED_KEYS[type] ?? fc.constant({ text: '', number: 0n })
  const numbers = numbersOf(type) ?? WHOLE
  const ordinary = keys
    .map(({ number }) => number)
    .filter((number) => typeof number === 'bigint')
    .filter((number) => number >= numbers.least && number <= numbers.greatest)

  test('P2: every key lies in the bounds of its own range and of no other, wherever the ranges begin and end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(ordinary, ordinary),
        fc.uniqueArray(keys, { minLength: 1, maxLength: 30, selector: ({ text }) => text }),
        fc.array(fc.nat(RANGES - 1), { maxLength: 5 }),
        async (ends, some, others) => {
          const [least, greatest] = ends[0] <= ends[1] ? ends : ([ends[1], ends[0]] as const)
          const spans = spansOver(numbers, least, greatest)
          const most = Number(spans.last - spans.first)
          expect(most).toBeLessThan(RANGES)
          const relation = `select * from (values ${some.map(({ text }) => `(${quoteText(text)})`).join(', ')}) as t(k)`
          const rows = await engine.rows(
            `select k, ${spanOf('k', spans)}::bigint as range from (${relation})`,
          )
          const found = new Map(rows.map(({ k, range }) => [k, Number(range)]))
          const asked = [...new Set([...others, ...found.values()])]
            .filter((range) => range <= most)
            .toSorted((a, b) => a - b)
          for (const ranges of [asked, asked.slice(1), asked.slice(0, 1)]) {
            const bounds = boundsOf({ spans, chosen: ranges })
            const expected = some.filter(({ text }) => ranges.includes(found.get(text) ?? -1))
            const within = some.filter(({ number }) => bounds.some((one) => lies(number, one)))
            expect(within).toEqual(expected)
            // Neighbours are one.
            expect(bounds.length).toBeLessThanOrEqual(ranges.length)
            const kept = await engine.rows(
              rowsInRanges(
                relation,
                { rangedBy: { column: 'k', numbers } },
                [{ name: 'k', carried: 'VARCHAR' }],
                { spans, chosen: ranges },
              ),
            )
            const texts = expected.map(({ text }) => text)
            expect(kept.map(({ k }) => String(k)).toSorted()).toEqual(texts.toSorted())
          }
        },
      ),
      { numRuns: 30 },
    )
  })
})

test('P11: neighbours are asked for as one range, and what lies between two that are none is not', () => {
  const spans = spansOver(WHOLE, 0n, 1023n)
  const asked = boundsOf({ spans, chosen: [0, 3, 5, 6, 9, 1023] })
  expect(asked.map(({ least, below }) => `${least} ${below}`)).toEqual([
    'null 1',
    '3 4',
    '5 7',
    '9 10',
    '1023 null',
  ])
  expect(boundsOf({ spans: spansOver(WHOLE, -3000n, 3000n), chosen: [1, 2] })).toEqual([
    { least: -2992n, below: -2976n },
  ])
})

test('P12: what is no key lies in a range, too, as only a damaged lake has it', async () => {
  const spans = spansOver(WHOLE, 0n, 99n)
  const range = async (text: string): Promise<unknown> =>
    (await engine.rows(`select ${spanOf(text, spans)}::bigint as range`))[0]?.['range']
  expect(await range(`'x'`)).toBe(99n)
  expect(await range('null::varchar')).toBe(99n)
  expect(await range(`'99'`)).toBe(99n)
  expect(await range(`'-1'`)).toBe(0n)
})

test('P12: of no ranges there are no rows, and no table is read by ranges that has none', async () => {
  const rows = `select 1 as k`
  const columns = [{ name: 'k', carried: 'BIGINT' }]
  const rangedBy = { column: 'k', numbers: WHOLE }
  const none = { spans: spansOver(WHOLE, 0n, 9n), chosen: [] }
  expect(await engine.rows(rowsInRanges(rows, { rangedBy }, columns, none))).toEqual([])
  expect(() => rowsInRanges(rows, {}, columns, none)).toThrow(RangeError)
})

test('P11: more than a quarter of the ranges, or of a key that has none, is all of the table', () => {
  const spans = spansOver(WHOLE, 0n, 1023n)
  const ranges = Array.from({ length: RANGES / 4 + 1 }, (_, range) => range)
  expect(chooseSpans(spans, ranges)).toBeNull()
  expect(chooseSpans(spans, ranges.slice(1))).toEqual({ spans, chosen: ranges.slice(1) })
  expect(chooseSpans(undefined, [])).toBeNull()
})
