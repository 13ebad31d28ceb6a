/**
 * P7: a new warehouse from the lake alone, equal to the live one, record ids included, in whose place it is put with
 * all that hung there.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RebuildSummary } from '../../src/events.ts'
import { createProject, type TestProject } from '../support/project.ts'
import { wholeStar, type WholeStar } from '../support/rebuild.ts'
import { expectRefusal } from '../support/refusal.ts'

let project: TestProject
beforeAll(async () => {
  project = await createProject()
  await project.write(
    'models/gone.sql',
    '-- kind: fact\n-- key: payment_id\n-- record id: gone_id\nselect payment_id, amount from shop.payment\n',
  )
  await project.good()
  for (const units of [11, 12])
    await change(
      `update sale set units = ${units} where sale_id = 8800101; update payment set amount = amount + 1`,
    )
  await change(
    `delete from sale where sale_id = 8800102; delete from staff where staff_id = 2 and false;
     insert into staff values (4, 'New Qx7', 2); update department set location = 'Hull Qx7' where department_id = 1`,
  )
  await change('delete from staff where staff_id = 4')
  await rm(join(project.folder, 'models/gone.sql'))
  await change("insert into sale values (8800102, now(), now(), 1, 1, 5, 1.00, 'Qx7 again')")
})
afterAll(async () => project.close())

async function change(sql: string): Promise<void> {
  await project.source.query(sql)
  await project.good()
}

async function rebuild(...args: string[]): Promise<RebuildSummary> {
  const { exit, stdout, stderr } = await project.tote('rebuild', '--json', ...args)
  expect({ exit, stderr, failed: exit === 0 ? '' : stdout }).toEqual({ exit: 0, stderr: '', failed: '' }) // prettier-ignore
  const last = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as {
    summary: { rebuild: RebuildSummary }
  }
  return last.summary.rebuild
}

async function oids(): Promise<unknown> {
  const rows = await project.warehouse.query(
    "select relname, oid from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and relname ~ '^(dim|fact)_'",
  )
  return Object.fromEntries(rows.map(({ relname, oid }) => [relname, oid]))
}

async function schemas(): Promise<unknown> {
  return (
    await project.warehouse.query(
      "select nspname from pg_namespace where nspname !~ '^pg_' order by 1",
    )
  ).map(({ nspname }) => nspname)
}

const live = async (): Promise<WholeStar> => wholeStar(project.warehouse)

/** Everything that PostgreSQL keeps of the relations besides their rows, under no name that says when they were made. */
async function hanging(): Promise<unknown> {
  return project.warehouse.query(`
    with r as (select c.*, n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname in ('public', 'reports'))
    select nspname, relname, relkind, pg_get_userbyid(relowner) as owner, obj_description(oid) as comment, reloptions, relrowsecurity, relforcerowsecurity, relreplident,
      (select jsonb_agg(grantee::regrole::text || ' ' || privilege_type order by grantee::regrole::text, privilege_type) from aclexplode(relacl)) as grants,
      (select jsonb_agg(jsonb_build_array(attname, format_type(atttypid, atttypmod), attnotnull, attacl::text, attstattarget,
         col_description(attrelid, attnum), pg_get_expr(adbin, adrelid)) order by attname)
       from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum where attrelid = r.oid and attnum > 0 and not attisdropped) as columns,
      (select jsonb_agg(pg_get_indexdef(indexrelid) order by pg_get_indexdef(indexrelid)) from pg_index where indrelid = r.oid) as indexes,
      (select jsonb_agg(conname || ' ' || pg_get_constraintdef(k.oid) order by conname) from pg_constraint k where conrelid = r.oid and contype <> 'n') as constraints,
      (select jsonb_agg(conname || conrelid::regclass::text order by conname) from pg_constraint k where confrelid = r.oid) as referred,
      (select jsonb_agg(pg_get_triggerdef(g.oid) || tgenabled::text order by tgname) from pg_trigger g where tgrelid = r.oid and not tgisinternal) as triggers,
      (select jsonb_agg(pg_get_ruledef(w.oid) order by rulename) from pg_rewrite w where ev_class = r.oid and rulename <> '_RETURN') as rules,
      (select jsonb_agg(jsonb_build_array(polname, polpermissive, polcmd, polroles::regrole[]::text, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) order by polname)
       from pg_policy where polrelid = r.oid) as policies,
      (select jsonb_agg(pg_get_statisticsobjdef(s.oid) order by s.stxname) from pg_statistic_ext s where stxrelid = r.oid) as statistics,
      (select jsonb_agg(pubname || ' ' || coalesce(p.attnames::text, '') || coalesce(p.rowfilter, '') order by pubname) from pg_publication_tables p where p.schemaname = nspname and p.tablename = relname) as publications,
      case when relkind in ('v', 'm') then pg_get_viewdef(oid) end as definition
    from r where relkind in ('r', 'v', 'm', 'S') order by nspname, relname`)
}

