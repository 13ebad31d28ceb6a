/**
 * One table's changes into the warehouse, inside the batch's transaction. A table that this
 * transaction created takes its rows straight from COPY; any other gets them by way of a stage
 * table, keys in place.
 */
import type { DuckDBDataChunk } from '@duckdb/node-api'
import { encodeBinary } from '../vectors/copy-binary.ts'
import type { BinaryColumn } from '../vectors/copy-encoders.ts'
import { OP_COLUMN, quoteName } from '../columns/sql.ts'
import { ToteError } from '../errors.ts'
import type { Context } from '../events.ts'
import type { Connection, Statement } from '../postgres/connection.ts'
import { quoteIdentifier, quoteQualified } from '../postgres/identifiers.ts'
import { keepsVersions } from '../types.ts'
import { STAGE_NUMBER } from '../star/layout.ts'
import {
  closeVersions,
  createStage,
  deleteRows,
  insertStaged,
  markDeleted,
  newestVersion,
  openVersions,
  selectChanges,
  selectNewRows,
  upsertRows,
  type BatchStamp,
  type Target,
} from '../star/merge.ts'
import { refuseVersions } from './ledger.ts'
import { binaryColumn, namingColumns, type ValuesToLoad } from './refused.ts'
import type { StarChanges } from './warehouse.ts'

export interface TableLoad {
  readonly connection: Connection
  readonly target: Target
  readonly changes: StarChanges
  readonly stamp: BatchStamp
  /** An earlier batch of this transaction left its stage. */
  readonly staged?: boolean
  /** Its table was created by this transaction. */
  readonly isNew: boolean
  /** As of rows to copy. */
  readonly freeze?: boolean
}

/** A stage of no more rows is planned well enough without statistics: the server knows how many pages it has. */
const FEW_ROWS = 2000
const PROGRESS_BYTES = 4_194_304

/** Loads tables, dimensions first; returns how many milliseconds each took, by name. */
export async function loadTables(
  connection: Connection,
  loads: readonly TableLoad[],
  context: Context,
): Promise<ReadonlyMap<string, number>> {
  const took = new Map<string, number>()
  const timed = async (load: TableLoad, work: Promise<unknown>): Promise<void> => {
    const started = performance.now()
    await work
    const { name } = load.changes.table
    took.set(name, (took.get(name) ?? 0) + performance.now() - started)
  }
  for (const load of loads.filter(({ isNew }) => isNew))
    await timed(load, namingColumns(valuesOf(load), fillTable(load, context)))
  const merged = loads.filter(({ isNew }) => !isNew)
  const ahead = fetchAhead(merged)
  await createStages(connection, merged)
  await refuseOtherVersions(connection, merged)
  // One after the other: while the server merges one table's rows, those of the next come out of the lake.
  for (const load of merged) {
    const merge = async (): Promise<void> => {
      await fillStage(load, context, ahead.get(load))
      await connection.queryAll(mergeStatements(load))
    }
    // Rows that are asked for again must not come between those that are on their way.
    const settled = async (error: unknown): Promise<never> => {
      await Promise.allSettled(ahead.values())
      throw error
    }
    await timed(load, namingColumns(valuesOf(load), merge().catch(settled)))
  }
  return took
}

/** Values must be cast by the server, so that even a new table is filled from a stage. */
export function needsStage({ columns }: Target): boolean {
  return columns.some(({ castTo }) => castTo !== null)
}

