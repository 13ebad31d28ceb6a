/** The points of a pipeline: every batch of every source, one at a time, in the order of their instants. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fromMicros } from '../../src/lake/instant.ts'
import type { CommittedManifest } from '../../src/lake/manifest.ts'
import { openZone } from '../../src/lake/zone.ts'
import {
  batchManifests,
  batchMarks,
  pointsAfter,
  type BatchMark,
} from '../../src/project/points.ts'
import { openFolderStore } from '../../src/storage/store-folder.ts'

const SOURCES = ['shop', 'seeds', 'bank']
const at = (micros: number): string => fromMicros(BigInt(micros))

/** Per source, gaps between instants that grow, as nextInstant makes them. */
const histories = fc.tuple(
  ...SOURCES.map(() => fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 })),
)

function marksOf(gaps: readonly (readonly number[])[]): BatchMark[] {
  return gaps.flatMap((source, index) => {
    let instant = 0
    return source.map((gap, batch) => ({
      source: SOURCES[index] ?? '',
      batch: batch + 1,
      instant: at((instant += gap)),
    }))
  })
}

test('P6: from nothing, each point moves one source by one batch, instants never fall, and all is passed in the end', () => {
  fc.assert(
    fc.property(histories, fc.func(fc.nat()), (gaps, order) => {
      const marks = marksOf(gaps)
      const points = pointsAfter(
        null,
        SOURCES,
        marks.toSorted((a, b) => order(a) - order(b)),
      )
      expect(points.at(-1)?.batches).toEqual(
        Object.fromEntries(SOURCES.map((source, index) => [source, gaps[index]?.length])),
      )
      for (const [index, point] of points.entries()) {
        const latest = marks
          .filter((mark) => point.batches[mark.source] === mark.batch)
          .map((mark) => mark.instant)
          .toSorted()
          .at(-1)
        expect(point.instant).toBe(latest)
        const previous = points[index - 1]
        if (previous === undefined) continue
        expect(point.instant >= previous.instant).toBe(true)
        const moved = SOURCES.filter((source) => point.batches[source] !== previous.batches[source])
        expect(moved).toHaveLength(1)
        expect(point.batches[moved[0] ?? '']).toBe((previous.batches[moved[0] ?? ''] ?? 0) + 1)
      }
    }),
  )
})

test('P4, P6: stopping after any point and going on from it passes the same points', () => {
  fc.assert(
    fc.property(histories, fc.nat(), (gaps, seed) => {
      const marks = marksOf(gaps)
      const whole = pointsAfter(null, SOURCES, marks)
      const stop = seed % whole.length
      const done = whole[stop]?.batches ?? {}
      const rest = marks.filter((mark) => mark.batch > (done[mark.source] ?? 0))
      expect(pointsAfter(done, SOURCES, rest).map(({ batches }) => batches)).toEqual(
        whole.slice(stop + 1).map(({ batches }) => batches),
      )
    }),
  )
})

test('P7: batches of one instant are passed in the order of the sources, however they come', () => {
  const marks = marksOf([[1, 2], [1, 2], [3]])
  for (const given of [marks, marks.toReversed()])
    expect(
      pointsAfter({ shop: 1, seeds: 1, bank: 0 }, SOURCES, given).map(({ batches, instant }) => [
        batches,
        instant,
      ]),
    ).toEqual([
      [{ shop: 2, seeds: 1, bank: 0 }, at(3)],
      [{ shop: 2, seeds: 2, bank: 0 }, at(3)],
      [{ shop: 2, seeds: 2, bank: 1 }, at(3)],
    ])
})

test('no point before every source has a batch, and none when nothing is new', () => {
  expect(pointsAfter(null, SOURCES, marksOf([[1], [], [1]]))).toEqual([])
  expect(
    pointsAfter({ shop: 2 }, ['shop'], [{ source: 'shop', batch: 2, instant: at(1) }]),
  ).toEqual([])
})

test('batches are found through manifests that add none', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tote-points-'))
  try {
    const zone = openZone(openFolderStore(folder))
    let newest: CommittedManifest | null = null
    // Manifests and their batches: a base after the first, positions alone after the second and third.
    for (const batch of [1, 1, 2, 2, 2, 3]) {
      newest = await zone
        .chain('shop')
        .commit(
          { chain: 'c', batch, instant: at(batch), run: 'r', writer: 't', tables: {} },
          newest,
        )
    }
    if (newest === null) throw new Error('no manifest')
    const numbers = async (after: number): Promise<number[]> =>
      (await batchManifests(zone, newest, after)).map(({ number }) => number)
    expect(await numbers(0)).toEqual([1, 3, 6])
    expect(await numbers(1)).toEqual([3, 6])
    expect(await numbers(3)).toEqual([])
    expect(await batchMarks(zone, 'shop', newest, 1)).toEqual([
      {
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        source: 'shop',
        chain: 'c',
        batch: 2,
        manifest: 3,
        instant: at(2),
      },
      {
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        source: 'shop',
        chain: 'c',
        batch: 3,
        manifest: 6,
        instant: at(3),
      },
    ])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
