/**
 * The rows of one table: all of them, as a whole or in parts of its pages by several readers, or some, which a
 * cursor finds or which are read again because the lake was found to hold them otherwise.
 */
import { createHash, randomUUID } from 'node:crypto'
import { quoteName } from '../columns/sql.ts'
import { toText } from '../columns/text.ts'
import type { Context } from '../events.ts'
import { roomForRows } from '../kept/last-rows.ts'
import { boundsOf, inSpans, type SomeSpans } from '../ranges/key-spans.ts'
import type {
  Source,
  SourcePart,
  SourceReading,
  SourceSnapshot,
  SourceTable,
} from '../sources/source.ts'
import {
  discardAtFailure,
  openPieceWriter,
  type Pieces,
  type SpareBlocks,
} from '../storage/pieces.ts'
import type { Column } from '../types.ts'
import type { Landing, PartLanding } from './landing.ts'
import { resumePart } from './resume.ts'
import type { EngineTurns } from './turns.ts'

export interface PartRead {
  readonly rows: number
  /** sha256 of its bytes; null when not all of them were read. */
  readonly digest: string | null
  /** What is left in pieces. */
  readonly pieces: Pieces | null
  /** Where they go. */
  readonly into: PartLanding | null
}

/** Each part in turn, by as many readers as the snapshot has; while one arrives, what is left of the one before goes into the lake, or to disk. Of a table that lands, only the last one's rows are left in the pieces. */
export async function readParts(
  snapshot: SourceSnapshot,
  table: SourceTable,
  options: ReadPartOptions,
  context: Context,
): Promise<readonly PartRead[]> {
  const parts = (table.parts ?? []).length === 0 ? [undefined] : (table.parts ?? [])
  const progress = announcer(table, context)
  const read: PartRead[] = []
  let next = 0
  let failed = false
  const readOn = async (): Promise<void> => {
    let taking: Promise<void> | undefined
    // Of each part its own would stay until the last has been read.
    const spare: SpareBlocks = []
    try {
      while (next < parts.length && !failed) {
        const index = next++
        const one = await readPart(snapshot, table, {
          ...options,
          part: parts[index],
          progress,
          spare,
        })
        read[index] = one
        await taking
        taking = index === parts.length - 1 ? undefined : setAside(one)
        // Heard when the next part is there, or below.
        taking?.catch(() => undefined)
      }
      await taking
    } catch (error) {
      failed = true
      await taking?.catch(() => undefined)
      throw error
    }
  }
  const readers = Array.from({ length: Math.min(snapshot.readers ?? 1, parts.length) }, readOn)
  const ends = await Promise.allSettled(readers)
  const end = ends.find((one) => one.status === 'rejected')
  if (end === undefined) return read
  await Promise.all(read.map(async (one) => one?.pieces?.discard()))
  throw end.reason
}

/** What a large table keeps in memory, it would keep for each of its parts. */
async function setAside({ pieces, into }: PartRead): Promise<void> {
  if (into === null) await pieces?.files()
  else await landRest({ pieces, into })
}

/** Lands what the pieces of a part still hold, and finishes it. */
export async function landRest({ pieces, into }: Pick<PartRead, 'pieces' | 'into'>): Promise<void> {
  if (pieces === null || into === null) return
  try {
    await into.take(pieces)
    await into.finish()
  } finally {
    await pieces.discard()
  }
}

export interface ReadPartOptions {
  readonly source: Source
  readonly landing: Landing | null
  readonly turns: EngineTurns
  readonly tempFolder: string
}

