/** Whether the pairs that the lake keeps of a table still say which of its rows are the same. Pure. */
import type { PairsEntry, TableEntry } from '../lake/manifest.ts'
import type { SourceSnapshot, SourceTable } from '../sources/source.ts'
import type { Column } from '../types.ts'
import { pairColumns } from './pairs.ts'

/**
 * The pairs of `entry`, if an equal pair is an equal row now: of the same table, in the same shape, on the
 * same server since it was started, with too few transactions since for an id to have come round. Null
 * when anything differs, so that the table is compared in full.
 */
export function pairsThatCount(
  entry: TableEntry,
  table: SourceTable,
  snapshot: Pick<SourceSnapshot, 'comparable'>,
  columns: readonly Column[],
): PairsEntry | null {
  const { pairs: known, shape, key } = entry
  const { pairs: now } = table
  if (known === undefined || now === undefined) return null
  const counts =
    shape === table.shape &&
    key.join() === table.key.join() &&
    JSON.stringify(known.origin) === JSON.stringify(now.origin) &&
    sameLeaves(known.leaves, now.leaves, now.partitioned) &&
    carriedAs(known.columns) === carriedAs(pairColumns(table, columns)) &&
    snapshot.comparable?.(known.position) === true
  return counts ? known : null
}

/** A partition that came or went takes its pairs with it, which name it; one that stayed must be the same. */
function sameLeaves(
  before: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
  partitioned: boolean,
): boolean {
  if (!partitioned) return JSON.stringify(before) === JSON.stringify(now)
  return Object.entries(before).every(([leaf, was]) => (now[leaf] ?? was) === was)
}

function carriedAs(columns: readonly Column[]): string {
  return JSON.stringify(columns.map(({ name, carried }) => [name, carried]))
}
