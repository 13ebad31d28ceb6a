/** One connection that is kept for the next piece of work, as long as nothing went wrong on it. */
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { keepConnection, type KeptConnection } from '../../src/postgres/kept-connection.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await (await testServer()).createDatabase('kept')
})

afterAll(async () => {
  await database.drop()
})

function keeper(keptMs?: number): KeptConnection {
  const kept = keepConnection(keptMs)
  onTestFinished(async () => kept.close())
  return kept
}

const target = (signal?: AbortSignal, url = database.url) =>
  ({ side: 'source', name: 'shop', url, signal }) as const

/** What sessions of this database do, ours left out. */
async function sessions(): Promise<unknown[]> {
  const rows = await database.query(
    `select state from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and application_name = 'tote'`,
  )
  return rows.map((row) => row['state'])
}

test('P11: it is handed out again, and rolled back in between: nobody holds a snapshot of the source while nothing is read', async () => {
  const kept = keeper()
  const first = await kept.take(target())
  await first.query('begin', 'begin isolation level repeatable read; select 1')
  await first.close()
  await first.close()
  await vi.waitFor(async () => expect(await sessions()).toEqual(['idle']))
  const second = await kept.take(target())
  expect(second.pid).toBe(first.pid)
  // Whoever had it before does not close it under whoever has it now.
  await first.close()
  expect(await second.query('look', 'select 1 as one')).toEqual([{ one: '1' }])
  await second.close()
})

test('it is not handed out again when a statement failed on it, or is still under way', async () => {
  const kept = keeper()
  const failed = await kept.take(target())
  await expect(failed.query('fail', 'select 1 / 0')).rejects.toThrow('fail')
  await failed.close()
  const busy = await kept.take(target())
  expect(busy.pid).not.toBe(failed.pid)
  let rows = 0
  const copying = busy.copyOut('copy', 'copy (select pg_sleep(60)) to stdout', {
    row: () => {
      rows += 1
    },
    ready: () => undefined,
  })
  const ended = copying.catch((error: unknown) => error)
  await busy.close()
  expect(await ended).toMatchObject({ name: 'SourceUnreachable' })
  expect(rows).toBe(0)
  const third = await kept.take(target())
  expect(third.pid).not.toBe(busy.pid)
  await third.close()
  // A server that sleeps does not notice that nobody is there.
  await database.query(`select pg_terminate_backend(${busy.pid})`)
})

test('whoever has it can end it at once, and nobody who had it before can', async () => {
  const kept = keeper()
  const [before, now] = [new AbortController(), new AbortController()]
  const first = await kept.take(target(before.signal))
  await first.close()
  const second = await kept.take(target(now.signal))
  expect(second.pid).toBe(first.pid)
  before.abort(new Error('too late'))
  await second.query('look', 'select 1')
  const sleeping = second.query('sleep', 'select pg_sleep(60)')
  now.abort(new Error('enough'))
  await expect(sleeping).rejects.toThrow('enough')
  await second.close()
  await database.query(`select pg_terminate_backend(${second.pid})`)
  await expect(kept.take(target(now.signal))).rejects.toThrow('enough')
  const third = await kept.take(target())
  expect(third.pid).not.toBe(second.pid)
  await third.close()
  // Enough is said while it is still being looked for.
  const meanwhile = new AbortController()
  const taking = kept.take(target(meanwhile.signal))
  meanwhile.abort(new Error('never mind'))
  const fourth = await taking
  await expect(fourth.query('look', 'select 1')).rejects.toThrow('never mind')
  await fourth.close()
})

test('another is made where the server has ended it, where the URL is another, and where it is in use', async () => {
  const kept = keeper()
  const first = await kept.take(target())
  await first.close()
  await database.query(`select pg_terminate_backend(${first.pid})`)
  const second = await kept.take(target())
  expect(second.pid).not.toBe(first.pid)
  const beside = await kept.take(target())
  expect(beside.pid).not.toBe(second.pid)
  await second.close()
  // One is kept; the other goes.
  await beside.close()
  await vi.waitFor(async () => expect(await sessions()).toEqual(['idle']))
  const other = new URL(database.url)
  other.searchParams.set('sslmode', 'disable')
  const third = await kept.take(target(undefined, other.href))
  expect(third.pid).not.toBe(second.pid)
  await third.close()
  await vi.waitFor(async () => expect(await sessions()).toEqual(['idle']))
})

test('P11: nothing is held for longer than a while, nor after the end', async () => {
  const kept = keeper(200)
  const first = await kept.take(target())
  await first.close()
  await vi.waitFor(async () => expect(await sessions()).toEqual([]), 5_000)
  const old = await kept.take(target())
  await new Promise((resolve) => setTimeout(resolve, 250))
  await old.close()
  await vi.waitFor(async () => expect(await sessions()).toEqual([]), 5_000)
  const other = keeper()
  const last = await other.take(target())
  // Both at once: what is given back meanwhile is not kept.
  const closing = last.close()
  await other.close()
  await closing
  await vi.waitFor(async () => expect(await sessions()).toEqual([]), 5_000)
})
