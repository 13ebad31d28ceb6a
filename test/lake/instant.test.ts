/** Instants from 1970 to 9999: text and microseconds are one, and a batch is never as old as the last. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fromMicros, nextInstant, toMicros } from '../../src/lake/instant.ts'

const micros = fc.bigInt({ min: 0n, max: 253_402_300_799_999_999n })
// The last microsecond of the year 9999 has no next one that could be written.
const instants = fc.bigInt({ min: 0n, max: 253_402_300_799_999_998n }).map(fromMicros)

test('toMicros and fromMicros are inverse, to the microsecond', () => {
  expect(toMicros('2026-11-20T09:30:00.123456Z')).toBe(1_795_167_000_123_456n)
  expect(fromMicros(0n)).toBe('1970-01-01T00:00:00.000000Z')
  fc.assert(
    fc.property(micros, (value) => {
      expect(toMicros(fromMicros(value))).toBe(value)
    }),
    { numRuns: 1000 },
  )
})

test('instants sort as text', () => {
  fc.assert(
    fc.property(micros, micros, (a, b) => {
      expect(fromMicros(a) < fromMicros(b)).toBe(a < b)
    }),
  )
})

test('the next instant is the clock, but at least one microsecond after the last', () => {
  fc.assert(
    fc.property(instants, instants, (previous, now) => {
      const next = nextInstant(previous, now)
      expect(toMicros(next)).toBe(
        toMicros(now) > toMicros(previous) ? toMicros(now) : toMicros(previous) + 1n,
      )
      expect(next > previous).toBe(true)
      expect(nextInstant(null, now)).toBe(now)
    }),
  )
  expect(nextInstant('2026-12-31T23:59:59.999999Z', '2026-01-01T00:00:00.000000Z')).toBe(
    '2027-01-01T00:00:00.000000Z',
  )
})

test('any other spelling is refused, not misread', () => {
  for (const text of [
    '',
    '2026-11-20',
    '2026-11-20T09:30:00Z',
    '2026-11-20T09:30:00.123Z',
    '2026-11-20T09:30:00.123456+00',
    '2026-13-20T09:30:00.123456Z',
    '2026-11-20 09:30:00.123456Z',
    ' 2026-11-20T09:30:00.123456Z',
    '2026-11-20T09:30:00.123456Z ',
  ]) {
    expect(() => toMicros(text)).toThrow(new RangeError(`not an instant: ${text}`))
    expect(() => nextInstant(null, text)).toThrow(RangeError)
  }
})
