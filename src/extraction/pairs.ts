/**
 * Pairs: the key and the `xmin` of every row. A row version's `xmin` never changes, so a row whose pair
 * is known has not changed since; a key with no pair left is a row that is gone. Pure SQL over relations
 * that hold the key and XMIN_COLUMN.
 */
import { quoteName, quoteNames } from '../columns/sql.ts'

export const XMIN_COLUMN = '_tote_xmin'
export const XMIN_TYPE = 'UINTEGER'
/** Where a row lies at the source. */
export const PLACE_COLUMN = '_tote_place'

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
