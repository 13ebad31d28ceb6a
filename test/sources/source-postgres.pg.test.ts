/** A PostgreSQL as a source: which tables it takes, what it says of them, what it refuses, what it needs. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testServer, type TestDatabase } from '../support/postgres.ts'
import { contextOf, rowsOf, sourceOn, tableOf, withSnapshot } from './reading.ts'

let database: TestDatabase
let role: string

beforeAll(async () => {
  const server = await testServer()
  database = await server.createDatabase('source')
  role = `${database.name}_reader`
  await database.query(`
    create type "Mood" as enum ('good', 'bad');
    create table plain (id integer primary key, name text not null, mood "Mood", amount numeric(10,2));
    comment on column plain.name is 'what it is called';
    insert into plain values (2, 'b', 'bad', 1.50), (1, 'a', null, null);
    create table composite (b integer, note text, a integer, primary key (a, b));
    insert into composite values (1, 'x', 2), (2, 'y', 1), (1, 'z', 1);
    create table covering (id integer, extra integer, primary key (id) include (extra));
    insert into covering values (1, null);
    create table parted (id integer, region text, primary key (id, region)) partition by list (region);
    create table parted_north partition of parted for values in ('north');
    create table parted_south partition of parted for values in ('south');
    insert into parted values (1, 'south'), (2, 'north');
    create table "Quoted ""Name""" ("Key" integer primary key, "select" text);
    insert into "Quoted ""Name""" values (1, 'from');
    create schema audit;
    create table audit.log (id bigint generated always as identity primary key, twice integer generated always as (2) stored);
    insert into audit.log default values;
    create table keyless (a integer);
    create view seen as select * from plain;
    create role ${role} login password '${role}';
    grant usage on schema public, audit to ${role};
    grant select on all tables in schema public, audit to ${role};
  `)
})

afterAll(async () => {
  const roles = [role, `${role}_rls`]
  for (const name of roles)
    await database.query(
      `do $$ begin if to_regrole('${name}') is not null then execute 'drop owned by ${name}'; end if; end $$`,
    )
  for (const name of roles) await database.query(`drop role if exists ${name}`)
  await database.drop()
})

const choice = (
  include: string[],
  exclude: string[] = ['keyless', 'seen'],
): { tables: { include: string[]; exclude: string[]; defaultSchema: string } } => ({
  tables: { include, exclude, defaultSchema: 'public' },
})
const source = (include = ['*'], exclude?: string[]): ReturnType<typeof sourceOn> =>
  sourceOn(database.roleUrl(role), choice(include, exclude))

test('tables are found in the catalogue by patterns, partitions with their parent, with key, types and comments', async () => {
  await withSnapshot(source(['*', 'audit.*']), async (snapshot) => {
    expect(snapshot.tables.map(({ name }) => name)).toEqual([
      'audit.log',
      'Quoted "Name"',
      'composite',
      'covering',
      'parted',
      'plain',
    ])
    expect(tableOf(snapshot, 'plain')).toMatchObject({
      key: ['id'],
      columns: [
        { name: 'id', type: 'integer', carried: 'INTEGER', notNull: true, attribute: 1 },
        {
          name: 'name',
          type: 'text',
          carried: 'VARCHAR',
          notNull: true,
          comment: 'what it is called',
        },
        { name: 'mood', type: 'public."Mood"', carried: 'VARCHAR', notNull: false },
        { name: 'amount', type: 'numeric(10,2)', carried: 'DECIMAL(10,2)', notNull: false },
      ],
    })
  })
})

test('P2: the key is the primary key in its own order, without the columns that an index only includes', async () => {
  await withSnapshot(source(['*', 'audit.*']), async (snapshot) => {
    expect(tableOf(snapshot, 'composite').key).toEqual(['a', 'b'])
    expect(tableOf(snapshot, 'covering').key).toEqual(['id'])
    expect(tableOf(snapshot, 'parted').key).toEqual(['id', 'region'])
    expect(await rowsOf(snapshot, 'composite')).toEqual(['1,z,1\n', '2,y,1\n', '1,x,2\n'])
    expect(await rowsOf(snapshot, 'covering')).toEqual(['1,\n'])
    expect(await rowsOf(snapshot, 'parted')).toEqual(['1,south\n', '2,north\n'])
    expect(await rowsOf(snapshot, 'plain')).toEqual(['1,a,,\n', '2,b,bad,1.50\n'])
    expect(await rowsOf(snapshot, 'Quoted "Name"')).toEqual(['1,from\n'])
    expect(await rowsOf(snapshot, 'audit.log')).toEqual(['1,2\n'])
  })
})

test('a pattern that names nothing is refused with the nearest name, before anything is read', async () => {
  await expect(source(['plane', 'audit.logs']).snapshot(contextOf())).rejects.toMatchObject({
    name: 'SourceTableUnknown',
    facts: {
      problems: [
        { message: expect.stringContaining('"public.plain"') as string },
        { message: expect.stringContaining('"audit.log"') as string },
      ],
    },
  })
})

test('P11: every table that we may not read is named at once, with the grant that is missing', async () => {
  await database.query(
    `create schema closed; create table closed.inside (id integer primary key); create table hidden (id integer primary key); grant select on closed.inside to ${role}`,
  )
  try {
    await expect(source(['*', 'closed.*']).snapshot(contextOf())).rejects.toMatchObject({
      name: 'SourceForbidden',
      facts: {
        problems: [{ where: 'closed.inside' }, { where: 'public.hidden' }],
        fix: expect.stringContaining('grant select on "public"."hidden" to') as string,
      },
    })
  } finally {
    await database.query('drop table hidden; drop schema closed cascade')
  }
})

test('P2, P11: rows that a policy would hide raise an error and are not missed', async () => {
  await database.query(`
    create table guarded (id integer primary key, owner text);
    insert into guarded values (1, 'us'), (2, 'them');
    alter table guarded enable row level security;
    create policy own on guarded using (owner = 'us');
    create role ${role}_rls login password '${role}_rls';
    grant select on guarded to ${role}_rls;
    alter role ${role}_rls set row_security = on;
  `)
  const guarded = sourceOn(database.roleUrl(`${role}_rls`), choice(['guarded']))
  await expect(
    withSnapshot(guarded, async (snapshot) => rowsOf(snapshot, 'guarded')),
  ).rejects.toMatchObject({
    name: 'SourceForbidden',
    facts: {
      why: expect.stringContaining('row-level security') as string,
      fix: `alter role "${role}_rls" bypassrls; or exclude the tables`,
    },
  })
})

describe('a role with hostile settings', () => {
  const hostile: readonly (readonly [string, string])[] = [
    ['DateStyle', "'German, DMY'"],
    ['TimeZone', "'Asia/Kathmandu'"],
    ['IntervalStyle', "'sql_standard'"],
    ['extra_float_digits', '-15'],
    ['bytea_output', "'escape'"],
    ['search_path', 'evil, public'],
    ['row_security', 'on'],
    ['default_transaction_read_only', 'off'],
    ['default_transaction_isolation', "'serializable'"],
    ['default_transaction_deferrable', 'on'],
    ['lc_monetary', "'C.UTF-8'"],
    ['xmlbinary', "'hex'"],
    ['client_encoding', "'LATIN1'"],
    ['quote_all_identifiers', 'on'],
    ['statement_timeout', "'30ms'"],
    ['lock_timeout', "'1ms'"],
    ['idle_in_transaction_session_timeout', "'100ms'"],
    ['standard_conforming_strings', 'off'],
    ['synchronize_seqscans', 'on'],
    ['enable_indexscan', 'off'],
  ]

  test('P8, P11: it changes no byte of what is read', async () => {
    await database.query(`
      create schema evil;
      create table evil.mixed (id integer primary key, trap text);
      create domain evil.integer as text;
      create table mixed (
        id integer primary key, day date, at timestamp, zoned timestamptz, span interval, "real" real, "double" double precision,
        bytes bytea, cash money, kind regclass, x xml, words text, list timestamptz[], "time" timetz
      );
      insert into mixed
        select n, '2026-02-03', '2026-02-03 04:05:06.789012', '2026-07-03 04:05:06.789012+02', '1 year 2 mons 3 days 04:05:06.7', 0.1 + n, 1 / 3.0::double precision + n,
          '\\x00ff27', 12.34, 'pg_class', '<a>\u00e4</a>', 'na\u00efve \u20ac ' || n, array['2026-02-03 04:05:06+00'::timestamptz], '04:05:06.7+02'
        from generate_series(1, 20000) n;
      grant select on mixed to ${role};
    `)
    // The pause outlasts the hostile timeout for idle transactions, and the read the one for statements.
    const read = async (): Promise<{ rows: string[]; shape: string; columns: unknown }> =>
      withSnapshot(source(['mixed']), async (snapshot) => {
        const { shape, columns } = tableOf(snapshot, 'mixed')
        await new Promise((resolve) => setTimeout(resolve, 150))
        return { rows: await rowsOf(snapshot, 'mixed'), shape, columns }
      })
    const plain = await read()
    expect(plain.rows[0]).toBe(
      '1,2026-02-03,2026-02-03 04:05:06.789012,2026-07-03 02:05:06.789012+00,1 year 2 mons 3 days 04:05:06.7,1.1,1.3333333333333333,\\x00ff27,$12.34,pg_class,<a>ä</a>,naïve € 1,"{""2026-02-03 04:05:06+00""}",04:05:06.7+02\n',
    )
    for (const [name, value] of hostile)
      await database.query(`alter role ${role} set ${name} = ${value}`)
    try {
      const [shown] = await database.query(
        `select array_length(setconfig, 1)::text as n from pg_db_role_setting where setrole = '${role}'::regrole`,
      )
      expect(Number(shown?.['n'])).toBe(hostile.length)
      expect(await read()).toEqual(plain)
    } finally {
      await database.query(`alter role ${role} reset all`)
    }
  })
})

test('P11: SELECT is enough, nothing is written, and no transaction id is taken', async () => {
  await withSnapshot(source(['plain']), async (snapshot) => {
    await rowsOf(snapshot, 'plain')
    const [session] = await database.query(
      `select backend_xid::text, state from pg_stat_activity where datname = current_database() and usename = '${role}'`,
    )
    expect(session).toEqual({ backend_xid: null, state: 'idle in transaction' })
  })
  const [left] = await database.query(
    `select count(*)::text as n from pg_stat_activity where datname = current_database() and usename = '${role}' and state <> 'idle'`,
  )
  expect(left).toEqual({ n: '0' })
})

test('the identity names system, database and every table; another database cannot follow, an older state neither', async () => {
  const taken = await withSnapshot(source(['plain']), async (snapshot) => snapshot)
  expect(taken.identity).toMatchObject({
    database: database.name,
    system: expect.stringMatching(/^\d+$/) as string,
    tables: { 'public.plain': expect.stringMatching(/^\d+$/) as string },
  })
  expect(taken.position).toMatch(/^\d+:\d+:/)
  const follow = (memory: { identity?: object; position?: string | null }): void =>
    source().follow(taken, {
      identity: { ...taken.identity, ...memory.identity },
      position: memory.position === undefined ? taken.position : memory.position,
    })
  expect(() => follow({})).not.toThrow()
  expect(() => follow({ position: null })).not.toThrow()
  expect(() => follow({ identity: { system: '1' } })).toThrow(
    expect.objectContaining({ name: 'SourceReplaced' }) as Error,
  )
  expect(() => follow({ identity: { database: 'other' } })).toThrow(
    expect.objectContaining({ name: 'SourceReplaced' }) as Error,
  )
  expect(() => follow({ position: '1:9007199254740993:' })).toThrow(
    expect.objectContaining({ name: 'SourceBehind', retry: true }) as Error,
  )
  // After a failover to a later timeline ids cannot be compared; digests are void then, and all is read.
  expect(() =>
    follow({ identity: { timeline: '0.5' }, position: '1:9007199254740993:' }),
  ).not.toThrow()
  // An earlier timeline is a server that was left behind.
  expect(() => follow({ identity: { timeline: '99' } })).toThrow(
    expect.objectContaining({ name: 'SourceBehind' }) as Error,
  )
})

test('P8: the instant is the source’s clock, UTC to the microsecond', async () => {
  const before = Date.now()
  const { instant } = await withSnapshot(source(['plain']), async (snapshot) => snapshot)
  expect(instant).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
  expect(Math.abs(Date.parse(instant) - before)).toBeLessThan(60_000)
})
