/**
 * The first half of extraction: all tables of one source, read in one snapshot. What has been read is
 * worked on while the next rows arrive, so that neither memory nor temporary disk grows with the number
 * of tables; the snapshot ends with the last row (P11).
 */
import { joinGroups, type PieceGroup } from '../storage/pieces.ts'
import type { Context } from '../events.ts'
import type { CommittedManifest, TableEntry } from '../lake/manifest.ts'
import type { BasePolicy } from '../lake/base.ts'
import type { Zone } from '../lake/zone.ts'
import type { Source, SourceSnapshot, SourceTable } from '../sources/source.ts'
import { cursorThatCounts, mayFollow, pairsThatCount, sameIdentity } from '../pairs/positions.ts'
import type { Column } from '../types.ts'
import { besideRows, type Landed, type Landing } from './landing.ts'
import { compareWithLast, type RowsApart } from '../kept/last-rows.ts'
import type { Beside } from '../pairs/pairs.ts'
import { landedPairs, pairReading, readAllPairs, readByPairs } from './read-pairs.ts'
import type { PairsUpdate } from './read-pairs.ts'
import { digestOf, landRest, readParts, readSome, type Doubt } from './read-rows.ts'
import { followShapes, lateMasks } from './shapes.ts'
import { openLine, type EngineTurns } from './turns.ts'

export interface ReadTable {
  readonly table: SourceTable
  /** What the lake holds of it, or null when it is new. */
  readonly entry: TableEntry | null
  /** As the lake goes on with them. */
  readonly columns: readonly Column[]
  /** Equal to what the lake holds, by digest; `pieces` are then gone. */
  readonly unchanged: boolean
  /** Of the table; those that were read, when it was read in part. */
  readonly rows: number
  /** null when not all of its bytes were read in this run. */
  readonly digest: string | null
  readonly pieces: PieceGroup | null
  /** What stands beside the rows in the pieces. */
  readonly beside: Beside
  /** What was wrong with it, when it was read again for that. */
  readonly doubt: Doubt | null
  /** Only what a cursor found: other rows may be there, and none is known to be gone. */
  readonly partial: boolean
  /** What is to become of the table's pairs; null when they stay, or there are none. */
  readonly pairs: PairsUpdate | null
  /** What has become of the rows that differ from those of the lake, where that is known. */
  readonly apart: RowsApart | null
  /** Of a table that is new: lands what is still in the pieces, and tells where all of its rows are. */
  readonly land: (() => Promise<Landed>) | null
  readonly ms: number
}

export interface ReadSnapshot extends Pick<
  SourceSnapshot,
  'identity' | 'position' | 'reach' | 'instant'
> {
  /** Tables of the lake that were not read, because the source has them no more. */
  readonly gone: readonly string[]
}

export interface ReadOptions {
  readonly acceptSource: boolean
  /** Whether the user has accepted what happened to the table's shape. */
  readonly acceptsChange: (table: string) => boolean
  /** Digests count for nothing: every table is compared in full. */
  readonly fullRefresh: boolean
  /** Only these tables are read, all else being as the parent says: its snapshot is the very one that `source` gives. */
  readonly doubts?: ReadonlyMap<string, Doubt> | undefined
  readonly tempFolder: string
  /** Where the rows of tables go that the lake does not have; called once. */
  readonly land: (snapshot: SourceSnapshot) => Promise<(table: SourceTable) => Landing | null>
  readonly turns: EngineTurns
  readonly zone: Zone
  readonly policy: BasePolicy
  /** Called for each table when it has been read, one at a time, in order; meanwhile the next is read. */
  readonly onRead: (read: ReadTable) => Promise<void>
}

/** Pieces that may wait, in bytes, while the tables before them are worked on. */
const WAITING_BYTES = 32 << 20

/** Reads every table that may have changed. Throws SourceReplaced, SourceBehind, SourceChanged before it reads any. */
export async function readTables(
  source: Source,
  parent: CommittedManifest | null,
  options: ReadOptions,
  context: Context,
): Promise<ReadSnapshot> {
  const snapshot = await source.snapshot(context)
  const line = openLine<ReadTable>({
    work: options.onRead,
    bytesOf: ({ pieces, pairs }) => (pieces?.bytes ?? 0) + (pairs?.bytes ?? 0),
    discard: async ({ pieces, apart, pairs }, failed) => {
      await pieces?.discard()
      await apart?.changes.discard()
      // Written when the batch is committed, which will not be.
      if (failed) await pairs?.discard()
    },
  })
  try {
    const { doubts, fullRefresh } = options
    for (const { text, standing } of snapshot.warnings ?? []) {
      const level = standing && parent !== null ? 'standing' : 'warn'
      context.emit({ type: 'note', level, text: `source "${source.name}": ${text}` })
    }
    if (parent?.source !== undefined && doubts === undefined)
      mayFollow(source, snapshot, parent.source, options.acceptSource)
    const shapes = followShapes(snapshot.tables, parent, {
      source: source.name,
      accepts: options.acceptsChange,
    })
    for (const note of shapes.notes) context.emit({ type: 'note', ...note })
    for (const text of parent === null ? [] : lateMasks(snapshot.tables, parent))
      context.emit({ type: 'note', level: 'warn', text })
    const land = await options.land(snapshot)
    for (const table of shapes.tables) {
      const doubt = doubts?.get(table.name) ?? null
      if (doubts !== undefined && doubt === null) continue
      const entry = parent?.tables[table.name] ?? null
      const landing = entry === null ? land(table) : null
      const inFull = fullRefresh || doubt !== null
      const trusted = !inFull && sameIdentity(parent, snapshot, table)
      const known = { table, entry, columns: shapes.columns.get(table.name) ?? [], doubt }
      const sameTable = sameIdentity(parent, snapshot, table, ['started', 'counting', 'version'])
      const asked = { ...options, source, fullRefresh: inFull, trusted, sameTable, landing }
      line.add(await readTable(snapshot, known, asked, context))
      await line.below(WAITING_BYTES)
    }
    await snapshot.close()
    await line.below(0)
    return { ...snapshot, gone: shapes.gone }
  } catch (error) {
    await line.abandon()
    throw error
  } finally {
    await snapshot.close()
  }
}

