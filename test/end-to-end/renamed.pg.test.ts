/** A project or a source whose name was changed in the config is told at once, by every command that would go on from the lake. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createProject, type TestProject } from '../support/project.ts'
import { expectRefusal } from '../support/refusal.ts'

const CHOICES = `-- kind: dimension
-- key: n
select n from seeds.choice
`
const STAFF = `-- kind: dimension
-- key: staff_id
select staff_id, last_name from shop.staff
`

let shop: TestProject
beforeEach(async () => {
  shop = await createProject({ models: { dim_staff: STAFF, dim_choice: CHOICES } })
  await shop.write('seeds/choice.csv', 'n\n1\n')
  await shop.good()
})
afterEach(async () => shop.close())

interface Names {
  readonly project?: string
  readonly source?: string
  readonly lake?: string
  readonly schema?: string
  readonly more?: string
}

async function configure({
  project = 'shop',
  source = 'shop',
  lake = 'lake/processed',
  schema = 'public',
  more = '',
}: Names): Promise<void> {
  await shop.write(
    'tote.config.ts',
    `import { defineProject, env } from 'totedata'
export default defineProject({
  name: '${project}',
  sources: { ${source}: { type: 'postgres', url: env('SHOP_URL') }, ${more} },
  lake: { ingestion: 'lake/ingestion', processed: '${lake}' },
  warehouse: { url: env('SHOP_WAREHOUSE_URL'), schema: '${schema}' },
})
`,
  )
}

const GO_ON = [
  ['check'],
  ['check', '--live'],
  ['run'],
  ['run', '--dry-run'],
  ['run', '--only', 'load'],
  ['verify'],
  ['rebuild', '--accept-lake'],
]

test('P3: a renamed project is told whose lake it is, and that both ways out are ways', async () => {
  await configure({ project: 'store' })
  for (const args of GO_ON)
    await expectRefusal(shop, {
      name: 'LakeMismatch',
      says: [
        'The lake belongs to project "shop", and the config says name: "store".',
        join('lake', 'processed'),
        'if the project was renamed, set name back to "shop"; a project that begins has a lake to itself',
        'lake.processed',
        'warehouse.schema',
      ],
      args,
    })
  await configure({})
  expect((await shop.good()).outcome).toBe('nothing to do')
  await configure({ project: 'store', lake: 'lake/store', schema: 'store' })
  expect(
    (await shop.good()).warehouse.map(({ table, rowsCurrent }) => [table, rowsCurrent]),
  ).toEqual([
    ['dim_choice', 1],
    ['dim_staff', 3],
  ])
})

test('P3: a renamed source is told of what the lake was made, not that the lake is corrupt', async () => {
  await shop.write('models/dim_staff.sql', STAFF.replace('shop.staff', 'store.staff'))
  await configure({ source: 'store' })
  for (const args of GO_ON)
    await expectRefusal(shop, {
      name: 'LakeMismatch',
      says: [
        'The lake was made of source "shop", and the config has "store", "seeds".',
        'set the name of the source back, in models, too',
        'lake.processed',
      ],
      args,
    })
  await configure({ source: 'store', lake: 'lake/store', schema: 'store' })
  expect((await shop.good()).warehouse).toHaveLength(2)
})

test('a source more is none that the lake misses; one that is taken out again is', async () => {
  await configure({ more: `more: { type: 'postgres', url: env('SHOP_URL') }` })
  await shop.source.query('update staff set last_name = last_name where staff_id = 1')
  await shop.good()
  await configure({})
  await expectRefusal(shop, { name: 'LakeMismatch', says: ['made of source "more"'] })
})

test('seeds that are gone are a source that is gone', async () => {
  await rm(join(shop.folder, 'seeds'), { recursive: true })
  await expectRefusal(shop, {
    name: 'LakeMismatch',
    says: ['made of source "seeds"', 'put the folder of the seeds back'],
  })
})
