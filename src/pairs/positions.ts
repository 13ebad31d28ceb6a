/** Whether what the lake keeps of a table still says which of its rows are the same: pairs, or how far a cursor has come. Pure. */
import { ToteError } from '../errors.ts'
import type { CommittedManifest, PairsEntry, TableEntry } from '../lake/manifest.ts'
import { toMicros } from '../lake/instant.ts'
import type {
  Source,
  SourceCursor,
  SourceIdentity,
  SourcePairs,
  SourceSnapshot,
  SourceTable,
} from '../sources/source.ts'
import type { Column, Instant } from '../types.ts'
import { pairColumns } from './pairs.ts'

/**
 * The pairs of `entry`, if an equal pair is an equal row now: of the same table, in the same shape, on the
 * same server since it was started, with too few transactions since for an id to have come round. Null
 * when anything differs, so that the table is compared in full.
 */
export function pairsThatCount(
  entry: TableEntry,
  table: SourceTable,
  snapshot: Pick<SourceSnapshot, 'comparable'>,
  columns: readonly Column[],
): PairsEntry | null {
  const { pairs: known, shape, key } = entry
  const { pairs: now } = table
  if (known === undefined || now === undefined) return null
  const counts =
    shape === table.shape &&
    key.join() === table.key.join() &&
    JSON.stringify(known.origin) === JSON.stringify(now.origin) &&
    sameLeaves(known.leaves, now.leaves, now.partitioned) &&
    carriedAs(known.columns) === carriedAs(pairColumns(table, columns)) &&
    snapshot.comparable?.(known.position) === true
  return counts ? known : null
}

/** A partition that came or went takes its pairs with it, which name it; one that stayed must be the same. */
function sameLeaves(
  before: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
  partitioned: boolean,
): boolean {
  if (!partitioned) return JSON.stringify(before) === JSON.stringify(now)
  return Object.entries(before).every(([leaf, was]) => (now[leaf] ?? was) === was)
}

/**
 * Whether the places of pairs that count are still theirs: rows lie in the same files, in which a row version never
 * moves. (`vacuum full` writes another file, in which old ids stand in new places.) A table that came or went is no
 * reason, because its pairs name it.
 */
export function placesThatCount({ blocks }: PairsEntry, now: SourcePairs): boolean {
  const files = blocks?.files
  return (
    files !== undefined &&
    Object.entries(files).every(([leaf, file]) => (now.files[leaf] ?? file) === file)
  )
}

function carriedAs(columns: readonly Column[]): string {
  return JSON.stringify(columns.map(({ name, carried }) => [name, carried]))
}

/** How far the cursor of a table has come, as its entry's position says it. */
export interface CursorPosition {
  readonly strategy: 'cursor'
  /** The greatest value that the lake's rows have had since the table was last compared in full. */
  readonly watermark: string
  /** When that was, by the source's clock. */
  readonly comparedAt: Instant
  /** Which cursor it is. */
  readonly cursor: string
  /** The sha256 of the rows that were read last. */
  readonly read?: string
}

/**
 * How far the cursor has come, if only what is not further behind it need be read now. Null when the table is
 * to be compared in full: in another shape, by another cursor, or when it is time again.
 */
export function cursorThatCounts(
  entry: TableEntry,
  table: SourceTable,
  now: Instant,
): CursorPosition | null {
  const { cursor } = table
  const known = entry.position as Partial<CursorPosition>
  const { watermark, comparedAt } = known
  if (cursor === undefined || watermark === undefined || comparedAt === undefined) return null
  const age = Number(toMicros(now) - toMicros(comparedAt)) / 1000
  const counts =
    known.strategy === 'cursor' &&
    entry.shape === table.shape &&
    entry.key.join() === table.key.join() &&
    known.cursor === cursorText(cursor) &&
    // A clock that was put back must not put off the next time.
    age >= 0 &&
    age < cursor.reconcileMs
  return counts ? (known as CursorPosition) : null
}

/** What tells a cursor from another. */
export function cursorText({ column, lookBack }: SourceCursor): string {
  return `${column} ${lookBack}`
}

/** A digest counts only for the very server process, and the very table, that it was taken from. */
export function sameIdentity(
  parent: CommittedManifest | null,
  snapshot: Pick<SourceSnapshot, 'identity'>,
  { origin = '' }: SourceTable,
  /** What may have changed of the server. */
  but: readonly string[] = [],
): boolean {
  const before = parent?.source?.identity
  const identityOf = ({ tables, ...server }: SourceIdentity): string => {
    const asked = Object.entries(server).filter(([name]) => !but.includes(name))
    const own = (tables as Readonly<Record<string, unknown>> | undefined)?.[origin]
    return JSON.stringify([asked, own ?? null])
  }
  return before !== undefined && identityOf(before) === identityOf(snapshot.identity)
}

/** Throws what the source says of a snapshot that may not follow the last, but for one that was accepted. */
export function mayFollow(
  source: Source,
  snapshot: SourceSnapshot,
  memory: NonNullable<CommittedManifest['source']>,
  acceptSource: boolean,
): void {
  try {
    source.follow(snapshot, memory)
  } catch (error) {
    const name = error instanceof ToteError ? error.name : ''
    if (!(acceptSource && ['SourceReplaced', 'SourceBehind'].includes(name))) throw error
  }
}
