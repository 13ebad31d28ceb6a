/**
 * Places and `xmin` of rows as they pass, told apart by blocks: the pages of a table in groups, in the order in
 * which they lie. A block whose digest is that of the last batch holds the same row versions, so the same pairs, and
 * nobody looks at them again; the places of the others are kept. So a table in which little happened costs
 * its scan, whatever its size. Blocks are numbered by their pages, and a scan that does not come page after
 * page is noticed.
 */
import { hash } from 'node:crypto'
import { formatPlace, placeRow, type IdSpan, type PlaceRow } from '../sources/source.ts'

/** Digests of pairs by block, and how many pages a block has; 0: all rows are one block. */
export interface Blocks {
  readonly pages: number
  /** By leaf (0 where pairs name none), by block. */
  readonly digests: ReadonlyMap<number, ReadonlyMap<number, string>>
}

/** A block of one leaf. */
export type BlockName = readonly [leaf: number, block: number]

export interface BlockWatch {
  /** Rows of a reading of pairs, `[leaf,]xmin,"(page,item)",key…`. */
  pair(csv: Buffer): void
  /** Rows of a reading of places, one after the other. */
  places(rows: Buffer): void
  /** Rows that passed. */
  readonly rows: number
  /** When all rows have passed. Null where they did not come block by block, so that what was kept says nothing. */
  finish(): SeenBlocks | null
}

export interface SeenBlocks {
  readonly blocks: Blocks
  /** Those that are not as they were, and those that are gone. */
  readonly changed: readonly BlockName[]
}

export interface WatchOptions {
  /** Pages of a block. */
  readonly pages: number
  /** What the last batch saw in blocks of as many pages. */
  readonly known: Blocks | null
  /** Rows name the table that they lie in. */
  readonly partitioned: boolean
  /** Rows with such an `xmin` may be others than they seem, so their blocks count as changed. */
  readonly reused: IdSpan | null
  /** Takes the places of a block that is not as it was, as lines of CSV: `[leaf,]xmin,page,item`. */
  readonly onChanged: (rows: string) => void
}

/** So many digests or more; a few times as many before blocks become larger. */
const MANY_BLOCKS = 32_768

/** Pages of a block for a table of so many; those of the last batch as long as they will do. */
export function pagesOfBlock(pages: number, known: number | null): number {
  if (known !== null && known > 0 && pages <= 4 * known * MANY_BLOCKS) return known
  return 2 ** Math.floor(Math.log2(Math.max(1, pages / MANY_BLOCKS)))
}

