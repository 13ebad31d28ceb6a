/**
 * Changes of a source's schema, followed into lake, models and warehouse (docs/schema-changes.md), in all
 * three formats of the lake: what the source says by name and value is what the lake says, models with
 * `select *` are their tables, and a rebuild from the lake equals the live warehouse (P7).
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createProject, type TestProject } from '../support/project.ts'
import { columnsInLake, rowsIn, rowsInLake } from '../support/project-tables.ts'
import { rebuilt, wholeStar } from '../support/rebuild.ts'

const SETUP = `
create table thing (id integer primary key, a text not null, b numeric(10,2), c timestamp(3));
insert into thing values (1, 'Qx7 one', 1.50, '2026-01-01 10:00:00.123'), (2, 'Qx7 two', null, null), (3, 'Qx7 three', 3, '2026-01-03');
create table loose (x integer, y text);
insert into loose values (1, 'Qx7'), (1, 'Qx7'), (2, null)`

const MODELS = {
  all_thing: `-- kind: table
-- key: id
-- nullable: b, c
select * from shop.thing
`,
  all_loose: `-- kind: table
-- key: row_key
-- nullable: x, y
select _tote_row as row_key, * exclude (_tote_row) from shop.loose
`,
  dim_thing: `-- kind: dimension
-- key: id
-- nullable: b
select id, a, b from shop.thing
`,
  fact_thing: `-- kind: fact
-- key: id
-- record id: thing_record_id
-- nullable: b, c
select * from shop.thing
`,
}

let project: TestProject

/** Lake and warehouse say what the source says, and nothing else is to be done. */
async function expectSame(tables: readonly string[] = ['thing', 'loose']): Promise<void> {
  for (const table of tables) {
    const rows = await rowsIn(project.source, table)
    expect(await rowsInLake(project, table), `lake: ${table}`).toEqual(rows)
    const only = (
      await project.source.query(
        `select attname as name from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped`,
        [table],
      )
    ).map(({ name }) => name ?? '')
    expect(await rowsIn(project.warehouse, `all_${table}`, { only }), `all_${table}`).toEqual(rows)
    if (table === 'thing')
      expect(await rowsIn(project.warehouse, 'fact_thing_current', { only })).toEqual(rows)
  }
  expect((await project.good()).outcome).toBe('nothing to do')
}

async function expectRebuilt(format: string): Promise<void> {
  // The processed zone is Parquet whatever the ingestion zone is.
  if (format !== 'parquet') return
  expect(await rebuilt(project)).toEqual(await wholeStar(project.warehouse))
}

async function columnsOf(table: string): Promise<string> {
  const [row] = await project.warehouse.query(
    `select string_agg(attname || ' ' || format_type(atttypid, atttypmod) || case when attnotnull then ' not null' else '' end, ', ' order by attnum) as columns
     from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped`,
    [table],
  )
  return row?.['columns'] ?? ''
}

async function versions(): Promise<number> {
  const [row] = await project.warehouse.query('select count(*) as n from fact_thing')
  return Number(row?.['n'])
}

describe.each(['parquet', 'csv', 'json'])('a lake of %s', (format) => {
  beforeAll(async () => {
    project = await createProject({
      setup: SETUP,
      models: MODELS,
      lake: `format: '${format}', baseAfter: { files: 2 },`,
    })
    await project.good()
    await expectSame()
  })
  afterAll(async () => project.close())

  test('P2, P7: a new column without a default is in the lake, and in models that take all; no row changes', async () => {
    await project.source.query(
      'alter table thing add column d integer; alter table loose add column z text',
    )
    const { events, error } = await project.run()
    expect(error).toBeUndefined()
    expect(events).toContainEqual(
      expect.objectContaining({
        type: 'note',
        level: 'info',
        text: expect.stringMatching(/^thing\.d is new \(integer\): models that list/) as string,
      }),
    )
    await expectSame()
    expect(await columnsOf('fact_thing')).toMatch(/, d integer$/)
    expect(await columnsOf('dim_thing')).not.toContain(' d ')
    expect(await versions()).toBe(3)
    await project.source.query(
      'update thing set d = 7 where id = 1; insert into loose values (5, null, null)',
    )
    await project.good()
    await expectSame()
    expect(await versions()).toBe(4)
  })

  test('P2: a new column with a default changes every row, though no row has another xmin', async () => {
    const xmins = 'select string_agg(xmin::text, $$,$$ order by id) as x from thing'
    const before = await project.source.query(xmins)
    await project.source.query(`alter table thing add column e text not null default 'Qx7 new'`)
    expect(await project.source.query(xmins)).toEqual(before)
    await project.good()
    await expectSame()
    expect(await versions()).toBe(7)
    // Older versions have no value of it.
    expect(await columnsOf('fact_thing')).toMatch(/, e text$/)
  })

  test('P6: a dropped column stays with what rows had; changed and new rows are NULL, and nothing is NOT NULL any more', async () => {
    expect(await columnsOf('dim_thing')).toMatch(/^id integer not null, a text not null/)
    await project.source.query('alter table thing drop column a, drop column c')
    await project.good()
    await expectSame()
    expect(await versions()).toBe(7)
    expect(await columnsInLake(project, 'thing')).toEqual(
      expect.arrayContaining(['2 a text gone', '4 c timestamp(3) without time zone gone']),
    )
    expect(await columnsOf('dim_thing')).toMatch(/^id integer not null, a text, b numeric/)
    await project.source.query(
      'update thing set b = 9 where id = 2; insert into thing (id, b) values (4, 4)',
    )
    await project.good()
    await expectSame()
    expect(await rowsIn(project.warehouse, 'dim_thing', { only: ['id', 'a', 'b'] })).toEqual(
      [
        ['a', 'Qx7 one', 'b', '1.50', 'id', '1'],
        ['a', null, 'b', '9.00', 'id', '2'],
        ['a', 'Qx7 three', 'b', '3.00', 'id', '3'],
        ['a', null, 'b', '4.00', 'id', '4'],
      ]
        .map((row) => JSON.stringify(row))
        .toSorted(),
    )
    await expectRebuilt(format)
  })

  test('a dropped column that is added again is another one, and has its name', async () => {
    await project.source.query(`alter table thing add column a text default 'Qx7 again'`)
    await project.good()
    await expectSame()
    expect(await columnsInLake(project, 'thing')).toEqual(
      expect.arrayContaining(['7 a text', '2 a_dropped_2 text gone']),
    )
    // Every row changed; what the first column held is in the older versions, under its new name.
    const values = async (column: string, where: string): Promise<unknown> =>
      project.warehouse.query(`select distinct ${column} as a from fact_thing where ${where}`)
    expect(await values('a', 'valid_to is null')).toEqual([{ a: 'Qx7 again' }])
    expect(await values('a', 'batch = 1')).toEqual([{ a: null }])
    expect(await values('a_dropped_2', 'batch = 1')).toHaveLength(3)
    await expectRebuilt(format)
  })
})
