/**
 * Transform: for every point not yet passed, the difference between each model's query, run over the
 * rows of that point, and the model's versioned table; committed as one batch of the whole star.
 *
 * Checks run before the commit: what fails with severity error commits nothing, the warehouse stays
 * at the last good batch, and the next point is tried on top of that.
 */
import { randomUUID } from 'node:crypto'
import type { Engine } from '../columns/engine.ts'
import { nearestName, ToteError, type ErrorName } from '../errors.ts'
import type { Context, ModelSummary } from '../events.ts'
import { writeDueBases } from '../lake/base.ts'
import { untilCommitted } from '../lake/conflict.ts'
import { nextInstant } from '../lake/instant.ts'
import {
  tableEntries,
  WRITER,
  type CommittedManifest,
  type InputMark,
  type TableEntry,
} from '../lake/manifest.ts'
import type { Model, ModelText } from '../models/model.ts'
import { closureOf, isSelective, selectNames, type Selection } from '../models/selection.ts'
import { boundModels, readableTexts } from '../project/bound-models.ts'
import { anyEdit, anyRetyped, editsOf, maybeEdited } from '../project/edits.ts'
import { evaluatePoint, goesOn } from './evaluate.ts'
import { newestInputs, refuseForeignInputs } from '../project/inputs.ts'
import { checkModels } from './load-restated.ts'
import { batchMarks, pointsAfter, type BatchMark, type Point } from '../project/points.ts'
import type { Project } from '../project/project.ts'
import { restate } from './restate.ts'
import type { Column } from '../types.ts'

export interface Transformed {
  readonly manifest: CommittedManifest | null
  readonly batches: number
  /** Edited models were restated, or otherwise taken up. */
  readonly edited: boolean
  readonly models: readonly ModelSummary[]
}

/** A selection takes only these models, and those that they need: for a lake that nobody keeps. */
export interface TransformOptions extends Selection {
  /** Edited models that keep their old versions: the new query begins with the next batch. */
  readonly forward?: readonly string[] | undefined
  /** The first batch that fails ends the stage, although a later one may pass. */
  readonly failFast?: boolean | undefined
  /** Models whose query runs over all rows, whatever changed: as a batch, also when none is pending. */
  readonly anew?: ReadonlySet<string> | undefined
}

/** Restates edited models, then passes all pending points. Throws ModelInvalid, ModelEdited, ModelFailed, CheckFailed. */
export async function transform(
  project: Project,
  options: TransformOptions,
  context: Context,
): Promise<Transformed> {
  return untilCommitted(project.name, context, async () => passPoints(project, options, context))
}

async function passPoints(
  project: Project,
  options: TransformOptions,
  context: Context,
): Promise<Transformed> {
  const chain = project.processed.chain(project.name)
  // The inputs after what was made of them: another run may commit both meanwhile.
  let newest = await chain.newest()
  const inputs = await newestInputs(project)
  if (inputs === null) return { manifest: newest, batches: 0, edited: false, models: [] }
  await refuseForeignInputs(project)
  const all = await readableTexts(project, inputs, context)
  noteUnknown(options.forward ?? [], all, context)
  const { texts, asked } = await selected(project, all, options, context)
  if (asked !== null && newest !== null) newest = only(newest, texts)
  let models: readonly Model[] | undefined
  let edited = false
  if (newest !== null && maybeEdited(newest, texts)) {
    models = await boundModels(project, texts, inputs, context)
    const before = newest.number
    newest = await restateEdited(project, { newest, models, inputs, options }, context)
    edited = newest.number > before
  }
  let pending = await pendingPoints(project, { newest, inputs, anew: options.anew })
  if (pending.points.length === 0 || texts.length === 0)
    return { manifest: newest, batches: 0, edited, models: [] }

  models ??= await boundModels(project, texts, inputs, context)
  if (newest !== null && anyRetyped(newest, models)) {
    newest = await restateEdited(project, { newest, models, inputs, options }, context)
    edited = true
    pending = await pendingPoints(project, { newest, inputs, anew: options.anew })
  }
  const { points, marks } = pending
  if (newest === null) await refuseMisfits(project, models)
  const summaries = new Map<string, ModelSummary>()
  let batches = 0
  let failed: ToteError | undefined
  for (const point of points) {
    const engine = await project.engine(context.signal)
    try {
      const committed = await passPoint(
        project,
        { engine, models, inputs, marks, point, parent: newest, anew: options.anew },
        context,
      )
      if (failed !== undefined) {
        context.emit({
          type: 'note',
          level: 'warn',
          text: 'an earlier batch was passed over, because a check or a model failed; this one passes',
        })
        failed = undefined
      }
      if (committed.manifest.batch > (newest?.batch ?? 0)) batches += 1
      newest = committed.manifest
      for (const summary of committed.models)
        summaries.set(summary.model, addCounts(summaries.get(summary.model), summary))
    } catch (error) {
      // Correcting the source must be a way on: a later point may do what this one did not.
      const passable = error instanceof ToteError && PASSABLE.includes(error.name)
      if (!passable || options.failFast === true) throw error
      failed = error
    } finally {
      engine.close()
    }
  }
  if (failed !== undefined) throw failed
  const shown = [...summaries.values()].filter(({ model }) => asked?.has(model) ?? true)
  return { manifest: newest, batches, edited, models: shown }
}

