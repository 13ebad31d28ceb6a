/**
 * A source against the lake, in the very snapshot of the batch that was just taken from it: whatever has been
 * written since is seen by neither. Every row is read in full; digests, pairs and all else that tells a
 * batch "unchanged" is what is being tested, and counts for nothing.
 */
import { quoteName, ROW_COLUMN } from '../columns/sql.ts'
import { toText } from '../columns/text.ts'
import type { Context, VerifiedTable } from '../events.ts'
import type { CommittedManifest } from '../lake/manifest.ts'
import { rowsAsOf } from '../lake/read.ts'
import type { Project } from '../project/project.ts'
import type { RowSink, Source, SourceSnapshot, SourceTable } from '../sources/source.ts'
import { compareSides } from './compare.ts'
import { copiedSide, queriedSide } from './sides.ts'

/** A source whose snapshot stays open after the batch that asked for it. */
export interface HeldSource {
  readonly source: Source
  /** The last snapshot that was taken. */
  snapshot(): SourceSnapshot
  /** Ends it. */
  release(): Promise<void>
}

export function holdSource(source: Source): HeldSource {
  let held: SourceSnapshot | undefined
  const release = async (): Promise<void> => {
    const closing = held
    held = undefined
    await closing?.close()
  }
  return {
    source: {
      name: source.name,
      follow: (snapshot, memory) => source.follow(snapshot, memory),
      close: async () => source.close(),
      snapshot: async (context) => {
        // Whoever loses the race to commit takes another one.
        await release()
        const snapshot = await source.snapshot(context)
        held = snapshot
        return { ...snapshot, close: async () => undefined }
      },
    },
    snapshot: () => {
      if (held === undefined) throw new RangeError(`source "${source.name}" was not read`)
      return held
    },
    release,
  }
}

export interface SourceToVerify {
  readonly source: string
  readonly snapshot: SourceSnapshot
  /** The manifest that the batch of that snapshot was committed with. */
  readonly manifest: CommittedManifest
  readonly wanted: (table: string) => boolean
}

/** Each table of the source, by row. Emits `table.verified` for each. */
export async function verifySource(
  project: Project,
  { source, snapshot, manifest, wanted }: SourceToVerify,
  context: Context,
): Promise<VerifiedTable[]> {
  const verified: VerifiedTable[] = []
  const engine = await project.engine(context.signal)
  try {
    for (const table of snapshot.tables.filter(({ name }) => wanted(name))) {
      const startedAt = context.now().getTime()
      const entry = manifest.tables[table.name]
      if (entry === undefined) throw new RangeError(`no table "${table.name}" in the manifest`)
      const carried = new Map(entry.columns.map((column) => [column.name, column.carried]))
      // Of a table without a key the whole rows are compared, and how often each is there.
      const columns = table.columns.map(({ name }) => name).filter((name) => name !== ROW_COLUMN)
      const types = columns.map((name) => carried.get(name) ?? 'VARCHAR')
      const copied = {
        table: table.name,
        tempFolder: project.tempFolder,
        expectedRows: table.expectedRows,
        carried: types,
        copy: async (sink: RowSink) => copyAll(snapshot, table, sink),
      }
      const rows = await rowsAsOf(project.ingestion, manifest, table.name, manifest.batch)
      const findings = await compareSides(engine, {
        columns,
        key: table.key.filter((name) => name !== ROW_COLUMN),
        expected: copiedSide(copied, context),
        together: true,
        found: queriedSide(
          rows,
          columns.map((name, index) => toText(`r.${quoteName(name)}`, types[index] ?? '')),
        ),
      })
      const found = {
        what: 'source' as const,
        source,
        table: table.name,
        ...findings,
        repaired: false,
      }
      context.emit({
        type: 'table.verified',
        ms: context.now().getTime() - startedAt,
        ...found,
      })
      verified.push(found)
    }
  } finally {
    engine.close()
  }
  return verified
}

/** All parts of a table, by as many readers as the snapshot has. */
async function copyAll(snapshot: SourceSnapshot, table: SourceTable, sink: RowSink): Promise<void> {
  const parts = [...(table.parts ?? [])]
  if (parts.length === 0) return void (await snapshot.copy(table, sink))
  const readOn = async (): Promise<void> => {
    for (let part = parts.shift(); part !== undefined; part = parts.shift())
      await snapshot.copy(table, sink, { part })
  }
  const readers = Math.min(snapshot.readers ?? 1, parts.length)
  const ends = await Promise.allSettled(Array.from({ length: readers }, readOn))
  const failed = ends.find((end) => end.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}
