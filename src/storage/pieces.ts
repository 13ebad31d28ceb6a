/**
 * Rows on their way out of a source, as CSV in pieces: first in memory, then, when there are many,
 * in temporary files cut at row ends. Whoever wants them sooner takes them a group at a time while the
 * next one arrives, so that temporary disk holds two groups, whatever the table's size. The digest of
 * all bytes is taken as they pass: a small table that did not change is known before DuckDB is loaded.
 */
import { createHash } from 'node:crypto'
import { mkdir, open, unlink, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { ToteError } from '../errors.ts'

const BYTE_ORDER_MARK = Buffer.from('\uFEFF')
const BLOCK_BYTES = 1 << 20
// Each further one is twice as large: most tables are small, and unused memory, too, sets off the collector.
const FIRST_BLOCK_BYTES = 1 << 16
/** Kept in memory before the first file is begun. */
const SPILL_BYTES = 8 << 20
/** Of more rows or bytes it is not noted where each ends. */
const HELD_ROWS = 100_000
const HELD_BYTES = 4 << 20
const FEW_ENDS = 256
/** Each piece is read by one thread, and DuckDB's other threads spin until the last has been: small ones end together. */
const PIECE_BYTES = 4 << 20
/** What is taken at once becomes one file of the lake. */
const GROUP_BYTES = 96 << 20
/** Of a table that comes as a whole the first is smaller, and each further one twice as large: little is left to be worked on when its last row is there. */
export const FIRST_GROUP_BYTES = 16 << 20

/** Rows that lie together in files of their own. */
export interface PieceGroup {
  readonly rows: number
  readonly bytes: number
  /** Bytes of the longest row: DuckDB must be told when it is above 2 MB. */
  readonly longestRow: number
  /** Paths of the piece files, written now if they were still in memory. */
  files(): Promise<readonly string[]>
  /** Removes the files, or forgets what is in memory. */
  discard(): Promise<void>
}

/** Rows as they arrived, one after the other; each ends where `ends` says. */
export interface HeldRows {
  readonly bytes: Buffer
  readonly ends: Uint32Array
  /** The memory in which they lie, and nothing else: whoever needs the rows no more may have it filled anew. */
  readonly room: Buffer
}

/** The rows that nobody took on the way: all of them where nobody takes. */
export interface Pieces extends PieceGroup {
  /** All rows that passed, when they are few and still in memory. */
  readonly held: HeldRows | null
  /** Rows that passed, those taken included. */
  readonly passed: number
  /** sha256 of all of them in their order, lower-case hex; of nothing when none was asked for. */
  readonly digest: string
}

/** Whole rows that lie one after another, line ends included. */
export interface CsvRows {
  /** The giver's: they are copied before `many` returns. */
  readonly bytes: Buffer
  readonly count: number
  /** Where each ends in `bytes`; the first `count` count. */
  readonly ends: ArrayLike<number>
  /** Bytes of the longest. */
  readonly longest: number
}

export interface PieceWriter {
  row(csv: Buffer): void
  /** The same for rows that have come together. */
  many(rows: CsvRows): void
  ready(): Promise<void> | undefined
  readonly rows: number
  readonly bytes: number
  finish(): Promise<Pieces>
  discard(): Promise<void>
}

export interface PieceOptions {
  /**
   * Takes each group as soon as it is full. While it does, the next one may arrive; rows after that
   * wait. The files are removed once it has settled.
   */
  readonly take?: ((group: PieceGroup) => Promise<void>) | undefined
  /** False when nobody will compare the rows with those of another time. */
  readonly digest?: boolean | undefined
  /** About how many bytes will come, where that is known: they lie together then, and need not be put together. */
  readonly expectedBytes?: number | undefined
  /** How large the first group is, when not as large as all others. */
  readonly firstGroupBytes?: number | undefined
  /** Blocks that other pieces need no more, and where these leave theirs; of its own when not given. */
  readonly spare?: SpareBlocks | undefined
  /** How large a group is, when not as large as a file of the lake is to be. */
  readonly groupBytes?: number | undefined
}

/** Memory for rows that is free, of one size: new blocks would keep the collector busy, which counts what they hold. */
export type SpareBlocks = Buffer[]

interface Block {
  /** What is used of it. */
  readonly buffer: Buffer
  readonly whole: Buffer
  readonly rows: number
  readonly longestRow: number
}

interface Files {
  readonly paths: string[]
  rows: number
  bytes: number
  longestRow: number
}

/** Collects one table's rows; files, if any, are `<folder>/<name>-<n>.csv`. */
export function openPieceWriter(
  folder: string,
  name: string,
  {
    take,
    digest = true,
    expectedBytes = 0,
    groupBytes = GROUP_BYTES,
    firstGroupBytes = groupBytes,
    spare = [],
  }: PieceOptions = {},
): PieceWriter {
  const hash = createHash('sha256')
  const total = { rows: 0, bytes: 0 }
  let blocks: Block[] = []
  let block: Buffer = Buffer.allocUnsafe(0)
  let blockBytes = firstBlockBytes(expectedBytes)
  let inBlock = { used: 0, rows: 0, longestRow: 0 }
  let heldBytes = 0
  /** Null once there are too many, or some have been written to a file. */
  let ends: Uint32Array | null = new Uint32Array(FEW_ENDS)
  let group = noFiles()
  let fullBytes = firstGroupBytes
  let files = 0
  let file: { readonly handle: FileHandle; bytes: number } | undefined
  let writing: Promise<void> | undefined
  let taking: Promise<void> | undefined
  let failure: unknown

  const many = ({ bytes, count, longest, ends: cuts }: CsvRows): void => {
    if (ends !== null) ends = withEnds(ends, count, cuts)
    total.rows += count
    total.bytes += bytes.length
    if (bytes.length > block.length - inBlock.used) {
      seal()
      const free = (spare.at(-1)?.length ?? 0) < bytes.length ? undefined : spare.pop()
      block = free ?? Buffer.allocUnsafeSlow(Math.max(blockBytes, bytes.length))
      blockBytes = Math.min(2 * blockBytes, BLOCK_BYTES)
    }
    inBlock.used += bytes.copy(block, inBlock.used)
    inBlock.rows += count
    inBlock.longestRow = Math.max(inBlock.longestRow, longest)
  }
  const withEnds = (
    before: Uint32Array,
    count: number,
    cuts: CsvRows['ends'],
  ): Uint32Array | null => {
    const rows = total.rows + count
    if (total.bytes + (cuts[count - 1] ?? 0) > HELD_BYTES || rows > HELD_ROWS) return null
    const noted = rows > before.length ? new Uint32Array(2 * rows) : before
    if (noted !== before) noted.set(before)
    for (let row = 0; row < count; row++) noted[total.rows + row] = total.bytes + (cuts[row] ?? 0)
    return noted
  }
  const seal = (): void => {
    if (inBlock.used === 0) return
    const buffer = block.subarray(0, inBlock.used)
    if (digest) hash.update(buffer)
    blocks.push({ buffer, whole: block, rows: inBlock.rows, longestRow: inBlock.longestRow })
    heldBytes += buffer.length
    block = Buffer.allocUnsafe(0)
    inBlock = { used: 0, rows: 0, longestRow: 0 }
  }
  const spill = async (): Promise<void> => {
    const taken = blocks
    blocks = []
    ends = null
    heldBytes = 0
    try {
      for (const piece of inPieces(taken)) await append(piece)
    } catch (error) {
      throw unwritable(folder, error)
    }
    spare.push(...taken.flatMap(({ whole }) => (whole.length === BLOCK_BYTES ? [whole] : [])))
  }
  const append = async (taken: readonly Block[]): Promise<void> => {
    const buffers = taken.map(({ buffer }) => buffer)
    if (file === undefined) {
      await mkdir(folder, { recursive: true })
      const path = join(folder, `${name}-${files++}.csv`)
      group.paths.push(path)
      file = { handle: await open(path, 'w'), bytes: 0 }
      // DuckDB takes a byte order mark at the beginning for its own, also when it is a value's.
      if (buffers[0]?.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK) === true)
        await file.handle.write(BYTE_ORDER_MARK)
    }
    const size = buffers.reduce((sum, buffer) => sum + buffer.length, 0)
    // On a full disk a part may be written without an error.
    const { bytesWritten } = await file.handle.writev(buffers)
    if (bytesWritten !== size) throw new Error(`${bytesWritten} of ${size} bytes written`)
    file.bytes += size
    group.bytes += size
    for (const { rows, longestRow } of taken) {
      group.rows += rows
      group.longestRow = Math.max(group.longestRow, longestRow)
    }
    if (file.bytes >= PIECE_BYTES) await closeFile()
  }
  const closeFile = async (): Promise<void> => {
    const open = file
    file = undefined
    await open?.handle.close()
  }
  /** Hands the files over, once the ones before have been taken; rows still in memory are of the next group. */
  const handOver = async (taker: (group: PieceGroup) => Promise<void>): Promise<void> => {
    await taking
    await closeFile()
    const full = group
    group = noFiles()
    const given = {
      ...full,
      files: async () => full.paths,
      discard: async () => removeFiles(full.paths),
    }
    taking = takeAndDiscard(taker, given)
    taking.catch((error: unknown) => {
      failure ??= error
    })
  }
  const relieve = async (): Promise<void> => {
    await spill()
    if (take === undefined || group.bytes < fullBytes) return
    fullBytes = Math.min(2 * fullBytes, groupBytes)
    await handOver(take)
  }
  const discard = async (): Promise<void> => {
    await writing?.catch(() => undefined)
    await taking?.catch(() => undefined)
    await closeFile()
    blocks = []
    await removeFiles(group.paths)
  }
  return {
    get rows() {
      return total.rows
    },
    get bytes() {
      return total.bytes
    },
    row: (csv) => many({ bytes: csv, count: 1, longest: csv.length, ends: [csv.length] }),
    many,
    ready: () => {
      if (failure !== undefined) return Promise.reject(failure as Error)
      if (heldBytes < SPILL_BYTES) return undefined
      writing ??= relieve()
        .catch((error: unknown) => {
          failure ??= error
          throw error
        })
        .finally(() => {
          writing = undefined
        })
      return writing
    },
    finish: async () => {
      await writing
      await taking
      if (failure !== undefined) throw failure as Error
      seal()
      const held = blocks
      return {
        held: ends === null ? null : { ...asOne(held), ends: ends.subarray(0, total.rows) },
        passed: total.rows,
        digest: hash.digest('hex'),
        rows: held.reduce((sum, { rows }) => sum + rows, group.rows),
        bytes: group.bytes + heldBytes,
        longestRow: Math.max(group.longestRow, ...held.map(({ longestRow }) => longestRow)),
        files: async () => {
          await spill()
          await closeFile()
          return group.paths
        },
        discard,
      }
    },
    discard,
  }
}

