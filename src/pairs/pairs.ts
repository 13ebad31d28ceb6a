/**
 * Pairs: the key and the `xmin` of every row, of a partitioned table also the table that it lies in. A row
 * version's `xmin` never changes, so a row whose pair is known has not changed since; a key with no pair
 * left is a row that is gone. Pure SQL over relations that hold the key and XMIN_COLUMN.
 */
import { OP_COLUMN, quoteName, quoteNames } from '../columns/sql.ts'
import type { IdSpan, SourceTable } from '../sources/source.ts'
import type { Column } from '../types.ts'
import type { BlockName } from './pair-blocks.ts'

export const XMIN_COLUMN = '_tote_xmin'
/** Where a row lies at the source. */
export const PLACE_COLUMN = '_tote_place'
/** Of its place: where it may move, and be the same row. */
const PAGE_COLUMN = '_tote_page'
const ITEM_COLUMN = '_tote_item'
/** 'i', 'u' and 'd' as of a difference: a pair that is new, one of a known key, a key that is gone; 'm': only the place is another. */
const PAIR_KIND = '_tote_kind'

/** Field ids beside those of our other columns (columns/sql.ts). */
const XMIN: Column = column(2_000_000_002, XMIN_COLUMN, 'UINTEGER')
/** The table that a row of a partitioned one lies in. */
const LEAF: Column = column(2_000_000_003, '_tote_leaf', 'UINTEGER')
const PAGE: Column = column(2_000_000_004, PAGE_COLUMN, 'UINTEGER')
const ITEM: Column = column(2_000_000_005, ITEM_COLUMN, 'USMALLINT')
const PLACE: Column = column(0, PLACE_COLUMN, 'VARCHAR')

function column(id: number, name: string, carried: string): Column {
  return { id, name, type: 'xid', carried, notNull: true }
}

/** The columns of a table's pairs in the lake, given those of the table itself. */
export function pairColumns(table: SourceTable, columns: readonly Column[]): Column[] {
  return [...keyColumns(table.key, columns), XMIN, ...leafOf(table), PAGE, ITEM]
}

function leafOf({ pairs }: SourceTable): readonly Column[] {
  return pairs?.partitioned === true ? [LEAF] : []
}

function keyColumns(key: readonly string[], columns: readonly Column[]): Column[] {
  return key.flatMap((name) => columns.filter((each) => each.name === name))
}

interface PieceColumn {
  readonly name: string
  readonly carried: string
}

/** The columns of a reading of pairs, in the order in which they arrive. */
export function columnsOfPairs(table: SourceTable, columns: readonly Column[]): PieceColumn[] {
  return [...leafOf(table), XMIN, PLACE, ...keyColumns(table.key, columns)]
}

/** The columns that places are kept as, in their order (pair-blocks.ts). */
export function columnsOfPlaces(table: SourceTable): readonly Column[] {
  return [...leafOf(table), XMIN, PAGE, ITEM]
}

/** What rows were read with, after the table's own columns; `place` is `xmin`, too. */
export type Beside = 'nothing' | 'xmin' | 'place'

export function columnsBeside(beside: Beside, table: SourceTable): readonly Column[] {
  if (beside === 'nothing') return []
  return beside === 'xmin' ? [XMIN] : [XMIN, PLACE, ...leafOf(table)]
}

/** A `select` of what a reading of pairs brought, with page and item in place of PLACE_COLUMN. */
export function placedPairs(rows: string): string {
  const place = quoteName(PLACE_COLUMN)
  const comma = `instr(${place}, ',')`
  return (
    `select * exclude (${place}), cast(substr(${place}, 2, ${comma} - 2) as UINTEGER) as ${quoteName(PAGE_COLUMN)},` +
    ` cast(substr(${place}, ${comma} + 1, length(${place}) - ${comma} - 1) as USMALLINT) as ${quoteName(ITEM_COLUMN)} from (${rows})`
  )
}

