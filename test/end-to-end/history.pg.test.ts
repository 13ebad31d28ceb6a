/**
 * The shop over many batches. After every one the star's current rows equal the models computed afresh
 * in PostgreSQL over the source (P7), and the summary's counts equal the test's own in source, lake
 * and warehouse (P12). Pitfalls are those of earlier systems, by their numbers in the fact sheet.
 */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { RunSummary } from '../../src/events.ts'
import { createProject, type TestProject } from '../support/project.ts'
import { remember, starDifferences, untruths } from '../support/project-counts.ts'
import { filesUnder } from '../support/project-standing.ts'

let project: TestProject
beforeAll(async () => {
  project = await createProject()
  await project.source.query(
    'create schema before; ' +
      ['department', 'address', 'staff', 'customer', 'sale', 'payment_type', 'payment']
        .map((table) => `create table before.${table} as table public.${table} with no data`)
        .join('; '),
  )
  await batch('select 1')
})
afterAll(async () => project.close())

/** Something happens at the source, and one run carries it; P7 and P12 are proved each time. */
async function batch(sql: string): Promise<RunSummary> {
  await project.source.query(sql)
  const summary = await project.good()
  expect(await starDifferences(project), 'P7').toEqual([])
  expect(await untruths(project, summary), 'P12').toEqual([])
  await remember(project.source)
  return summary
}

async function versions(id: number): Promise<unknown> {
  return project.warehouse.query(
    `select units, is_deleted, valid_from is not null as "from", valid_to is null as current
     from fact_sale where sale_id = $1 order by valid_from`,
    [id],
  )
}

const version = (units: number, state: 'past' | 'current' | 'deleted'): Record<string, string> => ({
  units: String(units),
  is_deleted: state === 'deleted' ? 't' : 'f',
  from: 't',
  current: state === 'current' ? 't' : 'f',
})

/** The rows as they stood at a batch's instant, by the one-line predicate. */
async function asOf(summary: RunSummary, id: number): Promise<unknown> {
  return project.warehouse
    .query(
      'select units from fact_sale where sale_id = $1 and valid_from <= $2 and (valid_to is null or valid_to > $2)',
      [id, summary.batches.warehouse?.instant],
    )
    .then((rows) => rows.map((row) => row['units']))
}

describe('facts', () => {
  test('P2, P6, P7, P12, pitfalls 5 and 10: silent updates, a delete and a re-insert are all versions; sums over them stay true', async () => {
    const updated = await batch('update sale set units = 11 where sale_id = 8800101')
    expect(await versions(8800101)).toEqual([version(10, 'past'), version(11, 'current')])
    const again = await batch('update sale set units = 10 where sale_id = 8800101')
    const deleted = await batch('delete from sale where sale_id = 8800101')
    expect(await versions(8800101)).toEqual([
      version(10, 'past'),
      version(11, 'past'),
      version(10, 'deleted'),
    ])
    expect(
      await project.warehouse.query('select 1 from fact_sale_current where sale_id = 8800101'),
    ).toEqual([])
    const back = await batch(
      `insert into sale select 8800101, created_at, last_updated, 1, 1, 12, 2.10, null from sale where sale_id = 8800102`,
    )
    expect(await versions(8800101)).toEqual([
      version(10, 'past'),
      version(11, 'past'),
      version(10, 'deleted'),
      version(12, 'current'),
    ])
    expect(await asOf(updated, 8800101)).toEqual(['11'])
    expect(await asOf(again, 8800101)).toEqual(['10'])
    expect(await asOf(deleted, 8800101)).toEqual([])
    expect(await asOf(back, 8800101)).toEqual(['12'])
  })
  test('P6: a row that changed and changed back between two runs is no change; a key that moved is a delete and an insert', async () => {
    const { outcome } = await batch(
      'update sale set units = 1 where sale_id = 8800102; update sale set units = 20 where sale_id = 8800102',
    )
    expect(outcome).toBe('nothing to do')
    const moved = await batch('update sale set sale_id = 8800199 where sale_id = 8800106')
    expect(moved.tables.find(({ table }) => table === 'sale')).toMatchObject({
      inserted: 1,
      updated: 0,
      deleted: 1,
    })
    expect(await versions(8800106)).toEqual([version(60, 'deleted')])
    expect(await versions(8800199)).toEqual([version(60, 'current')])
  })
  test('P2, pitfall 3: stamped before a run, committed after it', async () => {
    const late = new pg.Client({ connectionString: project.source.url })
    await late.connect()
    await late.query(
      "begin; insert into sale values (8800301, '2024-11-04 10:00', '2024-11-04 10:00', 1, 1, 301, 2.10, null)",
    )
    await batch(
      "insert into sale values (8800302, '2024-11-04 10:01', '2024-11-04 10:01', 1, 1, 302, 2.10, null)",
    )
    expect(await versions(8800301)).toEqual([])
    await late.query('commit')
    await late.end()
    await batch('select 1')
    expect(await versions(8800301)).toEqual([version(301, 'current')])
  })
  test('P2, pitfall 4: ties to the millisecond, on both sides of a run', async () => {
    const tie = "timestamp '2024-11-05 07:55:10.001'"
    await batch(
      `update sale set units = 91, last_updated = ${tie} where sale_id in (8800102, 8800103)`,
    )
    const summary = await batch(
      `update sale set units = 92, last_updated = ${tie} where sale_id in (8800103, 8800104)`,
    )
    expect(summary.tables.find(({ table }) => table === 'sale')).toMatchObject({ updated: 2 })
  })
  test('P4, pitfall 10: record ids are numbered without a gap, by key within each batch, and run again adds nothing', async () => {
    expect(
      await project.warehouse.query(
        `select count(*) = max(sale_record_id) and min(sale_record_id) = 1 as gapless,
           bool_and(sale_record_id = place) as ordered
         from (select *, row_number() over (order by batch, sale_id) as place from fact_sale) f`,
      ),
    ).toEqual([{ gapless: 't', ordered: 't' }])
    const before = await project.standing()
    for (const only of ['extract', 'transform', 'load'] as const) {
      expect((await project.good({ only })).outcome).toBe('nothing to do')
    }
    expect(await project.standing()).toEqual(before)
  })
})

