/**
 * One table's changes into the warehouse, inside the batch's transaction. A table that this
 * transaction created takes its rows straight from COPY; any other gets them by way of a stage
 * table, keys in place.
 */
import type { DuckDBDataChunk } from '@duckdb/node-api'
import { encodeBinary } from '../vectors/copy-binary.ts'
import type { BinaryColumn } from '../vectors/copy-encoders.ts'
import { OP_COLUMN } from '../columns/sql.ts'
import { ToteError } from '../errors.ts'
import type { Context } from '../events.ts'
import type { Connection } from '../postgres/connection.ts'
import { quoteIdentifier, quoteQualified } from '../postgres/identifiers.ts'
import { keepsVersions } from '../types.ts'
import { STAGE_NUMBER } from '../star/layout.ts'
import {
  closeVersions,
  createStage,
  deleteRows,
  insertStaged,
  markDeleted,
  openVersions,
  selectChanges,
  selectNewRows,
  upsertRows,
  type BatchStamp,
  type CarriedColumn,
  type Target,
} from '../star/merge.ts'
import type { StarChanges } from './warehouse.ts'

export interface TableLoad {
  readonly connection: Connection
  readonly target: Target
  readonly changes: StarChanges
  readonly stamp: BatchStamp
  /** An earlier batch of this transaction left its stage. */
  readonly staged?: boolean
}

/** A stage of no more rows is planned well enough without statistics. */
const FEW_ROWS = 200
const PROGRESS_BYTES = 4_194_304

/** Fills a table that this transaction created; it has no keys yet. */
export async function fillTable(load: TableLoad, context: Context): Promise<void> {
  const { connection, target, changes, stamp } = load
  if (changes.upserts === 0) return
  if (target.columns.some(({ castTo }) => castTo !== null)) {
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
    },
    context,
  )
  requireCount(changes, rows, changes.upserts)
}

/** Changes a table that was there before; returns nothing, the rows are counted afterwards. */
export async function mergeTable(load: TableLoad, context: Context): Promise<void> {
  const { connection, target, changes, stamp } = load
  await fillStage(load, context)
  const run = async (text: string): Promise<void> =>
    void (await connection.query(`load "${changes.table.name}"`, text))
  if (keepsVersions(changes.table)) {
    if (changes.deletes > 0) await run(closeVersions(target, 'd', stamp))
    if (changes.upserts > 0) {
      await run(closeVersions(target, 'u', stamp))
      await run(openVersions(target, stamp))
    }
  } else {
    if (changes.deletes > 0)
      await run(changes.table.kind === 'dimension' ? markDeleted(target) : deleteRows(target))
    if (changes.upserts > 0) await run(upsertRows(target))
  }
}

async function fillStage(load: TableLoad, context: Context): Promise<void> {
  const { connection, target, changes } = load
  if (load.staged === true)
    await connection.query('empty a stage table', `truncate ${target.stage}`)
  else await connection.query('create a stage table', createStage(target))
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
      chunks: changes.rows.chunks(selectChanges(target)),
    },
    context,
  )
  requireCount(changes, rows, changes.upserts + changes.deletes)
  if (rows > FEW_ROWS) await connection.query('analyze a stage table', `analyze ${target.stage}`)
}

export interface RowsToCopy {
  /** For messages and progress. */
  readonly table: string
  readonly into: string
  readonly columns: readonly BinaryColumn[]
  readonly chunks: AsyncIterable<DuckDBDataChunk>
  /** Every snapshot sees the rows once they are committed: for a table that this transaction made. */
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

export function binaryColumn({ name, duckdbType, sentAs }: CarriedColumn): BinaryColumn {
  return { name, duckdbType, postgresType: sentAs }
}
