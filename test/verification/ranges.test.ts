/** Sums of ranges, as they are kept from one comparison to the next. */
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import { WHOLE } from '../../src/ranges/key-numbers.ts'
import { spansOver } from '../../src/ranges/key-spans.ts'
import { addSums, createSums, insertSums, totalSums } from '../../src/verification/ranges.ts'

let engine: Engine
beforeAll(async () => {
  engine = await openEngine({ tempFolder: tmpdir() })
})
afterAll(() => engine.close())

test('P12: sums that are put back are those that were taken, and one that is lost is missed', async () => {
  const shape = { width: 2, key: [1], spans: spansOver(WHOLE, 1n, 5000n) }
  await engine.run(createSums('before'))
  await engine.run(
    addSums('before', "(select 'v' as c0, i::varchar as c1 from range(5000) r(i))", shape),
  )
  const sums = (await engine.rows(totalSums('before'))).map((row) => ({
    range: Number(row['range']),
    rows: BigInt(row['rows'] ?? 0),
    sum: BigInt(row['sum'] ?? 0),
  }))
  // Eight keys each.
  expect(sums).toHaveLength(625)
  expect(sums.every(({ rows }) => rows === 8n)).toBe(true)
  const sorted = async (table: string): Promise<unknown> =>
    engine.rows(`select * from (${totalSums(table)}) order by range`)
  await engine.run(createSums('after'))
  await engine.run(insertSums('after', sums))
  expect(await sorted('after')).toEqual(await sorted('before'))
  await engine.run(createSums('none'))
  await engine.run(insertSums('none', []))
  expect(await sorted('none')).toEqual([])
})
