/** Instants: UTC with microseconds, as text that sorts. */
import type { Instant } from '../types.ts'

const PATTERN = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\.(\d{6})Z$/

/** The later of `now` and one microsecond after `previous`: a batch never has the instant of another. */
export function nextInstant(previous: Instant | null, now: Instant): Instant {
  const micros = toMicros(now)
  if (previous === null) return now
  const least = toMicros(previous) + 1n
  return micros >= least ? now : fromMicros(least)
}

/** Microseconds since 1970. Throws RangeError on any other spelling. */
export function toMicros(instant: Instant): bigint {
  const match = PATTERN.exec(instant)
  const seconds = match === null ? Number.NaN : Date.parse(`${match[1]}Z`)
  if (match === null || Number.isNaN(seconds)) throw new RangeError(`not an instant: ${instant}`)
  return BigInt(seconds) * 1000n + BigInt(match[2] ?? '0')
}

/** The inverse of toMicros. */
export function fromMicros(micros: bigint): Instant {
  const second = micros / 1_000_000n
  const iso = new Date(Number(second) * 1000).toISOString()
  return `${iso.slice(0, 19)}.${String(micros % 1_000_000n).padStart(6, '0')}Z`
}
