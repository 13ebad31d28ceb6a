import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Problem } from '../../src/errors.ts'
import { ToteError } from '../../src/errors.ts'
import type { StarTable } from '../../src/star/star-table.ts'
import type { Warehouse } from '../../src/warehouse/warehouse.ts'
import { openPostgresWarehouse } from '../../src/warehouse/warehouse-postgres.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'
import {
  columns,
  openHandMadeLake,
  starTable,
  testContext,
  type HandMadeLake,
  type TableChanges,
} from '../support/star.ts'

let database: TestDatabase
const opened: Warehouse[] = []
const lakes: HandMadeLake[] = []
const roles: string[] = []

async function open(
  url = database.url,
  readers: readonly string[] = [],
  schema = 'public',
): Promise<Warehouse> {
  const made = await openPostgresWarehouse({ url, schema, ledger: 'tote', readers })
  opened.push(made)
  return made
}

async function lakeOf(...star: readonly StarTable[]): Promise<HandMadeLake> {
  const lake = await openHandMadeLake(star)
  lakes.push(lake)
  return lake
}

async function role(suffix: string): Promise<string> {
  const name = `${database.name}_${suffix}`
  await database.query(`create role "${name}" login password '${name}'`)
  roles.push(name)
  return name
}

async function refusal(action: Promise<unknown>): Promise<ToteError> {
  const thrown = await action.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (thrown instanceof ToteError) return thrown
  throw thrown instanceof Error ? thrown : new Error('it was not refused')
}

function lines(problems: readonly Problem[] | undefined): readonly string[] {
  return (problems ?? []).map(({ where, message }) => `${where}: ${message}`)
}

beforeEach(async () => {
  database = await (await testServer()).createDatabase('shape')
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map(async (made) => made.close()))
  await Promise.all(lakes.splice(0).map(async (lake) => lake.close()))
  for (const name of roles.splice(0))
    await database.query(`drop owned by "${name}"; drop role "${name}"`)
  await database.drop()
})

const staff = starTable({
  name: 'dim_staff',
  kind: 'dimension',
  columns: columns(['staff_id', 'integer', 'INTEGER'], ['first_name', 'text', 'VARCHAR']),
  key: ['staff_id'],
})
const order = starTable({
  name: 'fact_order',
  kind: 'fact',
  columns: columns(
    ['order_id', 'integer', 'INTEGER'],
    ['staff_id', 'integer', 'INTEGER'],
    ['price', 'numeric(10,2)', 'DECIMAL(10,2)'],
  ),
  key: ['order_id'],
  recordId: 'order_record_id',
  references: [{ column: 'staff_id', model: 'dim_staff' }],
})
const star = [staff, order]
const first = {
  dim_staff: { upserts: [['1', `'Ann'`]] },
  fact_order: { upserts: [['10', '1', '1.50']] },
}

