/** Ranges of a key's first column, as numbers that both a server and DuckDB know of each key. */
import { quoteIdentifier } from '../postgres/identifiers.ts'
import type { KeyNumbers } from './key-numbers.ts'

/** Of the numbers that keys stand for; open where null. */
export interface KeyRange {
  readonly least: bigint | null
  /** Not included. */
  readonly below: bigint | null
}

/** The column by ranges of which rows can be asked for. */
export interface RangedBy {
  readonly column: string
  readonly numbers: KeyNumbers
}

/** The condition under which a server has a row in the range; an open one leaves NULL out, too. */
export function inRange({ column, numbers }: RangedBy, { least, below }: KeyRange): string {
  const name = quoteIdentifier(column)
  const bounds = [
    ...(least === null ? [] : [`${name} >= ${numbers.key(least)}`]),
    ...(below === null ? [] : [`${name} < ${numbers.key(below)}`]),
  ]
  return bounds.length === 0 ? `${name} is not null` : bounds.join(' and ')
}

/** The condition under which it has it in one of them: one statement, so that without an index the table is read once. */
export function inRanges(by: RangedBy, ranges: readonly KeyRange[]): string {
  return `(${ranges.map((range) => inRange(by, range)).join(' or ') || 'false'})`
}
