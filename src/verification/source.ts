/**
 * A source against the lake, in the very snapshot of the batch that was just taken from it: whatever has been
 * written since is seen by neither. Every row is read in full; digests, pairs and all else that tells a
 * batch "unchanged" is what is being tested, and counts for nothing.
 */
import type { Engine } from '../columns/engine.ts'
import { quoteName, ROW_COLUMN } from '../columns/sql.ts'
import { toText } from '../columns/text.ts'
import type { Context, VerifiedTable } from '../events.ts'
import type { Doubt } from '../extraction/read-rows.ts'
import type { CommittedManifest } from '../lake/manifest.ts'
import { rowsAsOf } from '../lake/read.ts'
import type { Project } from '../project/project.ts'
import { boundsOf, chooseSpans, type KeySpans } from '../ranges/key-spans.ts'
import type {
  RowSink,
  Source,
  SourceReading,
  SourceSnapshot,
  SourceTable,
} from '../sources/source.ts'
import type { Column } from '../types.ts'
import { compareSides, type RangesCompared } from './compare.ts'
import { copiedSide, mayBeLines, queriedLines, queriedSide } from './sides.ts'
import { sampleSpans } from './spans.ts'

/** A source whose snapshot stays open after the batch that asked for it. */
export interface HeldSource {
  readonly source: Source
  /** The same, that gives the last snapshot once more. */
  readonly again: Source
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
  const last = (): SourceSnapshot => {
    if (held === undefined) throw new RangeError(`source "${source.name}" was not read`)
    return held
  }
  const keptOpen = (snapshot: SourceSnapshot): SourceSnapshot => ({
    ...snapshot,
    close: async () => undefined,
  })
  const holding = (snapshot: Source['snapshot']): Source => ({
    name: source.name,
    follow: (seen, memory) => source.follow(seen, memory),
    close: async () => source.close(),
    snapshot: async (context) => keptOpen(await snapshot(context)),
  })
  return {
    source: holding(async (context) => {
      // Whoever loses the race to commit takes another one.
      await release()
      held = await source.snapshot(context)
      return held
    }),
    again: holding(async () => last()),
    snapshot: last,
    release,
  }
}

export interface SourceToVerify {
  readonly source: string
  readonly snapshot: SourceSnapshot
  /** The manifest that the batch of that snapshot was committed with. */
  readonly manifest: CommittedManifest
  readonly wanted: (table: string) => boolean
  /** What was found before, in the same snapshot: the source is not read again for it. */
  readonly before?: readonly SourceTableVerified[] | undefined
}

export interface SourceTableVerified {
  readonly found: VerifiedTable
  /** What its ranges are of, where any differ and the source can be asked for some of them. */
  readonly spans: KeySpans | undefined
  readonly ranges: RangesCompared
}

/** What must be read of a table again so that the lake has it as the source does. */
export function doubtOf({ spans, ranges }: SourceTableVerified): Doubt {
  return {
    ranges: chooseSpans(spans, ranges.differ),
    rowsInSource: ranges.rowsExpected,
    rowsInLake: ranges.rowsFound,
  }
}

/** Each table of the source, by row. Emits `table.verified` for each. */
export async function verifySource(
  project: Project,
  { source, snapshot, manifest, wanted, before = [] }: SourceToVerify,
  context: Context,
): Promise<SourceTableVerified[]> {
  const verified: SourceTableVerified[] = []
  const engine = await project.engine(context.signal)
  try {
    for (const table of snapshot.tables.filter(({ name }) => wanted(name))) {
      const startedAt = context.now().getTime()
      const entry = manifest.tables[table.name]
      if (entry === undefined) throw new RangeError(`no table "${table.name}" in the manifest`)
      const carried = new Map(entry.columns.map((column) => [column.name, column.carried]))
      const notNull = new Set(entry.columns.flatMap((one) => (one.notNull ? [one.name] : [])))
      // Of a table without a key the whole rows are compared, and how often each is there.
      const columns = table.columns.map(({ name }) => name).filter((name) => name !== ROW_COLUMN)
      const types = columns.map((name) => carried.get(name) ?? 'VARCHAR')
      const copied = {
        table: table.name,
        tempFolder: project.tempFolder,
        expectedRows: table.expectedRows,
        carried: types,
        copy: async (sink: RowSink, format: SourceReading['format'], some?: readonly number[]) => {
          const asked = some === undefined ? null : chooseSpans(await spans(), some)
          if (asked === null) await copyAll(snapshot, table, sink, format)
          else await snapshot.copy(table, sink, { ranges: boundsOf(asked), format })
        },
      }
      const values = columns.map((name, index) =>
        toText(`r.${quoteName(name)}`, types[index] ?? ''),
      )
      const rows = await rowsAsOf(project.ingestion, manifest, table.name, manifest.batch)
      const known = before.find(({ found }) => found.table === table.name)
      let sampled: Promise<KeySpans | undefined> | undefined
      const spans = async (): Promise<KeySpans | undefined> =>
        known === undefined
          ? (sampled ??= spansOf(engine, table, entry.columns, rows))
          : known.spans
      const { findings, ranges } = await compareSides(engine, {
        columns,
        spans,
        sums: known?.ranges.sums,
        key: table.key.filter((name) => name !== ROW_COLUMN),
        expected: copiedSide(copied, 'csv', context),
        found: queriedSide(rows, values),
        together: true,
        lines:
          table.inLines === true && mayBeLines(types)
            ? {
                expected: copiedSide(copied, 'lines', context),
                found: queriedLines(
                  rows,
                  columns.map((name, index) => ({
                    text: values[index] ?? '',
                    carried: types[index] ?? 'VARCHAR',
                    notNull: notNull.has(name),
                  })),
                ),
              }
            : null,
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
      const differs = ranges.differ.length > 0
      verified.push({ found, spans: differs ? await spans() : undefined, ranges })
    }
  } finally {
    engine.close()
  }
  return verified
}

/** Ranges over the keys that the lake has, by which the source can be asked; undefined where it cannot. */
async function spansOf(
  engine: Engine,
  { rangedBy }: SourceTable,
  columns: readonly Column[],
  rows: string,
): Promise<KeySpans | undefined> {
  const key = columns.find(({ name }) => name === rangedBy?.column)
  if (rangedBy === undefined || key === undefined) return undefined
  const text = toText(`r.${quoteName(key.name)}`, key.carried)
  return sampleSpans(engine, { numbers: rangedBy.numbers, text, rows })
}

/** All parts of a table, by as many readers as the snapshot has. */
async function copyAll(
  snapshot: SourceSnapshot,
  table: SourceTable,
  sink: RowSink,
  format: SourceReading['format'],
): Promise<void> {
  const parts = [...(table.parts ?? [])]
  if (parts.length === 0) return void (await snapshot.copy(table, sink, { format }))
  const readOn = async (): Promise<void> => {
    for (let part = parts.shift(); part !== undefined; part = parts.shift())
      await snapshot.copy(table, sink, { part, format })
  }
  const readers = Math.min(snapshot.readers ?? 1, parts.length)
  const ends = await Promise.allSettled(Array.from({ length: readers }, readOn))
  const failed = ends.find((end) => end.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}
