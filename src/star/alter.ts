/**
 * What a model that was edited, or whose inputs have other columns now, makes of a table that is there:
 * which columns come, go and change, and whether it gets another key. The table itself stays, and with it
 * what hangs on it. Pure.
 */
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../postgres/identifiers.ts'
import type { FoundRelation } from './catalogue.ts'
import { allColumns, layoutOf, type Layout, type WarehouseColumn } from './layout.ts'
import type { StarTable } from './star-table.ts'

export interface Alteration {
  readonly layout: Layout
  /** Columns of the table as it was that go, those of another type included where all rows are sent again. */
  readonly drop: readonly string[]
  readonly add: readonly WarehouseColumn[]
  /** The same columns under other names. */
  readonly rename: readonly { readonly from: string; readonly to: string }[]
  /** Columns whose values stay, as another type; by their new names. */
  readonly retype: readonly { readonly name: string; readonly type: string }[]
  /** May be null from now on. */
  readonly loosen: readonly string[]
  /** Never null: said once the rows are there. */
  readonly tighten: readonly string[]
  /** Another primary key: no row can be told from another by the old one. */
  readonly rekey: boolean
  readonly comment: boolean
}

export interface TableToAlter {
  readonly table: StarTable
  /** As it was loaded last. */
  readonly live: StarTable
  readonly found: FoundRelation
  /** The spellings that the star asks for, as the warehouse prints them. */
  readonly types: ReadonlyMap<string, string | null>
  /** Every row is sent again; else those that are there keep their values. */
  readonly refilled: boolean
}

/**
 * A column that is neither in `live` nor in `table` is left alone, for the comparison of shapes to
 * refuse.
 */
export function alterationOf({ table, live, found, types, refilled }: TableToAlter): Alteration {
  const layout = layoutOf(table)
  const before = layoutOf(live)
  const rename = refilled ? [] : renamed(table, live, found)
  const nameNow = (name: string): string => rename.find(({ from }) => from === name)?.to ?? name
  const wanted = new Map(allColumns(layout).map((column) => [column.name, column]))
  const ours = new Set(allColumns(before).map(({ name }) => nameNow(name)))
  const accepted = (column: WarehouseColumn, type: string): boolean =>
    column.types.some((wish) => (types.get(wish) ?? wish) === type)
  const drop: string[] = []
  const retype: { name: string; type: string }[] = []
  const loosen: string[] = []
  const columns = found.columns.map((column) => ({ ...column, name: nameNow(column.name) }))
  for (const { name, type, notNull } of columns) {
    const column = wanted.get(name)
    if (!ours.has(name)) continue
    const fits = column !== undefined && accepted(column, type)
    if (column === undefined || (!fits && refilled)) drop.push(name)
    else {
      if (!fits) retype.push({ name, type: column.types[0] ?? type })
      if (notNull && !column.notNull) loosen.push(name)
    }
  }
  const there = new Set(columns.map(({ name }) => name).filter((name) => !drop.includes(name)))
  const add = [...wanted.values()].filter(({ name }) => !there.has(name))
  const key = found.primaryKey.map(nameNow)
  const rekey =
    key.length !== layout.primaryKey.length ||
    layout.primaryKey.some((name) => !key.includes(name) || !there.has(name))
  const strict = new Map(columns.map(({ name, notNull }) => [name, notNull]))
  const tighten = [...wanted.values()].filter(
    ({ name, notNull }) => notNull && !(there.has(name) && strict.get(name) === true),
  )
  return {
    layout,
    drop,
    add,
    rename,
    retype,
    loosen,
    tighten: tighten.map(({ name }) => name),
    rekey,
    comment: table.comment !== live.comment || table.kind !== live.kind,
  }
}

/** Columns that have kept their ids and not their names. */
function renamed(table: StarTable, live: StarTable, found: FoundRelation): Alteration['rename'] {
  const there = new Set(found.columns.map(({ name }) => name))
  return live.columns.flatMap(({ id, name: from }) => {
    const to = table.columns.find((column) => column.id === id)?.name ?? from
    return to !== from && there.has(from) ? [{ from, to }] : []
  })
}

