/**
 * Changes of a source's schema beyond columns that come and go (docs/schema-changes.md): renamed and re-typed
 * columns, labels of enums, keys, and tables that go, are swapped or partitioned. After each, lake and
 * warehouse say what the source says, and a rebuild from the lake equals the live warehouse (P7).
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createProject, type TestProject } from '../support/project.ts'
import { columnsInLake, rowsIn, rowsInLake } from '../support/project-tables.ts'
import { rebuilt, wholeStar } from '../support/rebuild.ts'
import { expectRefusal } from '../support/refusal.ts'

const SETUP = `
create type mood as enum ('Qx7 sad', 'Qx7 ok');
create type size as (wide integer, high integer);
create table item (id integer primary key, code varchar(5) not null, amount numeric(8,2), n integer, mood mood, moods mood[], size size);
insert into item values (1, 'Qx7 1', 1.50, 1, 'Qx7 ok', '{"Qx7 ok"}', '(1,2)'), (2, 'Qx7 2', null, 2, null, null, null),
  (3, 'Qx7 3', 3, 3, 'Qx7 sad', '{"Qx7 sad","Qx7 ok"}', '(3,)');
create table other (id integer primary key, code varchar(5) not null);
insert into other select n, 'Qx7' || n from generate_series(1, 5) n;
create table loose (x integer not null, y text);
insert into loose values (1, 'Qx7'), (2, null)`

const MODELS = {
  all_item: `-- kind: table
-- key: id
-- nullable: all
select * from shop.item
`,
  all_other: `-- kind: table
-- key: id
-- nullable: all
select * from shop.other
`,
  dim_item: `-- kind: dimension
-- key: id
-- nullable: amount
select id, code, n, amount from shop.item
`,
  fact_item: `-- kind: fact
-- key: id
-- record id: item_record_id
-- nullable: all
select * from shop.item
`,
}

let project: TestProject
const role = `viewer_${randomBytes(4).toString('hex')}`

beforeAll(async () => {
  project = await createProject({ setup: SETUP, models: MODELS })
  await project.good()
  await project.warehouse.query(
    `create role ${role}; set role ${project.loader}; create view by_n as select n, count(*) as items from fact_item_current group by n;
     comment on view by_n is 'how many'; grant select on by_n to ${role}; grant select (code) on fact_item to ${role}; reset role`,
  )
})
afterAll(async () => {
  await project.warehouse.query(`drop owned by ${role}; drop role ${role}`)
  await project.close()
})

async function expectSame(tables: readonly string[] = ['item', 'other', 'loose']): Promise<void> {
  for (const table of tables) {
    const rows = await rowsIn(project.source, table)
    expect(await rowsInLake(project, table), `lake: ${table}`).toEqual(rows)
    const found = await project.source.query(
      `select attname as name from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped`,
      [table],
    )
    const only = found.map(({ name }) => name ?? '')
    if (table === 'loose') continue
    expect(await rowsIn(project.warehouse, `all_${table}`, { only }), `all_${table}`).toEqual(rows)
    if (table === 'item')
      expect(await rowsIn(project.warehouse, 'fact_item_current', { only })).toEqual(rows)
  }
  expect((await project.good()).outcome).toBe('nothing to do')
}

async function typesOf(table: string): Promise<Record<string, string | null>> {
  const rows = await project.warehouse.query(
    `select attname as name, format_type(atttypid, atttypmod) as type
     from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped`,
    [table],
  )
  return Object.fromEntries(rows.map(({ name, type }) => [name ?? '', type ?? null]))
}

async function versions(): Promise<string> {
  const [row] = await project.warehouse.query(`select count(*)::text as n from fact_item`)
  return row?.['n'] ?? ''
}

async function expectRebuilt(): Promise<void> {
  const views = ['by_n']
  expect(await rebuilt(project)).toEqual(await wholeStar(project.warehouse, views))
}

test('P6, P8: a widened type is followed in place; rows stay, and so does what hangs on the table', async () => {
  await project.source.query(
    `alter table item alter column code type text, alter column amount type numeric(12,4), alter column n type bigint`,
  )
  await project.good()
  await expectSame()
  expect(await versions()).toBe('3')
  expect(await typesOf('fact_item')).toMatchObject({
    code: 'text',
    amount: 'numeric(12,4)',
    n: 'bigint',
  })
  expect(await typesOf('dim_item')).toEqual(
    expect.objectContaining({ code: 'text', n: 'bigint', id: 'integer' }),
  )
  expect(
    await project.warehouse.query(
      `select obj_description('by_n'::regclass, 'pg_class') as comment, has_table_privilege('${role}', 'by_n', 'select')::text as reads,
         has_column_privilege('${role}', 'fact_item', 'code', 'select')::text as reads_code, (select sum(items) from by_n)::text as items`,
    ),
  ).toEqual([{ comment: 'how many', reads: 'true', reads_code: 'true', items: '3' }])
  await project.source.query(
    `update item set n = 5000000000, code = 'Qx7 much longer', amount = 0.0001 where id = 2`,
  )
  await project.good()
  await expectSame()
  await expectRebuilt()
})

test('what hangs on a column and cannot be made again is named, and nothing is changed', async () => {
  await project.warehouse.query(
    `alter table dim_item enable row level security; create policy few on dim_item using (n > 0)`,
  )
  await project.source.query('alter table item alter column n type numeric')
  await expectRefusal(project, {
    name: 'WarehouseDependents',
    says: ['Table "dim_item" cannot follow its model', 'policy few on table public.dim_item'],
    moves: 'lake',
  })
  await project.warehouse.query(
    'drop policy few on dim_item; alter table dim_item disable row level security',
  )
  await project.good()
  await expectSame()
  expect((await typesOf('dim_item'))['n']).toBe('numeric')
})

test('a renamed column stays the same; models that take all follow, others are told its name', async () => {
  const before = (await columnsInLake(project, 'item')).find((column) => column.includes(' n '))
  const count = await versions()
  await project.source.query('alter table item rename column n to quantity')
  await expectRefusal(project, {
    name: 'ModelInvalid',
    says: ['there is no column "n": the source calls it "quantity" now'],
    moves: 'ingestion',
  })
  expect(await columnsInLake(project, 'item')).toContain(before?.replace(' n ', ' quantity '))
  await project.write('models/dim_item.sql', MODELS.dim_item.replace(', n,', ', quantity as n,'))
  await project.good()
  await expectSame()
  expect(await versions()).toBe(count)
  expect(await project.warehouse.query('select sum(items)::text as items from by_n')).toEqual([
    { items: '3' },
  ])
  await project.source.query('update item set quantity = 8 where id = 1')
  await project.good()
  await expectSame()
  await expectRebuilt()
})

test('columns that swap their names are still themselves', async () => {
  await project.source.query(
    `alter table other add column a text default 'Qx7 a', add column b text default 'Qx7 b'`,
  )
  await project.good()
  await project.source.query(
    'alter table other rename column a to c; alter table other rename column b to a; alter table other rename column c to b',
  )
  const { tables } = await project.good()
  expect(tables.find(({ table }) => table === 'other')).toMatchObject({ updated: 0, inserted: 0 })
  await expectSame()
})

test('a type that cannot hold the old values stops the batch until it is accepted; then it is another column', async () => {
  await project.source.query(
    `alter table item alter column amount type integer using amount::integer; update other set a = 'Qx7 late'`,
  )
  await expectRefusal(project, {
    name: 'SourceChanged',
    says: [
      'item.amount was numeric(12,4) and is integer',
      'before anything was written',
      'tote run --accept-change item',
    ],
  })
  const { events, error } = await project.run({ acceptChange: ['item'] })
  expect(error).toBeUndefined()
  expect(events).toContainEqual(
    expect.objectContaining({
      type: 'note',
      text: expect.stringMatching(
        /^dim_item reads a column of another type: .*; restated over/,
      ) as string,
    }),
  )
  await expectSame()
  expect((await typesOf('dim_item'))['amount']).toBe('integer')
  // Of a model that takes all, the old column goes on under its new name, and no version changes for it.
  expect(await typesOf('fact_item')).toMatchObject({
    amount: 'integer',
    amount_dropped_3: 'numeric(12,4)',
  })
  await expectRebuilt()
})

test('P2: renamed labels and attributes change every value, inside arrays too; new labels are followed', async () => {
  await project.source.query(
    `alter type mood rename value 'Qx7 sad' to 'Qx7 blue'; alter type mood add value 'Qx7 new'`,
  )
  await project.source.query(`update item set mood = 'Qx7 new' where id = 2`)
  await project.good()
  await expectSame()
  await project.source.query('alter type size add attribute deep integer')
  await project.good()
  await expectSame()
})

test('another key, or none, changes nothing: rows are told apart as before, as long as they can be', async () => {
  await project.source.query(
    `alter table other drop constraint other_pkey, add primary key (code); alter table loose add primary key (x)`,
  )
  const { events } = await project.run()
  expect(events.filter(({ type }) => type === 'note')).toEqual([
    expect.objectContaining({
      text: 'table loose had the key (_tote_row) and has (x): the lake tells its rows apart by (_tote_row) as before, which every batch verifies',
    }),
    expect.objectContaining({
      text: 'table other had the key (id) and has (code): the lake tells its rows apart by (id) as before, which every batch verifies',
    }),
  ])
  await project.source.query(
    `update other set code = 'Qx7 z' where id = 3; insert into loose values (9, 'Qx7')`,
  )
  const again = await project.run()
  expect(again.events.filter(({ type }) => type === 'note')).toEqual([])
  await expectSame()
  await project.source.query(`insert into other (id, code) values (3, 'Qx7 y')`)
  await expectRefusal(project, { name: 'SourceKeyInvalid', says: ['2 rows share it'] })
  await project.source.query(`delete from other where code = 'Qx7 y'`)
  await project.source.query('alter table other drop column id')
  await expectRefusal(project, {
    name: 'SourceChanged',
    args: ['run', '--accept-change', 'other'],
    says: ['other had the key (code) and has (code)', 'told apart by (id)', 'tables.exclude'],
  })
  await project.source.query(
    `alter table other add column id integer; update other set id = ascii(right(code, 1)) - 48; alter table other drop constraint other_pkey, add primary key (id)`,
  )
})

test('P2: a dropped table stops the batch until it is accepted; its rows stay, and are compared when it is back', async () => {
  await project.source.query('create table kept as table other; drop table other')
  await project.configure({ source: "tables: { include: ['*'], exclude: ['kept'] }" })
  await expectRefusal(project, { name: 'SourceChanged', says: ['other is no longer there'] })
  const before = await rowsInLake(project, 'other')
  const { error, events } = await project.run({ acceptChange: ['other'] })
  expect(error).toBeUndefined()
  const notes = events.flatMap((event) => (event.type === 'note' ? [event.text] : []))
  expect(notes).toEqual([
    'table other is no longer there: its rows stay as they are, also where what they refer to goes (a warning then)',
  ])
  expect((await project.good()).outcome).toBe('nothing to do')
  expect(await project.tote('check', '--live', '--data')).toMatchObject({ exit: 0 })
  expect(await rowsInLake(project, 'other')).toEqual(before)
  await project.source.query(
    'alter table kept rename to other; alter table other add primary key (id)',
  )
  await project.configure({})
  await project.good({ acceptChange: ['other'] })
  await expectSame()
  await expectRebuilt()
})

test('P2: a table swapped by renames is compared in full, although every row keeps its xmin', async () => {
  await project.source.query(
    `create table fresh (like item including all); insert into fresh table item; update fresh set quantity = 77 where id = 2; delete from fresh where id = 1`,
  )
  await project.configure({ source: "tables: { include: ['*'], exclude: ['fresh', 'stale'] }" })
  await project.good()
  await project.source.query('alter table item rename to stale; alter table fresh rename to item')
  const { tables } = await project.good()
  expect(tables.find(({ table }) => table === 'item')).toMatchObject({ updated: 1, deleted: 1 })
  await expectSame()
})

test('P6: a column that comes to a swapped table is new, though one that the old table lost had its number', async () => {
  const only = { only: ['id', 'code', 'lost'] }
  await project.source.query(`alter table other add column lost text default 'Qx7 lost'`)
  await project.good()
  await project.source.query('alter table other drop column lost')
  await project.good()
  await project.source.query(
    `create table fresh (id integer primary key, code varchar(5) not null); insert into fresh select id, code from other;
     drop table other; alter table fresh rename to other`,
  )
  await project.good()
  const before = await rowsIn(project.warehouse, 'all_other', only)
  await project.source.query('alter table other add column come text')
  await project.good()
  expect(await rowsIn(project.warehouse, 'all_other', only)).toEqual(before)
  await expectSame()
})

test('a table that becomes a partitioned one is the same table', async () => {
  await project.source.query(
    `alter table item rename to whole; create table item (like whole) partition by list (id);
     create table item_rest partition of item default; insert into item table whole;
     alter table item add primary key (id); grant select on item to public`,
  )
  await project.configure({
    source: "tables: { include: ['*'], exclude: ['fresh', 'stale', 'whole'] }",
  })
  const { tables } = await project.good()
  expect(tables.find(({ table }) => table === 'item')).toMatchObject({
    updated: 0,
    inserted: 0,
    deleted: 0,
  })
  await expectSame()
})

test('a column that another differs from in case only is not taken for it without a word', async () => {
  await project.source.query('alter table other add column "Code" text')
  await project.good()
  expect(await columnsInLake(project, 'other')).toContainEqual(
    expect.stringMatching(/\^Code text$/),
  )
  await project.source.query(`alter table other rename column "Code" to "Kind"`)
  await project.good()
  await project.source.query('alter table other add column kind text')
  await expectRefusal(project, {
    name: 'SourceChanged',
    says: ['other.Kind is called "^Kind" now', 'tote run --accept-change other'],
  })
  await project.source.query('alter table other drop column kind')
  expect((await project.good()).outcome).toBe('nothing to do')
})
