/** Two tables whose schema and name are one text: nothing that is known of one may be taken for the other's. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { VerifiedTable } from '../../src/events.ts'
import { createProject, type TestProject } from '../support/project.ts'

let project: TestProject

const SETUP = `
  create schema a; create schema "a.b";
  create table a."b.c" (id integer primary key, seen timestamptz not null, v text);
  create index on a."b.c" (seen);
  create table "a.b".c (id integer primary key, seen timestamptz not null, v text);
  insert into a."b.c" select n, '2026-01-01 12:00Z', 'one' from generate_series(1, 10) n;
  insert into "a.b".c select n, '2026-01-01 12:00Z', 'other' from generate_series(1, 5000) n`
const CURSOR = `strategy: 'cursor', cursor: { column: 'seen', lookBack: '1h', reconcile: '24h' }`
const MODELS = {
  dim_one: '-- kind: dimension\n-- key: id\nselect id, v from shop."b.c"\n',
  dim_other: '-- kind: dimension\n-- key: id\nselect id, v from shop."a.b.c"\n',
}

beforeAll(async () => {
  project = await createProject({
    setup: SETUP,
    models: MODELS,
    source: `defaultSchema: 'a', tables: { include: ['*', '"a.b".*'] },
      table: { '"b.c"': { ${CURSOR} }, '"a.b".c': { ${CURSOR} } }`,
  })
  await project.source.query(
    `grant usage on schema a, "a.b" to ${project.reader};
     alter default privileges grant select on tables to ${project.reader};
     grant select on a."b.c", "a.b".c to ${project.reader}`,
  )
}, 60_000)
afterAll(async () => project.close())

async function valuesOf(table: string): Promise<Record<string, string | null>[]> {
  return project.warehouse.query(
    `select v, count(*) as n from ${table} where not is_deleted group by v order by v`,
  )
}

test('P2: both are carried, each as itself, and so are their changes', async () => {
  await project.good()
  expect(await valuesOf('dim_one')).toEqual([{ v: 'one', n: '10' }])
  expect(await valuesOf('dim_other')).toEqual([{ v: 'other', n: '5000' }])
  await project.source.query(
    `insert into a."b.c" values (11, '2026-01-01 12:01Z', 'new'); update "a.b".c set v = 'changed' where id = 1`,
  )
  const { tables } = await project.good()
  expect(tables).toMatchObject([
    { table: 'b.c', inserted: 1, updated: 0, rowsInSource: null },
    { table: 'a.b.c', inserted: 0, updated: 1, rowsInSource: null },
  ])
  expect((await project.tote('verify')).exit).toBe(0)
})

test('a table that is named as in its own database is said to have another name here', async () => {
  const asked = async (...args: string[]): Promise<string> => (await project.tote(...args)).stderr
  expect(await asked('query', 'select * from "a.b".c')).toContain(
    'table of the source is shop."a.b.c"',
  )
  expect(await asked('query', 'select * from shop."a.b".c')).toContain('shop."a.b.c"')
  expect(await asked('query', 'select * from c')).toContain('the table of the source is shop."b.c"')
  expect(await asked('query', 'select * from d')).not.toContain('table of the source')
  expect(await asked('show', 'c')).toContain('"c" may be any of shop.b.c, shop.a.b.c')
  expect((await project.tote('show', 'B.C')).stdout).toContain('shop.b.c  source')
})

test('P2: a table that another one took the place of is compared in full, whichever of the two it is', async () => {
  for (const [schema, name, model] of [
    ['a', 'b.c', 'dim_one'],
    ['a.b', 'c', 'dim_other'],
  ] as const) {
    // Its rows are older than the cursor has come.
    await project.source.query(
      `create table "${schema}".next (like "${schema}"."${name}" including all);
       insert into "${schema}".next select id, '2020-01-01Z', 'swapped' from "${schema}"."${name}";
       drop table "${schema}"."${name}"; alter table "${schema}".next rename to "${name}"`,
    )
    await project.good()
    expect((await valuesOf(model)).map(({ v }) => v)).toEqual(['swapped'])
  }
  expect((await project.tote('verify')).exit).toBe(0)
})

test('what a user says of one is not said of the other', async () => {
  const verified = async (name: string): Promise<string[]> => {
    const told = await project.tote('verify', name, '--json')
    const { summary } = JSON.parse(told.stdout.trimEnd().split('\n').at(-1) ?? '') as {
      summary: { verified: VerifiedTable[] }
    }
    return summary.verified.map(({ table }) => table)
  }
  expect(await verified('a.b.c')).toEqual(['a.b.c'])
  expect(await verified('b.c')).toEqual(['b.c'])
  expect(await verified('a."b.c"')).toEqual(['b.c'])
  await project.source.query(`delete from "a.b".c; delete from a."b.c"`)
  await project.tote('run', '--full-refresh', '--accept-shrink', 'b.c')
  expect(await valuesOf('dim_other')).toEqual([{ v: 'swapped', n: '5000' }])
  const told = await project.tote('run', '--full-refresh', '--accept-shrink', 'a.b.c')
  expect(told.exit).toBe(0)
  expect(await valuesOf('dim_other')).toEqual([])
})

test('a name with what a shell, a terminal or a line would take for its own is written out', async () => {
  const name = `it's\n"\u001b[2J`
  const quoted = `a."${name.replaceAll('"', '""')}"`
  await project.source.query(
    `create table ${quoted} (id integer primary key); insert into ${quoted} select generate_series(1, 2000)`,
  )
  const shown = String.raw`it's\n"\x1b[2J`
  const scheduled = await project.tote('run')
  expect(scheduled).toMatchObject({ exit: 0, stderr: expect.stringContaining(`  ${shown}: `) })
  expect(scheduled.stdout).toContain(`shop.${shown}`)
  const watched = await project.onTerminal('run', '-v')
  const status = await project.tote('status')
  expect(status.stdout).toContain(`shop.${shown}`)
  for (const text of [
    scheduled.stdout,
    scheduled.stderr,
    watched.stdout,
    watched.stderr,
    status.stdout,
  ])
    expect(text).not.toContain('\u001b[2J')
  await project.source.query(`delete from ${quoted}`)
  const refused = await project.run()
  expect(refused.error?.facts.fix).toBe(`tote run --accept-shrink 'it'\\''s\n"\u001b[2J'`)
  expect((await project.tote('run')).stderr).not.toContain('\u001b[2J')
  expect((await project.tote('run', '--accept-shrink', name)).exit).toBe(0)
})
