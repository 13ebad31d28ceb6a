/** Stable column ids: a column keeps its id for as long as its table lives, and no id is used twice. */
import type { Column } from '../types.ts'

/** `columns` with the ids that `previous` gave to the same names; new ones go on from the highest. */
export function continueIds(
  columns: readonly Omit<Column, 'id'>[],
  previous: readonly Column[],
): Column[] {
  const known = new Map(previous.map((column) => [column.name, column.id]))
  let highest = Math.max(0, ...known.values())
  return columns.map(({ name, type, builtin, carried, notNull }) => ({
    id: known.get(name) ?? ++highest,
    name,
    type,
    ...(builtin === undefined ? {} : { builtin }),
    carried,
    notNull,
  }))
}

/**
 * The columns of a source's table, going on from the lake's. A column of the same type that came to be
 * carried as text, because a value did not fit, stays so.
 */
export function continueColumns(
  columns: readonly Omit<Column, 'id'>[],
  previous: readonly Column[],
): Column[] {
  const known = new Map(previous.map((column) => [column.name, column]))
  return continueIds(columns, previous).map((column) => {
    const before = known.get(column.name)
    const isText = before?.type === column.type && before.carried === 'VARCHAR'
    return isText ? { ...column, carried: 'VARCHAR' } : column
  })
}

/**
 * A model's columns, going on from those of its older rows: a column that may be null there stays so,
 * whatever is demanded of new rows.
 */
export function continueModel(
  columns: readonly Omit<Column, 'id'>[],
  previous: readonly Column[],
): Column[] {
  const loose = new Set(previous.filter(({ notNull }) => !notNull).map(({ name }) => name))
  return continueIds(columns, previous).map((column) =>
    loose.has(column.name) ? { ...column, notNull: false } : column,
  )
}