describe('tables that are there already', () => {
  test('empty tables of the specification get the columns, index, keys and view that they lack, and are loaded', async () => {
    await database.query(`
      create table dim_staff (first_name text not null, staff_id integer primary key);
      create table fact_order (price numeric(10,2) not null, order_record_id serial primary key, order_id int not null, staff_id int);
      comment on table dim_staff is 'ours'`)
    const warehouse = await open()
    const lake = await lakeOf(...star)
    await warehouse.check(star)
    expect(await columnNames('fact_order')).not.toContain('valid_from')
    await warehouse.apply(await lake.batch(first), testContext())
    await warehouse.apply(
      await lake.batch({
        fact_order: { upserts: [['10', '1', '2.50']] },
        dim_staff: { upserts: [['1', `'Anna'`]] },
      }),
      testContext(),
    )
    expect(await columnNames('fact_order')).toEqual([
      'price',
      'order_record_id',
      'order_id',
      'staff_id',
      'valid_from',
      'valid_to',
      'is_deleted',
      'batch',
    ])
    expect(await columnNames('dim_staff')).toEqual(['first_name', 'staff_id', 'is_deleted'])
    expect(
      await database.query(
        'select order_record_id, order_id, staff_id, price from fact_order_current',
      ),
    ).toEqual([{ order_record_id: '2', order_id: '10', staff_id: '1', price: '2.50' }])
    expect(
      await database.query(
        `select pg_get_constraintdef(oid) as c from pg_constraint where contype = 'f'`,
      ),
    ).toEqual([{ c: 'FOREIGN KEY (staff_id) REFERENCES dim_staff(staff_id)' }])
    expect(
      await database.query(
        `select attnotnull as n from pg_attribute where attrelid = 'fact_order'::regclass and attname = 'staff_id'`,
      ),
    ).toEqual([{ n: 't' }])
    expect(await database.query(`select obj_description('dim_staff'::regclass) as c`)).toEqual([
      { c: 'ours' },
    ])
    await warehouse.check(star)
  })

  test('an empty fact of the specification refers to a dimension that is made beside it', async () => {
    await database.query(
      `create table fact_order (order_record_id serial primary key, order_id int not null, staff_id int not null, price numeric(10,2) not null)`,
    )
    const lake = await lakeOf(...star)
    await (await open()).apply(await lake.batch(first), testContext())
    const keys = await database.query(
      `select conrelid::regclass as t from pg_constraint where contype = 'f'`,
    )
    expect(keys).toEqual([{ t: 'fact_order' }])
  })

  test('P7: record ids are the same in a table that was there and in one that was made, whatever its collation', async () => {
    const person = starTable({
      name: 'fact_person',
      kind: 'fact',
      columns: columns(['name', 'text', 'VARCHAR']),
      key: ['name'],
      recordId: 'person_record_id',
    })
    const lake = await lakeOf(person)
    const batch = await lake.batch({
      fact_person: { upserts: [[`'b'`], [`'B'`], [`'a'`], [`'é'`], [`'Z'`]] },
    })
    const made = await open(database.url, [], 'made')
    await made.apply(batch, testContext())
    await made.close()
    await database.query(
      'drop table tote.ledger; create table fact_person (person_record_id serial primary key, name text not null)',
    )
    await (await open()).apply(batch, testContext())
    const expected = [
      ['1', 'B'],
      ['2', 'Z'],
      ['3', 'a'],
      ['4', 'b'],
      ['5', 'é'],
    ]
    for (const schema of ['made', 'public']) {
      const rows = await database.query(
        `select person_record_id, name from ${schema}.fact_person order by 1`,
      )
      expect(rows.map((row) => [row['person_record_id'], row['name']])).toEqual(expected)
    }
  })

  test('every difference is listed at once, and nothing is written', async () => {
    await database.query(`
      create table dim_staff (staff_id bigint primary key, firstname text, extra text, is_deleted boolean not null default false);
      create unique index dim_staff_name on dim_staff (firstname);
      create table fact_order (order_record_id serial, order_id int primary key, staff_id int not null, price numeric(12,2) not null,
        valid_from timestamp not null, valid_to timestamptz not null, is_deleted boolean not null, batch bigint not null);
      create table fact_order_current (x int);
      insert into dim_staff values (1)`)
    const error = await refusal((await open()).check(star))
    expect(error.name).toBe('WarehouseShapeMismatch')
    expect(lines(error.facts.problems)).toMatchInlineSnapshot(`
      [
        "public.dim_staff.staff_id: is bigint, and should be integer",
        "public.dim_staff.first_name: the column is missing; did you mean "firstname"?",
        "public.dim_staff.firstname: is not a column of the model",
        "public.dim_staff.extra: is not a column of the model",
        "public.dim_staff: has the unique index "dim_staff_name" besides its key, which history or a swap of values would break",
        "public.fact_order: "fact_order_current" is a table, and should be the view of the current rows",
        "public.fact_order.price: is numeric(12,2), and should be numeric(10,2)",
        "public.fact_order.valid_from: is timestamp without time zone, and should be timestamp with time zone",
        "public.fact_order.valid_to: is NOT NULL, and should allow null",
        "public.fact_order.is_deleted: should have the default false",
        "public.fact_order: the primary key is (order_id), and should be (order_record_id)",
      ]
    `)
    expect(await database.query(`select 1 from pg_namespace where nspname = 'tote'`)).toEqual([])
    const lake = await lakeOf(...star)
    expect((await refusal((await open()).apply(await lake.batch(first), testContext()))).name).toBe(
      'WarehouseShapeMismatch',
    )
  })

  test('a table with rows does not get our columns added', async () => {
    await database.query(
      `create table dim_staff (staff_id integer primary key, first_name text not null); insert into dim_staff values (7, 'x')`,
    )
    const error = await refusal((await open()).check([staff]))
    expect(lines(error.facts.problems)).toEqual([
      "public.dim_staff.is_deleted: the column is missing, and the table holds rows; only an empty table gets Tote's columns added",
    ])
  })

  test('a view, a reserved name, a long name, an unknown type and an inexact one are differences too', async () => {
    await database.query('create view dim_staff as select 1 as staff_id')
    const odd = starTable({
      name: 'dim_odd',
      kind: 'dimension',
      columns: columns(
        ['id', 'integer', 'INTEGER'],
        ['is_deleted', 'boolean', 'BOOLEAN'],
        ['mood', 'public.mood', 'VARCHAR'],
        ['rate', 'numeric(10,2)', 'DECIMAL(18,4)'],
        ['list', 'integer[]', 'INTEGER[]'],
        ['x'.repeat(64), 'text', 'VARCHAR'],
      ),
      key: ['id'],
    })
    const error = await refusal((await open()).check([staff, odd]))
    expect(lines(error.facts.problems)).toMatchInlineSnapshot(`
      [
        "public.dim_staff: is a view, and should be a table",
        "public.dim_odd.is_deleted: this name is one of the columns that Tote adds; call it something else in the model",
        "public.dim_odd.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: the name is longer than PostgreSQL's 63 bytes",
        "public.dim_odd.mood: the warehouse has no type public.mood; create it there, or give the column another type in the model's header",
        "public.dim_odd.rate: the lake carries it as DECIMAL(18,4), and numeric(10,2) would change its values; cast it in the model",
        "public.dim_odd.list: the lake carries it as INTEGER[], which cannot be sent to PostgreSQL; cast it in the model",
      ]
    `)
  })

  test('only a dimension with a key of one column can be referred to', async () => {
    const pair = starTable({
      name: 'dim_pair',
      kind: 'dimension',
      columns: columns(['a', 'integer', 'INTEGER'], ['b', 'integer', 'INTEGER']),
      key: ['a', 'b'],
    })
    const error = await refusal(
      (await open()).check([
        pair,
        staff,
        order,
        {
          ...order,
          name: 'fact_x',
          references: [
            { column: 'order_id', model: 'fact_order' },
            { column: 'staff_id', model: 'dim_pair' },
          ],
        },
      ]),
    )
    expect(lines(error.facts.problems)).toEqual([
      'public.fact_x.order_id: refers to "fact_order", which has a row for each version; a reference needs a dimension with a key of one column',
      'public.fact_x.staff_id: refers to "dim_pair", which has a key of 2 columns; a reference needs a dimension with a key of one column',
    ])
  })

  test('tables that refer to each other in a circle are refused', async () => {
    const other = {
      ...staff,
      name: 'dim_team',
      references: [{ column: 'staff_id', model: 'dim_staff' }],
    }
    const error = await refusal(
      (await open()).check([
        { ...staff, references: [{ column: 'staff_id', model: 'dim_team' }] },
        other,
      ]),
    )
    expect([error.name, error.message]).toEqual([
      'ModelCycle',
      'Tables refer to each other in a circle: dim_staff → dim_team → dim_staff.',
    ])
  })
})

