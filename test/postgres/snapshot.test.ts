/** Whether one snapshot sees all that another saw, against sets of committed transactions. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { seesAtLeast } from '../../src/postgres/snapshot.ts'

/** Which of the transactions 0…9 had committed, ended or were still running when the snapshot was taken. */
const IDS = 10
const snapshots = fc.record({
  running: fc.uniqueArray(fc.nat(IDS - 1)),
  xmax: fc.integer({ min: 0, max: IDS }),
})

function print({ running, xmax }: { running: readonly number[]; xmax: number }): string {
  const inProgress = running.filter((id) => id < xmax).toSorted((a, b) => a - b)
  return `${inProgress[0] ?? xmax}:${xmax}:${inProgress.join(',')}`
}

test('P2: it sees at least as much exactly when it sees every transaction that the other saw', () => {
  const outcomes = { yes: 0, no: 0 }
  fc.assert(
    fc.property(snapshots, snapshots, (later, earlier) => {
      const sees = ({ running, xmax }: typeof later, id: number): boolean =>
        id < xmax && !running.includes(id)
      const expected = Array.from({ length: IDS }, (_, id) => id).every(
        (id) => !sees(earlier, id) || sees(later, id),
      )
      outcomes[expected ? 'yes' : 'no'] += 1
      expect(seesAtLeast(print(later), print(earlier))).toBe(expected)
    }),
    { numRuns: 3000 },
  )
  expect(Math.min(outcomes.yes, outcomes.no)).toBeGreaterThan(100)
})

test('P2: 64-bit ids beyond what a number holds, and ids far apart', () => {
  expect(
    seesAtLeast(
      '9007199254740993:9007199254740994:9007199254740993',
      '9007199254740993:9007199254740994:',
    ),
  ).toBe(false)
  expect(seesAtLeast('1:2:', '9007199254740993:9007199254740994:')).toBe(false)
  expect(seesAtLeast('9007199254740993:9007199254740994:', '1:2:')).toBe(true)
})

test('another spelling is refused', () => {
  for (const text of ['', '1:2', '1:2:3;4', 'a:b:'])
    expect(() => seesAtLeast(text, '1:2:')).toThrow(RangeError)
})
