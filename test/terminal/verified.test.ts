/** The block that ends `tote verify`: a line a table, until they are so many that those that are equal hide the others. */
import { expect, test } from 'vitest'
import { TerminalOnly, type VerifiedTable } from '../../src/events.ts'
import { createStyle } from '../../src/terminal/style.ts'
import { verifiedTables } from '../../src/terminal/verified.ts'

const EQUAL: VerifiedTable = {
  what: 'source',
  source: 'shop',
  table: 'sale',
  rowsExpected: 2,
  rowsFound: 2,
  missing: 0,
  extra: 0,
  different: 0,
  columns: {},
  keys: new TerminalOnly([]),
  rangesDiffer: 0,
  repaired: false,
}
const show = (found: readonly VerifiedTable[]): string[] =>
  verifiedTables(found, { style: createStyle(false), ownTerminal: false }).map((line) =>
    line.trim().replaceAll(/ {2,}/g, ' | '),
  )
const several = (count: number): VerifiedTable[] =>
  Array.from({ length: count }, (_, index) => ({ ...EQUAL, table: `t${index}` }))

test('few are listed each', () => {
  const lines = show(several(3))
  expect(lines).toHaveLength(5)
  expect(lines[1]).toBe('shop.t0 | source → lake | 2 | 2 | – | – | – | ✔')
  expect(lines[4]).toBe('all | 6 | 6 | – | – | – | ✔')
})

test('P12: of very many those that differ are listed, and the others counted by what was compared', () => {
  const bad: VerifiedTable = { ...EQUAL, table: 'lost', rowsFound: 1, missing: 1 }
  const found = [
    ...several(1500),
    bad,
    ...several(700).map((one) => ({ ...one, what: 'warehouse' }) as const),
  ]
  expect(show(found).slice(1)).toEqual([
    'shop.lost | source → lake | 2 | 1 | 1 | – | – | ✖ differ',
    '1,500 tables equal | source → lake | 3,000 | 3,000 | – | – | – | ✔',
    '700 tables equal | lake → warehouse | 1,400 | 1,400 | – | – | – | ✔',
    'all | 4,402 | 4,401 | 1 | – | – | ✖ differ',
  ])
  expect(show(several(2000)).slice(1)).toEqual([
    '2,000 tables equal | source → lake | 4,000 | 4,000 | – | – | – | ✔',
    'all | 4,000 | 4,000 | – | – | – | ✔',
  ])
})
