/**
 * P8 for every type of PostgreSQL, in each format of the ingestion zone: `test/schemas/types.sql` through
 * two runs with changes between. Source and warehouse are two databases of one server, and are compared
 * inside it: types by `format_type`, rows by `except all` in both directions, as PostgreSQL prints them.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { quoteIdentifier, quoteLiteral } from '../../src/postgres/identifiers.ts'
import { createProject, type TestProject } from '../support/project.ts'
import { testServer } from '../support/postgres.ts'
import { whyNot } from '../support/schemas.ts'

const refused = await whyNot('types', await testServer())
const SCHEMA = readFileSync(join(import.meta.dirname, '../schemas/types.sql'), 'utf8')

/** What the warehouse takes where it lacks the type of the source's column (docs/types.md). */
const STANDINS: Readonly<Record<string, string>> = {
  feel: 'text',
  mixed: 'text',
  feeling_: 'text',
  many: 'integer',
  much: 'numeric(10,2)',
  brief: 'character varying(3)',
  list: 'numeric(6,2)[]',
  deeper: 'integer',
  couple: 'text',
  nested: 'text',
  couples: 'text[]',
  store: 'text',
  tree: 'text',
  query: 'text',
  isbn_: 'text',
  row_type: 'text',
  insensitive: 'text',
  cube_: 'text',
  cubes: 'text[]',
  words: 'text',
  many_words: 'text',
  moods: 'text[]',
  pairs: 'text[]',
  stores: 'text[]',
  cased: 'text[]',
  of_domain: 'numeric(10,2)[]',
  domain_lists: 'text[]',
}
/** Whose values name objects of the source's server: text in every warehouse. */
const NAMES: Readonly<Record<string, string>> = {
  class: 'text',
  type_: 'text',
  routine: 'text',
  role_: 'text',
  rights: 'text',
  many_rights: 'text[]',
}

interface Column {
  readonly table: string
  readonly name: string
  readonly type: string
}

const COLUMNS = `select c.relname as table, a.attname as name, format_type(a.atttypid, a.atttypmod) as type
  from pg_attribute a join pg_class c on c.oid = a.attrelid
  where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
  order by c.relname, a.attnum`

async function columnsOf(database: TestProject['source']): Promise<Column[]> {
  await database.query("set search_path = ''")
  const rows = (await database.query(COLUMNS)) as unknown as Column[]
  await database.query('reset search_path')
  return rows
}

/** The schema's own tables: made once, to know their names. */
let tables: Map<string, Column[]>
beforeAll(async () => {
  if (refused !== undefined) return
  const database = await (await testServer()).createDatabase('types')
  await database.query(SCHEMA)
  tables = new Map()
  for (const column of await columnsOf(database))
    tables.set(column.table, [...(tables.get(column.table) ?? []), column])
  await database.drop()
})

/** Dimensions are made of all tables, facts of those that a fact may treat otherwise. */
const hasFact = (table: string): boolean =>
  !table.startsWith('by_') || /^by_(double|numeric|citext|pair|many)$/.test(table)

test('docs/types.md has a row for every type of the schema', (ctx) => {
  ctx.skip(refused !== undefined, refused)
  const page = readFileSync(join(import.meta.dirname, '../../docs/types.md'), 'utf8')
  const types = [...tables.values()].flat().map(({ type }) => type)
  const own = types.filter((type) => !type.startsWith('public.'))
  const names = new Set(
    own.map((type) => type.replace(/\(.*?\)|\[\]| without.*| year to month| second/g, '')),
  )
  expect(names.size).toBeGreaterThan(60)
  for (const name of names)
    expect(page).toContain(`\`${name.replace(/^timestamp with time zone$/, 'timestamptz')}\``)
})

/** Every value of a row, as the output functions of the types print them. */
const printed = (columns: readonly Column[]): string =>
  `row(${columns.map(({ name }) => quoteIdentifier(name)).join(', ')})::text`

