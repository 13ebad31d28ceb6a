/**
 * Transform: for every point not yet passed, the difference between each model's query, run over the
 * rows of that point, and the model's versioned table; committed as one batch of the whole star.
 *
 * Checks run before the commit: what fails with severity error commits nothing, the warehouse stays
 * at the last good batch, and the next point is tried on top of that.
 */
import { randomUUID } from 'node:crypto'
import { relative } from 'node:path'
import type { Engine } from '../columns/engine.ts'
import { ToteError, type ErrorName } from '../errors.ts'
import type { Context, ModelSummary } from '../events.ts'
import { writeDueBases } from '../lake/base.ts'
import { untilCommitted } from '../lake/conflict.ts'
import { nextInstant } from '../lake/instant.ts'
import { WRITER, type CommittedManifest, type InputMark } from '../lake/manifest.ts'
import { definitionOf, type Model, type ModelText } from '../models/model.ts'
import { readModels } from '../models/read-models.ts'
import { boundModels } from '../project/bound-models.ts'
import { evaluatePoint } from './evaluate.ts'
import { newestInputs, refuseForeignInputs } from '../project/inputs.ts'
import { starOfModels } from './load.ts'
import { batchMarks, pointsAfter, type BatchMark, type Point } from '../project/points.ts'
import type { Project } from '../project/project.ts'

export interface Transformed {
  readonly manifest: CommittedManifest | null
  readonly batches: number
  readonly models: readonly ModelSummary[]
}

/** Passes all pending points. Throws ModelInvalid, ModelEdited, ModelFailed, CheckFailed. */
export async function transform(project: Project, context: Context): Promise<Transformed> {
  return untilCommitted(project.name, context, async () => passPoints(project, context))
}

async function passPoints(project: Project, context: Context): Promise<Transformed> {
  const chain = project.processed.chain(project.name)
  // The inputs after what was made of them: another run may commit both meanwhile.
  let newest = await chain.newest()
  const inputs = await newestInputs(project)
  if (inputs === null) return { manifest: newest, batches: 0, models: [] }
  await refuseForeignInputs(project)
  const texts = await readModels(
    project.settings.models,
    relative(project.folder, project.settings.models) || '.',
  )
  refuseEdited(project, newest, texts)
  const { points, marks } = await pendingPoints(project, newest, inputs)
  if (points.length === 0 || texts.length === 0) return { manifest: newest, batches: 0, models: [] }

  const models = await boundModels(project, texts, inputs, context)
  if (newest === null) await refuseMisfits(project, models)
  const summaries = new Map<string, ModelSummary>()
  let batches = 0
  let failed: ToteError | undefined
  for (const point of points) {
    const engine = await project.engine(context.signal)
    try {
      const committed = await passPoint(
        project,
        { engine, models, inputs, marks, point, parent: newest },
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
      if (!passable) throw error
      failed = error
    } finally {
      engine.close()
    }
  }
  if (failed !== undefined) throw failed
  return { manifest: newest, batches, models: [...summaries.values()] }
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
    evaluated.models.some((model) => model.inserted + model.updated + model.deleted > 0)
  const manifest = await project.processed.chain(project.name).commit(
    {
      chain: parent?.chain ?? randomUUID(),
      // Input rows may change without any model's row: the point is recorded, and no batch is added.
      batch: changed ? batch : (parent?.batch ?? 0),
      instant: changed ? instant : (parent?.instant ?? instant),
      run: context.run,
      writer: WRITER,
      inputs: inputsOf(work),
      engine: engine.version,
      tables: evaluated.tables,
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

/** Before the first batch of all: what the warehouse would refuse could only be mended by an edited model. */
async function refuseMisfits(project: Project, models: readonly Model[]): Promise<void> {
  try {
    await project.warehouse.check(starOfModels(models))
  } catch (error) {
    const unreachable = error instanceof ToteError && error.name === 'WarehouseUnreachable'
    if (!unreachable) throw error
  }
}

/** Throws ModelEdited when the processed zone was made with other models than these. */
export function refuseEdited(
  project: Project,
  newest: CommittedManifest | null,
  texts: readonly ModelText[],
): void {
  if (newest === null) return
  const problems: { where: string; message: string }[] = []
  for (const text of texts) {
    const entry = newest.tables[text.name]
    if (entry === undefined) problems.push({ where: text.path, message: 'is new' })
    else if (entry.shape !== definitionOf(text))
      problems.push({ where: text.path, message: 'was edited' })
  }
  for (const name of Object.keys(newest.tables)) {
    if (!texts.some((text) => text.name === name))
      problems.push({ where: `${name}.sql`, message: 'is no longer there' })
  }
  if (problems.length === 0) return
  throw new ToteError(
    'ModelEdited',
    `The models are not those that the processed zone was made with.`,
    {
      problems,
      why: 'restating a versioned table is not supported yet, so no model was evaluated',
      fix: `undo the edit, or begin anew: remove ${project.processed.store.url} and drop the warehouse tables and the schema "${project.settings.warehouse.ledger}"`,
    },
  )
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
  newest: CommittedManifest | null,
  inputs: ReadonlyMap<string, CommittedManifest>,
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
  return { points: pointsAfter(done, [...inputs.keys()], marks.flat()), marks: marks.flat() }
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
