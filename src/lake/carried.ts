/**
 * How the files of a table carry its columns. A file is never changed: where a column has come to be
 * carried otherwise, the manifest says of the older files what they hold.
 */
import type { Column } from '../types.ts'
import type { DataFile, TableEntry } from './manifest.ts'

/** `files` of a table whose columns were `before`, for a reader to whom they are `now`. */
export function recordCarried(
  files: readonly DataFile[],
  before: readonly Column[],
  now: readonly Column[],
): readonly DataFile[] {
  const asked = new Map(now.map((column) => [column.name, column.carried]))
  const other = Object.fromEntries(
    before
      .filter(({ name, carried }) => asked.has(name) && asked.get(name) !== carried)
      .map(({ name, carried }) => [name, carried] as const),
  )
  if (Object.keys(other).length === 0) return files
  return files.map((file) => ({ ...file, carried: { ...other, ...file.carried } }))
}

/** The files of a table's last entry, as an entry with columns `now` goes on with them. */
export function goOnWith(
  entry: TableEntry | null,
  now: readonly Column[],
): Pick<TableEntry, 'base' | 'files' | 'previous'> {
  if (entry === null) return { base: [], files: [], previous: null }
  const { base, files, columns, previous } = entry
  return {
    base: recordCarried(base, columns, now),
    files: recordCarried(files, columns, now),
    previous,
  }
}
