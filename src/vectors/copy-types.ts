/**
 * Which PostgreSQL types a DuckDB type can be sent as in COPY BINARY, without a change to any value.
 */

/** `direct`: sent as that type. `cast`: sent as its natural type, then cast in SQL. `inexact`: a cast could change values. */
export type Transfer = 'direct' | 'cast' | 'inexact'

interface Family {
  /** What it is sent as when nothing else is asked for. */
  readonly natural: string
  /** The types it can be sent as. */
  readonly direct: RegExp
  /** Types that other families keep exactly and this one would not. */
  readonly inexact: RegExp
}

const NONE = /^(?!)/
const INTEGERS: Family = {
  natural: 'bigint',
  direct: /^(smallint|integer|bigint)$/,
  inexact: /^(real|double precision)$/,
}
const WIDE: Family = {
  natural: 'numeric',
  direct: /^numeric(\(\d+,\d+\))?$/,
  inexact: /^(real|double precision)$/,
}
const FLOATING = /^(numeric.*|smallint|integer|bigint)$/

const FAMILIES: Readonly<Record<string, Family>> = {
  BOOLEAN: { natural: 'boolean', direct: /^boolean$/, inexact: NONE },
  TINYINT: { ...INTEGERS, natural: 'smallint' },
  UTINYINT: { ...INTEGERS, natural: 'smallint' },
  SMALLINT: { ...INTEGERS, natural: 'smallint' },
  USMALLINT: { ...INTEGERS, natural: 'integer' },
  INTEGER: { ...INTEGERS, natural: 'integer' },
  UINTEGER: INTEGERS,
  BIGINT: INTEGERS,
  UBIGINT: WIDE,
  HUGEINT: WIDE,
  UHUGEINT: WIDE,
  FLOAT: { natural: 'real', direct: /^(real|double precision)$/, inexact: FLOATING },
  DOUBLE: {
    natural: 'double precision',
    direct: /^double precision$/,
    inexact: new RegExp(`${FLOATING.source}|^real$`),
  },
  DATE: { natural: 'date', direct: /^date$/, inexact: NONE },
  TIME: {
    natural: 'time without time zone',
    direct: /^time(\(\d\))? without time zone$/,
    inexact: NONE,
  },
  TIMESTAMP: {
    natural: 'timestamp without time zone',
    direct: /^timestamp(\(\d\))? without time zone$/,
    inexact: /^(date|time\b.*)$/,
  },
  'TIMESTAMP WITH TIME ZONE': {
    natural: 'timestamp with time zone',
    direct: /^timestamp(\(\d\))? with time zone$/,
    inexact: /^(date|time\b.*)$/,
  },
  UUID: { natural: 'uuid', direct: /^uuid$/, inexact: NONE },
  VARCHAR: {
    natural: 'text',
    direct: /^(text|json|character varying(\(\d+\))?|character\(\d+\))$/,
    inexact: NONE,
  },
  BLOB: { natural: 'bytea', direct: /^bytea$/, inexact: NONE },
}

const ALIASES: Readonly<Record<string, string>> = {
  TIMESTAMPTZ: 'TIMESTAMP WITH TIME ZONE',
  JSON: 'VARCHAR',
  TEXT: 'VARCHAR',
  STRING: 'VARCHAR',
}

export interface Decimal {
  readonly precision: number
  readonly scale: number
}

/** Precision and scale of `DECIMAL(p,s)`; undefined for any other type. */
export function parseDecimal(duckdbType: string): Decimal | undefined {
  const match = /^DECIMAL\((\d+),\s*(\d+)\)$/.exec(duckdbType)
  return match === null ? undefined : { precision: Number(match[1]), scale: Number(match[2]) }
}

/** One spelling for each type, as DuckDB names a vector's. */
export function canonicalDuckdbType(duckdbType: string): string {
  return ALIASES[duckdbType] ?? duckdbType
}

/** The PostgreSQL type that a DuckDB type is sent as by itself; undefined when it cannot be sent. */
export function naturalType(duckdbType: string): string | undefined {
  const decimal = parseDecimal(duckdbType)
  if (decimal !== undefined) return `numeric(${decimal.precision},${decimal.scale})`
  return FAMILIES[canonicalDuckdbType(duckdbType)]?.natural
}

/** How values of a DuckDB type become a PostgreSQL type, as `format_type` prints it; undefined when they cannot be sent at all. */
export function transferOf(duckdbType: string, postgresType: string): Transfer | undefined {
  const decimal = parseDecimal(duckdbType)
  if (decimal !== undefined) return decimalTransfer(decimal, postgresType)
  const family = FAMILIES[canonicalDuckdbType(duckdbType)]
  if (family === undefined) return undefined
  if (family.direct.test(postgresType)) return 'direct'
  return family.inexact.test(postgresType) ? 'inexact' : 'cast'
}

function decimalTransfer({ scale }: Decimal, postgresType: string): Transfer {
  const numeric = /^numeric(?:\(\d+,(-?\d+)\))?$/.exec(postgresType)
  if (numeric !== null)
    return numeric[1] === undefined || Number(numeric[1]) >= scale ? 'direct' : 'inexact'
  return /^(real|double precision|smallint|integer|bigint|money)$/.test(postgresType)
    ? 'inexact'
    : 'cast'
}
