/**
 * PostgreSQL's CSV as a DuckDB relation: every column read as text and cast in SQL, so that nothing
 * is guessed and a value that DuckDB would change is refused instead.
 */
import { quoteName, quoteText } from './sql.ts'

export interface CsvColumn {
  readonly name: string
  /** The DuckDB type to cast to; `VARCHAR` keeps the text. */
  readonly carried: string
}

/** DuckDB refuses longer rows unless told, and then sets aside sixteen times as much memory. */
const DEFAULT_MAX_ROW = 2_000_000

/** A `select` over the piece files, with the columns cast. A value that cannot be cast raises. */
export function csvRelation(
  files: readonly string[],
  columns: readonly CsvColumn[],
  longestRow: number,
): string {
  const casts = columns.map(
    (column, index) => `${castText(`c${index}`, column.carried)} as ${quoteName(column.name)}`,
  )
  return `select ${casts.join(', ')} from ${readCsv(files, columns.length, longestRow)}`
}

/** A `select` of one row: per column, how many values cannot be carried. Values themselves are not shown. */
export function uncarriedCounts(
  files: readonly string[],
  columns: readonly CsvColumn[],
  longestRow: number,
): string {
  const counts = columns.map(
    (column, index) =>
      `count(*) filter (where c${index} is not null and ${tryCast(`c${index}`, column.carried)}) as ${quoteName(column.name)}`,
  )
  return `select ${counts.join(', ')} from ${readCsv(files, columns.length, longestRow)}`
}

function readCsv(files: readonly string[], width: number, longestRow: number): string {
  // No dialect is guessed: PostgreSQL's is known, and guessing takes CRLF inside text for a line end.
  const options = [
    `[${files.map(quoteText).join(', ')}]`,
    'auto_detect = false',
    // Looking for row ends in the middle of a file, DuckDB takes lines inside quoted text for rows:
    // it is the files that are read side by side.
    'parallel = false',
    // A folder named like a column (`c0=…`) above the file would replace that column's values.
    'hive_partitioning = false',
    'header = false',
    `delim = ','`,
    `quote = '"'`,
    `escape = '"'`,
    `new_line = '\\n'`,
    `nullstr = ''`,
    'allow_quoted_nulls = false',
    `columns = {${Array.from({ length: width }, (_, index) => `'c${index}': 'VARCHAR'`).join(', ')}}`,
    ...(longestRow > DEFAULT_MAX_ROW ? [`max_line_size = ${longestRow + 1}`] : []),
  ]
  return `read_csv(${options.join(', ')})`
}

function castText(column: string, carried: string): string {
  if (carried === 'VARCHAR') return column
  if (carried === 'BLOB') return `from_hex(substr(${column}, 3))`
  // DuckDB reads '0044-03-15 BC' as a date of our era, silently.
  if (carried === 'DATE')
    return `case when ${column} like '%BC' then error('BC') else cast(${column} as DATE) end`
  return `cast(${column} as ${carried})`
}

function tryCast(column: string, carried: string): string {
  if (carried === 'VARCHAR' || carried === 'BLOB') return 'false'
  const failed = `try_cast(${column} as ${carried}) is null`
  return carried === 'DATE' ? `(${column} like '%BC' or ${failed})` : failed
}
