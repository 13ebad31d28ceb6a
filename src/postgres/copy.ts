/**
 * COPY over the driver's own protocol messages. Out: one CopyData message is one row, so whoever
 * receives them sees row ends without parsing. In: chunks go out as fast as the socket drains.
 */
import type { Client } from 'pg'

export interface CopySink {
  /** One whole row, line end included. The buffer is the socket's: use it before the next call, or copy it. */
  row(row: Buffer): void
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
  on(event: 'data', listener: (chunk: Uint8Array) => void): void
  off(event: 'data', listener: (chunk: Uint8Array) => void): void
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

/** How long a row may be: the driver keeps a row until it is whole, so it must be stopped before. */
export interface RowLimit {
  readonly bytes: number
  /** What a longer one is thrown as; the connection is gone then. */
  readonly error: () => Error
}

/** What may arrive beside a row: the ends of its neighbours in the socket's chunks. */
const BESIDE_BYTES = 1 << 20

/** Runs `copy … to stdout` and returns the row count of the server's command tag. */
export async function copyOut(
  client: Client,
  text: string,
  sink: CopySink,
  limit?: RowLimit,
): Promise<number> {
  return new Promise<number>((resolve, reject) => {
    let rows = 0
    let received = 0
    let failure: unknown
    let waiting: Promise<void> | undefined
    let unfinished = 0
    let socket: Socket | undefined
    const giveUp = (): void => {
      failure ??= limit?.error()
      socket?.destroy()
    }
    const watch = (chunk: Uint8Array): void => {
      unfinished += chunk.length
      if (limit !== undefined && unfinished > limit.bytes + BESIDE_BYTES) giveUp()
    }
    submit(client, {
      submit: (connection) => {
        socket = connection.stream
        if (limit !== undefined) socket.on('data', watch)
        connection.query(text)
      },
      handleCopyData: (message, connection) => {
        received += 1
        unfinished = 0
        if (failure !== undefined) return
        if (limit !== undefined && message.chunk.length > limit.bytes) {
          giveUp()
          return
        }
        try {
          sink.row(message.chunk)
          const wait = waiting === undefined ? sink.ready() : undefined
          if (wait === undefined) return
          connection.stream.pause()
          waiting = wait
            .catch((error: unknown) => {
              failure ??= error
            })
            .finally(() => {
              waiting = undefined
              connection.stream.resume()
            })
        } catch (error) {
          failure ??= error
        }
      },
      handleCommandComplete: (message) => {
        rows = rowsOf(message.text)
      },
      handleError: (error) => reject(failure === undefined ? error : callerFailure(failure)),
      handleReadyForQuery: () => {
        socket?.off('data', watch)
        const settle = (): void => {
          if (failure !== undefined) reject(callerFailure(failure))
          // A tag that disagrees with what arrived would be a truncated stream taken for a whole one.
          else if (rows !== received)
            reject(new Error(`COPY sent ${received} rows and announced ${rows}`))
          else resolve(rows)
        }
        // The last rows may have arrived together while the sink was still busy, and it may yet fail.
        if (waiting === undefined) settle()
        else void waiting.then(settle)
      },
    })
  })
}

/** Runs `copy … from stdin` and returns the row count of the server's command tag. */
export async function copyIn(
  client: Client,
  text: string,
  chunks: AsyncIterable<Uint8Array>,
): Promise<number> {
  return new Promise<number>((resolve, reject) => {
    let rows = 0
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
      handleReadyForQuery: () =>
        failure === undefined ? resolve(rows) : reject(callerFailure(failure)),
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
  handleCopyData?(message: { chunk: Buffer }, connection: ProtocolConnection): void
  handleCommandComplete(message: { text: string }): void
  handleError(error: Error): void
  handleReadyForQuery(): void
}

function submit(client: Client, query: ProtocolQuery): void {
  const unused = {
    handleRowDescription: () => undefined,
    handleDataRow: () => undefined,
    handleEmptyQuery: () => undefined,
  }
  client.query({ ...unused, ...query } as unknown as Parameters<Client['query']>[0] & {
    submit: never
  })
}

function callerFailure(cause: unknown): CallerFailure {
  return new CallerFailure('the caller failed', { cause })
}

function rowsOf(tag: string): number {
  return Number(/\d+$/.exec(tag)?.[0] ?? 0)
}
