/**
 * Extract: the difference between a source, seen at one instant, and its versioned tables (DESIGN.md 1).
 *
 * Order is the promise (P3): read in one snapshot, compute the difference, write files, commit the
 * manifest on the parent that the difference was computed against. Whoever loses the commit takes a
 * new snapshot and computes again. Dying anywhere before the commit leaves files that do not exist.
 */
import { randomUUID } from 'node:crypto'
import { csvRelation, uncarriedCounts } from '../columns/csv.ts'
import {
  countChanges,
  countKeyFaults,
  differenceTable,
  insertTable,
} from '../columns/difference.ts'
import { EngineFailure, type Engine } from '../columns/engine.ts'
import { quoteName } from '../columns/sql.ts'
import { ToteError } from '../errors.ts'
import type { Context, SourceTableSummary } from '../events.ts'
import { writeDueBases } from '../lake/base.ts'
import { continueIds } from '../lake/column-ids.ts'
import { untilCommitted } from '../lake/conflict.ts'
import { nextInstant } from '../lake/instant.ts'
import {
  tableEntries,
  WRITER,
  type CommittedManifest,
  type DataFile,
  type TableEntry,
} from '../lake/manifest.ts'
import { rowsAsOf } from '../lake/read.ts'
import { writeRows } from '../lake/write.ts'
import type { SourceTable } from '../sources/source.ts'
import type { Column } from '../types.ts'
import type { Project, ProjectSource } from './project.ts'
import { readTables, type ReadTable } from './read-tables.ts'

export interface ExtractOptions {
  readonly fullRefresh: boolean
  readonly acceptSource: boolean
  /** Tables whose next batch may delete more than the shrink limit allows. */
  readonly acceptShrink: readonly string[]
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
  return untilCommitted(from.source.name, context, async () =>
    extractOnce(project, from, options, context),
  )
}

async function extractOnce(
  project: Project,
  from: ProjectSource,
  options: ExtractOptions,
  context: Context,
): Promise<Extracted> {
  const { source } = from
  const chain = project.ingestion.chain(source.name)
  const parent = await chain.newest()
  const read = await readTables(
    source,
    parent,
    { ...options, tempFolder: project.tempFolder },
    context,
  )
  if (parent !== null && read.tables.every((table) => table.unchanged)) {
    return {
      manifest: parent,
      changed: false,
      tables: read.tables.map((table) => summarize(source.name, table, NO_CHANGES, context)),
    }
  }
  const engine = await project.engine(context.signal)
  try {
    const batch = (parent?.batch ?? 0) + 1
    const instant = nextInstant(parent?.instant ?? null, read.snapshot.instant)
    const compared: Compared[] = []
    for (const [index, table] of read.tables.entries()) {
      compared.push(await compare(project, engine, parent, table, `changes_${index}`))
    }
    refuseShrinking(from, compared, options.acceptShrink)
    const tables = tableEntries()
    for (const one of compared) {
      const file = await writeChanges(project, engine, { source: source.name, batch, instant, one })
      if (file !== null) emitFile(context, source.name, one.read.table.name, file)
      tables[one.read.table.name] = entryOf(one, file)
    }
    const changed =
      parent === null || compared.some((one) => one.changedRows > 0 || one.read.entry === null)
    const manifest = await chain.commit(
      {
        chain: parent?.chain ?? randomUUID(),
        // Full comparison may find every row equal: only positions are new then, and no batch.
        batch: changed ? batch : (parent?.batch ?? 0),
        instant: changed ? instant : (parent?.instant ?? instant),
        run: context.run,
        writer: WRITER,
        source: { identity: read.snapshot.identity, position: read.snapshot.position },
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
    const based = await writeDueBases(
      project.ingestion,
      engine,
      manifest,
      project.settings.lake.baseAfter,
      context,
    )
    return { manifest: based, changed, tables: summaries }
  } finally {
    engine.close()
    await Promise.all(read.tables.map(async ({ pieces }) => pieces?.discard()))
  }
}

const NO_CHANGES = { inserted: 0, updated: 0, deleted: 0 } as const

interface Compared {
  readonly read: ReadTable
  readonly columns: readonly Column[]
  readonly counts: { readonly inserted: number; readonly updated: number; readonly deleted: number }
  readonly changedRows: number
  /** The difference table in the engine, or null when the table was not compared. */
  readonly relation: string | null
}

async function compare(
  project: Project,
  engine: Engine,
  parent: CommittedManifest | null,
  read: ReadTable,
  relation: string,
): Promise<Compared> {
  const { table, entry, pieces } = read
  const columns = continueIds(table.columns, entry?.columns ?? [])
  if (pieces === null) return { read, columns, counts: NO_CHANGES, changedRows: 0, relation: null }
  const files = await pieces.files()
  const arrived =
    files.length === 0
      ? `select ${columns.map((column) => `null::${column.carried} as ${quoteName(column.name)}`).join(', ')} where false`
      : csvRelation(files, columns, pieces.longestRow)
  const previous =
    entry === null || parent === null
      ? null
      : await rowsAsOf(project.ingestion, parent, table.name, parent.batch)
  try {
    const next = table.keyGiven === true ? await withTrueKey(engine, table, arrived) : arrived
    await engine.run(
      previous === null
        ? insertTable({ into: relation, next, columns })
        : differenceTable({ into: relation, previous, next, columns, key: table.key }),
    )
    if (table.keyGiven === true) await engine.run(`drop table ${ARRIVED}`)
  } catch (error) {
    if (!(error instanceof EngineFailure)) throw error
    throw await explainFailure(engine, read, columns, files, error)
  }
  const counts = await countChanges(engine, relation)
  const rows = (entry?.rows ?? 0) + counts.inserted - counts.deleted
  if (rows !== read.rows) {
    throw new ToteError(
      'CountMismatch',
      `Table "${table.name}" has ${read.rows} rows in the source and would have ${rows} in the lake.`,
      {
        why: 'the changes found do not lead from one to the other, so nothing was committed',
      },
    )
  }
  return {
    read,
    columns,
    counts,
    changedRows: counts.inserted + counts.updated + counts.deleted,
    relation,
  }
}

/** A key that no catalogue vouches for is verified before rows are compared by it. */
async function withTrueKey(engine: Engine, table: SourceTable, rows: string): Promise<string> {
  await engine.run(`create or replace temp table ${ARRIVED} as ${rows}`)
  const { withoutKey, doubled } = await countKeyFaults(engine, ARRIVED, table.key)
  if (withoutKey === 0 && doubled === 0) return `select * from ${ARRIVED}`
  const key = `(${table.key.join(', ')})`
  throw new ToteError(
    'SourceKeyInvalid',
    `The key ${key} that the config gives to table "${table.name}" does not tell its rows apart.`,
    {
      problems: [
        ...(withoutKey === 0
          ? []
          : [{ where: table.name, message: `${withoutKey} rows have NULL in it` }]),
        ...(doubled === 0
          ? []
          : [{ where: table.name, message: `${doubled} rows share it with another` }]),
      ],
      why: 'rows are compared by their key, so nothing was committed',
      fix: 'name further columns in the key, filter the rows out with where, or correct them at the source',
    },
  )
}

const ARRIVED = '_tote_arrived'

async function explainFailure(
  engine: Engine,
  read: ReadTable,
  columns: readonly Column[],
  files: readonly string[],
  cause: EngineFailure,
): Promise<ToteError> {
  const [counts] = await engine
    .rows(uncarriedCounts(files, columns, read.pieces?.longestRow ?? 0))
    .catch(() => [])
  const problems = columns
    .filter((column) => Number(counts?.[column.name] ?? 0) > 0)
    .map((column) => ({
      where: `${read.table.name}.${column.name}`,
      message: `values of type ${column.type} that cannot be carried as ${column.carried}: ${counts?.[column.name]}`,
    }))
  if (problems.length === 0) {
    const notText = /unicode|utf-?8/i.test(cause.message)
    if (!notText)
      return new ToteError('Bug', `Table "${read.table.name}" could not be compared.`, {
        terminal: [cause.message],
        cause,
      })
    problems.push({
      where: read.table.name,
      message: 'some text is not UTF-8: the source does not check its encoding (SQL_ASCII)',
    })
  }
  return new ToteError(
    'ValueNotCarried',
    `Table "${read.table.name}" has values that cannot be carried exactly.`,
    {
      problems,
      why: 'changing them silently is not an option, so nothing was committed',
      fix: 'correct the values at the source, or exclude the table for now',
    },
  )
}

function refuseShrinking(
  from: ProjectSource,
  compared: readonly Compared[],
  accepted: readonly string[],
): void {
  const limit = from.shrinkLimit
  if (limit === null) return
  const problems = compared
    .filter(({ read, counts }) => {
      const before = read.entry?.rows ?? 0
      return (
        before >= limit.fromRows &&
        counts.deleted > before * limit.share &&
        !accepted.some((name) => namesTable(name, read.table.name, from))
      )
    })
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
      fix: `tote run ${problems.map((problem) => `--accept-shrink ${problem.where}`).join(' ')}`,
    },
  )
}