/** Fills a table that this transaction created; it has no keys yet. */
async function fillTable(load: TableLoad, context: Context): Promise<void> {
  const { connection, target, changes, stamp, freeze = false } = load
  if (changes.upserts === 0) return
  if (needsStage(target)) {
    await createStages(connection, [load])
    await fillStage(load, context)
    await connection.query(`load "${changes.table.name}"`, insertStaged(target, stamp))
    return
  }
  const model = target.columns.map(binaryColumn)
  const recordId = target.layout.recordId
  const columns: readonly BinaryColumn[] =
    recordId === null
      ? model
      : [
          {
            name: recordId.name,
            duckdbType: target.recordIdType.toUpperCase(),
            postgresType: target.recordIdType,
          },
          ...model,
          {
            name: 'valid_from',
            duckdbType: 'TIMESTAMPTZ',
            postgresType: 'timestamp with time zone',
          },
          { name: 'batch', duckdbType: 'BIGINT', postgresType: 'bigint' },
        ]
  const rows = await copyRows(
    connection,
    {
      table: changes.table.name,
      into: quoteQualified(target.schema, changes.table.name),
      columns,
      chunks: changes.rows.chunks(selectNewRows(target, stamp)),
      freeze,
    },
    context,
  )
  requireCount(changes, rows, changes.upserts)
}

/** Changes a table that was there before, by way of its stage, keys in place. */
function mergeStatements({ target, changes, stamp }: TableLoad): Statement[] {
  const { table, deletes, upserts } = changes
  const texts = keepsVersions(table)
    ? [
        ...(deletes > 0 ? [closeVersions(target, 'd', stamp)] : []),
        ...(upserts > 0 ? [closeVersions(target, 'u', stamp), openVersions(target, stamp)] : []),
      ]
    : [
        ...(deletes > 0
          ? [table.kind === 'dimension' ? markDeleted(target) : deleteRows(target)]
          : []),
        ...(upserts > 0 ? [upsertRows(target)] : []),
      ]
  return texts.map((text) => ({ doing: `load "${table.name}"`, text }))
}

async function createStages(connection: Connection, loads: readonly TableLoad[]): Promise<void> {
  await connection.queryAll(
    loads.map(({ target, staged }) =>
      staged === true
        ? { doing: 'empty a stage table', text: `truncate ${target.stage}` }
        : { doing: 'create a stage table', text: createStage(target) },
    ),
  )
}

/** The newest versions must be of the batch that the lake has before this one, lest any be loaded twice, or lack. Throws LedgerMismatch. */
async function refuseOtherVersions(
  connection: Connection,
  loads: readonly TableLoad[],
): Promise<void> {
  const asked = loads.flatMap(({ target, changes: { table, before }, stamp }) =>
    target.layout.recordId === null || before === undefined
      ? []
      : [{ target, table: table.name, ...before, last: stamp.batch - 1 }],
  )
  const answers = await connection.queryAll(
    asked.map(({ target }) => ({
      doing: 'look for the newest version',
      text: newestVersion(target),
    })),
  )
  for (const [index, { table, from, to, last }] of asked.entries()) {
    const newest = Number(answers[index]?.rows[0]?.['batch'] ?? 0)
    if (newest < from || newest > to) refuseVersions(table, { newest, from, last })
  }
}

/** So few rows are asked of the engine while the server is still at work on those before. */
const ROWS_AHEAD = 10_000

/** The rows of each table, fetched one table after the other; none when they are many. */
function fetchAhead(
  loads: readonly TableLoad[],
): ReadonlyMap<TableLoad, Promise<readonly DuckDBDataChunk[]>> {
  const fetching = new Map<TableLoad, Promise<readonly DuckDBDataChunk[]>>()
  const rows = loads.reduce((sum, { changes }) => sum + changes.upserts + changes.deletes, 0)
  if (rows > ROWS_AHEAD) return fetching
  let last: Promise<unknown> = Promise.resolve()
  for (const load of loads) {
    const { changes, target } = load
    const fetched = last.then(async () => {
      const chunks: DuckDBDataChunk[] = []
      for await (const chunk of changes.rows.chunks(selectChanges(target))) chunks.push(chunk)
      return chunks
    })
    // Heard when its turn comes.
    last = fetched.catch(() => undefined)
    fetching.set(load, fetched)
  }
  return fetching
}

