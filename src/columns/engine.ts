/**
 * The embedded DuckDB: one in-memory instance for a run, pinned so that a query means the same on
 * every machine (UTC, binary collation, nulls last). Imported only when rows must be looked at:
 * loading it costs more than an empty run.
 */
import type { DuckDBConnection, DuckDBDataChunk } from '@duckdb/node-api'
import { ToteError } from '../errors.ts'

export type EngineValue = string | number | bigint | boolean | null

export interface Engine {
  /** DuckDB's version, recorded in processed manifests. */
  readonly version: string
  /** Runs statements without looking at rows. Throws EngineFailure. */
  run(sql: string): Promise<void>
  /** A small result as rows; values that are not plain become their text. */
  rows(sql: string): Promise<Record<string, EngineValue>[]>
  /** At most `limit` rows with the names and types of their columns, for a person. */
  read(sql: string, limit: number): Promise<EngineTable>
  /** A large result as column vectors, one chunk at a time. */
  chunks(sql: string): AsyncIterable<DuckDBDataChunk>
  /** Gives up on user-supplied SQL ever reaching outside `folders`: no other file, no network, no settings. */
  confine(folders: readonly string[]): Promise<void>
  close(): void
}

export interface EngineTable {
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly rows: readonly (readonly EngineValue[])[]
  /** More rows were there than the limit. */
  readonly truncated: boolean
}

export interface EngineOptions {
  /** Where DuckDB may spill what does not fit in memory. */
  readonly tempFolder: string
  /** DuckDB's own limit, for example `512MB`. */
  readonly memoryLimit?: string | undefined
  readonly threads?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** DuckDB's message, before whoever asked says what it means for the user. */
export class EngineFailure extends Error {
  override readonly name = 'EngineFailure'
}

/** Opens an instance. Throws DependencyMissing when DuckDB's package has no build for this machine. */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  let duckdb: typeof import('@duckdb/node-api')
  try {
    duckdb = await import('@duckdb/node-api')
  } catch (cause) {
    throw new ToteError('DependencyMissing', 'DuckDB could not be loaded on this machine.', {
      fix: 'npm install @duckdb/node-api',
      cause,
    })
  }
  const instance = await duckdb.DuckDBInstance.create(':memory:', {
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    memory_limit: options.memoryLimit ?? '1GB',
    temp_directory: options.tempFolder,
    preserve_insertion_order: 'false',
    ...(options.threads === undefined ? {} : { threads: String(options.threads) }),
  })
  const connection = await instance.connect()
  await connection.run(PINNED)
  const abort = (): void => connection.interrupt()
  options.signal?.addEventListener('abort', abort)
  const attempt = async <T>(action: () => Promise<T>): Promise<T> => {
    try {
      options.signal?.throwIfAborted()
      return await action()
    } catch (error) {
      options.signal?.throwIfAborted()
      const message = error instanceof Error ? error.message : String(error)
      throw diskFailure(message) ?? new EngineFailure(message)
    }
  }
  return {
    version: `duckdb ${duckdb.version()}`,
    run: async (sql) => attempt(async () => void (await connection.run(sql))),
    rows: async (sql) => attempt(async () => readRows(connection, sql)),
    read: async (sql, limit) => attempt(async () => readTable(connection, sql, limit)),
    chunks: (sql) => streamChunks(connection, sql, attempt),
    confine: async (folders) => attempt(async () => confine(connection, folders)),
    close: () => {
      options.signal?.removeEventListener('abort', abort)
      connection.closeSync()
      instance.closeSync()
    },
  }
}

/** A disk that refuses is nobody's query: DuckDB's message about one holds a path and a reason. */
function diskFailure(message: string): ToteError | undefined {
  const full = /No space left on device|max_temp_directory_size/.test(message)
  const refused = /^IO Error: (?:Could not|Cannot) [^"]*"([^"]*)": (.*)$/m.exec(message)
  if (!full && refused === null) return undefined
  const path = refused?.[1]
  const what = path === undefined ? 'Temporary files' : `The file "${path}"`
  return new ToteError(
    'LakeUnreachable',
    `${what} could not be read or written (${full ? 'no space left' : refused?.[2]}).`,
    {
      where: path,
      fix: full ? 'free some disk space, then run again' : 'check the folder and its rights',
    },
  )
}

const PINNED =
  "set timezone = 'UTC'; set default_collation = 'binary'; set default_null_order = 'nulls_last'; set default_order = 'asc'"

async function readRows(
  connection: DuckDBConnection,
  sql: string,
): Promise<Record<string, EngineValue>[]> {
  const reader = await connection.runAndReadAll(sql)
  const names = reader.deduplicatedColumnNames()
  return reader
    .getRows()
    .map((row) => Object.fromEntries(row.map((value, index) => [names[index] ?? '', plain(value)])))
}

async function readTable(
  connection: DuckDBConnection,
  sql: string,
  limit: number,
): Promise<EngineTable> {
  const reader = await connection.streamAndReadUntil(sql, limit + 1)
  const types = reader.columnTypes()
  return {
    columns: reader.columnNames().map((name, index) => ({ name, type: String(types[index]) })),
    rows: reader
      .getRows()
      .slice(0, limit)
      .map((row) => row.map(plain)),
    truncated: reader.currentRowCount > limit,
  }
}

function plain(value: unknown): EngineValue {
  if (value === null || value === undefined) return null
  if (typeof value === 'object') return (value as { toString(): string }).toString()
  return value as EngineValue
}

async function* streamChunks(
  connection: DuckDBConnection,
  sql: string,
  attempt: <T>(action: () => Promise<T>) => Promise<T>,
): AsyncIterable<DuckDBDataChunk> {
  const result = await attempt(async () => connection.stream(sql))
  for (;;) {
    const chunk = await attempt(async () => result.fetchChunk())
    if (chunk === null || chunk.rowCount === 0) return
    yield chunk
  }
}

async function confine(connection: DuckDBConnection, folders: readonly string[]): Promise<void> {
  const list = folders.map((folder) => `'${folder.replaceAll("'", "''")}'`).join(', ')
  await connection.run(`set allowed_directories = [${list}]`)
  await connection.run('set enable_external_access = false')
  await connection.run('set lock_configuration = true')
}
