/** The block that ends `tote rebuild`: a line a table, until they are so many that those that are equal hide the others. */
import { expect, test } from 'vitest'
import type { RebuiltTable, RunSummary } from '../../src/events.ts'
import { createStyle } from '../../src/terminal/style.ts'
import { renderSummary } from '../../src/terminal/summary.ts'

const instant = '2026-11-20T11:05:02.123456Z'
const EQUAL: RebuiltTable = { table: 'same', kind: 'fact', shape: 'same', rowsLive: 2, rowsRebuilt: 2, rowsEqual: 2 } // prettier-ignore

function show(tables: readonly RebuiltTable[]): string[] {
  const at = { batch: 3, instant }
  const summary: RunSummary = {
    run: 'r',
    project: 'shop',
    outcome: 'succeeded',
    startedAt: instant,
    ms: 1,
    stages: [],
    tables: [],
    models: [],
    warehouse: [],
    batches: { ingestion: {}, processed: null, warehouse: null },
    warnings: 0,
    rebuild: { outcome: 'compared', schema: 'public', from: at, to: at, tables },
  }
  return renderSummary(summary, { style: createStyle(false), now: new Date(instant), tote: 'tote' })
    .map((line) => line.trim().replaceAll(/ {2,}/g, ' | '))
    .filter((line) => line.includes(' | ') && !line.startsWith('Warehouse'))
}
const several = (count: number): RebuiltTable[] =>
  Array.from({ length: count }, (_, index) => ({ ...EQUAL, table: `t${index}` }))

const DIFFER: readonly RebuiltTable[] = [
  { ...EQUAL, table: 'lost', rowsLive: 1, rowsEqual: 1 },
  { ...EQUAL, table: 'other', shape: 'differs', rowsEqual: 0 },
]
const NEW: RebuiltTable = { ...EQUAL, table: 'new', shape: 'absent', rowsLive: null, rowsEqual: 0 }
const LINES = [
  'lost | fact | 1 | 2 | 1 | ✖ differ',
  'other | fact | 2 | 2 | ▲ other columns or key',
]

test('few are listed each', () => {
  expect(show([EQUAL, ...DIFFER, NEW])).toEqual([
    'same | fact | 2 | 2 | 2 | ✔',
    ...LINES,
    'new | fact | 2 | new',
  ])
})

test('P12: of very many those that differ are listed, and the others counted', () => {
  expect(show([...several(1000), ...DIFFER, NEW, NEW])).toEqual([
    ...LINES,
    '2 tables new | 4 | new',
    '1,000 tables equal | 2,000 | 2,000 | 2,000 | ✔',
  ])
})
