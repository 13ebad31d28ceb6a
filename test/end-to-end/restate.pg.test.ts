/**
 * Edited models: restated as if they had always read so, or carried on with --forward; what hangs on
 * the tables stays; and a rebuild from the lake alone equals the live warehouse, record ids included.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createProject, type TestProject } from '../support/project.ts'
import { MODELS } from '../support/project-shop.ts'
import { alwaysSo, rebuilt, wholeStar } from '../support/rebuild.ts'

let project: TestProject
beforeAll(async () => {
  project = await createProject()
  await project.good()
  for (const units of [11, 12])
    await change(`update sale set units = ${units} where sale_id = 8800101`)
  await change(
    `delete from sale where sale_id = 8800102;
     insert into sale values (8800107, '2024-11-05', '2024-11-05', 1, 1, 70, 2.10, null);
     update department set location = 'Leeds 2 Qx7' where department_id = 1`,
  )
})
afterAll(async () => project.close())

/** Something happens at the source, and to a payment, too: each adds a batch whatever the models are. */
async function change(sql: string): Promise<void> {
  await project.source.query(`${sql}; update payment set amount = amount + 1`)
  await project.good()
}

const edit = async (name: string, ...changes: readonly [string, string][]): Promise<void> => {
  let text = MODELS[name] ?? ''
  for (const [from, to] of changes) {
    expect(text).toContain(from)
    text = text.replace(from, to)
  }
  await project.write(`models/${name}.sql`, text)
}
const sale = async (columns: string): Promise<unknown> =>
  project.warehouse.query(
    `select ${columns} from fact_sale where sale_id = 8800101 order by sale_record_id`,
  )

/** History is as if the models had always read so, and a rebuild of the lake equals it. */
async function expectRestated(): Promise<void> {
  const live = await wholeStar(project.warehouse)
  expect(await rebuilt(project), 'P7: rebuild').toEqual(live)
  expect(await alwaysSo(project), 'as if always').toEqual(live)
}

test('P6, P7: a new column is in every version, as if it had always been there', async () => {
  await edit('fact_sale', ['units, unit_price', 'units, units * 2 as twice, unit_price'])
  const { summary, events } = await project.run()
  expect(events).toContainEqual({
    type: 'note',
    level: 'info',
    text: 'fact_sale was edited: 0 of 6 rows change; new columns: twice; restated over 4 batches',
  })
  expect(summary.batches.processed?.batch).toBe(4)
  expect(await sale('units, twice, valid_to is null as current')).toEqual([
    { units: '10', twice: '20', current: 'f' },
    { units: '11', twice: '22', current: 'f' },
    { units: '12', twice: '24', current: 't' },
  ])
  await expectRestated()
  expect((await project.good()).outcome).toBe('nothing to do')
  await change('update sale set units = 13 where sale_id = 8800101')
  await expectRestated()
})

test('P7: rows that the edited query drops, versions that it no longer tells apart, and back again', async () => {
  await edit(
    'fact_sale',
    ['from shop.sale', 'from shop.sale where sale_id <> 8800103'],
    ['units, unit_price', 'units // 100 as units, unit_price'],
  )
  await project.good()
  expect(await sale('units')).toEqual([{ units: '0' }])
  await expectRestated()
  await edit('fact_sale')
  await project.good()
  expect(await sale('units')).toHaveLength(4)
  await expectRestated()
})

test('an edited dimension, a fact that reads a model, a new model and a renamed column', async () => {
  await edit('dim_staff', ['s.last_name,', 'upper(s.last_name) as name,'])
  await project.write(
    'models/fact_totals.sql',
    `-- kind: fact
-- key: sales_staff_id
-- record id: totals_record_id
-- references: sales_staff_id -> dim_staff
select f.sales_staff_id, max(d.name) as name, cast(sum(f.units) as bigint) as units
from fact_sale as f join dim_staff as d on d.staff_id = f.sales_staff_id group by 1`,
  )
  await project.good()
  await expectRestated()
  await edit('dim_staff')
  await project.write(
    'models/fact_totals.sql',
    `-- kind: fact
-- key: sales_staff_id
-- record id: totals_record_id
-- references: sales_staff_id -> dim_staff
select f.sales_staff_id, max(d.last_name) as name, cast(sum(f.units) as bigint) as units
from fact_sale as f join dim_staff as d on d.staff_id = f.sales_staff_id group by 1`,
  )
  await project.good()
  await expectRestated()
})

