/** One point of the transform stage: models evaluated in order, compared, checked, written. */
import { countChanges, differenceTable, insertTable } from '../columns/difference.ts'
import { EngineFailure, type Engine } from '../columns/engine.ts'
import { quoteName } from '../columns/sql.ts'
import { ToteError } from '../errors.ts'
import { TerminalOnly, type Context, type ModelSummary } from '../events.ts'
import { goOnWith } from '../lake/carried.ts'
import { continueIds } from '../lake/column-ids.ts'
import { tableEntries, type CommittedManifest, type TableEntry } from '../lake/manifest.ts'
import { filesBetween, rowsAsOf } from '../lake/read.ts'
import { writeRows } from '../lake/write.ts'
import { checkFailure, modelFailed, runChecks, type CheckResult } from '../models/checks.ts'
import { definitionOf, modelQuery, type Model } from '../models/model.ts'
import type { Column, Instant } from '../types.ts'
import type { Point } from '../project/points.ts'
import type { Project } from '../project/project.ts'

export interface PointToEvaluate {
  readonly engine: Engine
  /** In the order of their dependencies. */
  readonly models: readonly Model[]
  readonly inputs: ReadonlyMap<string, CommittedManifest>
  readonly point: Point
  readonly parent: CommittedManifest | null
  readonly batch: number
  readonly instant: Instant
}

export interface EvaluatedPoint {
  readonly tables: Readonly<Record<string, TableEntry>>
  readonly models: readonly ModelSummary[]
}

/** Evaluates every model whose inputs changed. Throws ModelFailed, or CheckFailed with every failing check. */
export async function evaluatePoint(
  project: Project,
  work: PointToEvaluate,
  context: Context,
): Promise<EvaluatedPoint> {
  const { models, parent } = work
  const changedInputs = await attachInputs(project, work)
  const changedModels = new Set<string>()
  const tables = tableEntries()
  const differences: Difference[] = []
  const unsound: Model[] = []
  for (const model of models) {
    const entry = parent?.tables[model.name] ?? null
    const affected =
      entry === null ||
      model.reads.some(({ schema, name }) =>
        schema === null ? changedModels.has(name) : changedInputs.has(`${schema}.${name}`),
      )
    if (!affected) {
      await attachModel(project, work, model)
      tables[model.name] = entry
      continue
    }
    const difference = await evaluateModel(project, work, model, entry, context)
    if (difference === 'unsound key') {
      unsound.push(model)
      changedModels.add(model.name)
      continue
    }
    differences.push(difference)
    if (changes(difference) > 0 || entry === null) changedModels.add(model.name)
  }
  // A model that was not evaluated may refer to rows that are gone now.
  const touched = models.filter(
    (model) =>
      unsound.includes(model) ||
      differences.some((difference) => difference.model === model) ||
      model.references.some((reference) => changedModels.has(reference.model)),
  )
  await check(touched, new Set(unsound), work, context)
  for (const difference of differences) {
    tables[difference.model.name] = await writeDifference(project, work, difference, context)
  }
  return { tables, models: differences.map(({ summary }) => summary) }
}

interface Difference {
  readonly model: Model
  readonly entry: TableEntry | null
  readonly columns: readonly Column[]
  readonly relation: string
  readonly summary: ModelSummary
}

function changes({ summary }: Difference): number {
  return summary.inserted + summary.updated + summary.deleted
}

/** Views of the source tables that models read, as of the point; returns those with changes since the last point. */
async function attachInputs(
  project: Project,
  { engine, models, inputs, point, parent }: PointToEvaluate,
): Promise<Set<string>> {
  const changed = new Set<string>()
  const wanted = new Set(
    models.flatMap((model) =>
      model.reads
        .filter((read) => read.schema !== null)
        .map((read) => `${read.schema}.${read.name}`),
    ),
  )
  for (const [source, manifest] of inputs) {
    await engine.run(`create schema if not exists ${quoteName(source)}`)
    const batch = point.batches[source] ?? 0
    for (const table of Object.keys(manifest.tables)) {
      if (!wanted.has(`${source}.${table}`)) continue
      const rows = await rowsAsOf(project.ingestion, manifest, table, batch)
      await engine.run(`create view ${quoteName(source)}.${quoteName(table)} as ${rows}`)
      const files = await filesBetween(
        project.ingestion,
        manifest,
        table,
        parent?.inputs?.[source]?.batch ?? 0,
        batch,
      )
      if (files.length > 0) changed.add(`${source}.${table}`)
    }
  }
  return changed
}

