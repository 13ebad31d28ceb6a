/**
 * Reading a versioned table: current, as of a batch, or just a batch's changes. Older batches are
 * found through the manifests that closed the previous bases, so the newest manifest stays small.
 */
import { changedRows, currentRows, newestChanges, type Among } from '../columns/current.ts'
import { readParquetInOrder } from '../columns/file-parquet.ts'
import type { WrittenFile } from '../columns/file.ts'
import type { Column } from '../types.ts'
import { recordCarried } from './carried.ts'
import { formatOf } from './keys.ts'
import { firstBatch, splitBatch } from './history.ts'
import type { CommittedManifest, DataFile, TableEntry } from './manifest.ts'
import { isSorted } from './write.ts'
import type { Zone } from './zone.ts'

/**
 * A `select` of the table's rows as of `batch`, over files that were checked against their manifest.
 * They are carried as `manifest` says, or as `columns` do; all of them, or those `among` some keys.
 */
export async function rowsAsOf(
  zone: Zone,
  manifest: CommittedManifest,
  table: string,
  batch: number,
  columns: readonly Column[] = manifest.tables[table]?.columns ?? [],
  among: Among | null = null,
): Promise<string> {
  return rowsIn(zone, await filesAsOf(zone, manifest, table, batch), columns, among)
}

/** The files that make up a table's rows. */
export interface RowFiles {
  /** How they are carried, and their key. */
  readonly entry: TableEntry
  /** Every key stands in them once, as an upsert. */
  readonly bulk: readonly DataFile[]
  /** Changes after those, oldest first. */
  readonly since: readonly DataFile[]
}

/** A `select` of the rows that files make up; each file is checked against its manifest. */
export async function rowsIn(
  zone: Zone,
  { entry, bulk, since }: RowFiles,
  columns: readonly Column[],
  among: Among | null = null,
): Promise<string> {
  const local = async (files: readonly DataFile[]): Promise<WrittenFile[]> =>
    localFiles(zone, recordCarried(files, entry.columns, columns))
  const key = keyIn(entry, columns)
  return currentRows({ columns, key, bulk: await local(bulk), since: await local(since) }, among)
}

/** The key as `columns` call it, which may be newer than the entry. */
function keyIn(entry: TableEntry, columns: readonly Column[]): readonly string[] {
  return entry.key.map((name) => {
    const id = entry.columns.find((column) => column.name === name)?.id
    return columns.find((column) => column.id === id)?.name ?? name
  })
}

/** A `select` of `_tote_op` and the columns: the newest change of each key in the files after the bulk. */
export async function newestSince(
  zone: Zone,
  { entry, since }: Pick<RowFiles, 'entry' | 'since'>,
  columns: readonly Column[],
): Promise<string> {
  const local = await localFiles(zone, recordCarried(since, entry.columns, columns))
  return newestChanges(columns, entry.key, local, areOfOneBatch(since))
}

/** Then each key stands once in them. */
function areOfOneBatch(files: readonly DataFile[]): boolean {
  return files.every(({ batch, merged }) => batch === files[0]?.batch && merged === undefined)
}

/** The files that a batch added to the table; none when it changed nothing there. */
export async function filesOfBatch(
  zone: Zone,
  manifest: CommittedManifest,
  table: string,
  batch: number,
): Promise<readonly DataFile[]> {
  return filesBetween(zone, manifest, table, batch - 1, batch)
}

/**
 * The change files of the batches after `after`, up to `upTo`, and of no others, oldest first, for a
 * reader of `manifest`'s columns.
 */
export async function filesBetween(
  zone: Zone,
  manifest: CommittedManifest,
  table: string,
  after: number,
  upTo: number,
): Promise<readonly DataFile[]> {
  const entry = manifest.tables[table]
  if (entry === undefined || after >= upTo) return []
  const span = { after, upTo }
  const since = await within(zone, manifest, table, { files: entry.files, ...span })
  const based = baseBatch(entry)
  if (based <= after || entry.previous === null) return since
  const wrote = await zone.chain(manifest.name).read(entry.previous)
  const { columns = [], history } = wrote.tables[table] ?? {}
  const before =
    history === undefined
      ? await filesBetween(zone, wrote, table, after, Math.min(upTo, based))
      : await within(zone, wrote, table, { files: history.files, ...span })
  return [...recordCarried(before, columns, entry.columns), ...since]
}

/**
 * Of these files of a manifest, those of a span. One that was merged beyond its ends is replaced by
 * what it was made of.
 */
async function within(
  zone: Zone,
  manifest: CommittedManifest,
  table: string,
  {
    files,
    after,
    upTo,
  }: { readonly files: readonly DataFile[]; readonly after: number; readonly upTo: number },
): Promise<readonly DataFile[]> {
  const found: DataFile[] = []
  for (const file of files) {
    const first = firstBatch(file)
    if (file.batch <= after || first > upTo) continue
    if (file.merged === undefined || (first > after && file.batch <= upTo)) {
      found.push(file)
      continue
    }
    const made = await zone.chain(manifest.name).read(file.merged.manifest)
    const from = Math.max(after, first - 1)
    const parts = await filesBetween(zone, made, table, from, Math.min(upTo, file.batch))
    const columns = (entry: TableEntry | undefined): readonly Column[] => entry?.columns ?? []
    found.push(
      ...recordCarried(parts, columns(made.tables[table]), columns(manifest.tables[table])),
    )
  }
  return found
}

