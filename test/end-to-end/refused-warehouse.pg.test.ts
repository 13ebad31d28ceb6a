/** A warehouse that is not what this lake was loaded into: refused as it stands, or taken when it is empty. */
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { createProject, type TestProject } from '../support/project.ts'
import { expectRefusal } from '../support/refusal.ts'

let project: TestProject
afterEach(async () => project.close())

const change = async (): Promise<unknown> =>
  project.source.query('update sale set units = units + 1 where sale_id = 8800101')

describe('the ledger', () => {
  test('P4: a warehouse ahead of the lake, which was put back: LedgerMismatch, also when the lake catches up', async () => {
    project = await createProject()
    const [lake, old] = ['lake', 'old'].map((name) => join(project.folder, name)) as [
      string,
      string,
    ]
    await project.good()
    await cp(lake, old, { recursive: true })
    await change()
    await project.good()
    await rm(lake, { recursive: true })
    await cp(old, lake, { recursive: true })
    for (const args of [
      ['check', '--live'],
      ['run', '--only', 'load'],
    ])
      await expectRefusal(project, {
        name: 'LedgerMismatch',
        args,
        says: [
          'The warehouse stands at batch 2 of "shop", and the lake only at 1',
          'must not be taken for those that were loaded',
          'restore the lake',
        ],
      })
    // Another batch 2, of the same rows, is not the batch 2 that was loaded.
    await expectRefusal(project, {
      name: 'LedgerMismatch',
      says: ['Manifest 2 of "shop" is not the one that the warehouse was loaded from'],
      moves: 'lake',
    })
  })
  test('P4: another lake, begun anew over the same source', async () => {
    project = await createProject()
    await project.good()
    await rm(join(project.folder, 'lake'), { recursive: true })
    await expectRefusal(project, {
      name: 'LedgerMismatch',
      args: ['run', '--only', 'load'],
      says: ['The warehouse was loaded up to batch 1 of "shop", and the lake holds none'],
    })
    await expectRefusal(project, {
      name: 'LedgerMismatch',
      says: ['loaded from another chain than the one in the lake'],
      moves: 'lake',
    })
  })
  test('P4: a ledger that was lost while tables hold rows', async () => {
    project = await createProject()
    await project.good()
    await project.warehouse.query('drop schema tote cascade')
    for (const args of [['check', '--live'], ['run', '--dry-run'], ['run']])
      await expectRefusal(project, {
        name: 'LedgerMismatch',
        args,
        says: ['already holds rows, which no batch of pipeline "shop" in the ledger has brought'],
      })
  })
  test('a schema that is newly named, and holds rows that nobody recorded', async () => {
    project = await createProject()
    await project.good()
    await project.warehouse.query(`set role ${project.loader};
      create schema mart; create table mart.dim_staff (like public.dim_staff including all);
      insert into mart.dim_staff select * from public.dim_staff`)
    await project.configure({ warehouse: "schema: 'mart'" })
    for (const args of [['check', '--live'], ['run', '--dry-run'], ['run']])
      await expectRefusal(project, {
        name: 'LedgerMismatch',
        args,
        says: [
          'Table "dim_staff" of schema "mart" already holds rows',
          'only in schema "public"',
          'set warehouse.schema back',
        ],
      })
    await project.warehouse.query('delete from mart.dim_staff')
    expect((await project.tote('check', '--live')).exit).toBe(0)
    expect((await project.good()).warehouse).toHaveLength(5)
  })
})

