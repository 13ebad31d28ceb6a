/** What lies between a table's one mention and the outermost select: which selects its rows pass, and what is said against them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '../../src/columns/engine.ts'
import { callsIn, readRowByRow } from '../../src/syntax/row-by-row.ts'
import { parseSql, type TreeNode } from '../../src/syntax/syntax-tree.ts'
import { openTestEngine } from '../models/totesys-tables.ts'

let engine: Engine
beforeAll(async () => {
  engine = await openTestEngine()
})
afterAll(() => engine.close())

async function parse(sql: string): Promise<TreeNode> {
  const parsed = await parseSql(engine, sql)
  if (!('statements' in parsed) || parsed.statements[0] === undefined)
    throw new Error(`no statement: ${sql}`)
  return parsed.statements[0]
}

/** How many selects the rows of `s.t` pass, and each refusal with the word that it points at. */
async function read(sql: string): Promise<unknown[]> {
  const { refusals, levels } = readRowByRow(
    await parse(sql),
    ({ schema, name }) => schema === 's' && name === 't',
  )
  const place = (position: number | null): string =>
    position === null ? 'nowhere' : (/^[^ ,()]+/.exec(sql.slice(position))?.[0] ?? '?')
  return [levels.length, ...refusals.map((one) => `${place(one.position)}: ${one.message}`)]
}

describe('P7: every select that the rows pass is looked at', () => {
  test.each([
    ['select id from s.t', 1],
    ['select id from (select id from (from s.t) a) b', 3],
    ['select id from s.t join (select distinct id from o) using (id)', 1],
    ['with a as (from s.t) from a', 2],
    ['with A as (from s.t) select id from "a"', 2],
    ['with a as (from s.t), b as (from a) select id from (from b) c join o using (id)', 4],
    ['with a as (with b as (from s.t) from b) from a', 3],
    ['with a as (from s.t) select id from a join other.a x using (id)', 2],
    ['with a as (from s.t), b as (select count(*) as n from o) from a, b', 2],
    ['select id from s.t natural join o', 1],
    ['select id from s.t cross join o', 1],
    ['select id from s.t left join o using (id)', 1],
    ['select id from o right join s.t using (id)', 1],
    ['select id from o join s.t using (id)', 1],
    ['select id from s.t semi join o using (id)', 1],
    ['select id from s.t anti join o using (id)', 1],
    ['select t.id from s.t, lateral (select id from o where o.id = t.id order by id limit 1) x', 1],
    ['select id from s.t where exists (select max(id) from o) order by id', 1],
    ['select id, (select row_number() over () from o limit 1) as n from s.t', 1],
    [
      'with p as (select *, row_number() over () as n from o) select id from s.t join p using (id)',
      1,
    ],
  ])('%s', async (sql, levels) => {
    expect(await read(sql)).toEqual([levels])
  })
})

