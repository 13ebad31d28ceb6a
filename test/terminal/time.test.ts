import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { renderDuration, renderMoment } from '../../src/terminal/time.ts'

beforeEach(() => void vi.stubEnv('TZ', 'America/New_York'))
afterEach(() => void vi.unstubAllEnvs())

test('durations are rounded to what matters, and never to 60 of a unit', () => {
  const spans = [
    0, 40, 99.6, 412, 6214, 59_940, 59_960, 106_000, 3_599_600, 7_500_000, 86_399_999, 273_600_000,
  ]
  expect(spans.map(renderDuration)).toEqual([
    '0ms',
    '40ms',
    '0.1s',
    '0.4s',
    '6.2s',
    '59.9s',
    '1m',
    '1m 46s',
    '1h',
    '2h 5m',
    '1d',
    '3d 4h',
  ])
})

test('a moment is local, with its day when that is not today', () => {
  const now = new Date('2026-11-20T03:00:00Z')
  expect(renderMoment('2026-11-20T02:05:02.123456Z', now)).toBe('21:05:02')
  expect(renderMoment('2026-11-20T06:00:00Z', now)).toBe('2026-11-20 01:00:00')
  expect(renderMoment('not a moment', now)).toBe('not a moment')
})
