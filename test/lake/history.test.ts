/** Merged files and older bases: few enough to be read fast, whatever the number of batches, and none of them lost. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addOlder, firstBatch, mergeRuns, splitBatch } from '../../src/lake/history.ts'
import type { DataFile, OlderBase } from '../../src/lake/manifest.ts'

const file = (batch: number, rows: number, given: Partial<DataFile> = {}): DataFile => ({
  key: `${batch}`,
  batch,
  rows,
  deletes: 0,
  bytes: rows,
  sha256: '',
  least: [],
  greatest: [],
  ...given,
})
const filesOf = (rows: readonly number[]): DataFile[] => rows.map((each, n) => file(n + 1, each))
const sizesOf = (runs: readonly (readonly DataFile[])[]): number[][] =>
  runs.map((run) => run.map(({ rows }) => rows))
const sum = (run: readonly DataFile[]): number => run.reduce((all, { rows }) => all + rows, 0)

/** No merged file has more rows. */
const MOST = 4_000_000

test('P6: files are merged as long as one is not more than twice what follows it', () => {
  expect(sizesOf(mergeRuns([]))).toEqual([])
  expect(sizesOf(mergeRuns(filesOf([5])))).toEqual([[5]])
  expect(sizesOf(mergeRuns(filesOf([2, 1])))).toEqual([[2, 1]])
  expect(sizesOf(mergeRuns(filesOf([3, 1])))).toEqual([[3], [1]])
  expect(sizesOf(mergeRuns(filesOf([3, 1, 1])))).toEqual([[3, 1, 1]])
  expect(sizesOf(mergeRuns(filesOf([10, 4, 1])))).toEqual([[10], [4], [1]])
  expect(sizesOf(mergeRuns(filesOf([MOST / 2, MOST / 2])))).toEqual([[MOST / 2, MOST / 2]])
  expect(sizesOf(mergeRuns(filesOf([MOST / 2, MOST / 2 + 1])))).toEqual([
    [MOST / 2],
    [MOST / 2 + 1],
  ])
})

test('P6: merged files are the same files in the same order, a few of them, and none too large', () => {
  const sizes = fc.array(
    fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: MOST })),
    { maxLength: 60 },
  )
  fc.assert(
    fc.property(sizes, (rows) => {
      const files = filesOf(rows)
      const runs = mergeRuns(files)
      expect(runs.flat()).toEqual(files)
      for (const run of runs) if (run.length > 1) expect(sum(run)).toBeLessThanOrEqual(MOST)
      for (const [index, run] of runs.slice(1).entries()) {
        const before = runs[index] ?? []
        expect(sum(before) > 2 * sum(run) || sum(before) + sum(run) > MOST).toBe(true)
      }
    }),
  )
})

test('a merged file begins with the first batch that it holds', () => {
  expect(firstBatch(file(7, 1))).toBe(7)
  expect(firstBatch(file(7, 1, { merged: { from: 3, manifest: 5 } }))).toBe(3)
})

test('the parts of one batch stay together', () => {
  const files = [file(1, 5), file(1, 6), file(2, 7), file(1, 8)]
  expect(splitBatch(files, 1)).toEqual({ of: files.slice(0, 2), after: files.slice(2) })
  expect(splitBatch(files, 2)).toEqual({ of: [], after: files })
  expect(splitBatch(files.slice(0, 2), 1)).toEqual({ of: files.slice(0, 2), after: [] })
  expect(splitBatch([], undefined)).toEqual({ of: [], after: [] })
})

test('P6: any older base is a few steps away, and the list stays short', () => {
  const lists: OlderBase[][] = [[], []]
  const bases = 200
  for (let number = 2; number <= bases; number++) {
    const before = lists[number - 1] ?? []
    const list = addOlder(before, { batch: 10 * (number - 1), manifest: 100 * (number - 1) })
    // The one before, and nothing that the list before did not know.
    expect(list.at(-1)).toEqual({
      number: number - 1,
      batch: 10 * (number - 1),
      manifest: 100 * (number - 1),
    })
    expect(list.slice(0, -1).every((each) => before.includes(each))).toBe(true)
    expect(list.length).toBeLessThanOrEqual(Math.log2(number) + 1)
    lists.push(list)
  }
  for (let target = 1; target < bases; target++) {
    let steps = 0
    for (let at = bases; at !== target; steps++) {
      const next = lists[at]?.find(({ number }) => number >= target)
      if (next === undefined) throw new Error(`no way from ${at} to ${target}`)
      expect(next.manifest).toBe(100 * next.number)
      at = next.number
    }
    expect(steps).toBeLessThanOrEqual(2 * Math.log2(bases))
  }
})
