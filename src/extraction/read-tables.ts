/**
 * The first half of extraction: all tables of one source, read in one snapshot. What has been read is
 * worked on while the next rows arrive, so that neither memory nor temporary disk grows with the number
 * of tables; the snapshot ends with the last row (P11).
 */
import { createHash, randomUUID } from 'node:crypto'
import { openPieceWriter, type PieceGroup, type Pieces } from '../columns/pieces.ts'
import { ToteError } from '../errors.ts'
import type { Context } from '../events.ts'
import type { CommittedManifest, TableEntry } from '../lake/manifest.ts'
import type { Source, SourcePart, SourceSnapshot, SourceTable } from '../sources/source.ts'
import type { Landing } from './landing.ts'

export interface ReadTable {
  readonly table: SourceTable
  /** What the lake holds of it, or null when it is new. */
  readonly entry: TableEntry | null
  /** Equal to what the lake holds, by digest; `pieces` are then gone. */
  readonly unchanged: boolean
  readonly rows: number
  readonly digest: string
  readonly pieces: PieceGroup | null
  /** Of a table that is new: where its rows are, but for those still in the pieces. */
  readonly landing: Landing | null
  readonly ms: number
}

export type ReadSnapshot = Pick<SourceSnapshot, 'identity' | 'position' | 'instant'>

export interface ReadOptions {
  readonly acceptSource: boolean
  /** Digests count for nothing: every table is compared in full. */
  readonly fullRefresh: boolean
  readonly tempFolder: string
  /** Where the rows of a table go that the lake does not have; null when they must be looked at together first. */
  readonly land: (table: SourceTable, snapshot: ReadSnapshot) => Landing | null
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
  const line = openLine(options.onRead)
  try {
    if (parent?.source !== undefined)
      mayFollow(source, snapshot, parent.source, options.acceptSource)
    if (parent !== null) refuseChangedShapes(source.name, snapshot.tables, parent)
    const trusted = !options.fullRefresh && sameIdentity(parent, snapshot)
    for (const table of snapshot.tables) {
      const entry = parent?.tables[table.name] ?? null
      line.add(await readTable(snapshot, table, entry, { ...options, trusted }, context))
      await line.below(WAITING_BYTES)
    }
    await snapshot.close()
    await line.below(0)
    return snapshot
  } catch (error) {
    await line.abandon()
    throw error
  } finally {
    await snapshot.close()
  }
}

interface Line {
  add(read: ReadTable): void
  /** Resolves when no more than so many bytes wait; throws what became of those before. */
  below(bytes: number): Promise<void>
  /** What waits is discarded; resolves when nobody works any more. */
  abandon(): Promise<void>
}

function openLine(work: (read: ReadTable) => Promise<void>): Line {
  let working: Promise<void> = Promise.resolve()
  let waiting = 0
  let failure: { readonly error: unknown } | undefined
  return {
    add: (read) => {
      const bytes = read.pieces?.bytes ?? 0
      waiting += bytes
      working = working.then(async () => {
        try {
          if (failure === undefined) await work(read)
        } catch (error) {
          failure = { error }
        } finally {
          waiting -= bytes
          await read.pieces?.discard()
        }
      })
    },
    below: async (bytes) => {
      if (waiting > bytes || bytes === 0) await working
      if (failure !== undefined) throw failure.error
    },
    abandon: async () => {
      failure ??= { error: undefined }
      await working
    },
  }
}

async function readTable(
  snapshot: SourceSnapshot,
  table: SourceTable,
  entry: TableEntry | null,
  options: ReadOptions & { readonly trusted: boolean },
  context: Context,
): Promise<ReadTable> {
  const startedAt = context.now().getTime()
  const known =
    options.trusted && entry?.shape === table.shape ? entry.position['digest'] : undefined
  const done = (): number => context.now().getTime() - startedAt
  const none = { table, entry, pieces: null, landing: null }
  if (table.fingerprint !== undefined && table.fingerprint === known && entry !== null) {
    const digest = table.fingerprint
    return { ...none, unchanged: true, rows: entry.rows, digest, ms: done() }
  }
  const landing = entry === null ? options.land(table, snapshot) : null
  const read = await readParts(snapshot, table, { ...options, landing }, context)
  const rows = read.reduce((sum, { passed }) => sum + passed, 0)
  const digest = table.fingerprint ?? digestOf(read)
  const unchanged = digest === known && entry !== null
  // Of a table that lands, all parts but the last have landed.
  const left = joinGroups(landing === null ? read : read.slice(-1))
  if (unchanged) await left.discard()
  const pieces = unchanged ? null : left
  return { ...none, unchanged, rows, digest, pieces, landing, ms: done() }
}

/** Each part in turn. Of a table that lands, only the last one's rows are left in the pieces. */
async function readParts(
  snapshot: SourceSnapshot,
  table: SourceTable,
  { landing, tempFolder }: { readonly landing: Landing | null; readonly tempFolder: string },
  context: Context,
): Promise<readonly Pieces[]> {
  const parts = (table.parts ?? []).length === 0 ? [undefined] : (table.parts ?? [])
  const progress = announcer(table, context)
  const read: Pieces[] = []
  let taking: Promise<void> | undefined
  try {
    for (const part of parts) {
      const before = read.at(-1)
      if (before !== undefined) {
        await taking
        taking = setAside(before, landing)
        // Heard when the next part is there, or below.
        taking.catch(() => undefined)
      }
      read.push(await readPart(snapshot, table, { part, tempFolder, landing, progress }))
    }
    await taking
    return read
  } catch (error) {
    await taking?.catch(() => undefined)
    await Promise.all(read.map(async (pieces) => pieces.discard()))
    throw error
  }
}

