/**
 * Edited models. By default an edit is restated: the recorded points are replayed through the new
 * query into new files beside the live ones, and one manifest names them all, so that history looks
 * as if the models had always read so. With `forward` the old versions stay, and the new query begins
 * with the next batch. Until that manifest is there, nothing was done.
 */
import { OP_COLUMN, quoteName } from '../columns/sql.ts'
import { ToteError, type Problem } from '../errors.ts'
import type { Context } from '../events.ts'
import { continueModel, growModel } from '../lake/column-ids.ts'
import {
  generationOf,
  tableEntries,
  WRITER,
  type CommittedManifest,
  type DataFile,
  type InputMark,
  type ModelFacts,
  type TableEntry,
} from '../lake/manifest.ts'
import { changesIn, filesBetween, filesOfBatch } from '../lake/read.ts'
import { writeRows } from '../lake/write.ts'
import { describePreview, previewEdits } from '../evaluation/preview.ts'
import { definitionOf, type Model } from '../models/model.ts'
import { madeOtherwise, reached, saysOtherwise, whyEdited, type Edits } from '../project/edits.ts'
import { batchManifests } from '../project/points.ts'
import type { Project } from '../project/project.ts'
import { factsOf } from './evaluate.ts'
import { begun, replay } from './replay.ts'

export interface Restatement {
  readonly newest: CommittedManifest
  readonly models: readonly Model[]
  readonly inputs: ReadonlyMap<string, CommittedManifest>
  readonly edits: Edits
  /** Edited models that keep their old versions. */
  readonly forward: ReadonlySet<string>
}

/** Commits what the edits come to, and returns the newest manifest. Throws CheckFailed, ModelFailed, ModelEdited. */
export async function restate(
  project: Project,
  work: Restatement,
  context: Context,
): Promise<CommittedManifest> {
  const { newest, models, edits } = work
  const generation = generationOf(newest) + 1
  const remade = remadeBy(work)
  const points = remade.size === 0 ? [] : await batchManifests(project.processed, newest, 0)
  await sayBeforehand(project, { ...work, remade, batches: points.length }, context)
  const replayed = await replay(project, { ...work, points, remade }, context)
  const tables = tableEntries(Object.entries(newest.tables))
  let raised = false
  const put = (name: string, entry: TableEntry, facts: Partial<ModelFacts>): void => {
    if (entry.model === undefined) throw new RangeError(`table "${name}" has no model`)
    tables[name] = { ...entry, model: { ...entry.model, ...facts } }
    raised ||= facts.generation === generation
  }
  for (const model of models) {
    const { name } = model
    const old = newest.tables[name]
    const fresh = replayed.get(name)
    if (fresh !== undefined) {
      if (old !== undefined && (await sameHistory(project, newest, { name, fresh }, context)))
        // Every row of it has passed the checks: what the model demands holds for older rows, too.
        put(
          name,
          { ...described(old, model), columns: fresh.columns },
          raise(model, old, generation),
        )
      else put(name, fresh, { generation, remade: generation })
    } else if (work.forward.has(name) && (edits.changed.has(name) || edits.added.has(name))) {
      const kept =
        old === undefined ? null : await converted(project, newest, { model, old }, context)
      put(name, kept ?? begun(model, []), { generation, remade: generation })
    } else if (old !== undefined && (edits.described.has(name) || edits.formatted.has(name))) {
      put(name, described(old, model), raise(model, old, generation))
    }
  }
  for (const name of edits.removed) {
    const entry = newest.tables[name]
    if (entry !== undefined) put(name, entry, { generation, retired: true })
    context.emit({
      type: 'note',
      level: 'warn',
      text: `${name} has no model any more; its rows stay in lake and warehouse as they are`,
    })
  }
  const { format: _format, name, number: _number, parent: _parent, sha256: _sha, ...draft } = newest
  return project.processed.chain(name).commit(
    {
      ...draft,
      run: context.run,
      writer: WRITER,
      // Points after the newest batch changed no row of the old query; the new one passes them again.
      ...(points.length === 0 ? {} : { inputs: inputsOf(points) }),
      ...(raised ? { generation } : {}),
      tables,
    },
    newest,
  )
}

/** What the warehouse must follow of a model whose rows are the same: all of it, where it holds them otherwise. */
function raise(model: Model, old: TableEntry, generation: number): Partial<ModelFacts> {
  if (!saysOtherwise(model, old)) return {}
  const types = new Map(old.columns.map(({ name, type }) => [name, type]))
  const otherwise =
    old.model?.kind !== model.kind ||
    old.model.history !== model.history ||
    old.model.recordId !== model.recordId ||
    model.columns.some(({ name, type }) => types.get(name) !== type)
  return otherwise ? { generation, remade: generation } : { generation }
}

