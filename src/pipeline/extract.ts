/**
 * Extract: the difference between a source, seen at one instant, and its versioned tables (DESIGN.md 1).
 *
 * Order is the promise (P3): read in one snapshot, compute the difference, write files, commit the
 * manifest on the parent that the difference was computed against. Whoever loses the commit takes a
 * new snapshot and computes again. Dying anywhere before the commit leaves files that do not exist.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { Engine } from '../columns/engine.ts'
import { ROW_COLUMN } from '../columns/sql.ts'
import { writeTableName } from '../config/table-name.ts'
import { quoteWord, ToteError } from '../errors.ts'
import type { Context, SourceTableSummary } from '../events.ts'
import {
  FEW_ROWS,
  openChangesWriter,
  type ChangesWriter,
  type TableChanges,
} from '../extraction/changes.ts'
import { openDraft } from '../extraction/draft.ts'
import { mayLand, openLanding } from '../extraction/landing.ts'
import type { Doubt } from '../extraction/read-rows.ts'
import { readTables, type ReadSnapshot, type ReadTable } from '../extraction/read-tables.ts'
import type { PairsPlace } from '../pairs/pair-files.ts'
import { cursorText, type CursorPosition } from '../pairs/positions.ts'
import { takeTurns } from '../extraction/turns.ts'
import { writeDueBases } from '../lake/base.ts'
import { goOnWith } from '../lake/carried.ts'
import { untilCommitted } from '../lake/conflict.ts'
import { nextInstant } from '../lake/instant.ts'
import {
  tableEntries,
  WRITER,
  type CommittedManifest,
  type DataFile,
  type PairsEntry,
  type TableEntry,
} from '../lake/manifest.ts'
import { allWritten } from '../lake/write.ts'
import { TRIES, waitBeforeNext } from '../pace/back-off.ts'
import { compareTable, NO_CHANGES, type Compared } from './compare.ts'
import type { Instant } from '../types.ts'
import type { Column } from '../types.ts'
import type { Project, ProjectSource } from '../project/project.ts'

export interface ExtractOptions {
  /** Compare every table in full. */
  readonly fullRefresh: boolean
  readonly acceptSource: boolean
  /** Tables whose next batch may delete more than the shrink limit allows. */
  readonly acceptShrink: readonly string[]
  /** Tables whose changed shape is followed whatever it is. */
  readonly acceptChange: readonly string[]
  /** Count the lake's rows, whatever its manifest says. */
  readonly recount?: boolean | undefined
  /** Nothing is committed before it resolves; what it throws is thrown. */
  readonly sound?: Promise<unknown> | undefined
  /** What is wrong in the lake is made good, and nothing else looked at. */
  readonly again?: Again | undefined
}

/** A batch in the snapshot of the one before, which the source must give once more. */
export interface Again {
  /** The manifest that was found wrong; when another one is newer, it ends with LakeConflict. */
  readonly after: CommittedManifest
  /** By table. */
  readonly doubts: ReadonlyMap<string, Doubt>
}

export interface Extracted {
  readonly manifest: CommittedManifest | null
  readonly changed: boolean
  readonly tables: readonly SourceTableSummary[]
}

/** One batch of one source, or nothing when nothing changed. */
export async function extract(
  project: Project,
  from: ProjectSource,
  options: ExtractOptions,
  context: Context,
): Promise<Extracted> {
  const { name } = from.source
  // Of a snapshot there is no second try.
  if (options.again !== undefined) return extractOnce(project, from, options, context)
  const commit = async (): Promise<Extracted> =>
    untilCommitted(name, context, async () => extractOnce(project, from, options, context))
  for (let tried = 1; ; tried++) {
    try {
      return await commit()
    } catch (error) {
      const wait = error instanceof ToteError ? waitBeforeNext(error, tried) : null
      if (wait === null) throw error
      const text = `source "${name}" sent us away (${(error as ToteError).name}); try ${tried + 1} of ${TRIES} in ${wait / 1000} s`
      context.emit({ type: 'note', level: 'warn', text })
      await setTimeout(wait, undefined, { signal: context.signal }).catch(() =>
        context.signal.throwIfAborted(),
      )
    }
  }
}

