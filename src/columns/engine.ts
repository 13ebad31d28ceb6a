/**
 * The embedded DuckDB: one in-memory instance for a run, pinned so that a query means the same on
 * every machine (UTC, binary collation, nulls last). Imported only when rows must be looked at:
 * loading it costs more than an empty run.
 */
import { createRequire } from 'node:module'
import type { DuckDBConnection, DuckDBDataChunk, DuckDBInstance } from '@duckdb/node-api'
import { ToteError } from '../errors.ts'
import { corruptFile, diskFailure, fileNamed, memoryFailure } from './engine-failure.ts'
import { giveBackFreed, memoryOf, openLimits, type Cores, type Limits } from './limits.ts'
import { quoteName } from './sql.ts'

export type EngineValue = string | number | bigint | boolean | null

/** Of several statements in one text each may come again, the first included, where memory is short: they must bear it. */
export interface Engine {
  /** DuckDB's version, recorded in processed manifests. */
  readonly version: string
  /** What the engine has in common with others of its home, as long as DuckDB stays open: one object each. Null without a home. */
  readonly home: object | null
  /** Runs statements without looking at rows. Throws EngineFailure. */
  run(sql: string): Promise<void>
  /** A small result as rows; values that are not plain become their text. */
  rows(sql: string): Promise<Record<string, EngineValue>[]>
  /** At most `limit` rows with the names and types of their columns, for a person. */
  read(sql: string, limit: number): Promise<EngineTable>
  /** A large result as column vectors, one chunk at a time. */
  chunks(sql: string): AsyncIterable<DuckDBDataChunk>
  /** Another connection to the same database, which sees all but temporary tables, for work that goes on side by side. To be closed first. */
  beside(): Promise<Engine>
  /** How many cores each statement has, of this engine and all that share its instance, until it is said again; all to begin with. */
  useCores(cores: Cores): void
  /** Does work that sorts many rows, for which the process needs more memory than DuckDB counts. */
  sorting<T>(work: () => Promise<T>): Promise<T>
  /** Gives up on user-supplied SQL ever reaching outside `folders`: no other file, no network, no settings. */
  confine(folders: readonly string[]): Promise<void>
  /** A statement that is under way is interrupted, unless it has yet to begin; what it needs is let go of when it has ended. */
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
  /** DuckDB's own limit, for example `512MB`; what does not fit goes to `tempFolder`. */
  readonly memoryLimit?: string | undefined
  readonly threads?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** DuckDB's message, before whoever asked says what it means for the user. */
export class EngineFailure extends Error {
  override readonly name = 'EngineFailure'
}

/** One DuckDB for many engines, each with a database of its own that nobody else sees. */
export interface EngineHome {
  /** An engine, ready at once when one was open before. Throws DependencyMissing. */
  engine(signal?: AbortSignal): Promise<Engine>
  close(): Promise<void>
}

/** Opens an engine that shares nothing. Throws DependencyMissing when DuckDB's package has no build for this machine. */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { instance, version, limits, close } = await openInstance(options)
  return connectEngine(instance, {
    version,
    limits,
    home: null,
    signal: options.signal,
    onFatal: () => undefined,
    onClosed: close,
  })
}

/**
 * Opens a home for engines; DuckDB is loaded with the first. Its memory limit and its threads are
 * those of all engines together. Settings are the home's, so none of its engines may be confined.
 */
export function openEngineHome(options: Omit<EngineOptions, 'signal'>): EngineHome {
  let home: Promise<Instance & { readonly keeper: DuckDBConnection }> | undefined
  let opened = 0
  const leaving = new Set<Promise<unknown>>()
  const leave = (action: Promise<unknown>): void => {
    const gone = action.catch(() => undefined).finally(() => leaving.delete(gone))
    leaving.add(gone)
  }
  return {
    engine: async (signal) => {
      const opening = (home ??= openHome(options))
      // An installation that is mended meanwhile must not stay broken for us.
      opening.catch(() => (home = home === opening ? undefined : home))
      const { instance, keeper, version, limits } = await opening
      opened += 1
      const database = quoteName(`_tote_engine_${opened}`)
      await keeper.run(`attach ':memory:' as ${database}`)
      limits.cores = 'all'
      return connectEngine(instance, {
        version,
        limits,
        home: instance,
        signal,
        database,
        // After such an error every query fails; the next engine finds a new home.
        onFatal: () => {
          if (home === opening) home = undefined
        },
        onClosing: (closed) => leave(closed),
        onClosed: () => leave(keeper.run(`detach ${database}`)),
      })
    },
    close: async () => {
      const closing = home
      home = undefined
      while (leaving.size > 0) await Promise.all(leaving)
      const found = await closing?.catch(() => undefined)
      found?.keeper.closeSync()
      found?.close()
    },
  }
}

