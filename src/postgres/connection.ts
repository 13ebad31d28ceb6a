/**
 * One connection to a PostgreSQL, with values left as the text that the server prints (no type
 * parser, P8), COPY in both directions, and errors in our words.
 */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { isIP, type Socket } from 'node:net'
import type { Client, ClientConfig, QueryConfig, Submittable } from 'pg'
import { ToteError } from '../errors.ts'
import { formatAddress, parseAddress, type Address } from './address.ts'
import { translateFailure, type Peer, type Side } from './failure.ts'
import { askOther, sessionOf, watchSilence, type Heard, type Silence } from '../wire/silence.ts'
import { CallerFailure, copyIn, copyOut, type CopySink, type CopyOutOptions } from '../wire/copy.ts'
import { cutMessages, openReadingSocket } from '../wire/messages.ts'

export type TextRow = Readonly<Record<string, string | null>>

export interface TextTable {
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly rows: readonly (readonly (string | null)[])[]
  /** More rows were there than the limit. */
  readonly truncated: boolean
}

/** `doing` is for the error message. */
export interface Statement {
  readonly doing: string
  readonly text: string
}

/** When one of many was done, nobody hears: the server sends its answers together. */
export interface Answered {
  readonly rows: readonly TextRow[]
}

export interface Connection {
  readonly peer: Peer
  /** The server process behind this connection. */
  readonly pid: number
  /** One statement with parameters, or several without; the rows of the last. `doing` is for the error message. */
  query(doing: string, text: string, values?: readonly (string | null)[]): Promise<TextRow[]>
  /** Statements without parameters, all in one round trip; what fails is told as what its own statement was doing. */
  queryAll(statements: readonly Statement[]): Promise<readonly Answered[]>
  /** At most `limit` rows of a query, for a person, with the names and types of its columns. */
  read(doing: string, text: string, limit: number): Promise<TextTable>
  /** `copy … to stdout`: hands each row to `sink`; returns the number of rows the server says it sent. */
  copyOut(
    doing: string,
    text: string,
    sink: CopySink,
    options?: Pick<CopyOutOptions, 'limit' | 'binaryRow'>,
  ): Promise<number>
  /** `copy … from stdin`: sends `chunks`; returns the number of rows the server took. A throw from `chunks` cancels it and is thrown on. */
  copyIn(doing: string, text: string, chunks: AsyncIterable<Uint8Array>): Promise<number>
  /** Ends the connection; an open transaction is rolled back by the server. Safe to call twice. */
  close(): Promise<void>
}

export interface ConnectOptions {
  readonly side: Side
  readonly name: string
  readonly url: string
  /** Aborting ends the connection at once. */
  readonly signal?: AbortSignal | undefined
  /** How long it may be silent in a statement before the server is asked about it; 30 s when not given. */
  readonly silenceMs?: number | undefined
}

const SILENCE_MS = 30_000
/** How long connecting may take, and closing, at most. */
const CONNECT_MS = 10_000
const CLOSE_MS = 3_000

