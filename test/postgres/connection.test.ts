/** Connections that read side by side. */
import { expect, test } from 'vitest'
import { openReaders, type Connection } from '../../src/postgres/connection.ts'

test('P11: no more connections than allowed, each for one at a time, and all of them are closed', async () => {
  let open = 0
  const one = (): Connection => {
    open += 1
    return { close: async () => void (open -= 1) } as Connection
  }
  const readers = openReaders(one(), 3)
  const using = new Set<Connection>()
  let most = 0
  const work = async (reader: Connection): Promise<void> => {
    expect(using.has(reader)).toBe(false)
    using.add(reader)
    most = Math.max(most, using.size)
    await new Promise((resolve) => setTimeout(resolve, 1))
    using.delete(reader)
  }
  await Promise.all(Array.from({ length: 20 }, async () => readers.use(async () => one(), work)))
  expect([most, open]).toEqual([3, 3])
  await readers.close()
  expect(open).toBe(0)
})

test('a reader that cannot join is told to whoever wanted it, and the others go on', async () => {
  const readers = openReaders({ close: async () => undefined } as Connection, 2)
  const broken = new Error('broken')
  const join = async (): Promise<Connection> => Promise.reject(broken)
  const pause = async (): Promise<string> =>
    new Promise((resolve) => setTimeout(() => resolve('done'), 5))
  const ends = await Promise.allSettled([readers.use(join, pause), readers.use(join, pause)])
  expect(ends).toMatchObject([
    { status: 'fulfilled', value: 'done' },
    { status: 'rejected', reason: broken },
  ])
})