/** A `select` with OP_COLUMN of the pairs of rows that were read with their `xmin`, and nobody knows where they lie. */
export function pairsOfRows(rows: string, table: SourceTable): string {
  const unknown = [...leafOf(table), PAGE, ITEM].map(
    ({ name, carried }) => `null::${carried} as ${quoteName(name)}`,
  )
  return (
    `select 'u' as ${quoteName(OP_COLUMN)}, ${quoteNames([...table.key, XMIN_COLUMN])}, ${unknown.join(', ')}` +
    ` from ${rows}`
  )
}

/** A `select` of the pairs of `pairs` that lie in one of these blocks of so many pages. */
export function pairsInBlocks(
  pairs: string,
  table: SourceTable,
  { pages, names }: { readonly pages: number; readonly names: readonly BlockName[] },
): string {
  const page = quoteName(PAGE_COLUMN)
  const block = pages === 1 ? page : `${page} // ${pages}`
  const [leafed] = leafOf(table)
  const [held, listed] = leafed
    ? [`(${quoteName(leafed.name)}, ${block})`, names.map(([leaf, n]) => `(${leaf}, ${n})`)]
    : [block, names.map(([, n]) => `(${n})`)]
  return `select * from (${pairs}) where ${held} in (from (values ${listed.join(', ')}))`
}

/**
 * Creates table `into`: of every key whose pair in `now`, as placedPairs has it, is not the one in `known`,
 * its kind and its pair. A pair whose id may have been given twice since counts as new.
 */
export function pairDifference(options: {
  readonly into: string
  readonly known: string
  readonly now: string
  readonly table: SourceTable
  readonly reused: IdSpan | null
}): string {
  const { into, known, now, table, reused } = options
  const { key } = table
  const [first, xmin] = [key[0] ?? '', XMIN_COLUMN].map(quoteName)
  const leaf = leafOf(table).map(({ name }) => name)
  const differs = (name: string): string =>
    `k.${quoteName(name)} is distinct from n.${quoteName(name)}`
  const other = [XMIN_COLUMN, ...leaf]
    .map(differs)
    .concat(reused === null ? [] : [isReused(`n.${xmin}`, reused)])
    .join(' or ')
  const keys = key.map((name) => {
    const quoted = quoteName(name)
    return `coalesce(n.${quoted}, k.${quoted}) as ${quoted}`
  })
  const values = [XMIN_COLUMN, ...leaf, PAGE_COLUMN, ITEM_COLUMN].map(
    (name) => `n.${quoteName(name)}`,
  )
  const on = key.map((name) => `k.${quoteName(name)} = n.${quoteName(name)}`).join(' and ')
  return (
    `create or replace temp table ${quoteName(into)} as select case when n.${first} is null then 'd' when k.${first} is null then 'i'` +
    ` when ${other} then 'u' else 'm' end as ${quoteName(PAIR_KIND)}, ${keys.join(', ')}, ${values.join(', ')}` +
    ` from (${known}) k full join (${now}) n on ${on}` +
    ` where n.${first} is null or k.${first} is null or ${differs(PAGE_COLUMN)} or ${differs(ITEM_COLUMN)} or ${other}`
  )
}

function isReused(xmin: string, { first, count }: IdSpan): string {
  return `(${xmin}::bigint - ${first} + 4294967296) % 4294967296 < ${count}`
}

/** A `select` of how many of a pairDifference are new (`fresh`), of how many known keys (`known`), gone (`gone`), and all. */
export function countPairs(changes: string): string {
  const kind = quoteName(PAIR_KIND)
  const count = (kinds: string, as: string): string =>
    `count(*) filter (where ${kind} in (${kinds})) as ${as}`
  return `select ${count("'i'", 'added')}, ${count("'i', 'u'", 'fresh')}, ${count("'d'", 'gone')}, count(*) as changes from ${quoteName(changes)}`
}

/** Names of tables that placeDifference makes and pairDifference goes on from. */
export interface PlaceTables {
  /** Places that hold another row version than the lake knows of, or none. */
  readonly fresh: string
  /** Known pairs whose row version is no more where it was. */
  readonly lost: string
}

/**
 * Creates `fresh` and `lost`: where the places and `xmin` of rows that `files` hold (columnsOfPlaces) are not those of
 * `known` pairs. A row version never moves within a file, so what is at its place with its `xmin` is itself,
 * unless its id may have been given twice since.
 */
