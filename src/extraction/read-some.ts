/** Some of a table's rows: what a cursor finds, or what is read again because the lake was found to hold it otherwise. */
import { randomUUID } from 'node:crypto'
import { openPieceWriter, type Pieces } from '../storage/pieces.ts'
import { inRanges } from '../sources/parts.ts'
import type { KeyRange, SourceReading, SourceSnapshot, SourceTable } from '../sources/source.ts'

/** What of a table is read again, in the snapshot of the batch that it was compared in. */
export interface Doubt {
  /** In which ranges of `rangedBy` rows differ, all others being equal; null when all of it is read. */
  readonly ranges: readonly KeyRange[] | null
  /** As they were counted in that snapshot, and in the lake. */
  readonly rowsInSource: number
  readonly rowsInLake: number
}

/** Reads the rows, in an order that stays while none changes. */
export async function readSome(
  snapshot: SourceSnapshot,
  table: SourceTable,
  which: Pick<SourceReading, 'since' | 'ranges'>,
  tempFolder: string,
): Promise<Pieces> {
  const writer = openPieceWriter(tempFolder, randomUUID())
  try {
    await snapshot.copy(table, writer, which)
    return await writer.finish()
  } catch (error) {
    await writer.discard()
    throw error
  }
}

/** A `select` of those rows of the lake that `readSome` reads of the source. */
export function rowsInRanges(
  rows: string,
  { rangedBy = '' }: Pick<SourceTable, 'rangedBy'>,
  ranges: readonly KeyRange[],
): string {
  return `select * from (${rows}) where ${inRanges(rangedBy, ranges)}`
}
