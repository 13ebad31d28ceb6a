import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { layoutOf } from '../../src/star/layout.ts'
import { countCurrent, type SelectRows } from '../../src/star/merge.ts'
import type { Warehouse } from '../../src/warehouse/warehouse.ts'
import { openPostgresWarehouse } from '../../src/warehouse/warehouse-postgres.ts'
import { withPassword } from '../support/project.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'
import {
  columns,
  instantOf,
  interrupted,
  openHandMadeLake,
  starTable,
  testContext,
  type HandMadeLake,
} from '../support/star.ts'

const staff = starTable({
  name: 'dim_staff',
  kind: 'dimension',
  columns: columns(
    ['staff_id', 'integer', 'INTEGER'],
    ['first_name', 'text', 'VARCHAR'],
    ['location?', 'text', 'VARCHAR'],
  ),
  key: ['staff_id'],
  comment: 'People who sell.',
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
const stock = starTable({
  name: 'stock',
  kind: 'table',
  columns: columns(
    ['item', 'character varying(7)', 'VARCHAR'],
    ['quantity?', 'integer', 'INTEGER'],
  ),
  key: ['item'],
})
const star = [order, staff, stock]

let database: TestDatabase
let lake: HandMadeLake
let warehouse: Warehouse
const opened: Warehouse[] = []

async function open(
  url = database.url,
  readers: readonly string[] = [],
  schema = 'public',
): Promise<Warehouse> {
  const made = await openPostgresWarehouse({ url, schema, ledger: 'tote', readers })
  opened.push(made)
  return made
}

beforeEach(async () => {
  database = await (await testServer()).createDatabase('warehouse')
  lake = await openHandMadeLake(star)
  warehouse = await open()
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map(async (made) => made.close()))
  await lake.close()
  await database.drop()
})

const first = {
  dim_staff: {
    upserts: [
      ['1', `'Ann'`, `'Leeds'`],
      ['2', `'O''Keefe'`, 'null'],
    ],
  },
  fact_order: {
    upserts: [
      ['30', '2', '1.50'],
      ['10', '1', '99999999.99'],
      ['20', '1', '-0.01'],
    ],
  },
  stock: {
    upserts: [
      [`'A1'`, '5'],
      [`'B2'`, 'null'],
    ],
  },
}

describe('a first load', () => {
  test('P4: creates the star, numbers the facts by key, counts it and writes the ledger', async () => {
    const context = testContext()
    const result = await warehouse.apply(await lake.batch(first), context)
    expect(result.status).toBe('applied')
    expect(result.tables).toEqual([
      {
        table: 'dim_staff',
        kind: 'dimension',
        rowsLoaded: 2,
        rowsDeleted: 0,
        rowsCurrent: 2,
      },
      {
        table: 'stock',
        kind: 'table',
        rowsLoaded: 2,
        rowsDeleted: 0,
        rowsCurrent: 2,
      },
      {
        table: 'fact_order',
        kind: 'fact',
        rowsLoaded: 3,
        rowsDeleted: 0,
        rowsCurrent: 3,
      },
    ])
    expect(await facts()).toEqual([
      '1 10 1 99999999.99 b1- f',
      '2 20 1 -0.01 b1- f',
      '3 30 2 1.50 b1- f',
    ])
    expect(await database.query('select * from dim_staff order by 1')).toEqual([
      { staff_id: '1', first_name: 'Ann', location: 'Leeds', is_deleted: 'f' },
      { staff_id: '2', first_name: "O'Keefe", location: null, is_deleted: 'f' },
    ])
    expect(await warehouse.last('star')).toEqual({
      pipeline: 'star',
      chain: 'chain-a',
      generation: 1,
      batch: 1,
      manifest: 1,
      manifestSha256: 'sha256-1',
      instant: instantOf(1),
      run: 'run-1',
      schema: 'public',
    })
    expect(await warehouse.last('another')).toBeNull()
    const [ledger] = await database.query(
      `select tables -> 'fact_order' ->> 'rowsCurrent' as n, loaded_at is not null as dated from tote.ledger`,
    )
    expect(ledger).toEqual({ n: '3', dated: 't' })
    expect(context.events.filter(({ type }) => type === 'table.loaded')).toHaveLength(3)
  })

  test('P12: the milliseconds of each table are its own', async () => {
    await warehouse.apply(await lake.batch(first), testContext())
    // Dimensions come first, then tables, then facts.
    await database.query(`
      create function dawdle() returns trigger language plpgsql as $$ begin perform pg_sleep(0.3); return new; end $$;
      create trigger dawdle before insert on stock for each statement execute function dawdle()`)
    const context = testContext()
    const changes = {
      dim_staff: { upserts: [['3', `'Cy'`, 'null']] },
      stock: { upserts: [[`'C3'`, '7']] },
      fact_order: { upserts: [['10', '3', '1.00']], deletes: [['20']] },
    }
    await warehouse.apply(await lake.batch(changes), context)
    const took = Object.fromEntries(
      context.events.flatMap((event) =>
        event.type === 'table.loaded' ? [[event.table, event.ms]] : [],
      ),
    )
    expect(Object.keys(took)).toEqual(['dim_staff', 'stock', 'fact_order'])
    expect(took['stock']).toBeGreaterThan(250)
  })

  test('P6: gives each table the columns, keys, view and comments that the design states', async () => {
    await warehouse.apply(await lake.batch(first), testContext())
    const shape = await database.query(`
      select attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, atttypmod) || case when attnotnull then ' not null' else '' end
        || coalesce(' default ' || pg_get_expr(adbin, adrelid), '') as c
      from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
      where attrelid in ('fact_order'::regclass, 'dim_staff'::regclass, 'stock'::regclass) and attnum > 0
      order by attrelid::regclass::text, attnum`)
    expect(shape.map(({ c }) => c)).toMatchInlineSnapshot(`
      [
        "dim_staff.staff_id integer not null",
        "dim_staff.first_name text not null",
        "dim_staff.location text",
        "dim_staff.is_deleted boolean not null default false",
        "fact_order.order_record_id integer not null default nextval('fact_order_order_record_id_seq'::regclass)",
        "fact_order.order_id integer not null",
        "fact_order.staff_id integer not null",
        "fact_order.price numeric(10,2) not null",
        "fact_order.valid_from timestamp with time zone not null",
        "fact_order.valid_to timestamp with time zone",
        "fact_order.is_deleted boolean not null default false",
        "fact_order.batch bigint not null",
        "stock.item character varying(7) not null",
        "stock.quantity integer",
      ]
    `)
    const keys =
      await database.query(`select conrelid::regclass || ': ' || pg_get_constraintdef(oid) as c from pg_constraint
      where connamespace = 'public'::regnamespace and contype <> 'n' order by 1`)
    expect(keys.map(({ c }) => c)).toMatchInlineSnapshot(`
      [
        "dim_staff: PRIMARY KEY (staff_id)",
        "fact_order: FOREIGN KEY (staff_id) REFERENCES dim_staff(staff_id)",
        "fact_order: PRIMARY KEY (order_record_id)",
        "stock: PRIMARY KEY (item)",
      ]
    `)
    const indexes = await database.query(
      `select indexdef from pg_indexes where schemaname = 'public' and indexdef not like '%UNIQUE%'`,
    )
    expect(indexes.map(({ indexdef }) => indexdef)).toMatchInlineSnapshot(`
      [
        "CREATE INDEX fact_order_order_id_idx ON public.fact_order USING btree (order_id) WHERE (valid_to IS NULL)",
      ]
    `)
    const comments =
      await database.query(`select obj_description(oid, 'pg_class') as c from pg_class
      where relnamespace = 'public'::regnamespace and relkind in ('r', 'v') order by relname`)
    expect(comments.map(({ c }) => c)).toMatchInlineSnapshot(`
      [
        "People who sell.
      Latest values; is_deleted marks rows that are gone from the lake.",
        "Every version of every row. Current rows: fact_order_current. As of an instant t: valid_from <= t and (valid_to is null or valid_to > t).",
        "Current rows of fact_order. As of an instant t, ask fact_order where valid_from <= t and (valid_to is null or valid_to > t).",
        null,
      ]
    `)
    expect(await database.query('select * from fact_order_current where order_id = 10')).toEqual([
      {
        order_record_id: '1',
        order_id: '10',
        staff_id: '1',
        price: '99999999.99',
        valid_from: expect.stringContaining('2026-11-20'),
        batch: '1',
      },
    ])
  })

  test('takes a fact without a record id of its own, in a schema that does not exist yet', async () => {
    const visit = starTable({
      name: 'fact_visit',
      kind: 'fact',
      columns: columns(['visit', 'bigint', 'BIGINT']),
      key: ['visit'],
    })
    const small = await openHandMadeLake([visit])
    const other = await open(database.url, [], 'Sales "2026"')
    await other.check([visit])
    await other.apply(
      await small.batch({
        fact_visit: { upserts: [['-9223372036854775808'], ['9223372036854775807']] },
      }),
      testContext(),
    )
    await small.close()
    expect(
      await database.query('select record_id, visit from "Sales ""2026"""."fact_visit" order by 1'),
    ).toEqual([
      { record_id: '1', visit: '-9223372036854775808' },
      { record_id: '2', visit: '9223372036854775807' },
    ])
  })
})

describe('later batches', () => {
  test('P12: what counts the current rows of a fact does not read its history', async () => {
    await warehouse.apply(await lake.batch(first), testContext())
    await database.query(
      `insert into fact_order select 100 + i, 1000 + i, 1, 1, now(), now(), false, 1 from generate_series(1, 20000) as i`,
    )
    await database.query('vacuum (analyze) fact_order')
    const plan = await database.query(`explain ${countCurrent('public', layoutOf(order))}`)
    expect(JSON.stringify(plan)).toContain('using fact_order_order_id_idx')
  })

  test('P6: a fact keeps every version, a deletion closes the last and adds no row', async () => {
    await warehouse.apply(await lake.batch(first), testContext())
    const second = await warehouse.apply(
      await lake.batch({
        fact_order: {
          upserts: [
            ['10', '2', '2.00'],
            ['40', '1', '4.00'],
          ],
          deletes: [['30']],
        },
      }),
      testContext(),
    )
    expect(second.tables).toEqual([
      {
        table: 'fact_order',
        kind: 'fact',
        rowsLoaded: 2,
        rowsDeleted: 1,
        rowsCurrent: 3,
      },
    ])
    expect(await facts()).toEqual([
      '1 10 1 99999999.99 b1-b2 f',
      '2 20 1 -0.01 b1- f',
      '3 30 2 1.50 b1-b2 t',
      '4 10 2 2.00 b2- f',
      '5 40 1 4.00 b2- f',
    ])
    const asOf = async (batch: number): Promise<unknown> =>
      (
        await database.query(
          `select order_record_id from fact_order where valid_from <= $1 and (valid_to is null or valid_to > $1) order by 1`,
          [instantOf(batch)],
        )
      ).map((row) => row['order_record_id'])
    expect([await asOf(0), await asOf(1), await asOf(2)]).toEqual([
      [],
      ['1', '2', '3'],
      ['2', '4', '5'],
    ])
  })

  test('P6: a fact that comes back after its deletion opens a new version', async () => {
    await warehouse.apply(await lake.batch(first), testContext())
    await warehouse.apply(await lake.batch({ fact_order: { deletes: [['20']] } }), testContext())
    await warehouse.apply(
      await lake.batch({ fact_order: { upserts: [['20', '1', '-0.01']] } }),
      testContext(),
    )
    expect((await facts()).filter((line) => line.includes(' 20 '))).toEqual([
      '2 20 1 -0.01 b1-b2 t',
      '4 20 1 -0.01 b3- f',
    ])
  })

  test('P6: a fact key deleted and inserted in one batch is closed as deleted, then opened anew', async () => {
    await warehouse.apply(await lake.batch(first), testContext())
    await warehouse.apply(
      await lake.batch({ fact_order: { deletes: [['20']], upserts: [['20', '2', '7.00']] } }),
      testContext(),
    )
    expect((await facts()).filter((line) => line.includes(' 20 '))).toEqual([
      '2 20 1 -0.01 b1-b2 t',
      '4 20 2 7.00 b2- f',
    ])
  })

  test('P6: a dimension row keeps its latest values, is marked when it is gone, and unmarked when it returns', async () => {
    await warehouse.apply(await lake.batch(first), testContext())
    await warehouse.apply(
      await lake.batch({
        dim_staff: {
          upserts: [
            ['1', `'Anna'`, 'null'],
            ['3', `'Cy'`, 'null'],
          ],
          deletes: [['2']],
        },
      }),
      testContext(),
    )
    const read = async (): Promise<unknown> =>
      (
        await database.query(
          `select concat_ws(' ', staff_id, first_name, location, is_deleted) as r from dim_staff order by staff_id`,
        )
      ).map(({ r }) => r)
    expect(await read()).toEqual(['1 Anna f', "2 O'Keefe t", '3 Cy f'])
    await warehouse.apply(
      await lake.batch({ dim_staff: { upserts: [['2', `'Bo'`, `'Hull'`]] } }),
      testContext(),
    )
    expect(await read()).toEqual(['1 Anna f', '2 Bo Hull f', '3 Cy f'])
  })

  test('a table without history drops a deleted row and upserts the others', async () => {
    await warehouse.apply(await lake.batch(first), testContext())
    await warehouse.apply(
      await lake.batch({
        stock: {
          upserts: [
            [`'B2'`, '6'],
            [`'C3'`, '1'],
          ],
          deletes: [[`'A1'`]],
        },
      }),
      testContext(),
    )
    expect(await database.query('select * from stock order by 1')).toEqual([
      { item: 'B2', quantity: '6' },
      { item: 'C3', quantity: '1' },
    ])
  })

  test('dimensions arrive before the facts that refer to them, whatever the order of the star', async () => {
    await warehouse.apply(await lake.batch(first), testContext())
    await warehouse.apply(
      await lake.batch({
        dim_staff: { upserts: [['9', `'New'`, 'null']] },
        fact_order: { upserts: [['90', '9', '9']] },
      }),
      testContext(),
    )
    expect((await facts()).at(-1)).toBe('4 90 9 9.00 b2- f')
  })

  test('a table that joins the star later is made and filled in its own first batch', async () => {
    const late = [order, staff]
    const small = await openHandMadeLake(late)
    await warehouse.apply(await small.batch(first), testContext())
    await small.close()
    await lake.batch({})
    await warehouse.apply(await lake.batch({ stock: first.stock }), testContext())
    expect(await database.query('select item from stock order by 1')).toEqual([
      { item: 'A1' },
      { item: 'B2' },
    ])
  })
})

describe('exactly once', () => {
  test('the ledger of an earlier version gets the key of this one; who may not do that is told', async () => {
    await warehouse.apply(await lake.batch(first), testContext())
    const older =
      'alter table tote.ledger drop constraint ledger_pkey, drop column schema, add primary key (pipeline, batch)'
    await database.query(`${older}; create role older_loader login password 'x';
      grant usage, create on schema public, tote to older_loader;
      grant all on all tables in schema public, tote to older_loader`)
    try {
      const other = await open(withPassword(database.roleUrl('older_loader'), 'x'))
      const second = { stock: { upserts: [["'A1'", '6']] } }
      await expect(other.apply(await lake.batch(second), testContext())).rejects.toThrow(
        'bring the ledger up to date',
      )
      expect((await warehouse.last('star'))?.batch).toBe(1)
      await warehouse.apply(await lake.batch(second, { batch: 2 }), testContext())
      expect(
        await database.query(
          "select pg_get_constraintdef(oid) as key from pg_constraint where conrelid = 'tote.ledger'::regclass and contype = 'p'",
        ),
      ).toEqual([{ key: 'PRIMARY KEY (pipeline, generation, batch, schema)' }])
    } finally {
      await database.query('drop owned by older_loader; drop role older_loader')
    }
  })

  test('P4: the same batch applied again is recognised and changes nothing', async () => {
    await warehouse.apply(await lake.batch(first), testContext())
    const again = await warehouse.apply(
      await lake.batch({ fact_order: { upserts: [['10', '2', '2.00']] } }, { batch: 1 }),
      testContext(),
    )
    expect(again).toEqual({ status: 'already', tables: [] })
    expect(await facts()).toHaveLength(3)
  })

  test('P4: of two loaders at once one waits, and then finds the batch applied', async () => {
    await warehouse.apply(await lake.batch(first), testContext())
    const change = await lake.batch({ fact_order: { upserts: [['10', '2', '2.00']] } })
    const second = await open()
    let other: Promise<unknown> = Promise.resolve()
    const held = change.changes.map((table) => ({
      ...table,
      rows: interrupted(table.rows, async () => {
        other = second.apply(change, testContext())
        await until(
          async () =>
            (
              await database.query(
                `select 1 from pg_locks where locktype = 'advisory' and not granted`,
              )
            ).length > 0,
        )
      }),
    }))
    expect((await warehouse.apply({ ...change, changes: held }, testContext())).status).toBe(
      'applied',
    )
    expect(await other).toEqual({ status: 'already', tables: [] })
    expect(await facts()).toHaveLength(4)
  })

  test('P4: two loaders of a first batch at once make one star', async () => {
    const second = await open()
    const batch = await lake.batch(first)
    const results = await Promise.all([
      warehouse.apply(batch, testContext()),
      second.apply(batch, testContext()),
    ])
    expect(results.map(({ status }) => status).sort()).toEqual(['already', 'applied'])
    expect(await facts()).toHaveLength(3)
  })

  test('P4: a connection that dies in the middle of COPY leaves the batch before, and the next try ends the same', async () => {
    await warehouse.apply(await lake.batch(first), testContext())
    const before = await everything()
    const batch = await lake.batch({
      dim_staff: { upserts: [['1', `'Anna'`, 'null']], deletes: [['2']] },
      fact_order: {
        select: `select i::integer, 1::integer, 1.00::decimal(10,2) from range(1000, 60000) t(i)`,
      },
    })
    const killed = batch.changes.map((table) => ({
      ...table,
      rows: {
        chunks: async function* (select: SelectRows) {
          let chunk = 0
          for await (const rows of table.rows.chunks(select)) {
            yield rows
            chunk += 1
            if (table.table.kind === 'fact' && chunk === 5) {
              await database.query(
                `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
              )
            }
          }
        },
      },
    }))
    await expect(
      warehouse.apply({ ...batch, changes: killed }, testContext()),
    ).rejects.toMatchObject({ name: 'WarehouseUnreachable', retry: true })
    expect(await everything()).toEqual(before)
    expect((await warehouse.last('star'))?.batch).toBe(1)
    expect((await warehouse.apply(batch, testContext())).status).toBe('applied')
    const [row] = await database.query(
      'select count(*) as n, max(order_record_id) as top from fact_order',
    )
    expect(row).toEqual({ n: '59003', top: '59003' })
  })

  test('P4: an interrupt leaves the batch before', async () => {
    await warehouse.apply(await lake.batch(first), testContext())
    const before = await everything()
    const batch = await lake.batch({
      dim_staff: { upserts: [['1', `'Anna'`, 'null']] },
      fact_order: { upserts: [['50', '1', '5']] },
    })
    const controller = new AbortController()
    const stopped = batch.changes.map((table) => ({
      ...table,
      rows: interrupted(table.rows, async () => {
        if (table.table.kind === 'fact') controller.abort(new Error('stopped'))
      }),
    }))
    await expect(
      warehouse.apply({ ...batch, changes: stopped }, testContext(controller.signal)),
    ).rejects.toThrow('stopped')
    expect(await everything()).toEqual(before)
  })

  test('P7: record ids have no gap after a batch that was rolled back, and equal those of a fresh load', async () => {
    const change = {
      dim_staff: { deletes: [['2']] },
      fact_order: {
        upserts: [
          ['10', '2', '2.00'],
          ['5', '1', '5.00'],
        ],
        deletes: [['20']],
      },
    }
    const batches = [
      await lake.batch(first),
      await lake.batch(change),
      await lake.batch({ fact_order: { upserts: [['20', '1', '3.33']] } }),
    ]
    const wrong = batches.map((batch) => ({
      ...batch,
      changes: batch.changes.map((table) => ({ ...table, rowsInLake: table.rowsInLake + 1 })),
    }))
    for (const [index, batch] of batches.entries()) {
      await expect(warehouse.apply(wrong[index] ?? batch, testContext())).rejects.toMatchObject({
        name: 'CountMismatch',
      })
      await warehouse.apply(batch, testContext())
    }
    const fresh = await (await testServer()).createDatabase('fresh')
    try {
      const other = await open(fresh.url)
      for (const batch of batches) await other.apply(batch, testContext())
      await other.close()
      expect(await everything(fresh)).toEqual(await everything())
      expect((await facts()).map((line) => line.split(' ')[0])).toEqual([
        '1',
        '2',
        '3',
        '4',
        '5',
        '6',
      ])
    } finally {
      await fresh.drop()
    }
  })

  test.each([
    { of: 'made whole', before: '', types: {}, sees: 'all' },
    // The user's own empty table is filled as it is.
    { of: 'with a table that was there', before: 'create table stock (item varchar(7) primary key, quantity integer)', types: {}, sees: 'nothing' }, // prettier-ignore
    // Values that the server must cast come from a stage.
    {
      of: 'with values that are cast',
      before: '',
      types: { location: 'interval' },
      sees: 'nothing',
    },
  ])(
    'P5: a snapshot older than the first load of a star $of sees $sees of it',
    async ({ before, types, sees }) => {
      if (before !== '') await database.query(before)
      const reader = new pg.Client({ connectionString: database.url })
      reader.on('error', () => undefined)
      await reader.connect()
      await reader.query('begin isolation level repeatable read; select count(*) from pg_class')
      const { entry, changes, live } = await lake.batch({
        ...first,
        dim_staff: { upserts: [['1', `'Ann'`, `'1 day'`]] },
        fact_order: { upserts: [['10', '1', '1.00']] },
        stock: { upserts: [[`'A1'`, '5']] },
      })
      const typed = changes.map((change) => ({
        ...change,
        table: { ...change.table, columns: change.table.columns.map((column) => ({ ...column, type: (types as Record<string, string>)[column.name] ?? column.type })) }, // prettier-ignore
      }))
      await warehouse.apply({ entry, changes: typed, live }, testContext())
      const look =
        'select concat((select count(*) from dim_staff), (select count(*) from fact_order), (select count(*) from stock)) as n'
      const older = await reader.query(look)
      await reader.query('commit')
      const newer = await reader.query(look)
      await reader.end()
      expect([older.rows, newer.rows]).toEqual([
        [{ n: sees === 'all' ? '111' : '000' }],
        [{ n: '111' }],
      ])
    },
  )

  test('the rows of a first load are known to be committed, so that who counts them first need not write', async () => {
    await warehouse.apply(await lake.batch(first), testContext())
    expect(
      await database.query(
        "select relname, relpages > 0 and relpages = relallvisible as known from pg_class where relname in ('fact_order', 'dim_staff', 'stock') order by 1",
      ),
    ).toEqual(['dim_staff', 'fact_order', 'stock'].map((relname) => ({ relname, known: 't' })))
  })

  test('P5: a reader in repeatable read sees a batch in every table or in none', async () => {
    await warehouse.apply(await lake.batch(first), testContext())
    const reader = new pg.Client({ connectionString: database.url })
    await reader.connect()
    const mixed: string[] = []
    let reading = true
    const readings = (async () => {
      while (reading) {
        await reader.query('begin isolation level repeatable read')
        const staffName = (
          await reader.query('select first_name from dim_staff where staff_id = 1')
        ).rows[0] as { first_name: string }
        await new Promise((resolve) => setTimeout(resolve, 2))
        const price = (
          await reader.query(
            'select trunc(price)::text as p from fact_order_current where order_id = 10',
          )
        ).rows[0] as { p: string }
        await reader.query('commit')
        if (staffName.first_name !== 'Ann' && staffName.first_name !== `n${price.p}`)
          mixed.push(`${staffName.first_name} ${price.p}`)
        const one = (
          await reader.query(
            'select first_name, trunc(price)::text as p from dim_staff join fact_order_current using (staff_id) where order_id = 10',
          )
        ).rows[0] as { first_name: string; p: string }
        if (one.first_name !== 'Ann' && one.first_name !== `n${one.p}`)
          mixed.push(`${one.first_name} ${one.p}`)
      }
    })()
    for (let round = 0; round < 15; round++) {
      await warehouse.apply(
        await lake.batch({
          dim_staff: { upserts: [['1', `'n${round}'`, 'null']] },
          fact_order: { upserts: [['10', '1', `${round}.00`]] },
        }),
        testContext(),
      )
    }
    reading = false
    await readings
    await reader.end()
    expect(mixed).toEqual([])
  })
})

/** Facts as `record key staff price from-to deleted`, instants as batches. */
async function facts(): Promise<string[]> {
  const rows = await database.query(`
    select order_record_id, order_id, staff_id, price, batch, is_deleted,
      (select 'b' || l.batch from tote.ledger l where l.instant = f.valid_from) as opened,
      coalesce((select 'b' || l.batch from tote.ledger l where l.instant = f.valid_to), '') as closed
    from fact_order f order by order_record_id`)
  for (const row of rows) expect(row['opened']).toBe(`b${row['batch']}`)
  return rows.map((row) =>
    [
      row['order_record_id'],
      row['order_id'],
      row['staff_id'],
      row['price'],
      `${row['opened']}-${row['closed']}`,
      row['is_deleted'],
    ].join(' '),
  )
}

async function everything(from: TestDatabase = database): Promise<unknown> {
  const rows: unknown[] = []
  for (const table of ['fact_order', 'dim_staff', 'stock'])
    rows.push(await from.query(`select * from ${table} order by 1`))
  return rows
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error('waited in vain')
}
