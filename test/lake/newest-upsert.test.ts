/** What an entry tells of the newest batch that brought rows: never a batch that it cannot have been, and the very one where nothing was merged. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { DataFile } from '../../src/lake/manifest.ts'
import { newestUpsert } from '../../src/lake/read.ts'

interface Piece {
  /** Upserts and deletes of each batch, in order. */
  readonly batches: readonly { readonly upserts: number; readonly deletes: number }[]
  readonly isMerged: boolean
}

const piece: fc.Arbitrary<Piece> = fc.record({
  batches: fc.array(fc.record({ upserts: fc.nat(2), deletes: fc.nat(2) }), {
    minLength: 1,
    maxLength: 3,
  }),
  isMerged: fc.boolean(),
})

function file(batch: number, rows: number, deletes: number): DataFile {
  return { key: '', batch, rows, deletes, bytes: 0, sha256: '', least: [], greatest: [] }
}

test('P4: the newest batch that brought rows is in the range, and where nothing is merged it is the range', () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 5 }), fc.nat(3), fc.nat(3), (pieces, lost, later) => {
      let batch = 0
      let newest = 0
      const files: DataFile[] = []
      for (const { batches, isMerged } of pieces) {
        const from = batch + 1
        for (const { upserts, deletes } of batches) {
          batch += 1
          if (upserts > 0) newest = batch
          if (!isMerged) files.push(file(batch, upserts + deletes, deletes))
        }
        // Of each key the last change alone stays.
        const upserts = Math.min(batches.at(-1)?.upserts ?? 0, 1)
        if (isMerged) files.push({ ...file(batch, upserts + 1, 1), merged: { from, manifest: 1 } })
      }
      const kept = files.slice(lost)
      const after = Array.from({ length: later }, (_, n) => file(batch + 1 + n, 1, 0))
      const range = newestUpsert({ files: [...kept, ...after] }, batch + 1)
      expect(range.from).toBeLessThanOrEqual(newest)
      expect(range.to).toBeGreaterThanOrEqual(newest)
      expect(range.to).toBeLessThanOrEqual(batch)
      const isTold =
        pieces.every(({ isMerged }) => !isMerged) && newest >= (kept[0]?.batch ?? Infinity)
      if (isTold) expect(range).toEqual({ from: newest, to: newest })
    }),
  )
})
