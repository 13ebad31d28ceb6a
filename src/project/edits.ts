/**
 * What was edited since the processed zone was made: models that are new, whose rows may differ, or
 * that only say other things of the same rows; and models that are gone. Pure.
 */
import { growModel, liveColumns } from '../lake/column-ids.ts'
import type { CommittedManifest, TableEntry } from '../lake/manifest.ts'
import { definitionOf, type Model, type ModelText } from '../models/model.ts'
import { holdsAll } from '../postgres/carried.ts'
import { keepsVersions, type Reference } from '../types.ts'

export interface Edits {
  /** New, or back again: there is no history to go on from. */
  readonly added: ReadonlySet<string>
  /** The query, the key or the demands on rows are others: the history is made anew, or goes on with them. */
  readonly changed: ReadonlySet<string>
  /** Not edited: what they read has another type now, which older values do not fit. */
  readonly retyped: ReadonlySet<string>
  /** The same rows, said otherwise: a comment, a kind, a type of the warehouse, fewer demands. */
  readonly described: ReadonlySet<string>
  /** Written otherwise, and meaning the same. */
  readonly formatted: ReadonlySet<string>
  /** Their files are gone. */
  readonly removed: ReadonlySet<string>
}

/** Whether editsOf could find anything, by the texts alone: nothing need be parsed to know that nothing changed. */
export function maybeEdited(newest: CommittedManifest, texts: readonly ModelText[]): boolean {
  const names = new Set(texts.map(({ name }) => name))
  return (
    removedOf(newest, names).size > 0 ||
    texts.some((text) => {
      const entry = newest.tables[text.name]
      return (
        entry === undefined ||
        entry.model?.retired === true ||
        entry.shape !== definitionOf(text) ||
        entry.model?.comment !== text.comment
      )
    })
  )
}

export function editsOf(newest: CommittedManifest, models: readonly Model[]): Edits {
  const sets = {
    added: new Set<string>(),
    changed: new Set<string>(),
    retyped: new Set<string>(),
    described: new Set<string>(),
  }
  const formatted = new Set<string>()
  for (const model of models) {
    const entry = newest.tables[model.name]
    if (entry === undefined || entry.model?.retired === true) sets.added.add(model.name)
    else if (changesRows(model, entry)) sets.changed.add(model.name)
    else if (!holdsOlder(model, entry)) sets.retyped.add(model.name)
    else if (entry.shape !== definitionOf(model) || entry.model?.comment !== model.comment)
      (saysOtherwise(model, entry) ? sets.described : formatted).add(model.name)
  }
  return { ...sets, formatted, removed: removedOf(newest, new Set(models.map(({ name }) => name))) }
}

export function anyEdit(edits: Edits): boolean {
  return Object.values<ReadonlySet<string>>({ ...edits }).some(({ size }) => size > 0)
}

/** For a sentence that begins with the model's name. */
export function whyEdited(model: string, edits: Edits): string {
  if (edits.added.has(model)) return 'is new'
  if (edits.retyped.has(model)) return 'reads a column of another type'
  return edits.changed.has(model) ? 'was edited' : 'reads an edited model'
}

/**
 * What an edit makes of the model's table in the warehouse beyond its rows, for a sentence; null where that is nothing.
 * `drops`: versions go from there, which only the lake then has.
 */
export function madeOtherwise(
  model: Model,
  entry: TableEntry,
): { readonly text: string; readonly drops: boolean } | null {
  const { model: before } = entry
  if (before === undefined || entry.shape === definitionOf(model)) return null
  const drops = keepsVersions(before) && !keepsVersions(model)
  const known = new Map(entry.columns.map((column) => [column.name, column]))
  const types = model.columns
    .filter(({ name, type }) => (known.get(name)?.type ?? type) !== type)
    .map(({ name, type }) => `${name} is ${type}`)
  const said = [
    ...(kindName(before) === kindName(model)
      ? []
      : [`${kindName(model)} in the place of ${kindName(before)}`]),
    ...(drops ? ['older versions go from the warehouse'] : []),
    ...(keepsVersions(before) && keepsVersions(model) && before.recordId !== model.recordId
      ? [`record ids in ${model.recordId}`]
      : []),
    ...types,
  ]
  return said.length === 0 ? null : { text: said.join(', '), drops }
}

function kindName({ kind, history }: Pick<Model, 'kind' | 'history'>): string {
  return history === true ? `a ${kind} with history` : `a ${kind}`
}

/** The models whose history an edit reaches: those that it is about, and all that read them. In their order. */
export function reached(edits: Edits, models: readonly Model[]): ReadonlySet<string> {
  const found = new Set([...edits.added, ...edits.changed, ...edits.retyped])
  for (const { name, reads } of models)
    if (reads.some((read) => read.schema === null && found.has(read.name))) found.add(name)
  return found
}

/** New demands are changes, too: a batch whose rows fail them would never have been. */
function changesRows(model: Model, entry: TableEntry): boolean {
  if (entry.shape === definitionOf(model)) return false
  return (
    entry.model?.syntax !== model.syntax ||
    !sameList(model.key, entry.key) ||
    !sameList(model.columns.map(carriedAs), liveColumns(entry.columns).map(carriedAs)) ||
    model.columns.some(
      ({ name, notNull }) =>
        notNull &&
        entry.columns.find((known) => known.name === name)?.notNull === false &&
        entry.model?.demands?.includes(name) !== true,
    ) ||
    model.references.some(
      (reference) =>
        !entry.model?.references.some(
          (known) => known.column === reference.column && known.model === reference.model,
        ),
    )
  )
}

/** Whether its columns hold the values of its older rows. */
function holdsOlder(model: Model, { columns }: TableEntry): boolean {
  const now = growModel(model.columns, columns)
  return columns.every((before) => {
    const column = now.find(({ id }) => id === before.id)
    return column === undefined || column.gone === true || holdsAll(column, before)
  })
}

/** Whether a model that nobody edited yields what older rows do not fit: its history is made anew, too. */
export function anyRetyped(newest: CommittedManifest, models: readonly Model[]): boolean {
  return editsOf(newest, models).retyped.size > 0
}

/** Whether the warehouse's table would be another, were its rows the same. */
export function saysOtherwise(model: Model, { columns, model: facts }: TableEntry): boolean {
  const known = new Map(columns.map((column) => [column.name, column]))
  const references = (of: readonly Reference[] = []): readonly string[] =>
    of.map(({ column, model: target }) => JSON.stringify([column, target])).toSorted()
  return (
    facts?.kind !== model.kind ||
    facts.history !== model.history ||
    facts.recordId !== model.recordId ||
    facts.comment !== model.comment ||
    !sameList(references(facts.references), references(model.references)) ||
    model.columns.some(
      ({ name, type, notNull }) =>
        known.get(name)?.type !== type || known.get(name)?.notNull !== notNull,
    )
  )
}

function removedOf(newest: CommittedManifest, names: ReadonlySet<string>): ReadonlySet<string> {
  return new Set(
    Object.entries(newest.tables)
      .filter(([name, entry]) => !names.has(name) && entry.model?.retired !== true)
      .map(([name]) => name),
  )
}

function carriedAs({ name, carried }: { name: string; carried: string }): string {
  return JSON.stringify([name, carried])
}

function sameList(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((item, index) => item === right[index])
}
