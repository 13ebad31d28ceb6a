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
} from '../../src/pairs/pair-blocks.ts'

interface Pair {
  readonly leaf: number
  readonly page: number
  readonly item: number
  readonly xmin: number
  readonly key: string
}

const textOf = ({ leaf, page, item, xmin, key }: Pair): string =>
  `${leaf},${xmin},"(${page},${item})",${key}\n`
const placeOf = ({ leaf, page, item, xmin }: Pair): string => `${leaf},${xmin},${page},${item}\n`

/** As PostgreSQL's binary COPY sends it. */
function binaryOf({ leaf, page, item, xmin }: Pair): Buffer {
  const bytes = Buffer.alloc(28)
  bytes.writeUInt16BE(3, 0)
  for (const [at, value] of [4, leaf, 4, xmin, 6, page].entries())
    bytes.writeUInt32BE(value, 2 + 4 * at)
  bytes.writeUInt16BE(item, 26)
  return bytes
}

/** Rows come as pairs, or as places, so many at once. */
function scan(
  pairs: readonly Pair[],
  options: Partial<WatchOptions> = {},
  atOnce: number | null = null,
): { readonly seen: SeenBlocks | null; readonly kept: string[]; readonly rows: number } {
  const kept: string[] = []
  const watch = watchBlocks({
    pages: 4,
    known: null,
    partitioned: true,
    reused: null,
    onChanged: (rows) => void kept.push(...(rows.match(/.*\n/g) ?? [])),
    ...options,
  })
  if (atOnce === null) for (const pair of pairs) watch.pair(Buffer.from(textOf(pair)))
  else
    for (let at = 0; at < pairs.length; at += atOnce)
      watch.places(Buffer.concat(pairs.slice(at, at + atOnce).map(binaryOf)))
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

const chunks = fc.option(fc.integer({ min: 1, max: 9 }))
const left = fc.array(fc.boolean(), { maxLength: 80 })

test('P2: of a later scan the places of every block that differs are kept, and of no other', () => {
  fc.assert(
    fc.property(heaps, heaps, left, chunks, chunks, (before, other, keep, some, others) => {
      const first = scan(before, {}, some)
      const known = first.seen?.blocks ?? null
      // Most of what was there, and something else at other places.
      const stayed = before.filter((_, index) => keep[index] !== false)
      const places = new Set(stayed.map(({ leaf, page, item }) => `${leaf}/${page}/${item}`))
      const after = [
        ...stayed,
        ...other.filter((p) => !places.has(`${p.leaf}/${p.page}/${p.item}`)),
      ].toSorted((a, b) => a.leaf - b.leaf || a.page - b.page || a.item - b.item)
      const blocksOf = (pairs: readonly Pair[]): Map<string, string> => {
        const texts = new Map<string, string>()
        for (const pair of pairs)
          texts.set(blockOf(pair), (texts.get(blockOf(pair)) ?? '') + placeOf(pair))
        return texts
      }
      const [was, is] = [blocksOf(before), blocksOf(after)]
      const differing = [...new Set([...was.keys(), ...is.keys()])].filter(
        (name) => was.get(name) !== is.get(name),
      )
      const { seen, kept, rows } = scan(after, { known }, others)
      expect(rows).toBe(after.length)
      expect(seen?.changed.map((name) => name.join('/')).toSorted()).toEqual(differing.toSorted())
      expect(kept).toEqual(after.filter((p) => differing.includes(blockOf(p))).map(placeOf))
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

test('P2: blocks of any number of rows are kept whole', () => {
  const block = (page: number, rows: number): Pair[] =>
    Array.from({ length: rows }, (_, index) => ({
      leaf: 0,
      page: page + Math.floor(index / 2000),
      item: (index % 2000) + 1,
      xmin: 5,
      key: '1',
    }))
  // What a buffer takes at once, and one more; 28 bytes a row.
  for (const rows of [1, 2340, 2341, 4681, 7000]) {
    const pairs = [...block(0, rows), ...block(8, 3)]
    for (const atOnce of [null, 1, 500, 10_000]) {
      const all = scan(pairs, {}, atOnce)
      expect(all.kept).toEqual(pairs.map(placeOf))
      expect(scan(pairs, { known: all.seen?.blocks ?? null }, atOnce).kept).toEqual([])
    }
  }
})

test('P2: pairs of a table that is no partitioned one begin with the xmin, and lie in leaf 0', () => {
  let kept = ''
  const watch = (known: Blocks | null, pairs: readonly Pair[], first = 0): SeenBlocks | null => {
    const seen = watchBlocks({
      pages: 4,
      known,
      partitioned: false,
      reused: { first, count: 1 },
      onChanged: (rows) => void (kept += rows),
    })
    for (const pair of pairs) seen.pair(Buffer.from(textOf(pair).replace(/^0,/, '')))
    return seen.finish()
  }
  const pairs = [1, 3, 4, 11].map((page) => ({ leaf: 0, page, item: 1, xmin: 77, key: '1' }))
  const known = watch(null, pairs)
  expect(known?.changed).toEqual([[0, 0], [0, 1], [0, 2]]) // prettier-ignore
  const changed = pairs.map((pair) => (pair.page === 4 ? { ...pair, xmin: 78 } : pair))
  kept = ''
  expect(watch(known?.blocks ?? null, changed)?.changed).toEqual([[0, 1]])
  expect(kept).toBe('78,4,1\n')
  expect(watch(known?.blocks ?? null, pairs, 77)?.changed).toHaveLength(3)
  expect(watch(known?.blocks ?? null, pairs, 1)?.changed).toEqual([])
})

test('a scan that does not come page after page says nothing', () => {
  const at = (page: number): Pair => ({ leaf: 0, page, item: 1, xmin: 5, key: '1' })
  const known = scan([at(0), at(9)]).seen?.blocks ?? null
  const scattered = [0, 9, 1, 10, 20, 30, 5].map(at)
  for (const atOnce of [null, 1, 3, 7]) {
    const nothing = scan(scattered, { known }, atOnce)
    expect(nothing.seen).toBeNull()
    expect(nothing.rows).toBe(scattered.length)
    expect(scan(scattered, {}, atOnce)).toMatchObject({ seen: null, rows: 7 })
  }
})

test('blocks grow with the table, and rarely', () => {
  expect(pagesOfBlock(0, null)).toBe(1)
  expect(pagesOfBlock(65_535, null)).toBe(1)
  expect(pagesOfBlock(80_000, null)).toBe(2)
  expect(pagesOfBlock(260_000, 2)).toBe(2)
  expect(pagesOfBlock(270_000, 2)).toBe(8)
  expect(pagesOfBlock(4 * 2 * 32_768, 2)).toBe(2)
  expect(pagesOfBlock(4 * 2 * 32_768 + 1, 2)).toBe(8)
  // Blocks of no pages are one for all: not for ever.
  expect(pagesOfBlock(0, 0)).toBe(1)
})

const blocksOf = (leaf: number, ...numbers: number[]): Blocks['digests'] =>
  new Map([[leaf, new Map(numbers.map((block) => [block, String(block).padEnd(12)]))]])

test('blocks that follow each other are told once how they are numbered', () => {
  const digests = blocksOf(7, 3, 4, 5, 9, 8)
  const bytes = formatBlocks({ pages: 4, digests })
  expect(bytes.length).toBe(3 * 12 + 5 * 12)
  expect(parseBlocks(bytes, 4)).toEqual({ pages: 4, digests })
})

test('P2: of blocks that were cut off, none is known but those that came whole', () => {
  const bytes = formatBlocks({ pages: 4, digests: blocksOf(7, 3, 4, 5) })
  expect(parseBlocks(bytes.subarray(0, 12 + 2 * 12), 4).digests).toEqual(blocksOf(7, 3, 4))
  expect(parseBlocks(bytes.subarray(0, 11), 4).digests).toEqual(new Map())
})
