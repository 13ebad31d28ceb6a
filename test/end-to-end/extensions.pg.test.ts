/** P8 for types of extensions that a server may have: PostGIS, pgvector. Exact as their own text, and in their own type where the warehouse has it. */
import { describe, expect, test } from 'vitest'
import { createProject } from '../support/project.ts'
import { testServer } from '../support/postgres.ts'

const EXTENSIONS = [
  {
    extension: 'postgis',
    columns: {
      at: [
        'geography(Point,4326)',
        'ST_MakePoint(12.5, 55.7)::geography',
        "'SRID=4326;POINT(-180 90)'",
      ],
      shape: ['geometry(Polygon,3857)', 'ST_SetSRID(ST_MakeEnvelope(0, 0, 1, 0.1), 3857)', 'null'],
      any_shape: ['geometry', "'LINESTRING Z (0 0 1, 1 1 2)'", "'POINT EMPTY'"],
      box: ['box2d', "'BOX(0 0,1 1)'", 'null'],
    },
  },
  {
    extension: 'vector',
    columns: {
      place: ['vector(3)', "'[1,2.5,-0.1]'", "'[1e-30,0,3]'"],
      any_place: ['vector', "'[1]'", 'null'],
    },
  },
] as const

const MODEL = '-- kind: dimension\n-- key: id\n-- nullable: all\nselect * from shop.thing\n'

describe.each(EXTENSIONS)('$extension', ({ extension, columns }) => {
  test.for(['has it, too', 'has it not'])('P8: where the warehouse %s', async (has, ctx) => {
    const server = await testServer()
    const look = await server.createDatabase('look')
    const [known] = await look.query('select 1 from pg_available_extensions where name = $1', [
      extension,
    ])
    await look.drop()
    ctx.skip(known === undefined, `the server has no ${extension}`)
    const names = Object.keys(columns)
    const cells = Object.values(columns)
    const project = await createProject({
      setup: `create extension ${extension};
        create table thing (id integer primary key, ${cells.map(([type], index) => `${names[index]} ${type}`).join(', ')});
        insert into thing values (1, ${cells.map(([, one]) => one).join(', ')}), (2, ${cells.map(([, , two]) => two).join(', ')});
        insert into thing (id) values (3)`,
      models: { dim_thing: MODEL },
    })
    try {
      const isThere = has === 'has it, too'
      if (isThere) await project.warehouse.query(`create extension ${extension}`)
      const same = async (): Promise<void> => {
        await project.good()
        const rows = `select ${['id', ...names].map((name) => `${name}::text as ${name}`).join(', ')} from`
        expect(await project.warehouse.query(`${rows} dim_thing order by id`)).toEqual(
          await project.source.query(`${rows} thing order by id`),
        )
      }
      await same()
      const types = await project.warehouse.query(
        `select format_type(atttypid, atttypmod) as type from pg_attribute
         where attrelid = 'dim_thing'::regclass and attname = any ($1) order by attnum`,
        [names],
      )
      expect(types.map(({ type }) => type)).toEqual(
        cells.map(([type]) => (isThere ? type : 'text')),
      )
      const list = names.join(', ')
      await project.source.query(
        `update thing set (${list}) = (select ${list} from thing where id = 1) where id = 2;
         update thing set ${names[0]} = null where id = 1; insert into thing select 4, ${list} from thing where id = 3`,
      )
      await same()
    } finally {
      await project.close()
    }
  })
})

test('P7: a key of citext that changes its case is one row, in the live star and in a rebuilt one', async (ctx) => {
  const look = await (await testServer()).createDatabase('look')
  const [known] = await look.query("select 1 from pg_available_extensions where name = 'citext'")
  await look.drop()
  ctx.skip(known === undefined, 'the server has no citext')
  const project = await createProject({
    setup: `create extension citext;
      create table customer (id citext primary key, name text);
      insert into customer values ('Bob', 'b'), ('Al', 'a'), ('Cy', 'c');
      create table sale (id citext primary key, customer citext not null);
      insert into sale values ('S1', 'bob'), ('S2', 'AL')`,
    models: {
      dim_customer: '-- kind: dimension\n-- key: id\nselect id, name from shop.customer\n',
      fact_sale:
        '-- kind: fact\n-- key: id\n-- record id: sale_record_id\nselect id, customer from shop.sale\n',
    },
  })
  try {
    await project.warehouse.query('create extension citext')
    await project.good()
    for (const sql of [
      `update customer set id = 'BOB' where id = 'bob'; update sale set id = 's1' where id = 'S1'`,
      `delete from customer where id = 'cy'; update customer set id = 'bOB' where id = 'bob'`,
      `insert into customer values ('CY', 'c again')`,
    ]) {
      await project.source.query(sql)
      await project.good()
      expect(await project.tote('verify')).toMatchObject({ exit: 0 })
    }
    const customers = `select id::text, name, is_deleted from dim_customer order by id::text collate "C"`
    const live = [
      { id: 'Al', name: 'a', is_deleted: 'f' },
      { id: 'CY', name: 'c again', is_deleted: 'f' },
      { id: 'bOB', name: 'b', is_deleted: 'f' },
    ]
    expect(await project.warehouse.query(customers)).toEqual(live)
    expect(await project.tote('rebuild')).toMatchObject({ exit: 0 })
    expect(await project.warehouse.query(customers)).toEqual(live)
    expect(await project.tote('verify')).toMatchObject({ exit: 0 })
  } finally {
    await project.close()
  }
}, 60_000)