describe('the tables', () => {
  test('P12: tables that are not there are missed also when there is nothing to load', async () => {
    project = await createProject()
    await project.good()
    await project.warehouse.query('drop table fact_payment cascade')
    const one =
      'Table "fact_payment" is not in schema "public", though the ledger says that batch 1 was loaded'
    for (const args of [['run'], ['run', '--dry-run'], ['check', '--live']])
      await expectRefusal(project, { name: 'LedgerMismatch', args, says: [one, 'tote rebuild'] })
    await project.warehouse.query(
      `alter schema public rename to mart; create schema public; grant all on schema public to "${project.loader}"`,
    )
    for (const args of [['run'], ['check', '--live']])
      await expectRefusal(project, {
        name: 'LedgerMismatch',
        args,
        says: ['5 tables are not in schema "public"', 'they were dropped', 'fact_sale'],
      })
    expect((await project.tote('rebuild')).exit).toBe(0)
    expect((await project.good()).outcome).toBe('nothing to do')
  })
  test('another shape: all differences at once, and nothing is changed', async () => {
    project = await createProject()
    await project.good()
    await project.warehouse.query(`
      alter table dim_customer rename column phone to phones;
      alter table dim_staff alter column location type varchar(100);
      alter table fact_payment add column surplus integer;
      create unique index one_note on fact_sale (note)`)
    await change()
    await expectRefusal(project, {
      name: 'WarehouseShapeMismatch',
      says: [
        'differ from their models in 5 places',
        'public.dim_customer.phone the column is missing; did you mean "phones"?',
        'public.dim_customer.phones is not a column of the model',
        'public.dim_staff.location is character varying(100), and should be text',
        'public.fact_payment.surplus is not a column of the model',
        'public.fact_sale has the unique index "one_note"',
        /\w+@\S+:\d+\/e2e_warehouse_/,
      ],
      moves: 'lake',
    })
    await project.warehouse.query(`
      alter table dim_customer rename column phones to phone;
      alter table dim_staff alter column location type text;
      alter table fact_payment drop column surplus;
      drop index one_note`)
    expect((await project.good()).batches.warehouse?.batch).toBe(2)
  })
  test('rights that are missing are listed with what to grant', async () => {
    project = await createProject()
    await project.warehouse.query(
      `alter database ${project.warehouse.name} owner to current_user;
       create schema tote authorization ${project.loader}`,
    )
    await expectRefusal(project, {
      name: 'WarehouseRefused',
      says: [project.loader, 'grant usage, create on schema "public" to "loader_'],
      moves: 'lake',
    })
    // A table that we may not even read is not said to hold rows.
    await project.warehouse.query(
      'create table dim_staff (staff_id int primary key, last_name text, department_name text, location text)',
    )
    await expectRefusal(project, {
      name: 'WarehouseShapeMismatch',
      says: ['public.dim_staff.is_deleted the column is missing, and SELECT is, too'],
    })
  })
  test('P10: what a trigger of theirs says may be a value: on a terminal only, and not with -vv into a file', async () => {
    project = await createProject()
    await project.good()
    await project.warehouse.query(`
      create function refuse() returns trigger language plpgsql as
        $$ begin raise exception 'no %, thank you', new.note using detail = new::text; end $$;
      create trigger refuse before insert on fact_sale for each row execute function refuse()`)
    await change()
    for (const args of [
      ['run'],
      ['run', '-vv'],
      ['run', '-vv', '--json'],
      ['run', '--log-format', 'json'],
    ]) {
      const told = await project.tote(...args)
      expect(told.exit).toBe(3)
      expect(told.stdout + told.stderr).toMatch(/WarehouseRefused[^]*SQLSTATE P0001/)
    }
    const { stderr } = await project.onTerminal('run', '-v')
    expect(stderr).toContain('no Qx7 1, thank you')
  })
  test('a name that is taken by something else', async () => {
    project = await createProject()
    await project.warehouse.query('create view dim_staff as select 1 as staff_id')
    await expectRefusal(project, {
      name: 'WarehouseShapeMismatch',
      says: ['public.dim_staff is a view, and should be a table'],
      moves: 'lake',
    })
  })
  test('empty tables that somebody made from the specification get our columns, and are loaded', async () => {
    project = await createProject()
    await project.warehouse.query(`set role ${project.loader};
      create table dim_staff (staff_id int primary key, last_name text not null, department_name text not null, location text not null);
      create table dim_customer (customer_id int primary key, legal_name text not null, line text not null,
        city text not null, postal_code text not null, phone text);
      create table fact_sale (sale_record_id serial primary key, sale_id int not null, created_date date not null,
        created_time time not null, last_updated timestamp(3) not null,
        sales_staff_id int not null references dim_staff, customer_id int not null references dim_customer,
        units int not null, unit_price numeric(10,2) not null, note text);
      comment on table fact_sale is 'theirs'`)
    const summary = await project.good()
    expect(
      summary.warehouse.map(({ table, rowsCurrent }) => `${table} ${rowsCurrent}`).toSorted(),
    ).toEqual([
      'dim_customer 2',
      'dim_payment_type 1',
      'dim_staff 3',
      'fact_payment 1',
      'fact_sale 6',
    ])
    await change()
    await project.good()
    expect(
      await project.warehouse.query(
        `select sale_record_id, units, is_deleted, valid_to is null as current, batch from fact_sale where sale_id = 8800101 order by 1`,
      ),
    ).toEqual([
      { sale_record_id: '1', units: '10', is_deleted: 'f', current: 'f', batch: '1' },
      { sale_record_id: '7', units: '11', is_deleted: 'f', current: 't', batch: '2' },
    ])
  })
})
