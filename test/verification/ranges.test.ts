/** Ranges of whole numbers: what DuckDB puts into one, and what a server is asked for of it, must be the same rows. */
import { tmpdir } from 'node:os'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import { rowsInRanges } from '../../src/extraction/read-some.ts'
import type { KeyRange } from '../../src/sources/source.ts'
import {
  addSums,
  boundsOf,
  createSums,
  insertSums,
  RANGES,
  spansOver,
  totalSums,
} from '../../src/verification/ranges.ts'

let engine: Engine
beforeAll(async () => {
  engine = await openEngine({ tempFolder: tmpdir() })
})
afterAll(() => engine.close())

const [LEAST, GREATEST] = [-(2n ** 63n), 2n ** 63n - 1n]
/** Close to zero, to both ends, and anywhere. */
const key = fc.oneof(
  fc.bigInt({ min: -3000n, max: 3000n }),
  fc.bigInt({ min: LEAST, max: LEAST + 2000n }),
  fc.bigInt({ min: GREATEST - 2000n, max: GREATEST }),
  fc.bigInt({ min: LEAST, max: GREATEST }),
)
const lies = (value: bigint, { least, below }: KeyRange): boolean =>
  (least === null || value >= least) && (below === null || value < below)

test('P2: every key lies in the bounds of its own range and of no other, wherever the ranges begin and end', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(key, key),
      fc.uniqueArray(key, { minLength: 1, maxLength: 30 }),
      fc.array(fc.nat(RANGES - 1), { maxLength: 5 }),
      async (ends, keys, others) => {
        const [least, greatest] = ends[0] <= ends[1] ? ends : ([ends[1], ends[0]] as const)
        const spans = spansOver(least, greatest)
        const most = Number(spans.last - spans.first)
        expect(most).toBeLessThan(RANGES)
        const relation = `(select c0 from (values ${keys.map((value) => `('${value}')`).join(', ')}) as t(c0))`
        const shape = { width: 1, key: [0], spans }
        const found = new Map<bigint, number>()
        for (const value of keys) {
          await engine.run(createSums('sums'))
          await engine.run(addSums('sums', `(select '${value}' as c0)`, shape))
          const [row] = await engine.rows(totalSums('sums'))
          found.set(value, Number(row?.['range']))
        }
        const asked = [...new Set([...others, ...found.values()])]
          .filter((range) => range <= most)
          .toSorted((a, b) => a - b)
        for (const some of [asked, asked.slice(1), asked.slice(0, 1)]) {
          const bounds = boundsOf(spans, some)
          const expected = keys.filter((value) => some.includes(found.get(value) ?? -1))
          expect(keys.filter((value) => bounds.some((range) => lies(value, range)))).toEqual(
            expected,
          )
          // Neighbours are one.
          expect(bounds.length).toBeLessThanOrEqual(some.length)
          const rows = await engine.rows(
            `select k::varchar as k from (${rowsInRanges(`select c0::bigint as id, c0 as k from ${relation}`, { rangedBy: 'id' }, bounds)})`,
          )
          expect(rows.map((row) => String(row['k'])).toSorted()).toEqual(
            expected.map(String).toSorted(),
          )
        }
      },
    ),
    { numRuns: 60 },
  )
})

test('P11: neighbours are asked for as one range, and what lies between two that are none is not', () => {
  const spans = spansOver(0n, 1023n)
  const asked = boundsOf(spans, [0, 3, 5, 6, 9, 1023])
  expect(asked.map(({ least, below }) => `${least} ${below}`)).toEqual([
    'null 1',
    '3 4',
    '5 7',
    '9 10',
    '1023 null',
  ])
  expect(boundsOf(spansOver(-3000n, 3000n), [1, 2])).toEqual([{ least: -2992n, below: -2976n }])
})

test('P12: sums that are put back are those that were taken, and one that is lost is missed', async () => {
  const shape = { width: 1, key: [0], spans: spansOver(1n, 5000n) }
  await engine.run(createSums('before'))
  await engine.run(addSums('before', '(select i::varchar as c0 from range(5000) r(i))', shape))
  const sums = (await engine.rows(totalSums('before'))).map((row) => ({
    range: Number(row['range']),
    rows: BigInt(row['rows'] ?? 0),
    sum: BigInt(row['sum'] ?? 0),
  }))
  expect(sums.length).toBeGreaterThan(500)
  const sorted = async (table: string): Promise<unknown> =>
    engine.rows(`select * from (${totalSums(table)}) order by range`)
  await engine.run(createSums('after'))
  await engine.run(insertSums('after', sums))
  expect(await sorted('after')).toEqual(await sorted('before'))
  await engine.run(createSums('none'))
  await engine.run(insertSums('none', []))
  expect(await sorted('none')).toEqual([])
})
