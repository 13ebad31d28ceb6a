/** Strategy `xmin` with what the config says of single tables: filters, masks, keys; and where it cannot be. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rowsAsOf } from '../../src/lake/read.ts'
import { createProject, type TestProject } from '../support/project.ts'

let project: TestProject

const SETUP = `
  create table vip (id integer primary key);
  create table customer (email text primary key, id integer not null, name text);
  create table named (id integer primary key, of regclass);
  create table bare (v text);
  create view seen as select 1 as one;
  insert into vip values (1), (2);
  insert into customer select 'm' || n || '@x.org', n, 'name ' || n from generate_series(1, 50) n;
  insert into named values (1, 'vip');
  insert into bare values ('x')`
const MODELS = { dim_vip: '-- kind: dimension\n-- key: id\nselect id from shop.vip\n' }

beforeAll(async () => {
  project = await createProject({ setup: SETUP, models: MODELS })
  await project.environment({ MASK_SECRET: 'a secret of enough letters' })
}, 60_000)
afterAll(async () => project.close())

async function lakeOf(table: string, order: string): Promise<Record<string, unknown>[]> {
  return project.opened(async ({ ingestion, engine: open }) => {
    const manifest = await ingestion.chain('shop').newest()
    if (manifest === null) throw new Error('nothing was extracted')
    const engine = await open()
    try {
      const rows = await rowsAsOf(ingestion, manifest, table, manifest.batch)
      return await engine.rows(`select * from (${rows}) order by ${order}`)
    } finally {
      engine.close()
    }
  })
}

test('P2, P10: a hashed key, and a filter that looks at another table', async () => {
  await project.configure({
    project: "maskSecret: env('MASK_SECRET')",
    source: `strategy: 'xmin', tables: { exclude: ['named', 'bare'] },
      table: { customer: { where: 'id in (select id from public.vip)', mask: { email: 'hash' } } }`,
  })
  await project.good({ only: 'extract' })
  const before = await lakeOf('customer', 'id')
  expect(before.map(({ id }) => id)).toEqual([1, 2])
  expect(before[0]?.['email']).toMatch(/^[0-9a-f]{64}$/)
  // Known by the digest of its pairs: nothing is compared, and nothing is written, not even a manifest.
  const standing = await project.standing()
  expect((await project.good({ only: 'extract' })).outcome).toBe('nothing to do')
  expect(await project.standing()).toEqual(standing)
  // No row of the table itself is written.
  await project.source.query('delete from vip where id = 1; insert into vip values (7)')
  const { tables } = await project.good({ only: 'extract' })
  expect(tables.find(({ table }) => table === 'customer')).toMatchObject({
    inserted: 1,
    updated: 0,
    deleted: 1,
    rowsInSource: 2,
    rowsInLake: 2,
  })
  expect((await lakeOf('customer', 'id')).map(({ id }) => id)).toEqual([2, 7])
  await project.source.query(`update customer set name = 'other' where id in (2, 3)`)
  await project.good({ only: 'extract' })
  expect((await lakeOf('customer', 'id')).map(({ name }) => name)).toEqual(['other', 'name 7'])
}, 120_000)

test('P2, P10: rows whose key is hashed are found by their place', async () => {
  await project.configure({
    project: "maskSecret: env('MASK_SECRET')",
    source: `strategy: 'xmin', tables: { exclude: ['named', 'bare'] }, table: { customer: { mask: { email: 'hash' } } }`,
  })
  await project.good({ only: 'extract' })
  expect((await project.good({ only: 'extract' })).outcome).toBe('nothing to do')
  await project.source.query(`update customer set name = 'by place' where id = 5;
    update customer set email = 'moved@x.org' where id = 6; delete from customer where id = 8;
    insert into customer values ('new@x.org', 99, 'new')`)
  const { tables } = await project.good({ only: 'extract' })
  // A key that is another is another row.
  expect(tables.find(({ table }) => table === 'customer')).toMatchObject({
    inserted: 2,
    updated: 1,
    deleted: 2,
    rowsInSource: 50,
    rowsInLake: 50,
  })
  const rows = await lakeOf('customer', 'id')
  const inSource = await project.source.query('select id, name from customer order by id')
  expect(rows.map(({ id, name }) => [String(id), name])).toEqual(
    inSource.map(({ id, name }) => [id, name]),
  )
  for (const { email } of rows) expect(email).toMatch(/^[0-9a-f]{64}$/)
}, 120_000)

test('a table that asks for xmin itself and cannot have it is a problem of the config; all of them at once', async () => {
  await project.configure({
    source: `tables: { include: ['*', 'seen'] }, table: { bare: { strategy: 'xmin' }, seen: { strategy: 'xmin' },
      named: { strategy: 'xmin' }, customer: { strategy: 'xmin', key: ['id'] }, vip: { strategy: 'xmin' } }`,
  })
  const { error } = await project.run({ only: 'extract' })
  expect(error?.name).toBe('ConfigInvalid')
  expect(error?.facts.problems?.map(({ message }) => message)).toEqual([
    'table "bare" has no key, so its changes cannot be found by xmin',
    'table "customer" has a key that the config gives, so its changes cannot be found by xmin',
    'table "named" has values that name objects of the server, which may be renamed, so its changes cannot be found by xmin',
    'table "seen" is no table whose rows have an xmin, so its changes cannot be found by xmin',
  ])
  expect(error?.facts.where).toMatch(/^tote\.config\.ts:\d+:\d+$/)
}, 60_000)

test('P2: asked of a whole source, such tables are compared; a renamed object is found', async () => {
  const other = await createProject({ setup: SETUP, models: MODELS, source: `strategy: 'xmin'` })
  try {
    await other.good({ only: 'extract' })
    await other.source.query(`create sequence one; insert into named values (2, 'one')`)
    await other.good({ only: 'extract' })
    await other.source.query('alter sequence one rename to two')
    const { tables } = await other.good({ only: 'extract' })
    expect(tables.find(({ table }) => table === 'named')).toMatchObject({ updated: 1 })
    const strategies = await other.opened(async ({ ingestion }) => {
      const manifest = await ingestion.chain('shop').newest()
      return Object.entries(manifest?.tables ?? {}).map(([name, { position }]) => [
        name,
        position['strategy'],
      ])
    })
    expect(Object.fromEntries(strategies)).toEqual({
      bare: 'compare',
      customer: 'xmin',
      named: 'compare',
      vip: 'xmin',
    })
  } finally {
    await other.close()
  }
}, 120_000)
