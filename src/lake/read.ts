/**
 * Reading a versioned table: current, as of a batch, or just a batch's changes. Older batches are
 * found through the manifests that closed the previous bases, so the newest manifest stays small.
 */
import { changedRows, currentRows } from '../columns/current.ts'
import type { WrittenFile } from '../columns/file.ts'
import type { Column } from '../types.ts'
import { recordCarried } from './carried.ts'
import { formatOf } from './keys.ts'
import type { CommittedManifest, DataFile, TableEntry } from './manifest.ts'
import type { Zone } from './zone.ts'

/**
 * A `select` of the table's rows as of `batch`, over files that were checked against their manifest.
 * They are carried as `manifest` says, or as `columns` do.
 */
export async function rowsAsOf(
  zone: Zone,
  manifest: CommittedManifest,
  table: string,
  batch: number,
  columns: readonly Column[] = manifest.tables[table]?.columns ?? [],
): Promise<string> {
  const entry = await entryAsOf(zone, manifest, table, batch)
  const { bulk, since } = filesAsOf(entry, batch)
  const local = async (files: readonly DataFile[]): Promise<WrittenFile[]> =>
    localFiles(zone, recordCarried(files, entry.columns, columns))
  return currentRows({
    columns,
    key: entry.key,
    bulk: await local(bulk),
    since: await local(since),
  })
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

/** The change files of the batches after `after`, up to `upTo`, oldest first, for a reader of `manifest`'s columns. */
export async function filesBetween(
  zone: Zone,
  manifest: CommittedManifest,
  table: string,
  after: number,
  upTo: number,
): Promise<readonly DataFile[]> {
  const found: DataFile[] = []
  const columns = manifest.tables[table]?.columns ?? []
  for (let entry: TableEntry | undefined = manifest.tables[table]; entry !== undefined;) {
    const files = entry.files.filter((file) => file.batch > after && file.batch <= upTo)
    found.unshift(...recordCarried(files, entry.columns, columns))
    if (baseBatch(entry) <= after || entry.previous === null) break
    entry = (await zone.chain(manifest.name).read(entry.previous)).tables[table]
  }
  return found
}

/** A `select` of `_tote_op` and the columns over change files that filesBetween found. */
export async function changesIn(
  zone: Zone,
  entry: TableEntry,
  files: readonly DataFile[],
): Promise<string> {
  return changedRows(entry.columns, await localFiles(zone, files))
}

/** A `select` of `_tote_op`, `_tote_batch` and the columns: every change of the table up to `batch`. */
export async function changesUpTo(
  zone: Zone,
  manifest: CommittedManifest,
  table: string,
  batch: number,
): Promise<string> {
  const entry = await entryAsOf(zone, manifest, table, manifest.batch)
  const files = await filesBetween(zone, manifest, table, 0, batch)
  return changedRows(entry.columns, await localFiles(zone, files))
}

/**
 * The files that make up the rows as of a batch, for an entry whose base is not newer. Without a base,
 * the first batch is one: every key stands in it once, as an upsert.
 */
function filesAsOf(
  entry: TableEntry,
  batch: number,
): { bulk: readonly DataFile[]; since: readonly DataFile[] } {
  const files = entry.files.filter((file) => file.batch <= batch)
  if (entry.base.length > 0) return { bulk: entry.base, since: files }
  const first = files[0]?.batch
  return {
    bulk: files.filter((file) => file.batch === first),
    since: files.filter((file) => file.batch !== first),
  }
}

async function entryAsOf(
  zone: Zone,
  manifest: CommittedManifest,
  table: string,
  batch: number,
): Promise<TableEntry> {
  let entry = manifest.tables[table]
  while (entry !== undefined && baseBatch(entry) > batch && entry.previous !== null) {
    entry = (await zone.chain(manifest.name).read(entry.previous)).tables[table]
  }
  if (entry === undefined)
    throw new RangeError(`no table "${table}" in chain "${manifest.name}" as of batch ${batch}`)
  return entry
}

function baseBatch(entry: TableEntry): number {
  return entry.base[0]?.batch ?? 0
}

async function localFiles(zone: Zone, files: readonly DataFile[]): Promise<WrittenFile[]> {
  return Promise.all(
    files.map(async (file) => ({
      path: await zone.store.localPath(file.key, file),
      format: formatOf(file.key),
      longest: file.longest ?? 0,
      carried: file.carried ?? {},
    })),
  )
}
