/**
 * The event stream as JSON, one object a line (NDJSON). `TerminalOnly` values leave no trace, and
 * no number is altered: what JSON has no exact number for is written as text.
 */
import type { EventReader } from './reader.ts'

/** Writes each event as one line. */
export function openJsonLines(write: (text: string) => void): EventReader {
  return { read: (event) => write(`${toJson(event)}\n`) }
}

/**
 * JSON text on one line. A bigint beyond 2^53 becomes a string, and so do NaN and the infinities,
 * which JSON.stringify would silently turn into null.
 */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part === 'bigint') {
      const exact = part >= Number.MIN_SAFE_INTEGER && part <= Number.MAX_SAFE_INTEGER
      return exact ? Number(part) : String(part)
    }
    return typeof part === 'number' && !Number.isFinite(part) ? String(part) : part
  })
}
