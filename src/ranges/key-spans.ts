/** Keys parted into ranges of about equal width, and back: which keys a range holds. */
import type { KeyNumbers } from './key-numbers.ts'
import type { KeyRange } from './key-range.ts'

export const RANGES = 1024

/** Ranges of 2^shift numbers each; the first and the last are open, whatever lies beyond. */
export interface KeySpans {
  readonly numbers: KeyNumbers
  readonly shift: number
  /** What the first and the last number are when shifted. */
  readonly first: bigint
  readonly last: bigint
}

/** The finest ranges that lead from one number to another. */
export function spansOver(numbers: KeyNumbers, least: bigint, greatest: bigint): KeySpans {
  let shift = 0
  while ((greatest >> BigInt(shift)) - (least >> BigInt(shift)) >= BigInt(RANGES)) shift += 1
  return { numbers, shift, first: least >> BigInt(shift), last: greatest >> BigInt(shift) }
}

/** Some of them, ascending from 0. */
export interface SomeSpans {
  readonly spans: KeySpans
  readonly chosen: readonly number[]
}

/** More of its ranges than this, and a table is sooner read as it lies. */
const MOST_CHOSEN = RANGES / 4

/** Those to ask for; null where all of the table is. `chosen` ascend. */
export function chooseSpans(
  spans: KeySpans | undefined,
  chosen: readonly number[],
): SomeSpans | null {
  return spans === undefined || chosen.length > MOST_CHOSEN ? null : { spans, chosen }
}

/** An expression for DuckDB: in which of them a key lies that has this text. There is one for what is no key, too, as only a damaged lake has it. */
export function spanOf(text: string, { numbers, shift, first, last }: KeySpans): string {
  const [least, most] = [first, last].map((number) => `'${number}'::${numbers.type}`)
  // Both leave NULL out, which so lies in the last.
  const shifted = `greatest(least(${numbers.number(text, shift)}, ${most}), ${least})`
  return `(${shifted} - ${least})::ubigint`
}

/** A condition for DuckDB: a key that has this text lies in one of them. */
export function inSpans(text: string, { spans, chosen }: SomeSpans): string {
  return chosen.length === 0 ? 'false' : `${spanOf(text, spans)} in (${chosen.join(', ')})`
}

/** The same for a server: what they hold, neighbours as one. */
export function boundsOf({ spans, chosen }: SomeSpans): readonly KeyRange[] {
  const { shift, first, last } = spans
  const most = Number(last - first)
  const begin = (range: number): bigint => (first + BigInt(range)) << BigInt(shift)
  const bounds: { least: bigint | null; below: bigint | null; upTo: number }[] = []
  for (const range of chosen) {
    const below = range === most ? null : begin(range + 1)
    const before = bounds.at(-1)
    if (before?.upTo === range - 1) Object.assign(before, { below, upTo: range })
    else bounds.push({ least: range === 0 ? null : begin(range), below, upTo: range })
  }
  return bounds.map(({ least, below }) => ({ least, below }))
}
