/**
 * What two readings of a table make of each row that they do not share, by its bytes: the source prints a
 * value in one way, so whoever finds the same key with other bytes finds another row. Pure.
 */
import type { ChangeCounts } from '../types.ts'

/** CSV rows before which stand the operation ('u', 'd') and the kind ('i', 'u', 'd'); of a deleted one only its key is there. */
export interface ChangedRows {
  readonly rows: readonly Buffer[]
  readonly counts: ChangeCounts
}

const [COMMA, QUOTE] = [0x2c, 0x22]
const INSERTED = Buffer.from('u,i,')
const UPDATED = Buffer.from('u,u,')

/** Of rows of `width` columns, each ended by one line end, whose key is in the columns `key`, once on each side. */
export function changedRows(
  { before, now }: { readonly before: readonly Buffer[]; readonly now: readonly Buffer[] },
  key: readonly number[],
  width: number,
): ChangedRows {
  const left = new Map(before.map((row) => [keyOf(row, key, width), row]))
  const rows: Buffer[] = []
  let [inserted, updated] = [0, 0]
  for (const row of now) {
    const held = keyOf(row, key, width)
    const was = left.get(held)
    left.delete(held)
    if (was === undefined) inserted += 1
    else if (was.equals(row)) continue
    else updated += 1
    rows.push(Buffer.concat([was === undefined ? INSERTED : UPDATED, row]))
  }
  for (const row of left.values()) rows.push(deleted(row, key, width))
  return { rows, counts: { inserted, updated, deleted: left.size } }
}

function deleted(row: Buffer, key: readonly number[], width: number): Buffer {
  const values = fieldsOf(row, width)
  const kept = values.map((value, index) => (key.includes(index) ? value : ''))
  return Buffer.from(`d,d,${kept.join(',')}\n`, 'latin1')
}

function keyOf(row: Buffer, key: readonly number[], width: number): string {
  const values = fieldsOf(row, Math.min(width, Math.max(...key) + 1))
  return key.map((index) => values[index]).join(',')
}

/** The first `count` values as they are written, byte for byte a character. (RFC 4180; quotes are doubled within quotes.) */
function fieldsOf(row: Buffer, count: number): string[] {
  const values: string[] = []
  let from = 0
  let quoted = false
  for (let at = 0; values.length < count; at++) {
    const byte = row[at]
    if (byte === QUOTE) quoted = !quoted
    // The row's own end is its last byte.
    else if ((byte === COMMA && !quoted) || at >= row.length - 1) {
      values.push(row.toString('latin1', from, at))
      from = at + 1
      if (at >= row.length - 1) break
    }
  }
  return values
}