async function readPart(
  snapshot: SourceSnapshot,
  table: SourceTable,
  options: ReadPartOptions & {
    readonly part: SourcePart | undefined
    readonly progress: Progress
    readonly spare: SpareBlocks
  },
): Promise<PartRead> {
  const { source, part, landing, turns, tempFolder, progress, spare } = options
  const into = landing?.open(part) ?? null
  if (landing !== null && into !== null && part !== undefined && landing.options.draft !== null) {
    const { draft } = landing.options
    const rows = await resumePart({ landing, draft, part, into, snapshot, turns, tempFolder })
    if (rows !== null) {
      progress.resumed(rows)
      return { rows, digest: null, pieces: null, into }
    }
  }
  const room = part === undefined ? roomForRows(source, table) : { spare }
  const gathering = { ...room, ...into?.gathering }
  const writer = openPieceWriter(tempFolder, randomUUID(), gathering)
  return discardAtFailure(writer, async () => {
    await snapshot.copy(
      table,
      {
        row: (csv) => {
          writer.row(csv)
          progress.passed(1, csv.length)
        },
        many: (rows) => {
          writer.many(rows)
          progress.passed(rows.count, rows.bytes.length)
        },
        ready: () => writer.ready(),
      },
      // With xmin whatever becomes of it, so that the digests of two runs can be equal.
      part === undefined ? {} : { part, columns: 'rows with xmin' },
    )
    const pieces = await writer.finish()
    return { rows: pieces.passed, digest: pieces.digest, pieces, into }
  })
}

interface Progress {
  passed(rows: number, bytes: number): void
  /** Rows that an earlier run has brought. */
  resumed(rows: number): void
}

const PROGRESS_ROWS = 20_000

/** Tells now and then how many rows have passed. */
function announcer(table: SourceTable, context: Context): Progress {
  let rows = 0
  let bytes = 0
  const expected = table.expectedRows === undefined ? {} : { expectedRows: table.expectedRows }
  const emit = (): void =>
    context.emit({
      type: 'table.progress',
      stage: 'extract',
      table: table.name,
      rows,
      bytes,
      ...expected,
    })
  return {
    passed: (moreRows, moreBytes) => {
      const told = Math.floor(rows / PROGRESS_ROWS)
      rows += moreRows
      bytes += moreBytes
      if (Math.floor(rows / PROGRESS_ROWS) > told) emit()
    },
    resumed: (more) => {
      rows += more
      emit()
    },
  }
}

/** Of a table that was read in parts: over the digests of its parts, in their order. */
export function digestOf(read: readonly PartRead[]): string | null {
  const digests = read.flatMap(({ digest }) => digest ?? [])
  const [first, ...others] = digests
  if (first === undefined || digests.length < read.length) return null
  return others.length === 0 ? first : createHash('sha256').update(digests.join()).digest('hex')
}

/** What of a table is read again, in the snapshot of the batch that it was compared in. */
export interface Doubt {
  /** In which ranges of `rangedBy` rows differ, all others being equal; null when all of it is read. */
  readonly ranges: SomeSpans | null
  /** As they were counted in that snapshot, and in the lake. */
  readonly rowsInSource: number
  readonly rowsInLake: number
}

/** Reads the rows, in an order that stays while none changes. */
export async function readSome(
  snapshot: SourceSnapshot,
  table: SourceTable,
  { since, ranges }: Pick<SourceReading, 'since'> & { readonly ranges?: SomeSpans },
  tempFolder: string,
): Promise<Pieces> {
  const writer = openPieceWriter(tempFolder, randomUUID())
  return discardAtFailure(writer, async () => {
    const bounds = ranges === undefined ? undefined : boundsOf(ranges)
    await snapshot.copy(table, writer, { since, ranges: bounds })
    return writer.finish()
  })
}

/** A `select` of those rows of the lake that `readSome` reads of the source. */
export function rowsInRanges(
  rows: string,
  { rangedBy }: Pick<SourceTable, 'rangedBy'>,
  columns: readonly Pick<Column, 'name' | 'carried'>[],
  ranges: SomeSpans,
): string {
  const key = columns.find(({ name }) => name === rangedBy?.column)
  if (key === undefined) throw new RangeError('no key that has ranges')
  return `select * from (${rows}) where ${inSpans(toText(quoteName(key.name), key.carried), ranges)}`
}
