/**
 * Bases: full copies of the current rows, written now and then as new objects in a manifest that adds
 * no batch, so that reading stays cheap. Nothing is removed: older batches are found through `previous`.
 */
import type { Engine } from '../columns/engine.ts'
import { OP_COLUMN, quoteName } from '../columns/sql.ts'
import { ToteError } from '../errors.ts'
import type { Context } from '../events.ts'
import { tableEntries, type CommittedManifest, type TableEntry } from './manifest.ts'
import { rowsAsOf } from './read.ts'
import { writeRows } from './write.ts'
import type { Zone } from './zone.ts'

export interface BasePolicy {
  /** A base is written when a table has more change files than this since the last. */
  readonly files: number
}

/** Whether a table's changes since its base have grown so many that a new base pays. */
export function wantsBase(entry: TableEntry, policy: BasePolicy): boolean {
  if (entry.files.length > policy.files) return true
  const first = entry.base.length > 0 ? 0 : (entry.files[0]?.rows ?? 0)
  const changed = entry.files.reduce((sum, file) => sum + file.rows, 0) - first
  return entry.files.length > 1 && changed > Math.max(entry.rows, 100_000)
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
  const due = Object.entries(manifest.tables).filter(([, entry]) => wantsBase(entry, options))
  if (due.length === 0) return manifest
  const { format: _format, name, number, parent: _parent, sha256: _sha256, ...draft } = manifest
  const tables = tableEntries(Object.entries(manifest.tables))
  for (const [table, entry] of due) {
    const rows = await rowsAsOf(zone, manifest, table, manifest.batch)
    const base = await writeRows(zone, engine, {
      chain: name,
      table,
      relation: `(select 'u' as ${quoteName(OP_COLUMN)}, * from (${rows}))`,
      columns: entry.columns,
      key: entry.key,
      batch: manifest.batch,
      instant: manifest.instant,
      base: true,
      rows: entry.rows,
      deletes: 0,
    })
    tables[table] = { ...entry, base: [base], files: [], previous: number }
  }
  return zone.chain(name).commit({ ...draft, run: options.run, tables }, manifest)
}
