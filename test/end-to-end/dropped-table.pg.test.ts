/**
 * A table that the source dropped, accepted: its rows are history that stays, and what they refer to goes on living. It
 * must not stop the star that a row which they refer to goes (docs/schema-changes.md).
 */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createProject, type TestProject } from '../support/project.ts'
import { expectRefusal } from '../support/refusal.ts'

let shop: TestProject
beforeEach(async () => {
  shop = await createProject()
  await shop.source.query(
    `insert into payment_type values (2, 'CASH'), (3, 'CASH'); insert into payment values (2, 8800102, 2, 5.00, true)`,
  )
  await shop.good()
  await shop.source.query('drop table payment')
  await shop.good({ acceptChange: ['payment'] })
})
afterEach(async () => shop.close())

const PAYMENTS = `select payment_id, payment_type_id, valid_to is null and not f.is_deleted as current, d.is_deleted as type_gone
  from fact_payment f join dim_payment_type d using (payment_type_id) order by 1`

test('P6, P7: a row that they refer to may go: it is told, and the star goes on, as does a star made anew', async () => {
  await shop.source.query('delete from payment_type where payment_type_id in (2, 3)')
  const { events, error } = await shop.run()
  expect(error).toBeUndefined()
  expect(events.filter(({ type }) => type === 'check.failed')).toEqual([
    expect.objectContaining({
      model: 'fact_payment',
      check: expect.stringContaining('references(payment_type_id -> dim_payment_type)') as string,
      severity: 'warn',
      rows: 1,
    }),
  ])
  const kept = [
    { payment_id: '1', payment_type_id: '1', current: 't', type_gone: 'f' },
    { payment_id: '2', payment_type_id: '2', current: 't', type_gone: 't' },
  ]
  expect(await shop.warehouse.query(PAYMENTS)).toEqual(kept)
  await shop.source.query(`update sale set units = 11 where sale_id = 8800101`)
  expect((await shop.good()).batches.warehouse?.batch).toBe(3)
  for (const args of [['verify'], ['rebuild', '--dry-run'], ['rebuild']])
    expect((await shop.tote(...args)).exit, `tote ${args.join(' ')}`).toBe(0)
  expect(await shop.warehouse.query(PAYMENTS)).toEqual(kept)
  await shop.configure({ warehouse: `schema: 'anew'` })
  await shop.good()
  expect(await shop.warehouse.query(`set search_path to anew; ${PAYMENTS}`)).toEqual(kept)
})

test('P1: rows of tables that live refer to what is there, and nothing refers to what never was there', async () => {
  await shop.source.query(
    'alter table sale drop constraint sale_staff_id_fkey; delete from staff where staff_id = 1',
  )
  await expectRefusal(shop, {
    name: 'CheckFailed',
    says: ['references(sales_staff_id -> dim_staff)', 'fact_sale'],
    moves: 'ingestion',
  })
  await shop.source.query(`insert into staff values (1, 'Qx7', 1)`)
  await shop.good()
  await shop.write(
    'models/fact_payment.sql',
    `-- kind: fact
-- key: payment_id
-- record id: payment_record_id
-- references: payment_type_id -> dim_payment_type
select p.payment_id, case when s.units = 77 then 9 else p.payment_type_id end as payment_type_id
from shop.payment as p join shop.sale as s on s.sale_id = p.sale_id
`,
  )
  await shop.good()
  await shop.source.query('update sale set units = 77 where sale_id = 8800102')
  await expectRefusal(shop, {
    name: 'CheckFailed',
    says: ['references(payment_type_id -> dim_payment_type)', 'fact_payment'],
    moves: 'ingestion',
  })
})

test('P1: once the table is back, its rows refer to what is there again', async () => {
  await shop.source.query('delete from payment_type where payment_type_id = 2')
  await shop.good()
  await shop.source.query(
    `create table payment (payment_id integer primary key, sale_id integer not null, payment_type_id integer not null,
       amount numeric(10,2) not null, paid boolean not null);
     insert into payment values (1, 8800101, 1, 21.00, false), (2, 8800102, 2, 5.00, true);
     grant select on payment to "${shop.reader}"`,
  )
  await shop.source.query(`update payment_type set payment_type_name = 'CASH' where payment_type_id = 1; delete from payment_type where payment_type_id = 3`) // prettier-ignore
  await expectRefusal(shop, {
    name: 'CheckFailed',
    says: ['references(payment_type_id -> dim_payment_type)'],
    moves: 'ingestion',
  })
  await shop.source.query('delete from payment where payment_id = 2')
  await shop.good()
})
