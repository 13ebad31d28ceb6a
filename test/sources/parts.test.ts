/** How a large table is divided. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { dividePages, inPart } from '../../src/sources/parts.ts'

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
          expect(parts.filter(({ from, to }) => page >= from && page < to)).toHaveLength(1)
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
