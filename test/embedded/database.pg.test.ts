/** Databases of the embedded server: whole or absent, whatever ends their creation, with roles that last. */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ensureEmbeddedDatabase } from '../../src/embedded/database.ts'
import { startEmbedded, type EmbeddedServer } from '../../src/embedded/server.ts'

let folder: string
let server: EmbeddedServer

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-databases-'))
  await chmod(folder, 0o755)
  server = await startEmbedded({ folder, settings: { fsync: 'off' } })
})

afterAll(async () => {
  await server.release()
  await rm(folder, { recursive: true, force: true })
})

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query({ text, rowMode: 'array' })).rows
  } finally {
    await client.end()
  }
}

const databases = async (): Promise<unknown[]> =>
  query(
    server.url('postgres'),
    'select datname from pg_database where not datistemplate order by 1',
  )

test('a database is created once, set up by its owner, and its roles survive a restart', async () => {
  const options = {
    database: 'shop "quoted"',
    owner: 'shop_owner',
    reader: 'shop reader',
    setup: async (url: string) => {
      await query(url, 'create table product as select 1 as id')
    },
  }
  const first = await ensureEmbeddedDatabase(server, options)
  expect(first.created).toBe(true)
  await server.release()
  server = await startEmbedded({ folder, settings: { fsync: 'off' } })
  const second = await ensureEmbeddedDatabase(server, options)
  expect(second.created).toBe(false)
  expect(await query(second.ownerUrl, 'select current_user::text, id from product')).toEqual([
    ['shop_owner', 1],
  ])
  expect(await query(second.readerUrl ?? '', 'select current_user::text, id from product')).toEqual(
    [['shop reader', 1]],
  )
})

test('P11: the reader selects, also from later tables, and has no other right', async () => {
  const options = { database: 'rights', owner: 'rights_owner', reader: 'rights_reader' }
  const { ownerUrl, readerUrl } = await ensureEmbeddedDatabase(server, options)
  await query(ownerUrl, 'create table later as select 1 as id')
  await query(ownerUrl, 'create schema hidden')
  await query(ownerUrl, 'create table hidden.secret as select 1 as id')
  const reader = readerUrl ?? ''
  expect(await query(reader, 'select id from later')).toEqual([[1]])
  for (const refused of [
    'insert into later values (2)',
    'update later set id = 2',
    'delete from later',
    'truncate later',
    'create table mine (id int)',
    'create temp table mine (id int)',
    'create schema mine',
    'select * from hidden.secret',
    'create role another',
    'create database another',
  ]) {
    await expect(query(reader, refused)).rejects.toThrow(/permission denied|must be owner/)
  }
  await expect(query(server.url('shop "quoted"', 'rights_reader'), 'select 1')).rejects.toThrow(
    /permission denied/,
  )
})

test('a database that exists without its reader gets it', async () => {
  const plain = await ensureEmbeddedDatabase(server, {
    database: 'grown',
    owner: 'grown_owner',
    setup: async (url) => {
      await query(url, 'create table old as select 1 as id')
    },
  })
  expect(plain.readerUrl).toBeNull()
  const grown = await ensureEmbeddedDatabase(server, {
    database: 'grown',
    owner: 'grown_owner',
    reader: 'grown_reader',
  })
  expect(await query(grown.readerUrl ?? '', 'select id from old')).toEqual([[1]])
})

test('a setup that throws leaves no database; the next call begins again and clears what was left', async () => {
  const options = { database: 'broken', owner: 'broken_owner' }
  const before = await databases()
  const failing = ensureEmbeddedDatabase(server, {
    ...options,
    setup: async (url) => {
      await query(url, 'create table half (id int)')
      throw new Error('stopped in the middle')
    },
  })
  await expect(failing).rejects.toThrow('stopped in the middle')
  expect(await databases()).not.toContainEqual(['broken'])
  const next = await ensureEmbeddedDatabase(server, options)
  expect(next.created).toBe(true)
  expect(await query(next.ownerUrl, "select to_regclass('half')::text")).toEqual([[null]])
  expect(new Set(await databases())).toEqual(new Set([...before, ['broken']]))
})

test('P4: a creation whose session is ended in the middle is begun again', async () => {
  const options = { database: 'cut', owner: 'cut_owner' }
  const cut = ensureEmbeddedDatabase(server, {
    ...options,
    setup: async () => {
      // As a kill of the command does: its sessions end, and with them its lock.
      await query(
        server.url('postgres'),
        "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and backend_type = 'client backend'",
      )
    },
  })
  await expect(cut).rejects.toMatchObject({ name: 'EmbeddedFailed' })
  expect((await ensureEmbeddedDatabase(server, options)).created).toBe(true)
})

test('calls at the same time wait for each other: one creates, all find it', async () => {
  let setups = 0
  const options = {
    database: 'crowd',
    owner: 'crowd_owner',
    reader: 'crowd_reader',
    setup: async (url: string) => {
      setups += 1
      await query(url, 'create table one as select 1 as id')
    },
  }
  const found = await Promise.all(
    Array.from({ length: 5 }, async () => ensureEmbeddedDatabase(server, options)),
  )
  expect(setups).toBe(1)
  expect(found.filter(({ created }) => created)).toHaveLength(1)
  const others = ['left', 'right'].map(async (database) =>
    ensureEmbeddedDatabase(server, {
      ...options,
      database,
      owner: 'common',
      reader: 'common_reader',
    }),
  )
  await Promise.all(others)
  for (const { readerUrl } of found)
    expect(await query(readerUrl ?? '', 'select id from one')).toEqual([[1]])
})

test('a setup that fills through the server in a refused statement is reported without a stack', async () => {
  const failure = await ensureEmbeddedDatabase(server, {
    database: 'x'.repeat(80),
    owner: 'pg_reserved',
  }).catch((error: unknown) => error)
  expect(failure).toMatchObject({ name: 'EmbeddedFailed', facts: { sqlstate: '42939' } })
})
