/**
 * Two sides of a table compared without ordering either: the keys fall into 1,024 ranges, and each has a count of
 * rows and a sum of hashes of whole rows. Ranges that agree hold the same rows; the others are gone through again,
 * row by row. Where a server can be asked for some rows by their keys (`KeySpans`), they are ranges of the keys, so
 * that no others are sent a second time; else of the hash of the key, evenly whatever its type and gaps.
 * Before that both sides are one range, of whole lines where rows can be had as such: most tables are equal.
 *
 * Why a sum and not an exclusive or: equal rows would cancel each other in pairs, so that two copies
 * would look like none. Why two rounds of hashing: DuckDB folds the last columns in without mixing, and the
 * second round makes one bit of any column change half of the bits that are summed. The sum is exact (128
 * bits over hashes of 64), so what differs by accident is taken for equal once in 2^64.
 */
import { RANGES, spanOf, type KeySpans } from '../ranges/key-spans.ts'

const RANGE_BITS = Math.log2(RANGES)

/** Relations here have the columns c0, c1, … ; which of them are the key. */
export interface Shape {
  readonly width: number
  readonly key: readonly number[]
  /** Ranges of the key's first column; of the key's hash when not given. */
  readonly spans?: KeySpans | undefined
}

/** Of one range: how many rows, and the sum of their hashes. */
export interface RangeSum {
  readonly range: number
  readonly rows: bigint
  readonly sum: bigint
}

/** A `select` of the sums in such a table; one row for each range that has any rows. */
export function totalSums(table: string): string {
  return `select range, sum(rows)::hugeint as rows, sum(sum)::hugeint as sum from ${table} group by range`
}

/** Puts into such a table what was summed before. */
export function insertSums(table: string, sums: readonly RangeSum[]): string {
  const rows = sums.map(({ range, rows, sum }) => `(${range}, ${rows}::hugeint, ${sum}::hugeint)`)
  return `insert into ${table} ${rows.length === 0 ? 'select 0, 0, 0 where false' : `values ${rows.join(', ')}`}`
}

export function columnNames(width: number): string[] {
  return Array.from({ length: width }, (_, index) => `c${index}`)
}

/** A statement that makes a table of sums, which other connections see, too. */
export function createSums(table: string): string {
  return `create or replace table ${table} (range ubigint, rows hugeint, sum hugeint)`
}

/** Adds what a relation holds; the same range may then stand there several times. */
export function addSums(table: string, relation: string, shape: Shape): string {
  return (
    `insert into ${table} select ${rangeOf(shape)} as range, count(*) as rows, sum(${hashOf(columnNames(shape.width))}) as sum` +
    ` from ${relation} group by 1`
  )
}

/** A `select` of how many rows a relation holds, and of the sum of their hashes. */
export function sumAll(relation: string, width: number): string {
  return `select count(*) as rows, sum(${hashOf(columnNames(width))}) as sum from ${relation}`
}

/** A `select` of the ranges in which two tables of sums differ. */
export function differingRanges(expected: string, found: string): string {
  return (
    `select coalesce(e.range, f.range) as range from (${totalSums(expected)}) e full join (${totalSums(found)}) f on e.range = f.range` +
    ` where e.rows is distinct from f.rows or e.sum is distinct from f.sum order by 1`
  )
}

export function createRows(table: string, { width, key }: Shape): string {
  const columns = [
    ...key.map((_, index) => `k${index} varchar`),
    'whole ubigint',
    ...columnNames(width).map((name) => `${name} ubigint`),
  ]
  return `create or replace temp table ${table} (${columns.join(', ')})`
}

/** Adds the rows of some ranges: their keys, and the hashes of the row and of each column. */
export function addRows(
  table: string,
  relation: string,
  { shape, ranges }: { readonly shape: Shape; readonly ranges: readonly number[] },
): string {
  const { width, key } = shape
  const names = columnNames(width)
  const values = [
    ...key.map((position) => `cast(c${position} as varchar)`),
    hashOf(names),
    ...names.map((name) => `hash(${name})`),
  ]
  const all = ranges.length === RANGES ? '' : ` where ${rangeOf(shape)} in (${ranges.join(', ')})`
  return `insert into ${table} select ${values.join(', ')} from ${relation}${all}`
}

/**
 * Creates table `into` with one row for each key whose rows differ: `kind` (`missing`, `extra`,
 * `different`), how many `rows`, the key, and for each column whether it differs.
 */
export function differingRows(
  into: string,
  { shape, expected, found }: { shape: Shape; expected: string; found: string },
): string {
  const keys = shape.key.map((_, index) => `k${index}`)
  const names = columnNames(shape.width)
  const grouped = (table: string): string => {
    const columns = names.map((name) => `min(${name}) as ${name}`)
    const by = keys.length === 0 ? '' : ` group by ${keys.join(', ')}`
    return `(select ${[...keys, 'count(*) as n', 'sum(whole) as s', ...columns].join(', ')} from ${table}${by})`
  }
  const on = keys.map((key) => `e.${key} is not distinct from f.${key}`)
  const columns = names.map((name) => `(e.${name} is distinct from f.${name}) as ${name}`)
  return (
    `create or replace temp table ${into} as select` +
    ` case when coalesce(e.n, 0) > coalesce(f.n, 0) then 'missing' when coalesce(e.n, 0) < coalesce(f.n, 0) then 'extra' else 'different' end as kind,` +
    ` case when e.n = f.n then e.n else abs(coalesce(e.n, 0) - coalesce(f.n, 0)) end as rows,` +
    ` ${[...keys.map((key) => `coalesce(e.${key}, f.${key}) as ${key}`), ...columns].join(', ')}` +
    ` from ${grouped(expected)} e full join ${grouped(found)} f on ${on.length === 0 ? 'true' : on.join(' and ')}` +
    ` where e.n is distinct from f.n or e.s is distinct from f.s`
  )
}

function rangeOf({ key, spans }: Shape): string {
  if (spans !== undefined) return spanOf(`c${key[0] ?? 0}`, spans)
  return `(hash(${key.length === 0 ? '0' : key.map((position) => `c${position}`).join(', ')}) >> ${64 - RANGE_BITS})`
}

function hashOf(names: readonly string[]): string {
  return `hash(hash(${names.length === 0 ? '0' : names.join(', ')}))`
}
