/**
 * Replaying the recorded points, which are those of the batches, through edited models: each batch as
 * it would have been. A point at which the models fail now is passed over, as it would have been then;
 * at the newest, and where a model that is not edited would fail, nothing is restated.
 */
import { ToteError } from '../errors.ts'
import type { Context } from '../events.ts'
import { continueIds } from '../lake/column-ids.ts'
import { tableEntries, type CommittedManifest, type TableEntry } from '../lake/manifest.ts'
import { filesBetween } from '../lake/read.ts'
import { definitionOf, type Model } from '../models/model.ts'
import type { Column } from '../types.ts'
import { evaluatePoint, factsOf, goesOn } from './evaluate.ts'
import type { Point } from '../project/points.ts'
import type { Project } from '../project/project.ts'

export interface Replay {
  readonly newest: CommittedManifest
  /** In the order of their dependencies. */
  readonly models: readonly Model[]
  readonly inputs: ReadonlyMap<string, CommittedManifest>
  /** The manifests that added the batches, oldest first. */
  readonly points: readonly CommittedManifest[]
  /** The models whose history is made anew. */
  readonly remade: ReadonlySet<string>
}

/** The new entries of the remade models, their files written. Throws CheckFailed, ModelFailed. */
export async function replay(
  project: Project,
  work: Replay,
  context: Context,
): Promise<ReadonlyMap<string, TableEntry>> {
  const { newest, remade, points } = work
  const models = neededBy(work)
  let parent = beginning(work)
  let skipped = 0
  for (const [index, recorded] of points.entries()) {
    context.signal.throwIfAborted()
    const { batch, instant } = recorded
    const point: Point = { batches: batchesOf(recorded), instant }
    if (!(await touches(project, work, parent, recorded))) {
      parent = { ...parent, batch, inputs: recorded.inputs ?? {} }
      continue
    }
    const engine = await project.engine(context.signal)
    try {
      const { tables } = await evaluatePoint(
        project,
        {
          engine,
          models,
          inputs: work.inputs,
          point,
          parent,
          batch,
          instant,
          recorded: others(work),
        },
        { ...context, emit: () => undefined },
      )
      parent = { ...parent, batch, inputs: recorded.inputs ?? {}, tables }
    } catch (error) {
      if (!failsOnly(error, remade)) throw error
      if (index === points.length - 1) throw atTheNewest(error, remade)
      skipped += 1
    } finally {
      engine.close()
    }
  }
  if (skipped > 0)
    context.emit({
      type: 'note',
      level: 'warn',
      text: `${skipped} of ${points.length} batches were passed over: the edited models fail there`,
    })
  if (parent.batch !== newest.batch && points.length > 0)
    throw new RangeError('the newest batch was not replayed')
  return new Map(Object.entries(parent.tables).filter(([name]) => remade.has(name)))
}

/** The remade models, and of the others those that they need, or that refer to them. */
function neededBy({ models, remade, newest }: Replay): readonly Model[] {
  return models.filter(({ name }) => remade.has(name) || newest.tables[name] !== undefined)
}

function others({ models, remade }: Replay): ReadonlySet<string> {
  return new Set(models.map(({ name }) => name).filter((name) => !remade.has(name)))
}

/** Before the first batch: the remade models without a row, the others as they are recorded. */
function beginning(work: Replay): CommittedManifest {
  const { newest, remade } = work
  const tables = tableEntries()
  for (const model of neededBy(work)) {
    const recorded = newest.tables[model.name]
    if (remade.has(model.name)) tables[model.name] = begun(model, recorded?.columns ?? [])
    else if (recorded !== undefined) tables[model.name] = recorded
  }
  return { ...newest, batch: 0, inputs: {}, tables }
}

/** A model without a row, that begins with the next batch. */
export function begun(model: Model, previous: readonly Column[]): TableEntry {
  return {
    columns: continueIds(model.columns, previous),
    key: model.key,
    shape: definitionOf(model),
    position: { goesOn: true },
    rows: 0,
    base: [],
    files: [],
    previous: null,
    model: factsOf(model, null),
  }
}

/** Whether anything that the remade models read, or that refers to them, changed since the parent. */
async function touches(
  project: Project,
  { models, inputs, newest, remade }: Replay,
  parent: CommittedManifest,
  recorded: CommittedManifest,
): Promise<boolean> {
  for (const model of models) {
    const entry = parent.tables[model.name]
    if (remade.has(model.name)) {
      if (entry === undefined || goesOn(entry)) return true
      for (const { schema, name } of model.reads) {
        if (schema === null) {
          if (
            !remade.has(name) &&
            (await changed(project.processed, newest, name, parent.batch, recorded.batch))
          )
            return true
          continue
        }
        const manifest = inputs.get(schema)
        if (manifest === undefined) continue
        const [after, upTo] = [parent, recorded].map((of) => of.inputs?.[schema]?.batch ?? 0)
        if (await changed(project.ingestion, manifest, name, after ?? 0, upTo ?? 0)) return true
      }
    }
    // A reference may have lost what it refers to.
    if (!remade.has(model.name) && !model.references.some((to) => remade.has(to.model))) continue
    for (const name of [model.name, ...model.references.map((to) => to.model)])
      if (
        !remade.has(name) &&
        (await changed(project.processed, newest, name, parent.batch, recorded.batch))
      )
        return true
  }
  return false
}

async function changed(
  zone: Project['processed'],
  manifest: CommittedManifest,
  table: string,
  after: number,
  upTo: number,
): Promise<boolean> {
  return (await filesBetween(zone, manifest, table, after, upTo)).length > 0
}

function batchesOf({ inputs = {} }: CommittedManifest): Record<string, number> {
  return Object.fromEntries(Object.entries(inputs).map(([source, { batch }]) => [source, batch]))
}

/** Whether it is only the edited models that fail: the history of the others stands as it is. */
function failsOnly(error: unknown, remade: ReadonlySet<string>): error is ToteError {
  if (!(error instanceof ToteError)) return false
  if (error.name === 'ModelFailed') return true
  return error.name === 'CheckFailed' && failingIn(error).every((name) => remade.has(name))
}

function failingIn({ facts }: ToteError): readonly string[] {
  return [...new Set(facts.problems?.map(({ where }) => where ?? '') ?? [facts.where ?? ''])]
}

/** Rows that were corrected at the source since do not help there: they come with the next batch. */
function atTheNewest(error: ToteError, remade: ReadonlySet<string>): ToteError {
  const names = failingIn(error).filter((name) => remade.has(name))
  if (names.length === 0) return error
  return new ToteError(error.name, error.message, {
    ...error.facts,
    why: 'an edited model must hold at the newest batch, as that was recorded',
    fix: `correct the model; or, where the rows at the source are right by now, let it begin with the next batch: tote run ${names.map((name) => `--forward ${name}`).join(' ')}`,
    cause: error,
  })
}