describe('a ledger that tells another story', () => {
  test('P4: rows without a ledger are never taken for ours', async () => {
    const lake = await lakeOf(...star)
    const warehouse = await open()
    const batch = await lake.batch(first)
    await warehouse.apply(batch, testContext())
    await database.query('drop table tote.ledger')
    const error = await refusal(warehouse.apply(batch, testContext()))
    expect([error.name, error.facts.where]).toEqual(['LedgerMismatch', 'dim_staff'])
    expect(await database.query(`select to_regclass('tote.ledger') as l`)).toEqual([{ l: null }])
  })

  test('P4: another chain, a gap, and a batch of another manifest are refused', async () => {
    const lake = await lakeOf(...star)
    const warehouse = await open()
    await warehouse.apply(await lake.batch(first), testContext())
    const apply = async (options: Parameters<HandMadeLake['batch']>[1]): Promise<string> => {
      const error = await refusal(warehouse.apply(await lake.batch({}, options), testContext()))
      return `${error.name}: ${error.message}`
    }
    expect([
      await apply({ batch: 2, chain: 'chain-b' }),
      await apply({ batch: 3 }),
      await apply({ batch: 1, manifestSha256: 'other' }),
    ]).toMatchInlineSnapshot(`
      [
        "LedgerMismatch: The warehouse's ledger says that pipeline "star" was loaded from another lake (chain chain-a; this lake is chain chain-b).",
        "LedgerMismatch: Batch 3 of pipeline "star" cannot be loaded: the warehouse stands at batch 1.",
        "LedgerMismatch: Batch 1 of pipeline "star" was loaded from another manifest than this lake's: the lake was restored or replaced.",
      ]
    `)
  })

  test('a first batch must be the first', async () => {
    const lake = await lakeOf(...star)
    expect(
      (await refusal((await open()).apply(await lake.batch(first, { batch: 5 }), testContext())))
        .name,
    ).toBe('LedgerMismatch')
  })

  test('a table that was dropped is missed', async () => {
    const lake = await lakeOf(...star)
    const warehouse = await open()
    await warehouse.apply(await lake.batch(first), testContext())
    await database.query('drop table dim_staff cascade')
    const error = await refusal(
      warehouse.apply(
        await lake.batch({ fact_order: { upserts: [['11', '1', '1']] } }),
        testContext(),
      ),
    )
    expect([error.name, error.facts.where]).toEqual(['LedgerMismatch', 'dim_staff'])
  })
})

