/**
 * Keys as whole numbers, in the order in which PostgreSQL sorts them, so that a range of numbers is a range of keys.
 * DuckDB says the number of any key from its text; the server is told a number as the least key that has it. For every
 * key and every number from `least` to `greatest` the two agree: the server has the key at or above the one that it is
 * told exactly where DuckDB has its number at or above that number.
 */
export interface KeyNumbers {
  /** DuckDB's type of them. */
  readonly type: 'BIGINT' | 'HUGEINT' | 'UHUGEINT'
  /** Where bounds may lie; keys may lie beyond them. */
  readonly least: bigint
  readonly greatest: bigint
  /**
   * An expression for DuckDB, given one for the text that PostgreSQL prints: the number divided by 2^shift, rounded down. NULL only
   * for keys above all bounds.
   */
  number(text: string, shift: number): string
  /** An expression for PostgreSQL that an index over the key serves. */
  key(number: bigint): string
}

/** Of a type as `format_type` prints it; undefined where no such numbers are known, as of text, whose order is its collation's. */
export function numbersOf(type: string): KeyNumbers | undefined {
  if (/^(smallint|integer|bigint)$/.test(type)) return WHOLE
  if (/^numeric(\(\d+,-?\d+\))?$/.test(type)) return NUMERIC
  if (type === 'uuid') return UUID
  if (type === 'date') return DAYS
  const [, zone] = /^timestamp(?:\(\d\))? (with|without) time zone$/.exec(type) ?? []
  return zone === undefined ? undefined : MICROSECONDS[zone]
}

export const WHOLE: KeyNumbers = {
  type: 'BIGINT',
  least: -(2n ** 63n),
  greatest: 2n ** 63n - 1n,
  number: (text, shift) => `(try_cast(${text} as bigint) >> ${shift})`,
  // As text: a minus sign after an operator would be part of it.
  key: (number) => `'${number}'::bigint`,
}

const MOST_DIGITS = 10n ** 37n

/** Rounded down. What has more digits lies beyond, as infinity and NaN do, which PostgreSQL sorts last. */
const NUMERIC: KeyNumbers = {
  type: 'HUGEINT',
  least: -MOST_DIGITS,
  greatest: MOST_DIGITS,
  number: (text, shift) => {
    const whole = `try_cast(split_part(${text}, '.', 1) as hugeint)`
    const beyond = `'${-MOST_DIGITS - 1n}'::hugeint`
    const rest = String.raw`(case when regexp_matches(${text}, '\.0*[1-9]') then 1 else 0 end)`
    const number = `case when starts_with(${text}, '-') then greatest(${whole}, ${beyond}) - ${rest} else ${whole} end`
    return `((${number}) >> ${shift})`
  },
  key: (number) => `'${number}'::numeric`,
}

/** All of its 128 bits, as PostgreSQL compares them. */
const UUID: KeyNumbers = {
  type: 'UHUGEINT',
  least: 0n,
  greatest: 2n ** 128n - 1n,
  number: (text, shift) => {
    const left = DIGITS - Math.floor(shift / 4)
    // Of random ones the first three tell the range: they are a fifth of the work of all.
    const upper = `${hexNumber(text, 0, Math.min(left, HALF))}::uhugeint`
    const number =
      left <= HALF
        ? upper
        : `((${upper} << ${4 * (left - HALF)}) | ${hexNumber(text, HALF, left)}::uhugeint)`
    return `(${number} >> ${shift % 4})`
  },
  key: (number) => {
    const digits = number.toString(16).padStart(32, '0')
    return `'${digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')}'::uuid`
  },
}

const DIGITS = 32
/** As many as 64 bits hold. */
const HALF = 16
/** Where its groups of digits begin, without the hyphens and with them, and how long they are. */
const GROUPS = [
  [0, 1, 8],
  [8, 10, 4],
  [12, 15, 4],
  [16, 20, 4],
  [20, 25, 12],
] as const

/** What digits of a uuid say, from one to another that is not included. */
function hexNumber(text: string, from: number, to: number): string {
  const pieces = GROUPS.flatMap(([first, place, length]) => {
    const [begin, end] = [Math.max(from, first), Math.min(to, first + length)]
    return begin < end ? [`substr(${text}, ${place + begin - first}, ${end - begin})`] : []
  })
  return `try_cast(${["'0x'", ...pieces].join(' || ')} as ubigint)`
}

const FIRST_DAY = '0001-01-01'
const LAST_DAY = '9999-12-31'
const DAY_MS = 86_400_000
const dayOf = (day: string): bigint => BigInt(Date.parse(day) / DAY_MS)

/** PostgreSQL and DuckDB spell years before Christ each in its own way; no bound lies there. */
const isBefore = (text: string): string => `${text} = '-infinity' or suffix(${text}, ' BC')`

const DAYS: KeyNumbers = {
  type: 'BIGINT',
  least: dayOf(FIRST_DAY),
  greatest: dayOf(LAST_DAY),
  number: (text, shift) =>
    `((case when ${isBefore(text)} then ${dayOf(FIRST_DAY) - 1n} else try_cast(${text} as date) - '1970-01-01'::date end) >> ${shift})`,
  key: (number) => `'${dateText(Number(number) * DAY_MS).slice(0, 10)}'::date`,
}

const SECOND = 1_000_000n

function microseconds(type: string, zone: string): KeyNumbers {
  const least = dayOf(FIRST_DAY) * 86_400n * SECOND
  return {
    type: 'BIGINT',
    least,
    greatest: (dayOf(LAST_DAY) + 1n) * 86_400n * SECOND - 1n,
    // DuckDB does not know the last thirty years that PostgreSQL does, and numbers no infinity.
    number: (text, shift) =>
      `((case when ${isBefore(text)} then ${least - 1n} else epoch_us(try_cast(${text} as ${type})) end) >> ${shift})`,
    key: (number) => {
      const rest = ((number % SECOND) + SECOND) % SECOND
      const second = dateText(Number((number - rest) / SECOND) * 1000).slice(0, 19)
      return `'${second.replace('T', ' ')}.${String(rest).padStart(6, '0')}${zone}'::${type}`
    },
  }
}

const MICROSECONDS: Readonly<Record<string, KeyNumbers>> = {
  without: microseconds('timestamp', ''),
  with: microseconds('timestamptz', '+00'),
}

function dateText(ms: number): string {
  return new Date(ms).toISOString()
}
