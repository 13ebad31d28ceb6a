/**
 * Reading queries for people. On the lake, in a DuckDB that can touch nothing else: the current rows of
 * every source table as `source.table` and of every model by its name, and all their changes as
 * `source_changes.table` and `changes.model`, with `_tote_op` and `_tote_batch`. On the warehouse: a
 * read-only transaction. Both also as of a batch: what the lake held then, and the versions of facts that were valid.
 */
import { EngineFailure, openEngine, type Engine } from '../columns/engine.ts'
import { quoteName, quoteText } from '../columns/sql.ts'
import { ToteError } from '../errors.ts'
import type { BatchMark, Context } from '../events.ts'
import type { CommittedManifest } from '../lake/manifest.ts'
import { changesUpTo, rowsAsOf } from '../lake/read.ts'
import type { Zone } from '../lake/zone.ts'
import { otherwiseWritten } from '../models/dependencies.ts'
import type { TableName } from '../models/model.ts'
import { readReferences } from '../syntax/references.ts'
import { parseSql } from '../syntax/syntax-tree.ts'
import { connect, type Connection } from '../postgres/connection.ts'
import { quoteIdentifier } from '../postgres/identifiers.ts'
import { beginReading } from '../postgres/session.ts'
import { readCatalogue } from '../star/catalogue.ts'
import type { StarTable } from '../star/star-table.ts'
import type { Project } from '../project/project.ts'
import { allColumns, layoutOf } from '../star/layout.ts'
import { latestOnly, manifestAsOf, starAsOf, viewsAsOf, type ManifestAsOf } from './as-of.ts'
import type { AsOf } from '../project/moment.ts'

export interface QueryOptions {
  readonly on: 'lake' | 'warehouse'
  readonly limit: number
  /** The lake, or the facts of the warehouse, as they were at a batch or a moment. */
  readonly asOf?: AsOf | undefined
}

export interface QueryResult {
  /** When one was chosen. */
  readonly environment?: string
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly rows: readonly (readonly (string | number | bigint | boolean | null)[])[]
  readonly truncated: boolean
  /** The batch that was asked for. */
  readonly asOf?: BatchMark
  /** In the warehouse, as of a batch: what the query names and has its latest values only. */
  readonly latestOnly?: readonly string[]
}

/** Answers one `select`. Throws QueryInvalid with the engine's own message. */
export async function query(
  project: Project,
  sql: string,
  options: QueryOptions,
  context: Context,
): Promise<QueryResult> {
  const at =
    options.asOf === undefined ? null : await manifestAsOf(project, options.asOf, context.now())
  const question: Question = { sql, limit: options.limit, at }
  const answer = await (options.on === 'lake'
    ? queryLake(project, question, context)
    : queryWarehouse(project, question, context))
  const result =
    at === null ? answer : { ...answer, asOf: { batch: at.added.batch, instant: at.added.instant } }
  return project.environment === null ? result : { environment: project.environment, ...result }
}

interface Question {
  readonly sql: string
  readonly limit: number
  readonly at: ManifestAsOf | null
}

async function queryLake(
  project: Project,
  { sql, limit, at }: Question,
  context: Context,
): Promise<QueryResult> {
  const engine = await openEngine({ tempFolder: project.tempFolder, signal: context.signal })
  let written: string | undefined
  try {
    const views: LakeView[] = []
    for (const { source } of project.sources) {
      const chain = project.ingestion.chain(source.name)
      const then = at?.added.inputs?.[source.name]
      const manifest =
        at === null
          ? await chain.newest()
          : then === undefined
            ? null
            : await chain.read(then.manifest)
      const schemas = { rows: source.name, changes: `${source.name}_changes` }
      views.push(...lakeViews(project.ingestion, manifest, schemas))
    }
    const newest = at?.newest ?? (await project.processed.chain(project.name).newest())
    const schemas = { rows: DEFAULT_SCHEMA, changes: 'changes' }
    views.push(...lakeViews(project.processed, newest, schemas, at?.added.batch))
    for (const schema of new Set(views.map((view) => view.schema)))
      await engine.run(`create schema if not exists ${quoteName(schema)}`)
    const { named, unknown } = await namedViews(engine, sql, views)
    if (unknown !== null)
      written = otherwiseWritten(sourceTables(project, views), unknown.schema, unknown.name)
    for (const { schema, table, select } of named)
      await engine.run(`create view ${quoteName(schema)}.${quoteName(table)} as ${await select()}`)
    await engine.confine([
      project.ingestion.store.url,
      project.processed.store.url,
      project.tempFolder,
    ])
    await refuseOther(engine, sql)
    return await engine.read(sql, limit)
  } catch (error) {
    if (error instanceof EngineFailure)
      throw invalid(
        error,
        written === undefined ? undefined : `the table of the source is ${written}`,
      )
    throw error
  } finally {
    engine.close()
  }
}

const DEFAULT_SCHEMA = 'main'

interface LakeView {
  readonly schema: string
  readonly table: string
  /** Finds the files, each checked against its manifest. */
  readonly select: () => Promise<string>
}