describe.each([
  { format: 'parquet', has: 'only its own types' },
  { format: 'csv', has: "the source's types, too" },
  { format: 'json', has: 'only its own types' },
])('P8: $format, to a warehouse that has $has', ({ format, has }) => {
  let project: TestProject
  beforeEach((ctx) => ctx.skip(refused !== undefined, refused))
  beforeAll(async () => {
    if (refused !== undefined) return
    const names = [...tables.keys()]
    const key = (table: string): string =>
      table === 'by_many' ? 'c, a, d, b' : table.startsWith('by_') ? 'k' : 'id'
    const models = names.flatMap((table) => [
      [
        `dim_${table}`,
        `-- kind: dimension\n-- key: ${key(table)}\n-- nullable: all\nselect * from shop.${table}\n`,
      ],
      ...(hasFact(table)
        ? [
            [
              `fact_${table}`,
              `-- kind: fact\n-- key: ${key(table)}\n-- record id: record_id\n-- nullable: all\nselect t.* from shop.${table} t\n`,
            ],
          ]
        : []),
    ])
    project = await createProject({
      setup: SCHEMA,
      models: Object.fromEntries(models) as Record<string, string>,
      lake: `format: '${format}'`,
    })
    await project.warehouse.query('create extension dblink')
    if (has !== 'only its own types') {
      const types = SCHEMA.slice(0, SCHEMA.indexOf('create table'))
      await project.warehouse.query(`${types}; create table numbers (
        id integer, small smallint, normal integer, large bigint, real_ real, double_ double precision, free numeric,
        fixed numeric(10,2), whole numeric(5), hundreds numeric(5,-2), tiny numeric(2,5), wide numeric(38,10),
        wider numeric(50,20), cash money, flag boolean, object oid, serial_number integer)`)
    }
  }, 60_000)
  afterAll(async () => project?.close())

  /** Rows that only one side has, by table: counted by the server, both directions. */
  async function differences(): Promise<string[]> {
    const found: string[] = []
    // The names of types and tables within values would lack their schemas otherwise.
    const url = `${project.source.url}?options=-c%20search_path%3D`
    await project.warehouse.query(
      `set search_path = ''; select public.dblink_connect('source', ${quoteLiteral(url)})`,
    )
    for (const [table, columns] of tables) {
      const theirs = quoteLiteral(`select ${printed(columns)} from public.${table}`)
      for (const model of [`dim_${table}`, ...(hasFact(table) ? [`fact_${table}`] : [])]) {
        const current = model.startsWith('dim_') ? 'not is_deleted' : 'valid_to is null'
        const [counts] = await project.warehouse.query(
          `with there as materialized (select v from public.dblink('source', ${theirs}) as s(v text)),
             here as materialized (select ${printed(columns)} as v from public.${model} where ${current})
           select (select count(*) from (table there except all table here) x) as missing,
             (select count(*) from (table here except all table there) x) as strange, (select count(*) from there) as rows`,
        )
        if (counts?.['missing'] !== '0' || counts['strange'] !== '0' || counts['rows'] === '0')
          found.push(`${model}: ${JSON.stringify(counts)}`)
      }
    }
    await project.warehouse.query("select public.dblink_disconnect('source'); reset search_path")
    return found
  }

  test('each column has the type that it has at the source, and each value is there', async () => {
    await project.good()
    const types = await columnsOf(project.warehouse)
    for (const [table, columns] of tables) {
      const expected = columns.map(({ name, type }) => {
        const lacking = has === 'only its own types' ? standin(name, type) : undefined
        return [name, NAMES[name] ?? lacking ?? type]
      })
      const found = types
        .filter((column) => column.table === `dim_${table}` && column.name !== 'is_deleted')
        .map(({ name, type }) => [name, type])
      expect([table, found]).toEqual([table, expected])
    }
    expect(await differences()).toEqual([])
  }, 120_000)

  test('and again when rows were deleted, copied and overwritten; equal rows are no change', async () => {
    expect((await project.good({ fullRefresh: true })).outcome).toBe('nothing to do')
    for (const [table, columns] of tables) {
      if (table.startsWith('by_')) continue
      const names = columns
        .filter(({ name }) => name !== 'id')
        .map(({ name }) => quoteIdentifier(name))
      const list = names.join(', ')
      await project.source.query(
        `delete from ${table} where id = 2;
         insert into ${table} (id, ${list}) select 1000 + id, ${list} from ${table} where id > 2;
         update ${table} set (${list}) = (select ${list} from ${table} o where o.id = 1) where id = 3;
         update ${table} set (${list}) = (select ${list} from ${table} o where o.id = 1004) where id = 1`,
      )
    }
    for (const table of tables.keys()) {
      if (!table.startsWith('by_')) continue
      await project.source.query(`update ${table} set v = v || '!'`)
    }
    await project.source.query(
      `update by_double set k = 0 where k = 0; update by_numeric set k = 1.000 where k = 1; update by_citext set k = 'aBC' where k = 'abc'`,
    )
    await project.good()
    expect(await differences()).toEqual([])
    expect((await project.good({ fullRefresh: true })).outcome).toBe('nothing to do')
    for (const table of tables.keys()) {
      if (table.startsWith('by_'))
        await project.source.query(`delete from ${table} where v <> (select max(v) from ${table})`)
    }
    await project.good()
    expect(await differences()).toEqual([])
  }, 120_000)
})

function standin(name: string, type: string): string | undefined {
  const own = type.startsWith('public.')
  return own ? (STANDINS[name] ?? (name === 'k' ? keyStandin(type) : undefined)) : undefined
}

function keyStandin(type: string): string {
  return type === 'public.price' ? 'numeric(10,2)' : 'text'
}

test('P8: a source that does not check the encoding of its text is warned of by check --live, and such text stops a batch', async () => {
  const project = await createProject({
    models: { table_odd: '-- kind: table\n-- key: id\nselect * from shop.odd\n' },
  })
  const name = `${project.source.name}_ascii`
  try {
    await project.source.query(
      `create database ${name} encoding 'SQL_ASCII' locale 'C' template template0`,
    )
    const url = new URL(project.source.url)
    url.pathname = `/${name}`
    await project.environment({ SHOP_URL: url.href })
    const say = async (sql: string): Promise<unknown> =>
      project.source.query(
        `create extension if not exists dblink; select dblink_exec(${quoteLiteral(url.href)}, ${quoteLiteral(sql)})`,
      )
    await say(
      "create table odd (id integer primary key, v text); insert into odd values (1, 'plain')",
    )
    const told = await project.tote('check', '--live')
    expect(told.stderr).toContain('does not check the encoding of its text (SQL_ASCII)')
    expect(told.exit).toBe(0)
    await project.good()
    await say("insert into odd values (2, E'\\xff')")
    const { summary, error } = await project.run()
    expect([summary.outcome, error?.name, error?.message]).toEqual([
      'failed',
      'ValueNotCarried',
      expect.stringContaining('some text is not UTF-8'),
    ])
  } finally {
    await project.source.query(`drop database if exists ${name} with (force)`)
    await project.close()
  }
})