async function readTable(
  snapshot: SourceSnapshot,
  known: Pick<ReadTable, 'table' | 'entry' | 'columns' | 'doubt'>,
  options: ReadOptions & {
    readonly source: Source
    readonly trusted: boolean
    readonly sameTable: boolean
    readonly landing: Landing | null
  },
  context: Context,
): Promise<ReadTable> {
  const { table, entry, doubt } = known
  const startedAt = context.now().getTime()
  const same = options.trusted && entry?.shape === table.shape
  const last = same ? entry.position['digest'] : undefined
  const done = (): number => context.now().getTime() - startedAt
  const none = {
    ...known,
    pieces: null,
    apart: null,
    pairs: null,
    beside: 'nothing' as const,
    partial: false,
    land: null,
  }
  if (table.fingerprint !== undefined && table.fingerprint === last && entry !== null) {
    const digest = table.fingerprint
    return { ...none, unchanged: true, rows: entry.rows, digest, ms: done() }
  }
  if (doubt !== null && doubt.ranges !== null && entry !== null) {
    const pieces = await readSome(snapshot, table, { ranges: doubt.ranges }, options.tempFolder)
    // Read in this snapshot a moment ago: of all rows, and still what the lake has to hold.
    const digest = typeof entry.position['digest'] === 'string' ? entry.position['digest'] : null
    const facts = { ...none, rows: doubt.rowsInSource, digest, unchanged: false, ms: done() }
    return { ...facts, pieces }
  }
  const cursor =
    entry === null || options.fullRefresh || !options.sameTable
      ? null
      : cursorThatCounts(entry, table, snapshot.instant)
  if (cursor !== null) {
    const since = { since: cursor.watermark }
    const pieces = await readSome(snapshot, table, since, options.tempFolder)
    const { passed, digest } = pieces
    const unchanged = digest === cursor.read
    if (unchanged) await pieces.discard()
    const facts = { ...none, rows: passed, digest, partial: true, unchanged, ms: done() }
    return { ...facts, pieces: unchanged ? null : pieces }
  }
  const { landing } = options
  const reading = pairReading(snapshot, known, options)
  if (reading !== null && entry !== null && !options.fullRefresh) {
    const { pairs } = entry
    const counting = pairsThatCount(entry, table, snapshot, reading.columns)
    const reused = pairs === undefined ? null : (snapshot.reusedIds?.(pairs.position) ?? null)
    const found = counting === null ? null : await readByPairs(reading, counting, reused)
    // Counts that differ where no row does: something else touched what was kept.
    if (found !== null && (found.pieces !== null || found.rows === entry.rows)) {
      const { rows, pieces, update } = found
      const facts = { ...none, rows, pieces, beside: 'place' as const, pairs: update, ms: done() }
      return { ...facts, unchanged: update === null, digest: null }
    }
  }
  const read = await readParts(snapshot, table, options, context)
  const rows = read.reduce((sum, part) => sum + part.rows, 0)
  const digest = table.fingerprint ?? digestOf(read)
  const beside = besideRows(table)
  const pairs =
    reading === null
      ? null
      : landing !== null && beside === 'xmin' && !reading.pairs.partitioned
        ? landedPairs(reading, () => landing.landed())
        : await readAllPairs(reading)
  const facts = { ...none, rows, digest, beside, pairs, ms: done() }
  if (landing !== null) {
    // All parts but the last have landed.
    const rest = read.at(-1)
    const land = async (): Promise<Landed> => {
      if (rest !== undefined) await landRest(rest)
      return landing.landed()
    }
    return { ...facts, unchanged: false, pieces: rest?.pieces ?? null, land }
  }
  const unchanged = digest !== null && digest === last && entry !== null
  const left = joinGroups(read.flatMap(({ pieces }) => pieces ?? []))
  const held = read.length === 1 ? (read[0]?.pieces?.held ?? null) : null
  const apart =
    held === null || digest === null || beside === 'xmin'
      ? null
      : await compareWithLast(
          options.source,
          table,
          { digest, held, known: last },
          options.tempFolder,
        )
  if (unchanged) await left.discard()
  return { ...facts, unchanged, pieces: unchanged ? null : left, apart }
}
