/** A source that is not what it was: another shape, emptied, put aside, replaced. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createProject, type TestProject } from '../support/project.ts'
import { expectRefusal } from '../support/refusal.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'
import { SHOP } from '../support/project-shop.ts'

let project: TestProject

describe('a frozen source: a changed schema', () => {
  const FROZEN = "contract: 'freeze',"
  beforeAll(async () => {
    project = await createProject({ source: FROZEN })
    // The tables below can be altered without the foreign keys that hold them together.
    await project.source.query(
      'alter table payment drop constraint payment_payment_type_id_fkey; alter table sale drop constraint sale_customer_id_fkey',
    )
    await project.good()
  })
  afterAll(async () => project.close())

  test.each([
    [
      'a column is added',
      "alter table sale add column colour text default 'Qx7'",
      'alter table sale drop column colour',
      'sale.colour is new (text)',
    ],
    [
      'a column is re-typed',
      'alter table sale alter column units type bigint',
      'alter table sale alter column units type integer',
      'sale.units was integer and is bigint',
    ],
    [
      'a column is renamed',
      'alter table staff rename column last_name to surname',
      'alter table staff rename column surname to last_name',
      'staff.last_name is called "surname" now',
    ],
    [
      'a label of an enum is renamed',
      "alter type pay_kind rename value 'CASH' to 'COINS'",
      "alter type pay_kind rename value 'COINS' to 'CASH'",
      'payment_type.payment_type_name label 2 of public.pay_kind is called otherwise',
    ],
    ['a table goes', 'alter table payment set schema pg_catalog', '', 'payment is no longer there'],
    [
      'a table is renamed',
      'alter table payment rename to payments',
      'alter table payments rename to payment',
      'payment is no longer there',
    ],
    [
      'a key changes',
      'alter table payment_type drop constraint payment_type_pkey, add primary key (payment_type_id, payment_type_name)',
      'alter table payment_type drop constraint payment_type_pkey, add primary key (payment_type_id)',
      'payment_type had the key (payment_type_id) and has (payment_type_id, payment_type_name)',
    ],
  ])(
    '%s: SourceChanged, nothing is written, and undoing it is enough',
    async (_, change, undo, words) => {
      // A table that "goes" is moved where no pattern looks, so that it can come back.
      const moved = change.includes('pg_catalog')
      await project.source.query(
        moved ? 'create schema aside; alter table payment set schema aside' : change,
      )
      await project.source.query(
        "update address set city = 'Qx7 changed as well' where address_id = 2",
      )
      if (moved) await project.configure({ source: `${FROZEN} tables: { include: ['public.*'] }` })
      await expectRefusal(project, {
        name: 'SourceChanged',
        says: ['source "shop"', words, 'before anything was written', 'undo the change'],
      })
      await project.source.query(
        moved ? 'alter table aside.payment set schema public; drop schema aside' : undo,
      )
      await project.source.query(
        "update address set city = 'Qx7 ''Pyongyang''' where address_id = 2",
      )
      const { outcome, tables } = await project.good()
      // A new column that goes again leaves every row as it was.
      expect(
        tables.every(({ inserted, updated, deleted }) => inserted + updated + deleted === 0),
      ).toBe(true)
      expect(outcome).toBe('nothing to do')
    },
  )
  test('every change is said at once', async () => {
    await project.source.query(
      `alter table sale add column colour text; alter table staff alter column last_name type varchar(80);
       alter table payment_type alter column payment_type_name type text`,
    )
    await expectRefusal(project, {
      name: 'SourceChanged',
      says: [
        'sale.colour is new (text)',
        'staff.last_name was text and is character varying(80)',
        'payment_type.payment_type_name was public.pay_kind and is text',
      ],
    })
    await project.source.query(
      `alter table sale drop column colour; alter table staff alter column last_name type text;
       alter table payment_type alter column payment_type_name type pay_kind using payment_type_name::pay_kind`,
    )
    expect((await project.good()).tables.every(({ updated }) => updated === 0)).toBe(true)
  })
  test('one table can have a contract of its own, and what is accepted is accepted once', async () => {
    await project.configure({ source: `${FROZEN} table: { staff: { contract: 'evolve' } }` })
    await project.source.query(
      'alter table staff add column colour text; alter table address add column colour text',
    )
    await expectRefusal(project, {
      name: 'SourceChanged',
      says: ['address.colour is new (text)', 'tote run --accept-change address'],
    })
    expect((await project.tote('run', '--accept-change', 'address')).exit).toBe(0)
    expect((await project.good()).outcome).toBe('nothing to do')
    await project.source.query('alter table address drop column colour')
    await expectRefusal(project, {
      name: 'SourceChanged',
      says: ['address.colour is no longer there'],
    })
    await project.good({ acceptChange: ['public.address'] })
  })
  test('P2: a table that is new is refused, too; where it may evolve it is simply taken in, a batch of the lake and none of the star', async () => {
    await project.source.query(
      "create table extra (id integer primary key, t text); insert into extra values (1, 'Qx7')",
    )
    await expectRefusal(project, { name: 'SourceChanged', says: ['extra is new'] })
    await project.configure({})
    const before = await project.good({ only: 'transform' })
    const told = await project.tote('run')
    expect(told.exit).toBe(0)
    expect(told.stdout).toMatch(/shop\.extra +0 +1 /)
    const after = await project.good()
    expect(after.tables.find(({ table }) => table === 'extra')).toMatchObject({ rowsInLake: 1 })
    expect(after.batches.processed).toEqual(before.batches.processed)
    expect(after.outcome).toBe('nothing to do')
  })
})

describe('a table that is emptied', () => {
  beforeAll(async () => {
    project = await createProject()
    await project.source.query(
      `insert into address select n, 'Qx7', 'Qx7', '00100', null from generate_series(3, 1200) n;
       alter table customer drop constraint customer_legal_address_id_fkey`,
    )
    await project.good()
  })
  afterAll(async () => project.close())

  test('by TRUNCATE: more than half of it is refused until it is accepted, table by table', async () => {
    await project.source.query('truncate address')
    await expectRefusal(project, {
      name: 'ShrinkRefused',
      says: [
        'more than 50 % of a table',
        'address 1200 of 1200 rows would be deleted',
        'tote run --accept-shrink address',
      ],
    })
    // Another table's acceptance is not this one's.
    await expectRefusal(project, {
      name: 'ShrinkRefused',
      args: ['run', '--accept-shrink', 'sale'],
      says: ['1200 of 1200'],
    })
  })
  test('put back before it was accepted: nothing happened', async () => {
    await project.source.query(
      `insert into address select n, 'Qx7', 'Qx7', '00100', null from generate_series(3, 1200) n;
       insert into address values (1, '007 High Street Qx7', 'Leds Qx7', '08841', '0044 113'),
         (2, 'Rue de l''Étoile Qx7', 'Qx7 ''Pyongyang''', '00100', null)`,
    )
    expect((await project.good()).outcome).toBe('nothing to do')
  })
  test('accepted once, it is not accepted for ever', async () => {
    await project.source.query('delete from address where address_id > 100')
    expect((await project.tote('run', '--accept-shrink', 'address')).exit).toBe(0)
    await project.source.query(
      `insert into address select n, 'Qx7', 'Qx7', '00100', null from generate_series(101, 1500) n`,
    )
    await project.good()
    await project.source.query('delete from address where address_id > 100')
    await expectRefusal(project, { name: 'ShrinkRefused', says: ['1400 of 1500 rows'] })
    await project.good({ acceptShrink: ['public.address'] })
  })
  test('P6: a small table has no limit: TRUNCATE closes every version of its facts, and keeps them', async () => {
    await project.source.query('truncate sale')
    await project.good()
    expect(
      await project.warehouse.query(
        'select count(*) n, count(*) filter (where is_deleted and valid_to is not null) gone from fact_sale',
      ),
    ).toEqual([{ n: '6', gone: '6' }])
  })
})

describe('another database behind the same URL', () => {
  beforeAll(async () => {
    project = await createProject()
    await project.good()
  })
  afterEach(async () => project.environment({}))
  afterAll(async () => project.close())

  test('of another name: SourceReplaced, until it is accepted; then it is the source', async () => {
    const other = await anotherShop()
    await other.query("update payment_type set payment_type_name = 'CASH'")
    await project.environment({
      SHOP_URL: project.urls.source.replace(project.source.name, other.name),
    })
    await expectRefusal(project, {
      name: 'SourceReplaced',
      says: ['Source "shop"', 'database name differs', 'tote run --accept-source'],
    })
    const told = await project.tote('run', '--accept-source')
    expect(told.exit).toBe(0)
    expect(told.stdout).toMatch(/shop\.payment_type +1 +– +1 +– +1 +1 /)
    expect((await project.good()).outcome).toBe('nothing to do')
    await other.query(`drop owned by ${project.reader}`)
    await other.drop()
  })
  test('back at the first, which is now the other one', async () => {
    await expectRefusal(project, { name: 'SourceReplaced', says: ['database name differs'] })
    await project.good({ acceptSource: true })
    expect(await project.warehouse.query('select payment_type_name from dim_payment_type')).toEqual(
      [{ payment_type_name: 'CARD' }],
    )
  })
  test('P2: dropped and made anew under its name: no digest counts, every row is compared', async () => {
    const other = await anotherShop()
    await other.query("update department set location = 'Qx7 anew' where department_id = 1")
    await project.source.drop()
    await project.warehouse.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1',
      [other.name],
    )
    await project.warehouse.query(`alter database ${other.name} rename to ${project.source.name}`)
    const { tables } = await project.good()
    const changed = tables.filter((table) => table.inserted + table.updated + table.deleted > 0)
    expect(changed).toMatchObject([{ table: 'department', inserted: 0, updated: 1, deleted: 0 }])
  })
})

/** A database with the shop as it was in the beginning. */
async function anotherShop(): Promise<TestDatabase> {
  const database = await (await testServer()).createDatabase('e2e_other')
  await database.query(SHOP)
  await database.query(`grant select on all tables in schema public to ${project.reader}`)
  return database
}