/** What a large table keeps in memory, it would keep for each of its parts. */
async function setAside(pieces: Pieces, landing: Landing | null): Promise<void> {
  await (landing === null ? pieces.files() : landing.take(pieces))
  if (landing !== null) await pieces.discard()
}

async function readPart(
  snapshot: SourceSnapshot,
  table: SourceTable,
  options: {
    readonly part: SourcePart | undefined
    readonly tempFolder: string
    readonly landing: Landing | null
    readonly progress: (bytes: number) => void
  },
): Promise<Pieces> {
  const { part, tempFolder, landing, progress } = options
  const writer = openPieceWriter(tempFolder, randomUUID(), { take: landing?.take })
  try {
    await snapshot.copy(
      table,
      {
        row: (csv) => {
          writer.row(csv)
          progress(csv.length)
        },
        ready: () => writer.ready(),
      },
      part,
    )
    return await writer.finish()
  } catch (error) {
    await writer.discard()
    throw error
  }
}

/** Tells now and then how many rows have passed. */
function announcer(table: SourceTable, context: Context): (bytes: number) => void {
  let rows = 0
  let bytes = 0
  const expected = table.expectedRows === undefined ? {} : { expectedRows: table.expectedRows }
  return (more) => {
    rows += 1
    bytes += more
    if (rows % PROGRESS_ROWS !== 0) return
    context.emit({
      type: 'table.progress',
      stage: 'extract',
      table: table.name,
      rows,
      bytes,
      ...expected,
    })
  }
}

/** Of a table that was read in parts: over the digests of its parts, in their order. */
function digestOf(read: readonly Pieces[]): string {
  const [first, ...others] = read.map(({ digest }) => digest)
  if (first !== undefined && others.length === 0) return first
  return createHash('sha256')
    .update(read.map(({ digest }) => digest).join())
    .digest('hex')
}

function joinGroups(groups: readonly PieceGroup[]): PieceGroup {
  return {
    rows: groups.reduce((sum, { rows }) => sum + rows, 0),
    bytes: groups.reduce((sum, { bytes }) => sum + bytes, 0),
    longestRow: Math.max(0, ...groups.map(({ longestRow }) => longestRow)),
    files: async () => (await Promise.all(groups.map(async (group) => group.files()))).flat(),
    discard: async () => {
      await Promise.all(groups.map(async (group) => group.discard()))
    },
  }
}

const PROGRESS_ROWS = 20_000

function mayFollow(
  source: Source,
  snapshot: SourceSnapshot,
  memory: NonNullable<CommittedManifest['source']>,
  acceptSource: boolean,
): void {
  try {
    source.follow(snapshot, memory)
  } catch (error) {
    if (!(acceptSource && error instanceof ToteError && error.name === 'SourceReplaced'))
      throw error
  }
}

/** A digest counts only for the very server process that it was taken from. */
function sameIdentity(parent: CommittedManifest | null, snapshot: SourceSnapshot): boolean {
  return JSON.stringify(parent?.source?.identity ?? null) === JSON.stringify(snapshot.identity)
}

function refuseChangedShapes(
  source: string,
  tables: readonly SourceTable[],
  parent: CommittedManifest,
): void {
  const problems: { where: string; message: string }[] = []
  const fresh = new Map<string, string[]>()
  for (const [name, entry] of Object.entries(parent.tables)) {
    const table = tables.find((candidate) => candidate.name === name)
    if (table === undefined) {
      problems.push({ where: name, message: 'is no longer there' })
      continue
    }
    const before = new Map(entry.columns.map((column) => [column.name, column.type]))
    for (const column of table.columns) {
      const type = before.get(column.name)
      if (type === undefined) {
        problems.push({ where: `${name}.${column.name}`, message: `is new (${column.type})` })
        fresh.set(name, [...(fresh.get(name) ?? []), column.name])
      } else if (type !== column.type)
        problems.push({
          where: `${name}.${column.name}`,
          message: `was ${type} and is ${column.type}`,
        })
      before.delete(column.name)
    }
    for (const column of before.keys()) {
      const setting = table.omitted?.get(column)
      problems.push({
        where: `${name}.${column}`,
        message:
          setting === undefined
            ? 'is no longer there'
            : `is in the lake, and left out by ${setting} of the config`,
      })
    }
    if (table.key.join() !== entry.key.join()) {
      problems.push({
        where: name,
        message: `had the key (${entry.key.join(', ')}) and has (${table.key.join(', ')})`,
      })
    }
  }
  if (problems.length === 0) return
  throw new ToteError(
    'SourceChanged',
    `The tables of source "${source}" have another shape than the lake's.`,
    {
      problems,
      why: 'following a changed schema is not supported yet, so the batch was refused before anything was written',
      fix: [
        ...leaveOut(source, fresh),
        'undo the change, or begin a new lake and a new warehouse schema',
      ].join('; or '),
    },
  )
}

/** New columns need not hold the batch up: the config can leave them out. */
function leaveOut(source: string, fresh: ReadonlyMap<string, readonly string[]>): string[] {
  if (fresh.size === 0) return []
  const tables = [...fresh].map(([table, columns]) => {
    const names = columns.map((name) => JSON.stringify(name)).join(', ')
    return `${JSON.stringify(table)}: { columns: { exclude: [${names}] } }`
  })
  return [`leave new columns out for now, in sources.${source}: table: { ${tables.join(', ')} }`]
}