/** How many rows will change, before anything is done: there is still time to stop. */
async function sayBeforehand(
  project: Project,
  work: Restatement & { readonly remade: ReadonlySet<string>; readonly batches: number },
  context: Context,
): Promise<void> {
  const { newest, edits, forward, remade, batches } = work
  for (const model of work.models) {
    const entry = newest.tables[model.name]
    const made =
      entry?.model?.retired === true || entry === undefined ? null : madeOtherwise(model, entry)
    if (made !== null)
      context.emit({
        type: 'note',
        level: made.drops ? 'warn' : 'info',
        text: `${model.name} was edited: ${made.text}`,
      })
  }
  const edited = new Set([...remade, ...forward])
  if (edited.size === 0) return
  const engine = await project.engine(context.signal)
  try {
    for (const preview of await previewEdits({ ...project, ...work, engine, edited })) {
      const { model } = preview
      if (!remade.has(model) && !edits.changed.has(model) && !edits.added.has(model)) continue
      const how = remade.has(model)
        ? `restated over ${batches} ${batches === 1 ? 'batch' : 'batches'}`
        : 'begins with the next batch'
      context.emit({
        type: 'note',
        level: 'info',
        text: `${model} ${whyEdited(model, edits)}: ${describePreview(preview)}; ${how}`,
      })
    }
  } finally {
    engine.close()
  }
}

/** Those that are replayed: edited ones that do not go on, and all that read them. */
function remadeBy({ edits, forward, models }: Restatement): ReadonlySet<string> {
  const without = (names: ReadonlySet<string>): ReadonlySet<string> =>
    new Set([...names].filter((name) => !forward.has(name)))
  const edited = { ...edits, added: without(edits.added), changed: without(edits.changed) }
  return without(reached(edited, models))
}

function inputsOf(points: readonly CommittedManifest[]): Readonly<Record<string, InputMark>> {
  return points.at(-1)?.inputs ?? {}
}

/** The same rows under what the model says of them now; older rows may lack what it demands. */
function described(entry: TableEntry, model: Model): TableEntry {
  return {
    ...entry,
    columns: growModel(model.columns, entry.columns),
    shape: definitionOf(model),
    model: factsOf(model, entry),
  }
}

/** Whether the old files hold the very history that the replay came to. */
async function sameHistory(
  project: Project,
  newest: CommittedManifest,
  { name, fresh }: { name: string; fresh: TableEntry },
  context: Context,
): Promise<boolean> {
  const old = newest.tables[name]
  const carried = ({ columns }: TableEntry): readonly string[] =>
    columns.map((column) => JSON.stringify([column.name, column.carried])).toSorted()
  if (old === undefined || old.model?.retired === true) return false
  if (old.key.join('\0') !== fresh.key.join('\0') || carried(old).join() !== carried(fresh).join())
    return false
  const files = await filesBetween(project.processed, newest, name, 0, newest.batch)
  const engine = await project.engine(context.signal)
  try {
    const one = await changesIn(project.processed, fresh, files)
    const other = await changesIn(project.processed, fresh, fresh.files)
    const [row] = await engine.rows(
      `select exists (${one} except all ${other}) or exists (${other} except all ${one}) as differ`,
    )
    return row?.['differ'] === false
  } finally {
    engine.close()
  }
}

/**
 * The old versions under the columns of the new query: those that it no longer yields are left out,
 * new ones are null. Throws ModelEdited where that cannot be.
 */
async function converted(
  project: Project,
  newest: CommittedManifest,
  { model, old }: { model: Model; old: TableEntry },
  context: Context,
): Promise<TableEntry> {
  refuseForward(model, old)
  const known = new Set(old.columns.map(({ name }) => name))
  const columns = continueModel(model.columns, old.columns).map((column) =>
    known.has(column.name) ? column : { ...column, notNull: false },
  )
  const entry = {
    ...described(old, model),
    columns,
    position: { goesOn: true },
    model: factsOf(model, { ...old, columns }),
  }
  if (columns.length === old.columns.length && columns.every(({ name }) => known.has(name)))
    return entry
  const files: DataFile[] = []
  const engine = await project.engine(context.signal)
  try {
    for (const { batch, instant } of await batchManifests(project.processed, newest, 0)) {
      const parts = await filesOfBatch(project.processed, newest, model.name, batch)
      if (parts.length === 0) continue
      const list = columns.map(({ name, carried }) =>
        known.has(name) ? quoteName(name) : `null::${carried} as ${quoteName(name)}`,
      )
      const from = await changesIn(project.processed, old, parts)
      const sum = (count: 'rows' | 'deletes'): number =>
        parts.reduce((all, part) => all + part[count], 0)
      const written = await writeRows(project.processed, engine, {
        chain: newest.name,
        table: model.name,
        relation: `(select ${quoteName(OP_COLUMN)}, ${list.join(', ')} from (${from}))`,
        columns,
        key: model.key,
        batch,
        instant,
        base: false,
        rows: sum('rows'),
        deletes: sum('deletes'),
      })
      files.push(written)
    }
  } finally {
    engine.close()
  }
  return { ...entry, base: [], files, previous: null }
}

/** What the old versions cannot follow. */
function refuseForward(model: Model, old: TableEntry): void {
  const problems: Problem[] = []
  if (old.key.join('\0') !== model.key.join('\0'))
    problems.push({ where: model.path, message: 'the key is another one' })
  for (const { name, carried, type } of model.columns) {
    const before = old.columns.find((column) => column.name === name)
    if (before !== undefined && before.carried !== carried)
      problems.push({
        where: model.path,
        message: `column "${name}" was ${before.type} and is ${type}`,
      })
  }
  if (problems.length === 0) return
  throw new ToteError(
    'ModelEdited',
    `The old versions of "${model.name}" cannot be kept under the edited model.`,
    { problems, fix: `tote run, without --forward ${model.name}: its history is made anew` },
  )
}
