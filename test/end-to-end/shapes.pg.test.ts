/** Every shape of source table, from test/schemas/shapes.sql through the command line into the warehouse. */
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ROW_COLUMN } from '../../src/columns/sql.ts'
import type { PostgresTable } from '../../src/sources/tables-postgres.ts'
import { createProject, type TestProject } from '../support/project.ts'

const sql = async (name: string): Promise<string> =>
  readFile(new URL(`../schemas/${name}.sql`, import.meta.url), 'utf8')

const INCLUDE = ['*', 'sales.*', '"Stock Room".*', '🐘*.*', 'seen', '"Seen Twice"', 'kept']

const taking = (include: readonly string[]): string =>
  `tables: { include: ${JSON.stringify(include)} }`

let project: TestProject
/** As the source describes them, in the order of the models `t0`, `t1`, …: which tables there are is a part of the test. */
let tables: readonly PostgresTable[]

beforeAll(async () => {
  project = await createProject({
    setup: await sql('shapes'),
    models: {},
    source: taking(INCLUDE),
  })
  await project.write('models/README', 'one model of each kind for each table')
  const [foreign] = await project.source.query("select to_regclass('from_file')::text as name")
  if (foreign?.['name'] !== null)
    await project.configure({ source: taking([...INCLUDE, 'from_file']) })
  tables = await project.opened(async ({ sources }) => {
    const [source] = sources
    const snapshot = await source?.source.snapshot({
      run: 'look',
      signal: new AbortController().signal,
      now: () => new Date(),
      emit: () => undefined,
    })
    await snapshot?.close()
    return (snapshot?.tables ?? []) as PostgresTable[]
  })
  for (const [index, table] of tables.entries()) {
    for (const { kind } of kindsOf(index))
      await project.write(`models/${kind[0]}${index}.sql`, modelOf(table, kind))
  }
  await project.write(
    'models/Shelf "A".sql',
    `-- kind: dimension
-- key: "the, key"
-- types: "the, key" bigint
select distinct shelf as "the, key", 'x' as "group" from shop."Stock Room.item"
`,
  )
  await project.write(
    'models/Order Lines.sql',
    `-- kind: fact
-- key: "line.no", "Order Id"
-- record id: "Record Id"
-- nullable: "Quo""te", "🐘"
-- references: "The Shelf" -> "Shelf ""A"""
-- check: "line.no" > 0
select "line.no", "Order Id", "Quo""te", "🐘", 1 as "The Shelf" from shop."Order ""Lines"" 100% é🐘"
`,
  )
})
afterAll(async () => project.close())

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** Every column, less those for which the kind has no room. */
function columnsOf(table: PostgresTable, kind: string): PostgresTable['columns'] {
  return table.columns.slice(0, kind === 'fact' ? 1_595 : 1_599)
}

function modelOf(table: PostgresTable, kind: string): string {
  const header = [
    `-- kind: ${kind}`,
    `-- key: ${table.key.map(quote).join(', ')}`,
    ...(kind === 'fact' ? ['-- record id: number'] : []),
    '-- nullable: all',
  ]
  const columns = columnsOf(table, kind).map(({ name }) => quote(name))
  const list = columns.length === table.columns.length ? '*' : columns.join(', ')
  return `${header.join('\n')}\nselect ${list} from shop.${quote(table.name)}\n`
}

const KINDS = [
  { kind: 'table', current: 'true' },
  { kind: 'dimension', current: 'not is_deleted' },
  { kind: 'fact', current: 'valid_to is null' },
] as const

/** A table of each; dimensions and facts in turn. */
function kindsOf(index: number): readonly (typeof KINDS)[number][] {
  return KINDS.filter(({ kind }) => kind === 'table' || (kind === 'fact') === (index % 2 === 0))
}

/** Rows that are in the source and not in the warehouse, or the other way round, and other types, as PostgreSQL sees them. */
async function differences(): Promise<string[]> {
  await project.warehouse.query(
    `create extension if not exists dblink; select dblink_connect('source', ${literal(project.source.url)})`,
  )
  const found: string[] = []
  for (const [index, table] of tables.entries()) {
    for (const { kind, current } of kindsOf(index)) {
      const columns = columnsOf(table, kind).filter(({ name }) => name !== ROW_COLUMN)
      const there = columns.map(({ source }) => quote(source ?? '')).join(', ')
      const here = columns.map(({ name }) => quote(name)).join(', ')
      const inSource = (select: string): string =>
        `select * from dblink('source', ${literal(select)}) as t(line text)`
      const name = `${kind[0]}${index}`
      const [row] = await project.warehouse.query(
        `with source as (${inSource(`select row(${there})::text from ${table.relation}`)}),
         warehouse as (select row(${here})::text from ${name} where ${current}),
         source_types as (${inSource(typesOf(table.relation.replace('only ', ''), 'true'))}),
         warehouse_types as (${typesOf(name, `attname = any (array[${columns.map((one) => literal(one.name)).join(', ')}]::text[])`)})
         select (select count(*) from source) as rows,
           (select count(*) from (table source except all table warehouse) x)
           + (select count(*) from (table warehouse except all table source) x) as rows_differ,
           ${columns.length === table.columns.length - Number(table.key[0] === ROW_COLUMN)} and
           (select string_agg(line, ', ') from source_types) is distinct from (select string_agg(line, ', ') from warehouse_types) as types_differ`,
      )
      if (row?.['rows_differ'] !== '0' || row['types_differ'] !== 'f')
        found.push(`${kind} ${table.name}: ${JSON.stringify(row)}`)
    }
  }
  await project.warehouse.query("select dblink_disconnect('source')")
  return found
}

