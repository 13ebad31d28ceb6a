/**
 * PostgreSQL's CSV as a DuckDB relation: every column read as text and cast in SQL, so that nothing
 * is guessed and a value that DuckDB would change is refused instead.
 */
import { quoteName, quoteText, ROW_COLUMN } from './sql.ts'
import { fromText, isUncarried } from './text.ts'

export interface CsvColumn {
  readonly name: string
  /** The DuckDB type to cast to; `VARCHAR` keeps the text. */
  readonly carried: string
}

/** DuckDB refuses longer rows unless told. */
const DEFAULT_MAX_ROW = 2_000_000

/**
 * A `select` over the piece files, with the columns cast. A value that cannot be cast raises.
 * ROW_COLUMN is not in the files: it is computed from all that are, as their text. Equal rows are
 * numbered, so that each is one row of the result and a difference of two tables finds how many more
 * or fewer of them there are. (Rows that differ and have one sha256 would be numbered together: no
 * row would be lost, and whole columns still decide what changed.)
 */
export function csvRelation(
  files: readonly string[],
  columns: readonly CsvColumn[],
  longestRow: number,
): string {
  const read = columnsInFiles(columns)
  const casts = columns.map((column) => {
    const index = read.indexOf(column)
    const value = index === -1 ? ROW_NUMBERED : fromText(`c${index}`, column.carried)
    return `${value} as ${quoteName(column.name)}`
  })
  const rows = readPieces(files, read.length, longestRow)
  const from =
    read.length === columns.length
      ? rows
      : `(select *, ${rowDigest(read.length)} as digest from ${rows})`
  return `select ${casts.join(', ')} from ${from}`
}

const ROW_NUMBERED = `digest || '-' || row_number() over (partition by digest)`

/** sha256 over all columns: the length of a text and the text, or `n` for NULL, so that no two rows read alike. */
function rowDigest(width: number): string {
  const parts = Array.from({ length: width }, (_, index) => {
    const text = `c${index}`
    return `coalesce(strlen(${text}) || ':' || ${text}, 'n')`
  })
  return width === 0 ? `sha256('')` : `sha256(concat(${parts.join(', ')}))`
}

function columnsInFiles(columns: readonly CsvColumn[]): CsvColumn[] {
  return columns.filter(({ name }) => name !== ROW_COLUMN)
}

/** A `select` of one row: per column, how many values cannot be carried. Values themselves are not shown. */
export function uncarriedCounts(
  files: readonly string[],
  columns: readonly CsvColumn[],
  longestRow: number,
): string {
  const read = columnsInFiles(columns)
  const counts = read.map(
    (column, index) =>
      `count(*) filter (where c${index} is not null and ${isUncarried(`c${index}`, column.carried)}) as ${quoteName(column.name)}`,
  )
  if (counts.length === 0) counts.push('count(*)')
  return `select ${counts.join(', ')} from ${readPieces(files, read.length, longestRow)}`
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
  return readText(files, longestRow, [
    // Looking for row ends in the middle of a file, DuckDB takes lines inside quoted text for rows:
    // it is the files that are read side by side.
    'parallel = false',
    `header = ${header}`,
    `delim = ','`,
    `quote = '"'`,
    `escape = '"'`,
    `nullstr = ''`,
    'allow_quoted_nulls = false',
    `columns = {${names.map((name) => `${quoteText(name)}: 'VARCHAR'`).join(', ')}}`,
    ...(compressed ? [`compression = 'gzip'`] : []),
  ])
}

/** Of these, PostgreSQL's text format has none as they are. */
const [BACKSPACE, VERTICAL_TAB] = ['\b', '\v']

/** A `read_csv` of files of PostgreSQL's text format whose rows are never empty: each line whole, as `c0` (text.ts). */
export function readLines(files: readonly string[], longestRow: number): string {
  return readText(files, longestRow, [
    'header = false',
    `delim = '${BACKSPACE}'`,
    `quote = ''`,
    `escape = ''`,
    `nullstr = '${VERTICAL_TAB}'`,
    `columns = {'c0': 'VARCHAR'}`,
  ])
}

function readText(
  files: readonly string[],
  longestRow: number,
  dialect: readonly string[],
): string {
  // No dialect is guessed: PostgreSQL's is known, and guessing takes CRLF inside text for a line end.
  const settings = [
    `[${files.map(quoteText).join(', ')}]`,
    'auto_detect = false',
    // A folder named like a column (`c0=…`) above the file would replace that column's values.
    'hive_partitioning = false',
    `new_line = '\\n'`,
    ...dialect,
    // Left to itself, DuckDB would set aside sixteen times the longest row. With a buffer that two of them
    // do not fit into it loses rows without a word.
    ...(longestRow > DEFAULT_MAX_ROW
      ? [`max_line_size = ${longestRow + 1}`, `buffer_size = ${2 * longestRow + 2}`]
      : []),
  ]
  return `read_csv(${settings.join(', ')})`
}

function readPieces(files: readonly string[], width: number, longestRow: number): string {
  // A row without columns is an empty line, just as one that is a single NULL.
  const names = Array.from({ length: Math.max(1, width) }, (_, index) => `c${index}`)
  return readCsv(files, { names, header: false, longestRow, compressed: false })
}
