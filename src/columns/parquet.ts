/** Parquet files of the lake: written with field ids, so that a renamed column stays the same column. */
import {
  BATCH_COLUMN,
  BATCH_FIELD_ID,
  OP_COLUMN,
  OP_FIELD_ID,
  quoteName,
  quoteText,
} from './sql.ts'

export interface FileColumn {
  readonly id: number
  readonly name: string
  readonly carried: string
}

/** `copy (…) to '…'` of a relation that has `_tote_op` and the columns; rows sorted by `key`. */
export function writeParquet(options: {
  readonly relation: string
  readonly columns: readonly FileColumn[]
  readonly key: readonly string[]
  readonly batch: number
  readonly path: string
}): string {
  const { relation, columns, key, batch, path } = options
  const names = columns.map((column) => quoteName(column.name)).join(', ')
  const ids = [
    `${quoteName(OP_COLUMN)}: ${OP_FIELD_ID}`,
    `${quoteName(BATCH_COLUMN)}: ${BATCH_FIELD_ID}`,
    ...columns.map((column) => `${quoteName(column.name)}: ${column.id}`),
  ].join(', ')
  return (
    `copy (select ${quoteName(OP_COLUMN)}, ${batch}::bigint as ${quoteName(BATCH_COLUMN)}, ${names} from ${relation}` +
    ` order by ${key.map(quoteName).join(', ')}) to ${quoteText(path)}` +
    ` (format parquet, compression zstd, field_ids {${ids}})`
  )
}

/** A relation over files that hold the same columns; `none` yields no row but the right columns. */
export function readParquet(paths: readonly string[], columns: readonly FileColumn[]): string {
  if (paths.length === 0) {
    const nulls = columns
      .map((column) => `null::${column.carried} as ${quoteName(column.name)}`)
      .join(', ')
    return `(select null::varchar as ${quoteName(OP_COLUMN)}, null::bigint as ${quoteName(BATCH_COLUMN)}, ${nulls} where false)`
  }
  // A folder named like a column (`env=prod`) above the lake would replace that column's values.
  return `read_parquet([${paths.map(quoteText).join(', ')}], hive_partitioning = false)`
}
