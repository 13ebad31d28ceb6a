/**
 * The application's own connection to its database, the only file here that knows the driver. Values
 * come back as the text that the server prints; COPY takes rows from a generator, as fast as the
 * socket drains, so that memory does not grow with the number of rows.
 */
import pg from 'pg'
import type { Row, Value } from './schema.ts'

export type TextRow = Readonly<Record<string, string | null>>

export interface Database {
  /** One statement, with values for $1, $2, … */
  query(text: string, values?: readonly Value[]): Promise<TextRow[]>
  /** Several statements without values. */
  run(text: string): Promise<void>
  /** All of `work` in one transaction, rolled back when it throws. */
  transaction<T>(work: () => Promise<T>): Promise<T>
  /** Copies `rows` into a table (written as in SQL), `columns` in this order; returns how many. */
  copy(table: string, columns: readonly string[], rows: Iterable<Row>): Promise<number>
  /** An open transaction is rolled back. Safe to call twice. */
  close(): Promise<void>
}

/** What the user of the simulator can put right, in a sentence. */
export class SimulatorError extends Error {
  override readonly name = 'SimulatorError'
}

/** Connects, with dates printed alike whatever the role's or the server's settings. Throws SimulatorError. */
export async function openDatabase(url: string): Promise<Database> {
  const client = createClient(url)
  // Without a listener a lost connection would end the process; the next query reports it.
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query("set datestyle = 'ISO, MDY'")
  } catch (error) {
    await client.end().catch(() => undefined)
    const where = `database "${client.database ?? ''}" at ${client.host}:${client.port} as "${client.user ?? ''}"`
    throw new SimulatorError(`Cannot connect to ${where}: ${reasonOf(error)}`, { cause: error })
  }
  let closed: Promise<void> | undefined
  const run = async (text: string): Promise<void> => {
    await client.query(text)
  }
  return {
    query: async (text, values = []) => (await client.query<TextRow>(text, [...values])).rows,
    run,
    transaction: async (work) => {
      await run('begin')
      try {
        const result = await work()
        await run('commit')
        return result
      } catch (error) {
        // The first error is the one to report, also when the connection itself is gone.
        await run('rollback').catch(() => undefined)
        throw error
      }
    },
    copy: async (table, columns, rows) => copyIn(client, table, columns, rows),
    close: async () => (closed ??= client.end().catch(() => undefined)),
  }
}

function createClient(url: string): pg.Client {
  const asText = { getTypeParser: () => (text: string) => text }
  try {
    // The driver would take any word for a database on a host called "base".
    if (!/^postgres(ql)?:\/\//.test(url)) throw new TypeError('not a postgres:// URL')
    return new pg.Client({
      connectionString: url,
      application_name: 'totesys',
      types: asText as never,
    })
  } catch (error) {
    // Not quoted: it may hold a password.
    const shape = 'postgres://user:password@host:port/database'
    throw new SimulatorError(`The URL of the database is not one like ${shape}.`, { cause: error })
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return reasonOf(error.errors[0])
  return error instanceof Error ? error.message : String(error)
}

/** The part of the driver's connection that COPY needs; its type declarations leave it out. */
interface CopyConnection {
  readonly stream: NodeJS.EventEmitter & {
    readonly writableNeedDrain: boolean
    readonly destroyed: boolean
  }
  query(text: string): void
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
  sendCopyFail(reason: string): void
}

async function copyIn(
  client: pg.Client,
  table: string,
  columns: readonly string[],
  rows: Iterable<Row>,
): Promise<number> {
  const text = `copy ${table} (${columns.map((column) => `"${column}"`).join(', ')}) from stdin`
  return new Promise<number>((resolve, reject) => {
    let copied = 0
    let ended = false
    let failure: unknown
    const query = {
      submit: (connection: CopyConnection) => connection.query(text),
      handleCopyInResponse: (connection: CopyConnection) => {
        send(connection, copyText(columns, rows), () => ended).then(
          () => !ended && connection.endCopyFrom(),
          (error: unknown) => {
            failure = error
            connection.sendCopyFail('the generator of rows failed')
          },
        )
      },
      handleCommandComplete: (message: { text: string }) => {
        copied = Number(/\d+$/.exec(message.text)?.[0])
      },
      handleError: (error: Error) => {
        ended = true
        reject(failure ?? error)
      },
      handleReadyForQuery: () => resolve(copied),
    }
    client.query(query as unknown as pg.Submittable)
  })
}

async function send(
  connection: CopyConnection,
  chunks: Iterable<Buffer>,
  ended: () => boolean,
): Promise<void> {
  for (const chunk of chunks) {
    if (ended() || connection.stream.destroyed) return
    connection.sendCopyFromChunk(chunk)
    if (connection.stream.writableNeedDrain) await drained(connection.stream)
  }
}

async function drained(stream: NodeJS.EventEmitter): Promise<void> {
  return new Promise<void>((resolve) => {
    const events = ['drain', 'close', 'error']
    const done = (): void => {
      for (const event of events) stream.off(event, done)
      resolve()
    }
    for (const event of events) stream.on(event, done)
  })
}

/** COPY's text format, in pieces of about 64 KB. */
export function* copyText(columns: readonly string[], rows: Iterable<Row>): Generator<Buffer> {
  let text = ''
  for (const row of rows) {
    text += `${columns.map((column) => field(row[column])).join('\t')}\n`
    if (text.length < 65_536) continue
    yield Buffer.from(text)
    text = ''
  }
  if (text !== '') yield Buffer.from(text)
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\t': '\\t',
  '\n': '\\n',
  '\r': '\\r',
}

function field(value: Value | undefined): string {
  if (value === null) return '\\N'
  // A misspelt column must not become the word "undefined" in the database.
  if (value === undefined) throw new TypeError('a row lacks a column')
  return typeof value === 'string'
    ? value.replace(/[\\\t\n\r]/g, (found) => ESCAPES[found] ?? found)
    : String(value)
}