/**
 * Connects. Throws SourceUnreachable, SourceRefused or their warehouse counterparts.
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const where = options.side === 'source' ? `sources.${options.name}.url` : 'warehouse.url'
  const address = parseAddress(options.url, where)
  const peer: Peer = { side: options.side, name: options.name, address: formatAddress(address) }
  const pg = createRequire(import.meta.url)('pg') as typeof import('pg')
  const silenceMs = options.silenceMs ?? SILENCE_MS
  const config = await clientConfig(address, where, Math.min(CONNECT_MS, silenceMs))
  const client = new pg.Client(config)
  const cutter = cutMessages(client)
  let lost: unknown
  // Without a listener a lost connection would end the process.
  client.on('error', (error) => {
    // The first says why the server ended the session, the next only that it is gone.
    lost ??= error
  })
  const abort = (): void => destroy(client)
  options.signal?.throwIfAborted()
  options.signal?.addEventListener('abort', abort, { once: true })
  try {
    await client.connect()
  } catch (error) {
    options.signal?.removeEventListener('abort', abort)
    void endSoon(client)
    options.signal?.throwIfAborted()
    throw translateFailure(error, peer, 'connect')
  }

  const silence = watchSilence({
    ms: silenceMs,
    bytes: () => bytesOf(client),
    ask: async (twice) => askAbout(new pg.Client(config), sessionOf(client), twice),
    onStalled: (heard) => destroy(client, new Error(`fell silent, ${heard}`)),
  })
  let closed: Promise<void> | undefined
  const attempt = async <T>(
    doing: string | (() => string),
    action: () => Promise<T>,
  ): Promise<T> => {
    try {
      options.signal?.throwIfAborted()
      return await silence.during(action)
    } catch (error) {
      options.signal?.throwIfAborted()
      if (error instanceof CallerFailure) throw error.cause
      const what = typeof doing === 'string' ? doing : doing()
      throw translateFailure(lost ?? error, peer, what)
    }
  }
  return {
    peer,
    pid: sessionOf(client),
    query: async (doing, text, values) =>
      attempt(doing, async () => {
        const result =
          values === undefined ? await client.query(text) : await client.query(text, [...values])
        const last = Array.isArray(result) ? (result as { rows: TextRow[] }[]).at(-1) : result
        return (last?.rows ?? []) as TextRow[]
      }),
    queryAll: async (statements) => {
      if (statements.length === 0) return []
      const query = new pg.Query(
        statements.map(({ text }) => text).join(';\n'),
      ) as unknown as ManyStatements
      let answered = 0
      return attempt(
        () => statements[answered]?.doing ?? '',
        async () => answerAll(client, query, () => (answered += 1)),
      )
    },
    read: async (doing, text, limit) => attempt(doing, async () => readTable(client, text, limit)),
    copyOut: async (doing, text, sink, options) =>
      attempt(doing, async () =>
        copyOut(client, cutter, { ...options, text, sink: excusing(sink, silence) }),
      ),
    copyIn: async (doing, text, chunks) =>
      attempt(doing, async () => copyIn(client, text, excusingChunks(chunks, silence))),
    close: async () => {
      closed ??= (async () => {
        options.signal?.removeEventListener('abort', abort)
        silence.stop()
        await endSoon(client)
      })()
      return closed
    },
  }
}

/** The driver's own query, which is told of each statement's end. */
interface ManyStatements extends Submittable {
  callback?: (error: Error | null, results?: { rows: TextRow[] } | { rows: TextRow[] }[]) => void
  handleCommandComplete(message: unknown, connection: unknown): void
}

/** Sends the query; `onAnswer` is called for each statement that succeeded. */
async function answerAll(
  client: Client,
  query: ManyStatements,
  onAnswer: () => void,
): Promise<readonly Answered[]> {
  const { handleCommandComplete } = query
  query.handleCommandComplete = (message, connection) => {
    onAnswer()
    handleCommandComplete.call(query, message, connection)
  }
  return new Promise((resolve, reject) => {
    query.callback = (error, results) => {
      if (error === null) resolve([results ?? []].flat().map(({ rows }) => ({ rows })))
      else reject(error)
    }
    client.query(query)
  })
}

