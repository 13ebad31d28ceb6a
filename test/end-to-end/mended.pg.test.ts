/** What was refused must have a way on: correct the source, or restore the zone, and run again. */
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { createProject, type ProjectOptions, type TestProject } from '../support/project.ts'
import { expectRefusal } from '../support/refusal.ts'

const open: TestProject[] = []
afterEach(async () => {
  for (const project of open.splice(0)) await project.close()
})

async function project(models: Readonly<Record<string, string>>, options: ProjectOptions = {}) {
  const made = await createProject({
    setup: `create table bill (bill_id numeric primary key, due text not null, note text);
            insert into bill values (1.0, '2024-01-31', 'a'), (2, '2024-02-28', 'b')`,
    models,
    ...options,
  })
  open.push(made)
  return made
}

const DIMENSION = `-- kind: dimension
-- key: bill_id
-- nullable: note
select bill_id, cast(strptime(due, '%Y-%m-%d') as date) as due, note from shop.bill
`

test('a value that a model cannot take is passed over once it was corrected at the source', async () => {
  const shop = await project({ dim_bill: DIMENSION })
  await shop.good()
  await shop.source.query(`update bill set due = '2024-02-31' where bill_id = 2`)
  await expectRefusal(shop, { name: 'ModelFailed', says: ['dim_bill'], moves: 'ingestion' })
  expect((await shop.tote('status')).stdout).toContain('1 extracted batch waits to be transformed')
  await shop.source.query(`update bill set due = '2024-02-29' where bill_id = 2`)
  await shop.good()
  expect(await shop.warehouse.query('select due from dim_bill where bill_id = 2')).toEqual([
    { due: '2024-02-29' },
  ])
})

test('P2: an ingestion zone that lost its newest manifest is refused, before anything is committed onto it', async () => {
  const shop = await project({ dim_bill: DIMENSION })
  await shop.good()
  await shop.source.query(`update bill set note = 'c' where bill_id = 2`)
  await shop.good()
  await rm(join(shop.folder, 'lake', 'ingestion', 'shop', '_manifests', '0000000002.json'))
  await shop.source.query(`update bill set note = 'd' where bill_id = 2`)
  await expectRefusal(shop, {
    name: 'LakeCorrupt',
    says: ['stands for batch 2 of source "shop"', 'restore the ingestion zone'],
  })
})

test('text that is too long for a type of the header fails a check, before the commit', async () => {
  const shop = await project({
    dim_bill: DIMENSION.replace('-- nullable', '-- types: note varchar(3)\n-- nullable'),
  })
  await shop.good()
  await shop.source.query(`update bill set note = 'toolong' where bill_id = 1`)
  await expectRefusal(shop, {
    name: 'CheckFailed',
    says: ['length(note) <= 3', 'dim_bill'],
    moves: 'ingestion',
  })
  await shop.source.query(`update bill set note = 'fit' where bill_id = 1`)
  await shop.good()
})

test('P8: a header type into which the server would round is refused', async () => {
  const shop = await project({
    dim_bill: DIMENSION.replace('-- nullable', '-- types: bill_id numeric(10,2)\n-- nullable'),
  })
  await expectRefusal(shop, {
    name: 'ModelInvalid',
    says: ['cannot become numeric(10,2) without changing values'],
    moves: 'ingestion',
  })
})

test('a warehouse that does not fit is said by check --live, and before the first batch is made', async () => {
  const shop = await project({ dim_bill: DIMENSION })
  await shop.warehouse.query('create table dim_bill (other integer primary key)')
  const { exit, stderr } = await shop.tote('check', '--live')
  expect(exit).toBe(1)
  expect(stderr).toContain('WarehouseShapeMismatch')
  await expectRefusal(shop, {
    name: 'WarehouseShapeMismatch',
    says: ['dim_bill'],
    moves: 'ingestion',
  })
})

test('P7, P8: a key in another spelling is the same row, in the newest spelling', async () => {
  const shop = await project({ dim_bill: DIMENSION })
  await shop.good()
  await shop.source.query(`update bill set bill_id = 1.000 where bill_id = 1`)
  await shop.good()
  expect(
    await shop.warehouse.query('select bill_id::text, is_deleted from dim_bill order by bill_id'),
  ).toEqual([
    { bill_id: '1.000', is_deleted: 'f' },
    { bill_id: '2', is_deleted: 'f' },
  ])
})

test('a source that fails does not keep the next from being extracted', async () => {
  const shop = await project({ dim_bill: DIMENSION })
  await shop.good()
  const config = await readFile(join(shop.folder, 'tote.config.ts'), 'utf8')
  const down = `down: { type: 'postgres', url: 'postgres://nobody@127.0.0.1:1/none' },\n    shop:`
  await shop.write('tote.config.ts', config.replace('shop:', down))
  await shop.source.query(`update bill set note = 'c' where bill_id = 2`)
  const { summary, error } = await shop.run()
  expect(error?.name).toBe('SourceUnreachable')
  expect(summary.batches.ingestion['shop']?.batch).toBe(2)
})

test('a table that is accepted and not there is said, with the nearest name', async () => {
  const shop = await project({ dim_bill: DIMENSION })
  const { events } = await shop.run({ acceptShrink: ['bil', 'public.bill'] })
  const notes = events.flatMap((event) => (event.type === 'note' ? [event.text] : []))
  expect(notes).toEqual(['no table is named "bil"; did you mean "bill"?'])
})

test('every stage says why it failed', async () => {
  const shop = await project({ dim_bill: DIMENSION })
  await shop.environment({
    SHOP_URL: 'postgres://nobody@127.0.0.1:1/none',
    SHOP_WAREHOUSE_URL: 'postgres://nobody@127.0.0.1:1/none',
  })
  const { stderr, exit } = await shop.tote('run')
  expect(exit).toBe(3)
  expect(stderr).toContain('SourceUnreachable')
  expect(stderr).toContain('WarehouseUnreachable')
})
