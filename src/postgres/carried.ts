/**
 * How a PostgreSQL type travels through files: as the DuckDB type that holds every value of it
 * exactly, or else as the text that PostgreSQL prints. And which type holds every value of another, each
 * as PostgreSQL's own cast makes it, so that older values can be read as it. By the names that `format_type`
 * prints. Pure.
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

/** A column's type, and the built-in type that holds the same values, where it is none itself. */
export interface TypeOf {
  readonly type: string
  readonly builtin?: string | undefined
}

/** Whether `now` holds every value of `before`, without rounding, cutting or padding it. */
export function holdsAll(now: TypeOf, before: TypeOf): boolean {
  if (now.type === before.type && !isOtherBase(now, before)) return true
  return holds(now.builtin ?? now.type, before.builtin ?? before.type)
}

/** Whether a type of one name is made of another one now: a domain that was dropped and made anew. */
export function isOtherBase(now: TypeOf, before: TypeOf): boolean {
  const known = now.builtin !== undefined && before.builtin !== undefined
  return now.type === before.type && known && now.builtin !== before.builtin
}

const INTEGERS = ['smallint', 'integer', 'bigint']
/** Digits that the integers need. */
const DIGITS: Readonly<Record<string, number>> = { smallint: 5, integer: 10, bigint: 19 }
/** Kinds of text that keep every character as it is. */
const TEXT = /^(text|character varying)(?:\((\d+)\))?$/
const SIZED = /^(character|bit varying)(?:\((\d+)\))?$/
const MOMENT = /^(time|timestamp)(?:\((\d)\))? (with|without) time zone$/

function holds(now: string, before: string): boolean {
  if (now === before) return true
  if (now.endsWith('[]') && before.endsWith('[]'))
    return holds(now.slice(0, -2), before.slice(0, -2))
  if (INTEGERS.includes(before)) {
    if (INTEGERS.includes(now)) return INTEGERS.indexOf(now) >= INTEGERS.indexOf(before)
    const wide = decimal(now)
    return wide !== undefined && wide.whole >= (DIGITS[before] ?? Infinity)
  }
  if (before === 'real') return now === 'double precision'
  const [narrow, wide] = [decimal(before), decimal(now)]
  if (narrow !== undefined)
    return wide !== undefined && wide.whole >= narrow.whole && wide.scale >= narrow.scale
  const [, textKind, textSize] = TEXT.exec(before) ?? []
  if (textKind !== undefined) {
    const [, kind, size] = TEXT.exec(now) ?? []
    return kind !== undefined && sizeOf(size) >= sizeOf(textSize)
  }
  const [, sizedKind, size] = SIZED.exec(before) ?? []
  if (sizedKind !== undefined) {
    const [, kind, wider] = SIZED.exec(now) ?? []
    return kind === sizedKind && sizeOf(wider) >= sizeOf(size)
  }
  const [, moment, digits, zone] = MOMENT.exec(before) ?? []
  if (moment !== undefined) {
    const [, other, more, otherZone] = MOMENT.exec(now) ?? []
    return other === moment && otherZone === zone && Number(more ?? 6) >= Number(digits ?? 6)
  }
  return false
}

/** Digits before and after the point; numeric without a size holds any. */
function decimal(type: string): { readonly whole: number; readonly scale: number } | undefined {
  if (type === 'numeric') return { whole: Infinity, scale: Infinity }
  const [, precision, scale] = /^numeric\((\d+),(-?\d+)\)$/.exec(type) ?? []
  if (precision === undefined) return undefined
  return { whole: Number(precision) - Number(scale), scale: Number(scale) }
}

function sizeOf(digits: string | undefined): number {
  return digits === undefined ? Infinity : Number(digits)
}
