/**
 * PostgreSQL's CSV as a DuckDB relation: every column read as text and cast in SQL, so that nothing
 * is guessed and a value that DuckDB would change is refused instead.
 */
import { quoteName, quoteText } from './sql.ts'
import { fromText, isUncarried } from './text.ts'

export interface CsvColumn {
  readonly name: string
  /** The DuckDB type to cast to; `VARCHAR` keeps the text. */
  readonly carried: string
}

/** DuckDB refuses longer rows unless told. */
const DEFAULT_MAX_ROW = 2_000_000

/** A `select` over the piece files, with the columns cast. A value that cannot be cast raises. */
export function csvRelation(
  files: readonly string[],
  columns: readonly CsvColumn[],
  longestRow: number,
): string {
  const casts = columns.map(
    (column, index) => `${fromText(`c${index}`, column.carried)} as ${quoteName(column.name)}`,
  )
  return `select ${casts.join(', ')} from ${readPieces(files, columns.length, longestRow)}`
}

/** A `select` of one row: per column, how many values cannot be carried. Values themselves are not shown. */
export function uncarriedCounts(
  files: readonly string[],
  columns: readonly CsvColumn[],
  longestRow: number,
): string {
  const counts = columns.map(
    (column, index) =>
      `count(*) filter (where c${index} is not null and ${isUncarried(`c${index}`, column.carried)}) as ${quoteName(column.name)}`,
  )
  return `select ${counts.join(', ')} from ${readPieces(files, columns.length, longestRow)}`
}

/** A `read_csv` over files of PostgreSQL's dialect, all columns as text. */
export function readCsv(
  files: readonly string[],
  options: {
    readonly names: readonly string[]
    readonly header: boolean
    readonly longestRow: number
    readonly compressed: boolean
  },
): string {
  const { names, header, longestRow, compressed } = options
  // No dialect is guessed: PostgreSQL's is known, and guessing takes CRLF inside text for a line end.
  const settings = [
    `[${files.map(quoteText).join(', ')}]`,
    'auto_detect = false',
    // Looking for row ends in the middle of a file, DuckDB takes lines inside quoted text for rows:
    // it is the files that are read side by side.
    'parallel = false',
    // A folder named like a column (`c0=…`) above the file would replace that column's values.
    'hive_partitioning = false',
    `header = ${header}`,
    `delim = ','`,
    `quote = '"'`,
    `escape = '"'`,
    `new_line = '\\n'`,
    `nullstr = ''`,
    'allow_quoted_nulls = false',
    `columns = {${names.map((name) => `${quoteText(name)}: 'VARCHAR'`).join(', ')}}`,
    ...(compressed ? [`compression = 'gzip'`] : []),
    // Left to itself, DuckDB would set aside sixteen times the longest row.
    ...(longestRow > DEFAULT_MAX_ROW
      ? [`max_line_size = ${longestRow + 1}`, `buffer_size = ${2 * longestRow + 2}`]
      : []),
  ]
  return `read_csv(${settings.join(', ')})`
}

function readPieces(files: readonly string[], width: number, longestRow: number): string {
  const names = Array.from({ length: width }, (_, index) => `c${index}`)
  return readCsv(files, { names, header: false, longestRow, compressed: false })
}
