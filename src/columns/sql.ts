/** DuckDB's quoting, and the columns that Tote adds to every file of the lake. */

/** `'u'` for an upsert, `'d'` for a delete. */
export const OP_COLUMN = '_tote_op'
/** The batch that wrote the row. */
export const BATCH_COLUMN = '_tote_batch'

/** The key of a table that has none: what the whole row is, and which of its equals (csv.ts). */
export const ROW_COLUMN = '_tote_row'

/** Parquet field ids of our own columns: far above any column's, below Iceberg's reserved ones. */
export const OP_FIELD_ID = 2_000_000_000
export const BATCH_FIELD_ID = 2_000_000_001

/** A double-quoted DuckDB identifier. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A DuckDB text literal. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

export function quoteNames(names: readonly string[], prefix = ''): string {
  return names.map((name) => `${prefix}${quoteName(name)}`).join(', ')
}

/** The batch of every row, or, of rows of several batches, each row's own. */
export function batchOf(batch: number | null): string {
  const value = batch === null ? '' : `${batch}::bigint as `
  return `${value}${quoteName(BATCH_COLUMN)}`
}

/** What to sort or partition by for the order of `key`. */
export function sortNames(
  key: readonly string[],
  columns: readonly { readonly name: string; readonly carried: string }[],
  prefix = '',
): string {
  const floats = new Set(columns.filter(({ carried }) => isFloat(carried)).map(({ name }) => name))
  // A float that DuckDB sorted by comes back without the sign of its zero.
  return key
    .map((name) => `${prefix}${quoteName(name)}${floats.has(name) ? ' + 0' : ''}`)
    .join(', ')
}

export function isFloat(carried: string): boolean {
  return carried === 'DOUBLE' || carried === 'FLOAT'
}