interface Selected {
  readonly texts: readonly ModelText[]
  /** Null when nothing was selected, and so everything is. */
  readonly asked: ReadonlySet<string> | null
}

async function selected(
  project: Project,
  texts: readonly ModelText[],
  selection: Selection,
  context: Context,
): Promise<Selected> {
  if (!isSelective(selection)) return { texts, asked: null }
  const names = selectNames(
    texts.map(({ name }) => name),
    selection,
  )
  const engine = await project.engine(context.signal)
  try {
    const needed = await closureOf(names, texts, engine)
    const others = needed.map(({ name }) => name).filter((name) => !names.includes(name))
    if (others.length > 0)
      context.emit({ type: 'note', level: 'info', text: `needed as well: ${others.join(', ')}` })
    return { texts: needed, asked: new Set(names) }
  } finally {
    engine.close()
  }
}

/** A manifest as if there had never been other models. */
function only(manifest: CommittedManifest, texts: readonly ModelText[]): CommittedManifest {
  const known = new Set(texts.map(({ name }) => name))
  const tables = Object.entries(manifest.tables).filter(([name]) => known.has(name))
  return { ...manifest, tables: tableEntries(tables) }
}

interface Edited {
  readonly newest: CommittedManifest
  readonly models: readonly Model[]
  readonly inputs: ReadonlyMap<string, CommittedManifest>
  readonly options: TransformOptions
}

async function restateEdited(
  project: Project,
  { newest, models, inputs, options }: Edited,
  context: Context,
): Promise<CommittedManifest> {
  const edits = editsOf(newest, models)
  if (!anyEdit(edits)) return newest
  const forward = new Set(options.forward ?? [])
  await refuseMisfits(project, models)
  const edited = await restate(project, { newest, models, inputs, edits, forward }, context)
  const engine = await project.engine(context.signal)
  try {
    // A history of many batches is one file for each as yet.
    return await writeDueBases(
      project.processed,
      engine,
      edited,
      project.settings.lake.baseAfter,
      context,
    )
  } finally {
    engine.close()
  }
}

/** A name that was given and is no model's was mistyped. */
function noteUnknown(
  forward: readonly string[],
  texts: readonly ModelText[],
  context: Context,
): void {
  const known = texts.map(({ name }) => name)
  for (const name of forward.filter((given) => !known.includes(given))) {
    const nearest = nearestName(name, known)
    const hint = nearest === undefined ? '' : `; did you mean "${nearest}"?`
    context.emit({ type: 'note', level: 'warn', text: `no model is named "${name}"${hint}` })
  }
}

/** Failures of the rows of one point, which another point need not have. */
const PASSABLE: readonly ErrorName[] = ['CheckFailed', 'ModelFailed']

export interface PointWork {
  readonly engine: Engine
  readonly models: readonly Model[]
  readonly inputs: ReadonlyMap<string, CommittedManifest>
  readonly marks: readonly (BatchMark & InputMark)[]
  readonly point: Point
  readonly parent: CommittedManifest | null
  readonly anew: ReadonlySet<string> | undefined
}

