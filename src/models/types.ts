/**
 * What a model's column becomes: the DuckDB type that files carry it in, and the PostgreSQL type of
 * the warehouse. The table is printed in docs/models.md; a type that is not in it must be cast.
 */
import { parseDecimal } from '../vectors/copy-types.ts'

export interface MappedType {
  /** Parquet keeps it exactly; a query is cast to it (HUGEINT would be written as DOUBLE). */
  readonly carried: string
  /** PostgreSQL's type, as `format_type` prints it. */
  readonly type: string
}

export const TYPES: Readonly<Record<string, MappedType>> = {
  BOOLEAN: { carried: 'BOOLEAN', type: 'boolean' },
  TINYINT: { carried: 'SMALLINT', type: 'smallint' },
  UTINYINT: { carried: 'SMALLINT', type: 'smallint' },
  SMALLINT: { carried: 'SMALLINT', type: 'smallint' },
  USMALLINT: { carried: 'INTEGER', type: 'integer' },
  INTEGER: { carried: 'INTEGER', type: 'integer' },
  UINTEGER: { carried: 'BIGINT', type: 'bigint' },
  BIGINT: { carried: 'BIGINT', type: 'bigint' },
  UBIGINT: { carried: 'DECIMAL(20,0)', type: 'numeric(20,0)' },
  HUGEINT: { carried: 'DECIMAL(38,0)', type: 'numeric(38,0)' },
  FLOAT: { carried: 'FLOAT', type: 'real' },
  DOUBLE: { carried: 'DOUBLE', type: 'double precision' },
  VARCHAR: { carried: 'VARCHAR', type: 'text' },
  JSON: { carried: 'VARCHAR', type: 'json' },
  DATE: { carried: 'DATE', type: 'date' },
  TIME: { carried: 'TIME', type: 'time without time zone' },
  TIMESTAMP: { carried: 'TIMESTAMP', type: 'timestamp without time zone' },
  TIMESTAMP_S: { carried: 'TIMESTAMP', type: 'timestamp without time zone' },
  TIMESTAMP_MS: { carried: 'TIMESTAMP', type: 'timestamp without time zone' },
  'TIMESTAMP WITH TIME ZONE': {
    carried: 'TIMESTAMP WITH TIME ZONE',
    type: 'timestamp with time zone',
  },
  UUID: { carried: 'UUID', type: 'uuid' },
  BLOB: { carried: 'BLOB', type: 'bytea' },
}

/** What a DuckDB type, as `describe` prints it, becomes by itself; undefined when it must be cast. */
export function mapDuckdbType(duckdbType: string): MappedType | undefined {
  const decimal = parseDecimal(duckdbType)
  if (decimal !== undefined) {
    const size = `(${decimal.precision},${decimal.scale})`
    return { carried: `DECIMAL${size}`, type: `numeric${size}` }
  }
  if (duckdbType.startsWith('ENUM(') && !duckdbType.endsWith(']')) return TYPES['VARCHAR']
  return TYPES[duckdbType]
}

const ALIASES: Readonly<Record<string, string>> = {
  int: 'integer',
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  bool: 'boolean',
  decimal: 'numeric',
  float: 'double precision',
  float4: 'real',
  float8: 'double precision',
  varchar: 'character varying',
  char: 'character',
  varbit: 'bit varying',
}

/** Types without modifiers. */
const PLAIN = [
  'smallint',
  'integer',
  'bigint',
  'real',
  'double precision',
  'boolean',
  'text',
  'date',
  'uuid',
  'bytea',
  'json',
  'jsonb',
  'xml',
  'money',
  'inet',
  'cidr',
  'macaddr',
  'macaddr8',
  'interval',
  'oid',
  'tsvector',
]
/** Types that may say a length. */
const SIZED = ['character varying', 'character', 'bit', 'bit varying']

/** The names that a header may use, for a suggestion. */
export const TYPE_NAMES: readonly string[] = [
  ...PLAIN,
  ...SIZED,
  ...Object.keys(ALIASES),
  'numeric',
  'time',
  'timestamp',
  'timestamptz',
  'timetz',
]

/** A PostgreSQL type as people write it (`varchar(3)`, `timestamptz`) as `format_type` prints it; undefined when unknown. */
export function canonicalPostgresType(written: string): string | undefined {
  const text = written
    .trim()
    .toLowerCase()
    .replace(/\s+/g, ' ')
    .replace(/ ?([(),[\]]) ?/g, '$1')
  const array = /(\[\])+$/.exec(text)
  if (array !== null) {
    const element = canonicalPostgresType(text.slice(0, array.index))
    return element === undefined ? undefined : `${element}[]`
  }
  const parts = /^([a-z0-9 ]+?)(?:\((\d+)(?:,(\d+))?\))?( ?with(?:out)? time zone)?$/.exec(text)
  if (parts === null) return undefined
  const [, name = '', size, scale, zone] = parts
  const moment = /^(time|timestamp)(tz)?$/.exec(name)
  if (moment !== null) {
    if (scale !== undefined || (moment[2] !== undefined && zone !== undefined)) return undefined
    const precision = size === undefined || Number(size) > 5 ? '' : `(${size})`
    const withZone = moment[2] !== undefined || zone?.trim() === 'with time zone'
    return `${moment[1]}${precision} ${withZone ? 'with' : 'without'} time zone`
  }
  const base = ALIASES[name] ?? name
  if (zone !== undefined) return undefined
  if (base === 'numeric') return size === undefined ? 'numeric' : `numeric(${size},${scale ?? '0'})`
  if (scale !== undefined) return undefined
  if (SIZED.includes(base)) {
    if (size !== undefined) return `${base}(${size})`
    return base === 'character' || base === 'bit' ? `${base}(1)` : base
  }
  return size === undefined && PLAIN.includes(base) ? base : undefined
}
