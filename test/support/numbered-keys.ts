/** Keys of every type that has numbers: as PostgreSQL prints them, each with its number, reckoned without any database. */
import fc from 'fast-check'

export interface NumberedKey {
  readonly text: string
  /** `least` and `greatest` of what is beyond all numbers, as infinity is. */
  readonly number: bigint | 'least' | 'greatest'
}

const anywhere = (least: bigint, greatest: bigint): fc.Arbitrary<bigint> =>
  fc.oneof(
    fc.bigInt({ min: least, max: least + 3000n }),
    fc.bigInt({ min: greatest - 3000n, max: greatest }),
    fc.bigInt({ min: least, max: greatest }),
  )
/** Also close together, somewhere in the middle: only there does every bit of a number count. */
const close = (middle: bigint): fc.Arbitrary<bigint> =>
  fc.bigInt({ min: middle - 3000n, max: middle + 3000n })

const whole = (bits: bigint): fc.Arbitrary<NumberedKey> =>
  fc
    .oneof(anywhere(-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n), close(0n))
    .map((number) => ({ text: String(number), number }))

const uuid = fc
  .oneof(anywhere(0n, 2n ** 128n - 1n), close(2n ** 127n), close(2n ** 64n), close(3n << 96n))
  .map((number): NumberedKey => {
    const hex = number.toString(16).padStart(32, '0')
    return { text: hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'), number }
  })

const numeric = fc.oneof(
  fc
    .record({
      unscaled: fc.oneof(close(0n), anywhere(-(10n ** 60n), 10n ** 60n)),
      scale: fc.constantFrom(0, 1, 3, 24),
    })
    .map(({ unscaled, scale }): NumberedKey => {
      const size = 10n ** BigInt(scale)
      const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
      const point = digits.length - scale
      const text = scale === 0 ? digits : `${digits.slice(0, point)}.${digits.slice(point)}`
      const rest = ((unscaled % size) + size) % size
      return { text: `${unscaled < 0n ? '-' : ''}${text}`, number: (unscaled - rest) / size }
    }),
  fc.constantFrom<NumberedKey>(
    { text: 'NaN', number: 'greatest' },
    { text: 'Infinity', number: 'greatest' },
    { text: '-Infinity', number: 'least' },
  ),
)

const DAY_MS = 86_400_000n
const infinities = fc.constantFrom<NumberedKey>(
  { text: 'infinity', number: 'greatest' },
  { text: '-infinity', number: 'least' },
)

/** A day as PostgreSQL prints it; there is no year 0. */
function dayText(day: bigint): { readonly day: string; readonly era: string } {
  const date = new Date(Number(day * DAY_MS))
  const year = date.getUTCFullYear()
  const [, month, last] = /-(\d\d)-(\d\d)T/.exec(date.toISOString()) ?? []
  const shown = String(year > 0 ? year : 1 - year).padStart(4, '0')
  return { day: `${shown}-${month}-${last}`, era: year > 0 ? '' : ' BC' }
}

const dayOf = (day: string): bigint => BigInt(Date.parse(day)) / DAY_MS
const [FIRST, LAST] = [dayOf('0001-01-01'), dayOf('9999-12-31')]
/** From 4700 BC on, and nearly up to where JavaScript's own end. */
const someDay = fc.oneof(
  anywhere(-2_430_000n, 90_000_000n),
  close(FIRST),
  close(LAST),
  close(0n),
  close(20_000n),
)
const within = (number: bigint, day: bigint): NumberedKey['number'] =>
  day < FIRST ? 'least' : day > LAST ? 'greatest' : number

const date = fc.oneof(
  {
    weight: 9,
    arbitrary: someDay.map((number): NumberedKey => {
      const { day, era } = dayText(number)
      return { text: day + era, number: within(number, number) }
    }),
  },
  { weight: 1, arbitrary: infinities },
)

const SECONDS = 86_400n
const moment = (zone: string): fc.Arbitrary<NumberedKey> =>
  fc.oneof(
    {
      weight: 9,
      arbitrary: fc
        .record({
          day: someDay,
          second: fc.oneof(fc.constantFrom(0n, SECONDS - 1n), fc.bigInt({ min: 0n, max: 9n })),
          micro: fc.constantFrom(0n, 1n, 100_000n, 999_999n),
        })
        .map(({ day, second, micro }): NumberedKey => {
          const { day: shown, era } = dayText(day)
          const time = new Date(Number(second) * 1000).toISOString().slice(11, 19)
          const rest = micro === 0n ? '' : `.${String(micro).padStart(6, '0')}`.replace(/0+$/, '')
          const number = (day * SECONDS + second) * 1_000_000n + micro
          return { text: `${shown} ${time}${rest}${zone}${era}`, number: within(number, day) }
        }),
    },
    {
      weight: 1,
      arbitrary: fc.oneof(
        infinities,
        // DuckDB ends before it.
        fc.constant<NumberedKey>({
          text: `294276-12-31 23:59:59.999999${zone}`,
          number: 'greatest',
        }),
      ),
    },
  )

/** By type as `format_type` prints it. */
export const NUMBERED_KEYS: Readonly<Record<string, fc.Arbitrary<NumberedKey>>> = {
  smallint: whole(16n),
  integer: whole(32n),
  bigint: whole(64n),
  numeric,
  uuid,
  date,
  'timestamp(6) without time zone': moment(''),
  'timestamp with time zone': moment('+00'),
}