test('another key, another kind, another record id, other types and demands', async () => {
  await edit(
    'fact_payment',
    ['kind: fact', 'kind: dimension'],
    ['-- record id: payment_record_id\n', ''],
  )
  await edit(
    'dim_customer',
    ['kind: dimension', 'kind: table'],
    ['nullable: phone', 'nullable: phone, city'],
  )
  await edit(
    'fact_sale',
    ['record id: sale_record_id', 'record id: sale_version'],
    [', customer_id -> dim_customer', ''],
    ['-- check:', '-- types: units bigint\n-- check:'],
  )
  const said = [
    'fact_payment was edited: a dimension in the place of a fact, older versions go from the warehouse',
    'dim_customer was edited: a table in the place of a dimension',
    'fact_sale was edited: record ids in sale_version, units is bigint',
  ]
  const told = await project.tote('check')
  const { events } = await project.run()
  for (const text of said) {
    expect(told.stdout + told.stderr, 'said beforehand').toContain(text.replace(/^\w+ /, ''))
    expect(events).toContainEqual(expect.objectContaining({ type: 'note', text }))
  }
  await expectRestated()
  await edit('fact_payment', ['key: payment_id', 'key: sale_id, payment_type_id'])
  await edit('dim_customer')
  await edit('fact_sale')
  await project.good()
  await expectRestated()
  await edit('fact_payment')
  await project.good()
  await expectRestated()
})

test('an edit that changes no row restates nothing', async () => {
  const before = await project.warehouse.query('select xmin, * from fact_sale')
  await edit('fact_sale', ['select sale_id,', '/* the sales */ SELECT\n  sale_id,'])
  await project.good()
  await edit('fact_sale', ['units, unit_price', 'units + 0 as units, unit_price'])
  await project.good()
  expect(await project.warehouse.query('select xmin, * from fact_sale')).toEqual(before)
  expect((await project.good()).outcome).toBe('nothing to do')
  await edit('fact_sale')
  await project.good()
  await expectRestated()
})

test('a comment reaches the table', async () => {
  await edit('fact_sale', ['-- kind: fact', '-- kind: fact\n-- comment: Every sale'])
  await project.good()
  const [row] = await project.warehouse.query(
    "select obj_description('fact_sale'::regclass) as text",
  )
  expect(row?.['text']).toMatch(/^Every sale\n/)
  await edit('fact_sale')
  await project.good()
  const [plain] = await project.warehouse.query(
    "select obj_description('fact_sale'::regclass) as text",
  )
  expect(plain?.['text']).toMatch(/^Every version/)
})

test('P7: a new model sees what changed since the newest batch, too, with its own instant', async () => {
  // No customer lives there: no model changes a row, and no batch is added.
  await project.source.query("update address set city = 'Qx7 late' where address_id = 2")
  const { batches } = await project.good()
  await project.write(
    'models/fact_address.sql',
    '-- kind: fact\n-- key: address_id\n-- record id: address_version\nselect address_id, city from shop.address',
  )
  const summary = await project.good()
  expect(summary.batches.processed?.batch).toBe((batches.processed?.batch ?? 0) + 1)
  expect(
    await project.warehouse.query(
      'select city, batch from fact_address where address_id = 2 order by address_version',
    ),
  ).toEqual([
    { city: "Qx7 'Pyongyang'", batch: '1' },
    { city: 'Qx7 late', batch: String(summary.batches.processed?.batch) },
  ])
  await expectRestated()
})

test('older batches at which the edited model fails are passed over, the newest is not', async () => {
  await edit(
    'fact_sale',
    ['-- check: units >= 0', '-- check: units <> 11'],
    ['units, unit_price', 'units, -units as less, unit_price'],
  )
  const { error, events } = await project.run()
  expect(error).toBeUndefined()
  expect(events).toContainEqual(
    expect.objectContaining({
      level: 'warn',
      text: expect.stringMatching(/^1 of \d+ batches were passed over/),
    }),
  )
  expect((await sale('units')) as { units: string }[]).not.toContainEqual({ units: '11' })
  expect(await rebuilt(project), 'P7: rebuild').toEqual(await wholeStar(project.warehouse))
  const before = await project.standing()
  await edit(
    'fact_sale',
    ['-- check: units >= 0', '-- check: units > 100'],
    ['units, unit_price', 'units, -units as fewer, unit_price'],
  )
  expect((await project.run()).error).toMatchObject({
    name: 'CheckFailed',
    facts: { fix: expect.stringMatching(/correct the model; or, .*--forward fact_sale$/) },
  })
  expect(await project.standing()).toEqual(before)
  await edit('fact_sale')
  await project.good()
  await expectRestated()
})

