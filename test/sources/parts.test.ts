/** How a large table is divided. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { divideKeys, dividePages, inPart, type KeyPart } from '../../src/sources/parts.ts'

test('P2: every page lies in exactly one part, and a part is the same when the table has grown', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2000 }),
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 0, max: 500 }),
      (pages, each, more) => {
        const parts = dividePages(pages, each)
        if (pages <= each) return parts.length === 0
        for (let page = 0; page < pages; page++)
          if (parts.filter(({ from, to }) => page >= from && page < to).length !== 1) return false
        const grown = dividePages(pages + more, each)
        return JSON.stringify(grown.slice(0, parts.length)) === JSON.stringify(parts)
      },
    ),
  )
})

test('a part is a condition on the place of a row', () => {
  const [, second] = dividePages(20_000)
  expect(second?.id).toBe('pages 8192 to 16383')
  expect(second === undefined ? '' : inPart(second)).toBe(
    `ctid >= '(8192,0)'::pg_catalog.tid and ctid < '(16384,0)'::pg_catalog.tid`,
  )
})

const holds = ({ least, below }: KeyPart, key: bigint): boolean =>
  (least === null || key >= least) && (below === null || key < below)

test('P2: every key lies in exactly one part, whatever the span, and nearly all parts are the same when it has grown', () => {
  const key = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
  const near = fc.bigInt({ min: -5000n, max: 5000n })
  let divided = 0
  fc.assert(
    fc.property(
      fc.oneof(fc.tuple(key, key), fc.tuple(near, near)),
      fc.integer({ min: 0, max: 500 }),
      fc.array(fc.oneof(key, near), { minLength: 1, maxLength: 20 }),
      ([one, other], pages, keys) => {
        const [least, greatest] = one < other ? [one, other] : [other, one]
        const parts = divideKeys({ column: 'k', least, greatest }, pages, 10)
        if (pages <= 10 || least === greatest) return parts.length === 0
        // Bounds are multiples of the width, so that there may be one more than was wanted.
        if (parts.length === 1 || parts.length > Math.ceil(pages / 10) + 1) return false
        if (parts.length === 0) return true
        divided += 1
        for (const tried of [...keys, least, greatest])
          if (parts.filter((part) => holds(part, tried)).length !== 1) return false
        const grown = divideKeys({ column: 'k', least, greatest: greatest + 1n }, pages, 10)
        const kept = parts.filter(({ id }) => grown.some((part) => part.id === id)).length
        // Unless the width has doubled, for one part more.
        return kept >= parts.length - 1 || grown.length <= (parts.length + 1) / 2 + 1
      },
    ),
  )
  expect(divided).toBeGreaterThan(20)
})

test('a part is a condition on the key, open at both ends', () => {
  const parts = divideKeys({ column: 'a "b"', least: -3n, greatest: 9n }, 40, 10)
  expect(parts.map(inPart)).toEqual([
    `"a ""b""" < '0'::pg_catalog.int8`,
    `"a ""b""" >= '0'::pg_catalog.int8 and "a ""b""" < '4'::pg_catalog.int8`,
    `"a ""b""" >= '4'::pg_catalog.int8 and "a ""b""" < '8'::pg_catalog.int8`,
    `"a ""b""" >= '8'::pg_catalog.int8`,
  ])
  expect(parts.map(({ id }) => id)).toEqual([
    'keys below 0',
    'keys from 0 below 4',
    'keys from 4 below 8',
    'keys from 8 on',
  ])
})
