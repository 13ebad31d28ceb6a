/** COPY out and in over a real socket: rows are counted, whoever is slow is waited for, and whose fault it was is told apart. */
import { setTimeout as after } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { CallerFailure, copyIn, copyOut, type CopySink } from '../../src/wire/copy.ts'
import {
  COPY_END,
  COPY_IN,
  COPY_OUT,
  failure,
  message,
  openScripted,
  READY,
  rowsOf,
  tag,
  type Said,
  type Scripted,
} from './scripted-server.ts'

let open: Scripted | undefined
afterEach(async () => {
  await open?.close()
  open = undefined
})

/** A server that sends this when it is asked for a COPY. */
async function sending(...parts: readonly Buffer[]): Promise<Scripted> {
  open = await openScripted(({ type }, socket) => {
    if (type === 'Q') socket.write(Buffer.concat(parts))
  })
  return open
}

const TEXT = 'copy t to stdout'

function collecting(
  ready: CopySink['ready'] = () => undefined,
): CopySink & { readonly rows: string[] } {
  const rows: string[] = []
  return { rows, row: (row) => void rows.push(row.toString()), ready }
}

async function failureOf(copied: Promise<unknown>): Promise<Error> {
  const error: unknown = await copied.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof Error)) throw new Error('it did not fail')
  return error
}