function typesOf(relation: string, where: string): string {
  return `select format_type(atttypid, atttypmod) as line from pg_attribute
    where attrelid = ${literal(relation)}::regclass and attnum > 0 and not attisdropped and ${where} order by attnum`
}

async function rowsInWarehouse(table: string): Promise<number> {
  const index = tables.findIndex(({ name }) => name === table)
  const [row] = await project.warehouse.query(`select count(*) as rows from t${index}`)
  return Number(row?.['rows'])
}

async function good(...args: string[]): Promise<void> {
  const { exit, stderr } = await project.tote(...args)
  expect({ exit, stderr: exit === 0 ? '' : stderr }).toEqual({ exit: 0, stderr: '' })
}

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

test('every table is found, each once, with a name that DuckDB can tell from the others', () => {
  expect(
    tables
      .filter(({ name }) => name !== 'from_file')
      .map(({ name, key }) => `${name} (${key.join(', ')})`),
  ).toMatchInlineSnapshot(`
    [
      "Stock Room.item (shelf, id)",
      "Order "Lines" 100% é🐘 (line.no, Order Id)",
      "Seen Twice (_tote_row)",
      "^Twin (id)",
      "_manifests (id)",
      "a.b (id)",
      "child (_tote_row)",
      "constructor (id)",
      "dir/../up (id)",
      "dropped (_tote_row)",
      "empty_keyed (id)",
      "empty_keyless (_tote_row)",
      "filled (id)",
      "grandchild (id)",
      "item (id)",
      "kept (_tote_row)",
      "keyless (_tote_row)",
      "keyless_json (_tote_row)",
      "no_columns (_tote_row)",
      "ours (o)",
      "parent (id)",
      "parted (id, region, at)",
      "parted_empty (id)",
      "parted_keyless (_tote_row)",
      "replicated (a)",
      "seen (_tote_row)",
      "select (from)",
      "twin (id)",
      "unique_nulls (_tote_row)",
      "unique_only (code)",
      "wide (id)",
      "🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘abc (éééééééééééééééééééééééééééééééx)",
      "sales.item (id)",
      "🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘abc.🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘abc (id)",
    ]
  `)
})

test('a foreign table is among them', (ctx) => {
  if (!tables.some(({ name }) => name === 'from_file')) ctx.skip('the server has no file_fdw')
})

test('P8: check --live accepts them all, and a run carries them as they are', async () => {
  await good('check', '--live')
  await good('run')
  expect(await differences()).toEqual([])
})

test('P2, P7: after changes in all of them, a second run leads to the same, and a third finds nothing', async () => {
  await project.source.query(await sql('shapes-changes'))
  await good('run')
  expect(await differences()).toEqual([])
  const family = await Promise.all(['parent', 'child', 'grandchild'].map(rowsInWarehouse))
  const [all] = await project.source.query('select count(*) as rows from parent')
  expect(family.reduce((sum, rows) => sum + rows, 0)).toBe(Number(all?.['rows']))
  expect((await project.good()).outcome).toBe('nothing to do')
  expect((await project.good({ fullRefresh: true })).outcome).toBe('nothing to do')
})

test('names of the warehouse may be as awkward: files, keys, references, checks and types', async () => {
  const columns = '"line.no", "Order Id", "Quo""te", "🐘", 1 as "The Shelf"'
  const rows = async (): Promise<unknown> =>
    project.warehouse.query(`select ${columns} from "Order Lines_current" order by 1, 2`)
  const expected = async (): Promise<unknown> =>
    project.source.query(`select ${columns} from "Order ""Lines"" 100% é🐘" order by 1, 2`)
  expect(await rows()).toEqual(await expected())
  await project.source.query('update "Order ""Lines"" 100% é🐘" set "🐘" = $$"\\$$')
  await good('run')
  expect(await rows()).toEqual(await expected())
  await good('status')
})

test.each(['csv', 'json'])('P8: 1,600 columns go through %s as well', async (format) => {
  const [setup] = /do \$\$ begin\s+execute [^$]*\$\$;\s+insert into wide [^;]*;/.exec(
    await sql('shapes'),
  ) ?? ['']
  const narrow = await createProject({
    setup,
    models: {
      t: '-- kind: table\n-- key: id\n-- nullable: all\nselect * exclude (c5) from shop.wide\n',
    },
    lake: `format: '${format}'`,
  })
  try {
    const same = async (): Promise<void> => {
      await narrow.good()
      const rows = "select (to_jsonb(t) - 'c5')::text as row from only "
      expect(await narrow.warehouse.query(`${rows} t order by id`)).toEqual(
        await narrow.source.query(`${rows} wide t order by id`),
      )
    }
    await same()
    await narrow.source.query(
      'update wide set c1 = 7, c1598 = 8 where id = 1; delete from wide where id = 3',
    )
    await same()
  } finally {
    await narrow.close()
  }
})