/** More than is expected, for rows that are new: it is for some time, too. */
function firstBlockBytes(expectedBytes: number): number {
  return expectedBytes === 0 || expectedBytes > HELD_BYTES
    ? FIRST_BLOCK_BYTES
    : Math.ceil(expectedBytes * 1.1) + 4096
}

function asOne(blocks: readonly Block[]): Pick<HeldRows, 'bytes' | 'room'> {
  const [first, ...more] = blocks
  if (first !== undefined && more.length === 0) return { bytes: first.buffer, room: first.whole }
  const bytes = Buffer.concat(blocks.map(({ buffer }) => buffer))
  return { bytes, room: bytes }
}

/** Blocks side by side, none of the groups much larger than a piece. */
function inPieces(blocks: readonly Block[]): Block[][] {
  const pieces: Block[][] = []
  let bytes = PIECE_BYTES
  for (const block of blocks) {
    if (bytes >= PIECE_BYTES) pieces.push([])
    bytes = (bytes >= PIECE_BYTES ? 0 : bytes) + block.buffer.length
    pieces.at(-1)?.push(block)
  }
  return pieces
}

/** What was written is gone when the action fails. */
export async function discardAtFailure<T>(
  what: Pick<PieceWriter, 'discard'>,
  action: () => Promise<T>,
): Promise<T> {
  try {
    return await action()
  } catch (error) {
    await what.discard()
    throw error
  }
}

