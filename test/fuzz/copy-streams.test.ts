/**
 * What a server may send in place of a COPY: cut anywhere, ended by an error, another count, or bytes that
 * are no protocol. A real socket carries it to the real connection; only the server is not one. Whatever
 * came, rows count only when the server has said how many there were. TOTE_SEED draws the same again.
 */
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openPieceWriter } from '../../src/storage/pieces.ts'
import { ToteError } from '../../src/errors.ts'
import { connect } from '../../src/postgres/connection.ts'
import { damage } from './damage.ts'
import { drawn } from './seed.ts'

function message(type: string, body: Buffer | string): Buffer {
  const bytes = Buffer.from(body)
  const header = Buffer.alloc(5)
  header.write(type, 'latin1')
  header.writeUInt32BE(bytes.length + 4, 1)
  return Buffer.concat([header, bytes])
}

const READY = message('Z', 'I')
const LOGIN = Buffer.concat([message('R', Buffer.alloc(4)), message('K', Buffer.alloc(8)), READY])
const BEGIN = message('H', Buffer.from([0, 0, 1, 0, 0]))
const END = message('c', '')
const tag = (text: string): Buffer => message('C', `${text}\0`)
const FAILURE = message('E', 'SERROR\0C57014\0Mcanceling statement due to user request\0\0')

const rows = fc.array(
  fc.stringMatching(/^[a-z",]{0,40}$/).map((text) => Buffer.from(`${text}\n`)),
  { maxLength: 30 },
)
const copyOf = (sent: readonly Buffer[]): Buffer =>
  Buffer.concat([BEGIN, ...sent.map((row) => message('d', row))])

/** What the server sends to whoever logs in, and what to a query; then it hangs up. */
let login: Buffer = LOGIN
let script: readonly Buffer[] = []
let server: Server
let folder: string
let url: string

function serve(socket: Socket): void {
  socket.on('error', () => undefined)
  socket.once('data', () => {
    socket.write(login)
    if (!login.equals(LOGIN)) socket.end()
    socket.once('data', () => {
      for (const bytes of script) socket.write(bytes)
      socket.end()
    })
  })
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-copy-'))
  server = createServer(serve)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  url = `postgres://u:p@127.0.0.1:${address.port}/d`
})
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve))
  await rm(folder, { recursive: true, force: true })
})

interface Copied {
  readonly announced: number
  readonly bytes: string
}

/** Reads a table from the server as a batch does. What is thrown must be told by name, and nothing is left behind. */
async function copy(
  stream: Buffer,
  cuts: readonly number[] = [],
  binaryRow?: number,
): Promise<Copied | ToteError> {
  const places = [0, ...cuts.map((cut) => cut % (stream.length + 1)), stream.length]
  places.sort((a, b) => a - b)
  script = places.slice(1).map((to, index) => stream.subarray(places[index], to))
  const writer = openPieceWriter(folder, 'piece')
  try {
    const connection = await connect({ side: 'source', name: 'shop', url })
    try {
      const announced = await connection.copyOut('read "t"', 'copy t to stdout', writer, {
        binaryRow,
      })
      const pieces = await writer.finish()
      expect(pieces.rows).toBe(announced)
      const [file] = await pieces.files()
      const bytes = file === undefined ? '' : await readFile(file, 'latin1')
      await pieces.discard()
      return { announced, bytes }
    } finally {
      await connection.close()
    }
  } catch (error) {
    await writer.discard()
    if (error instanceof ToteError) return error
    throw error
  } finally {
    expect(await readdir(folder)).toEqual([])
  }
}

const cuts = fc.array(fc.nat(5000), { maxLength: 4 })
const runs = { numRuns: 200, ...drawn }

test('a whole stream gives its rows, however it is sent', async () => {
  await fc.assert(
    fc.asyncProperty(rows, cuts, async (sent, where) => {
      const stream = Buffer.concat([copyOf(sent), END, tag(`COPY ${sent.length}`), READY])
      const copied = await copy(stream, where)
      expect(copied).toEqual({ announced: sent.length, bytes: sent.join('') })
    }),
    { numRuns: 50, ...drawn },
  )
})

test('P2: a stream that is cut at any byte is an error and no rows', async () => {
  await fc.assert(
    fc.asyncProperty(rows, fc.nat(), cuts, async (sent, length, where) => {
      const stream = Buffer.concat([copyOf(sent), END, tag(`COPY ${sent.length}`), READY])
      const failure = await copy(stream.subarray(0, length % stream.length), where)
      expect(failure).toMatchObject({ name: 'SourceUnreachable', retry: true })
    }),
    runs,
  )
})

const endings = fc.oneof(
  fc.nat(40).map((count) => [END, tag(`COPY ${count}`), READY]),
  fc.constantFrom(
    [END, READY],
    [READY],
    [END, tag('COPY'), READY],
    [END, tag('SELECT 0'), READY],
    [END, tag('COPY 99999999999999999999'), READY],
    [END, tag(''), READY],
    [END, message('I', ''), READY],
    [FAILURE, READY],
    [FAILURE, tag('COPY 0'), READY],
    [message('G', Buffer.from([0, 0, 0])), READY],
    [message('T', Buffer.from([0, 1])), READY],
    [message('D', Buffer.from([0, 9])), READY],
    [message('s', ''), READY],
    [message('?', 'what'), READY],
    [Buffer.from([0x64, 0, 0, 0, 0]), READY],
    [Buffer.from([0x64, 0, 0, 0, 3]), READY],
    [Buffer.from([0x64, 0xff, 0xff, 0xff, 0xff]), READY],
    [Buffer.from([0x43, 0, 0, 0, 1]), READY],
    [message('E', 'S'), READY],
  ),
)