describe('P2: COPY out', () => {
  const END = (count: number): Buffer => Buffer.concat([COPY_END, tag(`COPY ${count}`), READY])

  test('gives each row, or all that came together, and the count of the server’s tag', async () => {
    const { client, cutter, heard } = await sending(COPY_OUT, rowsOf('a\n', '', 'ccc\n'), END(3))
    const sink = collecting()
    expect(await copyOut(client, cutter, { text: TEXT, sink })).toBe(3)
    expect(sink.rows).toEqual(['a\n', '', 'ccc\n'])
    expect(heard).toEqual([{ type: 'Q', body: Buffer.from(`${TEXT}\0`) }])
    expect(cutter.taker).toBeNull()
    const many: unknown[] = []
    const taking: CopySink = {
      ...collecting(),
      many: ({ bytes, count, ends }) =>
        many.push(bytes.toString(), count, [...ends.subarray(0, 3)]),
    }
    expect(await copyOut(client, cutter, { text: TEXT, sink: taking })).toBe(3)
    expect(many).toEqual(['a\nccc\n', 3, [2, 2, 6]])
  })

  test.each([
    ['another count', tag('COPY 3'), 'COPY sent 2 rows and announced 3'],
    ['no count', tag('COPY'), 'COPY sent 2 rows and announced none'],
    ['a count behind something', tag('XCOPY 2'), 'COPY sent 2 rows and announced none'],
    ['a count before something', tag('COPY 2 '), 'COPY sent 2 rows and announced none'],
    ['no tag', Buffer.alloc(0), 'COPY sent 2 rows and announced none'],
  ])('with %s is an error', async (_what, told, said) => {
    const { client, cutter } = await sending(COPY_OUT, rowsOf('a', 'b'), COPY_END, told, READY)
    const error = await failureOf(copyOut(client, cutter, { text: TEXT, sink: collecting() }))
    expect(error).not.toBeInstanceOf(CallerFailure)
    expect(error.message).toBe(said)
  })

  test('that the server refuses is its error, and the connection is good', async () => {
    const { client, cutter, socket } = await sending(COPY_OUT, rowsOf('a'), failure('57014'), READY)
    const sink = collecting()
    const error = await failureOf(copyOut(client, cutter, { text: TEXT, sink }))
    expect(error).toMatchObject({ code: '57014', message: 'the server says no' })
    expect(error).not.toBeInstanceOf(CallerFailure)
    expect(cutter.taker).toBeNull()
    expect(socket.destroyed).toBe(false)
    expect(sink.rows).toEqual(['a'])
  })

  test('waits for a sink that is not ready, and asks the network for nothing meanwhile', async () => {
    const row = 'x'.repeat(65_535) + '\n'
    const count = 400
    const { client, cutter } = await sending(
      COPY_OUT,
      rowsOf(...Array.from({ length: count }, () => row)),
      END(count),
    )
    let go = (): void => undefined
    let asked = 0
    const sink = collecting(() => {
      asked += 1
      return asked === 1 ? new Promise<void>((resolve) => (go = resolve)) : undefined
    })
    const copied = copyOut(client, cutter, { text: TEXT, sink })
    while (asked === 0) await after(1)
    await after(50)
    const before = sink.rows.length
    // What one read of the socket holds, and what had been read when it was stopped.
    expect(before).toBeLessThan(20)
    await after(50)
    expect(sink.rows.length).toBe(before)
    go()
    expect(await copied).toBe(count)
    expect(sink.rows).toEqual(Array.from({ length: count }, () => row))
    expect(asked).toBeGreaterThan(20)
  })

  test('asks a sink that is not ready only once, however many rows have come already', async () => {
    const count = 20_000
    const rows = rowsOf(...Array.from({ length: count }, () => ''))
    // In one chunk, but more than are given at once.
    expect(rows.length).toBeLessThan(1 << 17)
    const { client, cutter } = await sending(COPY_OUT, rows, END(count))
    let waiting = 0
    const waits: number[] = []
    const sink = collecting(async () => {
      waiting += 1
      waits.push(waiting)
      await after(30)
      waiting -= 1
    })
    expect(await copyOut(client, cutter, { text: TEXT, sink })).toBe(count)
    expect(sink.rows).toHaveLength(count)
    expect(Math.max(...waits)).toBe(1)
    expect(waiting).toBe(0)
  })

  test('does not end before its sink is ready, which may yet fail', async () => {
    const { client, cutter } = await sending(COPY_OUT, rowsOf('a'), END(1))
    let fail = (_error: Error): void => undefined
    const sink = collecting(async () => new Promise<void>((_, reject) => (fail = reject)))
    let settled = false
    const copied = failureOf(copyOut(client, cutter, { text: TEXT, sink })).finally(
      () => (settled = true),
    )
    while (sink.rows.length === 0) await after(1)
    await after(30)
    expect(settled).toBe(false)
    const own = new Error('the disk is full')
    fail(own)
    expect(await copied).toMatchObject({
      name: 'CallerFailure',
      message: 'the caller failed',
      cause: own,
    })
  })

  test('whose sink throws gives it nothing more, and throws what it threw when the server is done', async () => {
    const own = new Error('no room')
    for (const answer of [[END(3)], [failure('57014'), READY], [COPY_END, tag('COPY 9'), READY]]) {
      open = await openScripted(({ type }, socket) => {
        if (type !== 'Q') return
        socket.write(Buffer.concat([COPY_OUT, rowsOf('a', 'b')]))
        // In a chunk of its own.
        setTimeout(() => socket.write(Buffer.concat([rowsOf('c'), ...answer])), 30)
      })
      const { client, cutter } = open
      const seen: string[] = []
      const sink: CopySink = {
        row: (row) => {
          seen.push(row.toString())
          throw seen.length === 1 ? own : new Error('asked again')
        },
        ready: () => {
          throw new Error('asked again')
        },
      }
      const error = await failureOf(copyOut(client, cutter, { text: TEXT, sink }))
      expect(error).toBeInstanceOf(CallerFailure)
      expect(error.cause).toBe(own)
      expect(seen).toEqual(['a'])
      await open?.close()
    }
  })

  test('of rows longer than the limit stops when one begins', async () => {
    const own = new Error('too long')
    const limit = { bytes: 4, error: () => own }
    const { client, cutter } = await sending(COPY_OUT, rowsOf('1234', '1'), END(2))
    const sink = collecting()
    expect(await copyOut(client, cutter, { text: TEXT, sink, limit })).toBe(2)
    const wanted: unknown[] = []
    const asking: CopySink = {
      row: () => wanted.push(cutter.taker?.begin(4), cutter.taker?.begin(5)),
      ready: () => undefined,
    }
    expect(
      await failureOf(copyOut(client, cutter, { text: TEXT, sink: asking, limit })),
    ).toMatchObject({
      cause: own,
    })
    // Its bytes are not waited for.
    expect(wanted.slice(0, 2)).toEqual([true, false])
    await open?.close()
    const { client: next, cutter: other } = await sending(
      COPY_OUT,
      rowsOf('1234'),
      // Only the beginning of the long one comes.
      message('d', Buffer.alloc(1000)).subarray(0, 6),
    )
    const error = await failureOf(copyOut(next, other, { text: TEXT, sink: collecting(), limit }))
    expect(error).toBeInstanceOf(CallerFailure)
    expect(error.cause).toBe(own)
  })

  test('of binary rows gives them without header and trailer; one that is not whole is an error', async () => {
    const header = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
    const trailer = Buffer.from([0xff, 0xff])
    const rows = [Buffer.concat([header, Buffer.from('abcd')]), Buffer.from('efgh')]
    const { client, cutter } = await sending(COPY_OUT, rowsOf(...rows, trailer), END(2))
    const sink = collecting()
    expect(await copyOut(client, cutter, { text: TEXT, sink, binaryRow: 4 })).toBe(2)
    expect(sink.rows).toEqual(['abcd', 'efgh'])
    await open?.close()
    for (const sent of [rows, [...rows, Buffer.from('xyz'), trailer]]) {
      const cut = await sending(COPY_OUT, rowsOf(...sent), END(2))
      const copied = copyOut(cut.client, cut.cutter, {
        text: TEXT,
        sink: collecting(),
        binaryRow: 4,
      })
      expect((await failureOf(copied)).message).toBe('COPY sent no whole binary rows')
      await cut.close()
    }
  })

  test('after a connection that is lost is an error', async () => {
    open = await openScripted(({ type }, socket) => {
      if (type === 'Q') socket.end(Buffer.concat([COPY_OUT, rowsOf('a')]))
    })
    const { client, cutter } = open
    const error = await failureOf(copyOut(client, cutter, { text: TEXT, sink: collecting() }))
    expect(error.message).toMatch(/terminated/)
    expect(cutter.taker).toBeNull()
  })
})