interface Instance {
  close(): void
  readonly instance: DuckDBInstance
  readonly version: string
  readonly limits: Limits
}

async function openHome(
  options: EngineOptions,
): Promise<Instance & { readonly keeper: DuckDBConnection }> {
  const opened = await openInstance(options)
  return { ...opened, keeper: await opened.instance.connect() }
}

async function openInstance(options: EngineOptions): Promise<Instance> {
  const load = createRequire(import.meta.url)
  let duckdb: typeof import('@duckdb/node-api')
  try {
    // Required, not imported: CommonJS that is imported is read twice, here for an eighth of a second.
    duckdb = load('@duckdb/node-api') as typeof duckdb
  } catch (cause) {
    throw new ToteError('DependencyMissing', 'DuckDB could not be loaded on this machine.', {
      fix: 'npm install @duckdb/node-api',
      cause,
    })
  }
  keepByteOrderMarks(load)
  const instance = await duckdb.DuckDBInstance.create(':memory:', {
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    memory_limit: memoryOf(options),
    temp_directory: options.tempFolder,
    preserve_insertion_order: 'false',
    // The system keeps what has been read of files; a second copy would fill all of our memory.
    enable_external_file_cache: 'false',
    // What one stage has freed goes back to the system before the next needs as much.
    allocator_background_threads: 'true',
    ...(options.threads === undefined ? {} : { threads: String(options.threads) }),
  })
  const first = await instance.connect()
  await first.run(PINNED)
  const limits = await openLimits(first, options)
  first.closeSync()
  const freed = giveBackFreed(async (given) => duckdb.DuckDBInstance.create(':memory:', given))
  const close = (): void => {
    freed.close()
    instance.closeSync()
  }
  return { close, instance, version: `duckdb ${duckdb.version()}`, limits }
}

/** The package would drop U+FEFF from the beginning of every text that it hands to JavaScript. */
function keepByteOrderMarks(load: NodeJS.Require): void {
  const accessors = load(
    '@duckdb/node-api/lib/vectors/dataAccessors.js',
  ) as typeof import('@duckdb/node-api/lib/vectors/dataAccessors.js')
  Object.assign(accessors, { textDecoder: new TextDecoder('utf-8', { ignoreBOM: true }) })
}

interface Connecting {
  readonly version: string
  readonly limits: Limits
  readonly home: object | null
  readonly signal?: AbortSignal | undefined
  /** The attached database to work in; the instance's own when not given. */
  readonly database?: string
  /** The file of the lake that a statement has named last; views may read it in any later one. */
  readonly named?: { last: string | undefined }
  readonly onFatal: () => void
  /** Whoever must stay open meanwhile. */
  readonly within?: <T>(work: () => Promise<T>) => Promise<T>
  /** Closed while a statement is under way. */
  readonly onClosing?: (closed: Promise<void>) => void
  readonly onClosed: () => void
}

