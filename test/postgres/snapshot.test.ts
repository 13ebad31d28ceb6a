/** Whether one snapshot sees all that another saw, against sets of committed transactions. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  pairsMeanTheSame,
  reachesAtLeast,
  reusedIds,
  seesAtLeast,
} from '../../src/postgres/snapshot.ts'

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
  for (const text of ['', '1:2', '1:2:3;4', 'a:b:', 'x1:2:'])
    expect(() => seesAtLeast(text, '1:2:')).toThrow(`not a snapshot: ${text}`)
  for (const text of ['', '0/', 'x0/1', '0/1x', '123456789/1'])
    expect(() => reachesAtLeast(text, '0/1')).toThrow(`not a position of the log: ${text}`)
  expect(reachesAtLeast('16/B374D848', 'F/FFFFFFFF')).toBe(true)
})

test('P2: an id counts as given twice exactly when a later transaction may show the same 32 bits', () => {
  const all = 2n ** 32n
  fc.assert(
    fc.property(
      fc.bigInt({ min: 3n, max: 3n * all }),
      fc.bigInt({ min: 0n, max: 2n ** 31n - 1n }),
      fc.bigInt({ min: 0n, max: 3n * all }),
      fc.boolean(),
      (xmin, span, other, near) => {
        const xmax = xmin + span
        const span32 = reusedIds(`${xmax}:${xmax}:`, `${xmin}:${xmin + span / 2n}:${xmin}`)
        // A transaction that the earlier did not see: may an older one have had its 32 bits?
        const id = near ? xmin + (other % (span + 1n)) : other
        const unseen = id >= xmin && id < xmax && id - all >= 3n
        const first = BigInt(span32?.first ?? 0)
        const inSpan = span32 !== null && (id - first + 4n * all) % all < BigInt(span32.count)
        if (unseen) expect(inSpan).toBe(true)
        if (xmax <= all + 3n) expect(span32).toBeNull()
        else expect(span32?.count ?? 0).toBeLessThanOrEqual(Number(span))
      },
    ),
    { numRuns: 3000 },
  )
  // Just after the second round began, only its own ids.
  expect(reusedIds('4294967310:4294967310:', '4294967200:4294967200:')).toEqual({
    first: 3,
    count: 11,
  })
  expect(reusedIds('4294967299:4294967299:', '900:900:')).toBeNull()
})

test('P2: pairs half of all ids apart mean nothing, nor do those of a snapshot that saw more', () => {
  const half = 2n ** 31n
  expect(pairsMeanTheSame(`${half + 99n}:${half + 99n}:`, '100:100:')).toBe(true)
  expect(pairsMeanTheSame(`${half + 100n}:${half + 100n}:`, '100:100:')).toBe(false)
  // Counted from the oldest that was in progress.
  expect(pairsMeanTheSame(`${half + 99n}:${half + 99n}:`, '50:100:50')).toBe(false)
  expect(pairsMeanTheSame('90:90:', '100:100:')).toBe(false)
})
