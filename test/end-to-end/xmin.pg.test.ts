/**
 * Strategy `xmin` beside `compare`, on one database: whatever is done to its tables, after each batch the
 * lake of either holds the tables' rows (P2), and counts that add up (P12). Rows that are read are
 * counted at the server.
 */
import { randomInt } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CommittedManifest, PairsEntry } from '../../src/lake/manifest.ts'
import { rowsAsOf } from '../../src/lake/read.ts'
import { createProject, startCli, type TestProject } from '../support/project.ts'

const SWITCH = fileURLToPath(new URL('../support/kill-switch.mjs', import.meta.url))

let project: TestProject

const SETUP = `
  create type mood as enum ('calm', 'busy');
  create type spot as (x integer, m mood);
  create table item (id integer primary key, v text, m mood, ms mood[], s spot, n numeric(10,2));
  create table part (id integer, region integer, v text, primary key (id, region)) partition by list (region);
  create table part_1 partition of part for values in (1);
  create table part_2 partition of part for values in (2);
  create table odd ("Key" text primary key, v text);
  create table bare (v text);
  insert into item select n, 'v' || n, 'calm', array['calm', 'busy']::mood[], row(n, 'busy')::spot, n / 3.0 from generate_series(1, 300) n;
  insert into part select n, 1 + n % 2, 'v' || n from generate_series(1, 300) n;
  insert into odd values ('', 'empty'), ('a,b', 'comma'), ('"', null), (e'line\\nend', ''), ('(1,2)', 'place');
  insert into bare values ('x'), ('x'), (null)`
const MODELS = { dim_item: '-- kind: dimension\n-- key: id\nselect id, v from one.item\n' }
const config = (settings: string): string => `import { defineProject, env } from 'totedata'
export default defineProject({
  name: 'shop',
  sources: {
    one: { type: 'postgres', url: env('SHOP_URL'), ${settings}strategy: 'compare' },
    two: { type: 'postgres', url: env('SHOP_URL'), ${settings}strategy: 'xmin' },
  },
  lake: { ingestion: './lake/ingestion', processed: './lake/processed', baseAfter: { files: 3 } },
  warehouse: { url: env('SHOP_WAREHOUSE_URL') },
})
`

beforeAll(async () => {
  project = await createProject({ setup: SETUP, models: MODELS })
  await project.write('tote.config.ts', config(''))
}, 60_000)
afterAll(async () => project.close())

const TABLES: Readonly<Record<string, string>> = {
  item: `concat_ws('|', id::text, v, m::text, ms::text, s::text, n::text)`,
  part: `concat_ws('|', id::text, region::text, v)`,
  odd: `concat_ws('|', "Key", coalesce(v, 'NULL'))`,
  bare: `coalesce(v, 'NULL')`,
}

/** One batch of each source; its rows must be the tables' own. */
async function batch(): Promise<Readonly<Record<string, CommittedManifest>>> {
  const { tables } = await project.good({ only: 'extract' })
  for (const one of tables)
    expect(one.rowsInLake, `${one.source}.${one.table}`).toBe(one.rowsInSource)
  const found: Record<string, CommittedManifest> = {}
  await project.opened(async ({ ingestion, engine: open }) => {
    const engine = await open()
    try {
      for (const source of ['one', 'two']) {
        const manifest = await ingestion.chain(source).newest()
        if (manifest === null) throw new Error('nothing was extracted')
        found[source] = manifest
        for (const [table, text] of Object.entries(TABLES)) {
          const asked = `select ${text} as r from`
          const rows = await rowsAsOf(ingestion, manifest, table, manifest.batch)
          const inLake = (await engine.rows(`${asked} (${rows})`)).map(({ r }) => String(r))
          const inSource = (await project.source.query(`${asked} ${table}`)).map(({ r }) =>
            String(r),
          )
          expect(inLake.toSorted(), `${source}.${table}`).toEqual(inSource.toSorted())
        }
      }
    } finally {
      engine.close()
    }
  })
  return found
}

test('P2: a first batch leaves pairs of tables with a key, and of no others', async () => {
  const { one, two } = await batch()
  const withPairs = (manifest: CommittedManifest | undefined): string[] =>
    Object.entries(manifest?.tables ?? {}).flatMap(([name, { pairs }]) =>
      pairs === undefined ? [] : [name],
    )
  expect(withPairs(one)).toEqual([])
  expect(withPairs(two)).toEqual(['item', 'odd', 'part'])
}, 60_000)

