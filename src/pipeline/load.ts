/**
 * Load: the processed batches that the warehouse has not yet applied, in order, each at most once and
 * each in one transaction (P4, P5). It needs nothing but the lake: no source, no model file.
 */
import { ToteError } from '../errors.ts'
import type { Context, WarehouseTableSummary } from '../events.ts'
import { generationOf, type CommittedManifest } from '../lake/manifest.ts'
import type { LedgerEntry, StarChanges } from '../warehouse/warehouse.ts'
import type { Engine } from '../columns/engine.ts'
import { batchMarks } from '../project/points.ts'
import type { Project } from '../project/project.ts'
import { wholeStar } from './history.ts'
import {
  checkManifest,
  firstOfGeneration,
  liveStar,
  loadRestatement,
  refuseMissing,
} from './load-restated.ts'
import { entryOf, starOf, tableChanges } from './star.ts'

export interface Loaded {
  readonly batches: number
  readonly tables: readonly WarehouseTableSummary[]
  readonly last: LedgerEntry | null
}

/** So many are no faster with more than one core. */
const FEW_ROWS = 20_000

/** Applies all that is pending. Throws LedgerMismatch, WarehouseShapeMismatch, WarehouseDependents, CountMismatch, Warehouse*. */
export async function load(project: Project, context: Context): Promise<Loaded> {
  // The lake after the ledger: another run may commit and load meanwhile, and the lake is never behind.
  const last = await project.warehouse.last(project.name)
  const newest = await project.processed.chain(project.name).newest()
  await refuseForeignLedger(project, newest, last)
  if (newest === null) return { batches: 0, tables: [], last }
  if (last?.schema === null)
    context.emit({
      type: 'note',
      level: 'info',
      text: `an earlier version loaded the star and did not note where; from now on the ledger says schema "${project.settings.warehouse.schema}"`,
    })
  if (last === null && (newest.batch > 1 || generationOf(newest) > 1)) {
    const begun = await begin(project, newest, context)
    // Another run loaded meanwhile.
    return begun ?? load(project, context)
  }
  const tables = new Map<string, WarehouseTableSummary>()
  let entry: LedgerEntry | null = last
  let batches = 0
  const count = (applied: Applied): void => {
    if (applied.status === 'applied') batches += 1
    for (const table of applied.tables)
      tables.set(table.table, addRows(tables.get(table.table), table))
  }
  if (generationOf(newest) > (last?.generation ?? 1)) {
    const edited = await firstOfGeneration(project, newest)
    const restated = await loadRestatement(project, { edited, last }, context)
    // Another run loaded meanwhile: what is to be done is another thing now.
    if (restated.status === 'stale') return load(project, context)
    count({ ...restated, status: restated.status })
    entry = entryOf(project, edited, context)
  }
  const after = entry?.batch ?? 0
  if (newest.batch === after) {
    if (batches === 0) {
      await refuseMissing(project, entry, starOf(newest))
      if (last?.schema === null) await project.warehouse.upgradeLedger(project.name)
      await project.warehouse.keepReaders(starOf(newest))
    }
    return { batches, tables: [...tables.values()], last: entry }
  }
  // What the last of several batches needs must be known before the first is loaded.
  if (newest.batch > after + 1)
    await project.warehouse.check(starOf(newest), await liveStar(project, entry))
  const engine = await project.engine(context.signal)
  try {
    const chain = project.processed.chain(project.name)
    for (const mark of await batchMarks(project.processed, project.name, newest, after)) {
      context.signal.throwIfAborted()
      const manifest = await chain.read(mark.manifest)
      const changes = await changesOf(project, engine, newest, manifest)
      const rows = changes.reduce((sum, { upserts, deletes }) => sum + upserts + deletes, 0)
      engine.useCores(rows > FEW_ROWS ? 'all' : 'one')
      const next = entryOf(project, manifest, context)
      const live = await liveStar(project, entry)
      count(await project.warehouse.apply({ entry: next, changes, live }, context))
      entry = next
    }
  } finally {
    engine.close()
  }
  return { batches, tables: [...tables.values()], last: entry }
}