async function attachModel(
  project: Project,
  { engine, parent }: PointToEvaluate,
  model: Model,
): Promise<void> {
  if (parent === null) throw new RangeError(`no manifest holds model "${model.name}"`)
  const rows = await rowsAsOf(project.processed, parent, model.name, parent.batch)
  await engine.run(`create view ${quoteName(model.name)} as ${rows}`)
}

async function evaluateModel(
  project: Project,
  { engine, parent, batch }: PointToEvaluate,
  model: Model,
  entry: TableEntry | null,
  context: Context,
): Promise<Difference | 'unsound key'> {
  const startedAt = context.now().getTime()
  const name = quoteName(model.name)
  const columns = continueIds(model.columns, entry?.columns ?? [])
  const relation = `changes of ${model.name}`
  try {
    await engine.run(`create table ${name} as ${modelQuery(model)}`)
  } catch (error) {
    if (!(error instanceof EngineFailure)) throw error
    throw modelFailed(model, error)
  }
  if (!(await hasSoundKey(engine, model))) return 'unsound key'
  const next = `select * from ${name}`
  await engine.run(
    entry === null || parent === null
      ? insertTable({ into: relation, next, columns })
      : differenceTable({
          into: relation,
          previous: await rowsAsOf(project.processed, parent, model.name, parent.batch, columns),
          next,
          columns,
          key: model.key,
        }),
  )
  const counts = await countChanges(engine, relation)
  const [counted] = await engine.rows(`select count(*) as n from ${name}`)
  const rowsInLake = Number(counted?.['n'])
  if (rowsInLake !== (entry?.rows ?? 0) + counts.inserted - counts.deleted) {
    throw new ToteError(
      'CountMismatch',
      `Model "${model.name}" yields ${rowsInLake} rows, which its changes do not lead to.`,
    )
  }
  const summary = { model: model.name, kind: model.kind, ...counts, rowsInLake }
  context.emit({
    type: 'model.evaluated',
    ms: context.now().getTime() - startedAt,
    batch,
    ...summary,
  })
  return { model, entry, columns, relation, summary }
}

/** Null or duplicate keys would make the difference itself wrong; the checks, which name them, come later. */
async function hasSoundKey(engine: Engine, model: Model): Promise<boolean> {
  const key = model.key.map(quoteName)
  const present = key.map((column) => `${column} is not null`).join(' and ')
  const [row] = await engine.rows(
    `select count(*) as n, count(distinct case when ${present} then (${key.join(', ')}) end) as keys from ${quoteName(model.name)}`,
  )
  return Number(row?.['n']) === Number(row?.['keys'])
}

/** Runs the checks of `touched`, says which failed, and throws CheckFailed when one of severity error did. */
async function check(
  touched: readonly Model[],
  unsound: ReadonlySet<Model>,
  { engine, models }: PointToEvaluate,
  context: Context,
): Promise<void> {
  const results: CheckResult[] = []
  for (const model of touched) {
    const soundKey = !unsound.has(model)
    results.push(...(await runChecks({ model, models, relationOf: quoteName, engine, soundKey })))
  }
  for (const { model, check: failed, rows, keys } of results.filter((result) => result.rows > 0)) {
    context.emit({
      type: 'check.failed',
      model,
      check: failed.name,
      severity: failed.severity,
      rows,
      keys: new TerminalOnly(keys),
    })
  }
  const failure = checkFailure(results)
  if (failure !== undefined) throw failure
}

async function writeDifference(
  project: Project,
  { engine, batch, instant }: PointToEvaluate,
  difference: Difference,
  context: Context,
): Promise<TableEntry> {
  const { model, entry, columns, relation, summary } = difference
  const rows = changes(difference)
  const file =
    rows === 0
      ? null
      : await writeRows(project.processed, engine, {
          chain: project.name,
          table: model.name,
          relation: quoteName(relation),
          columns,
          key: model.key,
          batch,
          instant,
          base: false,
          rows,
          deletes: summary.deleted,
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
  const before = goOnWith(entry, columns)
  return {
    columns,
    key: model.key,
    shape: definitionOf(model),
    position: {},
    rows: summary.rowsInLake,
    ...before,
    files: [...before.files, ...(file === null ? [] : [file])],
    model: {
      kind: model.kind,
      recordId: model.recordId,
      references: model.references,
      comment: model.comment,
      generation: entry?.model?.generation ?? 1,
    },
  }
}
