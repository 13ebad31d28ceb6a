/**
 * A versioned table's rows as SQL over its files: what is current, without sorting the whole history.
 */
import type { FileColumn, WrittenFile } from './file.ts'
import { readFiles } from './files.ts'
import { BATCH_COLUMN, OP_COLUMN, quoteName, quoteNames } from './sql.ts'

export interface VersionedFiles {
  readonly columns: readonly FileColumn[]
  readonly key: readonly string[]
  /** Files in which every key stands once, as an upsert: a base, or the first batch. */
  readonly bulk: readonly WrittenFile[]
  /** Change files after those. */
  readonly since: readonly WrittenFile[]
}

/** A `select` of the current rows: the newest change of each key, else its row in the bulk. */
export function currentRows({ columns, key, bulk, since }: VersionedFiles): string {
  const names = quoteNames(columns.map((column) => column.name))
  const op = quoteName(OP_COLUMN)
  if (since.length === 0) return `select ${names} from ${readFiles(bulk, columns)}`
  const newest =
    `select * from ${readFiles(since, columns)}` +
    ` qualify row_number() over (partition by ${quoteNames(key)} order by ${quoteName(BATCH_COLUMN)} desc) = 1`
  const same = key.map((name) => `s.${quoteName(name)} = b.${quoteName(name)}`).join(' and ')
  return (
    `with since as materialized (${newest}) ` +
    `select ${names} from ${readFiles(bulk, columns)} b where not exists (select 1 from since s where ${same}) ` +
    `union all select ${names} from since where ${op} = 'u'`
  )
}

/** A `select` of the changes in files: `_tote_op`, `_tote_batch`, then the columns. */
export function changedRows(columns: readonly FileColumn[], files: readonly WrittenFile[]): string {
  return `select ${quoteName(OP_COLUMN)}, ${quoteName(BATCH_COLUMN)}, ${quoteNames(columns.map((column) => column.name))} from ${readFiles(files, columns)}`
}
