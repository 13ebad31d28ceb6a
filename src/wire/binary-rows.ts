/**
 * Rows of COPY BINARY whose columns all have fixed sizes, so that every row is as long as the next: header and
 * trailer are taken off, and nothing is copied. (PostgreSQL, "COPY", "Binary Format": a signature of 11 bytes, flags
 * and the length of an extension, 32 bits each; rows; a field count of -1.)
 */
import type { CopiedRows } from './messages.ts'

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')
const HEADER_BYTES = SIGNATURE.length + 8
const TRAILER_BYTES = 2
const MOST_AT_ONCE = 8192

export interface BinaryRows {
  /** Rows so far. */
  readonly rows: number
  /** The trailer has come, and nothing was out of place. */
  readonly whole: boolean
  /** The rows in what has come; null when there are none, or something is no such row. */
  take(came: CopiedRows): CopiedRows | null
}

/** A row that has another length, or a NULL in it, is out of place. */
export function openBinaryRows(rowBytes: number): BinaryRows {
  const ends = Uint32Array.from({ length: MOST_AT_ONCE }, (_, row) => (row + 1) * rowBytes)
  let rows = 0
  let begun = false
  let ended = false
  let broken = false
  return {
    get rows() {
      return rows
    },
    get whole() {
      return ended && !broken
    },
    take: ({ bytes: came }) => {
      let bytes = came
      if (!begun) {
        broken = !bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE)
        broken ||= bytes.length < HEADER_BYTES || bytes.readBigUInt64BE(SIGNATURE.length) !== 0n
        bytes = bytes.subarray(HEADER_BYTES)
        begun = true
      }
      broken ||= ended && bytes.length > 0
      if (!broken && bytes.length % rowBytes === TRAILER_BYTES) {
        const at = bytes.length - TRAILER_BYTES
        ended = bytes.readInt16BE(at) === -1
        if (ended) bytes = bytes.subarray(0, at)
      }
      const count = bytes.length / rowBytes
      broken ||= !Number.isInteger(count) || count > MOST_AT_ONCE
      if (broken || count === 0) return null
      rows += count
      return { bytes, count, ends, longest: rowBytes }
    },
  }
}