test('P2: a stream that ends in anything but its own count is an error and no rows', async () => {
  await fc.assert(
    fc.asyncProperty(rows, endings, cuts, async (sent, ending, where) => {
      const own = tag(`COPY ${sent.length}`)
      const copied = await copy(Buffer.concat([copyOf(sent), ...ending]), where)
      if (ending.some((bytes) => bytes.equals(own)) && !ending.includes(FAILURE))
        expect(copied).toMatchObject({ announced: sent.length })
      else expect(copied).toBeInstanceOf(ToteError)
    }),
    runs,
  )
})

test('P2: of a damaged stream as many rows are taken as the server has announced, or none', async () => {
  let refused = 0
  await fc.assert(
    fc.asyncProperty(rows, damage, cuts, async (sent, damaged, where) => {
      const stream = damaged(Buffer.concat([copyOf(sent), END, tag(`COPY ${sent.length}`), READY]))
      const copied = await copy(stream, where)
      if (copied instanceof ToteError) refused += 1
      else expect(stream.includes(`COPY ${copied.announced}\0`)).toBe(true)
    }),
    runs,
  )
  expect(refused).toBeGreaterThan(50)
})

const HEADER = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
const TRAILER = Buffer.from([0xff, 0xff])
const places = fc.array(fc.uint8Array({ minLength: 20, maxLength: 20 }), { maxLength: 30 })

/** One row in each message, the header before the first, as PostgreSQL sends them. */
function binaryCopyOf(sent: readonly Uint8Array[]): Buffer {
  const bodies = [...sent, TRAILER].map((body, index) =>
    Buffer.concat(index === 0 ? [HEADER, body] : [body]),
  )
  return Buffer.concat([BEGIN, ...bodies.map((body) => message('d', body))])
}

test('rows of a fixed length come without header and trailer, however they are sent', async () => {
  await fc.assert(
    fc.asyncProperty(places, cuts, async (sent, where) => {
      const stream = Buffer.concat([binaryCopyOf(sent), END, tag(`COPY ${sent.length}`), READY])
      const expected = { announced: sent.length, bytes: Buffer.concat(sent).toString('latin1') }
      expect(await copy(stream, where, 20)).toEqual(expected)
    }),
    { numRuns: 50, ...drawn },
  )
})

test('P2: rows of another length, no trailer, two, or something after it are an error and no rows', async () => {
  const row = Buffer.alloc(20, 1)
  const end = (count: number): Buffer => Buffer.concat([END, tag(`COPY ${count}`), READY])
  const body = (...parts: readonly Buffer[]): Buffer => message('d', Buffer.concat(parts))
  const wrong = [
    [BEGIN, body(HEADER, row), end(1)],
    [BEGIN, end(0)],
    [BEGIN, body(row), body(TRAILER), end(1)],
    [BEGIN, body(HEADER, row.subarray(1)), body(TRAILER), end(1)],
    [BEGIN, body(HEADER, row), body(row.subarray(2)), body(TRAILER), end(2)],
    [BEGIN, body(HEADER, row), body(TRAILER), body(TRAILER), end(1)],
    [BEGIN, body(HEADER, row), body(TRAILER), body(row), end(2)],
    [BEGIN, body(HEADER, row), body(Buffer.from([0xff, 0xfe])), end(1)],
    [BEGIN, body(Buffer.from(HEADER).fill(1, 15), row), body(TRAILER), end(1)],
    [BEGIN, body(HEADER.subarray(0, 12)), body(TRAILER), end(0)],
    [BEGIN, body(HEADER, row), body(TRAILER), end(2)],
  ]
  const ended: unknown[] = []
  for (const parts of wrong) ended.push(await copy(Buffer.concat(parts), [], 20))
  expect(ended).toEqual(wrong.map(() => expect.objectContaining({ name: 'SourceUnreachable' })))
})

test('P2: a stream of such rows that is cut at any byte, or damaged, is an error, or the rows that were announced', async () => {
  await fc.assert(
    fc.asyncProperty(places, fc.nat(), damage, cuts, async (sent, length, damaged, where) => {
      const stream = Buffer.concat([binaryCopyOf(sent), END, tag(`COPY ${sent.length}`), READY])
      const failure = await copy(stream.subarray(0, length % stream.length), where, 20)
      expect(failure).toMatchObject({ name: 'SourceUnreachable' })
      const harmed = damaged(stream)
      const copied = await copy(harmed, where, 20)
      if (copied instanceof ToteError) return
      expect(harmed.includes(`COPY ${copied.announced}\0`)).toBe(true)
      expect(copied.bytes.length).toBe(20 * copied.announced)
    }),
    runs,
  )
})

test('a server that greets with anything else is an error by name', async () => {
  await fc.assert(
    fc.asyncProperty(damage, async (damaged) => {
      login = damaged(LOGIN)
      try {
        const copied = await copy(Buffer.concat([BEGIN, END, tag('COPY 0'), READY]))
        if (!login.equals(LOGIN) && !(copied instanceof ToteError)) expect(copied.announced).toBe(0)
      } finally {
        login = LOGIN
      }
    }),
    { numRuns: 100, ...drawn },
  )
})