/** Whether a table's columns are others than they were loaded last. */
export function hasOtherColumns(table: StarTable, live: StarTable): boolean {
  const said = ({ columns }: StarTable): string =>
    columns
      .map(({ id, name, type, notNull }) => JSON.stringify([id, name, type, notNull]))
      .toSorted()
      .join()
  return said(table) !== said(live)
}

/** By enum, in its order, the labels that columns of the star may have, where those of `live` may not have them all. */
export function labelsBeyond(
  star: readonly StarTable[],
  live: readonly StarTable[],
): ReadonlyMap<string, readonly string[]> {
  const known = labelsOf(live)
  return new Map(
    [...labelsOf(star)].filter(([type, labels]) =>
      labels.some((label) => known.get(type)?.includes(label) !== true),
    ),
  )
}

function labelsOf(star: readonly StarTable[]): Map<string, readonly string[]> {
  const labels = new Map<string, readonly string[]>()
  const parts = star.flatMap(({ columns }) => columns.flatMap(({ inside = [] }) => inside))
  for (const { type, labels: own, past = [] } of parts)
    if (own !== undefined)
      labels.set(type, [...new Set([...own, ...past, ...(labels.get(type) ?? [])])])
  return labels
}

/** Each a statement that gives an enum one label more, at its place among those that it has. */
export function addLabels(
  type: string,
  wanted: readonly string[],
  found: readonly string[],
): readonly string[] {
  const there = [...found]
  return wanted.flatMap((label, index) => {
    if (there.includes(label)) return []
    const before = wanted[index - 1]
    const next = wanted.find((other) => there.includes(other))
    // The one before it is there by now.
    const place =
      before !== undefined
        ? ` after ${quoteLiteral(before)}`
        : next === undefined
          ? ''
          : ` before ${quoteLiteral(next)}`
    there.push(label)
    // Such a statement takes no parameters.
    return [`alter type ${type} add value if not exists ${quoteLiteral(label)}${place}`]
  })
}

/** Before the rows, each a statement. New columns are null until then. */
export function alterTable(schema: string, alteration: Alteration): readonly string[] {
  const { layout, drop, add, rename, retype, loosen, rekey } = alteration
  const table = quoteQualified(schema, layout.table.name)
  const model = new Set(layout.columns.map(({ name }) => name))
  const clauses = [
    ...drop.map((name) => `drop column ${quoteIdentifier(name)}`),
    ...loosen
      .filter((name) => !layout.primaryKey.includes(name))
      .map((name) => `alter column ${quoteIdentifier(name)} drop not null`),
    ...retype.map(({ name, type }) => retyped(quoteIdentifier(name), type)),
    ...add.map(({ name, definition, types }) => {
      // Rows of the old key are gone by now; those of the same key are still to get their values.
      const bare = model.has(name) && !rekey ? (types[0] ?? definition) : definition
      return `add column ${quoteIdentifier(name)} ${bare}`
    }),
  ]
  return [
    ...renameColumns('table', table, rename),
    ...(clauses.length === 0 ? [] : [`alter table ${table}\n  ${clauses.join(',\n  ')}`]),
  ]
}

/** By way of names that nobody has, because columns may have swapped theirs. */
export function renameColumns(
  kind: 'table' | 'view',
  relation: string,
  rename: Alteration['rename'],
): readonly string[] {
  const one = (from: string, to: string): string =>
    `alter ${kind} ${relation} rename column ${quoteIdentifier(from)} to ${quoteIdentifier(to)}`
  return [
    ...rename.map(({ from }, index) => one(from, `_tote_renamed_${index}`)),
    ...rename.map(({ to }, index) => one(`_tote_renamed_${index}`, to)),
  ]
}

/** A type of the warehouse's own takes its values from their text. */
function retyped(column: string, type: string): string {
  const text = type.includes('.') ? '::text' : ''
  return `alter column ${column} type ${type} using ${column}${text}::${type}`
}

/** After the rows. */
export function tightenTable(schema: string, { layout, tighten }: Alteration): string | undefined {
  if (tighten.length === 0) return undefined
  const clauses = tighten.map((name) => `alter column ${quoteIdentifier(name)} set not null`)
  return `alter table ${quoteQualified(schema, layout.table.name)}\n  ${clauses.join(',\n  ')}`
}
