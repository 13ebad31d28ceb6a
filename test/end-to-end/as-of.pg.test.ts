/** P6: the lake and the facts of the warehouse as they were at any batch, asked from the command line. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { query } from '../../src/inspect/query.ts'
import { parseAsOf } from '../../src/project/moment.ts'
import { createProject, type TestProject } from '../support/project.ts'
import { expectRefusal } from '../support/refusal.ts'

let project: TestProject
/** What each batch was seen to hold while it was the newest. */
const seen: {
  instant: string
  lake: unknown
  models: unknown
  facts: unknown
  current: unknown
}[] = []
const LAKE = 'select * from shop.sale order by sale_id'
const MODEL = 'select staff_id, last_name, location from dim_staff order by staff_id'
const FACTS = 'select * from fact_sale where valid_to is null order by sale_record_id'
const CURRENT = 'select * from fact_sale_current order by sale_record_id'

async function ask(
  sql: string,
  asOf?: string,
  on: 'lake' | 'warehouse' = 'lake',
): Promise<unknown> {
  const context = {
    run: 'here',
    signal: new AbortController().signal,
    now: () => new Date(),
    emit: () => undefined,
  }
  const options = { on, limit: 100, asOf: asOf === undefined ? undefined : parseAsOf(asOf) }
  const { rows } = await project.opened(async (opened) => query(opened, sql, options, context))
  return rows
}

/** A version that was current then may have ended since: all but its end is as it was. */
function withoutEnd(rows: unknown): unknown {
  return (rows as unknown[][]).map((row) => row.filter((_, column) => column < 10 || column === 13))
}

beforeAll(async () => {
  project = await createProject({ lake: 'baseAfter: { files: 2 }' })
  for (const sql of [
    'select 1',
    "update sale set units = 11 where sale_id = 8800101; update staff set last_name = 'Two Qx7' where staff_id = 2",
    'delete from sale where sale_id = 8800102; update department set location = null where department_id = 1',
    "insert into sale values (8800102, now(), now(), 1, 1, 5, 1.00, 'Qx7 again'), (8800109, now(), now(), 3, 1, 5, 1.00, null)",
    'update sale set units = units + 1; delete from staff where staff_id = 2 and false',
  ]) {
    await project.source.query(sql)
    const { batches } = await project.good()
    seen.push({
      instant: batches.processed?.instant ?? '',
      lake: await ask(LAKE),
      models: await ask(MODEL),
      facts: await ask(FACTS, undefined, 'warehouse'),
      current: await ask(CURRENT, undefined, 'warehouse'),
    })
  }
  await project.write(
    'models/gone.sql',
    '-- kind: fact\n-- key: payment_id\n-- record id: gone_id\nselect payment_id from shop.payment\n',
  )
  await project.good()
  await rm(join(project.folder, 'models/gone.sql'))
  await project.good()
}, 120_000)
afterAll(async () => project.close())

test('P6: every batch, by its number and by its moment, is what it was when it was the newest', async () => {
  for (const [index, { instant, lake, models, facts, current }] of seen.entries()) {
    for (const asOf of index === 2
      ? [String(index + 1), instant]
      : [index % 2 === 0 ? String(index + 1) : instant]) {
      // prettier-ignore
      const then = {
        lake: await ask(LAKE, asOf),
        models: await ask(MODEL, asOf),
        current: await ask(CURRENT, asOf, 'warehouse'),
        facts: withoutEnd(await ask('select * from fact_sale order by sale_record_id', asOf, 'warehouse')),
      }
      expect({ asOf, ...then }).toEqual({ asOf, lake, models, current, facts: withoutEnd(facts) })
    }
  }
})

test('changes end with the batch, a moment between two batches is the earlier one, and latest values are said to be that', async () => {
  expect(await ask('select max(_tote_batch) from changes.fact_sale', '2')).toEqual([[2n]])
  const between = new Date(Date.parse(seen[1]?.instant ?? '') + 1).toISOString()
  expect(await ask(LAKE, between)).toEqual(seen[1]?.lake)
  const { stdout, stderr } = await project.tote('query', '--warehouse', '--as-of', '1', 'select count(*) from dim_staff join fact_sale on sales_staff_id = staff_id') // prettier-ignore
  expect(stderr).toMatch(/as of batch 1 \(/)
  expect(stderr).toContain('dim_staff: the warehouse keeps the latest values only')
  expect(stdout).toMatch(/\b6\b/)
  expect((await project.onTerminal('show', 'fact_sale', '--as-of', '1')).exit).toBe(0)
})

test('a table whose model is gone, and which is not what the lake knows of it, keeps no other from being asked', async () => {
  const question = 'select count(*) from fact_sale'
  const before = await ask(question, '1', 'warehouse')
  // As in a warehouse that was put back to where it was of another kind.
  await project.warehouse.query('alter table gone drop column valid_to cascade')
  expect(await ask(question, '1', 'warehouse')).toEqual(before)
  const { stderr } = await project.tote('query', '--warehouse', '--as-of', '1', 'table gone')
  expect(stderr).toContain('gone: the warehouse keeps the latest values only')
})

test('P11: a question as of a batch can change nothing', async () => {
  const before = await project.standing()
  for (const sql of [
    'delete from fact_sale',
    'with gone as (delete from dim_staff returning 1) select * from gone',
    'select 1; commit; drop table fact_sale',
  ])
    // prettier-ignore
    expect((await project.tote('query', '--warehouse', '--as-of', '1', sql)).exit).toBe(2)
  expect(await project.standing()).toEqual(before)
})

test('UsageInvalid: no such batch, nothing yet, the future, and what the warehouse does not have', async () => {
  const refused = async (asOf: string, ...says: string[]): Promise<unknown> =>
    expectRefusal(project, { name: 'UsageInvalid', says, args: ['query', '--as-of', asOf, 'select 1'] }) // prettier-ignore
  await refused('99', 'There is no batch 99', 'batches go from 1 (')
  await refused('0', 'number of a batch')
  await refused('yesterday', 'number of a batch')
  await refused('2020-01-01', 'no batch yet at 2020-01-01')
  await refused('2999-01-01', 'in the future')
  await project.source.query('update sale set units = units + 1')
  await project.good({ only: 'extract' })
  await project.good({ only: 'transform' })
  await expectRefusal(project, {
    name: 'UsageInvalid',
    says: ['not in the warehouse yet', 'stands at batch'],
    args: ['query', '--warehouse', '--as-of', '6', 'select 1'],
  })
})