async function passPoint(
  project: Project,
  work: PointWork,
  context: Context,
): Promise<{ manifest: CommittedManifest; models: readonly ModelSummary[] }> {
  const { parent, point, engine } = work
  const batch = (parent?.batch ?? 0) + 1
  const instant = nextInstant(parent?.instant ?? null, point.instant)
  const evaluated = await evaluatePoint(project, { ...work, batch, instant }, context)
  const changed =
    parent === null ||
    evaluated.models.some((model) => model.inserted + model.updated + model.deleted > 0) ||
    // What the warehouse must follow, if without a row.
    Object.entries(evaluated.tables).some(([name, { columns }]) =>
      isOtherwise(columns, parent.tables[name]?.columns ?? []),
    )
  const manifest = await project.processed.chain(project.name).commit(
    {
      chain: parent?.chain ?? randomUUID(),
      // Input rows may change without any model's row: the point is recorded, and no batch is added.
      batch: changed ? batch : (parent?.batch ?? 0),
      instant: changed ? instant : (parent?.instant ?? instant),
      run: context.run,
      writer: WRITER,
      inputs: inputsOf(work),
      ...(parent?.generation === undefined ? {} : { generation: parent.generation }),
      engine: engine.version,
      tables: tableEntries([...retired(parent), ...Object.entries(evaluated.tables)]),
    },
    parent,
  )
  context.emit({
    type: 'manifest.committed',
    chain: project.name,
    number: manifest.number,
    batch: manifest.batch,
    instant: manifest.instant,
  })
  const based = await writeDueBases(
    project.processed,
    engine,
    manifest,
    project.settings.lake.baseAfter,
    context,
  )
  return { manifest: based, models: evaluated.models }
}

function isOtherwise(now: readonly Column[], before: readonly Column[]): boolean {
  const said = ({ id, name, type, notNull }: Column): string =>
    JSON.stringify([id, name, type, notNull])
  return now.map(said).join() !== before.map(said).join()
}

/** Tables whose models are gone stay as they are. */
function retired(parent: CommittedManifest | null): readonly (readonly [string, TableEntry])[] {
  return Object.entries(parent?.tables ?? {}).filter(([, entry]) => entry.model?.retired === true)
}

/** Before models are committed: what the warehouse would refuse could only be mended by editing them again. */
async function refuseMisfits(project: Project, models: readonly Model[]): Promise<void> {
  try {
    await checkModels(project, models)
  } catch (error) {
    const unreachable = error instanceof ToteError && error.name === 'WarehouseUnreachable'
    if (!unreachable) throw error
  }
}

/** The manifest behind every batch of a point: one that is pending, or one that the parent stands for already. */
function inputsOf({ point, marks, parent }: PointWork): Record<string, InputMark> {
  return Object.fromEntries(
    Object.entries(point.batches).map(([source, batch]) => {
      const mark =
        marks.find((candidate) => candidate.source === source && candidate.batch === batch) ??
        parent?.inputs?.[source]
      if (mark === undefined)
        throw new RangeError(`no manifest of "${source}" added batch ${batch}`)
      const { chain, manifest, sha256 } = mark
      return [source, { chain, batch, manifest, sha256 }]
    }),
  )
}

async function pendingPoints(
  project: Project,
  {
    newest,
    inputs,
    anew,
  }: {
    readonly newest: CommittedManifest | null
    readonly inputs: ReadonlyMap<string, CommittedManifest>
    readonly anew: ReadonlySet<string> | undefined
  },
): Promise<{ points: readonly Point[]; marks: readonly (BatchMark & InputMark)[] }> {
  const done =
    newest?.inputs === undefined
      ? null
      : Object.fromEntries(
          Object.entries(newest.inputs).map(([source, input]) => [source, input.batch]),
        )
  const marks = await Promise.all(
    [...inputs].map(async ([source, manifest]) =>
      batchMarks(project.ingestion, source, manifest, done?.[source] ?? 0),
    ),
  )
  const points = pointsAfter(done, [...inputs.keys()], marks.flat())
  const begins =
    newest !== null && (anew !== undefined || Object.values(newest.tables).some(goesOn))
  // A new query begins with the next batch; when no rows wait for one, with one of its own.
  if (points.length === 0 && begins && done !== null)
    return { points: [{ batches: done, instant: newest.instant }], marks: marks.flat() }
  return { points, marks: marks.flat() }
}

function addCounts(before: ModelSummary | undefined, now: ModelSummary): ModelSummary {
  if (before === undefined) return now
  return {
    ...now,
    inserted: before.inserted + now.inserted,
    updated: before.updated + now.updated,
    deleted: before.deleted + now.deleted,
    ways: {
      full: before.ways.full + now.ways.full,
      driven: before.ways.driven + now.ways.driven,
      skipped: before.ways.skipped + now.ways.skipped,
    },
  }
}
