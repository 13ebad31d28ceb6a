/**
 * The rows of small tables as they were read last, kept as the bytes that arrived for as long as the
 * project stays open. When the lake's rows are known to be those very bytes (by the sha256 that its
 * manifest holds), what changed is found by comparing bytes, row by row; only rows that are not there
 * on both sides go on to DuckDB.
 */
import { randomUUID } from 'node:crypto'
import { ROW_COLUMN } from '../columns/sql.ts'
import {
  openPieceWriter,
  type HeldRows,
  type PieceGroup,
  type PieceOptions,
} from '../storage/pieces.ts'
import type { Source, SourceTable } from '../sources/source.ts'
import type { ChangeCounts } from '../types.ts'
import { changedRows } from './changed-rows.ts'

/** Of all tables of a source; as much again may be free, for their next reading. */
const MOST_BYTES = 16 << 20

const FEW_ROWS = 5000

interface LastRows extends HeldRows {
  readonly digest: string
  /** Where the rows before these lay. */
  free: Buffer | null
}

interface LastOfSource {
  readonly tables: Map<string, LastRows>
  /** Of all tables. */
  bytes: number
}

const sources = new WeakMap<Source, LastOfSource>()

/** Rows that differ, as CSV: operation, kind, and the columns of the table. */
export interface RowsApart {
  readonly changes: PieceGroup
  readonly counts: ChangeCounts
}

/** Where as many rows as last, when they were kept, find room; whoever asks has it to himself. */
export function roomForRows(
  source: Source,
  table: SourceTable,
): Pick<PieceOptions, 'expectedBytes' | 'spare'> {
  const last = sources.get(source)?.tables.get(table.name)
  if (last === undefined) return {}
  const expectedBytes = last.bytes.length
  const room = last.free
  last.free = null
  return { expectedBytes, spare: room === null || room.length < expectedBytes ? [] : [room] }
}

/** Types whose values are equal only where their texts are: 0 and -0 of a float, or `1 mon` and `30 days`, are one key in two spellings. */
const EXACT = /^(?:(?:TINY|SMALL|BIG|HUGE)?INT|INTEGER|BOOLEAN|DATE|UUID|VARCHAR|TIMESTAMP|DECIMAL)/

/**
 * Keeps what was read, and tells how it differs from the rows of digest `known`, when those were kept.
 * Null where it is no less work to compare the whole table.
 */
export async function compareWithLast(
  source: Source,
  table: SourceTable,
  read: { readonly digest: string; readonly held: HeldRows; readonly known: unknown },
  tempFolder: string,
): Promise<RowsApart | null> {
  // A key that must be verified, or its equals counted, over all rows needs them all.
  if (table.keyGiven === true || table.key.includes(ROW_COLUMN)) return null
  const key = table.key.map((name) => table.columns.findIndex((column) => column.name === name))
  if (!key.every((index) => EXACT.test(table.columns[index]?.carried ?? ''))) return null
  const last = sources.get(source) ?? { tables: new Map<string, LastRows>(), bytes: 0 }
  sources.set(source, last)
  const before = last.tables.get(table.name)
  if (last.tables.delete(table.name)) last.bytes -= before?.bytes.length ?? 0
  const { digest, held, known } = read
  const kept: LastRows = { ...held, digest, free: null }
  if (last.bytes + held.bytes.length <= MOST_BYTES) {
    last.tables.set(table.name, kept)
    last.bytes += held.bytes.length
  }
  if (before === undefined) return null
  try {
    return before.digest === known && digest !== known
      ? await changesApart({ before, now: held }, { key, table }, tempFolder)
      : null
  } finally {
    kept.free = before.room
  }
}

async function changesApart(
  { before, now }: { readonly before: HeldRows; readonly now: HeldRows },
  { key, table }: { readonly key: readonly number[]; readonly table: SourceTable },
  tempFolder: string,
): Promise<RowsApart | null> {
  const apart = rowsApart(before, now)
  // Of many rows that are others DuckDB makes short work.
  if (apart.now.length > FEW_ROWS && 2 * apart.now.length > now.ends.length) return null
  const { rows, counts } = changedRows(apart, key, table.columns.length)
  const writer = openPieceWriter(tempFolder, randomUUID(), {
    digest: false,
    expectedBytes: rows.bytes.length,
  })
  if (rows.count > 0) writer.many(rows)
  return { changes: await writer.finish(), counts }
}

/** Rows compared at once, as one run of bytes, where nothing changed: as many as may be. */
const RUNS = [64, 8, 1] as const
/** So many rows that differ one after the other are perhaps no updates: more may have been put between them than one. */
const LOST = 32

/**
 * The rows of each side that the other does not have, as often as it has them, and perhaps a few that
 * it has: what is left out on both sides is equal. Both should be in one order. Pure.
 */
export function rowsApart(
  before: HeldRows,
  now: HeldRows,
): { readonly before: readonly Buffer[]; readonly now: readonly Buffer[] } {
  const apart = { before: [] as Buffer[], now: [] as Buffer[] }
  let [i, j, astray] = [0, 0, 0]
  while (i < before.ends.length && j < now.ends.length) {
    const run = RUNS.find((count) => sameRun(before, i, now, j, count))
    if (run !== undefined) {
      i += run
      j += run
      astray = 0
    } else if (sameRun(before, i, now, j + 1, 1)) {
      astray = 0
      apart.now.push(rowOf(now, j++))
    } else if (sameRun(before, i + 1, now, j, 1)) {
      astray = 0
      apart.before.push(rowOf(before, i++))
    } else if (astray === LOST) {
      // Back to where the way was lost.
      apart.before.length -= LOST
      apart.now.length -= LOST
      ;[i, j] = [i - LOST, j - LOST]
      break
    } else {
      astray += 1
      apart.before.push(rowOf(before, i++))
      apart.now.push(rowOf(now, j++))
    }
  }
  const left = new Map<string, number[]>()
  for (; i < before.ends.length; i++) {
    const text = rowOf(before, i).toString('latin1')
    const places = left.get(text)
    if (places === undefined) left.set(text, [i])
    else places.push(i)
  }
  for (; j < now.ends.length; j++) {
    const row = rowOf(now, j)
    if (left.get(row.toString('latin1'))?.pop() === undefined) apart.now.push(row)
  }
  for (const places of left.values())
    apart.before.push(...places.map((place) => rowOf(before, place)))
  return apart
}

/** Whether `count` rows from there on are the same bytes. Rows end where their bytes say: equal bytes are equal rows. */
function sameRun(a: HeldRows, i: number, b: HeldRows, j: number, count: number): boolean {
  const [endA, endB] = [a.ends[i + count - 1], b.ends[j + count - 1]]
  if (endA === undefined || endB === undefined) return false
  const [startA, startB] = [startOf(a, i), startOf(b, j)]
  return (
    endA - startA === endB - startB && a.bytes.compare(b.bytes, startB, endB, startA, endA) === 0
  )
}

function rowOf(rows: HeldRows, index: number): Buffer {
  return rows.bytes.subarray(startOf(rows, index), rows.ends[index])
}

function startOf({ ends }: HeldRows, index: number): number {
  return index === 0 ? 0 : (ends[index - 1] ?? 0)
}