/** Connections that read side by side: the first is there, others join when all are busy. */
export interface Readers {
  /** How many may read at once. */
  readonly most: number
  /** Hands a connection that nobody uses to `action`; one more is made with `join` while there may be more. */
  use<T>(join: () => Promise<Connection>, action: (reader: Connection) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export function openReaders(first: Connection, most: number): Readers {
  const all = [first]
  const free = [first]
  const waiting: ((reader: Connection) => void)[] = []
  let joining = 0
  const take = async (join: () => Promise<Connection>): Promise<Connection> => {
    const found = free.pop()
    if (found !== undefined) return found
    if (all.length + joining >= most)
      return new Promise<Connection>((resolve) => waiting.push(resolve))
    joining += 1
    try {
      const joined = await join()
      all.push(joined)
      return joined
    } finally {
      joining -= 1
    }
  }
  return {
    most,
    use: async (join, action) => {
      const reader = await take(join)
      try {
        return await action(reader)
      } finally {
        const next = waiting.shift()
        if (next === undefined) free.push(reader)
        else next(reader)
      }
    },
    close: async () => {
      await Promise.all(all.map(async (reader) => reader.close()))
    },
  }
}

/** A cursor keeps a large answer at the server; declaring one also refuses everything but a query. */
async function readTable(client: Client, text: string, limit: number): Promise<TextTable> {
  // The extended protocol takes one statement: `select 1; commit; drop …` must not get through.
  await client.query({
    text: `declare tote_query no scroll cursor for ${text}`,
    queryMode: 'extended',
  } as QueryConfig)
  const result = await client.query({
    text: `fetch ${limit + 1} from tote_query`,
    rowMode: 'array',
  })
  const names = await client.query({
    text: 'select format_type(t, null) as name from unnest($1::oid[]) with ordinality as o(t, n) order by n',
    values: [`{${result.fields.map((field) => field.dataTypeID).join(',')}}`],
  })
  return {
    columns: result.fields.map((field, index) => ({
      name: field.name,
      type: String(names.rows[index]?.name ?? ''),
    })),
    rows: (result.rows as (string | null)[][]).slice(0, limit),
    truncated: result.rows.length > limit,
  }
}

async function readRootCertificate(path: string, where: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
    throw new ToteError(
      'ConfigInvalid',
      `The root certificate "${path}" that the URL of ${where} names cannot be read (${code}).`,
      { where, fix: 'sslrootcert=/path/to/root.pem, a file in PEM form', cause: error },
    )
  }
}

async function clientConfig(
  address: Address,
  where: string,
  connectTimeoutMs: number,
): Promise<ClientConfig> {
  const ssl =
    address.tls === 'disable'
      ? false
      : {
          rejectUnauthorized: address.tls !== 'require',
          // What the certificate must name; a server name for TLS itself cannot be an address.
          host: address.host,
          ...(isIP(address.host) === 0 ? { servername: address.host } : {}),
          ...(address.tls === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
          ...(address.rootCertificate === undefined
            ? {}
            : { ca: await readRootCertificate(address.rootCertificate, where) }),
        }
  return {
    host: address.host,
    port: address.port,
    database: address.database,
    user: address.user,
    // undefined would make the driver read PGPASSWORD or ~/.pgpass for another server than the URL names.
    password: address.password ?? '',
    ssl,
    // TLS reads what is below it by itself.
    ...(ssl === false ? { stream: openReadingSocket } : {}),
    application_name: 'tote',
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    // The system's own patience would be two hours.
    keepAliveInitialDelayMillis: 10_000,
    types: { getTypeParser: () => (value: string) => value } as unknown as NonNullable<
      ClientConfig['types']
    >,
  }
}

function streamOf(client: Client): Socket {
  return (client as Client & { connection: { stream: Socket } }).connection.stream
}

function destroy(client: Client, reason?: Error): void {
  streamOf(client).destroy(reason)
}

function bytesOf(client: Client): number {
  const { bytesRead, bytesWritten } = streamOf(client)
  return bytesRead + bytesWritten
}

/** Says goodbye; who does not hear it is not waited for. */
async function endSoon(client: Client): Promise<void> {
  const timer = setTimeout(() => destroy(client), CLOSE_MS).unref()
  await client.end().catch(() => undefined)
  clearTimeout(timer)
}

/** Asks on a connection that is made for it. */
async function askAbout(other: Client, pid: number, mayEnd: boolean): Promise<Heard> {
  other.on('error', () => undefined)
  try {
    await other.connect()
    return await askOther(other, pid, mayEnd)
  } catch (error) {
    // A server that refuses one more connection is there, and may be at work; only servers say how severe it is.
    return (error as { severity?: unknown }).severity === undefined ? 'unreachable' : 'at work'
  } finally {
    void endSoon(other)
  }
}

/** While the rows' taker makes the server wait, it is not silent. */
function excusing(sink: CopySink, silence: Silence): CopySink {
  const { many } = sink
  return {
    row: (row) => sink.row(row),
    ...(many === undefined ? {} : { many: (rows) => many.call(sink, rows) }),
    ready: () => {
      const until = sink.ready()
      return until === undefined ? undefined : silence.excuse(until)
    },
  }
}

async function* excusingChunks(
  chunks: AsyncIterable<Uint8Array>,
  silence: Silence,
): AsyncIterable<Uint8Array> {
  const from = chunks[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await silence.excuse(from.next())
      if (next.done === true) return
      yield next.value
    }
  } finally {
    await from.return?.()
  }
}
