/**
 * Rows on their way out of a source, as CSV in pieces: first in memory, then, when there are many,
 * in temporary files cut at row ends. The digest of all bytes is taken as they pass, so a table that
 * did not change is known before DuckDB is even loaded.
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
/** Each piece is read by one thread, so many small ones keep all threads at work. */
const PIECE_BYTES = 16 << 20

export interface Pieces {
  readonly rows: number
  readonly bytes: number
  /** sha256 of all rows in their order, lower-case hex. */
  readonly digest: string
  /** Bytes of the longest row: DuckDB must be told when it is above 2 MB. */
  readonly longestRow: number
  /** Paths of the piece files, written now if they were still in memory. */
  files(): Promise<readonly string[]>
  /** Removes the files. */
  discard(): Promise<void>
}

export interface PieceWriter {
  row(csv: Buffer): void
  ready(): Promise<void> | undefined
  readonly rows: number
  readonly bytes: number
  finish(): Promise<Pieces>
  discard(): Promise<void>
}

/** Collects one table's rows; files, if any, are `<folder>/<name>-<n>.csv`. */
export function openPieceWriter(folder: string, name: string): PieceWriter {
  const hash = createHash('sha256')
  const paths: string[] = []
  let blocks: Buffer[] = []
  let block = Buffer.allocUnsafe(0)
  let blockBytes = FIRST_BLOCK_BYTES
  let used = 0
  let heldBytes = 0
  let rows = 0
  let bytes = 0
  let longestRow = 0
  let file: FileHandle | undefined
  let fileBytes = 0
  let writing: Promise<void> | undefined
  let failure: unknown

  const seal = (): void => {
    if (used === 0) return
    const full = block.subarray(0, used)
    hash.update(full)
    blocks.push(full)
    heldBytes += used
    used = 0
  }
  const spill = async (): Promise<void> => {
    const taken = blocks
    blocks = []
    heldBytes = 0
    if (taken.length === 0) return
    try {
      await append(taken)
    } catch (error) {
      const code = String((error as NodeJS.ErrnoException).code ?? 'no space left')
      throw new ToteError(
        'LakeUnreachable',
        `Temporary files in "${folder}" could not be written (${code}).`,
        {
          where: folder,
          fix: 'free some disk space, or check the folder and its rights, then run again',
          cause: error,
        },
      )
    }
  }
  const append = async (taken: Buffer[]): Promise<void> => {
    if (file === undefined) {
      await mkdir(folder, { recursive: true })
      const path = join(folder, `${name}-${paths.length}.csv`)
      paths.push(path)
      file = await open(path, 'w')
      fileBytes = 0
      // DuckDB takes a byte order mark at the beginning for its own, also when it is a value's.
      if (taken[0]?.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK) === true)
        await file.write(BYTE_ORDER_MARK)
    }
    const size = taken.reduce((sum, buffer) => sum + buffer.length, 0)
    // On a full disk a part may be written without an error.
    const { bytesWritten } = await file.writev(taken)
    if (bytesWritten !== size) throw new Error(`${bytesWritten} of ${size} bytes written`)
    fileBytes += size
    if (fileBytes >= PIECE_BYTES) {
      await file.close()
      file = undefined
    }
  }
  const discard = async (): Promise<void> => {
    await writing?.catch(() => undefined)
    await file?.close()
    file = undefined
    blocks = []
    await Promise.all(paths.splice(0).map(async (path) => unlink(path).catch(() => undefined)))
  }
  return {
    get rows() {
      return rows
    },
    get bytes() {
      return bytes
    },
    row: (csv) => {
      rows += 1
      bytes += csv.length
      if (csv.length > longestRow) longestRow = csv.length
      if (csv.length > block.length - used) {
        seal()
        block = Buffer.allocUnsafe(Math.max(blockBytes, csv.length))
        blockBytes = Math.min(2 * blockBytes, BLOCK_BYTES)
      }
      used += csv.copy(block, used)
    },
    ready: () => {
      if (failure !== undefined) return Promise.reject(failure as Error)
      if (heldBytes < SPILL_BYTES) return undefined
      writing ??= spill()
        .catch((error: unknown) => {
          failure = error
          throw error
        })
        .finally(() => {
          writing = undefined
        })
      return writing
    },
    finish: async () => {
      await writing
      if (failure !== undefined) throw failure as Error
      seal()
      const digest = hash.digest('hex')
      return {
        rows,
        bytes,
        digest,
        longestRow,
        files: async () => {
          await spill()
          await file?.close()
          file = undefined
          return paths
        },
        discard,
      }
    },
    discard,
  }
}
