/**
 * CSV and JSON Lines files of the lake, gzipped: every value is the text that PostgreSQL prints, and
 * what it is a value of the manifest says. NULL is nothing at all in CSV (an empty text is `""`), and
 * `null` in JSON.
 */
import { readCsv } from './csv.ts'
import type { FileToWrite } from './file.ts'
import { BATCH_COLUMN, batchOf, OP_COLUMN, quoteName, quoteText, sortNames } from './sql.ts'
import { fromText, toText } from './text.ts'

export type TextFormat = 'csv' | 'json'

/** What DuckDB's reader of JSON takes for the longest row, unless told. */
const LONGEST_JSON = 16_777_216

/** `copy (…) to '…'`, as writeParquet does it. */
export function writeText(format: TextFormat, file: FileToWrite): string {
  const { relation, columns, key, batch, path } = file
  const values = columns.map(
    ({ name, carried }) => `${toText(`r.${quoteName(name)}`, carried)} as ${quoteName(name)}`,
  )
  // Without quotes an empty text would be NULL. Only these can be empty, or hold a comma.
  const texts = columns.filter(({ carried }) => carried === 'VARCHAR').map(({ name }) => name)
  // As literals: an option's identifiers are evaluated, and "user" is a function.
  const quoted = texts.length === 0 ? '' : `, force_quote (${texts.map(quoteText).join(', ')})`
  const dialect = format === 'csv' ? `format csv, header true, nullstr ''${quoted}` : 'format json'
  const order = key.length === 0 ? '' : ` order by ${sortNames(key, columns, 'r.')}`
  return (
    `copy (select r.${quoteName(OP_COLUMN)}, ${batchOf(batch)}, ${values.join(', ')}` +
    ` from (select * from ${relation}) as r${order}) to ${quoteText(path)} (${dialect}, compression gzip)`
  )
}

/** A `select` of the bytes that the longest row will take at most, as `longest`. */
export function longestRow(
  format: TextFormat,
  { relation, columns }: Pick<FileToWrite, 'relation' | 'columns'>,
): string {
  let fixed = 100
  const lengths = columns.flatMap(({ name, carried }) => {
    const column = `r.${quoteName(name)}`
    fixed += format === 'csv' ? 3 : Buffer.byteLength(JSON.stringify(name)) + 8
    if (carried === 'BLOB') {
      fixed += 2
      return `2 * octet_length(${column})`
    }
    if (carried !== 'VARCHAR') {
      fixed += 60
      return []
    }
    // A character of JSON may be written as \u0001.
    return format === 'csv' ? `strlen(replace(${column}, '"', '""'))` : `6 * strlen(${column})`
  })
  // A list, because a sum of a thousand columns is an expression too deep for DuckDB; it passes over nulls.
  const sum = lengths.length === 0 ? '0' : `coalesce(list_sum([${lengths.join(', ')}]), 0)`
  return `select coalesce(max(${fixed} + ${sum}), 0) as longest from (select * from ${relation}) as r`
}

/** A column that is asked for, and what files have of it. */
export interface AskedColumn {
  readonly name: string
  readonly carried: string
  /** The type of which the files hold the text. */
  readonly as: string
  /** Its name in the files; null where they lack it. */
  readonly from: string | null
}

/** A relation over such files, all with the columns `order`. */
export function readText(
  format: TextFormat,
  paths: readonly string[],
  {
    asked,
    order,
    longest,
  }: {
    readonly asked: readonly AskedColumn[]
    readonly order: readonly string[]
    readonly longest: number
  },
): string {
  const names = [OP_COLUMN, BATCH_COLUMN, ...order]
  const files = `[${paths.map(quoteText).join(', ')}]`
  const relation =
    format === 'csv'
      ? readCsv(paths, { names, header: true, longestRow: longest, compressed: true })
      : `read_json(${files}, format = 'newline_delimited', auto_detect = false, hive_partitioning = false, compression = 'gzip', columns = {${names.map((name) => `${quoteText(name)}: 'VARCHAR'`).join(', ')}}${longest > LONGEST_JSON ? `, maximum_object_size = ${longest}` : ''})`
  const values = asked.map(({ name, carried, as, from }) => {
    if (from === null) return `null::${carried} as ${quoteName(name)}`
    // A text is a value of any type that can hold it, but a float of 32 bits is no decimal number.
    const value =
      as === 'FLOAT' && carried === 'DOUBLE'
        ? `cast(${fromText(quoteName(from), as)} as ${carried})`
        : fromText(quoteName(from), carried)
    return `${value} as ${quoteName(name)}`
  })
  return `(select ${quoteName(OP_COLUMN)}, cast(${quoteName(BATCH_COLUMN)} as bigint) as ${quoteName(BATCH_COLUMN)}, ${values.join(', ')} from ${relation})`
}
