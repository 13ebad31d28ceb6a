/** A server that speaks PostgreSQL's protocol as it is told to: the socket and the driver are real. */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import pg from 'pg'
import { cutMessages, openReadingSocket, type MessageCutter } from '../../src/wire/messages.ts'

export function message(type: string, body: Buffer | string = ''): Buffer {
  const bytes = Buffer.from(body)
  const header = Buffer.alloc(5)
  header.write(type, 'latin1')
  header.writeUInt32BE(bytes.length + 4, 1)
  return Buffer.concat([header, bytes])
}

export const READY = message('Z', 'I')
export const COPY_OUT = message('H', Buffer.from([0, 0, 1, 0, 0]))
export const COPY_IN = message('G', Buffer.from([0, 0, 1, 0, 0]))
export const COPY_END = message('c')
export const rowsOf = (...rows: readonly (string | Buffer)[]): Buffer =>
  Buffer.concat(rows.map((row) => message('d', row)))
export const tag = (text: string): Buffer => message('C', `${text}\0`)
export const failure = (sqlstate: string): Buffer =>
  message('E', `SERROR\0C${sqlstate}\0Mthe server says no\0\0`)

/** What came from the client after it logged in, by type. */
export interface Said {
  readonly type: string
  readonly body: Buffer
}

export interface Scripted {
  readonly client: pg.Client
  readonly cutter: MessageCutter
  /** All that the client has said. */
  readonly heard: readonly Said[]
  /** The server's end. */
  readonly socket: Socket
  close(): Promise<void>
}

/** A client that is logged in to a server which answers each message as `answer` does. */
export async function openScripted(
  answer: (said: Said, socket: Socket) => void,
): Promise<Scripted> {
  const heard: Said[] = []
  const server = createServer((socket) => {
    let rest = Buffer.alloc(0)
    let begun = false
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk])
      for (;;) {
        // The first message has no type.
        const typed = begun ? 1 : 0
        if (rest.length < typed + 4) return
        const length = rest.readUInt32BE(typed)
        if (rest.length < typed + length) return
        const type = rest.toString('latin1', 0, typed)
        const body = rest.subarray(typed + 4, typed + length)
        rest = rest.subarray(typed + length)
        if (begun) {
          heard.push({ type, body })
          answer({ type, body }, socket)
        } else {
          begun = true
          socket.write(
            Buffer.concat([message('R', Buffer.alloc(4)), message('K', Buffer.alloc(8)), READY]),
          )
        }
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const client = new pg.Client({
    host: '127.0.0.1',
    port: address.port,
    user: 'u',
    database: 'd',
    password: '',
    stream: openReadingSocket,
  })
  // A connection that is lost is told to whoever waits for an answer.
  client.on('error', () => undefined)
  const cutter = cutMessages(client)
  const accepted = once(server, 'connection') as Promise<[Socket]>
  await client.connect()
  const [socket] = await accepted
  return {
    client,
    cutter,
    heard,
    socket,
    close: async () => {
      socket.destroy()
      await client.end().catch(() => undefined)
      server.close()
    },
  }
}
