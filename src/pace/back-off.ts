/** When a source that sent us away is asked again, at once in the same run. */
import type { ToteError } from '../errors.ts'

/** Milliseconds before the second try, the third, … */
const WAITS_MS = [1000, 2000, 4000, 8000] as const

export const TRIES = WAITS_MS.length + 1

/**
 * Cancelled by a standby whose replay we held up (40001, 40P01; a read-only snapshot can come to them in no other way);
 * ended, with the server or by its administrator (57P01) or by the crash of another session (57P02); not let in yet (57P03).
 */
const SENT_AWAY = ['40001', '40P01', '57P01', '57P02', '57P03']

/**
 * How many milliseconds to wait after so many tries, or null when the run is to end with this error: for a source that
 * sent us away, or a standby that lags. While it is on its way back it may not be there at all. Pure.
 */
export function waitBeforeNext(error: ToteError, tried: number): number | null {
  const { sqlstate, details } = error.facts
  const passing =
    error.name === 'SourceBehind'
      ? details?.['standby'] === true
      : error.name === 'SourceUnreachable' && (tried > 1 || SENT_AWAY.includes(sqlstate ?? ''))
  return passing ? (WAITS_MS[tried - 1] ?? null) : null
}
