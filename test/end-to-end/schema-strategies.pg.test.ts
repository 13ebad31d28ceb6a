/**
 * Changes of a source's schema where tables are not read whole: whatever becomes of a column or a key, pairs and
 * cursors that count no more are not believed, and those that count are gone on with. Verified three ways after each
 * change (P2, P7), and rebuilt from the lake alone.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createProject, startCli, type TestProject } from '../support/project.ts'
import { rowsIn, rowsInLake } from '../support/project-tables.ts'

const TABLES = ['by_xmin', 'by_cursor'] as const
const each = (sql: string): string => TABLES.map((table) => sql.replaceAll('$t', table)).join(';')

const SETUP =
  each(`create table $t (id integer primary key, seen bigint not null, v text, n smallint);
  create index on $t (seen);
  insert into $t select i, i, 'Qx7 ' || i, i % 100 from generate_series(1, 200) i`)
const MODELS = Object.fromEntries(
  TABLES.flatMap((table) => [
    [
      `all_${table}`,
      `-- kind: table\n-- key: id\n-- nullable: v, n\nselect * from shop.${table}\n`,
    ],
    [
      `fact_${table}`,
      `-- kind: fact\n-- key: id\n-- record id: ${table}_record_id\n-- driven by: shop.${table}\n-- nullable: v, n\nselect * from shop.${table}\n`,
    ],
  ]),
)
const SOURCE = `strategy: 'xmin', table: {
  by_cursor: { strategy: 'cursor', cursor: { column: 'seen', lookBack: 10, reconcile: '24h' } },
}`

let project: TestProject
beforeAll(async () => {
  project = await createProject({ setup: SETUP, models: MODELS, source: SOURCE })
  await project.good()
  await project.good()
}, 120_000)
afterAll(async () => project.close())

let written = 1000

/** What both strategies see: rows that are new or changed, their cursor ahead of all. */
async function write(): Promise<void> {
  written += 100
  await project.source.query(
    each(`update $t set v = 'Qx7 at ${written}', seen = ${written} + id where id in (2, 3, 5);
      insert into $t (id, seen, v) values (${written}, ${written}, 'Qx7 new')`),
  )
}

async function expectSame(what: string): Promise<void> {
  for (const table of TABLES)
    expect(await rowsInLake(project, table), `${what}: ${table}`).toEqual(
      await rowsIn(project.source, table),
    )
}

async function tote(...args: string[]): Promise<string> {
  const { ended } = startCli(project.folder, [...args, '--json'])
  const { exit, stdout } = await ended
  expect(exit, `tote ${args.join(' ')}: ${stdout}`).toBe(0)
  return stdout
}

const CHANGES: Readonly<Record<string, string>> = {
  'a column is added': 'alter table $t add column a text; update $t set a = v where id = 7',
  'a column with a default is added': `alter table $t add column d integer not null default 7`,
  'a type is widened': 'alter table $t alter column n type integer',
  'a column is dropped': 'alter table $t drop column a',
  'it is added again': `alter table $t add column a text default 'Qx7 again'`,
  'a column is renamed': 'alter table $t rename column d to e',
  'the key is another one':
    'alter table $t drop constraint $t_pkey, add primary key (id, seen), add unique (id)',
}

test.each(Object.entries(CHANGES))(
  'P2, P7: %s, and rows change before and after it',
  async (what, change) => {
    await write()
    await project.source.query(each(change))
    // A cursor sees a changed row by its value alone, or because the columns are others.
    await project.source.query(each(`update $t set seen = ${written} + 50 + id where id = 7`))
    await project.good()
    await expectSame(what)
    await write()
    await project.good()
    await expectSame(`${what}, and after it`)
    await tote('verify')
  },
  120_000,
)

interface Rebuilt {
  readonly table: string
  readonly rowsLive: number
  readonly rowsEqual: number
  readonly rowsRebuilt: number
}

test('P7: a rebuild from the lake alone equals the warehouse that lived through all of it', async () => {
  const said = await tote('rebuild', '--dry-run')
  const { summary } = JSON.parse(said.trim().split('\n').at(-1) ?? '{}') as {
    summary: { rebuild: { tables: Rebuilt[] } }
  }
  const { tables } = summary.rebuild
  expect(tables.map(({ table }) => table).toSorted()).toEqual(Object.keys(MODELS).toSorted())
  const unequal = tables.filter(
    ({ rowsLive, rowsEqual, rowsRebuilt }) => rowsEqual !== rowsLive || rowsRebuilt !== rowsLive,
  )
  expect(unequal).toEqual([])
  await tote('rebuild')
  await write()
  await project.good()
  await tote('verify')
}, 120_000)
