/** What models read, and may not: by DuckDB's own parser. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '../../src/columns/engine.ts'
import { readReferences, type References } from '../../src/syntax/references.ts'
import { parseSql } from '../../src/syntax/syntax-tree.ts'
import { openTestEngine } from '../models/totesys-tables.ts'

let engine: Engine
beforeAll(async () => {
  engine = await openTestEngine()
})
afterAll(() => engine.close())

async function read(sql: string): Promise<References> {
  const parsed = await parseSql(engine, sql)
  if ('complaint' in parsed) throw new Error(parsed.complaint.message)
  const [tree] = parsed.statements
  if (tree === undefined) throw new Error('no statement')
  return readReferences(tree)
}

describe('tables read', () => {
  test.each([
    ['select 1', ''],
    ['values (1), (2)', ''],
    ['from s.a', 's.a'],
    ['table s.a', 's.a'],
    ['select * from s.a, b', 's.a b'],
    ['select * from s.a join s.b using (id) left join c on a.id = c.id', 's.a s.b c'],
    ['select * from s."Odd Name"', 's.Odd Name'],
    ['select * from "a.b"', 'a.b'],
    ['select (select max(x) from s.a) from s.b', 's.a s.b'],
    [
      'select 1 from s.a where exists (select 1 from b) and id in (from c) or id = any(select 1 from d)',
      's.a b c d',
    ],
    ['select array(select x from s.a), [y for y in (select list(x) from b)]', 's.a b'],
    ['select * from (select * from (select * from s.a)) as a', 's.a'],
    ['select * from s.a, lateral (select * from s.b where b.id = a.id)', 's.a s.b'],
    ['from s.a union all select * from b except select * from c', 's.a b c'],
    ['from s.a intersect (from b union by name from c)', 's.a b c'],
    ['with a as (from s.t) select * from a', 's.t'],
    ['with a as (from s.t) select * from A', 's.t'],
    ['with a as (from s.t), b as (from a) select * from b join a using (id)', 's.t'],
    ['with a as (from b), b as (from c) select * from a, b', 'b c'],
    ['with a as (from a) select * from a', 'a'],
    ['with a as (from t) select * from s.a', 't s.a'],
    ['with a as (from t) select * from (with a as (from u) from a), a', 't u'],
    ['select * from (with a as (from t) from a), a', 't a'],
    ['with a as (with b as (from t) from b) select * from a, b', 't b'],
    ['with a as (from t) (select * from a union all select * from b)', 't b'],
    ['select 1 from t where id in (with t as (from u) select id from t)', 't u'],
    ['with recursive a as (select 1 as n union all select n + 1 from a where n < 9) from a', ''],
    ['with recursive a as (from s.t union select b.* from a join b using (id)) from a', 's.t b'],
    ['with a(x, y) as materialized (from s.t) select x from a', 's.t'],
    [
      'select count(*) filter (where x in (from a)) over (partition by y order by (select 1 from b)) from s.t',
      'a b s.t',
    ],
    [
      'select * from s.t order by (select max(id) from a) limit (select count(*) from b)',
      'a b s.t',
    ],
    [
      'select case when x then (select 1 from a) else (select 2 from b) end from s.t qualify row_number() over (order by x) = 1',
      'a b s.t',
    ],
    ['select * from s.t asof join a on t.x >= a.x', 's.t a'],
    ['select * from s.t semi join a using (id) anti join b using (id)', 's.t a b'],
    ['select * from s.t, unnest(t.list), generate_series(1, 2) as g(n), range(3)', 's.t'],
    ['select \'-- from a\' as "from b" /* from c */ from s.t -- from d', 's.t'],
    ['select * exclude (a) replace (upper(b) as b) from s.t group by all', 's.t'],
  ])('%s', async (sql, expected) => {
    const { tables, refusals } = await read(sql)
    expect(refusals).toEqual([])
    const found = new Set(
      tables.map(({ schema, name }) => (schema === null ? name : `${schema}.${name}`)),
    )
    expect([...found].toSorted()).toEqual(
      expected === '' ? [] : expected.split(/ (?=s\.|[a-z]\b)/).toSorted(),
    )
  })
  test('a table says where it stands, in bytes', async () => {
    const { tables } = await read("select 'é' from s.t")
    expect(tables).toMatchObject([{ schema: 's', name: 't', position: 17 }])
    expect(Buffer.from("select 'é' from s.t").subarray(17).toString()).toBe('s.t')
  })
})