export function placeDifference(
  { fresh, lost }: PlaceTables,
  of: {
    readonly known: string
    readonly now: string
    readonly table: SourceTable
    readonly reused: IdSpan | null
  },
): string {
  const { known, now, table, reused } = of
  const place = [...leafOf(table), XMIN, PAGE, ITEM].map(({ name }) => quoteName(name))
  const on = place.map((name) => `a.${name} = b.${name}`).join(' and ')
  const suspect = reused === null ? '' : ` or ${isReused(`a.${quoteName(XMIN_COLUMN)}`, reused)}`
  const apart = (a: string, b: string): string =>
    `select * from ${a} a where not exists (select 1 from ${b} b where ${on})${suspect}`
  const [all, each] = [quoteName(`${lost} of`), quoteName(`${fresh} of`)]
  return (
    `create or replace temp table ${all} as ${known}; create or replace temp table ${each} as ${now};` +
    ` create or replace temp table ${quoteName(fresh)} as ${apart(each, all)};` +
    ` create or replace temp table ${quoteName(lost)} as ${apart(all, each)};` +
    ` drop table ${all}; drop table ${each}`
  )
}

/** Drops what placeDifference made. */
export function dropPlaces({ fresh, lost }: PlaceTables): string {
  return [fresh, lost].map((name) => `drop table if exists ${quoteName(name)}`).join('; ')
}

/**
 * A `select` of `leaf`, null where pairs name none, and `places` of the rows of `fresh`, as they lie:
 * so many in each row, divided by blanks.
 */
export function freshPlaces(fresh: string, table: SourceTable, atOnce: number): string {
  const [page, item] = [PAGE_COLUMN, ITEM_COLUMN].map(quoteName)
  const [leafed] = leafOf(table)
  const leaf = leafed ? `${quoteName(leafed.name)}::varchar` : 'null::varchar'
  const placed =
    `select ${leaf} as leaf, ${page} as page, ${item} as item,` +
    ` (row_number() over (partition by ${leaf} order by ${page}, ${item}) - 1) // ${atOnce} as part` +
    ` from ${fresh}`
  return (
    `select leaf, string_agg('(' || page || ',' || item || ')', ' ' order by page, item) as places` +
    ` from (${placed}) group by leaf, part order by leaf, part`
  )
}

/** A relation with the pairs of `changes` that are new. */
export function freshPairs(changes: string): string {
  return `(from ${quoteName(changes)} where ${quoteName(PAIR_KIND)} in ('i', 'u'))`
}

/** A relation with the keys of `changes` whose rows may have changed. */
export function changedKeys(changes: string): string {
  return `(from ${quoteName(changes)} where ${quoteName(PAIR_KIND)} <> 'm')`
}

/** A `select` with OP_COLUMN of what `changes` make of the pairs in the lake. */
export function changesOfPairs(changes: string): string {
  return `select case ${quoteName(PAIR_KIND)} when 'd' then 'd' else 'u' end as ${quoteName(OP_COLUMN)}, * from ${quoteName(changes)}`
}

/** A `select` of the pairs, with whatever else stands beside them, of `now` that `known` does not have. */
export function newPairs(now: string, known: string, key: readonly string[]): string {
  return `select * from ${now} n where not exists (select 1 from ${known} k where ${same('n', 'k', key)})`
}

/** A `select` of the rows of `rows`, which have XMIN_COLUMN, whose pair `now` has. */
export function rowsWithPair(rows: string, now: string, key: readonly string[]): string {
  return `select * from ${rows} r where exists (select 1 from ${now} n where ${same('r', 'n', key)})`
}

/** A `select` of the rows of `rows`, by key alone, that `kept` names. */
export function rowsWithKey(rows: string, kept: string, key: readonly string[]): string {
  return `select r.* from ${rows} r where (${quoteNames(key)}) in (select (${quoteNames(key)}) from ${kept})`
}

function same(a: string, b: string, key: readonly string[]): string {
  return [...key, XMIN_COLUMN]
    .map((name) => `${a}.${quoteName(name)} = ${b}.${quoteName(name)}`)
    .join(' and ')
}