const HANGING = `
  create schema reports;
  create view reports.by_staff with (security_barrier) as
    select sales_staff_id, sum(units) as units, max(note) as note from fact_sale_current group by 1;
  create materialized view reports.top as
    select b.*, s.last_name from reports.by_staff b join dim_staff s on s.staff_id = b.sales_staff_id order by units desc;
  create materialized view reports.later as select count(*) from fact_sale with no data;
  create unique index top_staff on reports.top (sales_staff_id);
  create view reports.both as select f.sale_id, p.amount from fact_sale f left join fact_payment p using (sale_id);
  comment on view reports.by_staff is 'Mine'; comment on column reports.by_staff.units is 'Sum';
  comment on column fact_sale.units is 'How many'; comment on table dim_customer is 'Ours, "quoted"';
  grant select on reports.by_staff, fact_sale, fact_sale_current to public;
  grant select (last_name), update (last_name) on dim_staff to public; grant select (units) on reports.by_staff to public;
  grant usage on sequence fact_sale_sale_record_id_seq to public;
  create index my_units on fact_sale (units) include (note) where not is_deleted;
  create index on fact_sale (sale_id) where valid_to is null and units > 5;
  alter table fact_sale add constraint cheap check (unit_price < 1000), alter note set default 'Qx7 none', alter units set statistics 500;
  alter table dim_customer add constraint staffed foreign key (customer_id) references dim_staff;
  alter table fact_sale set (fillfactor = 90); alter table dim_customer replica identity full;
  create statistics public.sale_pair on sales_staff_id, customer_id from fact_sale;
  create table target (staff_id integer primary key references dim_staff on delete cascade);
  insert into target values (1);
  alter table dim_staff enable row level security;
  create policy everybody on dim_staff using (true) with check (staff_id > 0);
  create policy several on dim_staff as restrictive for select to public using (staff_id in (select sales_staff_id from fact_sale) or true);
  create function told() returns trigger language plpgsql as 'begin return new; end';
  create trigger tells before update on fact_sale for each row when (new.units > 3) execute function told();
  alter table fact_sale disable trigger tells;
  create rule never as on delete to fact_payment where old.payment_id < 0 do instead nothing;
  create publication everything for table fact_sale (sale_record_id, units) where (units > 2), dim_staff with (publish = 'insert');
  alter default privileges in schema public grant select on tables to pg_monitor`

describe('what hangs on the tables', () => {
  beforeAll(async () => {
    await project.warehouse.query(`set role ${project.loader}; ${HANGING}; reset role`)
  })

  test('P5, P7: the new star equals the live one, record ids included, and takes its place with all that hung there', async () => {
    const [star, before, tables, places] = [
      await live(),
      await hanging(),
      await oids(),
      await schemas(),
    ]
    const [top] = await project.warehouse.query(
      'select json_agg(t)::text as rows from reports.top t',
    )
    const report = await rebuild()
    expect(report).toMatchObject({ outcome: 'switched', schema: 'public', from: report.to })
    expect(report.tables.map(({ table, shape }) => `${table} ${shape}`).toSorted()).toEqual(
      ['dim_customer', 'dim_payment_type', 'dim_staff', 'fact_payment', 'fact_sale', 'gone'].map((name) => `${name} same`), // prettier-ignore
    )
    for (const { rowsLive, rowsRebuilt, rowsEqual } of report.tables)
      expect([rowsLive, rowsEqual]).toEqual([rowsRebuilt, rowsRebuilt])
    expect(await live()).toEqual(star)
    expect(await hanging()).toEqual(before)
    expect(await schemas()).toEqual(places)
    expect(Object.values((await oids()) as object)).not.toEqual(Object.values(tables as object))
    expect(await project.warehouse.query('select json_agg(t)::text as rows from reports.top t')).toEqual([top]) // prettier-ignore
    await project.warehouse.query('drop materialized view reports.later')
    expect((await project.good()).outcome).toBe('nothing to do')
    await change("update sale set note = 'Qx7 after' where sale_id = 8800101")
    expect(await rebuild('--dry-run')).toMatchObject({ outcome: 'compared' })
  })

  test('WarehouseDependents: what could not be made again is named, and nothing is changed', async () => {
    await project.warehouse.query(
      `create function total() returns bigint language sql begin atomic select sum(units) from fact_sale; end;
       create table diary (old fact_payment)`,
    )
    await expectRefusal(project, {
      name: 'WarehouseDependents',
      says: ['total()', 'column old of table', 'Nothing was changed', '--into'],
      args: ['rebuild'],
    })
    await project.warehouse.query('drop function total; drop table diary')
    // Of the server's owner, not of the loader.
    await project.warehouse.query('create view public.foreign_view as select note from fact_sale')
    await expectRefusal(project, {
      name: 'WarehouseDependents',
      says: ['view public.foreign_view'],
      args: ['rebuild'],
    })
    await project.warehouse.query('drop view public.foreign_view')
    await rebuild()
  })
})