describe('dimensions', () => {
  test('P7, pitfall 12: a look-up that changed alone reaches every row that is joined to it', async () => {
    const address = await batch(
      "update address set line = '7, O''Connell Qx7' where address_id = 1",
    )
    const evaluated = ({ models }: RunSummary): RunSummary['models'] =>
      models.filter(({ ways }) => ways.skipped === 0)
    expect(evaluated(address)).toMatchObject([{ model: 'dim_customer', updated: 2 }])
    const department = await batch(
      "update department set location = null, department_name = 'Qx7 ''new''' where department_id = 1",
    )
    expect(evaluated(department)).toMatchObject([{ model: 'dim_staff', updated: 2 }])
    expect(department.warnings).toBe(1)
    await batch(
      "insert into department values (3, 'Qx7', 'Qx7'); update staff set department_id = 3 where staff_id = 2",
    )
    await batch(
      "insert into address values (9, 'Qx7', 'Qx7', '0', ''); update customer set legal_address_id = 9 where customer_id = 2",
    )
  })
  test('P6: a row that is gone stays, marked, for the versions that refer to it; and comes back', async () => {
    await batch(
      `insert into staff values (4, 'Qx7', 1);
       insert into sale values (8800401, now(), now(), 4, 1, 1, 1.00, null)`,
    )
    await batch('delete from sale where sale_id = 8800401; delete from staff where staff_id = 4')
    const marked = async (): Promise<unknown> =>
      project.warehouse.query(
        'select staff_id, last_name, is_deleted from dim_staff where staff_id = 4',
      )
    expect(await marked()).toEqual([{ staff_id: '4', last_name: 'Qx7', is_deleted: 't' }])
    expect(
      await project.warehouse.query(
        'select last_name from fact_sale join dim_staff on staff_id = sales_staff_id where sale_id = 8800401',
      ),
    ).toEqual([{ last_name: 'Qx7' }])
    await batch("insert into staff values (4, 'Qx7 again', 1)")
    expect(await marked()).toEqual([{ staff_id: '4', last_name: 'Qx7 again', is_deleted: 'f' }])
  })
})

test('P3, pitfalls 6, 7 and 16: a table of one row, a name that begins another, and quiet tables that are left alone', async () => {
  const files = async (): Promise<string[]> => filesUnder(`${project.folder}/lake`)
  const before = await files()
  await batch('update payment set paid = true')
  const added = (await files()).filter((name) => !before.includes(name))
  expect(
    added
      .filter((name) => name.endsWith('.parquet'))
      .map((name) => name.split('/').slice(0, 3).join('/')),
  ).toEqual(['ingestion/shop/payment', 'processed/shop/fact_payment'])
  // Nothing that was there was written again or removed.
  expect((await files()).filter((name) => before.includes(name))).toEqual(before)
  await batch("insert into payment_type values (2, 'CASH')")
  await batch('delete from payment')
  await batch('insert into payment values (2, 8800102, 2, 0.01, false)')
  expect(
    await project.warehouse.query(
      'select payment_id, paid, is_deleted from fact_payment order by payment_record_id',
    ),
  ).toEqual([
    { payment_id: '1', paid: 'f', is_deleted: 'f' },
    { payment_id: '1', paid: 't', is_deleted: 't' },
    { payment_id: '2', paid: 'f', is_deleted: 'f' },
  ])
})

test('P5: halfway through a load a reader sees the last batch in every table, then the next in every table', async () => {
  const seen = async (): Promise<Record<string, string | null> | undefined> =>
    (
      await project.warehouse.query(
        `select (select last_name from dim_staff where staff_id = 1) as name,
           (select amount from fact_payment_current) as amount, (select note from fact_sale_current where sale_id = 8800103) as note,
           (select count(*) from fact_sale f left join dim_staff d on d.staff_id = f.sales_staff_id where d.staff_id is null) as dangling`,
      )
    )[0]
  const before = await seen()
  await project.source.query(
    `update staff set last_name = 'Qx7 P5' where staff_id = 1; update payment set amount = 5.55;
     insert into staff values (5, 'Qx7', 1); update sale set note = 'Qx7 P5', staff_id = 5 where sale_id = 8800103`,
  )
  const holder = new pg.Client({ connectionString: project.warehouse.url })
  await holder.connect()
  // Readers pass, writers wait: dimensions are written by then, and facts are not.
  await holder.query('begin; lock table fact_sale in share mode')
  const running = project.run()
  await vi.waitFor(async () => {
    const [row] = await project.source.query(
      "select count(*) as n from pg_stat_activity where usename = $1 and wait_event_type = 'Lock'",
      [project.loader],
    )
    expect(row?.['n']).toBe('1')
  }, 10_000)
  expect(await seen()).toEqual(before)
  await holder.end()
  expect((await running).error).toBeUndefined()
  expect(await seen()).toEqual({ name: 'Qx7 P5', amount: '5.55', note: 'Qx7 P5', dangling: '0' })
})