test('P6, P7: keys of types that only an extension can compare are loaded, compared, repaired and rebuilt', async (ctx) => {
  const look = await (await testServer()).createDatabase('look')
  const known = await look.query(
    "select 1 from pg_available_extensions where name in ('ltree', 'isn', 'cube')",
  )
  await look.drop()
  ctx.skip(known.length < 3, 'the server has no ltree, isn and cube')
  const extensions = 'create extension ltree; create extension isn; create extension cube'
  const project = await createProject({
    setup: `${extensions};
      create domain code as text; create type level as enum ('low', 'high');
      create table tree (k ltree primary key, v text);
      insert into tree values ('a', '1'), ('a.b', '2'), ('c', '3');
      create table book (k isbn13, box cube, c code, l level, v text, primary key (k, box, c, l));
      insert into book values ('9780393040029', '(1,2)', 'x', 'low', '1'), ('9780262510875', '(1,2)', 'x', 'high', '2'), ('9780262510875', '(0.1,2)', 'y', 'low', '3')`,
    models: {
      dim_tree: '-- kind: dimension\n-- key: k\nselect k, v from shop.tree\n',
      table_tree: '-- kind: table\n-- key: k\nselect k, v from shop.tree\n',
      fact_book:
        '-- kind: fact\n-- key: k, box, c, l\n-- record id: book_record_id\nselect k, box, c, l, v from shop.book\n',
    },
  })
  try {
    await project.warehouse.query(`${extensions}; create type level as enum ('low', 'high')`)
    await project.good()
    await project.source.query(
      `update tree set v = 'changed' where k = 'a.b'; delete from tree where k = 'c'; insert into tree values ('d', '4');
       update book set v = 'changed' where c = 'x' and l = 'low'; delete from book where l = 'high'`,
    )
    await project.good()
    expect(await project.tote('verify')).toMatchObject({ exit: 0 })
    const trees = 'select k::text, v, is_deleted from dim_tree order by k::text'
    const books = `select book_record_id, k::text, box::text, v, valid_to is null as current, is_deleted from fact_book order by 1`
    const live = [await project.warehouse.query(trees), await project.warehouse.query(books)]
    expect(live[0]).toEqual([
      { k: 'a', v: '1', is_deleted: 'f' },
      { k: 'a.b', v: 'changed', is_deleted: 'f' },
      { k: 'c', v: '3', is_deleted: 't' },
      { k: 'd', v: '4', is_deleted: 'f' },
    ])
    expect(live[1]).toHaveLength(4)
    expect(await project.tote('rebuild')).toMatchObject({ exit: 0 })
    expect([await project.warehouse.query(trees), await project.warehouse.query(books)]).toEqual(
      live,
    )
    await project.warehouse.query(
      `update dim_tree set v = 'altered' where k = 'a'; delete from fact_book where book_record_id = 1; delete from table_tree where k = 'd'`,
    )
    expect(await project.tote('verify')).toMatchObject({ exit: 5 })
    expect(await project.tote('verify', '--repair')).toMatchObject({ exit: 0 })
    expect([await project.warehouse.query(trees), await project.warehouse.query(books)]).toEqual(
      live,
    )
    // An edited model is restated.
    await project.write(
      'models/dim_tree.sql',
      "-- kind: dimension\n-- key: k\nselect k, v || '!' as v from shop.tree\n",
    )
    await project.good()
    expect(await project.warehouse.query(trees)).toMatchObject([
      { v: '1!' },
      { v: 'changed!' },
      { v: '3!' },
      { v: '4!' },
    ])
  } finally {
    await project.close()
  }
}, 60_000)
