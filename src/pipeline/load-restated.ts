/**
 * Edited models on their way to the warehouse: one transaction brings it from where it stands to the
 * manifest that names the newest generation. Tables whose history was made anew are sent whole, as the
 * rows that batch after batch would have come to; of the others, the batches that are missing.
 */
import { ToteError } from '../errors.ts'
import type { Engine } from '../columns/engine.ts'
import type { Context, WarehouseTableSummary } from '../events.ts'
import { growModel } from '../lake/column-ids.ts'
import { filesBetween } from '../lake/read.ts'
import { generationOf, type CommittedManifest } from '../lake/manifest.ts'
import type { StarTable } from '../star/star-table.ts'
import type { LedgerEntry, StarRestatement } from '../warehouse/warehouse.ts'
import { batchManifests } from '../project/points.ts'
import type { Model } from '../models/model.ts'
import { editsOf, reached } from '../project/edits.ts'
import type { Project } from '../project/project.ts'
import { pastOf, remadeTable } from './history.ts'
import { entryOf, everyTable, starOf, starOfModels, tableChanges } from './star.ts'

/** The manifest with which the newest generation began. */
export async function firstOfGeneration(
  project: Project,
  newest: CommittedManifest,
): Promise<CommittedManifest> {
  let first = newest
  while (first.parent !== null) {
    const parent = await project.processed.chain(newest.name).read(first.parent.number)
    if (generationOf(parent) < generationOf(newest)) break
    first = parent
  }
  return first
}

/** Brings the warehouse to `edited`, the first manifest of its generation. Throws WarehouseDependents, and as load does. */
export async function loadRestatement(
  project: Project,
  { edited, last }: { readonly edited: CommittedManifest; readonly last: LedgerEntry | null },
  context: Context,
): Promise<{
  status: 'applied' | 'already' | 'stale'
  tables: readonly WarehouseTableSummary[]
}> {
  const star = [...starOf(edited), ...(await lastOfRemoved(project, edited, last))]
  const live = await liveStar(project, last)
  const since = last?.generation ?? 0
  const remade = new Set(
    star.map(({ name }) => name).filter((name) => remadeIn(edited, name) > since),
  )
  const { entries, instants } = await pastOf(project, edited, context)
  const engine = await project.engine(context.signal)
  try {
    const restatement: StarRestatement = {
      entry: entryOf(project, edited, context),
      after: last,
      passed: entries.filter(
        ({ manifest }) => manifest > (last?.manifest ?? 0) && manifest < edited.number,
      ),
      star,
      live,
      remade: await Promise.all(
        star
          .filter(({ name }) => remade.has(name))
          .map(async (table) =>
            remadeTable(project, engine, { manifest: edited, table, instants }),
          ),
      ),
      batches: await missingBatches(project, engine, {
        edited,
        after: last?.batch ?? edited.batch,
        tables: star.filter(({ name }) => !remade.has(name)),
        context,
      }),
    }
    return await project.warehouse.restate(restatement, context)
  } finally {
    engine.close()
  }
}

/**
 * Tables whose models have gone since the warehouse was loaded, where it lacks some of what they had come to by then: they
 * stay as they were in the end. One that somebody has dropped does not come back.
 */
async function lastOfRemoved(
  project: Project,
  edited: CommittedManifest,
  last: LedgerEntry | null,
): Promise<readonly StarTable[]> {
  if (last === null) return []
  const before = await project.processed.chain(project.name).read(last.manifest)
  const removed = everyTable(edited).filter(
    ({ name }) =>
      edited.tables[name]?.model?.retired === true &&
      before.tables[name] !== undefined &&
      before.tables[name].model?.retired !== true,
  )
  const lacking = await Promise.all(
    removed.map(
      async ({ name }) =>
        remadeIn(edited, name) > last.generation ||
        (await filesBetween(project.processed, edited, name, last.batch, edited.batch)).length > 0,
    ),
  )
  if (!lacking.includes(true)) return []
  const missing = await project.warehouse.missing(removed.map(({ name }) => name))
  const there = new Set([...starOf(edited), ...removed].map(({ name }) => name))
  for (const name of missing) there.delete(name)
  return removed.filter(
    ({ name, references }) => there.has(name) && references.every(({ model }) => there.has(model)),
  )
}

