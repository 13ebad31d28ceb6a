import { describe, expect, test } from 'vitest'
import { placeInLedger } from '../../src/warehouse/ledger.ts'
import type { LedgerEntry } from '../../src/warehouse/warehouse.ts'

function entry(batch: number, changes: Partial<LedgerEntry> = {}): LedgerEntry {
  return {
    pipeline: 'star',
    chain: 'a',
    generation: 1,
    batch,
    manifest: batch,
    manifestSha256: `sha-${batch}`,
    instant: '2026-11-20T09:00:00.000000Z',
    run: 'r',
    ...changes,
  }
}

describe('P4: where a batch stands', () => {
  test.each([
    ['the first in an empty ledger', entry(1), null, null, 'next'],
    ['the next', entry(3), entry(2), null, 'next'],
    ['the last once more', entry(2), entry(2), entry(2), 'already'],
    ['an older one once more', entry(1), entry(2), entry(1), 'already'],
    ['a later one in an empty ledger', entry(2), null, null, 'LedgerMismatch'],
    ['one after a gap', entry(4), entry(2), null, 'LedgerMismatch'],
    ['one of another chain', entry(3, { chain: 'b' }), entry(2), null, 'LedgerMismatch'],
    [
      'a known number of another chain',
      entry(2, { chain: 'b' }),
      entry(2),
      entry(2),
      'LedgerMismatch',
    ],
    [
      'a known number of another manifest',
      entry(2, { manifestSha256: 'x' }),
      entry(2),
      entry(2),
      'LedgerMismatch',
    ],
    ['a known number that the ledger lost', entry(1), entry(2), null, 'LedgerMismatch'],
  ])('%s', (_what, wanted, last, recorded, expected) => {
    if (expected === 'LedgerMismatch')
      expect(() => placeInLedger(wanted, last, recorded)).toThrow(
        expect.objectContaining({ name: expected }),
      )
    else expect(placeInLedger(wanted, last, recorded)).toBe(expected)
  })
})
