/** Two connections in one snapshot, or a clear word. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, type Connection } from '../../src/postgres/connection.ts'
import { importSnapshot, type SharedSnapshot } from '../../src/postgres/snapshot.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await (await testServer()).createDatabase('shared')
  await database.query('create table t (n integer); insert into t values (1)')
})
afterAll(async () => database.drop())

const limits = { lockTimeoutMs: 1000, statementTimeoutMs: 10_000 }

async function exported(
  work: (exporter: Connection, importer: Connection, shared: SharedSnapshot) => Promise<void>,
): Promise<void> {
  const open = async (): Promise<Connection> =>
    connect({ side: 'source', name: 'shop', url: database.url })
  const [exporter, importer] = [await open(), await open()]
  try {
    await exporter.query('begin', 'begin isolation level repeatable read read only')
    const [row] = await exporter.query(
      'export',
      'select pg_export_snapshot() as id, pg_postmaster_start_time()::text as started, pg_current_snapshot()::text as position',
    )
    const [id, started, position] = ['id', 'started', 'position'].map((name) => row?.[name] ?? '')
    await work(exporter, importer, {
      id: id ?? '',
      started: started ?? '',
      position: position ?? '',
    })
  } finally {
    await exporter.close()
    await importer.close()
  }
}

test('P1: whoever imports a snapshot sees what its exporter sees, whatever was committed since', async () => {
  await exported(async (_, importer, shared) => {
    await database.query('insert into t values (2)')
    await importSnapshot(importer, shared, limits)
    expect(await importer.query('count', 'select count(*)::text as n from public.t')).toEqual([
      { n: '1' },
    ])
  })
})

test('P1: a snapshot that the server does not know, or that is another one there, is SnapshotNotShared', async () => {
  const refused = {
    name: 'SnapshotNotShared',
    facts: { fix: expect.stringContaining('readers: 1') as string },
  }
  const other = {
    id: '00000003-0000001B-1',
    started: '2020-01-01 00:00:00+00',
    position: '1:1:',
  }
  for (const part of ['id', 'started', 'position'] as const)
    await exported(async (_, importer, shared) => {
      const wrong = { ...shared, [part]: other[part] }
      await expect(importSnapshot(importer, wrong, limits)).rejects.toMatchObject(refused)
    })
})
