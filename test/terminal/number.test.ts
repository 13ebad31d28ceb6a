import { expect, test } from 'vitest'
import {
  counted,
  formatBytes,
  formatChange,
  formatCount,
  formatRate,
} from '../../src/terminal/number.ts'

test('numbers are grouped, whatever their size or sign', () => {
  expect([0, 999, 1000, 1234567, -1234, 9007199254740993n].map(formatCount)).toEqual([
    '0',
    '999',
    '1,000',
    '1,234,567',
    '-1,234',
    '9,007,199,254,740,993',
  ])
})

test('no change is a dash, and one row is no rows', () => {
  expect([formatChange(0), formatChange(1204)]).toEqual(['–', '1,204'])
  expect([counted(1, 'row'), counted(0, 'row'), counted(1204, 'row')]).toEqual([
    '1 row',
    '0 rows',
    '1,204 rows',
  ])
})

test('sizes and rates keep two or three digits, also where rounding reaches the next unit', () => {
  expect([0, 812, 1000, 3_100_000, 999_600, 31_000_000, 4e15].map(formatBytes)).toEqual([
    '0 B',
    '812 B',
    '1.0 kB',
    '3.1 MB',
    '1.0 MB',
    '31 MB',
    '4000 TB',
  ])
  expect([12, 48_000, 1_040_000].map(formatRate)).toEqual([
    '12 rows/s',
    '48k rows/s',
    '1.0M rows/s',
  ])
})
