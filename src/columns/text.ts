/**
 * Values as the text that PostgreSQL prints, and back: how they come out of COPY, lie in CSV and JSON
 * Lines, and are kept where DuckDB has no type that holds them all.
 */

/** DuckDB writes `(BC)` behind the year, PostgreSQL ` BC` at the end. */
const ERA = String.raw`'^([^ ]+)(.*) BC$', '\1 (BC)\2'`
const ERA_BACK = String.raw`'^([^ ]+) \(BC\)(.*)$', '\1\2 BC'`
const DATED = /^(DATE|TIMESTAMP)/
const DECIMAL = /^DECIMAL\((\d+),(\d+)\)$/
/** Digits of a decimal that DuckDB keeps in 64 bits. */
const NARROW = 18

/** The value of `carried` that a text says; raises for one that it cannot hold. */
export function fromText(column: string, carried: string): string {
  if (carried === 'VARCHAR') return column
  if (carried === 'BLOB') return `from_hex(substr(${column}, 3))`
  const whole = `cast(${dated(column, carried)} as ${carried})`
  const [, precision, scale] = DECIMAL.exec(carried) ?? []
  // DuckDB reads a decimal of 128 bits ten times slower than one of 64, which most values fit into.
  return Number(precision) > NARROW && Number(scale) <= NARROW
    ? `coalesce(try_cast(${column} as DECIMAL(${NARROW},${scale})), ${whole})`
    : whole
}

/** A condition: `carried` cannot hold what the text says. Null for null. */
export function isUncarried(column: string, carried: string): string {
  if (carried === 'VARCHAR' || carried === 'BLOB') return 'false'
  return `${tryText(column, carried)} is null`
}

/** The value of `carried`, a number or a moment, that a text says; null for one that it cannot hold. */
export function tryText(column: string, carried: string): string {
  return `try_cast(${dated(column, carried)} as ${carried})`
}

/** The text of a value that files carry as `carried`. */
export function toText(column: string, carried: string): string {
  if (DATED.test(carried)) return datedText(column, carried)
  const text = `cast(${column} as varchar)`
  if (carried === 'VARCHAR') return column
  if (carried === 'BLOB') return String.raw`'\x' || lower(hex(${column}))`
  if (carried === 'BOOLEAN') return `substr(${text}, 1, 1)`
  if (carried === 'FLOAT' || carried === 'DOUBLE')
    return `replace(replace(${text}, 'inf', 'Infinity'), 'nan', 'NaN')`
  // DuckDB prints no digit before the point where the type has none.
  const [, precision, scale] = DECIMAL.exec(carried) ?? []
  return precision !== undefined && precision === scale ? `replace(${text}, '.', '0.')` : text
}

/** Types whose texts hold no character that PostgreSQL's text format writes otherwise. */
const PLAIN = /^(BOOLEAN|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL.*|DATE|TIME.*|UUID)$/
/** What it writes instead; the backslash first. (PostgreSQL, "COPY", File Formats.) */
const ESCAPES = [
  ['\\', '\\\\'],
  ['\b', '\\b'],
  ['\t', '\\t'],
  ['\n', '\\n'],
  ['\v', '\\v'],
  ['\f', '\\f'],
  ['\r', '\\r'],
] as const

export interface LineValue {
  readonly text: string
  readonly carried: string
  /** It is never NULL: if it is for all that, the line has a field too few, and is none that COPY prints. */
  readonly notNull: boolean
}

/** A row as the line that COPY prints of it in the text format, its end left out. */
export function toLine(values: readonly LineValue[]): string {
  const fields = values.map(({ text, carried, notNull }) => {
    const escaped = PLAIN.test(carried) ? text : escapedText(text)
    return notNull ? escaped : `coalesce(${escaped}, '\\N')`
  })
  return `concat_ws('\t', ${fields.join(', ')})`
}

/** Of a date or a moment. The year 1 is looked for in the value, which is compared sooner than its text is searched. */
function datedText(column: string, carried: string): string {
  const text = `cast(${column} as varchar)`
  const early = (printed: string): string =>
    `when ${column} < ${carried} '0001-01-01' then regexp_replace(${printed}, ${ERA_BACK})`
  if (!carried.endsWith('ZONE')) return `case ${early(text)} else ${text} end`
  // DuckDB's own way asks a calendar for each value, which takes four times as long and moves the last year's microseconds.
  const utc = `cast(make_timestamp(epoch_us(${column})) as varchar) || '+00'`
  return `case when not isfinite(${column}) then ${text} ${early(utc)} else ${utc} end`
}

/** Few texts have such a character, and to look for each takes a tenth of replacing it. */
function escapedText(text: string): string {
  const has = ESCAPES.map(([raw]) => `contains(${text}, '${raw}')`)
  const escaped = ESCAPES.reduce(
    (all, [raw, written]) => `replace(${all}, '${raw}', '${written}')`,
    text,
  )
  return `case when ${has.join(' or ')} then ${escaped} else ${text} end`
}

/** DuckDB would read '0044-03-15 BC' as a date of our era, silently, and refuse such a timestamp. */
function dated(column: string, carried: string): string {
  if (!DATED.test(carried)) return column
  return `case when suffix(${column}, 'BC') then regexp_replace(${column}, ${ERA}) else ${column} end`
}