describe('a model is a function of its inputs', () => {
  test('every function that DuckDB does not call consistent is refused', async () => {
    const functions = await engine.rows(
      "select distinct function_name as name from duckdb_functions() where stability <> 'CONSISTENT'",
    )
    expect(functions.length).toBeGreaterThan(20)
    for (const { name } of functions) {
      const { refusals } = await read(`select "${String(name)}"() from s.t`)
      expect([name, refusals.length]).toEqual([name, 1])
    }
  })
  test('every macro that hides such a function, or a table of the system, is refused', async () => {
    const macros = await engine.rows(
      "select function_name as name, macro_definition as body from duckdb_functions() where function_type = 'macro'",
    )
    expect(macros.length).toBeGreaterThan(100)
    // It raises an error for a key that is null, which its rows decide.
    const sound = ['json_group_object']
    const hiding: string[] = []
    for (const { name, body } of macros) {
      const parsed = await parseSql(engine, `select (${String(body)})`)
      const [tree] = 'complaint' in parsed ? [] : parsed.statements
      if (tree === undefined) continue
      const inner = readReferences(tree)
      const tables = inner.tables.length > 0
      if ((inner.refusals.length === 0 && !tables) || sound.includes(String(name))) continue
      hiding.push(String(name))
      expect([name, (await read(`select "${String(name)}"() from s.t`)).refusals.length]).toEqual([
        name,
        1,
      ])
    }
    expect(hiding).toEqual(
      expect.arrayContaining(['ago', 'pg_sleep', 'pg_conf_load_time', 'current_query']),
    )
  })
  test.each([
    'random()',
    'setseed(0.5)',
    'uuid()',
    'uuidv4()',
    'uuidv7()',
    'gen_random_uuid()',
    "nextval('s')",
    "currval('s')",
    'now()',
    'today()',
    'current_date',
    'current_date()',
    'current_time',
    'current_timestamp',
    'get_current_time()',
    'get_current_timestamp()',
    'transaction_timestamp()',
    'current_localtime()',
    'current_localtimestamp()',
    'localtime',
    'localtimestamp',
    'ago(interval 1 day)',
    'age(x)',
    'pg_postmaster_start_time()',
    'NOW()',
    '"now"()',
    "current_setting('threads')",
    "getvariable('x')",
    "getenv('HOME')",
    'version()',
    'current_user',
    'session_user',
    'user',
    'current_role',
    'current_schema',
    'current_schema()',
    'current_database()',
    'current_catalog',
    'txid_current()',
    "error('no')",
    'current_query()',
    'main.random()',
    'sum(random()) over ()',
    'list_transform([1], lambda y: y + random())',
  ])('%s is refused', async (call) => {
    const { refusals } = await read(`select ${call} from s.t`)
    expect(refusals.length).toBeGreaterThan(0)
    expect(refusals[0]?.message).toMatch(
      /gives another value each time|reads the clock|depends on the session|does more than give a value/,
    )
    expect(refusals[0]?.position).not.toBeNull()
  })
  test.each([
    'select 1 from s.t where x < now()',
    'with a as (select now()) from a',
    'select 1 from s.t order by random()',
    'select 1 from s.t group by x having max(y) > now()',
    'select 1 from s.t join s.u on random() < x',
    'select 1 from (values (now())) as v(x)',
    'select 1 from generate_series(now(), now(), interval 1 day)',
    'select count(*) filter (where x < now()) from s.t',
    'select * replace (now() as x) from s.t',
    'select 1 from s.t limit random()',
  ])('wherever it stands: %s', async (sql) => {
    expect((await read(sql)).refusals).not.toEqual([])
  })
  test.each([
    'age(x, y)',
    's.user',
    'user.name',
    't.current_date',
    'pg_typeof(x)',
    'strftime(x, y)',
    "date_trunc('day', x)",
    'hash(x)',
    "'now'",
    'x as "user"',
  ])('%s is allowed', async (expression) => {
    expect((await read(`select ${expression} from s.t`)).refusals).toEqual([])
  })
})

describe('nothing but named tables is read', () => {
  test.each([
    ["from read_csv('x.csv')", 'reads read_csv(), which is no table of a source and no model'],
    [
      "from read_parquet('https://example.org/x')",
      'reads read_parquet(), which is no table of a source and no model',
    ],
    ["from glob('*')", 'reads glob(), which is no table of a source and no model'],
    ["from query('select 1')", 'reads query(), which is no table of a source and no model'],
    ["from query_table('t')", 'reads query_table(), which is no table of a source and no model'],
    [
      'from duckdb_settings()',
      'reads duckdb_settings(), which is no table of a source and no model',
    ],
    ['from other.main.t', 'names a database ("other"); write source.table, or a model\'s name'],
    ['from s.t at (version => 3)', 'asks for another state of a table; a model reads current rows'],
    ['from s.t tablesample 10%', 'takes a sample, which is other rows each time'],
    ['from s.t using sample 10', 'takes a sample, which is other rows each time'],
    ['from s.t positional join s.u', 'joins by position, but the rows of a table have no order'],
    ['select * from s.t where x = ?', 'has the parameter $1, and nothing gives it a value'],
    ['select * from s.t where x = $name', 'has the parameter $name, and nothing gives it a value'],
    ['describe s.t', 'reads something that is no table of a source and no model'],
    ['show tables', 'reads something that is no table of a source and no model'],
    ['summarize s.t', 'reads something that is no table of a source and no model'],
  ])('%s', async (sql, message) => {
    expect((await read(sql)).refusals.map((refusal) => refusal.message)).toContain(message)
  })
})
