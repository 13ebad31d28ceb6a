/**
 * Reading queries for people. On the lake, in a DuckDB that can touch nothing else: the current rows of
 * every source table as `source.table` and of every model by its name, and all their changes as
 * `source_changes.table` and `changes.model`, with `_tote_op` and `_tote_batch`. On the warehouse: a
 * read-only transaction.
 */
import { EngineFailure, openEngine, type Engine } from '../columns/engine.ts'
import { quoteName, quoteText } from '../columns/sql.ts'
import { ToteError } from '../errors.ts'
import type { Context } from '../events.ts'
import type { CommittedManifest } from '../lake/manifest.ts'
import { changesUpTo, rowsAsOf } from '../lake/read.ts'
import type { Zone } from '../lake/zone.ts'
import { connect } from '../postgres/connection.ts'
import { quoteIdentifier } from '../postgres/identifiers.ts'
import { beginReading } from '../postgres/session.ts'
import type { Project } from '../project/project.ts'

export interface QueryOptions {
  readonly on: 'lake' | 'warehouse'
  readonly limit: number
}

export interface QueryResult {
  /** When one was chosen. */
  readonly environment?: string
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly rows: readonly (readonly (string | number | bigint | boolean | null)[])[]
  readonly truncated: boolean
}

/** Answers one `select`. Throws QueryInvalid with the engine's own message. */
export async function query(
  project: Project,
  sql: string,
  options: QueryOptions,
  context: Context,
): Promise<QueryResult> {
  const result = await (options.on === 'lake'
    ? queryLake(project, sql, options.limit, context)
    : queryWarehouse(project, sql, options.limit, context))
  return project.environment === null ? result : { environment: project.environment, ...result }
}

async function queryLake(
  project: Project,
  sql: string,
  limit: number,
  context: Context,
): Promise<QueryResult> {
  const engine = await openEngine({ tempFolder: project.tempFolder, signal: context.signal })
  try {
    for (const { source } of project.sources) {
      const manifest = await project.ingestion.chain(source.name).newest()
      await attach(engine, project.ingestion, manifest, {
        rows: source.name,
        changes: `${source.name}_changes`,
      })
    }
    await attach(engine, project.processed, await project.processed.chain(project.name).newest(), {
      rows: 'main',
      changes: 'changes',
    })
    await engine.confine([
      project.ingestion.store.url,
      project.processed.store.url,
      project.tempFolder,
    ])
    await refuseOther(engine, sql)
    return await engine.read(sql, limit)
  } catch (error) {
    if (error instanceof EngineFailure) throw invalid(error)
    throw error
  } finally {
    engine.close()
  }
}

async function attach(
  engine: Engine,
  zone: Zone,
  manifest: CommittedManifest | null,
  schemas: { rows: string; changes: string },
): Promise<void> {
  const [rows, changes] = [quoteName(schemas.rows), quoteName(schemas.changes)]
  await engine.run(`create schema if not exists ${rows}; create schema if not exists ${changes}`)
  if (manifest === null) return
  for (const table of Object.keys(manifest.tables)) {
    await engine.run(
      `create view ${rows}.${quoteName(table)} as ${await rowsAsOf(zone, manifest, table, manifest.batch)}`,
    )
    await engine.run(
      `create view ${changes}.${quoteName(table)} as ${await changesUpTo(zone, manifest, table, manifest.batch)}`,
    )
  }
}

/** The lake's folder is open to the engine, so only a single `select` may run: COPY could write there. */
async function refuseOther(engine: Engine, sql: string): Promise<void> {
  const [row] = await engine.rows(`select json_serialize_sql(${quoteText(sql)}) as tree`)
  const tree = JSON.parse(String(row?.['tree'])) as {
    error: boolean
    error_message?: string
    statements?: unknown[]
  }
  // DuckDB serializes selects only, and says so of anything else that parses.
  const other = tree.error && tree.error_message?.startsWith('Only SELECT') === true
  if (other || tree.statements?.length === 0)
    throw new EngineFailure('Permission Error: only a select is allowed')
  if (tree.error) throw new EngineFailure(`Parser Error: ${tree.error_message ?? 'not understood'}`)
  if (tree.statements?.length !== 1)
    throw new EngineFailure('Permission Error: one statement at a time')
}

async function queryWarehouse(
  project: Project,
  sql: string,
  limit: number,
  context: Context,
): Promise<QueryResult> {
  const url = await project.warehouseUrl()
  const connection = await connect({
    side: 'warehouse',
    name: 'warehouse',
    url,
    signal: context.signal,
  })
  try {
    await connection.query(
      'begin',
      beginReading('repeatable read', { lockTimeoutMs: 5_000, statementTimeoutMs: 600_000 }),
    )
    await connection.query(
      'set the schema',
      `set local search_path = ${[project.settings.warehouse.schema, project.settings.warehouse.ledger].map(quoteIdentifier).join(', ')}`,
    )
    await connection.query('set row security', 'set local row_security = on')
    try {
      return await connection.read('answer the query', sql, limit)
    } catch (error) {
      if (error instanceof ToteError && error.name === 'WarehouseRefused') throw invalid(error)
      throw error
    }
  } finally {
    await connection.close()
  }
}

function invalid(cause: Error): ToteError {
  const [first = ''] = cause.message.split('\n')
  // Parser, binder and catalogue quote the query; every other kind of error may quote a value (P10).
  const quotesQuery =
    cause instanceof ToteError || /^(Parser|Binder|Catalog|Permission) Error/.test(first)
  const reason = quotesQuery
    ? first
    : (/^[A-Z][A-Za-z ]+ Error/.exec(first)?.[0] ?? 'the engine gave no reason')
  return new ToteError('QueryInvalid', `The query was refused: ${reason}`, {
    terminal: cause.message.split('\n'),
    cause,
  })
}