/** What may happen to the tables between two batches; `n` tells repetitions apart. */
const EVENTS: Readonly<Record<string, (n: number) => string>> = {
  'rows change, one without a new value': (n) =>
    `update item set v = 'e${n}' where id % 10 = ${n % 10}; update item set v = v where id % 10 = ${(n + 1) % 10}`,
  'rows are deleted, others come': (n) =>
    `delete from item where id % 10 = ${n % 10}; insert into item (id, v) values (${1000 + n}, null)`,
  'keys are swapped': () =>
    `begin; update item set id = -1 where id = 21; update item set id = 21 where id = 31; update item set id = 31 where id = -1; commit`,
  'a key moves': (n) =>
    `update item set id = id + ${10_000 * (n + 1)} where id between 100 and 105`,
  'a row is deleted and comes back the same': () =>
    `begin; create temp table kept as select * from item where id = 41; delete from item where id = 41;
     insert into item select * from kept; drop table kept; commit`,
  'a transaction of savepoints': (n) =>
    `begin; update item set v = 'outer' where id = 51; savepoint a; update item set v = 'lost' where id = 61; rollback to a;
     savepoint b; update item set v = 's${n}' where id = 71; release b; delete from item where id = 81; commit`,
  'partitions are crossed': (n) =>
    `update part p set region = 3 - region where id % 7 = ${n % 7} and not exists (select from part q where q.id = p.id and q.region <> p.region); delete from part where id % 13 = ${n % 13}`,
  'a partition is emptied and filled': (n) =>
    `truncate part_1; insert into part select n, 1, 'again${n}' from generate_series(1, 50) n`,
  'the same place has another row': (n) =>
    `delete from odd; vacuum odd; insert into odd values ('', 'r${n}'), ('a,b', 'comma'), ('"', 'q'), ('new${n}', '')`,
  'a table is written anew': () => 'vacuum (full, freeze) item',
  'rows are frozen': () => 'vacuum freeze part',
  'a table is emptied': (n) => `truncate odd; insert into odd values ('t${n}', 'x'), ('', 'r0')`,
  'a label has another name': () =>
    `do $$ begin if 'busy' = any (enum_range(null::mood)::text[]) then alter type mood rename value 'busy' to 'hectic';
       else alter type mood rename value 'hectic' to 'busy'; end if; end $$`,
  nothing: () => 'select 1',
}

test('P2, P12: whatever happens to tables, the rows of either strategy are theirs after each batch', async () => {
  // Each by itself, and then some together, in an order that differs from run to run.
  const each = Object.values(EVENTS)
  const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31))
  const groups = fc
    .sample(fc.array(fc.constantFrom(...each), { minLength: 3, maxLength: 5 }), {
      seed,
      numRuns: 4,
    })
    .concat([each.slice(0, 5), each.slice(5, 9), each.slice(9)])
  for (const [index, group] of groups.entries()) {
    for (const event of group)
      // Most of them cannot share a transaction with what comes after.
      for (const statement of statementsOf(event(index))) await project.source.query(statement)
    await batch().catch((error: unknown) => {
      throw new Error(`SEED=${seed}, group ${index}`, { cause: error })
    })
  }
}, 240_000)

/** A transaction is one, anything else a statement at a time. */
function statementsOf(sql: string): string[] {
  return /^(begin|do)/.test(sql) ? [sql] : sql.split(';')
}

async function pairsOf(table: string): Promise<PairsEntry | undefined> {
  return project.opened(async ({ ingestion }) => {
    const manifest = await ingestion.chain('two').newest()
    return manifest?.tables[table]?.pairs
  })
}

/** A new base of pairs shows that the table was compared in full. */
async function comparedInFull(table: string, sql: string): Promise<boolean> {
  const before = await pairsOf(table)
  await project.source.query(sql)
  await batch()
  const after = await pairsOf(table)
  return JSON.stringify(before?.base) !== JSON.stringify(after?.base)
}

test('P2: pairs of a table that was swapped for another count for nothing, though they are equal', async () => {
  await project.source.query(`begin; delete from item where id > 90000;
    create table other (like item including all); insert into item (id, v) values (90001, 'mine'); insert into other (id, v) values (90001, 'other');
    insert into other select * from item where id <> 90001; commit`)
  await project.source.query('alter table other rename to zother')
  await project.write('tote.config.ts', config("tables: { exclude: ['zother'] }, "))
  await batch()
  expect(
    await comparedInFull(
      'item',
      'begin; alter table item rename to kept; alter table zother rename to item; alter table kept rename to zother; commit',
    ),
  ).toBe(true)
  await project.source.query('drop table zother')
  await project.write('tote.config.ts', config(''))
}, 120_000)

