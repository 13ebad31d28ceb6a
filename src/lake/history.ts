/**
 * How a table's history stays cheap to read (pure). Change files are merged so that each is more than
 * twice as large as all that follow it: their number grows with the logarithm of the rows, and so does
 * the number of times that a row is written again. Older bases are found as in a skip list.
 */
import type { DataFile, OlderBase } from './manifest.ts'

/** No merged file becomes larger than this, so that none is too large to write again. */
const MAX_MERGED_ROWS = 4_000_000

/** The first batch whose changes a file holds. */
export function firstBatch(file: DataFile): number {
  return file.merged?.from ?? file.batch
}

/** Change files, oldest first, in runs to be merged; a run of one stays as it is. */
export function mergeRuns(files: readonly DataFile[]): DataFile[][] {
  const runs: { readonly files: DataFile[]; rows: number }[] = []
  for (const file of files) {
    runs.push({ files: [file], rows: file.rows })
    for (;;) {
      const [before, last] = [runs.at(-2), runs.at(-1)]
      if (before === undefined || last === undefined) break
      const rows = before.rows + last.rows
      if (before.rows > 2 * last.rows || rows > MAX_MERGED_ROWS) break
      runs.splice(-2, 2, { files: [...before.files, ...last.files], rows })
    }
  }
  return runs.map((run) => run.files)
}

/** Files of one batch are its own parts, and stay together. */
export function splitBatch(
  files: readonly DataFile[],
  batch: number | undefined,
): { readonly of: DataFile[]; readonly after: DataFile[] } {
  const index = files.findIndex((file) => file.batch !== batch)
  const at = index === -1 ? files.length : index
  return { of: files.slice(0, at), after: files.slice(at) }
}

/**
 * The list with one more: of every power of two, the newest whose number it divides. From each base
 * any older one is a few steps away, and the list has one entry for each doubling of their number.
 */
export function addOlder(
  older: readonly OlderBase[],
  next: Omit<OlderBase, 'number'>,
): OlderBase[] {
  const all = [...older, { ...next, number: (older.at(-1)?.number ?? 0) + 1 }]
  const newest = all.at(-1)?.number ?? 0
  const kept = new Set<number>()
  for (let step = 1; step <= newest; step *= 2) kept.add(newest - (newest % step))
  return all.filter(({ number }) => kept.has(number))
}