/** The star that the warehouse was loaded with last, tables whose models are gone included. */
export async function liveStar(
  project: Project,
  last: LedgerEntry | null,
): Promise<readonly StarTable[]> {
  if (last === null) return []
  return everyTable(await project.processed.chain(project.name).read(last.manifest))
}

/** The generation in which a table's history was last made anew. */
function remadeIn({ tables }: CommittedManifest, name: string): number {
  return tables[name]?.model?.remade ?? 1
}

async function missingBatches(
  project: Project,
  engine: Engine,
  of: {
    readonly edited: CommittedManifest
    readonly after: number
    readonly tables: readonly StarTable[]
    readonly context: Context
  },
): Promise<StarRestatement['batches']> {
  const { edited, after, tables, context } = of
  const batches: StarRestatement['batches'][number][] = []
  for (const manifest of await batchManifests(project.processed, edited, after)) {
    const changes = await Promise.all(
      tables.map(async (table) =>
        tableChanges(project, engine, {
          newest: edited,
          table,
          manifest: edited,
          batch: manifest.batch,
        }),
      ),
    )
    batches.push({
      entry: entryOf(project, manifest, context),
      changes: changes.filter(({ upserts, deletes }) => upserts + deletes > 0),
    })
  }
  return batches
}

/**
 * Whether the warehouse can hold the star that models make, the tables that it was loaded with last altered
 * where models were edited, or read other columns. Throws WarehouseShapeMismatch, WarehouseDependents, Warehouse*.
 */
export async function checkModels(project: Project, models: readonly Model[]): Promise<void> {
  const newest = await project.processed.chain(project.name).newest()
  const remade = newest === null ? null : reached(editsOf(newest, models), models)
  const star = starOfModels(models).map((table) => {
    const entry = remade?.has(table.name) === true ? undefined : newest?.tables[table.name]
    return entry === undefined
      ? table
      : { ...table, columns: growModel(table.columns, entry.columns) }
  })
  await checkStar(project, star, (table) => remade?.has(table) === true)
}

/** The same of the star that a manifest describes, as it would be loaded. */
export async function checkManifest(project: Project, manifest: CommittedManifest): Promise<void> {
  const last = await project.warehouse.last(project.name)
  const since = last?.generation ?? 0
  await checkStar(project, starOf(manifest), (table) => remadeIn(manifest, table) > since)
}

async function checkStar(
  project: Project,
  star: readonly StarTable[],
  refilled: (table: string) => boolean,
): Promise<void> {
  const last = await project.warehouse.last(project.name)
  const newest = await project.processed.chain(project.name).newest()
  const ours = last !== null && newest?.chain === last.chain && newest.number >= last.manifest
  const live = ours ? await liveStar(project, last) : []
  const known = new Set(live.map(({ name }) => name))
  await refuseMissing(
    project,
    last,
    star.filter(({ name }) => known.has(name) && !refilled(name)),
  )
  await project.warehouse.check(star, live, refilled)
}

/** Throws LedgerMismatch when tables are not there into which the ledger's batches were loaded: dropped, or in another schema. */
export async function refuseMissing(
  project: Project,
  last: LedgerEntry | null,
  star: readonly StarTable[],
): Promise<void> {
  if (last === null || star.length === 0) return
  const missing = await project.warehouse.missing(star.map(({ name }) => name))
  if (missing.length === 0) return
  const { schema } = project.settings.warehouse
  const tables = missing.length === 1 ? `Table "${missing[0]}" is` : `${missing.length} tables are`
  throw new ToteError(
    'LedgerMismatch',
    `${tables} not in schema "${schema}", though the ledger says that batch ${last.batch} was loaded.`,
    {
      where: schema,
      ...(last.schema === null
        ? {
            why: 'they were dropped, or warehouse.schema was another one when an earlier version loaded them, which did not note it',
            fix: 'set warehouse.schema back, tote run, and change it then; or have the warehouse made anew from the lake: tote rebuild',
          }
        : {
            why: 'they were dropped, or only the ledger was put back',
            fix: 'have the warehouse made anew from the lake: tote rebuild',
          }),
      ...(missing.length === 1
        ? {}
        : { problems: missing.map((name) => ({ where: name, message: 'is not there' })) }),
    },
  )
}
