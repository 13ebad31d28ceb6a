/**
 * Pairs as they pass, told apart by blocks: the pages of a table in groups, in the order in which they lie.
 * A block whose bytes are those of the last batch holds the same pairs, and nobody looks at them again; the
 * others are kept. So a table in which little happened costs its scan, whatever its size. Blocks are
 * numbered by their pages, and a scan that does not come page after page is noticed.
 */
import { createHash } from 'node:crypto'
import type { PieceWriter } from '../columns/pieces.ts'
import type { IdSpan, RowSink } from '../sources/source.ts'

/** Digests of pairs by block, and how many pages a block has; 0: all rows are one block. */
export interface Blocks {
  readonly pages: number
  /** By leaf (0 where pairs name none), by block. */
  readonly digests: ReadonlyMap<number, ReadonlyMap<number, string>>
}

/** A block of one leaf. */
export type BlockName = readonly [leaf: number, block: number]

export interface BlockWatch extends RowSink {
  /** Rows that passed. */
  readonly rows: number
  /** When all rows have passed. Null where they did not come block by block, so that what was kept says nothing. */
  finish(): SeenBlocks | null
}

export interface SeenBlocks {
  readonly blocks: Blocks
  /** Those whose pairs were kept, and those that are gone. */
  readonly changed: readonly BlockName[]
}

export interface WatchOptions {
  /** Pages of a block. */
  readonly pages: number
  /** What the last batch saw in blocks of as many pages; null keeps every row. */
  readonly known: Blocks | null
  /** Rows begin with the table that they lie in. */
  readonly partitioned: boolean
  /** Rows with such an `xmin` may be others than they seem, so their blocks are kept. */
  readonly reused: IdSpan | null
  /** Takes the rows of blocks that are not as they were. */
  readonly writer: Pick<PieceWriter, 'row' | 'ready'>
}

/** So many digests at most, or a few times as many before blocks become larger. */
const MOST_BLOCKS = 16_384

/** Pages of a block for a table of so many; those of the last batch as long as they will do. */
export function pagesOfBlock(pages: number, known: number | null): number {
  if (known !== null && known > 0 && pages <= 4 * known * MOST_BLOCKS) return known
  return 2 ** Math.ceil(Math.log2(Math.max(1, pages / MOST_BLOCKS)))
}

const [ZERO, COMMA] = [0x30, 0x2c]

/** A sink for the rows of a reading of pairs: `[leaf,]xmin,"(page,item)",key…`. */
export function watchBlocks(options: WatchOptions): BlockWatch {
  const { pages, known, partitioned, reused, writer } = options
  const digests = new Map<number, Map<number, string>>()
  const changed: BlockName[] = []
  let rows = 0
  let scattered = false
  let held = Buffer.allocUnsafe(1 << 16)
  let ends: number[] = []
  let used = 0
  let kept = false
  let [leafNow, blockNow] = [-1, -1]

  const endBlock = (): void => {
    if (used === 0) return
    const digest = digestOf(held.subarray(0, used))
    let ofLeaf = digests.get(leafNow)
    if (ofLeaf === undefined) digests.set(leafNow, (ofLeaf = new Map()))
    if (ofLeaf.has(blockNow)) scattered = true
    ofLeaf.set(blockNow, digest)
    if (kept || known?.digests.get(leafNow)?.get(blockNow) !== digest) {
      changed.push([leafNow, blockNow])
      let from = 0
      for (const to of ends) {
        writer.row(held.subarray(from, to))
        from = to
      }
    }
    used = 0
    ends = []
    kept = false
  }
  const hold = (csv: Buffer): void => {
    if (used + csv.length > held.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * held.length, used + csv.length))
      held.copy(larger, 0, 0, used)
      held = larger
    }
    used += csv.copy(held, used)
    ends.push(used)
  }
  return {
    get rows() {
      return rows
    },
    row: (csv) => {
      rows += 1
      if (scattered) {
        // Whoever keeps every row needs no blocks for it.
        if (known === null) writer.row(csv)
        return
      }
      let at = 0
      let leaf = 0
      let xmin = 0
      let page = 0
      let digit: number
      if (partitioned)
        while ((digit = csv[at++] ?? COMMA) !== COMMA) leaf = leaf * 10 + digit - ZERO
      while ((digit = csv[at++] ?? COMMA) !== COMMA) xmin = xmin * 10 + digit - ZERO
      // `"(`
      at += 2
      while ((digit = csv[at++] ?? COMMA) !== COMMA) page = page * 10 + digit - ZERO
      const block = Math.floor(page / pages)
      if (block !== blockNow || leaf !== leafNow) {
        endBlock()
        leafNow = leaf
        blockNow = block
      }
      hold(csv)
      // `>>> 0` counts ids on after the last one.
      if (reused !== null && (xmin - reused.first) >>> 0 < reused.count) kept = true
    },
    ready: () => writer.ready(),
    finish: () => {
      endBlock()
      if (scattered) return null
      for (const [leaf, blocks] of known?.digests ?? [])
        for (const block of blocks.keys())
          if (digests.get(leaf)?.has(block) !== true) changed.push([leaf, block])
      return { blocks: { pages, digests }, changed }
    },
  }
}

const DIGEST_BYTES = 16

/** The first half of the sha256, as a text of 16 characters. */
function digestOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest().toString('latin1', 0, DIGEST_BYTES)
}

const RECORD_BYTES = 8 + DIGEST_BYTES

/** Blocks as bytes: the leaf and the number of each, 32 bits each, and its digest. */
export function formatBlocks({ digests }: Blocks): Buffer {
  const records = [...digests].flatMap(([leaf, blocks]) =>
    [...blocks].map(([block, digest]) => {
      const record = Buffer.alloc(RECORD_BYTES)
      record.writeUInt32LE(leaf, 0)
      record.writeUInt32LE(block, 4)
      record.write(digest, 8, 'latin1')
      return record
    }),
  )
  return Buffer.concat(records)
}

/** The inverse of formatBlocks. */
export function parseBlocks(bytes: Buffer, pages: number): Blocks {
  const digests = new Map<number, Map<number, string>>()
  for (let at = 0; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES) {
    const leaf = bytes.readUInt32LE(at)
    let ofLeaf = digests.get(leaf)
    if (ofLeaf === undefined) digests.set(leaf, (ofLeaf = new Map()))
    ofLeaf.set(bytes.readUInt32LE(at + 4), bytes.toString('latin1', at + 8, at + RECORD_BYTES))
  }
  return { pages, digests }
}
