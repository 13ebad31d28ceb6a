/** Pairs as they pass, block by block: exactly what is not as it was is kept, whatever came between. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  formatBlocks,
  pagesOfBlock,
  parseBlocks,
  watchBlocks,
  type Blocks,
  type SeenBlocks,
  type WatchOptions,
} from '../../src/extraction/pair-blocks.ts'

interface Pair {
  readonly leaf: number
  readonly page: number
  readonly item: number
  readonly xmin: number
  readonly key: string
}

const textOf = ({ leaf, page, item, xmin, key }: Pair): string =>
  `${leaf},${xmin},"(${page},${item})",${key}\n`

function scan(
  pairs: readonly Pair[],
  options: Partial<WatchOptions> = {},
): { readonly seen: SeenBlocks | null; readonly kept: string[]; readonly rows: number } {
  const kept: string[] = []
  const writer = {
    row: (row: Buffer) => void kept.push(row.toString()),
    ready: () => undefined,
  }
  const watch = watchBlocks({
    pages: 4,
    known: null,
    partitioned: true,
    reused: null,
    writer,
    ...options,
  })
  for (const pair of pairs) watch.row(Buffer.from(textOf(pair)))
  return { seen: watch.finish(), kept, rows: watch.rows }
}

/** A heap in its order: each place once. */
const heaps = fc
  .uniqueArray(
    fc.record({
      leaf: fc.constantFrom(0, 16_384, 4_294_967_295),
      page: fc.nat(40),
      item: fc.integer({ min: 1, max: 5 }),
      xmin: fc.integer({ min: 3, max: 2 ** 32 - 1 }),
      key: fc.constantFrom('7', '"a,b"', '"(1,2)"', '""', '"line\nend"', 'é'),
    }),
    { selector: ({ leaf, page, item }) => `${leaf}/${page}/${item}`, maxLength: 80 },
  )
  .map((pairs) => pairs.toSorted((a, b) => a.leaf - b.leaf || a.page - b.page || a.item - b.item))

const blockOf = ({ leaf, page }: Pair): string => `${leaf}/${Math.floor(page / 4)}`

test('P2: of a later scan the pairs of every block that differs are kept, and of no other', () => {
  fc.assert(
    fc.property(heaps, heaps, fc.array(fc.boolean(), { maxLength: 80 }), (before, other, keep) => {
      const first = scan(before)
      const known = first.seen?.blocks ?? null
      // Most of what was there, and something else at other places.
      const left = before.filter((_, index) => keep[index] !== false)
      const places = new Set(left.map(({ leaf, page, item }) => `${leaf}/${page}/${item}`))
      const after = [
        ...left,
        ...other.filter((p) => !places.has(`${p.leaf}/${p.page}/${p.item}`)),
      ].toSorted((a, b) => a.leaf - b.leaf || a.page - b.page || a.item - b.item)
      const blocksOf = (pairs: readonly Pair[]): Map<string, string> => {
        const texts = new Map<string, string>()
        for (const pair of pairs)
          texts.set(blockOf(pair), (texts.get(blockOf(pair)) ?? '') + textOf(pair))
        return texts
      }
      const [was, is] = [blocksOf(before), blocksOf(after)]
      const differing = [...new Set([...was.keys(), ...is.keys()])].filter(
        (name) => was.get(name) !== is.get(name),
      )
      const { seen, kept, rows } = scan(after, { known })
      expect(rows).toBe(after.length)
      expect(seen?.changed.map((name) => name.join('/')).toSorted()).toEqual(differing.toSorted())
      expect(kept).toEqual(after.filter((p) => differing.includes(blockOf(p))).map(textOf))
    }),
  )
})

test('digests are read back as they were written', () => {
  fc.assert(
    fc.property(heaps, (pairs) => {
      const blocks = scan(pairs).seen?.blocks as Blocks
      expect(parseBlocks(formatBlocks(blocks), 4)).toEqual(blocks)
    }),
  )
})

test('P2: a block with an id that may have been given twice is kept, though not a byte differs', () => {
  const pair = { leaf: 0, page: 9, item: 1, xmin: 5, key: '1' }
  const known = scan([pair]).seen?.blocks ?? null
  const looked = (first: number, count: number): number =>
    scan([pair], { known, reused: { first, count } }).kept.length
  expect(scan([pair], { known }).kept).toEqual([])
  expect(looked(5, 1)).toBe(1)
  expect(looked(6, 100)).toBe(0)
  expect(looked(4, 1)).toBe(0)
  // The span goes on after the last id.
  expect(looked(4_294_967_290, 20)).toBe(1)
  expect(looked(4_294_967_290, 11)).toBe(0)
  // Every digit counts.
  const long = { ...pair, xmin: 4_123_456_789 }
  const seen = scan([long]).seen?.blocks ?? null
  const lookedAt = (first: number): number =>
    scan([long], { known: seen, reused: { first, count: 1 } }).kept.length
  expect([4_123_456_788, 4_123_456_789, 4_123_456_790, 789].map(lookedAt)).toEqual([0, 1, 0, 0])
})

