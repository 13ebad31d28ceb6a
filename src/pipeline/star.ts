/** The star that manifests and models describe, and what the lake holds of it, as the warehouse takes them. */
import type { Engine } from '../columns/engine.ts'
import type { Context } from '../events.ts'
import { recordCarried } from '../lake/carried.ts'
import { generationOf, type CommittedManifest } from '../lake/manifest.ts'
import { changesWithPlace, filesBetween, filesOfBatch, newestUpsert } from '../lake/read.ts'
import type { Model } from '../models/model.ts'
import type { Project } from '../project/project.ts'
import type { StarTable } from '../star/star-table.ts'
import type { LedgerEntry, StarChanges } from '../warehouse/warehouse.ts'

/** The star that a processed manifest describes: what models there are. */
export function starOf(manifest: CommittedManifest): StarTable[] {
  return everyTable(manifest).filter(({ name }) => manifest.tables[name]?.model?.retired !== true)
}

/** Those whose models are gone included. */
export function everyTable(manifest: CommittedManifest): StarTable[] {
  return Object.entries(manifest.tables).map(([name, table]) => ({
    name,
    kind: table.model?.kind ?? 'table',
    ...(table.model?.history === true ? { history: true } : {}),
    columns: table.columns,
    key: table.key,
    recordId: table.model?.recordId ?? null,
    references: table.model?.references ?? [],
    comment: table.model?.comment ?? null,
  }))
}

/** The star that bound models describe, before anything is written. */
export function starOfModels(models: readonly Model[]): StarTable[] {
  return models.map(({ name, kind, history, columns, key, recordId, references, comment }) => ({
    name,
    kind,
    ...(history === true ? { history } : {}),
    columns,
    key,
    recordId,
    references,
    comment,
  }))
}

/** One batch's changes of a table; `rowsInLake` is as of `manifest`. */
export async function tableChanges(
  project: Pick<Project, 'processed'>,
  engine: Engine,
  of: {
    readonly newest: CommittedManifest
    readonly table: StarTable
    readonly manifest: CommittedManifest
    readonly batch: number
  },
): Promise<StarChanges> {
  const { newest, table, manifest, batch } = of
  const entry = manifest.tables[table.name]
  if (entry === undefined)
    throw new RangeError(`no table "${table.name}" in manifest ${manifest.number}`)
  const found = await filesOfBatch(project.processed, newest, table.name, batch)
  const files = recordCarried(found, newest.tables[table.name]?.columns ?? [], entry.columns)
  const { relation, place } = await changesWithPlace(project.processed, entry, files)
  const rows = files.reduce((sum, file) => sum + file.rows, 0)
  const deletes = files.reduce((sum, file) => sum + file.deletes, 0)
  return {
    table,
    upserts: rows - deletes,
    deletes,
    rowsInLake: entry.rows,
    before: newestUpsert(entry, batch),
    hasHistory: async () =>
      (await filesBetween(project.processed, newest, table.name, 0, batch - 1)).length > 0,
    rows: { chunks: (select) => engine.chunks(select(relation, place)) },
  }
}

export function entryOf(
  project: Pick<Project, 'name'>,
  manifest: CommittedManifest,
  context: Context,
): LedgerEntry {
  return {
    pipeline: project.name,
    chain: manifest.chain,
    generation: generationOf(manifest),
    batch: manifest.batch,
    manifest: manifest.number,
    manifestSha256: manifest.sha256,
    instant: manifest.instant,
    run: context.run,
  }
}