async function extractOnce(
  project: Project,
  from: ProjectSource,
  options: ExtractOptions,
  context: Context,
): Promise<Extracted> {
  const { source } = from
  const zone = project.ingestion
  const chain = zone.chain(source.name)
  const parent = await chain.newest()
  const { again } = options
  if (again !== undefined && parent?.sha256 !== again.after.sha256)
    throw new ToteError('LakeConflict', `Another run committed to "${source.name}" first.`)
  const batch = (parent?.batch ?? 0) + 1
  const instantOf = (snapshot: Pick<ReadSnapshot, 'instant'>): string =>
    nextInstant(parent?.instant ?? null, snapshot.instant)
  const turns = takeTurns(async () => project.engine(context.signal))
  const compared: Compared[] = []
  let writer: ChangesWriter | undefined
  try {
    const snapshot = await readTables(
      source,
      parent,
      {
        ...options,
        doubts: again?.doubts,
        acceptsChange: (table) =>
          options.acceptChange.some((name) => namesTable(name, table, from)),
        tempFolder: project.tempFolder,
        turns,
        zone,
        policy: project.settings.lake.baseAfter,
        land: async (seen) => {
          const into = { zone, chain: source.name, batch, instant: instantOf(seen), parent }
          writer = openChangesWriter(turns, into, context)
          const draft = await openDraft(into, seen)
          return (table) =>
            mayLand(table) ? openLanding(table, { ...into, draft }, turns, context) : null
        },
        onRead: async (read) => {
          const relation = `changes_${compared.length}`
          const toCompare = { parent, read, relation, recount: options.recount === true }
          const one = await compareTable(zone, turns, toCompare, context)
          compared.push(one)
          const changes = changesOf(one)
          if (changes !== null && !isShrunk(from, one, options)) writer?.begin(changes)
        },
      },
      context,
    )
    const isLeft = snapshot.gone.some((name) => parent?.tables[name]?.gone !== true)
    if (parent !== null && !isLeft && compared.every(isSettled)) {
      return {
        manifest: parent,
        changed: false,
        tables: compared.map(({ read }) => summarize(source.name, read, NO_CHANGES, context)),
      }
    }
    const instant = instantOf(snapshot)
    refuseShrinking(from, compared, options)
    const changedRows = compared.reduce((sum, one) => sum + one.changedRows, 0)
    const engine = await turns.withEngine(
      async (found) => found,
      changedRows > FEW_ROWS ? 'all' : 'one',
    )
    const place = { zone, chain: source.name, manifest: (parent?.number ?? 0) + 1, instant }
    const written = await allWritten(
      compared.map(async (one) => {
        const changes = changesOf(one)
        const file = changes === null ? undefined : await writer?.write(changes, engine)
        const files = file === undefined ? one.files : [file]
        const pairs = await writePairs(engine, place, one)
        return [one.read.table.name, entryOf(one, files, pairs, snapshot.instant)] as const
      }),
    )
    const untouched = again === undefined ? [] : Object.entries(again.after.tables)
    const tables = tableEntries([...untouched, ...written])
    for (const name of snapshot.gone) {
      const entry = parent?.tables[name]
      if (entry !== undefined) tables[name] = { ...entry, gone: true }
    }
    // Other columns alone are a batch, too: what reads them has them from then on.
    const changed =
      parent === null ||
      compared.some((one) => one.changedRows > 0 || one.read.entry === null || hasOtherColumns(one))
    await options.sound
    const manifest = await chain.commit(
      {
        chain: parent?.chain ?? randomUUID(),
        // Full comparison may find every row equal: only positions are new then, and no batch.
        batch: changed ? batch : (parent?.batch ?? 0),
        instant: changed ? instant : (parent?.instant ?? instant),
        run: context.run,
        writer: WRITER,
        source: {
          identity: snapshot.identity,
          position: snapshot.position,
          ...(snapshot.reach ? { reached: snapshot.reach.most } : {}),
        },
        tables,
      },
      parent,
    )
    context.emit({
      type: 'manifest.committed',
      chain: source.name,
      number: manifest.number,
      batch: manifest.batch,
      instant: manifest.instant,
    })
    const summaries = compared.map((one) => summarize(source.name, one.read, one.counts, context))
    const { baseAfter } = project.settings.lake
    const based = await turns.withEngine(async (engine) =>
      writeDueBases(zone, engine, manifest, baseAfter, context),
    )
    return { manifest: based, changed, tables: summaries }
  } finally {
    await writer?.close()
    await Promise.all(compared.map(async ({ read }) => read.pairs?.discard()))
    await turns.close()
  }
}

/** Its entry can stay. */
function isAsItWas(read: ReadTable): boolean {
  // A table with a cursor that was compared in full need not be, for a while.
  const compared = read.table.cursor !== undefined && !read.partial
  return read.unchanged && read.pairs === null && !compared
}

/** Whether the lake says all there is to say of the table. */
function isSettled(one: Compared): boolean {
  const { entry, table } = one.read
  const settled = isAsItWas(one.read) && entry?.gone !== true && !hasOtherColumns(one)
  return settled && table.sourceKey?.join('\0') === entry?.sourceKey?.join('\0')
}

/** Whether the table has other columns than in the last batch: others, or otherwise called, typed or demanded. */
function hasOtherColumns({ columns, read: { entry } }: Compared): boolean {
  const said = (column: Column): string => JSON.stringify({ ...column, attribute: undefined })
  return entry !== null && columns.map(said).join() !== entry.columns.map(said).join()
}

/** Whether a batch would delete more of the table than may go unasked. */
function isShrunk(
  from: ProjectSource,
  { read, counts }: Compared,
  { acceptShrink }: ExtractOptions,
): boolean {
  const limit = from.shrinkLimit
  const before = read.entry?.rows ?? 0
  return (
    limit !== null &&
    before >= limit.fromRows &&
    lostRows(read, counts) > before * limit.share &&
    !acceptShrink.some((name) => namesTable(name, read.table.name, from))
  )
}

