/** A project of two sources that have a table of one name. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createProject, type TestProject } from '../support/project.ts'

const TABLES = `
create table item (item_id integer primary key, name text);
create schema crm; create table crm.item (item_id integer primary key, cost numeric);
insert into item values (1, 'one'), (2, 'two'); insert into crm.item values (1, 1.5);
`

let project: TestProject
beforeAll(async () => {
  project = await createProject({
    setup: TABLES,
    sources: `crm: { type: 'postgres', url: env('SHOP_URL'), defaultSchema: 'crm' },`,
    models: {
      dim_item:
        '-- kind: dimension\n-- key: item_id\n-- nullable: cost\nselect i.item_id, i.name, c.cost from shop.item as i left join crm.item as c on c.item_id = i.item_id\n',
    },
  })
  await project.source.query(
    `grant usage on schema crm to ${project.reader}; grant select on crm.item to ${project.reader}`,
  )
  await project.good()
})
afterAll(async () => project.close())

test('a table is shown by the name of its source and its own, and its own alone is asked about', async () => {
  const { exit, stderr } = await project.onTerminal('show', 'item', '--no-color')
  expect(exit).toBe(2)
  expect(stderr).toContain('"item" may be any of shop.item, crm.item')
  expect(stderr).toContain('tote show shop.item')
  for (const name of ['shop.item', 'crm.item', 'dim_item'])
    expect((await project.onTerminal('show', name)).exit).toBe(0)
})
