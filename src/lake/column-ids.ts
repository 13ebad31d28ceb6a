/** Stable column ids: a column keeps its id for as long as its table lives, and no id is used twice. */
import { holdsAll } from '../postgres/carried.ts'
import type { Column, TypePart } from '../types.ts'

export type NewColumn = Omit<Column, 'id' | 'gone'>

/** `columns` with the ids that `previous` gave to the same names; new ones go on from the highest. */
export function continueIds(columns: readonly NewColumn[], previous: readonly Column[]): Column[] {
  const known = new Map(previous.map((column) => [column.name, column.id]))
  const ids = columns.map(({ name }) => known.get(name))
  return withIds(columns, ids, previous)
}

function withIds(
  columns: readonly NewColumn[],
  ids: readonly (number | undefined)[],
  previous: readonly Column[],
): Column[] {
  let highest = Math.max(0, ...previous.map(({ id }) => id))
  return columns.map((column, index) => {
    const { name, type, builtin, carried, notNull, ...more } = column
    const { attribute, source, formerly, partial, inside } = more
    return {
      id: ids[index] ?? ++highest,
      name,
      type,
      ...(builtin === undefined ? {} : { builtin }),
      ...(inside === undefined ? {} : { inside }),
      carried,
      notNull,
      ...(attribute === undefined ? {} : { attribute }),
      ...(source === undefined ? {} : { source }),
      ...(formerly === undefined ? {} : { formerly }),
      ...(partial === undefined ? {} : { partial }),
    }
  })
}

/** Which of a table's columns in the lake each of its columns at the source is; absent for those that are new. */
export type ColumnMatches = ReadonlyMap<NewColumn, Column>

/** Columns of which another table of the same name is compared: its numbers say nothing of them, now or later. */
export function withoutNumbers(columns: readonly Column[]): readonly Column[] {
  return columns.map((column) => ({ ...column, attribute: undefined }))
}

/** Columns that are the same: by their attribute numbers where both are known, else by their names. */
export function matchColumns(
  columns: readonly NewColumn[],
  previous: readonly Column[],
): ColumnMatches {
  const matches = new Map<NewColumn, Column>()
  const counts = (attribute: number | undefined): attribute is number =>
    attribute !== undefined && attribute > 0
  for (const column of columns) {
    const same = previous.find((before) =>
      counts(column.attribute) && counts(before.attribute)
        ? before.attribute === column.attribute
        : before.name === column.name,
    )
    // Of what is gone, nothing but a like column can be back.
    if (same !== undefined && (same.gone !== true || holdsAll(column, same)))
      matches.set(column, same)
  }
  return matches
}

/**
 * The columns of a source's table, going on from the lake's: those that it has, in its order, then those
 * that it has no more. A column that came to be carried as text, because a value did not fit, stays so.
 */
export function continueColumns(
  columns: readonly NewColumn[],
  previous: readonly Column[],
  matches: ColumnMatches = matchColumns(columns, withoutNumbers(previous)),
): Column[] {
  const live = columns.map((column) => {
    const before = matches.get(column)
    const isText = before?.carried === 'VARCHAR'
    const isPartial = before === undefined ? previous.length > 0 : before.partial === true
    const names = new Set([...(before?.formerly ?? []), before?.name ?? column.name])
    names.delete(column.name)
    return {
      ...column,
      ...(column.inside === undefined ? {} : { inside: withPast(column.inside, before?.inside) }),
      ...(names.size > 0 ? { formerly: [...names] } : {}),
      ...(isText ? { carried: 'VARCHAR' } : {}),
      ...(isPartial ? { partial: true as const } : {}),
    }
  })
  const ids = columns.map((column) => matches.get(column)?.id)
  const continued = withIds(live, ids, previous)
  const kept = new Set(continued.map(({ id }) => id))
  const gone = previous.filter(({ id }) => !kept.has(id)).map(leave)
  return [...continued, ...apart(gone, continued)]
}

/** Each enum with the labels that it had once: history keeps them. */
function withPast(
  inside: readonly TypePart[],
  before: readonly TypePart[] = [],
): readonly TypePart[] {
  return inside.map((part) => {
    const { type, labels } = part
    const known = before.find((other) => other.type === type)
    if (labels === undefined || known?.labels === undefined) return part
    const past = [...known.labels, ...(known.past ?? [])].filter((label) => !labels.includes(label))
    return past.length === 0 ? part : { ...part, past }
  })
}

function leave(column: Column): Column {
  return { ...column, notNull: false, partial: true, gone: true }
}

/** What is gone gives way where its name is another column's now; upper and lower case are one. */
function apart(gone: readonly Column[], live: readonly Column[]): Column[] {
  const taken = new Set(live.map(({ name }) => name.toLowerCase()))
  return gone.map((column) => {
    let { name } = column
    if (taken.has(name.toLowerCase())) name = `${name}_dropped_${column.id}`
    while (taken.has(name.toLowerCase())) name = `${name}_`
    taken.add(name.toLowerCase())
    return { ...column, name }
  })
}

/** Those that rows still have. */
export function liveColumns(columns: readonly Column[]): readonly Column[] {
  return columns.filter(({ gone }) => gone !== true)
}

/** Those that rows have no more. */
export function goneColumns(columns: readonly Column[]): readonly Column[] {
  return columns.filter(({ gone }) => gone === true)
}

/**
 * A model's columns, going on from those of its older rows: a column that may be null there stays so,
 * whatever is demanded of new rows.
 */
export function continueModel(
  columns: readonly NewColumn[],
  previous: readonly Column[],
): Column[] {
  const loose = new Set(previous.filter(({ notNull }) => !notNull).map(({ name }) => name))
  return continueIds(columns, previous).map((column) =>
    loose.has(column.name) ? { ...column, notNull: false } : column,
  )
}

/**
 * The same for a model that nobody edited, whose inputs have other columns now: older rows have no values
 * of new columns, and those that it yields no more keep what they had. A column is the same by its name,
 * and else, where it was renamed, by the column of a source that it is.
 */
export function growModel(columns: readonly NewColumn[], previous: readonly Column[]): Column[] {
  const ids = sameIds(columns, previous)
  const byId = new Map(previous.map((column) => [column.id, column]))
  const continued = withIds(columns, ids, previous).map((column): Column => {
    const before = byId.get(column.id)
    if (before === undefined)
      return previous.length === 0 ? column : { ...column, notNull: false, partial: true }
    return before.notNull ? column : { ...column, notNull: false }
  })
  const kept = new Set(continued.map(({ id }) => id))
  const gone = previous.filter(({ id }) => !kept.has(id)).map(leave)
  return [...continued, ...apart(gone, continued)]
}

function sameIds(
  columns: readonly NewColumn[],
  previous: readonly Column[],
): readonly (number | undefined)[] {
  const ids: (number | undefined)[] = columns.map(() => undefined)
  const taken = new Set<number>()
  const match = (isSame: (column: NewColumn, before: Column) => boolean): void => {
    for (const [index, column] of columns.entries()) {
      if (ids[index] !== undefined) continue
      const found = previous.filter((before) => !taken.has(before.id) && isSame(column, before))
      const [only, ...others] = found
      if (only === undefined || others.length > 0) continue
      ids[index] = only.id
      taken.add(only.id)
    }
  }
  const sameName = (a: NewColumn, b: Column): boolean => a.name === b.name
  match((a, b) => sameName(a, b) && (a.source === b.source || b.source === undefined))
  match((a, b) => a.source !== undefined && a.source === b.source)
  match(sameName)
  return ids
}
