/** A run by hand: two changed source tables and one unchanged, a dimension, a fact, and a warning. */
import { TerminalOnly, type Context, type NewEvent, type RunSummary } from '../../src/events.ts'

const staff = {
  source: 'totesys',
  table: 'staff',
  inserted: 2,
  updated: 1,
  deleted: 1,
  rowsInSource: 21,
  rowsInLake: 21,
}
const orders = {
  source: 'totesys',
  table: 'sales_order',
  inserted: 1200,
  updated: 4,
  deleted: 0,
  rowsInSource: 12_204,
  rowsInLake: 12_204,
}
const currency = {
  source: 'totesys',
  table: 'currency',
  inserted: 0,
  updated: 0,
  deleted: 0,
  rowsInSource: 3,
  rowsInLake: 3,
}
const dimension = {
  model: 'dim_staff',
  kind: 'dimension',
  inserted: 2,
  updated: 1,
  deleted: 1,
  rowsInLake: 21,
  ways: { full: 1, driven: 0, skipped: 0 },
} as const
const fact = {
  model: 'fact_sales_order',
  kind: 'fact',
  inserted: 1200,
  updated: 4,
  deleted: 0,
  rowsInLake: 12_204,
  ways: { full: 0, driven: 1, skipped: 0 },
} as const
const loadedDimension = {
  table: 'dim_staff',
  kind: 'dimension',
  rowsLoaded: 3,
  rowsDeleted: 1,
  rowsCurrent: 21,
} as const
const loadedFact = {
  table: 'fact_sales_order',
  kind: 'fact',
  rowsLoaded: 1204,
  rowsDeleted: 0,
  rowsCurrent: 12_204,
} as const
const instant = '2026-11-20T11:05:02.123456Z'

export const SECRET_KEY = 'staff_id 4711'

export function sampleSummary(changes: Partial<RunSummary> = {}): RunSummary {
  return {
    run: 'unstamped',
    project: 'shop',
    outcome: 'succeeded',
    startedAt: '2026-11-20T11:06:40.000Z',
    ms: 6214,
    stages: [
      { stage: 'extract', ms: 412, outcome: 'done' },
      { stage: 'transform', ms: 1204, outcome: 'done' },
      { stage: 'load', ms: 733, outcome: 'done' },
    ],
    tables: [staff, orders, currency],
    models: [dimension, fact],
    warehouse: [loadedDimension, loadedFact],
    batches: {
      ingestion: { totesys: { batch: 3, instant } },
      processed: { batch: 3, instant },
      warehouse: { batch: 3, instant },
    },
    warnings: 1,
    ...changes,
  }
}

export function sampleEvents(summary: RunSummary): NewEvent[] {
  return [
    { type: 'run.started', project: 'shop', command: 'run' },
    { type: 'stage.started', stage: 'extract' },
    { type: 'table.progress', stage: 'extract', table: 'sales_order', rows: 912, bytes: 3_100_000 },
    { type: 'table.extracted', ms: 120, ...staff },
    { type: 'table.extracted', ms: 300, ...orders },
    { type: 'table.extracted', ms: 12, ...currency },
    { type: 'manifest.committed', chain: 'totesys', number: 3, batch: 3, instant },
    { type: 'stage.finished', stage: 'extract', ms: 412, outcome: 'done' },
    { type: 'stage.started', stage: 'transform' },
    { type: 'model.evaluated', ms: 90, batch: 3, ...dimension },
    { type: 'model.evaluated', ms: 700, batch: 3, ...fact },
    {
      type: 'check.failed',
      model: 'dim_staff',
      check: 'unique(email)',
      severity: 'warn',
      rows: 1,
      keys: new TerminalOnly([SECRET_KEY]),
    },
    { type: 'stage.finished', stage: 'transform', ms: 1204, outcome: 'done' },
    { type: 'stage.started', stage: 'load' },
    { type: 'table.loaded', batch: 3, ms: 80, ...loadedDimension },
    { type: 'table.loaded', batch: 3, ms: 500, ...loadedFact },
    { type: 'stage.finished', stage: 'load', ms: 733, outcome: 'done' },
    { type: 'run.finished', summary },
  ]
}

/** What the pipeline's `run` does, by hand. */
export async function playRun(
  context: Context,
  changes: Partial<RunSummary> = {},
): Promise<{ summary: RunSummary }> {
  const summary = sampleSummary({
    run: context.run,
    startedAt: context.now().toISOString(),
    ...changes,
  })
  for (const event of sampleEvents(summary)) context.emit(event)
  return { summary }
}
