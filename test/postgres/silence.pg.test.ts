/** Connections that neither close nor say anything, through a proxy that keeps what it is given. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { connect, type Connection } from '../../src/postgres/connection.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'
import { openProxy, type Proxy } from '../support/proxy.ts'

let database: TestDatabase
let proxy: Proxy
beforeAll(async () => {
  database = await (await testServer()).createDatabase('silence')
  proxy = await openProxy(Number(new URL(database.url).port))
})
afterAll(async () => {
  await proxy.close()
  await database.drop()
})

async function through(): Promise<Connection> {
  const url = new URL(database.url)
  url.port = String(proxy.port)
  return connect({ side: 'source', name: 'shop', url: url.href, silenceMs: 800 })
}

/** Whether the session is there still. */
async function isThere({ pid }: Connection): Promise<boolean> {
  const rows = await database.query('select from pg_stat_activity where pid = $1', [String(pid)])
  return rows.length > 0
}

const SILENT = { name: 'SourceUnreachable', message: expect.stringContaining('it fell silent') }

test('P11: an answer that never comes ends the statement by name, and the session that nobody hears', async () => {
  const connection = await through()
  await connection.query('begin', 'begin')
  proxy.stall('present')
  await expect(connection.query('ask', 'select 1')).rejects.toMatchObject(SILENT)
  await vi.waitFor(async () => expect(await isThere(connection)).toBe(false))
  proxy.heal()
  await connection.close()
})

test('no other connection to be had ends it, too, and closing it waits for nobody', async () => {
  const connection = await through()
  proxy.stall('all')
  const startedAt = performance.now()
  await expect(connection.query('ask', 'select 1')).rejects.toMatchObject(SILENT)
  await connection.close()
  expect(performance.now() - startedAt).toBeLessThan(15_000)
  proxy.heal()
})

test('rows that stop coming, and rows that are not taken any more', async () => {
  const reading = await through()
  const nothing = { row: () => undefined, ready: () => undefined }
  const out = reading.copyOut(
    'read',
    "copy (select repeat('x', 10000) from generate_series(1, 5000)) to stdout",
    nothing,
  )
  proxy.after(1_000_000, () => proxy.stall('present'))
  await expect(out).rejects.toMatchObject(SILENT)
  await vi.waitFor(async () => expect(await isThere(reading)).toBe(false))
  await reading.close()
  proxy.heal()

  const writing = await through()
  await writing.query('make a table', 'create temp table t (text text)')
  const rows = async function* (): AsyncIterable<Uint8Array> {
    for (let n = 0; n < 5000; n++) yield Buffer.from(`${'x'.repeat(10_000)}\n`)
  }
  proxy.after(1_000_000, () => proxy.stall('present'))
  await expect(writing.copyIn('write', 'copy t from stdin', rows())).rejects.toMatchObject(SILENT)
  await writing.close()
  proxy.heal()
})

test('a server at work, and we ourselves, may be silent for as long as it takes', async () => {
  const connection = await through()
  const slow = 'select pg_sleep(3)::text as slept'
  expect(await connection.query('wait', slow)).toEqual([{ slept: '' }])
  let first = true
  const sink = {
    row: () => undefined,
    ready: () => (first ? ((first = false), sleep(2400)) : undefined),
  }
  const many = "copy (select repeat('x', 10000) from generate_series(1, 5000)) to stdout"
  expect(await connection.copyOut('read', many, sink)).toBe(5000)
  await connection.query('make a table', 'create temp table t (text text)')
  const rows = async function* (): AsyncIterable<Uint8Array> {
    yield Buffer.from('one\n')
    await sleep(2400)
    yield Buffer.from('two\n')
  }
  expect(await connection.copyIn('write', 'copy t from stdin', rows())).toBe(2)
  await connection.close()
})
