/**
 * Which kind of model a table begins as: one rule, documented in docs/init.md. Pure.
 *
 *   table      it has no key of its own
 *   fact       it refers to two or more tables, and to more than refer to it; or to one, when nothing
 *              refers to it, its key is more than that reference, and it holds a moment or an amount
 *   dimension  all else
 */
import type { ModelKind } from '../types.ts'
import type { Found, FoundTable } from './found.ts'

/** PostgreSQL's most, less the five columns that a fact gets. */
const MOST_COLUMNS = 1600
const FACT_COLUMNS = 5

/** The kind of each table, by its origin. */
export function kindsOf({ tables }: Pick<Found, 'tables'>): ReadonlyMap<string, ModelKind> {
  const referring = new Map<string, Set<string>>()
  for (const { origin, foreignKeys } of tables) {
    for (const { target } of foreignKeys) {
      if (target === origin) continue
      referring.set(target, (referring.get(target) ?? new Set()).add(origin))
    }
  }
  return new Map(
    tables.map((table) => [table.origin, kindOf(table, referring.get(table.origin)?.size ?? 0)]),
  )
}

function kindOf(table: FoundTable, referring: number): ModelKind {
  const { columns, foreignKeys, origin } = table
  if (!hasOwnKey(table)) return 'table'
  const others = foreignKeys.filter(({ target }) => target !== origin)
  const isFact =
    (others.length >= 2 && others.length > referring) ||
    (others.length === 1 && referring === 0 && !isExtension(table) && hasMeasure(table))
  if (!isFact) return 'dimension'
  return columns.length + FACT_COLUMNS > MOST_COLUMNS ? 'dimension' : 'fact'
}

/** Whether the key is made of columns that the database has. */
export function hasOwnKey({ key, columns }: Pick<FoundTable, 'key' | 'columns'>): boolean {
  return key.every((name) =>
    columns.some((column) => column.name === name && !name.toLowerCase().startsWith('_tote_')),
  )
}

/** One row for each row of the other table, as a profile for each user. */
function isExtension({ key, columns, foreignKeys }: FoundTable): boolean {
  const keyColumns = columns.filter(({ name }) => key.includes(name)).map(({ origin }) => origin)
  return foreignKeys.some(({ columns: own }) => keyColumns.every((name) => own.includes(name)))
}

const MOMENTS = /^(date|timestamp.*)$/
const AMOUNTS = /^(smallint|integer|bigint|real|double precision|money|numeric\b.*)$/

function hasMeasure({ columns, foreignKeys, key }: FoundTable): boolean {
  const linking = new Set(foreignKeys.flatMap((one) => one.columns))
  return columns.some(({ name, origin, type, builtin }) => {
    const known = builtin ?? type
    return (
      MOMENTS.test(known) || (AMOUNTS.test(known) && !key.includes(name) && !linking.has(origin))
    )
  })
}
