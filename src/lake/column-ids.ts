/** Stable column ids: a column keeps its id for as long as its table lives, and no id is used twice. */
import type { Column } from '../types.ts'

/** `columns` with the ids that `previous` gave to the same names; new ones go on from the highest. */
export function continueIds(
  columns: readonly Omit<Column, 'id'>[],
  previous: readonly Column[],
): Column[] {
  const known = new Map(previous.map((column) => [column.name, column.id]))
  let highest = Math.max(0, ...known.values())
  return columns.map(({ name, type, carried, notNull }) => ({
    id: known.get(name) ?? ++highest,
    name,
    type,
    carried,
    notNull,
  }))
}
