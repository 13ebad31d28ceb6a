/** One point of the transform stage: models evaluated in order, compared, checked, written. */
import { createHash, randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { quoteName } from '../columns/sql.ts'
import type { Engine } from '../columns/engine.ts'
import type { Context, ModelSummary, NewEvent } from '../events.ts'
import { goOnWith } from '../lake/carried.ts'
import { liveColumns } from '../lake/column-ids.ts'
import {
  tableEntries,
  type CommittedManifest,
  type ModelFacts,
  type TableEntry,
} from '../lake/manifest.ts'
import { filesBetween } from '../lake/read.ts'
import { allWritten, writeRows } from '../lake/write.ts'
import { digestOfChecks } from '../models/checks.ts'
import { definitionOf, type Model } from '../models/model.ts'
import type { Instant } from '../types.ts'
import { checkModels } from '../evaluation/check-models.ts'
import { evaluateModel, keepModel, wayOf } from '../evaluation/evaluate-model.ts'
import type { PassedModel, PassedModels } from '../evaluation/passed-model.ts'
import { openKeptRows, type KeptRows } from '../kept/current-rows.ts'
import { MANY_MODELS } from '../evaluation/set-aside.ts'
import { sideBySide } from '../evaluation/side-by-side.ts'
import type { Point } from '../project/points.ts'
import type { Project } from '../project/project.ts'
import { openRelations, type Relations } from '../evaluation/relations.ts'

export interface PointToEvaluate {
  readonly engine: Engine
  /** In the order of their dependencies. */
  readonly models: readonly Model[]
  readonly inputs: ReadonlyMap<string, CommittedManifest>
  readonly point: Point
  readonly parent: CommittedManifest | null
  readonly batch: number
  readonly instant: Instant
  /** Models that are not evaluated: their rows are those that `parent` records, as of `batch`. */
  readonly recorded?: ReadonlySet<string>
  /** Models whose query runs over all rows, whatever changed. */
  readonly anew?: ReadonlySet<string> | undefined
  /** From how many models on little of each stays in memory; MANY_MODELS when not given. */
  readonly manyModels?: number
}

export interface EvaluatedPoint {
  readonly tables: Readonly<Record<string, TableEntry>>
  readonly models: readonly ModelSummary[]
}

/** What a point needs of a project. */
export type Pipeline = Pick<Project, 'name' | 'ingestion' | 'processed' | 'tempFolder'>

/** A point under way. */
interface PointInHand extends PointToEvaluate {
  /** Its own, and others beside it. */
  readonly engines: readonly Engine[]
  readonly relations: Relations
  readonly kept: KeptRows
  readonly tempFolder: string
}

/** Evaluates every model whose inputs changed. Throws ModelFailed, or CheckFailed with every failing check. */
export async function evaluatePoint(
  project: Pipeline,
  work: PointToEvaluate,
  context: Context,
): Promise<EvaluatedPoint> {
  const { engine } = work
  const tempFolder = join(project.tempFolder, randomUUID())
  const rows = rowsOf(work)
  const beside = await Promise.all(
    Array.from({ length: atOnce(rows) - 1 }, async () => engine.beside()),
  )
  engine.useCores(rows > FEW_ROWS ? 'all' : 'one')
  try {
    const kept = await openKeptRows(engine)
    const relations = await openRelations(project.ingestion, {
      ...work,
      batches: work.point.batches,
      reads: work.models.flatMap((model) => model.reads),
      rows: kept,
    })
    const engines = [engine, ...beside]
    return await evaluateModels(project, { ...work, engines, relations, kept, tempFolder }, context)
  } finally {
    for (const one of beside) one.close()
    await rm(tempFolder, { recursive: true, force: true })
  }
}

/** Of so many rows each model may have all memory and all cores. */
const MANY_ROWS = 500_000
/** So many are no faster with more than one core each. */
const FEW_ROWS = 100_000

/** How many models are evaluated at once: of few rows so many that the cores have work while engines are told what to do next. */
function atOnce(rows: number): number {
  if (rows > MANY_ROWS) return 1
  return rows > FEW_ROWS ? 2 : 4
}

function rowsOf({ inputs }: PointToEvaluate): number {
  const entries = [...inputs.values()].flatMap(({ tables }) => Object.values(tables))
  return entries.reduce((sum, { rows }) => sum + rows, 0)
}

async function evaluateModels(
  project: Pipeline,
  work: PointInHand,
  context: Context,
): Promise<EvaluatedPoint> {
  const { engines, models } = work
  const passed = new Map<string, PassedModel>()
  const places = new Map(models.map((model, index) => [model.name, index]))
  const said: NewEvent[][] = []
  // In the order of the models, whichever is done first.
  let told = 0
  const tell = (): void => {
    for (; said[told] !== undefined; told++) said[told]?.forEach(context.emit)
  }
  const results = await sideBySide(
    models,
    engines,
    async (model, engine) => {
      const { event, ...one } = await passModel(
        project,
        { ...work, passed },
        model,
        engine,
        context,
      )
      passed.set(model.name, one)
      said[places.get(model.name) ?? -1] = event === null ? [] : [event]
      tell()
      return one
    },
    ({ reads }) =>
      reads.flatMap(({ schema, name }) => {
        const place = schema === null ? places.get(name) : undefined
        return place === undefined ? [] : (models[place] ?? [])
      }),
  )
  await checkModels(results, { ...work, passed, processed: project.processed }, context)
  const written = await allWritten(
    results.map(async (one, index) => {
      const engine = engines[index % engines.length] ?? work.engine
      return [one.model.name, await writeModel(project, { ...work, engine }, one, context)] as const
    }),
  )
  return { tables: tableEntries(written), models: results.map(summaryOf) }
}

/** A model whose rows are those of record. */
async function recordedModel(
  project: Pipeline,
  { parent, batch, relations, kept }: PointInHand,
  { name }: Model,
  engine: Engine,
): Promise<PassedModel['result']> {
  if (parent === null) throw new RangeError(`no manifest holds model "${name}"`)
  const files = await filesBetween(project.processed, parent, name, parent.batch, batch)
  relations.define(name, files.length > 0, async () => {
    const columns = liveColumns(parent.tables[name]?.columns ?? [])
    const rows = await kept.on(engine)(project.processed, parent, name, batch, columns)
    return `create view ${quoteName(name)} as ${rows}`
  })
  return { outcome: 'recorded', changed: files.length > 0 }
}

async function passModel(
  project: Pipeline,
  work: PointInHand & { readonly passed: PassedModels },
  model: Model,
  engine: Engine,
  context: Context,
): Promise<PassedModel & { readonly event: NewEvent | null }> {
  const { parent, batch, passed, kept } = work
  const entry = parent?.tables[model.name]
  const before = parent === null || entry === undefined ? null : { manifest: parent, entry }
  if (before !== null && work.recorded?.has(model.name) === true)
    return { model, before, result: await recordedModel(project, work, model, engine), event: null }
  const relations = work.relations.on(engine)
  const isOfMany = passed.size >= (work.manyModels ?? MANY_MODELS)
  const place = { ...work, engine, relations, rows: kept.on(engine), isOfMany }
  // Another engine, or other types of what is read, may make other values of the same rows.
  const isSame =
    work.anew?.has(model.name) !== true &&
    parent?.engine === engine.version &&
    before?.entry.position['reads'] === digestOfReads(model, work)
  const way = isSame ? wayOf(model, before?.entry ?? null, relations.hasChanged) : 'full'
  if (way === 'skipped') {
    keepModel(project.processed, place, { model, before })
    const event = { type: 'model.skipped', batch, model: model.name } as const
    return { model, before, result: { outcome: 'skipped' }, event }
  }
  // What a model with an unsound key drives has no changes to go by; its checks will stop the point.
  const table = model.driven?.table
  const driver = table?.schema === null ? passed.get(table.name) : undefined
  const chosen = driver?.result.outcome === 'unsound key' ? 'full' : way
  const startedAt = context.now().getTime()
  const result = await evaluateModel(project.processed, place, { model, before }, chosen)
  const one = { model, before, result }
  if (result.outcome !== 'evaluated') return { ...one, event: null }
  const ms = context.now().getTime() - startedAt
  return { ...one, event: { type: 'model.evaluated', ms, batch, ...summaryOf(one) } }
}

/** sha256 of how the columns of all that a model reads are named and carried. */
function digestOfReads({ reads }: Model, { models, inputs }: PointToEvaluate): string {
  const columns = reads.map(({ schema, name }) => {
    const table =
      schema === null
        ? models.find((model) => model.name === name)
        : inputs.get(schema)?.tables[name]
    return [schema, name, table?.columns.map((column) => [column.name, column.carried]) ?? null]
  })
  return createHash('sha256').update(JSON.stringify(columns)).digest('hex')
}

function summaryOf({ model, before, result }: PassedModel): ModelSummary {
  const way = 'way' in result ? result.way : 'skipped'
  const evaluated = result.outcome === 'evaluated' ? result : null
  return {
    model: model.name,
    kind: model.kind,
    ...(evaluated?.counts ?? { inserted: 0, updated: 0, deleted: 0 }),
    rowsInLake: evaluated?.rowsInLake ?? before?.entry.rows ?? 0,
    ways: { full: 0, driven: 0, skipped: 0, [way]: 1 },
  }
}

async function writeModel(
  project: Pipeline,
  work: PointToEvaluate,
  { model, before, result }: PassedModel,
  context: Context,
): Promise<TableEntry> {
  const { engine, batch, instant } = work
  if (result.outcome === 'recorded' && before !== null) return before.entry
  const position = { checks: digestOfChecks(model), reads: digestOfReads(model, work) }
  const entry = before?.entry ?? null
  if (result.outcome !== 'evaluated') {
    if (entry === null) throw new RangeError(`model "${model.name}" has no rows`)
    return { ...entry, position }
  }
  const { columns, counts, rowsInLake } = result
  const rows = counts.inserted + counts.updated + counts.deleted
  const file =
    rows === 0
      ? null
      : await writeRows(project.processed, engine, {
          chain: project.name,
          table: model.name,
          relation: quoteName(result.changes),
          columns,
          key: model.key,
          batch,
          instant,
          base: false,
          rows,
          deletes: counts.deleted,
          ...(result.prepared === null ? {} : { prepared: result.prepared }),
        })
  if (file !== null) {
    context.emit({
      type: 'file.written',
      chain: project.name,
      table: model.name,
      key: file.key,
      rows: file.rows,
      bytes: file.bytes,
    })
  }
  const kept = goOnWith(entry, columns)
  return {
    columns,
    key: model.key,
    shape: definitionOf(model),
    position,
    rows: rowsInLake,
    ...kept,
    files: [...kept.files, ...(file === null ? [] : [file])],
    model: factsOf(model, entry),
  }
}

/** What the manifest keeps of a model; its generations go on. */
export function factsOf(model: Model, entry: TableEntry | null): ModelFacts {
  const loose = new Set(entry?.columns.flatMap(({ name, notNull }) => (notNull ? [] : [name])))
  const demands = model.columns.flatMap(({ name, notNull }) =>
    notNull && loose.has(name) ? [name] : [],
  )
  return {
    kind: model.kind,
    ...(model.history === true ? { history: true as const } : {}),
    recordId: model.recordId,
    references: model.references,
    comment: model.comment,
    generation: entry?.model?.generation ?? 1,
    ...(entry?.model?.remade === undefined ? {} : { remade: entry.model.remade }),
    syntax: model.syntax,
    ...(demands.length === 0 ? {} : { demands }),
  }
}

/** An edited model whose new query begins with the next batch, whatever its inputs did. */
export function goesOn(entry: TableEntry): boolean {
  return entry.position['goesOn'] === true
}