describe('refusals', () => {
  test('P12: a count that differs undoes the batch and names the table and both counts', async () => {
    const lake = await lakeOf(...star)
    const error = await refusal(
      (await open()).apply(
        await lake.batch({ ...first, dim_staff: { upserts: [['1', `'Ann'`]], rowsInLake: 2 } }),
        testContext(),
      ),
    )
    expect([error.name, error.facts.details]).toEqual([
      'CountMismatch',
      { table: 'dim_staff', rowsInWarehouse: 1, rowsInLake: 2 },
    ])
    expect(
      await database.query(`select to_regclass('dim_staff') as t, to_regclass('tote.ledger') as l`),
    ).toEqual([{ t: null, l: null }])
  })

  test('P10: a broken reference names table and constraint, and no value', async () => {
    const lake = await lakeOf(...star)
    const warehouse = await open()
    await warehouse.apply(await lake.batch(first), testContext())
    const error = await refusal(
      warehouse.apply(
        await lake.batch({ fact_order: { upserts: [['11', '4711', '1']] } }),
        testContext(),
      ),
    )
    expect([error.name, error.facts.sqlstate]).toEqual(['WarehouseRefused', '23503'])
    expect(error.message).toContain('table "fact_order", constraint "fact_order_staff_id_fkey"')
    expect(JSON.stringify(error)).not.toContain('4711')
    expect(await database.query('select count(*) as n from fact_order')).toEqual([{ n: '1' }])
  })

  test('P8: a text with a NUL character is refused, naming the column', async () => {
    const lake = await lakeOf(staff)
    const error = await refusal(
      (await open()).apply(
        await lake.batch({ dim_staff: { upserts: [['1', `'a' || chr(0)`]] } }),
        testContext(),
      ),
    )
    expect([error.name, error.facts.where]).toEqual(['ValueNotCarried', 'dim_staff.first_name'])
  })

  test('a role that may not create says which grants are missing', async () => {
    const loader = await role('loader')
    await database.query(
      'revoke all on schema public from public; revoke temporary on database ' +
        database.name +
        ' from public',
    )
    const warehouse = await open(database.roleUrl(loader))
    const probed = await refusal(warehouse.probe())
    const checked = await refusal(warehouse.check(star))
    for (const error of [probed, checked]) {
      expect([error.name, error.message]).toEqual([
        'WarehouseRefused',
        `Role "${loader}" lacks 3 rights in the warehouse, schema "public".`,
      ])
      expect(error.facts.fix).toBe(
        `as an administrator of the warehouse: grant usage, create on schema "public" to "${loader}"; grant temporary on database "${database.name}" to "${loader}"; create schema "tote" authorization "${loader}"`,
      )
    }
    const lake = await lakeOf(...star)
    const batch = await lake.batch(first)
    expect((await refusal(warehouse.apply(batch, testContext()))).name).toBe('WarehouseRefused')
    await database.query(
      String(probed.facts.fix).replace('as an administrator of the warehouse: ', ''),
    )
    await warehouse.probe()
    await warehouse.check(star)
    expect((await warehouse.apply(batch, testContext())).status).toBe('applied')
  })

  test('settings of the role change nothing', async () => {
    const loader = await role('hostile')
    await database.query(`
      create schema evil; create function evil.now() returns timestamptz language sql as 'select null::timestamptz';
      grant create on database ${database.name} to "${loader}"; grant create, usage on schema public to "${loader}"; grant usage on schema evil to "${loader}";
      alter role "${loader}" set search_path = evil, public; alter role "${loader}" set datestyle = 'SQL, DMY';
      alter role "${loader}" set timezone = 'Asia/Kolkata'; alter role "${loader}" set statement_timeout = '1ms';
      alter role "${loader}" set default_transaction_read_only = on; alter role "${loader}" set default_transaction_isolation = 'serializable';
      alter role "${loader}" set synchronous_commit = off; alter role "${loader}" set quote_all_identifiers = on`)
    const lake = await lakeOf(...star)
    const warehouse = await open(database.roleUrl(loader))
    await warehouse.apply(await lake.batch(first), testContext())
    await warehouse.apply(
      await lake.batch({ fact_order: { upserts: [['10', '1', '9']] } }),
      testContext(),
    )
    expect((await warehouse.last('star'))?.batch).toBe(2)
  })

  test('readers may read tables, views and ledger, and nothing else; an unknown one is named', async () => {
    const reader = await role('reader')
    await database.query('create schema mart')
    const lake = await lakeOf(...star)
    const warehouse = await open(database.url, [reader], 'mart')
    await warehouse.check(star)
    await warehouse.apply(await lake.batch(first), testContext())
    const rights = await database.query(
      `select c.relname as n, has_table_privilege($1, c.oid, 'select') as s, has_table_privilege($1, c.oid, 'insert') as i
      from pg_class c where relkind in ('r', 'v') and relnamespace in ('mart'::regnamespace, 'tote'::regnamespace) order by 1`,
      [reader],
    )
    expect(rights).toEqual(
      ['dim_staff', 'fact_order', 'fact_order_current', 'ledger'].map((n) => ({
        n,
        s: 't',
        i: 'f',
      })),
    )
    const error = await refusal(
      (await open(database.url, [reader, 'nobody here'], 'mart')).check(star),
    )
    expect([error.name, lines(error.facts.problems)]).toEqual([
      'ConfigInvalid',
      ['warehouse.readers: the warehouse has no role "nobody here"'],
    ])
  })
})

