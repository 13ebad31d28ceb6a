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
})

test('a scan that does not come page after page says nothing; without a known one every row is kept', () => {
  const at = (page: number): Pair => ({ leaf: 0, page, item: 1, xmin: 5, key: '1' })
  const known = scan([at(0), at(9)]).seen?.blocks ?? null
  const scattered = [at(0), at(9), at(1), at(10)]
  expect(scan(scattered, { known }).seen).toBeNull()
  const all = scan(scattered)
  expect(all.seen).toBeNull()
  expect(all.kept).toEqual(scattered.map(textOf))
})

test('blocks grow with the table, and rarely', () => {
  expect(pagesOfBlock(0, null)).toBe(1)
  expect(pagesOfBlock(16_384, null)).toBe(1)
  expect(pagesOfBlock(80_000, null)).toBe(8)
  expect(pagesOfBlock(80_000, 2)).toBe(2)
  expect(pagesOfBlock(200_000, 2)).toBe(16)
})