/** Rows as they pass, in either form; digests are of places, so that both come to the same. */
export function watchBlocks(options: WatchOptions): BlockWatch {
  const { pages, known, partitioned, reused, onChanged } = options
  const row = placeRow(partitioned)
  const placeOf = readPlaces(partitioned)
  const digests = new Map<number, Map<number, string>>()
  const changed: BlockName[] = []
  let rows = 0
  let scattered = false
  /** The places of the block that is passing. */
  let held = Buffer.allocUnsafe(1 << 16)
  let used = 0
  let suspect = false
  let [leafNow, blockNow] = [-1, -1]

  const endBlock = (): void => {
    if (used === 0) return
    const block = held.subarray(0, used)
    const digest = digestOf(block)
    let ofLeaf = digests.get(leafNow)
    if (ofLeaf === undefined) digests.set(leafNow, (ofLeaf = new Map()))
    if (ofLeaf.has(blockNow)) scattered = true
    ofLeaf.set(blockNow, digest)
    if (suspect || known?.digests.get(leafNow)?.get(blockNow) !== digest) {
      changed.push([leafNow, blockNow])
      let text = ''
      for (let at = 0; at < used; at += row.bytes) text += placeText(block, at, row)
      onChanged(text)
    }
    used = 0
    suspect = false
  }
  const hold = (places: Buffer): void => {
    if (used + places.length > held.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * held.length, used + places.length))
      held.copy(larger, 0, 0, used)
      held = larger
    }
    used += places.copy(held, used)
  }
  const places = (bytes: Buffer): void => {
    rows += bytes.length / row.bytes
    if (scattered) return
    let from = 0
    for (let at = 0; at < bytes.length; at += row.bytes) {
      const block = Math.floor(bytes.readUInt32BE(at + row.page) / pages)
      const leaf = row.leaf === null ? 0 : bytes.readUInt32BE(at + row.leaf)
      if (block !== blockNow || leaf !== leafNow) {
        if (at > from) hold(bytes.subarray(from, at))
        from = at
        endBlock()
        leafNow = leaf
        blockNow = block
      }
      // `>>> 0` counts ids on after the last one.
      if (
        reused !== null &&
        (bytes.readUInt32BE(at + row.xmin) - reused.first) >>> 0 < reused.count
      )
        suspect = true
    }
    hold(bytes.subarray(from))
  }
  return {
    get rows() {
      return rows
    },
    pair: (csv) => places(placeOf(csv)),
    places,
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

function placeText(block: Buffer, at: number, row: PlaceRow): string {
  const leaf = row.leaf === null ? '' : `${block.readUInt32BE(at + row.leaf)},`
  const [xmin, page] = [block.readUInt32BE(at + row.xmin), block.readUInt32BE(at + row.page)]
  return `${leaf}${xmin},${page},${block.readUInt16BE(at + row.item)}\n`
}

const [ZERO, COMMA, CLOSING] = [0x30, 0x2c, 0x29]

/** Takes the place out of each row of a reading of pairs; the buffer is the same every time. */
function readPlaces(partitioned: boolean): (csv: Buffer) => Buffer {
  const row = placeRow(partitioned)
  const place = formatPlace(row)
  return (csv) => {
    let at = 0
    const number = (end: number): number => {
      let value = 0
      for (let digit; (digit = csv[at++] ?? end) !== end;) value = value * 10 + digit - ZERO
      return value
    }
    if (row.leaf !== null) place.writeUInt32BE(number(COMMA), row.leaf)
    place.writeUInt32BE(number(COMMA), row.xmin)
    // `"(`
    at += 2
    place.writeUInt32BE(number(COMMA), row.page)
    place.writeUInt16BE(number(CLOSING), row.item)
    return place
  }
}

/** Enough to tell what nobody chooses: which transaction wrote which place. */
const DIGEST_BYTES = 12

/** The first 96 bits of the sha256, as a text of 12 characters. */
function digestOf(bytes: Buffer): string {
  return hash('sha256', bytes, 'buffer').toString('latin1', 0, DIGEST_BYTES)
}

/** All rows as one block, which need not come in the order of their places: `sha256` of them, in hex. */
export function oneBlock(sha256: string): Blocks {
  const digest = Buffer.from(sha256, 'hex').toString('latin1', 0, DIGEST_BYTES)
  return { pages: 0, digests: new Map([[0, new Map([[0, digest]])]]) }
}

export function sameBlock(one: Blocks | null, other: Blocks | undefined): boolean {
  const digest = one?.digests.get(0)?.get(0)
  return digest !== undefined && digest === other?.digests.get(0)?.get(0)
}

const HEADER_BYTES = 12

/** Blocks as bytes, in runs that follow each other: the leaf, the first and how many, 32 bits each, and their digests. */
export function formatBlocks({ digests }: Blocks): Buffer {
  const parts: Buffer[] = []
  for (const [leaf, blocks] of digests) {
    let header = Buffer.alloc(0)
    let next = -1
    for (const [block, digest] of blocks) {
      if (block !== next) {
        header = Buffer.alloc(HEADER_BYTES)
        header.writeUInt32LE(leaf, 0)
        header.writeUInt32LE(block, 4)
        parts.push(header)
      }
      header.writeUInt32LE(header.readUInt32LE(8) + 1, 8)
      if (digest.length !== DIGEST_BYTES) throw new RangeError('a digest of another length')
      parts.push(Buffer.from(digest, 'latin1'))
      next = block + 1
    }
  }
  return Buffer.concat(parts)
}

/** The inverse of formatBlocks. */
export function parseBlocks(bytes: Buffer, pages: number): Blocks {
  const digests = new Map<number, Map<number, string>>()
  for (let at = 0; at + HEADER_BYTES <= bytes.length;) {
    const [leaf, first, count] = [0, 4, 8].map((offset) => bytes.readUInt32LE(at + offset)) as [
      number,
      number,
      number,
    ]
    let ofLeaf = digests.get(leaf)
    if (ofLeaf === undefined) digests.set(leaf, (ofLeaf = new Map()))
    at += HEADER_BYTES
    for (let block = first; block < first + count && at < bytes.length; block++) {
      ofLeaf.set(block, bytes.toString('latin1', at, at + DIGEST_BYTES))
      at += DIGEST_BYTES
    }
  }
  return { pages, digests }
}