describe('P7: what looks at several rows is refused, wherever on the way it stands', () => {
  const distinct = 'id: "distinct" compares its rows'
  test.each([
    ['select x.id from (select distinct on (id) id from s.t) x join o using (id)', 2, distinct],
    ['with a as (from s.t) select distinct on (id) id from a', 2, distinct],
    ['with a as (from s.t), b as (select distinct on (id) id from a) from b', 3, distinct],
    ['with a as (with b as (from s.t) select distinct on (id) id from b) from a', 3, distinct],
    [
      'with a as (from s.t) select id from o left join a using (id)',
      2,
      'a: the left join can yield rows that are not made of one row of it',
    ],
    [
      'with a as (from s.t) select id from o where id in (select id from a)',
      // Its select, and that which asks.
      2,
      'a: it is read in a subquery of a condition or of a value',
    ],
    [
      'select id from s.t group by ()',
      1,
      // DuckDB knows no place of an empty group.
      'id: "group by" puts its rows together',
    ],
    ['select n from s.t group by id', 1, 'id: "group by" puts its rows together'],
    [
      'select distinct n from s.t limit 3',
      1,
      'n: "distinct" compares its rows',
      '3: "limit" or "offset" counts its rows',
    ],
    ['select id from s.t group by all', 1, 'id: "group by" puts its rows together'],
    ['select id from s.t order by id limit 3', 1, '3: "limit" or "offset" counts its rows'],
    ['select id from s.t limit 3%', 1, '3%: "limit" or "offset" counts its rows'],
    ['select distinct * from s.t', 1, '*: "distinct" compares its rows'],
    [
      'select id from s.t qualify rank() over (order by id) = 1',
      1,
      '=: "qualify" looks at several of its rows',
    ],
    [
      'select id, 1 + max(id) over (order by id) as n from s.t',
      1,
      'max: max() over (…) looks at several of its rows',
    ],
    ['select id from s.t except select id from o', 1, 'id: it is read in a part of "except"'],
    [
      'select id from s.t right join o using (id)',
      1,
      'o: the right join can yield rows that are not made of one row of it',
    ],
    [
      'select id from s.t full join o using (id)',
      1,
      'o: the full join can yield rows that are not made of one row of it',
    ],
    [
      'select id from o semi join s.t using (id)',
      1,
      's.t: the semi join can yield rows that are not made of one row of it',
    ],
    [
      'select id from o anti join s.t using (id)',
      1,
      's.t: the anti join can yield rows that are not made of one row of it',
    ],
    [
      'select id from s.t asof join o on t.id >= o.id',
      1,
      'o: it is read through a join of the kind "asof"',
    ],
    [
      'select o.id from o join x on exists (from s.t)',
      1,
      'x: it is read in the condition of a join',
    ],
    [
      'select id from unnest((select list(id) from s.t)) u(id)',
      1,
      's.t: it is read in the arguments of a function',
    ],
    [
      'select (select max(id) from s.t) as id',
      1,
      's.t: it is read in a subquery of a condition or of a value',
    ],
    ['select id from s.t group by rollup (id)', 1, 'id: "group by" puts its rows together'],
    ['select id from s.t having id > 1', 1, '>: "having" looks at several of its rows'],
    ['select id from s.t using sample 3', 1, 'id: "using sample" looks at several of its rows'],
    [
      'select id from s.t union all by name select id from o',
      1,
      'id: it is read in a part of "union by name"',
    ],
    [
      'select id from o union select id from o order by (select max(id) from s.t)',
      0,
      '?: it is read in a part of "union"',
      's.t: it is read in the arguments of a function',
    ],
    [
      'select id from (values ((select max(id) from s.t))) v(id)',
      2,
      's.t: it is read in the arguments of a function',
    ],
    [
      'select id from s.t positional join o',
      1,
      'o: it is read through a join of the kind "positional"',
    ],
  ])('%s', async (sql, levels, ...said) => {
    expect(await read(sql)).toEqual([levels, ...said])
  })
})

describe('P7: rows whose way is not plain are refused, and nothing more is said of them', () => {
  test.each([
    ['select id from o', 0, 'nowhere: the select does not read it'],
    ['select id from s.t, s.t x', 0, 's.t: it is read a second time'],
    [
      'with a as (from s.t) select 1 as id',
      1,
      'with: its rows pass "a", which is not plainly one clause',
    ],
    [
      'with a as (from s.t) select distinct id from (with A as (from o) from a)',
      1,
      'with: its rows pass "a", which is not plainly one clause',
    ],
    [
      'with a as (from s.t) select distinct x.id from a x, a y, a z',
      1,
      'a: "a", which holds its rows, is read a second time',
      'a: "a", which holds its rows, is read a second time',
    ],
    [
      'with recursive a as (select id from s.t union all select id + 1 from a where id < 9) from a',
      1,
      'id: it is read in a recursive query',
      'a: "a", which holds its rows, is read a second time',
    ],
    [
      'with recursive a as (select id from s.t union all select id + 1 from a where id < 9) select 1 as id',
      1,
      'id: it is read in a recursive query',
    ],
  ])('%s', async (sql, levels, ...said) => {
    expect(await read(sql)).toEqual([levels, ...said])
  })
})

test('calls are found in a select’s own expressions, not in those of its subqueries, clauses and `qualify`', async () => {
  const names = new Set(['max'])
  const calls = async (sql: string): Promise<number> => callsIn(await parse(sql), names).length
  expect(await calls('select MAX(id) + max(n) from s.t order by max(id)')).toBe(3)
  expect(await calls('select min(id) from s.t')).toBe(0)
  expect(
    await calls('with a as (select max(id) from o) select (select max(id) from o) from a'),
  ).toBe(0)
  expect(
    await calls('select id from (select max(id) as id from o) qualify max(id) over () = 1'),
  ).toBe(0)
})