describe('P4: COPY in', () => {
  const INTO = 'copy t from stdin'
  /** A server that takes rows, and answers when they have ended, or the sender has failed. */
  async function taking(...answer: readonly Buffer[]): Promise<Scripted> {
    open = await openScripted(({ type }, socket) => {
      if (type === 'Q') socket.write(COPY_IN)
      if (type === 'c' || type === 'f') socket.write(Buffer.concat(answer))
    })
    return open
  }
  async function* chunksOf(...chunks: readonly string[]): AsyncGenerator<Uint8Array> {
    for (const chunk of chunks) {
      await after(1)
      yield Buffer.from(chunk)
    }
  }
  const shown = (heard: readonly Said[]): string[] =>
    heard.map(({ type, body }) => `${type} ${body.toString()}`)

  test('sends every chunk, says that they have ended, and gives the count of the server’s tag', async () => {
    const { client, heard } = await taking(tag('COPY 12'), READY)
    expect(await copyIn(client, INTO, chunksOf('1\n2', '\n3\n'))).toBe(12)
    expect(shown(heard)).toEqual([`Q ${INTO}\0`, 'd 1\n2', 'd \n3\n', 'c '])
    expect(await copyIn(client, INTO, chunksOf())).toBe(12)
    expect(shown(heard).slice(4)).toEqual([`Q ${INTO}\0`, 'c '])
  })

  test('without a count is an error', async () => {
    const { client } = await taking(tag('INSERT 0 1'), READY)
    expect((await failureOf(copyIn(client, INTO, chunksOf('1\n')))).message).toBe(
      'COPY ended and announced no rows',
    )
  })

  test('passes over what does not belong to it', async () => {
    const none = Buffer.from([0, 0])
    const stray = [message('T', none), message('D', none), message('I'), rowsOf('x')]
    const { client } = await taking(...stray, tag('COPY 1'), READY)
    expect(await copyIn(client, INTO, chunksOf('1\n'))).toBe(1)
  })

  const own = new Error('the lake is gone')
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield* chunksOf('1\n')
    throw own
  }

  test.each([
    ['refuses, as it must', [failure('57014'), READY]],
    ['takes the rows for all that', [tag('COPY 1'), READY]],
    ['says no count', [READY]],
  ])(
    'whose chunks fail is ended as a failure, and is theirs when the server %s',
    async (_how, answer) => {
      const { client, heard } = await taking(...answer)
      const error = await failureOf(copyIn(client, INTO, failing()))
      expect(error).toBeInstanceOf(CallerFailure)
      expect(error.cause).toBe(own)
      expect(shown(heard).slice(1)).toEqual(['d 1\n', 'f the sender failed\0'])
    },
  )

  test('that the server refuses asks for no more chunks, and says nothing more', async () => {
    open = await openScripted(({ type, body }, socket) => {
      if (type === 'Q') socket.write(COPY_IN)
      if (type === 'd' && body.toString() === '2')
        socket.write(Buffer.concat([failure('23505'), READY]))
    })
    const { client, heard } = open
    let asked = 0
    let returned = false
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          asked += 1
          yield Buffer.from(String(asked))
          await after(2)
        }
      } finally {
        returned = true
      }
    }
    const error = await failureOf(copyIn(client, INTO, endless()))
    expect(error).toMatchObject({ code: '23505' })
    expect(error).not.toBeInstanceOf(CallerFailure)
    while (!returned) await after(1)
    expect(asked).toBeLessThan(15)
    expect(heard.map(({ type }) => type).join('')).toMatch(/^Qd+$/)
  })

  test('waits for a server that is slow to take what is sent', async () => {
    const count = 400
    const { client, socket, heard } = await taking(tag(`COPY ${count}`), READY)
    let asked = 0
    async function* large(): AsyncGenerator<Uint8Array> {
      for (; asked < count; asked++) yield Promise.resolve(Buffer.alloc(65_536, 1))
    }
    socket.pause()
    setTimeout(() => socket.resume(), 150)
    const copied = copyIn(client, INTO, large())
    // The question itself is not read yet.
    await after(100)
    expect(asked).toBe(0)
    while (heard.length === 0) await after(1)
    socket.pause()
    let before: number
    do {
      before = asked
      await after(100)
    } while (asked > before)
    // What the kernel takes for both ends is a few megabytes.
    expect(before).toBeLessThan(count - 100)
    socket.resume()
    expect(await copied).toBe(count)
    expect(heard.filter(({ type }) => type === 'd')).toHaveLength(count)
    // Nothing waits any longer for the socket.
    const { stream } = (client as unknown as { connection: { stream: NodeJS.EventEmitter } })
      .connection
    expect(stream.listenerCount('drain')).toBe(0)
  })

  test('over a connection that is lost while it waits is an error', async () => {
    const { client, socket } = await taking()
    let returned = false
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield Promise.resolve(Buffer.alloc(65_536, 1))
      } finally {
        returned = true
      }
    }
    const copied = failureOf(copyIn(client, INTO, endless()))
    while (socket.bytesRead < 100_000) await after(1)
    socket.pause()
    await after(100)
    socket.destroy()
    expect((await copied).message).toMatch(/terminated|ECONNRESET|EPIPE/)
    while (!returned) await after(1)
  })
})