test('P2: blocks of any number of pairs, and pairs of any length, are kept whole', () => {
  const key = (length: number): string => `"${'k'.repeat(length)}"`
  const block = (lengths: readonly number[]): Pair[] =>
    lengths.map((length, index) => ({
      leaf: 0,
      page: 1,
      item: index + 1,
      xmin: 5,
      key: key(length),
    }))
  const lengths = fc.array(fc.constantFrom(1, 100, 30_000, 65_000, 200_000), { maxLength: 12 })
  fc.assert(
    fc.property(lengths, lengths, (one, other) => {
      const pairs = [...block(one), ...block(other).map((pair) => ({ ...pair, page: 9 }))]
      const all = scan(pairs)
      expect(all.kept).toEqual(pairs.map(textOf))
      expect(scan(pairs, { known: all.seen?.blocks ?? null }).kept).toEqual([])
    }),
    {
      numRuns: 30,
      examples: [
        [[65_000, 65_000, 65_000], []],
        [[200_000], [65_500]],
      ],
    },
  )
  // To the byte: what a buffer takes at once, and one more.
  const bare = textOf({ leaf: 0, page: 1, item: 1, xmin: 5, key: key(0) }).length
  for (const length of [65_535, 65_536, 65_537]) {
    const pairs = block([length - bare])
    expect(scan(pairs).kept).toEqual(pairs.map(textOf))
  }
})

test('P2: pairs of a table that is no partitioned one begin with the xmin, and lie in leaf 0', () => {
  const kept: string[] = []
  const watch = (known: Blocks | null, pairs: readonly Pair[], first = 0): SeenBlocks | null => {
    const seen = watchBlocks({
      pages: 4,
      known,
      partitioned: false,
      reused: { first, count: 1 },
      writer: { row: (row) => void kept.push(row.toString()), ready: () => undefined },
    })
    for (const pair of pairs) seen.row(Buffer.from(textOf(pair).replace(/^0,/, '')))
    return seen.finish()
  }
  const pairs = [1, 3, 4, 11].map((page) => ({ leaf: 0, page, item: 1, xmin: 77, key: '1' }))
  const known = watch(null, pairs)
  expect(known?.changed).toEqual([[0, 0], [0, 1], [0, 2]]) // prettier-ignore
  const changed = pairs.map((pair) => (pair.page === 4 ? { ...pair, xmin: 78 } : pair))
  kept.length = 0
  expect(watch(known?.blocks ?? null, changed)?.changed).toEqual([[0, 1]])
  expect(kept).toEqual(['78,"(4,1)",1\n'])
  expect(watch(known?.blocks ?? null, pairs, 77)?.changed).toHaveLength(3)
  expect(watch(known?.blocks ?? null, pairs, 1)?.changed).toEqual([])
})

test('whoever takes the rows is waited for', async () => {
  let waited = 0
  const writer = { row: () => undefined, ready: async () => void (waited += 1) }
  const watch = watchBlocks({ pages: 4, known: null, partitioned: false, reused: null, writer })
  await watch.ready()
  expect(waited).toBe(1)
})

test('a scan that does not come page after page says nothing; without a known one every row is kept', () => {
  const at = (page: number): Pair => ({ leaf: 0, page, item: 1, xmin: 5, key: '1' })
  const known = scan([at(0), at(9)]).seen?.blocks ?? null
  const scattered = [0, 9, 1, 10, 20, 30, 5].map(at)
  const nothing = scan(scattered, { known })
  expect(nothing.seen).toBeNull()
  // Nobody will ask for them.
  expect(nothing.kept).not.toContain(textOf(at(30)))
  expect(nothing.rows).toBe(scattered.length)
  const all = scan(scattered)
  expect(all.seen).toBeNull()
  expect(all.kept.toSorted()).toEqual(scattered.map(textOf).toSorted())
})

test('blocks grow with the table, and rarely', () => {
  expect(pagesOfBlock(0, null)).toBe(1)
  expect(pagesOfBlock(16_384, null)).toBe(1)
  expect(pagesOfBlock(80_000, null)).toBe(8)
  expect(pagesOfBlock(80_000, 2)).toBe(2)
  expect(pagesOfBlock(200_000, 2)).toBe(16)
  expect(pagesOfBlock(4 * 2 * 16_384, 2)).toBe(2)
  expect(pagesOfBlock(4 * 2 * 16_384 + 1, 2)).toBe(16)
  // Blocks of no pages are one for all: not for ever.
  expect(pagesOfBlock(0, 0)).toBe(1)
})
