/** A server whose table of locks is full: what is said, and that nothing stays behind. */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startEmbedded, type EmbeddedServer } from '../../src/embedded/server.ts'
import { connect } from '../../src/postgres/connection.ts'
import { contextOf, sourceOn, withSnapshot } from '../sources/reading.ts'

const TABLES = 200

let folder: string
let server: EmbeddedServer
let url: string
/** Another session, which holds so many locks that there is room for a few more only. */
let other: pg.Client

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-locks-'))
  await chmod(folder, 0o755)
  const settings = { fsync: 'off', max_locks_per_transaction: '10', max_connections: '20' }
  server = await startEmbedded({ folder, settings })
  url = server.url('postgres')
  other = new pg.Client({ connectionString: url })
  await other.connect()
  for (let index = 0; index < TABLES; index++) {
    await other.query(`create table t${index} (id int primary key)`)
  }
  // What a session locks for itself outlives the statement that found no room.
  await expect(
    other.query('select pg_advisory_lock(n) from generate_series(1, 1000000) as n'),
  ).rejects.toMatchObject({ code: '53200' })
  await other.query('select pg_advisory_unlock(n) from generate_series(1, 50) as n')
})
afterAll(async () => {
  await other?.end()
  await server?.release()
  await rm(folder, { recursive: true, force: true })
})

async function locksOfOthers(): Promise<number> {
  const { rows } = await other.query<{ held: string }>(
    `select count(*)::text as held from pg_locks where pid <> pg_backend_pid() and database = (
       select oid from pg_database where datname = current_database())`,
  )
  return Number(rows[0]?.held)
}

test('P11: a source without room for our locks is named, with the way out, and keeps none of them', async () => {
  const refused = await sourceOn(url)
    .snapshot(contextOf())
    .catch((error: unknown) => error)
  expect(refused).toMatchObject({
    name: 'LocksExhausted',
    retry: false,
    exit: 3,
    facts: {
      sqlstate: '53200',
      fix: expect.stringMatching(/max_locks_per_transaction.*tables\.exclude/),
    },
  })
  expect(String(refused)).toContain('lock the tables')
  await expect.poll(locksOfOthers).toBe(0)
})

test('a warehouse without room for the locks of a load says so, too', async () => {
  const connection = await connect({ side: 'warehouse', name: 'warehouse', url })
  try {
    const names = Array.from({ length: TABLES }, (_, index) => `create table s${index} (id int)`)
    await expect(
      connection.query('create tables', ['begin', ...names].join(';')),
    ).rejects.toMatchObject({
      name: 'LocksExhausted',
      facts: { fix: expect.stringContaining('max_locks_per_transaction') },
    })
  } finally {
    await connection.close()
  }
})

test('P11: a batch that takes more than half of the room for locks says so, partitions and indexes counted', async () => {
  // Ten for each of twenty connections.
  await other.query(
    `select pg_advisory_unlock_all();
     create table parts (day int primary key) partition by range (day);
     ${Array.from({ length: 50 }, (_, day) => `create table parts_${day} partition of parts for values from (${day}) to (${day + 1});`).join('\n')}`,
  )
  const warningsOf = async (...include: string[]): Promise<readonly string[] | undefined> =>
    withSnapshot(
      sourceOn(url, { tables: { include, exclude: [], defaultSchema: 'public' } }),
      async ({ warnings }) =>
        warnings?.map(({ text, standing }) => `${standing ? 'standing: ' : ''}${text}`),
    )
  expect(await warningsOf('parts')).toEqual([
    expect.stringMatching(/^a batch holds 102 locks, and the server keeps room for 200,/),
  ])
  await other.query('drop table parts_0, parts_1')
  expect(await warningsOf('parts')).toEqual([])
  expect(await warningsOf('t1')).toEqual([])
})
