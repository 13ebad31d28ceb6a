/** Stars of more tables and types than a select has columns. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, type Connection } from '../../src/postgres/connection.ts'
import { readEmptyTables, readTypes } from '../../src/star/catalogue.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'

const MANY = 1700

let database: TestDatabase
let connection: Connection

beforeAll(async () => {
  database = await (await testServer()).createDatabase('wide')
  connection = await connect({ side: 'warehouse', name: 'warehouse', url: database.url })
})
afterAll(async () => {
  await connection.close()
  await database.drop()
})

const numbered = (name: string): string[] =>
  Array.from({ length: MANY }, (_, index) => `${name}${index}`)

test('which of very many tables are empty is asked at once', async () => {
  const tables = numbered('t')
  await database.query(tables.map((name) => `create table ${name} ()`).join('; '))
  await database.query('insert into t0 default values; insert into t1690 default values')
  const empty = await readEmptyTables(connection, 'public', tables)
  expect(tables.filter((name) => !empty.has(name))).toEqual(['t0', 't1690'])
  expect(empty.size).toBe(MANY - 2)
})

test('types of very many spellings are all looked up', async () => {
  const types = numbered('d')
  await database.query(types.map((name) => `create domain ${name} as int`).join('; '))
  await connection.query('begin', 'begin; set local search_path = pg_catalog')
  const spelled = [...types.map((name) => `public.${name}`), 'varchar(5)', 'public.not_there']
  const found = await readTypes(connection, spelled)
  await connection.query('rollback', 'rollback')
  expect([...found.keys()]).toEqual(spelled)
  expect(found.get('public.d1699')).toBe('public.d1699')
  expect(found.get('varchar(5)')).toBe('character varying(5)')
  expect(found.get('public.not_there')).toBeNull()
  expect([...found.values()].filter((type) => type === null)).toHaveLength(1)
})
