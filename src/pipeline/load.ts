/**
 * Load: the processed batches that the warehouse has not yet applied, in order, each at most once and
 * each in one transaction (P4, P5). It needs nothing but the lake: no source, no model file.
 */
import { ToteError } from '../errors.ts'
import type { Context, WarehouseTableSummary } from '../events.ts'
import type { CommittedManifest } from '../lake/manifest.ts'
import { changesWithPlace, filesOfBatch } from '../lake/read.ts'
import type { Model } from '../models/model.ts'
import type { StarTable } from '../star/star-table.ts'
import type { LedgerEntry, StarChanges } from '../warehouse/warehouse.ts'
import type { Engine } from '../columns/engine.ts'
import { batchManifests } from '../project/points.ts'
import type { Project } from '../project/project.ts'

export interface Loaded {
  readonly batches: number
  readonly tables: readonly WarehouseTableSummary[]
  readonly last: LedgerEntry | null
}

/** Applies all pending batches. Throws LedgerMismatch, WarehouseShapeMismatch, CountMismatch, Warehouse*. */
export async function load(project: Project, context: Context): Promise<Loaded> {
  // The lake after the ledger: another run may commit and load meanwhile, and the lake is never behind.
  const last = await project.warehouse.last(project.name)
  const newest = await project.processed.chain(project.name).newest()
  await refuseForeignLedger(project, newest, last)
  if (newest === null || newest.batch === (last?.batch ?? 0))
    return { batches: 0, tables: [], last }
  await project.warehouse.check(starOf(newest))
  const engine = await project.engine(context.signal)
  const tables = new Map<string, WarehouseTableSummary>()
  let batches = 0
  let entry: LedgerEntry | null = last
  try {
    for (const manifest of await batchManifests(project.processed, newest, last?.batch ?? 0)) {
      context.signal.throwIfAborted()
      entry = entryOf(project, manifest, context)
      const applied = await project.warehouse.apply(
        { entry, changes: await changesOf(project, engine, newest, manifest) },
        context,
      )
      if (applied.status === 'applied') batches += 1
      for (const table of applied.tables)
        tables.set(table.table, addRows(tables.get(table.table), table))
    }
  } finally {
    engine.close()
  }
  return { batches, tables: [...tables.values()], last: entry }
}

/** The star that a processed manifest describes. */
function starOf(manifest: CommittedManifest): StarTable[] {
  return Object.entries(manifest.tables).map(([name, table]) => ({
    name,
    kind: table.model?.kind ?? 'table',
    columns: table.columns,
    key: table.key,
    recordId: table.model?.recordId ?? null,
    references: table.model?.references ?? [],
    comment: table.model?.comment ?? null,
  }))
}

/** The star that bound models describe, before anything is written. */
export function starOfModels(models: readonly Model[]): StarTable[] {
  return models.map(({ name, kind, columns, key, recordId, references, comment }) => ({
    name,
    kind,
    columns,
    key,
    recordId,
    references,
    comment,
  }))
}

async function changesOf(
  project: Project,
  engine: Engine,
  newest: CommittedManifest,
  manifest: CommittedManifest,
): Promise<StarChanges[]> {
  return Promise.all(
    starOf(manifest).map(async (table) => {
      const entry = manifest.tables[table.name]
      if (entry === undefined)
        throw new RangeError(`no table "${table.name}" in manifest ${manifest.number}`)
      const files = await filesOfBatch(project.processed, newest, table.name, manifest.batch)
      const { relation, place } = await changesWithPlace(project.processed, entry, files)
      const rows = files.reduce((sum, file) => sum + file.rows, 0)
      const deletes = files.reduce((sum, file) => sum + file.deletes, 0)
      return {
        table,
        upserts: rows - deletes,
        deletes,
        rowsInLake: entry.rows,
        rows: { chunks: (select) => engine.chunks(select(relation, place)) },
      }
    }),
  )
}

function entryOf(project: Project, manifest: CommittedManifest, context: Context): LedgerEntry {
  return {
    pipeline: project.name,
    chain: manifest.chain,
    batch: manifest.batch,
    manifest: manifest.number,
    manifestSha256: manifest.sha256,
    instant: manifest.instant,
    run: context.run,
  }
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
      fix: `restore the lake that the warehouse was loaded from, or begin a new warehouse schema (drop the tables and the schema "${project.settings.warehouse.ledger}")`,
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
