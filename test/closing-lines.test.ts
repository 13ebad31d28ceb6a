import { expect, test } from 'vitest'
import { closingLines, withExitCode } from './support/totals.ts'

test('a run ends with its counts, after every failure and the reason of every skip', () => {
  expect(
    closingLines([
      { name: 'a', status: 'passed' },
      { name: 'b', status: 'skipped', reason: 'no server' },
      { name: 'c', status: 'failed', reason: 'expected 1' },
      { name: 'd', status: 'skipped' },
    ]),
  ).toEqual([
    'failed: c: expected 1',
    'skipped: b: no server',
    'skipped: d: no reason given',
    '1 passed, 1 failed, 2 skipped',
  ])
})

test('skips are counted only when there are some', () => {
  expect(closingLines([{ name: 'a', status: 'passed' }])).toEqual(['1 passed, 0 failed'])
})

test('a run that ends badly without a failed test has failed', () => {
  const passed = { name: 'a', status: 'passed' } as const
  const failed = { name: 'b', status: 'failed' } as const
  const after = (
    exitCode: number | null,
    outcomes: readonly (typeof passed | typeof failed)[],
  ): string | undefined => closingLines(withExitCode(outcomes, { name: 'vitest', exitCode })).at(-1)
  expect(after(0, [passed])).toBe('1 passed, 0 failed')
  expect(after(1, [passed])).toBe('1 passed, 1 failed')
  expect(after(null, [passed])).toBe('1 passed, 1 failed')
  expect(after(1, [passed, failed])).toBe('1 passed, 1 failed')
})
