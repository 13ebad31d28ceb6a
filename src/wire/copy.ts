/**
 * COPY beside the driver. Out: one CopyData message is one row, so whoever receives them sees row ends
 * without parsing. In: chunks go out as fast as the socket drains.
 */
import type { Client } from 'pg'
import { openBinaryRows } from './binary-rows.ts'
import type { CopiedRows, MessageCutter } from './messages.ts'

export interface CopySink {
  /** One whole row, line end included. The buffer is the socket's: use it before the next call, or copy it. */
  row(row: Buffer): void
  /** All rows that have come together; `row` is called for each when not given. */
  many?(rows: CopiedRows): void
  /** Resolves when more rows may come; undefined when they may at once. */
  ready(): Promise<void> | undefined
}

/** Wraps what our own sink or chunks threw, so that it is not taken for the server's answer. */
export class CallerFailure extends Error {
  override readonly name = 'CallerFailure'
}

interface Socket {
  pause(): void
  resume(): void
  readonly writableNeedDrain: boolean
  readonly destroyed: boolean
  destroy(): void
  once(event: 'drain' | 'close' | 'error', listener: () => void): void
  off(event: 'drain' | 'close' | 'error', listener: () => void): void
}

/** What the driver calls on a query that is not its own (its `Submittable`), and the connection it hands over. */
interface ProtocolConnection {
  readonly stream: Socket
  query(text: string): void
  sendCopyFromChunk(chunk: Uint8Array): void
  endCopyFrom(): void
  sendCopyFail(reason: string): void
  sync(): void
}

/** How long a row may be: a row is kept until it is whole, so a longer one must be stopped when it begins. */
export interface RowLimit {
  readonly bytes: number
  /** What a longer one is thrown as; the connection is gone then. */
  readonly error: () => Error
}

export interface CopyOutOptions {
  readonly text: string
  readonly sink: CopySink
  readonly limit?: RowLimit | undefined
  /** Rows come in the binary format, each of so many bytes; the sink gets them without header and trailer. */
  readonly binaryRow?: number | undefined
}

/** Runs `copy … to stdout` and returns the row count of the server's command tag. */
export async function copyOut(
  client: Client,
  cutter: MessageCutter,
  { text, sink, limit, binaryRow }: CopyOutOptions,
): Promise<number> {
  return new Promise<number>((resolve, reject) => {
    /** What the command tag says; undefined until it has come. */
    let announced: number | undefined
    const binary = binaryRow === undefined ? null : openBinaryRows(binaryRow)
    let messages = 0
    let failure: unknown
    let waiting: Promise<void> | undefined
    let socket: Socket | undefined
    const wait = (until: Promise<void>): void => {
      socket?.pause()
      waiting = until
        .catch((error: unknown) => {
          failure ??= error
        })
        .finally(() => {
          waiting = undefined
          socket?.resume()
        })
    }
    const take = (taken: CopiedRows): void => {
      messages += taken.count
      const rows = binary === null ? taken : binary.take(taken)
      if (failure !== undefined || rows === null) return
      try {
        giveRows(sink, rows)
        const until = waiting === undefined ? sink.ready() : undefined
        if (until !== undefined) wait(until)
      } catch (error) {
        failure ??= error
      }
    }
    const begin = (bytes: number): boolean => {
      if (limit === undefined || bytes <= limit.bytes) return true
      failure ??= limit.error()
      socket?.destroy()
      return false
    }
    const settle = (): void => {
      const received = binary?.rows ?? messages
      if (failure !== undefined) reject(callerFailure(failure))
      else if (binary?.whole === false) reject(new Error('COPY sent no whole binary rows'))
      // A tag that disagrees with what arrived would be a truncated stream taken for a whole one.
      else if (announced !== received)
        reject(new Error(`COPY sent ${received} rows and announced ${announced ?? 'none'}`))
      else resolve(received)
    }
    submit(client, {
      submit: (connection) => {
        socket = connection.stream
        cutter.taker = { begin, rows: take }
        connection.query(text)
      },
      handleCommandComplete: (message) => {
        announced = rowsOf(message.text)
      },
      handleError: (error) => {
        cutter.taker = null
        reject(failure === undefined ? error : callerFailure(failure))
      },
      handleReadyForQuery: () => {
        cutter.taker = null
        // The last rows may have arrived together while the sink was still busy, and it may yet fail.
        if (waiting === undefined) settle()
        else void waiting.then(settle)
      },
    })
  })
}

function giveRows(sink: CopySink, taken: CopiedRows): void {
  if (sink.many !== undefined) {
    sink.many(taken)
    return
  }
  let from = 0
  for (let index = 0; index < taken.count; index++) {
    const to = taken.ends[index] as number
    sink.row(taken.bytes.subarray(from, to))
    from = to
  }
}

/** Runs `copy … from stdin` and returns the row count of the server's command tag. */
export async function copyIn(
  client: Client,
  text: string,
  chunks: AsyncIterable<Uint8Array>,
): Promise<number> {
  return new Promise<number>((resolve, reject) => {
    let rows: number | undefined
    let failure: unknown
    let refused: Error | undefined
    submit(client, {
      submit: (connection) => connection.query(text),
      handleCopyInResponse: (connection) => {
        send(connection, chunks, () => refused !== undefined)
          .then(() => refused === undefined && connection.endCopyFrom())
          .catch((error: unknown) => {
            failure = error
            if (!connection.stream.destroyed) connection.sendCopyFail('the sender failed')
          })
      },
      handleCommandComplete: (message) => {
        rows = rowsOf(message.text)
      },
      // The driver forgets a query at its error, so ReadyForQuery would reach nobody.
      handleError: (error) => {
        refused = error
        reject(failure === undefined ? error : callerFailure(failure))
      },
      handleReadyForQuery: () => {
        if (failure !== undefined) reject(callerFailure(failure))
        else if (rows === undefined) reject(new Error('COPY ended and announced no rows'))
        else resolve(rows)
      },
    })
  })
}

async function send(
  connection: ProtocolConnection,
  chunks: AsyncIterable<Uint8Array>,
  stopped: () => boolean,
): Promise<void> {
  for await (const chunk of chunks) {
    if (stopped()) return
    connection.sendCopyFromChunk(chunk)
    if (connection.stream.writableNeedDrain) await drained(connection.stream)
  }
}

async function drained(stream: Socket): Promise<void> {
  return new Promise<void>((resolve) => {
    const events = ['drain', 'close', 'error'] as const
    const done = (): void => {
      for (const event of events) stream.off(event, done)
      resolve()
    }
    for (const event of events) stream.once(event, done)
  })
}

interface ProtocolQuery {
  submit(connection: ProtocolConnection): void
  handleCopyInResponse?(connection: ProtocolConnection): void
  handleCommandComplete(message: { text: string }): void
  handleError(error: Error): void
  handleReadyForQuery(): void
}

function submit(client: Client, query: ProtocolQuery): void {
  const unused = {
    handleRowDescription: () => undefined,
    handleDataRow: () => undefined,
    handleEmptyQuery: () => undefined,
    // Of rows that nobody takes any more.
    handleCopyData: () => undefined,
  }
  client.query({ ...unused, ...query } as unknown as Parameters<Client['query']>[0] & {
    submit: never
  })
}

function callerFailure(cause: unknown): CallerFailure {
  return new CallerFailure('the caller failed', { cause })
}

/** Of `COPY 5`. */
function rowsOf(tag: string): number | undefined {
  const [, rows] = /^COPY (\d+)$/.exec(tag) ?? []
  return rows === undefined ? undefined : Number(rows)
}