/** A `select` of `_tote_op` and the columns over change files that filesBetween found. */
export async function changesIn(
  zone: Zone,
  entry: Pick<TableEntry, 'columns'>,
  files: readonly DataFile[],
): Promise<string> {
  return changedRows(entry.columns, await localFiles(zone, files))
}

/** A `select` of `_tote_op` and the columns: the newest change of each key in files that filesBetween found. */
export async function newestIn(
  zone: Zone,
  entry: TableEntry,
  files: readonly DataFile[],
): Promise<string> {
  const local = await localFiles(zone, files)
  return newestChanges(entry.columns, entry.key, local, areOfOneBatch(files))
}

const PLACE_COLUMN = '_tote_place'

/**
 * A relation with `_tote_op`, `_tote_batch` and the columns, over change files that filesBetween found.
 * One file of upserts alone, of more than a few, is in the order of the key as it lies: there `place` names a column with
 * each row's place in it, so that numbering the rows needs no sorting.
 */
export async function changesWithPlace(
  zone: Zone,
  entry: TableEntry,
  files: readonly DataFile[],
): Promise<{ readonly relation: string; readonly place: string | null }> {
  const local = await localFiles(zone, files)
  const [only, ...others] = local
  const inOrder =
    only?.format === 'parquet' &&
    others.length === 0 &&
    files.every((file) => isSorted(file) && file.deletes === 0 && file.merged === undefined) &&
    Object.keys(only.carried).length === 0 &&
    only.names === undefined &&
    entry.columns.every(({ name }) => name.toLowerCase() !== 'file_row_number')
  return only !== undefined && inOrder
    ? { relation: readParquetInOrder(only.path, PLACE_COLUMN), place: PLACE_COLUMN }
    : { relation: `(${changedRows(entry.columns, local)})`, place: null }
}

/** A `select` of `_tote_op`, `_tote_batch` and the columns: every change of the table up to `batch`. */
export async function changesUpTo(
  zone: Zone,
  manifest: CommittedManifest,
  table: string,
  batch: number,
): Promise<string> {
  const entry = manifest.tables[table]
  if (entry === undefined) throw new RangeError(`no table "${table}" in chain "${manifest.name}"`)
  const files = await filesBetween(zone, manifest, table, 0, batch)
  return changedRows(entry.columns, await localFiles(zone, files))
}

/**
 * The files that make up the rows as of a batch: a base and the changes since. Without a base, the
 * first batch is one: every key stands in it once, as an upsert.
 */
export async function filesAsOf(
  zone: Zone,
  manifest: CommittedManifest,
  table: string,
  batch: number,
): Promise<RowFiles> {
  const near = await nearestBase(zone, manifest, table, batch)
  const entry = near.tables[table]
  if (entry === undefined)
    throw new RangeError(`no table "${table}" in chain "${manifest.name}" as of batch ${batch}`)
  const files = await within(zone, near, table, {
    files: entry.files,
    after: baseBatch(entry),
    upTo: batch,
  })
  if (entry.base.length > 0) return { entry, bulk: entry.base, since: files }
  const { of: bulk, after: since } = splitBatch(files, files[0]?.batch)
  return { entry, bulk, since }
}

/** A manifest whose base of the table is not newer than `batch`, and which knows of that batch. */
async function nearestBase(
  zone: Zone,
  manifest: CommittedManifest,
  table: string,
  batch: number,
): Promise<CommittedManifest> {
  let near = manifest
  for (;;) {
    const entry = near.tables[table]
    if (entry === undefined || baseBatch(entry) <= batch || entry.previous === null) return near
    const wrote = await zone.chain(manifest.name).read(entry.previous)
    const older = wrote.tables[table]?.history?.older.find((candidate) => candidate.batch >= batch)
    const next = older === undefined ? wrote : await zone.chain(manifest.name).read(older.manifest)
    if (next.number >= near.number) return near
    near = next
  }
}

/** Among which batches the newest one before `before` is that brought rows, as far as an entry tells by itself; 0: none may have. Pure. */
export function newestUpsert(
  { files }: Pick<TableEntry, 'files'>,
  before: number,
): { readonly from: number; readonly to: number } {
  const to = before - 1
  for (const { batch, rows, deletes, merged } of files.toReversed()) {
    if (batch >= before) continue
    // What a later delete took away is in no merged file.
    if (merged !== undefined) return { from: rows > deletes ? merged.from : 0, to }
    if (rows > deletes) return { from: batch, to: batch }
  }
  return { from: 0, to }
}

function baseBatch(entry: TableEntry): number {
  return entry.base[0]?.batch ?? 0
}

/** Where the files can be read, each checked against what its manifest says. */
export async function localFiles(zone: Zone, files: readonly DataFile[]): Promise<WrittenFile[]> {
  return Promise.all(
    files.map(async (file) => ({
      path: await zone.store.localPath(file.key, file),
      format: formatOf(file.key),
      longest: file.longest ?? 0,
      carried: file.carried ?? {},
      ...(file.names === undefined ? {} : { names: file.names }),
      ...(file.order === undefined ? {} : { order: file.order }),
    })),
  )
}