describe('a live star that is not what the lake says', () => {
  test('P12: a dry run says what differs with exit 5 and changes nothing; a rebuild puts it right', async () => {
    const star = await live()
    await project.warehouse.query(
      `update fact_sale set units = units + 1 where sale_record_id = 2;
       delete from fact_payment where payment_record_id = 1; insert into dim_payment_type values (9, 'Qx7')`,
    )
    const damaged = await live()
    const { exit, stdout, stderr } = await project.tote('rebuild', '--dry-run')
    expect(exit).toBe(5)
    expect(stderr).toContain('CountMismatch')
    expect(stdout).toMatch(/fact_sale +fact +\d+ +\d+ +\d+ +\S+ differ/)
    expect(stdout).toMatch(/dim_staff +dimension +4 +4 +4 +\S+\n/)
    expect(await live()).toEqual(damaged)
    const report = await rebuild()
    const differing = report.tables.filter(({ rowsLive, rowsEqual, rowsRebuilt }) => rowsLive !== rowsEqual || rowsRebuilt !== rowsEqual) // prettier-ignore
    expect(differing.map(({ table }) => table).toSorted()).toEqual(['dim_payment_type', 'fact_payment', 'fact_sale']) // prettier-ignore
    expect(await live()).toEqual(star)
  })

  test('a table that is gone is made anew, with the default rights of its schema; one whose model is gone, only where it is', async () => {
    await change('insert into payment values (2, 8800101, 1, 5.00, true)')
    const star = await live()
    await project.warehouse.query('drop table fact_payment cascade; drop table gone cascade')
    await project.source.query('update payment set amount = amount + 1')
    await expectRefusal(project, {
      name: 'LedgerMismatch',
      says: ['fact_payment', 'tote rebuild'],
      moves: 'lake',
    })
    await rebuild()
    const now = await live()
    expect(Object.keys(now).filter((name) => name.startsWith('gone'))).toEqual([])
    expect(Object.keys(star).length).toBe(Object.keys(now).length + 2)
    const [granted] = await project.warehouse.query(
      "select has_table_privilege('pg_monitor', 'fact_payment', 'select') as granted",
    )
    expect(granted).toEqual({ granted: 't' })
    expect((await rebuild('--dry-run')).tables.map(({ shape }) => shape)).not.toContain('absent')
  })
})

describe('--into', () => {
  test('builds a star in a schema of its own, again and again, and leaves the live one and what the ledger says of it alone', async () => {
    const [before, ledger] = [
      await oids(),
      await project.warehouse.query("select * from tote.ledger where schema = 'public'"),
    ]
    await rebuild('--into', 'beside')
    await project.warehouse.query(
      'create view beside.mine as select 1 as one; create table beside.other (x integer)',
    )
    const report = await rebuild('--into', 'beside')
    expect(report).toMatchObject({ outcome: 'built', schema: 'beside' })
    expect(await oids()).toEqual(before)
    expect(
      await project.warehouse.query("select * from tote.ledger where schema = 'public'"),
    ).toEqual(ledger)
    expect(
      await project.warehouse.query(
        `(select * from beside.fact_sale except all select * from public.fact_sale)
         union all (select * from public.fact_sale except all select * from beside.fact_sale)`,
      ),
    ).toEqual([])
    expect(await project.warehouse.query('select one from beside.mine')).toEqual([{ one: '1' }])
    await project.warehouse.query('create view reports.onto as select units from beside.fact_sale')
    await expectRefusal(project, {
      name: 'WarehouseDependents',
      says: ['the tables of "beside"'],
      args: ['rebuild', '--into', 'beside'],
    })
    await project.warehouse.query('drop view reports.onto; drop schema beside cascade')
  })

  test('UsageInvalid: what is not of an earlier rebuild, the live schema and the ledger are never taken', async () => {
    for (const [schema, says] of [
      ['reports', 'is there already'],
      ['public', 'is the live star'],
      ['tote', 'is the ledger'],
      ['pg_mine', 'cannot be'],
    ] as const)
      await expectRefusal(project, {
        name: 'UsageInvalid',
        says: [says],
        args: ['rebuild', '--into', schema],
      })
    await expectRefusal(project, {
      name: 'UsageInvalid',
      says: ['dry run'],
      args: ['rebuild', '--into', 'x', '--dry-run'],
    })
    await project.warehouse.query(`create schema public_rebuild authorization ${project.loader}; create table public_rebuild.fact_sale (x integer)`) // prettier-ignore
    await expectRefusal(project, {
      name: 'WarehouseShapeMismatch',
      says: ['public_rebuild.fact_sale', 'is in the way'],
      args: ['rebuild'],
    })
    await project.warehouse.query('drop schema public_rebuild cascade')
  })
})
