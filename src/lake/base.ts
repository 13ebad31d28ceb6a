/**
 * Compaction: bases (full copies of the current rows) and merged change files, written now and then as
 * new objects in a manifest that adds no batch, so that reading stays cheap and manifests small however
 * many batches there are. Nothing is removed: what was merged is found through older manifests.
 */
import type { Engine } from '../columns/engine.ts'
import { OP_COLUMN, quoteName } from '../columns/sql.ts'
import { ToteError } from '../errors.ts'
import type { Context } from '../events.ts'
import { addOlder, firstBatch, mergeRuns, splitBatch } from './history.ts'
import {
  tableEntries,
  type CommittedManifest,
  type DataFile,
  type OlderBase,
  type TableEntry,
} from './manifest.ts'
import { changesIn, filesBetween, rowsAsOf } from './read.ts'
import { writeRows, type RowsToWrite } from './write.ts'
import type { Zone } from './zone.ts'

export interface BasePolicy {
  /** Compaction is due when a table has more change files than this since its base. */
  readonly files: number
  /** A table of at most so many rows gets a base without a thought. */
  readonly fewRows?: number
  /** A base of more rows waits until one in so many has changed; until then change files are merged. */
  readonly share?: number
}

const FEW_ROWS = 100_000
const SHARE = 8

/**
 * What a table needs so that reading it stays cheap: a base when enough has changed since the last,
 * else, when only the number of files has grown, merged change files.
 */
export function dueCompaction(
  entry: Pick<TableEntry, 'base' | 'files' | 'rows'>,
  policy: BasePolicy,
): 'base' | 'merge' | null {
  const { files, fewRows = FEW_ROWS, share = SHARE } = policy
  const since = sinceBase(entry)
  const changed = since.reduce((sum, file) => sum + file.rows, 0)
  if (changed > Math.max(entry.rows, fewRows)) return 'base'
  if (since.length <= files) return null
  if (entry.rows <= fewRows || changed * share >= entry.rows) return 'base'
  return mergeRuns(since).some((run) => run.length > 1) ? 'merge' : 'base'
}

/** The change files after what serves as the base: without one, the files of the first batch. */
function sinceBase({ base, files }: Pick<TableEntry, 'base' | 'files'>): readonly DataFile[] {
  return base.length > 0 ? files : splitBatch(files, files[0]?.batch).after
}

/**
 * Writes the bases that are due and commits them; returns the newest manifest. A base is only for
 * speed: failing to write one, or losing the race to commit it, must not fail a batch that is there.
 */
export async function writeDueBases(
  zone: Zone,
  engine: Engine,
  manifest: CommittedManifest,
  policy: BasePolicy,
  context: Context,
): Promise<CommittedManifest> {
  try {
    return await writeBases(zone, engine, manifest, { ...policy, run: context.run })
  } catch (error) {
    context.signal.throwIfAborted()
    if (!(error instanceof ToteError)) throw error
    context.emit({ type: 'note', level: 'info', text: `no base was written: ${error.message}` })
    return manifest
  }
}

/** The same, throwing what went wrong: LakeConflict when another run committed first. */
async function writeBases(
  zone: Zone,
  engine: Engine,
  manifest: CommittedManifest,
  options: BasePolicy & { readonly run: string },
): Promise<CommittedManifest> {
  const due = Object.entries(manifest.tables).flatMap(([table, entry]) => {
    const what = dueCompaction(entry, options)
    return what === null ? [] : [{ table, entry, what }]
  })
  if (due.length === 0) return manifest
  const {
    format: _format,
    name,
    number: _number,
    parent: _parent,
    sha256: _sha256,
    ...draft
  } = manifest
  const tables = tableEntries(Object.entries(manifest.tables))
  for (const { table, entry, what } of due) {
    const work = { zone, engine, manifest, table, entry }
    tables[table] = what === 'base' ? await withBase(work) : await withMergedFiles(work)
  }
  return zone.chain(name).commit({ ...draft, run: options.run, tables }, manifest)
}

interface Compacting {
  readonly zone: Zone
  readonly engine: Engine
  readonly manifest: CommittedManifest
  readonly table: string
  readonly entry: TableEntry
}

/** The entry with a new base; the changes before it become history, which the new manifest tells. */
async function withBase(work: Compacting): Promise<TableEntry> {
  const { zone, engine, manifest, table, entry } = work
  const rows = await rowsAsOf(zone, manifest, table, manifest.batch)
  const base = await writeRows(zone, engine, {
    ...placeOf(work),
    relation: `(select 'u' as ${quoteName(OP_COLUMN)}, * from (${rows}))`,
    batch: manifest.batch,
    base: true,
    rows: entry.rows,
    deletes: 0,
  })
  const all = await filesBetween(zone, manifest, table, 0, manifest.batch)
  const { of: first, after } = splitBatch(all, all[0]?.batch)
  const older = await olderBases(zone, manifest, table)
  return {
    ...entry,
    base: [base],
    files: [],
    previous: manifest.number + 1,
    history: {
      files: [...first, ...(await merge(work, after))],
      older: addOlder(older, { batch: manifest.batch, manifest: manifest.number }),
    },
  }
}

/** Of what the last base knew; a lake of the first format told of one older base alone. */
async function olderBases(
  zone: Zone,
  manifest: CommittedManifest,
  table: string,
): Promise<readonly OlderBase[]> {
  const { previous } = manifest.tables[table] ?? {}
  if (typeof previous !== 'number') return []
  const wrote = await zone.chain(manifest.name).read(previous)
  const { history } = wrote.tables[table] ?? {}
  return history?.older ?? addOlder([], { batch: wrote.batch, manifest: wrote.number })
}

async function withMergedFiles(work: Compacting): Promise<TableEntry> {
  const { entry } = work
  const since = sinceBase(entry)
  const kept = entry.files.slice(0, entry.files.length - since.length)
  return { ...entry, files: [...kept, ...(await merge(work, since))] }
}

/** The same changes in fewer files. */
async function merge(work: Compacting, files: readonly DataFile[]): Promise<DataFile[]> {
  const merged: DataFile[] = []
  for (const run of mergeRuns(files)) {
    const [first, ...more] = run
    if (first === undefined) continue
    merged.push(more.length === 0 ? first : await mergeFiles(work, run, firstBatch(first)))
  }
  return merged
}

async function mergeFiles(
  work: Compacting,
  files: readonly DataFile[],
  from: number,
): Promise<DataFile> {
  const { zone, engine, manifest, entry } = work
  const file = await writeRows(zone, engine, {
    ...placeOf(work),
    relation: `(${await changesIn(zone, entry, files)})`,
    batch: Math.max(...files.map(({ batch }) => batch)),
    keepsBatches: true,
    base: false,
    rows: files.reduce((sum, { rows }) => sum + rows, 0),
    deletes: files.reduce((sum, { deletes }) => sum + deletes, 0),
  })
  return { ...file, merged: { from, manifest: manifest.number } }
}

function placeOf({
  manifest,
  table,
  entry,
}: Compacting): Pick<RowsToWrite, 'chain' | 'table' | 'columns' | 'key' | 'instant'> {
  const { name: chain, instant } = manifest
  return { chain, table, columns: entry.columns, key: entry.key, instant }
}
