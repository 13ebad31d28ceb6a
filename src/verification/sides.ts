/**
 * The two kinds of sides that are compared: rows that a server sends, and rows of the lake. Both
 * become the text that PostgreSQL prints, so that nothing by which rows were read into the lake is believed
 * again: a value that was read wrongly prints otherwise. As whole lines, which nobody parts, they say whether
 * anything differs, and as columns what.
 */
import { randomUUID } from 'node:crypto'
import { readCsv, readLines } from '../columns/csv.ts'
import { openPieceWriter, type CsvRows } from '../storage/pieces.ts'
import { isFloat } from '../columns/sql.ts'
import { toLine, toText, type LineValue } from '../columns/text.ts'
import type { Context } from '../events.ts'
import type { RowSink } from '../sources/source.ts'
import { columnNames } from './ranges.ts'

/** Rows that can be gone through again, each time the same. */
export interface Side {
  /** Hands all rows over, in relations with columns c0, c1, …; or at least those of some ranges. */
  pass(take: (relation: string) => Promise<void>, ranges?: readonly number[]): Promise<void>
}

/** Whether whole lines can be compared: a float has several texts, and of a single column a line can be empty. */
export function mayBeLines(carried: readonly string[]): boolean {
  return carried.length > 1 && !carried.some(isFloat)
}

/** Rows of a relation as lines; the texts are expressions over it as `r`. */
export function queriedLines(rows: string, values: readonly LineValue[]): Side {
  return queriedSide(rows, [toLine(values)])
}

/** Rows of a relation; `values` are expressions over it as `r`. */
export function queriedSide(rows: string, values: readonly string[]): Side {
  const list = values.map((value, index) => `${value} as c${index}`)
  if (list.length === 0) list.push('null as c0')
  return { pass: async (take) => take(`(select ${list.join(', ')} from (${rows}) as r)`) }
}

export interface CopiedRows {
  readonly table: string
  readonly tempFolder: string
  readonly expectedRows?: number | undefined
  /** What each column is carried as in the lake: floats have several texts. */
  readonly carried: readonly string[]
  /** Sends all rows as PostgreSQL writes them, in any order; or at least those of some ranges. */
  copy(sink: RowSink, format: RowFormat, ranges?: readonly number[]): Promise<void>
}

type RowFormat = 'csv' | 'lines'

const PROGRESS_ROWS = 20_000
/** Small, as the last one is looked at when the server has nothing more to do. */
const GROUP_BYTES = 32 << 20

/** Rows on their way out of a server, taken in groups while the next arrive: memory and disk stay the same. */
export function copiedSide(rows: CopiedRows, format: RowFormat, context: Context): Side {
  const { table, tempFolder, carried, copy } = rows
  const names = columnNames(Math.max(1, carried.length))
  const relationOf = (files: readonly string[], longestRow: number): string => {
    if (format === 'lines') return readLines(files, longestRow)
    const csv = readCsv(files, { names, header: false, longestRow, compressed: false })
    if (!carried.some(isFloat)) return csv
    const list = names.map((name, index) => `${oneText(name, carried[index] ?? '')} as ${name}`)
    return `(select ${list.join(', ')} from ${csv})`
  }
  return {
    pass: async (take, ranges) => {
      const writer = openPieceWriter(tempFolder, randomUUID(), {
        take: async (group) => take(relationOf(await group.files(), group.longestRow)),
        digest: false,
        groupBytes: GROUP_BYTES,
      })
      const { expectedRows } = rows
      let told = 0
      const tell = (): void => {
        if (writer.rows - told < PROGRESS_ROWS) return
        told = writer.rows
        context.emit({
          type: 'table.progress',
          stage: 'verify',
          table,
          rows: writer.rows,
          bytes: writer.bytes,
          ...(expectedRows === undefined ? {} : { expectedRows }),
        })
      }
      try {
        const sink = {
          row: (one: Buffer) => {
            writer.row(one)
            tell()
          },
          many: (some: CsvRows) => {
            writer.many(some)
            tell()
          },
          ready: () => writer.ready(),
        }
        await copy(sink, format, ranges)
        const rest = await writer.finish()
        if (rest.rows > 0) await take(relationOf(await rest.files(), rest.longestRow))
      } finally {
        await writer.discard()
      }
    },
  }
}

/** A float as DuckDB prints it, whoever printed it before; any other text as it is. */
function oneText(text: string, carried: string): string {
  if (!isFloat(carried)) return text
  return `coalesce(${toText(`try_cast(${text} as ${carried})`, carried)}, ${text})`
}