function refuseShrinking(
  from: ProjectSource,
  compared: readonly Compared[],
  options: ExtractOptions,
): void {
  const limit = from.shrinkLimit
  if (limit === null) return
  const problems = compared
    .filter((one) => isShrunk(from, one, options))
    .map(({ read, counts }) => ({
      where: read.table.name,
      message: `${counts.deleted} of ${read.entry?.rows ?? 0} rows would be deleted`,
    }))
  if (problems.length === 0) return
  throw new ToteError(
    'ShrinkRefused',
    `Source "${from.source.name}": a batch would delete more than ${limit.share * 100} % of a table.`,
    {
      problems,
      why: 'a table that was emptied by mistake must not empty the warehouse',
      // What was found by looking at all rows, a run may not see that looks at fewer.
      fix: `tote run ${options.again === undefined ? '' : '--full-refresh '}${problems.map((problem) => `--accept-shrink ${quoteWord(problem.where)}`).join(' ')}`,
    },
  )
}

/** Rows that are told apart by all they hold are deleted and inserted when they change. */
function lostRows({ table }: ReadTable, { deleted, inserted }: Compared['counts']): number {
  return table.key.includes(ROW_COLUMN) ? deleted - inserted : deleted
}

/** Whether a user's `name`, with or without the default schema, means this table. A dot in a name wants quotes then: `a.b.c` is the lake's name of another. */
export function namesTable(
  name: string,
  table: string,
  { defaultSchema }: Pick<ProjectSource, 'defaultSchema'>,
): boolean {
  if (name === table || defaultSchema === null) return name === table
  const isPlain = !defaultSchema.includes('.') && !table.includes('.')
  return (
    name === writeTableName(defaultSchema, table) ||
    (isPlain && name === `${defaultSchema}.${table}`)
  )
}

/** What is to be written of a table that was compared; null when nothing is. */
function changesOf({
  read,
  relation,
  columns,
  counts,
  changedRows,
}: Compared): TableChanges | null {
  if (relation === null || changedRows === 0) return null
  const { name, key } = read.table
  return { table: name, relation, columns, key, rows: changedRows, deletes: counts.deleted }
}

/** The pairs as the manifest is to name them: those of before, where nothing was read of them. */
async function writePairs(
  engine: Engine,
  place: Omit<PairsPlace, 'table' | 'key'>,
  { read, columns }: Compared,
): Promise<PairsEntry | null> {
  const { table, entry, pairs, rows } = read
  const stay = read.unchanged || (read.doubt?.ranges ?? null) !== null
  if (pairs === null) return stay ? (entry?.pairs ?? null) : null
  const { name, key } = table
  return pairs.write(engine, { ...place, table: name, key }, { columns, rows })
}

function entryOf(
  one: Compared,
  files: readonly DataFile[],
  pairs: PairsEntry | null,
  seenAt: Instant,
): TableEntry {
  const { read, columns } = one
  const before = goOnWith(read.entry, columns)
  return {
    columns,
    key: read.table.key,
    shape: read.table.shape,
    ...(read.table.relationId === undefined ? {} : { relationId: read.table.relationId }),
    ...(read.table.sourceKey === undefined ? {} : { sourceKey: read.table.sourceKey }),
    position: positionOf(one, seenAt),
    ...(pairs === null ? {} : { pairs }),
    rows: read.partial ? (read.entry?.rows ?? 0) + one.counts.inserted : read.rows,
    ...before,
    files: [...before.files, ...files],
  }
}

function positionOf({ read, watermark }: Compared, seenAt: Instant): TableEntry['position'] {
  const { entry, table, digest, partial } = read
  const { cursor } = table
  if (cursor !== undefined) {
    const { comparedAt } = (entry?.position ?? {}) as Partial<CursorPosition>
    return {
      strategy: 'cursor',
      cursor: cursorText(cursor),
      ...(watermark === null ? {} : { watermark }),
      comparedAt: partial ? (comparedAt ?? seenAt) : seenAt,
      ...(digest === null ? {} : partial ? { read: digest } : { digest }),
    }
  }
  if (isAsItWas(read) && digest === null && entry !== null) return entry.position
  return {
    strategy: table.pairs === undefined ? 'compare' : 'xmin',
    ...(digest === null ? {} : { digest }),
  }
}

function summarize(
  source: string,
  read: ReadTable,
  counts: { readonly inserted: number; readonly updated: number; readonly deleted: number },
  context: Context,
): SourceTableSummary {
  const rowsInLake = (read.entry?.rows ?? 0) + counts.inserted - counts.deleted
  // Of a table that was read in part nobody has counted the others.
  const rowsInSource = read.partial ? null : read.rows
  const summary = { source, table: read.table.name, ...counts, rowsInSource, rowsInLake }
  context.emit({ type: 'table.extracted', ms: read.ms, ...summary })
  return summary
}
