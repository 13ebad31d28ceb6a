/** When a source that sent us away is asked again, at once in the same run. */
import type { ToteError } from '../errors.ts'

/** Milliseconds before the second try, the third, … */
const WAITS_MS = [1000, 2000, 4000, 8000] as const

export const TRIES = WAITS_MS.length + 1

/**
 * How many milliseconds to wait after so many tries, or null when the run is to end with this error. A standby
 * cancels reads that hold its replay up (40001, 40P01; a read-only snapshot can come to them in no other way),
 * lags, or takes no connections yet (57P03). Pure.
 */
export function waitBeforeNext(error: ToteError, tried: number): number | null {
  const { sqlstate, details } = error.facts
  const passing =
    error.name === 'SourceBehind'
      ? details?.['standby'] === true
      : error.name === 'SourceUnreachable' && ['40001', '40P01', '57P03'].includes(sqlstate ?? '')
  return passing ? (WAITS_MS[tried - 1] ?? null) : null
}
