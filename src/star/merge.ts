/**
 * The statements that carry one table's changes into the warehouse, by way of a stage table that
 * lives as long as the transaction. Deletes come before upserts. Values that the stage holds in
 * another type are cast on the way.
 */
import { naturalType, transferOf } from '../vectors/copy-types.ts'
import { OP_COLUMN, quoteName, quoteNames, quoteText, sortNames } from '../columns/sql.ts'
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../postgres/identifiers.ts'
import { keepsVersions, type Instant } from '../types.ts'
import { STAGE_NUMBER, type Layout } from './layout.ts'
import type { StarTable } from './star-table.ts'

/** A model column on its way: what DuckDB holds, what is sent, what the warehouse keeps. */
export interface CarriedColumn {
  readonly name: string
  readonly duckdbType: string
  readonly sentAs: string
  /** The column's type in the warehouse, as `format_type` prints it. */
  readonly keptAs: string
  /** Null when it is sent as what the warehouse keeps. */
  readonly castTo: string | null
}

export interface Target {
  readonly schema: string
  readonly layout: Layout
  readonly columns: readonly CarriedColumn[]
  /** The record id's type in the warehouse. */
  readonly recordIdType: 'integer' | 'bigint'
  readonly stage: string
}

export interface BatchStamp {
  readonly batch: number
  readonly instant: Instant
}

/** `keptAs`: the column's type in the warehouse, as `format_type` prints it; transferOf must allow it. */
export function carriedColumn(name: string, duckdbType: string, keptAs: string): CarriedColumn {
  if (transferOf(duckdbType, keptAs) === 'direct')
    return { name, duckdbType, sentAs: keptAs, keptAs, castTo: null }
  const sentAs = naturalType(duckdbType) ?? 'text'
  return { name, duckdbType, sentAs, keptAs, castTo: castType(keptAs) }
}

/**
 * The type to cast to. An explicit cast to `varchar(3)` or `bit(3)` cuts silently, an assignment
 * refuses: so the cast leaves the length out, and the insert into the column checks it.
 */
function castType(type: string): string {
  if (type.includes('"')) return type
  if (/^bit(\(\d+\))?(\[\])*$/.test(type)) return type.replace(/^bit(\(\d+\))?/, 'bit varying')
  if (type.startsWith('character(')) return type.replace(/^character\(\d+\)/, 'bpchar')
  return type.replace(/\(\d+(,-?\d+)?\)/, '')
}

/** What is asked of a RowReader. */
export type SelectRows = (relation: string, place: string | null) => string

/** What DuckDB is asked for a first load: the new rows, numbered in the order of the key. */
export function selectNewRows(
  { layout, columns, recordIdType }: Target,
  stamp: BatchStamp,
): SelectRows {
  const names = quoteNames(columns.map(({ name }) => name))
  const upserts = `where ${quoteName(OP_COLUMN)} = 'u'`
  if (layout.recordId === null) return (relation) => `select ${names} from ${relation} ${upserts}`
  // Sorting would keep the server waiting, and all rows in memory.
  const number = (place: string | null): string =>
    place === null
      ? `row_number() over (order by ${sortNames(layout.table.key, layout.table.columns)})`
      : `${quoteName(place)} + 1`
  const stamped = `cast(${quoteText(stamp.instant)} as timestamptz), cast(${stamp.batch} as bigint)`
  return (relation, place) =>
    `select cast(${number(place)} as ${recordIdType}), ${names}, ${stamped} from ${relation} ${upserts}`
}

/** What DuckDB is asked for later loads: every change, upserts numbered. Numbers come from DuckDB always, so that collations cannot differ. */
export function selectChanges({ layout, columns }: Target): SelectRows {
  const names = quoteNames(columns.map(({ name }) => name))
  const op = quoteName(OP_COLUMN)
  if (layout.recordId === null) return (relation) => `select ${op}, ${names} from ${relation}`
  const number = `row_number() over (partition by ${op} order by ${sortNames(layout.table.key, layout.table.columns)})`
  return (relation) => `select ${op}, ${number}, ${names} from ${relation}`
}

export function createStage({ layout, columns, stage }: Target): string {
  const own = [
    `${quoteIdentifier(OP_COLUMN)} text`,
    ...(layout.recordId === null ? [] : [`${quoteIdentifier(STAGE_NUMBER)} bigint`]),
  ]
  const rest = columns.map(({ name, sentAs }) => `${quoteIdentifier(name)} ${sentAs}`)
  return `create temp table ${stage} (${[...own, ...rest].join(', ')}) on commit drop`
}

/** Facts: closes the version that a change replaces or deletes. */
export function closeVersions(target: Target, op: 'u' | 'd', stamp: BatchStamp): string {
  const deleted = op === 'd' ? ', is_deleted = true' : ''
  return `update ${nameOf(target)} as t set valid_to = ${quoteLiteral(stamp.instant)}::timestamptz${deleted}
from ${target.stage} as s where s.${quoteIdentifier(OP_COLUMN)} = '${op}' and ${onKey(target)} and t.valid_to is null`
}

