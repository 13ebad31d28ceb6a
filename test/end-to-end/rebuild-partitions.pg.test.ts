/**
 * P7: a star of which the user has divided a table into partitions: loaded, verified, repaired and rebuilt as any other,
 * with its partitions and all that hangs there as they were.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createProject, type TestProject } from '../support/project.ts'
import { rebuilt, wholeStar, type WholeStar } from '../support/rebuild.ts'
import { expectRefusal } from '../support/refusal.ts'

let project: TestProject
beforeAll(async () => {
  project = await createProject()
  await project.good()
  await change('update sale set units = units + 1 where sale_id % 2 = 0')
  await divide('fact_sale', 'sale_record_id')
  await divide('dim_staff', 'staff_id')
  await change(
    "delete from sale where sale_id = 8800102; insert into staff values (9, 'Nine Qx7', 2)",
  )
})
afterAll(async () => project.close())

async function change(sql: string): Promise<void> {
  await project.source.query(sql)
  await project.good()
}

/** As an administrator would: the same table, divided, with the same rows and keys, a default partition and one of its own. */
async function divide(table: string, by: string): Promise<void> {
  const keys = await project.warehouse.query(
    `select format('alter table %s add %s', conrelid::regclass, pg_get_constraintdef(oid)) as text, conrelid::regclass::text as of, conname as name from pg_constraint
     where contype in ('p', 'f') and conparentid = 0 and (conrelid = $1::regclass or confrelid = $1::regclass) order by contype desc`,
    [table],
  )
  const views = await project.warehouse.query(
    `select pg_get_viewdef($1::text::regclass) as text where to_regclass($1) is not null`,
    [`${table}_current`],
  )
  const view = views[0]?.['text']
  await project.warehouse.query(
    `set role ${project.loader};
     ${view === undefined || view === null ? '' : `drop view ${table}_current;`}
     ${keys
       .filter(({ text }) => !text?.includes('PRIMARY'))
       .map(({ of, name }) => `alter table ${of} drop constraint ${name};`)
       .join('\n')}
     alter table ${table} rename to whole; create table ${table} (like whole including defaults) partition by range (${by}); alter table ${table} alter column ${by} drop default;
     create table ${table}_low partition of ${table} for values from (minvalue) to (3);
     create table ${table}_rest partition of ${table} default;
     insert into ${table} select * from whole; drop table whole;
     ${keys.map(({ text }) => `${text};`).join('\n')}
     ${view === undefined || view === null ? '' : `create view ${table}_current as ${view};`}
     comment on table ${table}_low is 'low ones of ${table}'; create index on ${table}_low (${by}); reset role`,
  )
}

async function live(): Promise<WholeStar> {
  const parts = ['fact_sale_low', 'fact_sale_rest', 'dim_staff_low', 'dim_staff_rest', 'by_staff']
  return wholeStar(project.warehouse, parts)
}

const partitions = async (): Promise<unknown> =>
  project.warehouse.query(
    `select c.oid::regclass::text as name, c.oid::text, c.relkind::text as kind, pg_get_partkeydef(c.oid) as by, pg_get_expr(c.relpartbound, c.oid) as bound,
       obj_description(c.oid, 'pg_class') as comment, (select count(*) from pg_index i where i.indrelid = c.oid)::text as indexes, c.relacl::text as rights,
       (select json_agg(pg_get_constraintdef(k.oid) order by conname)::text from pg_constraint k where k.conrelid = c.oid) as keys
     from pg_class c where c.relname ~ '^(fact_sale|dim_staff)(_low|_rest)?$' order by 1`,
  )

test('P7: it is loaded and verified as any other, and equals what the lake alone comes to', async () => {
  expect((await project.tote('verify')).exit).toBe(0)
  const kinds = await project.warehouse.query(
    `select count(*) as n from pg_class where relkind = 'p' and relname in ('fact_sale', 'dim_staff')`,
  )
  expect(kinds).toEqual([{ n: '2' }])
  expect(await rebuilt(project)).toEqual(await live())
})

test('P6: what somebody else did to its rows is repaired in place', async () => {
  const star = await live()
  await project.warehouse.query(
    `update fact_sale set units = 0 where sale_record_id = 1; delete from fact_sale where sale_record_id = 5; update dim_staff set last_name = 'X'`,
  )
  expect((await project.tote('verify', '--repair')).exit).toBe(0)
  expect(await live()).toEqual(star)
})

test('P5, P7: a rebuild replaces the other tables and changes only rows of this one; partitions, grants and views stay', async () => {
  await project.warehouse.query(
    `grant select on fact_sale to pg_monitor; grant select on fact_sale_low to pg_monitor;
     set role ${project.loader}; create view by_staff as select s.last_name, count(*) from fact_sale_current f join dim_staff s on s.staff_id = f.sales_staff_id join dim_customer c using (customer_id) group by 1; reset role`,
  )
  const [star, parts] = [await live(), await partitions()]
  const top = await project.warehouse.query('select * from by_staff order by 1')
  await project.warehouse.query(
    `update fact_sale set units = 0 where sale_record_id = 1; delete from fact_sale where sale_record_id = 5;
     insert into fact_sale select 77, sale_id, created_date, created_time, last_updated, sales_staff_id, customer_id, units, unit_price, note, valid_from, valid_to, is_deleted, batch from fact_sale where sale_record_id = 2;
     update dim_customer set legal_name = 'X'; update dim_staff set last_name = 'X' where staff_id = 1; delete from fact_payment`,
  )
  expect((await project.tote('rebuild', '--dry-run')).exit).toBe(5)
  const untouched = `select ctid::text, xmin::text from fact_sale where sale_record_id = 2`
  const before = await project.warehouse.query(untouched)
  const told = await project.tote('rebuild')
  expect([told.exit, told.exit === 0 ? '' : told.stderr]).toEqual([0, ''])
  expect(await live()).toEqual(star)
  expect(await partitions()).toEqual(parts)
  expect(await project.warehouse.query('select * from by_staff order by 1')).toEqual(top)
  expect(await project.warehouse.query(untouched)).toEqual(before)
  expect((await project.tote('rebuild', '--dry-run')).exit).toBe(0)
  expect((await project.tote('verify')).exit).toBe(0)
  await change("update sale set note = 'Qx7 after' where sale_id = 8800101")
  expect((await project.tote('verify')).exit).toBe(0)
})

test('WarehouseShapeMismatch: one that cannot take the rows is named before the work', async () => {
  await project.warehouse.query('alter table fact_sale add column mine text')
  const star = await live()
  await expectRefusal(project, {
    name: 'WarehouseShapeMismatch',
    says: ['public.fact_sale.mine', 'is not a column of the model'],
    args: ['rebuild'],
  })
  expect(await live()).toEqual(star)
  await project.warehouse.query('alter table fact_sale drop column mine')
})
