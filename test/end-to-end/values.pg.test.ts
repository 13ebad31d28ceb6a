/**
 * P8 through all three places: whatever the source holds, the warehouse holds, as PostgreSQL itself
 * prints it; first as the table is made, then as rows change in place.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createProject, type TestProject } from '../support/project.ts'

/** A column each: its type, and the values of its rows. */
const COLUMNS: readonly (readonly [type: string, ...values: string[]])[] = [
  ['numeric(10,2)', '0.10', '-99999999.99', 'null', '2.10', '0'],
  ['numeric(38,10)', '1234567890123456789012345678.0000000001', '-0.0000000001', 'null', '0', '1'],
  [
    'numeric',
    "'NaN'",
    "'1e-120'",
    "'12345678901234567890123456789012345678901234567890.5'",
    '1.10',
    'null',
  ],
  ['bigint', '9007199254740993', '-9223372036854775808', 'null', '0', '1'],
  ['double precision', '0.1', "'NaN'", "'-Infinity'", '1e-310', 'null'],
  ['text', "'None'", "'NULL'", "''", 'null', "'08841'"],
  [
    'text',
    "'O''Keefe, \"Democratic People''s\"'",
    "E'a\\tb\\r\\nc'",
    "'\\N'",
    "'Łódź 😀 e\u0301'",
    "' x '",
  ],
  ['varchar(5)', "'00100'", "''", 'null', "'\\.'", "'a,b'"],
  ['char(3)', "'a'", "'abc'", 'null', "''", "' b'"],
  [
    'timestamp(3)',
    "'2024-02-29 07:55:10.001'",
    "'infinity'",
    'null',
    "'1969-12-31 23:59:59.999'",
    "'290000-01-01 00:00:00.001'",
  ],
  [
    'timestamptz',
    "'2024-03-31 02:30:00.123456+02'",
    "'-infinity'",
    'null',
    "'1900-01-01 00:00+00'",
    "'9999-12-31 23:59:59.999999+00'",
  ],
  ['date', "'2024-02-29'", "'infinity'", 'null', "'0001-01-01'", "'9999-12-31'"],
  ['time', "'23:59:59.999999'", "'00:00'", 'null', "'07:55:10.001'", "'12:00'"],
  ['boolean', 'true', 'false', 'null', 'true', 'false'],
  [
    'uuid',
    "'00000000-0000-0000-0000-000000000000'",
    "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
    'null',
    "'7f000000-0000-0000-0000-000000000001'",
    "'80000000-0000-0000-0000-000000000000'",
  ],
  ['bytea', "'\\x00ff0a0d22'", "'\\x'", 'null', "'\\x5c'", "'\\x27'"],
  ['jsonb', `'{"a": [1, null, "x"]}'`, "'null'", 'null', "'1.10'", `'"\\u00e9"'`],
  ['json', `'{"b": 1,  "a":2}'`, "'[]'", 'null', `'""'`, "'0'"],
  ['interval', "'1 year 2 mons -3 days 04:05:06.789'", "'0'", 'null', "'-1 day'", "'100 years'"],
  ['text[]', `'{a,NULL,"NULL","",",","\\""}'`, "'{}'", 'null', "'{{1,2},{3,4}}'", "'[0:1]={a,b}'"],
  ['int4range', "'[1,5)'", "'empty'", 'null', "'(,)'", "'[7,8)'"],
  ['inet', "'192.168.0.1/24'", "'::1'", 'null', "'10.0.0.1'", "'fe80::/10'"],
]

const names = COLUMNS.map((_, index) => `c${index}`)

function rowsOf(shift: number): string {
  return [0, 1, 2, 3, 4]
    .map((row) => {
      const values = COLUMNS.map(
        ([type, ...all]) => `cast(${all[(row + shift) % all.length]} as ${type})`,
      )
      return `select ${row + 1} as id, ${values.map((value, index) => `${value} as c${index}`).join(', ')}`
    })
    .join(' union all ')
}

let project: TestProject
beforeAll(async () => {
  project = await createProject({
    setup: `create table trap (id integer primary key, ${COLUMNS.map(([type], index) => `c${index} ${type}`).join(', ')});
      insert into trap ${rowsOf(0)}`,
    models: {
      table_trap: '-- kind: table\n-- key: id\n-- nullable: all\nselect * from shop.trap\n',
      dim_trap:
        '-- kind: dimension\n-- key: id\n-- nullable: all\nselect t.* from shop.trap as t\n',
      fact_trap: `-- kind: fact\n-- key: id\n-- record id: record_id\n-- nullable: all\nwith all_of_them as (select * from shop.trap)\nselect id, ${names.join(', ')} from all_of_them\n`,
    },
  })
})
afterAll(async () => project.close())

const texts = `select id, ${names.map((name) => `${name}::text as ${name}`).join(', ')}`

async function inTheWarehouse(table: string): Promise<unknown> {
  const current = table === 'fact_trap' ? 'valid_to is null' : 'true'
  return project.warehouse.query(`${texts} from ${table} where ${current} order by id`)
}

const formats = (schema: string): string =>
  `select a.attname as name, format_type(a.atttypid, a.atttypmod) as type from pg_attribute a
   where a.attrelid = '${schema}'::regclass and a.attname ~ '^c\\d' order by a.attnum`

const MODELS = ['table_trap', 'dim_trap', 'fact_trap']

test('P8, pitfall 14: every value arrives as it is, in a table of the type that it has at the source', async () => {
  await project.good()
  const types = await project.source.query(formats('trap'))
  const rows = await project.source.query(`${texts} from trap order by id`)
  for (const model of MODELS) {
    expect([model, await project.warehouse.query(formats(model))]).toEqual([model, types])
    expect([model, await inTheWarehouse(model)]).toEqual([model, rows])
  }
})

test('P8, pitfall 14: and again when rows change in place; equal rows are no change, whatever they look like', async () => {
  expect((await project.good({ fullRefresh: true })).outcome).toBe('nothing to do')
  await project.source.query(`delete from trap; insert into trap ${rowsOf(1)}`)
  const { tables } = await project.good()
  expect(tables).toMatchObject([{ inserted: 0, updated: 5, deleted: 0 }])
  const rows = await project.source.query(`${texts} from trap order by id`)
  for (const model of MODELS) expect([model, await inTheWarehouse(model)]).toEqual([model, rows])
  expect((await project.good({ fullRefresh: true })).outcome).toBe('nothing to do')
})

test('P8: a value that its DuckDB type cannot hold makes its column text from then on, and arrives', async () => {
  await project.source.query(
    "update trap set c9 = '294276-12-31 23:59:59.999' where id = 2; update trap set c10 = '4713-01-01 BC', c0 = 'NaN', c11 = '0044-03-15 BC' where id = 1",
  )
  const { events } = await project.run()
  const notes = events.flatMap((event) => (event.type === 'note' ? [event.text] : []))
  expect(notes).toEqual([
    'column trap.c0 (numeric(10,2)) is text to models from now on: 1 of its values do not fit DECIMAL(10,2)',
    'column trap.c9 (timestamp(3) without time zone) is text to models from now on: 1 of its values do not fit TIMESTAMP',
  ])
  expect((await project.good({ fullRefresh: true })).outcome).toBe('nothing to do')
  await project.source.query("update trap set c0 = 1.5, c9 = '2024-01-01' where id = 3")
  const { tables } = await project.good()
  expect(tables).toMatchObject([{ inserted: 0, updated: 1, deleted: 0 }])
  const rows = await project.source.query(`${texts} from trap order by id`)
  for (const model of MODELS) expect([model, await inTheWarehouse(model)]).toEqual([model, rows])
})
