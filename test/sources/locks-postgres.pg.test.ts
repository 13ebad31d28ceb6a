/** What is held while a batch reads, also where LOCK TABLE cannot, whatever others do meanwhile. */
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Source } from '../../src/sources/source.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'
import { contextOf, pause, rowsOf, sourceOn, withSnapshot } from './reading.ts'

let database: TestDatabase
/** The application: another session beside ours. */
let writer: pg.Client
let role: string

beforeAll(async () => {
  database = await (await testServer()).createDatabase('locks')
  writer = new pg.Client({ connectionString: database.url })
  await writer.connect()
  role = `${database.name}_reader`
  await database.query(`create role ${role} login password '${role}'`)
})

afterAll(async () => {
  await writer.end()
  await database.query(`drop owned by ${role}; drop role ${role}`)
  await database.drop()
})

beforeEach(async () => {
  await database.query(`
    drop schema public cascade; create schema public; grant usage on schema public to ${role};
    create table sale (id integer primary key); insert into sale values (1);
    create materialized view total as select count(*) as sales from sale;
    create view shown as select sales from total;
    create view hidden as select id from sale;
  `)
})

const source = (url: string, ...include: string[]): Source =>
  sourceOn(url, { tables: { include, exclude: [], defaultSchema: 'public' } })

async function refreshedMeanwhile(...include: string[]): Promise<string[]> {
  await writer.query(
    'begin; insert into sale values (2); refresh materialized view total; commit; begin; insert into sale values (3); refresh materialized view total',
  )
  const opening = source(database.url, ...include).snapshot(contextOf())
  // Our snapshot is taken, and waits for the view's lock.
  await pause(300)
  await writer.query('commit')
  const snapshot = await opening
  try {
    const rows = await Promise.all(
      include.map(async (name) => (await rowsOf(snapshot, name)).length),
    )
    return [String(rows[0]), ...(await rowsOf(snapshot, include[1] ?? ''))]
  } finally {
    await snapshot.close()
  }
}

test('P1: a materialized view refreshed after our snapshot was taken is not read with it: both are of one instant', async () => {
  expect(await refreshedMeanwhile('sale', 'total')).toEqual(['3', '3\n'])
})

test('P1: also when a view shows it', async () => {
  expect(await refreshedMeanwhile('sale', 'shown')).toEqual(['3', '3\n'])
})

test('P2: without that care an older snapshot sees the newer rows of a refreshed view (so PostgreSQL works)', async () => {
  const reader = new pg.Client({ connectionString: database.url })
  await reader.connect()
  try {
    await reader.query('begin isolation level repeatable read; select 1')
    await writer.query('insert into sale values (2); refresh materialized view total')
    const seen = await reader.query(
      'select (select count(*) from sale) as sales, (select sales from total) as total',
    )
    expect(seen.rows).toEqual([{ sales: '1', total: '2' }])
  } finally {
    await reader.end()
  }
})

test('P2: a table below a view cannot be truncated while the view is read', async () => {
  await withSnapshot(source(database.url, 'hidden'), async (snapshot) => {
    await writer.query("set lock_timeout = '200ms'")
    await expect(writer.query('truncate sale')).rejects.toThrow(/lock timeout/)
    await writer.query('reset lock_timeout')
    expect(await rowsOf(snapshot, 'hidden')).toEqual(['1\n'])
  })
})

test('P11: SELECT on a view is enough, without any right on the tables below', async () => {
  await database.query(`grant select on hidden, shown, total to ${role}`)
  const url = database.roleUrl(role)
  await withSnapshot(source(url, 'hidden', 'shown', 'total'), async (snapshot) => {
    expect(await rowsOf(snapshot, 'hidden')).toEqual(['1\n'])
    expect(await rowsOf(snapshot, 'shown')).toEqual(['1\n'])
    expect(await rowsOf(snapshot, 'total')).toEqual(['1\n'])
  })
})

test('P11: SELECT on a partitioned table or on a parent is enough, without any right on what is below', async () => {
  await database.query(`
    create table parted (id int) partition by list (id); create table parted_1 partition of parted for values in (1);
    create table parent (id int); create table child () inherits (parent); insert into parted values (1);
    insert into parent values (1); insert into child values (2);
    grant select on parted, parent to ${role}`)
  const reading = sourceOn(database.roleUrl(role), {
    tables: { include: ['par*'], exclude: ['parted_1', 'child'], defaultSchema: 'public' },
  })
  await withSnapshot(reading, async (snapshot) => {
    expect(await rowsOf(snapshot, 'parted')).toEqual(['1\n'])
    expect(await rowsOf(snapshot, 'parent')).toEqual(['1\n'])
  })
})

test('P2: a partition attached while we wait for the lock is read, and locked, too', async () => {
  await database.query(`
    create table parted (id int) partition by list (id);
    create table parted_1 partition of parted for values in (1);
    create table parted_2 (id int); insert into parted_2 values (2)`)
  // Holds the lock that we want until the partition is there.
  await writer.query('begin; lock table parted in access exclusive mode')
  const opening = source(database.url, 'parted').snapshot(contextOf())
  await pause(300)
  await writer.query('alter table parted attach partition parted_2 for values in (2); commit')
  const snapshot = await opening
  try {
    await writer.query("set lock_timeout = '200ms'")
    await expect(writer.query('truncate parted_2')).rejects.toThrow(/lock timeout/)
    expect(await rowsOf(snapshot, 'parted')).toEqual(['2\n'])
  } finally {
    await writer.query('reset lock_timeout')
    await snapshot.close()
  }
})

test('foreign tables are read when they are named: of files, and of another server', async (ctx) => {
  const missing = await database
    .query('create extension if not exists file_fdw; create extension if not exists postgres_fdw')
    .then(() => undefined)
    .catch((error: unknown) => String(error))
  if (missing !== undefined) ctx.skip(`the server has no foreign data wrappers: ${missing}`)
  const { port, hostname } = new URL(database.url)
  await database.query(`
    create server files foreign data wrapper file_fdw;
    create foreign table from_file (line text) server files
      options (program 'printf ''a\\nb\\na\\n''');
    create server itself foreign data wrapper postgres_fdw
      options (dbname '${database.name}', host '${hostname}', port '${port}');
    grant select on sale to ${role};
    create user mapping for ${role} server itself options (user '${role}', password '${role}');
    create foreign table from_server (id integer) server itself options (schema_name 'public', table_name 'sale');
    create table mixed (id integer) partition by range (id);
    create foreign table mixed_old partition of mixed for values from (0) to (10) server itself
      options (schema_name 'public', table_name 'sale');
    create table mixed_new partition of mixed for values from (10) to (20); insert into mixed_new values (11);
    grant select on from_file, from_server, mixed to ${role}`)
  const url = database.roleUrl(role)
  await withSnapshot(source(url, 'from_file', 'from_server', 'mixed'), async (snapshot) => {
    expect(await rowsOf(snapshot, 'from_file')).toEqual(['a\n', 'b\n', 'a\n'])
    expect(await rowsOf(snapshot, 'from_server')).toEqual(['1\n'])
    expect((await rowsOf(snapshot, 'mixed')).toSorted()).toEqual(['1\n', '11\n'])
  })
})