test('P2: rows that take the places of others, under the same ids, are found: a table written anew has another file', async () => {
  // Every row of one transaction: the third has the place and the xmin of the second, and so on.
  await project.source.query(
    `truncate odd; insert into odd select 'k' || n, 'v' || n from generate_series(1, 40) n`,
  )
  await batch()
  await batch()
  expect((await pairsOf('odd'))?.blocks?.files).toBeDefined()
  await project.source.query(`delete from odd where "Key" = 'k1'`)
  await project.source.query('vacuum full odd')
  await batch()
  await project.source.query(`delete from odd where "Key" = 'k40'`)
  await batch()
}, 120_000)

test('P2: the same place of another partition, written by the same transaction, is another place', async () => {
  await project.source.query(
    `truncate part; insert into part select n, 1 + n % 2, 'v' || n from generate_series(1, 40) n`,
  )
  await batch()
  await batch()
  // The first row of one, and the second of the other.
  await project.source.query('delete from part where id in (2, 3)')
  await batch()
}, 120_000)

test('P2: a label renamed inside an array or a composite changes rows, and no xmin', async () => {
  await project.source.query(`update item set ms = '{calm}', s = row(1, 'calm'), m = null`)
  await batch()
  expect(await comparedInFull('item', `alter type mood rename value 'calm' to 'quiet'`)).toBe(true)
  expect(await comparedInFull('item', `alter type mood rename value 'quiet' to 'calm'`)).toBe(true)
}, 120_000)

test('P2: a partition that was altered while it was away is read anew; one that comes or goes is no reason to', async () => {
  await batch()
  const attach = `alter table part attach partition part_1 for values in (1)`
  expect(
    await comparedInFull(
      'part',
      `begin; alter table part detach partition part_1; alter table part_1 drop column v;
       alter table part_1 add column v text default 'other'; ${attach}; commit`,
    ),
  ).toBe(true)
  expect(
    await comparedInFull(
      'part',
      `create table part_3 partition of part for values in (3); insert into part values (1, 3, 'three')`,
    ),
  ).toBe(false)
  expect(
    await comparedInFull('part', 'alter table part detach partition part_3; drop table part_3'),
  ).toBe(false)
}, 120_000)

test('P2: a partition put in the place of another has other rows, though their pairs are equal', async () => {
  await project.source
    .query(`begin; delete from part where region = 1; create table part_9 (like part including all);
    insert into part values (1, 1, 'mine'), (2, 1, 'mine'); insert into part_9 values (1, 1, 'other'), (2, 1, 'other'); commit`)
  await project.write('tote.config.ts', config("tables: { exclude: ['part_9', 'part_1'] }, "))
  await batch()
  await project.source.query(`begin; alter table part detach partition part_1;
    alter table part attach partition part_9 for values in (1); commit`)
  await batch()
  await project.source.query('drop table part_1; alter table part_9 rename to part_1')
  await project.write('tote.config.ts', config(''))
  await batch()
}, 120_000)

test('a full refresh compares in full and leaves new pairs; the next batch goes on with them', async () => {
  const before = await pairsOf('item')
  await project.good({ only: 'extract', fullRefresh: true })
  const after = await pairsOf('item')
  expect(after?.base).not.toEqual(before?.base)
  expect(await comparedInFull('item', `update item set v = 'after' where id % 3 = 0`)).toBe(false)
}, 120_000)

test('rows written without a change are position only: no batch, and not looked at again', async () => {
  const first = await batch()
  await project.source.query('update item set v = v where id % 3 = 0')
  const second = await batch()
  const third = await batch()
  expect(second['two']?.batch).toBe(first['two']?.batch)
  expect(second['two']?.number).toBeGreaterThan(first['two']?.number ?? 0)
  expect(third['two']?.sha256).toBe(second['two']?.sha256)
}, 120_000)

test('P3: killed before pairs, their digests or the manifest are written, the next run ends as one that was not', async () => {
  await batch()
  const moments = [
    /extract duckdb\.copy .*_pairs/,
    /extract fs.*\.blocks/,
    /extract fs\.link .*two.*_manifests/,
  ]
  for (const [index, moment] of moments.entries()) {
    await project.source.query(
      `update item set v = 'kill${index}' where id % 4 = ${index}; delete from item where id = ${200 + index}; insert into item (id, v) values (${5000 + index}, 'k')`,
    )
    const before = await pairsOf('item')
    const { ended } = startCli(project.folder, ['run', '--only', 'extract', '--json'], {
      NODE_OPTIONS: `--import ${SWITCH}`,
      KILL_ON: moment.source,
    })
    expect({ moment, exit: (await ended).exit }).toEqual({ moment, exit: null })
    expect(await pairsOf('item')).toEqual(before)
    await batch()
    expect(await pairsOf('item')).not.toEqual(before)
  }
  expect((await project.good({ only: 'extract' })).outcome).toBe('nothing to do')
}, 120_000)