async function connectEngine(instance: DuckDBInstance, options: Connecting): Promise<Engine> {
  const { version, home, signal, database, limits, named = { last: undefined } } = options
  const { within = async (work) => work() } = options
  const connection = await instance.connect()
  if (database !== undefined) await connection.run(`use ${database}`)
  const abort = (): void => connection.interrupt()
  signal?.addEventListener('abort', abort)
  /** Statements under way: DuckDB does not survive that its connection is closed under one. */
  let atWork = 0
  let isClosed = false
  let onIdle = (): void => undefined
  const busy = async <T>(work: () => Promise<T>): Promise<T> => {
    if (isClosed) throw new EngineFailure('the engine was closed')
    atWork += 1
    try {
      return await within(work)
    } finally {
      atWork -= 1
      if (atWork === 0) onIdle()
    }
  }
  const attempt = async <T>(action: () => Promise<T>, sql = ''): Promise<T> =>
    busy(async () => tryOut(action, sql))
  const tryOut = async <T>(action: () => Promise<T>, sql: string): Promise<T> => {
    named.last = fileNamed(sql) ?? named.last
    try {
      signal?.throwIfAborted()
      await limits.apply(connection)
      return await action()
    } catch (error) {
      signal?.throwIfAborted()
      const message = error instanceof Error ? error.message : String(error)
      // A statement has effect whole or not at all, so it may be tried again; and several bear it.
      const isShort = message.startsWith('Out of Memory Error')
      if (isShort && (await limits.giveMore(connection))) return await tryOut(action, sql)
      if (/^(FATAL|INTERNAL) Error/.test(message)) options.onFatal()
      throw (
        diskFailure(message) ??
        memoryFailure(message) ??
        corruptFile(message, named.last) ??
        new EngineFailure(message)
      )
    }
  }
  let last: Promise<unknown> = Promise.resolve()
  // A connection takes one statement after another; those that wait there would hold up the threads that files need.
  const inTurn = async <T>(action: () => Promise<T>, sql: string): Promise<T> => {
    const turn = last.then(async () => attempt(action, sql))
    last = turn.catch(() => undefined)
    return turn
  }
  return {
    version,
    home,
    run: async (sql) => inTurn(async () => void (await connection.run(sql)), sql),
    rows: async (sql) => inTurn(async () => readRows(connection, sql), sql),
    read: async (sql, limit) => inTurn(async () => readTable(connection, sql, limit), sql),
    chunks: (sql) => streamChunks(connection, sql, attempt),
    beside: async () =>
      connectEngine(instance, { ...options, named, within: busy, onClosed: () => undefined }),
    useCores: (wanted) => void (limits.cores = wanted),
    sorting: async (work) => {
      limits.sorting += 1
      try {
        return await work()
      } finally {
        limits.sorting -= 1
      }
    },
    confine: async (folders) => attempt(async () => confine(connection, folders)),
    close: () => {
      if (isClosed) return
      isClosed = true
      const leave = (): void => {
        signal?.removeEventListener('abort', abort)
        connection.closeSync()
        options.onClosed()
      }
      if (atWork === 0) return leave()
      const closed = new Promise<void>((resolve) => (onIdle = () => resolve(leave())))
      options.onClosing?.(closed)
      connection.interrupt()
    },
  }
}

const PINNED =
  "set global timezone = 'UTC'; set global default_collation = 'binary'; set global default_null_order = 'nulls_last'; set global default_order = 'asc'"

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
  const types = reader.columnTypes().map(String)
  return {
    columns: reader.columnNames().map((name, index) => ({ name, type: types[index] ?? '' })),
    rows: reader
      .getRows()
      .slice(0, limit)
      .map((row) =>
        row.map((value, index) =>
          types[index] === 'FLOAT' ? shortest(plain(value)) : plain(value),
        ),
      ),
    truncated: reader.currentRowCount > limit,
  }
}

/** A number of four bytes as the shortest that is the same one, as PostgreSQL prints it: 0.1, and not 0.10000000149011612. */
function shortest(value: EngineValue): EngineValue {
  if (typeof value !== 'number' || !Number.isFinite(value)) return value
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === value) return short
  }
  return value
}

function plain(value: unknown): EngineValue {
  if (value === null || value === undefined) return null
  // A date prints infinity as the day after the last.
  if (typeof value === 'object' && 'days' in value && 'isFinite' in value && !value.isFinite)
    return Number(value.days) > 0 ? 'infinity' : '-infinity'
  if (typeof value === 'object') return (value as { toString(): string }).toString()
  return value as EngineValue
}

async function* streamChunks(
  connection: DuckDBConnection,
  sql: string,
  attempt: <T>(action: () => Promise<T>, sql?: string) => Promise<T>,
): AsyncIterable<DuckDBDataChunk> {
  const result = await attempt(async () => connection.stream(sql), sql)
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
