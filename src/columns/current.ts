/**
 * A versioned table's rows as SQL over its files: what is current, without sorting the whole history.
 */
import type { FileColumn, WrittenFile } from './file.ts'
import { readFiles } from './files.ts'
import { BATCH_COLUMN, isFloat, OP_COLUMN, quoteName, quoteNames, sortNames } from './sql.ts'

export interface VersionedFiles {
  readonly columns: readonly FileColumn[]
  readonly key: readonly string[]
  /** Files in which every key stands once, as an upsert: a base, or the first batch. */
  readonly bulk: readonly WrittenFile[]
  /** Change files after those. */
  readonly since: readonly WrittenFile[]
}

/** Some rows of a versioned table: those whose key columns hold what a relation's columns hold. */
export interface Among {
  /** SQL, to stand after `from`. */
  readonly relation: string
  /** Each column of the relation, and the column of the table's key that must equal it. */
  readonly on: readonly { readonly column: string; readonly as: string }[]
}

/** A `select` of the current rows: the newest change of each key, else its row in the bulk. */
export function currentRows(
  { columns, key, bulk, since }: VersionedFiles,
  among: Among | null = null,
): string {
  const names = quoteNames(columns.map((column) => column.name))
  const op = quoteName(OP_COLUMN)
  const [where, and] =
    among === null ? ['', ''] : [` where ${isAmong(among)}`, ` and ${isAmong(among)}`]
  if (since.length === 0) return `select ${names} from ${readFiles(bulk, columns)}${where}`
  const newest =
    `select * from ${readFiles(since, columns)}${where}` + ` qualify ${isNewest(columns, key)}`
  const same = key.map((name) => `s.${quoteName(name)} = b.${quoteName(name)}`).join(' and ')
  return (
    `with since as materialized (${newest}) ` +
    `select ${names} from ${readFiles(bulk, columns)} b where not exists (select 1 from since s where ${same})${and} ` +
    `union all select ${names} from since where ${op} = 'u'`
  )
}

/** A condition: the row's key is in the relation. */
export function isAmong({ relation, on }: Among): string {
  const held = on.map(({ as }) => quoteName(as)).join(', ')
  return `(${held}) in (select ${quoteNames(on.map(({ column }) => column))} from ${relation})`
}

/** A `select` of the newest change of each key in files: `_tote_op`, then the columns. In those of one batch a key stands once. */
export function newestChanges(
  columns: readonly FileColumn[],
  key: readonly string[],
  files: readonly WrittenFile[],
  isOneBatch: boolean,
): string {
  const changes = `select ${quoteNames([OP_COLUMN, ...columns.map((column) => column.name)])} from ${readFiles(files, columns)}`
  return isOneBatch ? changes : `${changes} qualify ${isNewest(columns, key)}`
}

/** A condition: no later batch has a change of the row's key. */
function isNewest(columns: readonly FileColumn[], key: readonly string[]): string {
  const [batch, partition] = [quoteName(BATCH_COLUMN), `partition by ${sortNames(key, columns)}`]
  // The faster one becomes `arg_max`, which gives floats back without the sign of their zeros.
  return columns.some(({ carried }) => isFloat(carried))
    ? `${batch} = max(${batch}) over (${partition})`
    : `row_number() over (${partition} order by ${batch} desc) = 1`
}

/** A `select` of the changes in files: `_tote_op`, `_tote_batch`, then the columns. */
export function changedRows(columns: readonly FileColumn[], files: readonly WrittenFile[]): string {
  return `select ${quoteName(OP_COLUMN)}, ${quoteName(BATCH_COLUMN)}, ${quoteNames(columns.map((column) => column.name))} from ${readFiles(files, columns)}`
}
