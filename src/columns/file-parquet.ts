/** Parquet files of the lake: written with field ids, so that a renamed column stays the same column. */
import type { FileToWrite } from './file.ts'
import {
  BATCH_COLUMN,
  BATCH_FIELD_ID,
  batchOf,
  isFloat,
  OP_COLUMN,
  OP_FIELD_ID,
  quoteName,
  quoteNames,
  quoteText,
  sortNames,
} from './sql.ts'

/** `copy (…) to '…'` of a relation that has `_tote_op` and the columns; rows sorted by `key`, in any order without one. */
export function writeParquet(file: FileToWrite): string {
  const { relation, columns, key, batch, keepsOrder = false, path } = file
  const names = quoteNames(columns.map((column) => column.name))
  const ids = [
    `${quoteName(OP_COLUMN)}: ${OP_FIELD_ID}`,
    `${quoteName(BATCH_COLUMN)}: ${BATCH_FIELD_ID}`,
    ...columns.map((column) => `${quoteName(column.name)}: ${column.id}`),
  ].join(', ')
  const order = key.length === 0 || keepsOrder ? '' : ` order by ${sortNames(key, columns)}`
  const options = [
    'format parquet, compression zstd, compression_level 1',
    ...(keepsOrder ? ['preserve_order true'] : []),
    // A dictionary of values would hold 0 and -0 as one.
    ...(columns.some(({ carried }) => isFloat(carried)) ? ['dictionary_size_limit 0'] : []),
    `field_ids {${ids}}`,
  ]
  return (
    `copy (select ${quoteName(OP_COLUMN)}, ${batchOf(batch)}, ${names} from ${relation}` +
    `${order}) to ${quoteText(path)} (${options.join(', ')})`
  )
}

/** A relation over files that hold the same columns, of the types in which they were written. */
export function readParquet(paths: readonly string[]): string {
  // A folder named like a column (`env=prod`) above the lake would replace that column's values.
  return `read_parquet([${paths.map(quoteText).join(', ')}], hive_partitioning = false)`
}

/** The same over one file, with a further column: each row's place in the file, from 0. */
export function readParquetInOrder(path: string, place: string): string {
  const relation = `read_parquet(${quoteText(path)}, hive_partitioning = false, file_row_number = true)`
  return `(select * exclude (file_row_number), file_row_number as ${quoteName(place)} from ${relation})`
}
