/**
 * What edited models would come to: their queries over the rows of the newest batch, compared with the
 * rows that they have there. Nothing is written, and older batches are not looked at.
 */
import { countChanges, differenceTable } from '../columns/difference.ts'
import { EngineFailure, type Engine } from '../columns/engine.ts'
import { quoteName, quoteNames } from '../columns/sql.ts'
import type { CommittedManifest, TableEntry } from '../lake/manifest.ts'
import { rowsAsOf } from '../lake/read.ts'
import type { Zone } from '../lake/zone.ts'
import { modelFailed } from '../models/checks.ts'
import { modelQuery, type Model } from '../models/model.ts'
import type { ChangeCounts } from '../types.ts'
import { openRelations, type Relations } from './relations.ts'

export interface Preview extends ChangeCounts {
  readonly model: string
  /** Current rows before and after. */
  readonly before: number
  readonly after: number
  readonly columnsAdded: readonly string[]
  /** Those of another type included. */
  readonly columnsGone: readonly string[]
}

export interface ToPreview {
  readonly engine: Engine
  readonly ingestion: Zone
  readonly processed: Zone
  readonly newest: CommittedManifest
  /** The newest manifest of every source. */
  readonly inputs: ReadonlyMap<string, CommittedManifest>
  /** In the order of their dependencies. */
  readonly models: readonly Model[]
  /** The models that an edit reaches. */
  readonly edited: ReadonlySet<string>
}

/** Throws ModelFailed. */
export async function previewEdits(work: ToPreview): Promise<readonly Preview[]> {
  const { newest, models, edited } = work
  const batches = Object.fromEntries(
    Object.entries(newest.inputs ?? {}).map(([source, { batch }]) => [source, batch]),
  )
  const reads = models.flatMap((model) => model.reads)
  const relations = await openRelations(work.ingestion, { ...work, batches, parent: null, reads })
  const previews: Preview[] = []
  for (const model of models) {
    const entry = newest.tables[model.name]
    if (edited.has(model.name)) previews.push(await previewModel(work, relations, model, entry))
    else if (entry !== undefined)
      relations.define(model.name, false, async () => {
        const rows = await rowsAsOf(work.processed, newest, model.name, newest.batch)
        return `create view ${quoteName(model.name)} as ${rows}`
      })
  }
  return previews
}

async function previewModel(
  { engine, processed, newest }: ToPreview,
  relations: Relations,
  model: Model,
  entry: TableEntry | undefined,
): Promise<Preview> {
  const evaluated = quoteName(`rows of ${model.name}`)
  try {
    await relations.need(model.reads)
    await engine.run(`create table ${evaluated} as ${modelQuery(model)}`)
  } catch (error) {
    if (!(error instanceof EngineFailure)) throw error
    throw modelFailed(model, error)
  }
  relations.define(
    model.name,
    true,
    async () => `create view ${quoteName(model.name)} as from ${evaluated}`,
  )
  const [counted] = await engine.rows(`select count(*) as n from ${evaluated}`)
  const after = Number(counted?.['n'])
  const had = entry?.model?.retired === true ? undefined : entry
  const gone = (had?.columns ?? []).filter(
    (column) =>
      !model.columns.some(
        ({ name, carried }) => name === column.name && carried === column.carried,
      ),
  )
  const kept = (had?.columns ?? []).filter((column) => !gone.includes(column))
  const columns = {
    columnsAdded: model.columns
      .map(({ name }) => name)
      .filter((name) => had !== undefined && !had.columns.some((column) => column.name === name)),
    columnsGone: gone.map(({ name }) => name),
  }
  const before = had?.rows ?? 0
  const sameKey =
    had !== undefined &&
    had.key.join('\0') === model.key.join('\0') &&
    model.key.every((name) => kept.some((column) => column.name === name))
  if (!sameKey)
    return {
      model: model.name,
      before,
      after,
      inserted: after,
      updated: 0,
      deleted: before,
      ...columns,
    }
  const names = quoteNames(kept.map(({ name }) => name))
  const changes = `preview of ${model.name}`
  await engine.run(
    differenceTable({
      into: changes,
      previous: `select ${names} from (${await rowsAsOf(processed, newest, model.name, newest.batch)})`,
      next: `select ${names} from ${evaluated}`,
      columns: kept,
      key: model.key,
    }),
  )
  return { model: model.name, before, after, ...(await countChanges(engine, changes)), ...columns }
}

/** `1,204 of 48,066 rows change, 12 are new, 3 go; new columns: a, b` */
export function describePreview(preview: Preview): string {
  const { before, after, inserted, updated, deleted, columnsAdded, columnsGone } = preview
  const count = (rows: number): string => rows.toLocaleString('en-US')
  if (before === 0) return `${count(after)} ${after === 1 ? 'row' : 'rows'}`
  const rows = [
    `${count(updated)} of ${count(before)} rows change`,
    ...(inserted === 0 ? [] : [`${count(inserted)} are new`]),
    ...(deleted === 0 ? [] : [`${count(deleted)} go`]),
  ]
  const columns = [
    ...(columnsAdded.length === 0 ? [] : [`new columns: ${columnsAdded.join(', ')}`]),
    ...(columnsGone.length === 0 ? [] : [`columns that go: ${columnsGone.join(', ')}`]),
  ]
  return [rows.join(', '), ...columns].join('; ')
}
