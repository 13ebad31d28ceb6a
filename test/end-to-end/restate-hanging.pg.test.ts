/** Edited models: what hangs on their tables, old versions that are kept, and models that go. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createProject, type TestProject } from '../support/project.ts'
import { MODELS } from '../support/project-shop.ts'
import { rebuilt, wholeStar } from '../support/rebuild.ts'

let project: TestProject
beforeAll(async () => {
  project = await createProject()
  await project.good()
  await change('update sale set units = 11 where sale_id = 8800101')
})
afterAll(async () => project.close())

async function change(sql: string): Promise<void> {
  await project.source.query(sql)
  await project.good()
}

async function edit(name: string, ...changes: readonly [string, string][]): Promise<void> {
  let text = MODELS[name] ?? ''
  for (const [from, to] of changes) {
    expect(text).toContain(from)
    text = text.replace(from, to)
  }
  await project.write(`models/${name}.sql`, text)
}

async function expectRebuilt(without: readonly string[] = []): Promise<void> {
  expect(await rebuilt(project), 'P7').toEqual(await wholeStar(project.warehouse, without))
}

describe('what hangs on a table', () => {
  const HANGING = `
    create schema reports;
    create view reports.by_staff as select sales_staff_id, sum(units) as units, max(note) as note from fact_sale_current group by 1;
    create materialized view reports.top as select * from reports.by_staff order by units desc;
    create unique index top_staff on reports.top (sales_staff_id);
    comment on view reports.by_staff is 'Mine'; comment on column reports.by_staff.units is 'Sum';
    grant select on reports.by_staff, fact_sale, fact_sale_current to public;
    create index my_units on fact_sale (units);
    create table target (staff_id integer primary key references dim_staff);
    insert into target values (1);
    alter table dim_staff enable row level security;
    create policy everybody on dim_staff using (true)`
  const hanging = async (): Promise<unknown> =>
    project.warehouse.query(`
      select c.relname, c.relkind, pg_get_userbyid(c.relowner) = current_user as mine, obj_description(c.oid) as comment,
        (select jsonb_agg(grantee::regrole::text || ' ' || privilege_type order by 1) from aclexplode(c.relacl)) as grants,
        (select jsonb_agg(pg_get_indexdef(indexrelid) order by 1) from pg_index where indrelid = c.oid) as indexes,
        (select jsonb_agg(polname) from pg_policy where polrelid = c.oid) as policies,
        col_description(c.oid, 2) as second
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname in ('public', 'reports') and c.relkind in ('r', 'v', 'm') order by n.nspname, c.relname`)
  beforeAll(async () => {
    await project.warehouse.query(`set role ${project.loader}; ${HANGING}; reset role`)
  })
  beforeEach(async () => {
    for (const name of ['dim_staff', 'fact_sale']) await edit(name)
    await project.good()
  })

  test('a new column touches nothing that hangs there', async () => {
    const before = await hanging()
    await edit('fact_sale', ['units, unit_price', 'units, units + 1 as more, unit_price'])
    await edit('dim_staff', ['s.last_name,', 's.last_name, length(s.last_name) as length,'])
    await project.good()
    expect(await hanging()).toEqual(before)
    expect(
      await project.warehouse.query('select max(more) as more from fact_sale_current'),
    ).toEqual([{ more: '61' }])
  })
  test('a column of another type: views over views, materialized ones, indexes, grants and comments stand again', async () => {
    const before = await hanging()
    await edit('fact_sale', ['units, unit_price', 'cast(units as bigint) as units, unit_price'])
    await project.good()
    expect(await hanging()).toEqual(before)
    expect(
      await project.warehouse.query('select units from reports.top where sales_staff_id = 1'),
    ).toEqual([{ units: '90' }])
  })
  test('WarehouseDependents: a column that a view needs cannot go, and nothing is changed', async () => {
    const before = await project.standing()
    await edit(
      'fact_sale',
      ['units, unit_price, note', 'units, unit_price'],
      ['-- nullable: note\n', ''],
    )
    const { error } = await project.run()
    expect(error).toMatchObject({ name: 'WarehouseDependents' })
    expect(JSON.stringify(error?.facts.problems)).toContain('view reports.by_staff of role')
    expect(await project.standing()).toEqual(before)
    await project.warehouse.query(
      'drop view reports.by_staff cascade; create view public.foreign_view as select note from fact_sale',
    )
    const { error: other } = await project.run()
    expect(JSON.stringify(other?.facts.problems)).toMatch(/view public.foreign_view of role \w+/)
    await project.warehouse.query('drop view public.foreign_view')
    await project.good()
    expect(
      await project.warehouse.query(
        "select 1 from information_schema.columns where table_name = 'fact_sale' and column_name = 'note'",
      ),
    ).toEqual([])
  })
  test('WarehouseDependents: a row that a table of the user refers to cannot go', async () => {
    await edit('dim_staff', [
      'on d.department_id = s.department_id',
      'on d.department_id = s.department_id where s.staff_id <> 1',
    ])
    const { error } = await project.run()
    expect(error).toMatchObject({ name: 'CheckFailed' })
    await edit('fact_sale', ['sales_staff_id -> dim_staff, ', ''])
    const { error: second } = await project.run()
    expect(second).toMatchObject({ name: 'WarehouseDependents' })
    await edit('dim_staff')
    await edit('fact_sale')
    await project.good()
    await project.warehouse.query('drop table target')
  })
})

describe('--forward', () => {
  test('P6, P7: old versions are kept as they were, new columns null in them, and the new query begins now', async () => {
    await edit('fact_sale', [
      'units, unit_price',
      'units * 10 as units, units as pieces, unit_price',
    ])
    await project.good({ forward: ['fact_sale'] })
    const versions = async (): Promise<unknown> =>
      project.warehouse.query(
        'select units, pieces, batch, valid_to is null as current from fact_sale where sale_id = 8800101 order by sale_record_id',
      )
    expect(await versions()).toEqual([
      { units: '10', pieces: null, batch: '1', current: 'f' },
      { units: '11', pieces: null, batch: '2', current: 'f' },
      { units: '110', pieces: '11', batch: '3', current: 't' },
    ])
    await expectRebuilt()
    await change('update sale set units = 12 where sale_id = 8800101')
    const kept = await versions()
    expect(kept).toHaveLength(4)
    await expectRebuilt()
    expect((await project.good()).outcome).toBe('nothing to do')
    // Another edit, which says nothing of rows, leaves them so, although the new query demands what they lack.
    await edit(
      'fact_sale',
      ['units, unit_price', 'units * 10 as units,  units as pieces, unit_price'],
      ['-- nullable', '-- types: unit_price numeric(12,2)\n-- nullable'],
    )
    const { events } = await project.run()
    expect(events.filter(({ type }) => type === 'note')).toEqual([
      expect.objectContaining({ text: 'fact_sale was edited: unit_price is numeric(12,2)' }),
    ])
    expect(await versions()).toEqual(kept)
    await expectRebuilt()
  })
  test('a new model begins now', async () => {
    await project.write(
      'models/extra.sql',
      (MODELS['fact_payment'] ?? '').replace('payment_record_id', 'extra_id'),
    )
    await project.good({ forward: ['extra'] })
    expect(await project.warehouse.query('select batch, payment_id from extra')).toEqual([
      { batch: '5', payment_id: '1' },
    ])
    await expectRebuilt()
  })
  test('a name that is no model is said', async () => {
    const { events } = await project.run({ forward: ['fact_sal'] })
    expect(events).toContainEqual({
      type: 'note',
      level: 'warn',
      text: 'no model is named "fact_sal"; did you mean "fact_sale"?',
    })
  })
})

describe('models that go', () => {
  test('a removed model: its table stays, is said, and is loaded no more; and it comes back whole', async () => {
    await rm(join(project.folder, 'models/extra.sql'))
    const { events } = await project.run()
    expect(events).toContainEqual({
      type: 'note',
      level: 'warn',
      text: 'extra has no model any more; its rows stay in lake and warehouse as they are',
    })
    expect((await project.tote('status')).stdout).toMatch(/extra +fact, no model/)
    await change('update payment set amount = amount + 1')
    expect(await project.warehouse.query('select amount from extra')).toEqual([{ amount: '21.00' }])
    await expectRebuilt(['extra', 'extra_current'])
    await project.write(
      'models/extra.sql',
      (MODELS['fact_payment'] ?? '').replace('payment_record_id', 'extra_id'),
    )
    await project.good()
    expect(await project.warehouse.query('select amount from extra order by extra_id')).toEqual([
      { amount: '21.00' },
      { amount: '22.00' },
    ])
    await expectRebuilt()
  })
})
