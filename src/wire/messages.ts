/**
 * The server's messages, cut out of what the socket brings. Rows of a COPY go straight to whoever takes
 * them, all that one chunk holds at once and none of them an object: the driver's own way makes four for
 * each. Everything else goes on to the driver as it came. (PostgreSQL, "Message Formats": one byte of type,
 * four of length, themselves included; the server sends one row in each CopyData message.)
 */
import { Socket, type ConnectOpts, type SocketConstructorOpts } from 'node:net'
import type { Client } from 'pg'

/** Whole rows, line ends included, one after another. */
export interface CopiedRows {
  /** To be used before returning, or copied. */
  readonly bytes: Buffer
  readonly count: number
  /** Where each row ends in `bytes`; the first `count` count. */
  readonly ends: Uint32Array
  /** Bytes of the longest. */
  readonly longest: number
}

export interface RowTaker {
  /** A row of so many bytes begins. False when nothing more is wanted. */
  begin(bytes: number): boolean
  rows(rows: CopiedRows): void
}

export interface MessageCutter {
  /** Takes the rows of the COPY that runs; without one they are the driver's, like all else. */
  taker: RowTaker | null
  /** Takes what has arrived, cut anywhere. Rows in it are moved together in place. */
  cut(chunk: Buffer, toDriver: (bytes: Buffer) => void): void
}

const ROW = 0x64
const HEADER_BYTES = 5
const MOST_ENDS = 8192

export function openMessageCutter(): MessageCutter {
  const cutter: MessageCutter = { taker: null, cut }
  const ends = new Uint32Array(MOST_ENDS)
  /** A header that came apart, and how much of it is there. */
  const header = Buffer.alloc(HEADER_BYTES)
  let begun = 0
  /** Bytes that the message now on its way still lacks. */
  let lacking = 0
  /** A row that came apart; null while the message is the driver's. */
  let apart: Buffer | null = null

  function cut(chunk: Buffer, toDriver: (bytes: Buffer) => void): void {
    let at = 0
    let driversFrom = -1
    let kept = 0
    let count = 0
    let longest = 0
    const giveToDriver = (): void => {
      // A copy: the driver keeps what is not a whole message, and the chunk's memory is used again.
      if (driversFrom >= 0) toDriver(Buffer.from(chunk.subarray(driversFrom, at)))
      driversFrom = -1
    }
    const giveToTaker = (): void => {
      if (count > 0) cutter.taker?.rows({ bytes: chunk.subarray(0, kept), count, ends, longest })
      kept = count = longest = 0
    }
    while (at < chunk.length) {
      if (lacking > 0) {
        const next = Math.min(chunk.length, at + lacking)
        if (apart === null) {
          if (driversFrom < 0) driversFrom = at
          lacking -= next - at
        } else goOnApart(chunk.subarray(at, next))
        at = next
      } else if (begun > 0 || chunk.length - at < HEADER_BYTES) {
        // Only where a chunk begins or ends.
        giveToDriver()
        const copied = chunk.copy(header, begun, at, at + HEADER_BYTES - begun)
        begun += copied
        at += copied
        if (begun === HEADER_BYTES) {
          begun = 0
          const length = bodyLength(header, 0)
          if (isTaken(header, 0, length)) beginApart(length)
          else {
            toDriver(Buffer.from(header))
            lacking = length
          }
        }
      } else {
        const length = bodyLength(chunk, at)
        const from = at + HEADER_BYTES
        if (!isTaken(chunk, at, length)) {
          giveToTaker()
          if (driversFrom < 0) driversFrom = at
          lacking = length
          at = from
        } else {
          giveToDriver()
          if (from + length > chunk.length) {
            giveToTaker()
            beginApart(length)
            at = from
          } else {
            chunk.copyWithin(kept, from, from + length)
            kept += length
            ends[count++] = kept
            if (length > longest) longest = length
            at = from + length
            if (count === MOST_ENDS) giveToTaker()
          }
        }
      }
    }
    giveToDriver()
    giveToTaker()
  }

  function isTaken(bytes: Buffer, at: number, length: number): boolean {
    return bytes[at] === ROW && cutter.taker?.begin(length) === true
  }

  function beginApart(length: number): void {
    apart = Buffer.allocUnsafe(length)
    lacking = length
    if (length === 0) goOnApart(apart)
  }

  function goOnApart(bytes: Buffer): void {
    if (apart === null) return
    bytes.copy(apart, apart.length - lacking)
    lacking -= bytes.length
    if (lacking > 0) return
    const row = apart
    apart = null
    ends[0] = row.length
    cutter.taker?.rows({ bytes: row, count: 1, ends, longest: row.length })
  }

  return cutter
}

/** PostgreSQL's own limit of a message. */
const MOST_BYTES = 2 ** 30

function bodyLength(bytes: Buffer, at: number): number {
  const length = bytes.readUInt32BE(at + 1) - 4
  if (length < 0 || length > MOST_BYTES) throw new ProtocolBroken()
  return length
}

/** What arrived is no message of a PostgreSQL, or none that may come here. */
class ProtocolBroken extends Error {
  override readonly name = 'ProtocolBroken'

  constructor(cause?: unknown) {
    super('the server broke the protocol', { cause })
  }
}

/** What a socket is read into, again and again: fresh memory for each chunk keeps the collector busy. */
const READ_BYTES = 1 << 17

/** A socket for the driver. What it reads it announces as `data`, valid until the next; not for use below TLS. */
export function openReadingSocket(): Socket {
  const reading: SocketConstructorOpts & ConnectOpts = {
    onread: {
      buffer: Buffer.allocUnsafeSlow(READ_BYTES),
      callback: (bytes, { buffer, byteOffset }) => {
        socket.emit('data', Buffer.from(buffer, byteOffset, bytes))
        return true
      },
    },
  }
  const socket: Socket = new Socket(reading)
  return socket
}

/** The driver's way to listen to its socket, its own or the one that TLS makes of it. */
interface DriverConnection {
  attachListeners(stream: Pick<DriverStream, 'on'>): void
}

interface DriverStream {
  on(event: string, listener: (chunk: Buffer) => void): unknown
  destroy(reason: Error): void
}

/** Has everything that a client receives, from the first byte on, pass the cutter. Call it before it connects. */
export function cutMessages(client: Client): MessageCutter {
  const cutter = openMessageCutter()
  const { connection } = client as Client & { connection: DriverConnection }
  const attach = connection.attachListeners.bind(connection)
  connection.attachListeners = (stream: DriverStream) => {
    // Thrown on, it would end the process; and nothing that comes after can be trusted.
    const cut = (chunk: Buffer, listener: (bytes: Buffer) => void): void => {
      try {
        cutter.cut(chunk, listener)
      } catch (error) {
        stream.destroy(error instanceof ProtocolBroken ? error : new ProtocolBroken(error))
      }
    }
    attach({
      on: (event, listener) =>
        stream.on(event, event === 'data' ? (chunk: Buffer) => cut(chunk, listener) : listener),
    })
  }
  return cutter
}