test('P6, P7: a dimension with history keeps every version, from the first batch on, and facts refer to its current rows', async () => {
  const links = async (): Promise<unknown> =>
    project.warehouse.query(
      "select pg_get_constraintdef(oid) as text from pg_constraint where conrelid = 'fact_sale'::regclass and contype = 'f' order by 1",
    )
  const before = await links()
  await edit('dim_staff', [
    '-- kind: dimension',
    '-- kind: dimension\n-- history: true\n-- record id: staff_version',
  ])
  await project.good()
  expect(await links()).toHaveLength(1)
  await expectRestated()
  await change("update staff set last_name = 'Qx7 later' where staff_id = 1")
  const versions = await project.warehouse.query(
    `select location, last_name, valid_from < coalesce(valid_to, 'infinity') as lasts, valid_to is null as current, is_deleted
     from dim_staff where staff_id = 1 order by staff_version`,
  )
  const version = { last_name: "O'Keefe Qx7", lasts: 't', current: 'f', is_deleted: 'f' }
  expect(versions).toEqual([
    { ...version, location: 'Leeds Qx7' },
    { ...version, location: 'Leeds 2 Qx7' },
    { ...version, location: 'Leeds 2 Qx7', last_name: 'Qx7 later', current: 't' },
  ])
  expect(
    await project.warehouse.query('select last_name from dim_staff_current where staff_id = 1'),
  ).toEqual([{ last_name: 'Qx7 later' }])
  await expectRestated()
  // What refers to it is checked all the same, on its current rows.
  await project.source.query(
    'alter table sale drop constraint sale_staff_id_fkey; delete from staff where staff_id = 3',
  )
  expect((await project.run()).error).toMatchObject({ name: 'CheckFailed' })
  await project.source.query("insert into staff values (3, 'None Qx7', 1)")
  await edit('dim_staff')
  await project.good()
  expect(await links()).toEqual(before)
  await expectRestated()
})

test('P4: batches that the warehouse lacked when a model was edited are in its ledger, as in that of a rebuild', async () => {
  for (const units of [31, 32]) {
    await project.source.query(
      `update sale set units = ${units} where sale_id = 8800101; update payment set amount = amount + 1`,
    )
    await project.good({ only: 'extract' })
    await project.good({ only: 'transform' })
  }
  await edit('fact_sale', ['units, unit_price', 'units, units * 3 as thrice, unit_price'])
  const { batches } = await project.good()
  const ledger = async (): Promise<unknown> =>
    project.warehouse.query(
      'select generation, batch, manifest, instant from tote.ledger order by 3',
    )
  const [counted] = await project.warehouse.query(
    'select count(distinct batch) as n, max(batch) as last from tote.ledger',
  )
  const last = String(batches.processed?.batch)
  expect(counted).toEqual({ n: last, last })
  expect(
    await project.warehouse.query(
      'select f.units from fact_sale f left join tote.ledger l using (batch) where l.batch is null',
    ),
    'a version of a batch that the ledger does not know',
  ).toEqual([])
  const live = await ledger()
  expect((await project.tote('rebuild')).exit).toBe(0)
  expect(await ledger()).toEqual(live)
  await edit('fact_sale')
  await project.good()
  await expectRestated()
})

test('P7: a model that is removed while the warehouse is behind leaves its table as it was in the end', async () => {
  const text = MODELS['fact_payment'] ?? ''
  await project.write('models/fact_paid.sql', text.replace('payment_record_id', 'paid_id'))
  await project.good()
  for (const only of ['extract', 'transform'] as const) {
    await project.source.query('update payment set amount = amount + 1')
    await project.good({ only })
  }
  await project.source.query('update payment set amount = amount + 1')
  await project.good({ only: 'extract' })
  await rm(join(project.folder, 'models/fact_paid.sql'))
  await project.good()
  const [left] = await project.warehouse.query(
    'select count(*) as n, max(batch) filter (where valid_to is null) as last from fact_paid',
  )
  const [ledger] = await project.warehouse.query('select max(batch) as last from tote.ledger')
  // The last batch came after the model had gone.
  expect(Number(left?.['last'])).toBe(Number(ledger?.['last']) - 1)
  expect((await project.tote('rebuild', '--dry-run')).exit).toBe(0)
  // One that was dropped with its model does not come back.
  await project.write('models/fact_paid.sql', text.replace('payment_record_id', 'paid_id'))
  await project.good()
  await project.source.query('update payment set amount = amount + 1')
  await project.good({ only: 'extract' })
  await project.good({ only: 'transform' })
  await project.warehouse.query('drop table fact_paid cascade')
  await rm(join(project.folder, 'models/fact_paid.sql'))
  await project.good()
  const [gone] = await project.warehouse.query("select to_regclass('fact_paid') as there")
  expect(gone).toEqual({ there: null })
})