/** An empty warehouse gets all batches at once; null when it is not empty any more. */
async function begin(
  project: Project,
  newest: CommittedManifest,
  context: Context,
): Promise<Loaded | null> {
  const engine = await project.engine(context.signal)
  try {
    const whole = await wholeStar(project, engine, { newest, star: starOf(newest) }, context)
    const { status, tables } = await project.warehouse.begin(whole, context)
    return status === 'stale' ? null : { batches: newest.batch, tables, last: whole.entry }
  } finally {
    engine.close()
  }
}

/**
 * How many batches a load would apply. Throws what load would throw before it changes anything:
 * LedgerMismatch, WarehouseShapeMismatch, WarehouseDependents, Warehouse*.
 */
export async function pendingLoad(
  project: Project,
): Promise<{ readonly last: LedgerEntry | null; readonly batches: number }> {
  const last = await project.warehouse.last(project.name)
  const newest = await project.processed.chain(project.name).newest()
  await refuseForeignLedger(project, newest, last)
  if (newest !== null) await project.warehouse.refuseStrangers(project.name, starOf(newest))
  const batches = pendingBatches(newest, last)
  if (newest !== null && batches > 0) await checkManifest(project, newest)
  if (newest !== null && batches === 0) await refuseMissing(project, last, starOf(newest))
  return { last, batches }
}

/** Processed batches that the warehouse lacks. A restatement of edited models is one batch to load, whether it adds one or not. */
export function pendingBatches(
  processed: CommittedManifest | null,
  ledger: LedgerEntry | null,
): number {
  if (processed === null) return 0
  const batches = processed.batch - (ledger?.batch ?? 0)
  return ledger !== null && generationOf(processed) > ledger.generation
    ? Math.max(1, batches)
    : batches
}

interface Applied {
  readonly status: 'applied' | 'already'
  readonly tables: readonly WarehouseTableSummary[]
}

async function changesOf(
  project: Project,
  engine: Engine,
  newest: CommittedManifest,
  manifest: CommittedManifest,
): Promise<StarChanges[]> {
  return Promise.all(
    starOf(manifest).map(async (table) =>
      tableChanges(project, engine, { newest, table, manifest, batch: manifest.batch }),
    ),
  )
}

/** The ledger's last entry must be a manifest of this very lake (a new, restored or other one is never taken for applied). */
export async function refuseForeignLedger(
  project: Project,
  newest: CommittedManifest | null,
  last: LedgerEntry | null,
): Promise<void> {
  if (last === null) return
  const mismatch = (message: string): ToteError =>
    new ToteError('LedgerMismatch', message, {
      where: project.processed.store.url,
      why: 'the lake is a new, another or a restored one, and its batches must not be taken for those that were loaded',
      fix: 'restore the lake that the warehouse was loaded from; or make the warehouse anew from this lake, which gives up what it alone has: tote rebuild --accept-lake (with --dry-run first, to see what that is)',
    })
  if (newest === null)
    throw mismatch(
      `The warehouse was loaded up to batch ${last.batch} of "${project.name}", and the lake holds none.`,
    )
  if (newest.chain !== last.chain)
    throw mismatch(`The warehouse was loaded from another chain than the one in the lake.`)
  if (newest.batch < last.batch || newest.number < last.manifest) {
    throw mismatch(
      `The warehouse stands at batch ${last.batch} of "${project.name}", and the lake only at ${newest.batch}.`,
    )
  }
  const manifest = await project.processed.chain(project.name).read(last.manifest)
  if (manifest.sha256 !== last.manifestSha256) {
    throw mismatch(
      `Manifest ${last.manifest} of "${project.name}" is not the one that the warehouse was loaded from.`,
    )
  }
}

function addRows(
  before: WarehouseTableSummary | undefined,
  now: WarehouseTableSummary,
): WarehouseTableSummary {
  if (before === undefined) return now
  return {
    ...now,
    rowsLoaded: before.rowsLoaded + now.rowsLoaded,
    rowsDeleted: before.rowsDeleted + now.rowsDeleted,
  }
}
