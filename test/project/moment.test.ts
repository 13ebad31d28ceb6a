import { expect, test } from 'vitest'
import { parseAsOf } from '../../src/project/moment.ts'

test.each([
  ['7', { batch: 7 }],
  ['2026-11-20', { instant: '2026-11-20T00:00:00.000000Z' }],
  ['2026-11-20T09:30', { instant: '2026-11-20T09:30:00.000000Z' }],
  ['2026-11-20 09:30:05', { instant: '2026-11-20T09:30:05.000000Z' }],
  ['2026-11-20T09:30:05.123456Z', { instant: '2026-11-20T09:30:05.123456Z' }],
  ['2026-11-20T00:30:05.5+01:00', { instant: '2026-11-19T23:30:05.500000Z' }],
  ['2026-11-20T09:30:05-0530', { instant: '2026-11-20T15:00:05.000000Z' }],
  ['2026-11-20T09:30+01', { instant: '2026-11-20T08:30:00.000000Z' }],
])('%s is a batch or a moment', (text, expected) => {
  expect(parseAsOf(text)).toEqual(expected)
})

test.each([
  '0',
  '-1',
  '1.5',
  '',
  'yesterday',
  '2026-02-30',
  '2026-13-01',
  '2026-11-20T25:00',
  '2026-11-20T09',
  '20.11.2026',
  '2026-11-20T09:30:05.1234567Z',
  '99999999999999999999',
])('%s is neither', (text) => {
  expect(parseAsOf(text)).toBeUndefined()
})
