/** `tote init` on databases whose own name, or whose schemas, are those that Tote would use. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildWhenStale } from '../../scripts/build.js'
import { connect } from '../../src/postgres/connection.ts'
import { startCli, withPassword, type Told } from '../support/project.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'

let above: string
let source: TestDatabase
let warehouse: TestDatabase

beforeAll(async () => {
  if (!buildWhenStale()) throw new Error('dist/ is not built: see above')
  above = await mkdtemp(join(tmpdir(), 'tote-places-'))
  const server = await testServer()
  source = await server.createDatabase('places')
  warehouse = await server.createDatabase('places_warehouse')
  await source.query(
    `create schema tote; create table tote.customer (id integer primary key, name text);
     create schema warehouse; create table warehouse.shelf (id integer primary key, name text);
     create table item (id integer primary key, name text);
     insert into tote.customer values (1, 'theirs'); insert into warehouse.shelf values (1, 'theirs'); insert into item values (1, 'an item')`,
  )
})
afterAll(async () => {
  await warehouse?.drop()
  await source?.drop()
  await rm(above, { recursive: true, force: true })
})

async function tote(...args: string[]): Promise<Told> {
  return startCli(above, args).ended
}

async function init(
  folder: string,
  to: string,
): Promise<{ models: string[]; leftOut: { table: string; why: string }[] }> {
  const told = await tote('init', folder, '--source', source.url, '--warehouse', to, '--json')
  expect(told).toMatchObject({ exit: 0, stderr: '' })
  const { data } = JSON.parse(told.stdout) as {
    data: { models: { table: string }[]; leftOut: { table: string; why: string }[] }
  }
  return { models: data.models.map(({ table }) => table).toSorted(), leftOut: data.leftOut }
}

test('schemas called tote and warehouse are carried like any other, until Tote keeps its own things there', async () => {
  const all = ['public.item', 'tote.customer', 'warehouse.shelf']
  expect(await init('apart', warehouse.url)).toEqual({ models: all, leftOut: [] })
  expect((await tote('-C', 'apart', 'run')).exit).toBe(0)
  expect(await warehouse.query('select name from dim_tote_customer')).toEqual([{ name: 'theirs' }])
  // In one database with the star and its ledger they would be in each other's way.
  const shared = await init('shared', source.url)
  expect(shared.models).toEqual(['public.item'])
  expect(shared.leftOut.map(({ table }) => table)).toEqual(['tote.customer', 'warehouse.shelf'])
  for (const { why } of shared.leftOut) expect(why).toContain('another database for --warehouse')
  expect((await tote('-C', 'shared', 'run')).exit).toBe(0)
  expect(await source.query('select name from warehouse.dim_item')).toEqual([{ name: 'an item' }])
  expect((await tote('-C', 'shared', 'check', '--live')).stderr).toBe('')
  // Now there is a ledger, and a star beside their table.
  expect((await init('again', source.url)).models).toEqual(['public.item'])
}, 60_000)

test.each([
  ['select', 'select_db'],
  ['warehouse', 'warehouse_db'],
])(
  'a database called %s makes a project that runs',
  async (database, name) => {
    const url = (await testServer()).url(database)
    await source.query(`drop database if exists "${database}"`)
    await source.query(`create database "${database}"`)
    try {
      const connection = await connect({ side: 'source', name: 'test', url })
      await connection.query('make', 'create table item (id integer primary key, name text)')
      await connection.query('fill', `insert into item values (1, '${database}')`)
      await connection.close()
      const told = await tote('init', database, '--source', url, '--warehouse', warehouse.url)
      expect(told.exit).toBe(0)
      const config = await readFile(join(above, database, 'tote.config.ts'), 'utf8')
      expect(config).toContain(`name: '${name}'`)
      // The ledger of the project before knows only its own pipeline.
      await warehouse.query('drop table if exists dim_item')
      expect((await tote('-C', database, 'check', '--live')).exit).toBe(0)
      expect(await tote('-C', database, 'run')).toMatchObject({ exit: 0 })
      expect(await warehouse.query('select name from dim_item')).toEqual([{ name: database }])
      expect((await tote('-C', database, 'verify')).exit).toBe(0)
      const asked = await tote('-C', database, 'query', `select name from ${name}.item`)
      expect(asked.stdout).toContain(database)
    } finally {
      await source.query(`drop database if exists "${database}" with (force)`)
    }
  },
  60_000,
)

test('check --live tells that a source would carry the star, by whatever name it knows the database', async () => {
  const both = await (await testServer()).createDatabase('loop')
  try {
    await both.query('create table item (id integer primary key); insert into item values (1)')
    // As if the server had a second name, by which init took one database for two.
    const given = ['init', 'loop', '--source', both.url, '--warehouse', warehouse.url]
    expect((await tote(...given)).exit).toBe(0)
    const env = join(above, 'loop', '.env')
    const text = await readFile(env, 'utf8')
    await writeFile(env, text.replace(`/${warehouse.name}`, `/${both.name}`))
    const before = await tote('-C', 'loop', 'check', '--live')
    expect(before).toMatchObject({ exit: 0, stderr: '' })
    expect((await tote('-C', 'loop', 'run')).exit).toBe(0)
    const after = await tote('-C', 'loop', 'check', '--live')
    expect(after.exit).toBe(0)
    expect(after.stderr).toContain(
      'a table of the star would be read again with every batch (public.dim_item)',
    )
  } finally {
    await both.drop()
  }
}, 60_000)

test('P11: a role that may read nothing is told so once, and what to grant', async () => {
  const role = `nobody_${source.name}`
  await source.query(
    `create role ${role} login password 'nobody'; create schema "Odd One"; ${[1, 2, 3, 4, 5].map((n) => `create table "Odd One"."t${n}" (id integer primary key)`).join('; ')}`,
  )
  try {
    const told = await tote(
      'init',
      'none',
      '--source',
      withPassword(source.roleUrl(role), 'nobody'),
    )
    expect(told.exit).toBe(2)
    expect(told.stderr).toContain('"Odd One".t1, "Odd One".t2, "Odd One".t3, and ')
    expect(told.stderr.match(/cannot be read/g)).toHaveLength(1)
    expect(told.stderr.replaceAll(/\s+/g, ' ')).toMatch(
      new RegExp(
        `grant usage on schema [^;]*"Odd One"[^;]* to "${role}"; grant select on all tables in schema [^;]*"Odd One"[^;]* to "${role}"`,
      ),
    )
  } finally {
    await source.query(`drop schema "Odd One" cascade; drop role ${role}`)
  }
})
