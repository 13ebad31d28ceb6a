/**
 * What an edited model makes of a table that is there: which columns come and go, and whether it gets
 * another key. The table itself stays, and with it what hangs on it. Pure.
 */
import { quoteIdentifier, quoteQualified } from '../postgres/identifiers.ts'
import type { FoundRelation } from './catalogue.ts'
import { allColumns, layoutOf, type Layout, type WarehouseColumn } from './layout.ts'
import type { StarTable } from './star-table.ts'

export interface Alteration {
  readonly layout: Layout
  /** Columns of the table as it was that go, those of another type included. */
  readonly drop: readonly string[]
  readonly add: readonly WarehouseColumn[]
  /** May be null from now on. */
  readonly loosen: readonly string[]
  /** Never null: said once the rows are there. */
  readonly tighten: readonly string[]
  /** Another primary key: no row can be told from another by the old one. */
  readonly rekey: boolean
  readonly comment: boolean
}

/**
 * `live` is the table as it was loaded last; `types` are the spellings that the star asks for, as the
 * warehouse prints them. A column that is neither in `live` nor in `table` is left alone, for the
 * comparison of shapes to refuse.
 */
export function alterationOf(
  table: StarTable,
  live: StarTable,
  found: FoundRelation,
  types: ReadonlyMap<string, string | null>,
): Alteration {
  const layout = layoutOf(table)
  const before = layoutOf(live)
  const wanted = new Map(allColumns(layout).map((column) => [column.name, column]))
  const ours = new Set(allColumns(before).map(({ name }) => name))
  const accepted = (column: WarehouseColumn, type: string): boolean =>
    column.types.some((wish) => (types.get(wish) ?? wish) === type)
  const drop: string[] = []
  const loosen: string[] = []
  for (const { name, type, notNull } of found.columns) {
    const column = wanted.get(name)
    if (!ours.has(name)) continue
    if (column === undefined || !accepted(column, type)) drop.push(name)
    else if (notNull && !column.notNull) loosen.push(name)
  }
  const there = new Set(
    found.columns.map(({ name }) => name).filter((name) => !drop.includes(name)),
  )
  const add = [...wanted.values()].filter(({ name }) => !there.has(name))
  const rekey =
    found.primaryKey.length !== layout.primaryKey.length ||
    layout.primaryKey.some((name) => !found.primaryKey.includes(name) || !there.has(name))
  const strict = new Map(found.columns.map(({ name, notNull }) => [name, notNull]))
  const tighten = [...wanted.values()].filter(
    ({ name, notNull }) => notNull && !(there.has(name) && strict.get(name) === true),
  )
  return {
    layout,
    drop,
    add,
    loosen,
    tighten: tighten.map(({ name }) => name),
    rekey,
    comment: table.comment !== live.comment || table.kind !== live.kind,
  }
}

/** Before the rows, in one statement; undefined when there is nothing to do. New columns are null until then. */
export function alterTable(schema: string, alteration: Alteration): string | undefined {
  const { layout, drop, add, loosen, rekey } = alteration
  const model = new Set(layout.columns.map(({ name }) => name))
  const clauses = [
    ...drop.map((name) => `drop column ${quoteIdentifier(name)}`),
    ...loosen
      .filter((name) => !layout.primaryKey.includes(name))
      .map((name) => `alter column ${quoteIdentifier(name)} drop not null`),
    ...add.map(({ name, definition, types }) => {
      // Rows of the old key are gone by now; those of the same key are still to get their values.
      const bare = model.has(name) && !rekey ? (types[0] ?? definition) : definition
      return `add column ${quoteIdentifier(name)} ${bare}`
    }),
  ]
  return clauses.length === 0
    ? undefined
    : `alter table ${quoteQualified(schema, layout.table.name)}\n  ${clauses.join(',\n  ')}`
}

/** After the rows. */
export function tightenTable(schema: string, { layout, tighten }: Alteration): string | undefined {
  if (tighten.length === 0) return undefined
  const clauses = tighten.map((name) => `alter column ${quoteIdentifier(name)} set not null`)
  return `alter table ${quoteQualified(schema, layout.table.name)}\n  ${clauses.join(',\n  ')}`
}
