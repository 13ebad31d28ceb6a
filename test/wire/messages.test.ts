/** The server's messages cut out of chunks, however the network cuts them. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openMessageCutter } from '../../src/wire/messages.ts'

function message(type: string, body: Buffer): Buffer {
  const header = Buffer.alloc(5)
  header.write(type, 'latin1')
  header.writeUInt32BE(body.length + 4, 1)
  return Buffer.concat([header, body])
}

/** Cuts a stream at these places, as the network might. */
function chunksOf(stream: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.map((cut) => cut % (stream.length + 1)), stream.length]
  places.sort((a, b) => a - b)
  return places.slice(1).map((to, index) => stream.subarray(places[index], to))
}

interface Received {
  readonly driver: Buffer
  readonly rows: readonly string[]
  /** Both in the order in which they came. */
  readonly order: string
}

/** Every chunk is overwritten as soon as it has been taken, as the socket's memory is. */
function receive(chunks: readonly Buffer[], taking: boolean): Received {
  const cutter = openMessageCutter()
  const driver: Buffer[] = []
  const rows: string[] = []
  const order: Buffer[] = []
  if (taking) {
    cutter.taker = {
      begin: () => true,
      rows: ({ bytes, count, ends, longest }) => {
        const taken = Array.from({ length: count }, (_, n) =>
          bytes.toString('latin1', n === 0 ? 0 : ends[n - 1], ends[n]),
        )
        expect(bytes.length).toBe(ends[count - 1])
        expect(longest).toBe(Math.max(...taken.map((row) => row.length)))
        rows.push(...taken)
        order.push(...taken.map((row) => message('d', Buffer.from(row, 'latin1'))))
      },
    }
  }
  for (const given of chunks) {
    const chunk = Buffer.from(given)
    cutter.cut(chunk, (bytes) => {
      driver.push(bytes)
      order.push(bytes)
    })
    chunk.fill(0xff)
  }
  return {
    driver: Buffer.concat(driver),
    rows,
    order: Buffer.concat(order).toString('latin1'),
  }
}

const body = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))
const messages = fc.array(fc.tuple(fc.constantFrom('d', 'd', 'd', 'N', 'C', 'Z'), body), {
  maxLength: 30,
})
const cuts = fc.array(fc.nat(2000), { maxLength: 40 })

test('P8: rows come whole and in order, and the driver gets every other byte, wherever chunks end', () => {
  fc.assert(
    fc.property(messages, cuts, (sent, where) => {
      const stream = Buffer.concat(sent.map(([type, bytes]) => message(type, bytes)))
      const { driver, rows, order } = receive(chunksOf(stream, where), true)
      const others = sent.filter(([type]) => type !== 'd')
      expect(driver).toEqual(Buffer.concat(others.map(([type, bytes]) => message(type, bytes))))
      expect(rows).toEqual(
        sent.filter(([type]) => type === 'd').map(([, bytes]) => bytes.toString('latin1')),
      )
      expect(order).toBe(stream.toString('latin1'))
    }),
    { numRuns: 2000 },
  )
})

test('without anybody to take them, rows are the driver’s, too', () => {
  fc.assert(
    fc.property(messages, cuts, (sent, where) => {
      const stream = Buffer.concat(sent.map(([type, bytes]) => message(type, bytes)))
      expect(receive(chunksOf(stream, where), false).driver).toEqual(stream)
    }),
  )
})

test('more rows in a chunk than are told of at once', () => {
  const row = message('d', Buffer.from('x\n'))
  const stream = Buffer.concat(Array.from({ length: 20_001 }, () => row))
  const { rows } = receive([stream], true)
  expect(rows.length).toBe(20_001)
  expect(new Set(rows)).toEqual(new Set(['x\n']))
})

test('a row that is refused is known by its header, before its bytes are there', () => {
  const cutter = openMessageCutter()
  const begun: number[] = []
  cutter.taker = {
    begin: (bytes) => {
      begun.push(bytes)
      return false
    },
    rows: () => expect.unreachable(),
  }
  let driver = 0
  cutter.cut(message('d', Buffer.alloc(100)).subarray(0, 5), (bytes) => {
    driver += bytes.length
  })
  expect([begun, driver]).toEqual([[100], 5])
})

test('P2: a length that no message has is an error as soon as it is there, and the longest that one may have is none', () => {
  const take = (length: number, ...cuts: readonly number[]): void => {
    const header = Buffer.from('d----')
    header.writeUInt32BE(length, 1)
    const cutter = openMessageCutter()
    for (const chunk of chunksOf(header, cuts)) cutter.cut(Buffer.from(chunk), () => undefined)
  }
  for (const length of [0, 3, 2 ** 30 + 5, 2 ** 32 - 1])
    for (const cuts of [[], [2]])
      expect(() => take(length, ...cuts)).toThrow(
        expect.objectContaining({
          name: 'ProtocolBroken',
          message: 'the server broke the protocol',
        }) as Error,
      )
  for (const length of [4, 2 ** 30 + 4]) expect(() => take(length)).not.toThrow()
})

test('a chunk that ends where a row does brings the row', () => {
  const rows = receive(
    [message('d', Buffer.from('one\n')), message('d', Buffer.from('two\n'))],
    true,
  )
  expect(rows.rows).toEqual(['one\n', 'two\n'])
})