async function* givenAhead(
  fetched: Promise<readonly DuckDBDataChunk[]>,
): AsyncIterable<DuckDBDataChunk> {
  yield* await fetched
}

async function fillStage(
  load: TableLoad,
  context: Context,
  ahead?: Promise<readonly DuckDBDataChunk[]>,
): Promise<void> {
  const { connection, target, changes } = load
  const columns: readonly BinaryColumn[] = [
    { name: OP_COLUMN, duckdbType: 'VARCHAR', postgresType: 'text' },
    ...(target.layout.recordId === null
      ? []
      : [{ name: STAGE_NUMBER, duckdbType: 'BIGINT', postgresType: 'bigint' }]),
    ...target.columns.map(binaryColumn),
  ]
  const rows = await copyRows(
    connection,
    {
      table: changes.table.name,
      into: target.stage,
      columns,
      chunks: ahead === undefined ? changes.rows.chunks(selectChanges(target)) : givenAhead(ahead),
    },
    context,
  )
  requireCount(changes, rows, changes.upserts + changes.deletes)
  if (rows > FEW_ROWS) await connection.query('analyze a stage table', `analyze ${target.stage}`)
}

function valuesOf({ connection, target, changes }: TableLoad): ValuesToLoad {
  const upserts = `where ${quoteName(OP_COLUMN)} = 'u'`
  return {
    connection,
    table: changes.table.name,
    columns: target.columns,
    chunks: (column) =>
      changes.rows.chunks((relation) => `select ${quoteName(column)} from ${relation} ${upserts}`),
  }
}

export interface RowsToCopy {
  /** For messages and progress. */
  readonly table: string
  readonly into: string
  readonly columns: readonly BinaryColumn[]
  readonly chunks: AsyncIterable<DuckDBDataChunk>
  /**
   * Every snapshot sees the rows once they are committed: for a table that this transaction made, and only if the whole
   * star is copied so. Nobody who reads them first has to find out, and write into their pages, that they are committed.
   */
  readonly freeze?: boolean
}

/** Sends rows as they come; returns how many the server took. */
export async function copyRows(
  connection: Connection,
  { table, into, columns, chunks, freeze }: RowsToCopy,
  context: Context,
): Promise<number> {
  const names = columns.map(({ name }) => quoteIdentifier(name)).join(', ')
  let rows = 0
  const counted = countRows(chunks, (count) => {
    rows += count
  })
  const bytes = reportProgress(encodeBinary({ table, columns, chunks: counted }), (sent) => {
    context.signal.throwIfAborted()
    context.emit({ type: 'table.progress', stage: 'load', table, rows, bytes: sent })
  })
  return connection.copyIn(
    `load "${table}"`,
    `copy ${into} (${names}) from stdin (format binary${freeze === true ? ', freeze true' : ''})`,
    bytes,
  )
}

async function* countRows(
  chunks: AsyncIterable<DuckDBDataChunk>,
  count: (rows: number) => void,
): AsyncIterable<DuckDBDataChunk> {
  for await (const chunk of chunks) {
    count(chunk.rowCount)
    yield chunk
  }
}

async function* reportProgress(
  buffers: AsyncIterable<Uint8Array>,
  report: (bytes: number) => void,
): AsyncIterable<Uint8Array> {
  let bytes = 0
  let reported = 0
  for await (const buffer of buffers) {
    yield buffer
    bytes += buffer.length
    if (bytes - reported < PROGRESS_BYTES) continue
    reported = bytes
    report(bytes)
  }
}

/** What the manifest announced must be what the files held. */
function requireCount({ table }: StarChanges, sent: number, announced: number): void {
  if (sent === announced) return
  throw new ToteError(
    'CountMismatch',
    `Table "${table.name}": the lake announced ${announced} changes, and ${sent} were read from it.`,
    {
      where: table.name,
      details: { table: table.name, announced, read: sent },
    },
  )
}
