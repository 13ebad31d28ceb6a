/**
 * Spans of time as people write them (`5s`, `30m`) and as we keep them: whole milliseconds. And what passes in
 * one: bytes a second (`20MB/s`).
 */
const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

type Unit = keyof typeof UNITS

/** A number of milliseconds, or a number with a unit: `500ms`, `5s`, `30m`, `2h`, `1d`. */
export type Duration = number | `${number}${Unit}`

/** Whole milliseconds, rounded, or undefined when it is not a duration above zero. */
export function parseDuration(written: string | number): number | undefined {
  const ms = typeof written === 'number' ? written : fromText(written)
  return ms !== undefined && Number.isSafeInteger(ms) && ms > 0 ? ms : undefined
}

function fromText(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text)
  // Rounded because 4.35 * 1000 is not 4350 in floating point.
  return match === null ? undefined : Math.round(Number(match[1]) * UNITS[match[2] as Unit])
}

const BYTES = { kB: 1e3, MB: 1e6, GB: 1e9 } as const

/** A number of bytes a second with a unit: `500kB/s`, `20MB/s`, `1GB/s`. */
export type Rate = `${number}${keyof typeof BYTES}/s`

/** Whole bytes a second, or undefined when it is no rate of 1 kB/s at least. */
export function parseRate(written: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(kB|MB|GB)\/s$/.exec(written)
  if (match === null) return undefined
  const bytes = Math.round(Number(match[1]) * BYTES[match[2] as keyof typeof BYTES])
  return Number.isSafeInteger(bytes) && bytes >= BYTES.kB ? bytes : undefined
}
