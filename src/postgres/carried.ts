/**
 * How a PostgreSQL type travels through files: as the DuckDB type that holds every value of it
 * exactly, or else as the text that PostgreSQL prints.
 */

/** DuckDB's widest DECIMAL. */
const MAX_PRECISION = 38

const EXACT: Readonly<Record<string, string>> = {
  smallint: 'SMALLINT',
  integer: 'INTEGER',
  bigint: 'BIGINT',
  real: 'FLOAT',
  'double precision': 'DOUBLE',
  boolean: 'BOOLEAN',
  uuid: 'UUID',
  bytea: 'BLOB',
  date: 'DATE',
}

/** The DuckDB type for a type as `format_type` prints it. */
export function carriedType(type: string): string {
  const exact = EXACT[type]
  if (exact !== undefined) return exact
  if (/^time(\(\d\))? without time zone$/.test(type)) return 'TIME'
  if (/^timestamp(\(\d\))? without time zone$/.test(type)) return 'TIMESTAMP'
  if (/^timestamp(\(\d\))? with time zone$/.test(type)) return 'TIMESTAMP WITH TIME ZONE'
  const numeric = /^numeric\((\d+),(\d+)\)$/.exec(type)
  if (numeric !== null) {
    const [precision, scale] = [Number(numeric[1]), Number(numeric[2])]
    if (precision <= MAX_PRECISION && scale <= precision) return `DECIMAL(${precision},${scale})`
  }
  return 'VARCHAR'
}