describe('P8: types and names of any kind', () => {
  test('types that travel as text are kept as what they are, in first and later loads', async () => {
    await database.query(
      `create type public.mood as enum ('sad', 'ok'); create domain public.short as varchar(5)`,
    )
    const values: readonly (readonly [type: string, one: string, two: string])[] = [
      ['interval', '1 year 2 mons -3 days +04:05:06.000007', '-00:00:00.000001'],
      ['inet', '10.0.0.1', '10.0.0.0/8'],
      ['jsonb', '{"a": [1, null, "x"]}', '[]'],
      ['json', '{ "b":1, "b":2 }', 'null'],
      ['public.mood', 'ok', 'sad'],
      ['public.short', 'abcde', ''],
      ['integer[]', '{1,NULL,3}', '[0:1]={7,8}'],
      ['text[]', '{"a,b",NULL,"NULL",""}', '{{x,y},{z,w}}'],
      ['numeric', '123456789012345678901234567890123456789012345.123456789', 'NaN'],
      ['bit(3)', '101', '000'],
      ['bit varying(5)', '10101', ''],
      ['character(5)', 'ab   ', 'abcde'],
      ['character varying(3)', 'abc', ''],
      ['time with time zone', '12:00:00+05:30', '24:00:00-12'],
      ['money', '$1,234.56', '-$0.01'],
      ['xml', '<a>1</a>', '<b/>'],
      ['int4range', '[1,5)', 'empty'],
      ['macaddr', '08:00:2b:01:02:03', '00:00:00:00:00:00'],
      ['character varying(3)[]', '{abc,a}', '{}'],
    ]
    const names = values.map((_, index) => `c${index}`)
    const table = starTable({
      name: 'dim_types',
      kind: 'dimension',
      columns: columns(
        ['id', 'integer', 'INTEGER'],
        ...values.map(([type], index) => [`c${index}?`, type, 'VARCHAR'] as const),
      ),
      key: ['id'],
    })
    const fact = { ...table, name: 'fact_types', kind: 'fact' as const }
    const row = (id: number, which: 1 | 2): readonly string[] => [
      String(id),
      ...values.map((value) => `'${value[which]}'`),
    ]
    const lake = await lakeOf(table, fact)
    const warehouse = await open()
    await warehouse.check([table, fact])
    const changes = (upserts: readonly (readonly string[])[]): Record<string, TableChanges> => ({
      dim_types: { upserts },
      fact_types: { upserts },
    })
    await warehouse.apply(await lake.batch(changes([row(1, 1), row(2, 2)])), testContext())
    await warehouse.apply(
      await lake.batch(changes([row(1, 2), ['3', ...names.map(() => 'null')]])),
      testContext(),
    )
    for (const relation of ['dim_types', 'fact_types_current']) {
      const rows = await database.query(
        `set lc_monetary = 'C'; select ${names.join(', ')} from ${relation} order by id`,
      )
      expect(rows.map((read) => names.map((name) => read[name]))).toEqual([
        values.map((value) => value[2]),
        values.map((value) => value[2]),
        names.map(() => null),
      ])
    }
    const old = await database.query(
      `select ${names.join(', ')} from fact_types where valid_to is not null`,
    )
    expect(old.map((read) => names.map((name) => read[name]))).toEqual([
      values.map((value) => value[1]),
    ])
    const types = await database.query(
      `select format_type(atttypid, atttypmod) as t from pg_attribute where attrelid = 'dim_types'::regclass and attname ~ '^c[0-9]' order by attnum`,
    )
    expect(types.map(({ t }) => t)).toEqual(values.map(([type]) => type.replace('public.', '')))
    await warehouse.check([table, fact])
  })

  test('a value too long for its column is refused, never cut', async () => {
    const table = starTable({
      name: 'dim_cut',
      kind: 'dimension',
      columns: columns(
        ['id', 'integer', 'INTEGER'],
        ['bits', 'bit(2)', 'VARCHAR'],
        ['names', 'character varying(2)[]', 'VARCHAR'],
      ),
      key: ['id'],
    })
    for (const [bits, names] of [
      [`'101'`, `'{}'`],
      [`'10'`, `'{abc}'`],
    ] as const) {
      const lake = await lakeOf(table)
      const error = await refusal(
        (await open()).apply(
          await lake.batch({ dim_cut: { upserts: [['1', bits, names]] } }),
          testContext(),
        ),
      )
      expect(error.name).toBe('WarehouseRefused')
    }
  })

  test('types under other names than their own are understood', async () => {
    const table = starTable({
      name: 'dim_alias',
      kind: 'dimension',
      columns: columns(
        ['id', 'int', 'BIGINT'],
        ['price', 'decimal(6,2)', 'DECIMAL(6,2)'],
        ['at', 'timestamptz(3)', 'TIMESTAMPTZ'],
        ['code', 'varchar(3)', 'VARCHAR'],
      ),
      key: ['id'],
    })
    const lake = await lakeOf(table)
    const warehouse = await open()
    await warehouse.check([table])
    await warehouse.apply(
      await lake.batch({
        dim_alias: { upserts: [['1', '1.50', `'2026-01-01 00:00:00.123Z'`, `'abc'`]] },
      }),
      testContext(),
    )
    await warehouse.check([table])
    await warehouse.apply(
      await lake.batch({ dim_alias: { upserts: [['1', '-9999.99', `'infinity'`, `''`]] } }),
      testContext(),
    )
    expect(await database.query('select * from dim_alias')).toEqual([
      { id: '1', price: '-9999.99', at: 'infinity', code: '', is_deleted: 'f' },
    ])
  })

  test('quoted, mixed-case, reserved and odd names', async () => {
    const dimension = starTable({
      name: 'Order "x"',
      kind: 'dimension',
      columns: columns(
        ['Select', 'integer', 'INTEGER'],
        ['part 2', 'text', 'VARCHAR'],
        [`it's "quoted"`, 'text', 'VARCHAR'],
        ['données', 'bigint', 'BIGINT'],
      ),
      key: ['Select', 'part 2'],
      comment: `a 'comment' with \\ and "`,
    })
    const fact = starTable({
      name: 'User',
      kind: 'fact',
      columns: columns(
        ['from', 'integer', 'INTEGER'],
        ['To', 'integer', 'INTEGER'],
        ['table', 'integer', 'INTEGER'],
      ),
      key: ['from', 'To'],
      recordId: 'Primary',
    })
    const lake = await lakeOf(dimension, fact)
    const warehouse = await open(database.url, [], 'My "Mart"')
    await warehouse.check([dimension, fact])
    await warehouse.apply(
      await lake.batch({
        'Order "x"': { upserts: [['1', `'a'`, `'b'`, '9223372036854775807']] },
        User: { upserts: [['1', '1', '1']] },
      }),
      testContext(),
    )
    await warehouse.check([dimension, fact])
    await warehouse.apply(
      await lake.batch({
        'Order "x"': { upserts: [['1', `'a'`, `'c'`, '-1']] },
        User: {
          upserts: [
            ['1', '1', '2'],
            ['1', '2', '3'],
          ],
        },
      }),
      testContext(),
    )
    expect(await database.query('select * from "My ""Mart"""."Order ""x"""')).toEqual([
      { Select: '1', 'part 2': 'a', [`it's "quoted"`]: 'c', données: '-1', is_deleted: 'f' },
    ])
    expect(
      await database.query(
        'select "Primary", "from", "To", "table" from "My ""Mart"""."User_current" order by 1',
      ),
    ).toEqual([
      { Primary: '2', from: '1', To: '1', table: '2' },
      { Primary: '3', from: '1', To: '2', table: '3' },
    ])
  })
})

async function columnNames(table: string): Promise<readonly (string | null | undefined)[]> {
  const rows = await database.query(
    `select attname as n from pg_attribute where attrelid = $1::regclass and attnum > 0 order by attnum`,
    [table],
  )
  return rows.map(({ n }) => n)
}
