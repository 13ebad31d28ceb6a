import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseDuration, parseRate } from '../../src/config/duration.ts'

const MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

test.each([
  ['500ms', 500],
  ['5s', 5000],
  ['30m', 1_800_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
  ['1.5s', 1500],
  [250, 250],
])('%s is %d milliseconds', (written, ms) => {
  expect(parseDuration(written)).toBe(ms)
})

test.each([
  '',
  '5',
  's',
  '5 s',
  '-5s',
  '5S',
  '5s ',
  '1e3s',
  '5 parsecs',
  '0s',
  '0.0001s',
  0,
  -1,
  1.5,
  Number.NaN,
  Infinity,
])('%o is not a duration', (written) => {
  expect(parseDuration(written)).toBeUndefined()
})

test('any whole number of any unit is read exactly, decimals to the nearest millisecond', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('ms', 's', 'm', 'h', 'd'),
      fc.integer({ min: 1, max: 999_999 }),
      (unit, thousandths) => {
        expect(parseDuration(`${thousandths}${unit}`)).toBe(thousandths * MS[unit])
        if (unit !== 'ms')
          expect(parseDuration(`${(thousandths / 1000).toFixed(3)}${unit}`)).toBe(
            thousandths * (MS[unit] / 1000),
          )
      },
    ),
  )
})

test.each([
  ['20MB/s', 20_000_000],
  ['500kB/s', 500_000],
  ['1kB/s', 1000],
  ['1.5GB/s', 1_500_000_000],
  ['1.25MB/s', 1_250_000],
])('%s is a rate', (written, bytes) => {
  expect(parseRate(written)).toBe(bytes)
})

test.each([
  '20MB',
  '20 MB/s',
  '20MB/s ',
  'MB/s',
  '-1MB/s',
  '0MB/s',
  '0.9kB/s',
  '20mb/s',
  '1e3kB/s',
  '9999999999GB/s',
  '',
])('%o is not a rate', (written) => {
  expect(parseRate(written)).toBeUndefined()
})
