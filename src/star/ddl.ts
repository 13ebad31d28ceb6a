/**
 * The statements that make the warehouse's tables. A new table is created without keys, filled, and
 * only then given its primary key and, last of all, its foreign keys: checked row by row they
 * would make a first load many times slower.
 */
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../postgres/identifiers.ts'
import { AS_OF, allColumns, type Layout, type WarehouseColumn } from './layout.ts'
import { keepsVersions } from '../types.ts'
import type { StarTable } from './star-table.ts'

export function createTable(schema: string, layout: Layout): string {
  const columns = allColumns(layout).map(
    ({ name, definition }) => `${quoteIdentifier(name)} ${definition}`,
  )
  return `create table ${nameOf(schema, layout)} (\n  ${columns.join(',\n  ')}\n)`
}

export function addPrimaryKey(schema: string, layout: Layout): string {
  return `alter table ${nameOf(schema, layout)} add primary key (${layout.primaryKey.map(quoteIdentifier).join(', ')})`
}

/** A foreign key that the warehouse checks: from a column to the key of a dimension. */
export interface ForeignKey {
  readonly column: string
  readonly table: string
  readonly key: string
}

/** All in one statement; undefined when there are none. */
export function addForeignKeys(
  schema: string,
  layout: Layout,
  foreignKeys: readonly ForeignKey[],
): string | undefined {
  if (foreignKeys.length === 0) return undefined
  const clauses = foreignKeys.map(
    ({ column, table, key }) =>
      `add foreign key (${quoteIdentifier(column)}) references ${quoteQualified(schema, table)} (${quoteIdentifier(key)})`,
  )
  return `alter table ${nameOf(schema, layout)}\n  ${clauses.join(',\n  ')}`
}

/**
 * References to dimensions, whose rows are never removed; one with history has several rows for a key. A row of a `table` can go while an old
 * version of a fact still refers to it, so that reference is the checks' business alone.
 */
export function foreignKeysOf(table: StarTable, star: readonly StarTable[]): readonly ForeignKey[] {
  return table.references.flatMap(({ column, model }) => {
    const target = star.find(({ name }) => name === model)
    const [key, ...more] = target?.key ?? []
    return target?.kind === 'dimension' &&
      !keepsVersions(target) &&
      key !== undefined &&
      more.length === 0
      ? [{ column, table: model, key }]
      : []
  })
}

/** Facts: finds the version that a change closes. Not unique: the key is the record id alone. */
export function createIndex(schema: string, layout: Layout): string | undefined {
  if (layout.recordId === null) return undefined
  return `create index on ${nameOf(schema, layout)} (${layout.table.key.map(quoteIdentifier).join(', ')}) where valid_to is null`
}

/** Makes an empty table of the user's own, checked before, ready for us. */
export function adoptTable(
  schema: string,
  layout: Layout,
  missing: readonly WarehouseColumn[],
  nullable: readonly string[],
): string | undefined {
  const clauses = [
    ...missing.map(({ name, definition }) => `add column ${quoteIdentifier(name)} ${definition}`),
    ...nullable.map((name) => `alter column ${quoteIdentifier(name)} set not null`),
  ]
  return clauses.length === 0
    ? undefined
    : `alter table ${nameOf(schema, layout)}\n  ${clauses.join(',\n  ')}`
}

/** The view of a fact's current rows: record id, the model's columns, `valid_from`, `batch`. */
export function createView(schema: string, layout: Layout): string | undefined {
  if (layout.view === null) return undefined
  const columns = viewColumns(layout).map(quoteIdentifier).join(', ')
  return `create view ${quoteQualified(schema, layout.view)} as\nselect ${columns}\nfrom ${nameOf(schema, layout)}\nwhere valid_to is null`
}

/** The same view with what it lacks at its end: what hangs on it stays. */
export function extendView(schema: string, layout: Layout, found: readonly string[]): string {
  const wanted = viewColumns(layout)
  const columns = [...found, ...wanted.filter((name) => !found.includes(name))]
  return `create or replace view ${quoteQualified(schema, layout.view ?? '')} as\nselect ${columns.map(quoteIdentifier).join(', ')}\nfrom ${nameOf(schema, layout)}\nwhere valid_to is null`
}

export function viewColumns({ recordId, columns }: Layout): readonly string[] {
  return [
    ...(recordId === null ? [] : [recordId.name]),
    ...columns.map(({ name }) => name),
    'valid_from',
    'batch',
  ]
}

/** What a table of ours says about itself; the user's words first. */
export function tableComment({ table, view }: Layout): string {
  const own = table.comment === null ? [] : [table.comment]
  if (table.kind === 'dimension' && !keepsVersions(table))
    own.push('Latest values; is_deleted marks rows that are gone from the lake.')
  if (keepsVersions(table))
    own.push(
      `Every version of every row. Current rows: ${view ?? ''}. As of an instant t: ${AS_OF}.`,
    )
  return own.join('\n')
}

export function commentTable(schema: string, layout: Layout): string | undefined {
  const text = tableComment(layout)
  return text === ''
    ? undefined
    : `comment on table ${nameOf(schema, layout)} is ${quoteLiteral(text)}`
}

export function commentColumns(
  schema: string,
  layout: Layout,
  columns: readonly WarehouseColumn[],
): readonly string[] {
  return columns.flatMap(({ name, comment }) =>
    comment === undefined
      ? []
      : [
          `comment on column ${nameOf(schema, layout)}.${quoteIdentifier(name)} is ${quoteLiteral(comment)}`,
        ],
  )
}

export function commentView(schema: string, layout: Layout): string | undefined {
  if (layout.view === null) return undefined
  const text = `Current rows of ${layout.table.name}. As of an instant t, ask ${layout.table.name} where ${AS_OF}.`
  return `comment on view ${quoteQualified(schema, layout.view)} is ${quoteLiteral(text)}`
}

function nameOf(schema: string, { table }: Layout): string {
  return quoteQualified(schema, table.name)
}