function lakeViews(
  zone: Zone,
  manifest: CommittedManifest | null,
  schemas: { readonly rows: string; readonly changes: string },
  batch = manifest?.batch ?? 0,
): LakeView[] {
  if (manifest === null) return []
  return Object.keys(manifest.tables).flatMap((table) => [
    {
      schema: schemas.rows,
      table,
      select: async () => rowsAsOf(zone, manifest, table, batch),
    },
    {
      schema: schemas.changes,
      table,
      select: async () => changesUpTo(zone, manifest, table, batch),
    },
  ])
}

/**
 * The views that the query names, and the first name that is none's. All of them when it may ask for others, by a catalogue's function for
 * instance, or names one that is not there: DuckDB then knows what could have been meant.
 */
async function namedViews(
  engine: Engine,
  sql: string,
  views: readonly LakeView[],
): Promise<{ readonly named: readonly LakeView[]; readonly unknown: TableName | null }> {
  const parsed = await parseSql(engine, sql)
  if ('complaint' in parsed) return { named: [], unknown: null }
  const named = new Set<LakeView>()
  for (const statement of parsed.statements) {
    const { tables, refusals } = readReferences(statement)
    for (const { schema, name } of tables) {
      const found = views.find(
        (view) => sameName(view.schema, schema ?? DEFAULT_SCHEMA) && sameName(view.table, name),
      )
      if (found === undefined) return { named: views, unknown: { schema, name } }
      named.add(found)
    }
    if (tables.length === 0 || refusals.length > 0) return { named: views, unknown: null }
  }
  return { named: [...named], unknown: null }
}

function sourceTables(
  { sources }: Project,
  views: readonly LakeView[],
): { schema: string; name: string }[] {
  const known = new Set(sources.map(({ source }) => source.name))
  return views
    .filter(({ schema }) => known.has(schema))
    .map(({ schema, table }) => ({ schema, name: table }))
}

function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
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
  { sql, limit, at }: Question,
  context: Context,
): Promise<QueryResult> {
  const known = at === null ? [] : await starAsOf(project, at)
  const url = await project.warehouseUrl()
  const connection = await connect({
    side: 'warehouse',
    name: 'warehouse',
    url,
    silenceMs: project.settings.silenceMs,
    signal: context.signal,
  })
  try {
    // Views of one's own are made in a transaction that may write, and then may not any more.
    const access = at === null ? 'read only' : 'read write'
    const limits = { lockTimeoutMs: 5_000, statementTimeoutMs: 600_000 }
    await connection.query('begin', beginReading('repeatable read', limits, access))
    const { schema, ledger } = project.settings.warehouse
    const star = at === null ? [] : await thatAreThere(connection, schema, known)
    const views = at === null ? [] : viewsAsOf(schema, star, at.added.instant)
    if (at !== null)
      await connection.query(
        'make views as of a batch',
        [...views, 'set transaction read only'].join('; '),
      )
    const path = [...(at === null ? [] : ['pg_temp']), schema, ledger]
    await connection.query(
      'set the schema',
      `set local search_path = ${path.map(quoteIdentifier).join(', ')}`,
    )
    await connection.query('set row security', 'set local row_security = on')
    try {
      const answer = await connection.read('answer the query', sql, limit)
      return at === null ? answer : { ...answer, latestOnly: latestOnly(star, sql) }
    } catch (error) {
      if (error instanceof ToteError && error.name === 'WarehouseRefused')
        throw invalid(error, isQuery(sql) ? undefined : 'only a select is answered')
      throw error
    }
  } finally {
    await connection.close()
  }
}

/** A table whose model is gone may have been dropped; in a warehouse that was put back it may be what it was before: then it has no versions. */
async function thatAreThere(
  connection: Connection,
  schema: string,
  star: readonly StarTable[],
): Promise<readonly StarTable[]> {
  const catalogue = await readCatalogue(
    connection,
    schema,
    star.map(({ name }) => name),
  )
  return star.flatMap((table) => {
    const found = catalogue.get(table.name)
    if (found === undefined) return []
    const has = new Set(found.columns.map(({ name }) => name))
    const isWhole = allColumns(layoutOf(table)).every(({ name }) => has.has(name))
    return [isWhole ? table : { ...table, kind: 'table' as const, history: false }]
  })
}

/** What begins otherwise cannot be asked with a cursor, and the server calls its first word a mistake in syntax. */
function isQuery(sql: string): boolean {
  return /^\s*(\(|(select|with|values|table)\b|--|\/\*)/i.test(sql)
}

function invalid(cause: Error, fix?: string): ToteError {
  const [first = ''] = cause.message.split('\n')
  // Parser, binder and catalogue quote the query; every other kind of error may quote a value (P10).
  const quotesQuery =
    cause instanceof ToteError || /^(Parser|Binder|Catalog|Permission) Error/.test(first)
  const reason = quotesQuery
    ? first
    : (/^[A-Z][A-Za-z ]+ Error/.exec(first)?.[0] ?? 'the engine gave no reason')
  const lines = cause.message.split('\n')
  return new ToteError('QueryInvalid', `The query was refused: ${reason}`, {
    ...(fix === undefined ? {} : { fix }),
    ...(lines.length === 1 && reason === first ? {} : { terminal: lines }),
    cause,
  })
}