/** Several groups as one. */
export function joinGroups(groups: readonly PieceGroup[]): PieceGroup {
  return {
    rows: groups.reduce((sum, { rows }) => sum + rows, 0),
    bytes: groups.reduce((sum, { bytes }) => sum + bytes, 0),
    longestRow: Math.max(0, ...groups.map(({ longestRow }) => longestRow)),
    files: async () => (await Promise.all(groups.map(async (group) => group.files()))).flat(),
    discard: async () => {
      await Promise.all(groups.map(async (group) => group.discard()))
    },
  }
}

function noFiles(): Files {
  return { paths: [], rows: 0, bytes: 0, longestRow: 0 }
}

async function takeAndDiscard(
  take: (group: PieceGroup) => Promise<void>,
  group: PieceGroup,
): Promise<void> {
  try {
    await take(group)
  } finally {
    await group.discard()
  }
}

async function removeFiles(paths: string[]): Promise<void> {
  await Promise.all(paths.splice(0).map(async (path) => unlink(path).catch(() => undefined)))
}

function unwritable(folder: string, cause: unknown): ToteError {
  const code = String((cause as NodeJS.ErrnoException).code ?? 'no space left')
  return new ToteError(
    'LakeUnreachable',
    `Temporary files in "${folder}" could not be written (${code}).`,
    {
      where: folder,
      fix: 'free some disk space, or check the folder and its rights, then run again',
      cause,
    },
  )
}
