/** Decimals read from text by the quick way are those of DuckDB's own cast, at every width and edge. */
import fc from 'fast-check'
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import { quoteText } from '../../src/columns/sql.ts'
import { fromText } from '../../src/columns/text.ts'

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