/** Facts: opens a version for each upsert, numbered on from the highest record id. */
export function openVersions(target: Target, stamp: BatchStamp): string {
  const { layout, columns, stage } = target
  const recordId = quoteIdentifier(layout.recordId?.name ?? '')
  const names = columns.map(({ name }) => quoteIdentifier(name)).join(', ')
  return `insert into ${nameOf(target)} (${recordId}, ${names}, valid_from, batch) overriding system value
select (select coalesce(max(${recordId}), 0) from ${nameOf(target)}) + s.${quoteIdentifier(STAGE_NUMBER)}, ${staged(columns)},
  ${quoteLiteral(stamp.instant)}::timestamptz, ${stamp.batch}
from ${stage} as s where s.${quoteIdentifier(OP_COLUMN)} = 'u' order by s.${quoteIdentifier(STAGE_NUMBER)}`
}

/** Of a table with record ids, the batch of its newest version, as `batch`. */
export function newestVersion({ schema, layout }: Target): string {
  const recordId = quoteIdentifier(layout.recordId?.name ?? '')
  return `select batch from ${quoteQualified(schema, layout.table.name)} order by ${recordId} desc limit 1`
}

/** Dimensions: marks what is gone; the row stays. */
export function markDeleted(target: Target): string {
  return `update ${nameOf(target)} as t set is_deleted = true
from ${target.stage} as s where s.${quoteIdentifier(OP_COLUMN)} = 'd' and ${onKey(target)}`
}

/** Tables without history: removes what is gone. */
export function deleteRows(target: Target): string {
  return `delete from ${nameOf(target)} as t
using ${target.stage} as s where s.${quoteIdentifier(OP_COLUMN)} = 'd' and ${onKey(target)}`
}

/** Dimensions and tables: the latest values; a row that comes back is no longer marked. */
export function upsertRows(target: Target): string {
  const { layout, columns, stage } = target
  const { key, kind } = layout.table
  const names = columns.map(({ name }) => quoteIdentifier(name)).join(', ')
  // The key, too: 1.0 and 1.000 are one key in two spellings, and the newest is kept.
  const sets = columns.map(
    ({ name }) => `${quoteIdentifier(name)} = excluded.${quoteIdentifier(name)}`,
  )
  if (kind === 'dimension') sets.push('is_deleted = false')
  const action = `do update set ${sets.join(', ')}`
  return `insert into ${nameOf(target)} (${names}) overriding system value
select ${staged(columns)} from ${stage} as s where s.${quoteIdentifier(OP_COLUMN)} = 'u'
on conflict (${key.map(quoteIdentifier).join(', ')}) ${action}`
}

/** A stage that was only a detour for a first load's casts. */
export function insertStaged(target: Target, stamp: BatchStamp): string {
  if (target.layout.recordId !== null) return openVersions(target, stamp)
  const names = target.columns.map(({ name }) => quoteIdentifier(name)).join(', ')
  return `insert into ${nameOf(target)} (${names})\nselect ${staged(target.columns)} from ${target.stage} as s where s.${quoteIdentifier(OP_COLUMN)} = 'u'`
}

/** Current rows, as `current`. Of a fact the index of its open versions has them: its history, which only grows, is not read. */
export function countCurrent(schema: string, { table }: Pick<Layout, 'table'>): string {
  const current = isCurrent(table)
  const condition = current === null ? '' : ` where ${current}`
  return `select count(*) as current from ${quoteQualified(schema, table.name)}${condition}`
}

/** A condition that current rows of a table meet, whose name in the query may stand before it (`n.`); null where all do. */
export function isCurrent(table: StarTable, side = ''): string | null {
  if (keepsVersions(table)) return `${side}valid_to is null`
  return table.kind === 'dimension' ? `not ${side}is_deleted` : null
}

function staged(columns: readonly CarriedColumn[]): string {
  return columns.map((column) => stagedColumn(column)).join(', ')
}

function stagedColumn({ name, castTo }: CarriedColumn): string {
  return `s.${quoteIdentifier(name)}${castTo === null ? '' : `::${castTo}`}`
}

function onKey({ layout, columns }: Target): string {
  return columns
    .filter(({ name }) => layout.table.key.includes(name))
    .map((column) => {
      const [kept, given] = [`t.${quoteIdentifier(column.name)}`, stagedColumn(column)]
      // As the lake tells keys apart; of a domain over text the index of the key can be asked so.
      return hasOwnOperators(layout.table, column.name)
        ? `${kept}::text = ${given}::text`
        : `${kept} = ${given}`
    })
    .join(' and ')
}

/** Whether two values of a column of a table, as expressions, are one key. */
export function sameValue(table: StarTable, column: string, left: string, right: string): string {
  // Arrays are compared by what the type's own index takes for equal.
  return hasOwnOperators(table, column) ? `array[${left}] = array[${right}]` : `${left} = ${right}`
}

/** Operators of an extension's type (ltree, citext) lie in its schema, and the search path is empty; enums, composites and ranges have the server's. */
function hasOwnOperators({ columns }: StarTable, name: string): boolean {
  const column = columns.find((one) => one.name === name)
  if (column === undefined || column.inside !== undefined) return false
  return column.builtin === 'text' || (column.builtin === undefined && /[."]/.test(column.type))
}

function nameOf({ schema, layout }: Target): string {
  return quoteQualified(schema, layout.table.name)
}
