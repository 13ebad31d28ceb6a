/** Some of a table's rows: what a cursor finds, or what is read again because the lake was found to hold it otherwise. */
import { randomUUID } from 'node:crypto'
import { openPieceWriter, type Pieces } from '../storage/pieces.ts'
import { quoteName } from '../columns/sql.ts'
import { toText } from '../columns/text.ts'
import { boundsOf, inSpans, type SomeSpans } from '../ranges/key-spans.ts'
import type { SourceReading, SourceSnapshot, SourceTable } from '../sources/source.ts'
import type { Column } from '../types.ts'

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
  try {
    const bounds = ranges === undefined ? undefined : boundsOf(ranges)
    await snapshot.copy(table, writer, { since, ranges: bounds })
    return await writer.finish()
  } catch (error) {
    await writer.discard()
    throw error
  }
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