/** Whether a user's `name`, with or without the default schema, means this table. */
export function namesTable(
  name: string,
  table: string,
  from: Pick<ProjectSource, 'defaultSchema'>,
): boolean {
  return name === table || name === `${from.defaultSchema}.${table}`
}

async function writeChanges(
  project: Project,
  engine: Engine,
  {
    source,
    batch,
    instant,
    one,
  }: { source: string; batch: number; instant: string; one: Compared },
): Promise<DataFile | null> {
  if (one.relation === null || one.changedRows === 0) return null
  const file = await writeRows(project.ingestion, engine, {
    chain: source,
    table: one.read.table.name,
    relation: quoteName(one.relation),
    columns: one.columns,
    key: one.read.table.key,
    batch,
    instant,
    base: false,
    rows: one.changedRows,
    deletes: one.counts.deleted,
  })
  await engine.run(`drop table ${quoteName(one.relation)}`)
  return file
}

function entryOf({ read, columns }: Compared, file: DataFile | null): TableEntry {
  return {
    columns,
    key: read.table.key,
    shape: read.table.shape,
    position: { strategy: 'compare', digest: read.digest },
    rows: read.rows,
    base: read.entry?.base ?? [],
    files: [...(read.entry?.files ?? []), ...(file === null ? [] : [file])],
    previous: read.entry?.previous ?? null,
  }
}

function emitFile(context: Context, chain: string, table: string, file: DataFile): void {
  context.emit({
    type: 'file.written',
    chain,
    table,
    key: file.key,
    rows: file.rows,
    bytes: file.bytes,
  })
}

function summarize(
  source: string,
  read: ReadTable,
  counts: { readonly inserted: number; readonly updated: number; readonly deleted: number },
  context: Context,
): SourceTableSummary {
  const rowsInLake = (read.entry?.rows ?? 0) + counts.inserted - counts.deleted
  const summary = { source, table: read.table.name, ...counts, rowsInSource: read.rows, rowsInLake }
  context.emit({ type: 'table.extracted', ms: read.ms, ...summary })
  return summary
}
