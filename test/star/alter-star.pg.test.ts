/** A star that is altered: how often the warehouse is asked, and of what it is freed. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { connect, type Connection } from '../../src/postgres/connection.ts'
import { alterStar, finishAltered } from '../../src/star/alter-star.ts'
import { addForeignKeys, addPrimaryKey, createTable, foreignKeysOf } from '../../src/star/ddl.ts'
import { layoutOf } from '../../src/star/layout.ts'
import type { StarTable } from '../../src/star/star-table.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'
import { columns, starTable } from '../support/star.ts'

let database: TestDatabase
let connection: Connection

beforeEach(async () => {
  database = await (await testServer()).createDatabase('alter')
  connection = await connect({ side: 'warehouse', name: 'warehouse', url: database.url })
})
afterEach(async () => {
  await connection.close()
  await database.drop()
})

/** Each refers to the one before. */
function chain(length: number): StarTable[] {
  return Array.from({ length }, (_, index) =>
    starTable({
      name: `d${index}`,
      kind: 'dimension',
      columns: columns(['id', 'integer', 'INTEGER'], ['up?', 'integer', 'INTEGER']),
      key: ['id'],
      references: index === 0 ? [] : [{ column: 'up', model: `d${index - 1}` }],
    }),
  )
}

async function create(star: readonly StarTable[]): Promise<void> {
  const layouts = star.map((table) => layoutOf(table))
  const texts = [
    ...layouts.map((layout) => createTable('public', layout)),
    ...layouts.map((layout) => addPrimaryKey('public', layout)),
    ...layouts.map((layout) => addForeignKeys('public', layout, foreignKeysOf(layout.table, star))),
  ]
  for (const text of texts) if (text !== undefined) await database.query(text)
}

/** The statements that were sent to make `live` a `star`. */
async function alter(live: readonly StarTable[], star: readonly StarTable[]): Promise<string[]> {
  const sent: string[] = []
  const recorded: Connection = {
    ...connection,
    query: async (doing, text, values) => {
      sent.push(text)
      return connection.query(doing, text, values)
    },
  }
  const site = { connection: recorded, schema: 'public' }
  await connection.query('begin', 'begin; set local search_path = pg_catalog, pg_temp')
  const altered = await alterStar(site, { star, live, types: new Map(), refilled: () => true })
  const run = async (doing: string, text: string | undefined): Promise<void> => {
    if (text !== undefined) await recorded.query(doing, text)
  }
  await finishAltered(site, { altered, star, run })
  await connection.query('commit', 'commit')
  return sent
}

async function foreignKeys(): Promise<string[]> {
  const rows = await database.query(
    `select conrelid::regclass || ' -> ' || confrelid::regclass as key from pg_constraint where contype = 'f' order by 1`,
  )
  return rows.map(({ key }) => key ?? '')
}

test('the warehouse is asked as often of a star of many tables as of one of few', async () => {
  const star = chain(40)
  await create(star)
  const few = star.slice(0, 2)
  const asked = (await alter(few, few)).length
  expect((await alter(star, star)).length).toBe(asked)
  expect(await foreignKeys()).toHaveLength(39)
})

test('a foreign key that went with its column is not in the way of the key that it stood on', async () => {
  const live = chain(3)
  await create(live)
  const star = live.map((table, index) => ({
    ...table,
    // Of another type, so the column goes and comes, and its key with it; then the key that it stood on is another.
    columns: columns(
      ['id', index === 0 ? 'bigint' : 'integer', 'BIGINT'],
      ['up?', index === 1 ? 'bigint' : 'integer', 'BIGINT'],
    ),
  }))
  // From the last to the first, as nothing promises an order.
  await alter(live, star.toReversed())
  expect(await foreignKeys()).toEqual(['d1 -> d0', 'd2 -> d1'])
  const types = await database.query(
    `select attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, atttypmod) as type from pg_attribute
     where attname in ('id', 'up') and attrelid in ('d0'::regclass, 'd1'::regclass) order by 1`,
  )
  expect(types.map(({ type }) => type)).toEqual([
    'd0.id bigint',
    'd0.up integer',
    'd1.id integer',
    'd1.up bigint',
  ])
})
