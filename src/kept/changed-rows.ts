/**
 * What two readings of a table make of each row that they do not share, by its bytes: the source prints a
 * value in one way, so whoever finds the same key with other bytes finds another row. Pure.
 */
import type { CsvRows } from '../storage/pieces.ts'
import type { ChangeCounts } from '../types.ts'

export interface ChangedRows {
  /** Before the columns stand the operation ('u', 'd') and the kind ('i', 'u', 'd'); of a deleted row only its key is there. */
  readonly rows: CsvRows
  readonly counts: ChangeCounts
}

const [COMMA, QUOTE] = [0x2c, 0x22]
const INSERTED = Buffer.from('u,i,')
const UPDATED = Buffer.from('u,u,')
const DELETED = Buffer.from('d,d,')

/** Of rows of `width` columns, each ended by one line end, whose key is in the columns `key`, once on each side. */
export function changedRows(
  { before, now }: { readonly before: readonly Buffer[]; readonly now: readonly Buffer[] },
  key: readonly number[],
  width: number,
): ChangedRows {
  const left = new Map<string, Buffer>()
  for (const row of before) left.set(keyOf(row, key, width), row)
  const parts: Buffer[] = []
  let [inserted, updated] = [0, 0]
  for (const row of now) {
    const held = keyOf(row, key, width)
    const was = left.get(held)
    left.delete(held)
    if (was === undefined) inserted += 1
    else if (was.equals(row)) continue
    else updated += 1
    parts.push(was === undefined ? INSERTED : UPDATED, row)
  }
  for (const row of left.values()) parts.push(DELETED, keyAlone(row, key, width))
  return { rows: joinRows(parts), counts: { inserted, updated, deleted: left.size } }
}

/** Each two parts are a row. */
function joinRows(parts: readonly Buffer[]): CsvRows {
  const ends = new Uint32Array(parts.length / 2)
  let [end, longest] = [0, 0]
  for (let row = 0; row < ends.length; row++) {
    const bytes = (parts[2 * row]?.length ?? 0) + (parts[2 * row + 1]?.length ?? 0)
    longest = Math.max(longest, bytes)
    ends[row] = end += bytes
  }
  return { bytes: Buffer.concat(parts, end), count: ends.length, ends, longest }
}

function keyAlone(row: Buffer, key: readonly number[], width: number): Buffer {
  const kept = fieldsOf(row, width).map((value, index) => (key.includes(index) ? value : ''))
  return Buffer.from(`${kept.join(',')}\n`, 'latin1')
}

function keyOf(row: Buffer, key: readonly number[], width: number): string {
  const values = fieldsOf(row, Math.min(width, Math.max(...key) + 1))
  return key.map((index) => values[index]).join(',')
}

/** The first `count` values as they are written, byte for byte a character. (RFC 4180: quotes are doubled within quotes.) */
function fieldsOf(row: Buffer, count: number): string[] {
  const values: string[] = []
  const end = row.length - 1
  let from = 0
  let quoted = false
  for (let at = 0; at <= end && values.length < count; at++) {
    const byte = row[at]
    if (byte === QUOTE) quoted = !quoted
    else if ((byte === COMMA && !quoted) || at === end) {
      values.push(row.toString('latin1', from, at))
      from = at + 1
    }
  }
  return values
}
