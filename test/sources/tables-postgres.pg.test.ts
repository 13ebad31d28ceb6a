/** Which relations of a PostgreSQL are carried, under which name, by which key; and which are refused. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testServer, type TestDatabase } from '../support/postgres.ts'
import { contextOf, rowsOf, sourceOn, tableOf, withSnapshot } from './reading.ts'

let database: TestDatabase

beforeAll(async () => {
  const server = await testServer()
  database = await server.createDatabase('tables')
})
afterAll(async () => database.drop())

const source = (include: string[], exclude: string[] = []): ReturnType<typeof sourceOn> =>
  sourceOn(database.url, { tables: { include, exclude, defaultSchema: 'public' } })

describe('the key', () => {
  const keyOf = async (definition: string): Promise<readonly string[]> => {
    await database.query(`drop table if exists keyed cascade; ${definition}`)
    return withSnapshot(source(['keyed']), async (snapshot) => tableOf(snapshot, 'keyed').key)
  }
  test.each([
    ['the primary key', 'create table keyed (a int unique not null, b int primary key)', ['b']],
    [
      'the replica identity before other unique indexes',
      `create table keyed (a int not null unique, b int not null, c int not null, unique (c, b));
       alter table keyed replica identity using index keyed_c_b_key`,
      ['c', 'b'],
    ],
    [
      'the unique index with the fewest columns, then of the first columns',
      `create table keyed (a int not null, b int not null, c int not null, unique (a, b), unique (c));
       create unique index on keyed (b)`,
      ['b'],
    ],
    [
      'no INCLUDE column',
      'create table keyed (a int not null, b int, unique (a) include (b))',
      ['a'],
    ],
    [
      'a deferrable one, which holds at every commit',
      'create table keyed (a int not null unique deferrable)',
      ['a'],
    ],
  ])('is %s', async (_, definition, key) => {
    expect(await keyOf(definition)).toEqual(key)
  })

  test.each([
    ['of a column that may be null', 'create table keyed (a int unique)'],
    [
      'that is partial',
      'create table keyed (a int not null); create unique index on keyed (a) where a > 0',
    ],
    [
      'of an expression',
      'create table keyed (a int not null); create unique index on keyed ((a + 1))',
    ],
    [
      'that is not valid',
      `create table keyed (a int not null, p int not null) partition by list (p);
       create table keyed_1 partition of keyed for values in (1);
       create unique index on only keyed (a, p)`,
    ],
  ])('P2: a unique index %s is none: the whole row is the key', async (_, definition) => {
    expect(await keyOf(definition)).toEqual(['_tote_row'])
  })

  test('P2: NOT NULL that does not hold for old rows is none', async (ctx) => {
    const [row] = await database.query('show server_version_num')
    if (Number(row?.['server_version_num']) < 180_000) ctx.skip('NOT VALID came with PostgreSQL 18')
    const definition = `create table keyed (a int unique); insert into keyed values (null), (null);
      alter table keyed add constraint there not null a not valid`
    expect(await keyOf(definition)).toEqual(['_tote_row'])
  })
})

test('a table without a key, a view and a table without columns are read without an order, and end with the key that is computed', async () => {
  await database.query(`
    create table loose (a int, b text); insert into loose values (2, null), (1, ''), (2, null);
    create view seen as select b from loose;
    create materialized view kept as select a from loose;
    create table nothing (); insert into nothing default values; insert into nothing default values;
  `)
  await withSnapshot(source(['loose', 'seen', 'kept', 'nothing']), async (snapshot) => {
    for (const name of ['loose', 'seen', 'kept', 'nothing']) {
      const { key, columns } = tableOf(snapshot, name)
      expect(key).toEqual(['_tote_row'])
      expect(columns.at(-1)).toMatchObject({ name: '_tote_row', type: 'text', carried: 'VARCHAR' })
    }
    expect((await rowsOf(snapshot, 'loose')).toSorted()).toEqual(['1,""\n', '2,\n', '2,\n'])
    expect((await rowsOf(snapshot, 'seen')).toSorted()).toEqual(['\n', '\n', '""\n'])
    expect((await rowsOf(snapshot, 'kept')).toSorted()).toEqual(['1\n', '2\n', '2\n'])
    expect(await rowsOf(snapshot, 'nothing')).toEqual(['\n', '\n'])
  })
})

test('views and the like are taken when they are named, with their schema where it is not the default one', async () => {
  await database.query(
    'create schema aside; create table aside.plain (id int primary key); create view aside.shown as select 1 as one; create view shown as select 2 as two',
  )
  const names = async (...include: string[]): Promise<string[]> =>
    withSnapshot(source(include), async (snapshot) => snapshot.tables.map(({ name }) => name))
  expect(await names('aside.*')).toEqual(['aside.plain'])
  expect(await names('aside.*', 'shown')).toEqual(['aside.plain', 'shown'])
  expect(await names('aside.*', 'aside.shown')).toEqual(['aside.plain', 'aside.shown'])
})

describe('tables that inherit', () => {
  beforeAll(async () => {
    await database.query(`
      create schema family;
      create table family.parent (id int primary key, note text);
      create table family.child (own int) inherits (family.parent);
      create table family.grandchild (primary key (id)) inherits (family.child);
      insert into family.parent values (1, 'parent');
      insert into family.child values (1, 'child', 1);
      insert into family.grandchild values (1, 'grandchild', 2);
    `)
  })

  test('P2: each is read for itself, so that no row is missed or doubled, and the parent’s key holds', async () => {
    await withSnapshot(source(['family.*']), async (snapshot) => {
      expect(tableOf(snapshot, 'family.parent').key).toEqual(['id'])
      expect(tableOf(snapshot, 'family.child').key).toEqual(['_tote_row'])
      expect(await rowsOf(snapshot, 'family.parent')).toEqual(['1,parent\n'])
      expect(await rowsOf(snapshot, 'family.child')).toEqual(['1,child,1\n'])
      expect(await rowsOf(snapshot, 'family.grandchild')).toEqual(['1,grandchild,2\n'])
    })
  })

  test('P2: a parent whose children are neither included nor excluded is refused', async () => {
    await expect(
      source(['family.parent', 'family.child']).snapshot(contextOf()),
    ).rejects.toMatchObject({
      name: 'TableNotCarried',
      facts: {
        problems: [
          {
            where: 'family.child',
            message:
              'has rows in the table family.grandchild, which inherits from it and is neither included nor excluded',
          },
        ],
      },
    })
    await withSnapshot(source(['family.parent'], ['family.child']), async (snapshot) => {
      expect(await rowsOf(snapshot, 'family.parent')).toEqual(['1,parent\n'])
    })
  })
})

test('names that differ only in case are carried under names that DuckDB can tell apart', async () => {
  await database.query(`
    create schema cased;
    create table cased."Order" ("Id" int primary key, id int, "ID" int); insert into cased."Order" values (1, 2, 3);
    create table cased."order" (id int primary key); insert into cased."order" values (4);
  `)
  await withSnapshot(source(['cased.*']), async (snapshot) => {
    expect(snapshot.tables.map(({ name }) => name)).toEqual(['cased.^Order', 'cased.order'])
    const { columns, key } = tableOf(snapshot, 'cased.^Order')
    expect(columns.map(({ name }) => name)).toEqual(['^Id', 'id', '^I^D'])
    expect(key).toEqual(['^Id'])
    expect(await rowsOf(snapshot, 'cased.^Order')).toEqual(['1,2,3\n'])
    expect(await rowsOf(snapshot, 'cased.order')).toEqual(['4\n'])
  })
})

test('P2: what cannot be carried is refused by name, all of it at once, with the way out', async () => {
  await database.query(`
    create schema odd;
    create table odd.ours (id integer primary key, _tote_op text, "_Tote_x" int);
    create table odd.cased (id integer primary key, "Id" int, "^Id" text);
    create materialized view odd.empty as select 1 as one with no data;
    create table odd.log (id integer primary key);
    create table "odd.log" (id integer primary key);
  `)
  const error: unknown = await source(['odd.*', 'odd.empty', '"odd.log"'])
    .snapshot(contextOf())
    .catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({
    name: 'TableNotCarried',
    facts: {
      problems: [
        { where: 'odd.cased', message: 'has the column "Id", whose name others have but for case' },
        {
          where: 'odd.cased',
          message: 'has the column "^Id", whose name others have but for case',
        },
        { where: 'odd.empty', message: expect.stringContaining('holds nothing yet') as string },
        { where: 'odd.log', message: 'has the name of another table, but for case or dots' },
        {
          where: 'odd.ours',
          message: 'has a column named "_tote_op", which Tote keeps for itself',
        },
        { where: 'odd.ours', message: 'has a column named "_Tote_x", which Tote keeps for itself' },
        {
          where: 'public."odd.log"',
          message: 'has the name of another table, but for case or dots',
        },
      ],
      fix: expect.stringContaining(
        `exclude: ['odd.cased', 'odd.empty', 'odd.log', 'odd.ours', 'public."odd.log"']`,
      ) as string,
    },
  })
})

test('P2: the partitions of a table belong to what the source is, so that one swapped for another is noticed', async () => {
  await database.query(`
    create table parted (id int, part int) partition by list (part);
    create table parted_1 partition of parted for values in (1) partition by list (id);
    create table parted_1_1 partition of parted_1 for values in (1);
  `)
  const identity = async (): Promise<unknown> =>
    withSnapshot(source(['parted']), async (snapshot) => snapshot.identity['tables'])
  const before = await identity()
  expect(await identity()).toEqual(before)
  await database.query('create table parted_1_2 partition of parted_1 for values in (2)')
  expect(await identity()).not.toEqual(before)
})

test('a row of more than 64 MB is refused while it arrives, by the name of its table; others can still be read', async () => {
  await database.query(`
    create table large (id int primary key, body text);
    insert into large values (1, 'small'), (2, repeat('0123456789', 6500000)), (3, 'small')`)
  await expect(
    withSnapshot(source(['large']), async (snapshot) => rowsOf(snapshot, 'large')),
  ).rejects.toMatchObject({
    name: 'RowTooLarge',
    message: 'Table "large" has a row of more than 64 MB of text.',
    facts: { where: 'large' },
  })
  await database.query(`update large set body = repeat('0123456789', 6000000) where id = 2`)
  await withSnapshot(source(['large']), async (snapshot) => {
    const rows = await rowsOf(snapshot, 'large')
    expect(rows.map((row) => row.length)).toEqual([8, 60_000_003, 8])
  })
})
