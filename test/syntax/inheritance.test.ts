/** Which columns keep their PostgreSQL type: plain references, however they are led on. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '../../src/columns/engine.ts'
import { bindModels } from '../../src/models/bind.ts'
import { dimension, openTestEngine, readable } from '../models/totesys-tables.ts'

let engine: Engine
beforeAll(async () => {
  engine = await openTestEngine()
})
afterAll(() => engine.close())

const sources = [
  readable(
    's',
    'a',
    'id integer; code character varying(3); amount numeric(10,2); moment timestamp(3) without time zone; kind "Kind"; huge numeric',
  ),
  readable('s', 'b', 'id integer; code character(3); name character varying(9); other integer'),
  readable('s', 'c', 'id integer; name character varying(9)'),
]

/** The types of a model's columns after the first, which is its key. */
async function types(sql: string, header = '', more = ''): Promise<string[]> {
  const texts = [
    dimension('m', sql, `-- nullable: all\n${header}`),
    ...(more === '' ? [] : [dimension('other', more)]),
  ]
  const models = await bindModels(texts, engine, sources)
  const columns = models.find(({ name }) => name === 'm')?.columns ?? []
  return columns.slice(1).map((column) => `${column.name} ${column.type}`)
}

describe('a plain reference keeps its type', () => {
  test.each([
    [
      'by name',
      'select id, code, amount, moment from s.a',
      'code character varying(3), amount numeric(10,2), moment timestamp(3) without time zone',
    ],
    [
      'types that the lake carries as text too',
      'select id, kind, huge from s.a',
      'kind "Kind", huge numeric',
    ],
    ['under another name', 'select id, code as short from s.a', 'short character varying(3)'],
    ['in upper case', 'select ID as id, CODE from S.A', 'code character varying(3)'],
    [
      'by the name of its table',
      'select a.id, a.code, s.a.amount from s.a',
      'code character varying(3), amount numeric(10,2)',
    ],
    [
      'by an alias',
      'select x.id, y.name from s.a x join s.b y on x.id = y.id',
      'name character varying(9)',
    ],
    ['by a star', 'select * from s.c', 'name character varying(9)'],
    [
      'by the star of one table',
      'select c.* from s.b join s.c using (id)',
      'name character varying(9)',
    ],
    [
      'by a star with exclude',
      'select * exclude (code, OTHER) from s.b',
      'name character varying(9)',
    ],
    [
      'by a star over using',
      'select * exclude (other) from s.b join s.c using (id, name)',
      'code character(3), name character varying(9)',
    ],
    [
      'by using, of the left table',
      'select id, code from s.a left join s.b using (id, code)',
      'code character varying(3)',
    ],
    [
      'by using, of the right table of a right join',
      'select id, code from s.a right join s.b using (id, code)',
      'code character(3)',
    ],
    [
      'by using of a full join, where both are equal',
      'select id, name from s.b full join s.c using (id, name)',
      'name character varying(9)',
    ],
    ['by a natural join', 'select id, name from s.b natural join s.c', 'name character varying(9)'],
    ['over a semi join', 'select * from s.c semi join s.b using (id)', 'name character varying(9)'],
    [
      'from a subquery',
      'select id, short from (select id, code as short from s.a) x',
      'short character varying(3)',
    ],
    [
      'from a subquery with column names',
      'select i as id, c from (select id, code from s.a) x(i, c)',
      'c character varying(3)',
    ],
    [
      'from a with clause',
      'with x as (select * from s.c), y as (from x) select id, name from y',
      'name character varying(9)',
    ],
    [
      'from a with clause with column names',
      'with x(id, n) as (select id, name from s.c) select * from x',
      'n character varying(9)',
    ],
    [
      'through group by, distinct, order and limit',
      'select distinct id, name from s.c group by id, name order by name limit 3',
      'name character varying(9)',
    ],
    [
      'from both sides of a union',
      'select id, name from s.b union all select id, name from s.c',
      'name character varying(9)',
    ],
    [
      'in a lateral subquery beside it',
      'select c.id, c.name from s.c, lateral (select c.id + 1 as next) x',
      'name character varying(9)',
    ],
  ])('%s', async (_title, sql, expected) => {
    expect((await types(sql)).join(', ')).toBe(expected)
  })
  test('from another model', async () => {
    expect(await types('select * from other', '', 'select id, code from s.a')).toEqual([
      'code character varying(3)',
    ])
  })
  test('from another model, by that header', async () => {
    const texts = [
      dimension('x', 'select id, name from s.c', '-- types: name varchar(20)\n'),
      dimension('y', 'select id, name from x'),
    ]
    const models = await bindModels(texts, engine, sources)
    expect(models.map((model) => model.columns[1]?.type)).toEqual([
      'character varying(20)',
      'character varying(20)',
    ])
  })
})

describe('anything else has the type of the table in the docs', () => {
  test.each([
    [
      'an expression',
      "select id, code || '' as code, amount + 0 as amount from s.a",
      'code text, amount numeric(13,2)',
    ],
    ['a cast', 'select id, cast(kind as varchar) as kind from s.a', 'kind text'],
    ['coalesce', "select id, coalesce(code, 'x') as code from s.a", 'code text'],
    ['a scalar subquery', 'select id, (select max(name) from s.c) as name from s.a', 'name text'],
    [
      'different types under union',
      'select id, code from s.a union select id, code from s.b',
      'code text',
    ],
    [
      'using of a full join with different types',
      'select id, code from s.a full join s.b using (id, code)',
      'code text',
    ],
    [
      'a recursive query',
      'with recursive x as (select id, code from s.a union select id, code from x) select * from x',
      'code text',
    ],
    [
      'union by name',
      'select id, name from s.b union all by name select name, id from s.c',
      'name text',
    ],
    ['replaced in a star', 'select * replace (upper(name) as name) from s.c', 'name text'],
    [
      'union by name with other columns at the same place',
      `select a.id, a.code as x, b.name as y from s.a join s.b using (id)
       union all by name select a.id, a.code as y, b.name as x from s.a join s.b using (id)`,
      'x text, y text',
    ],
    [
      'a name that a subquery has twice',
      'select id, code from (select a.id, a.code, b.code from s.a join s.b using (id)) as x',
      'code text',
    ],
    [
      'aggregates',
      'select id, count(*) as n, sum(id) as s, max(name) as m from s.c group by id',
      'n bigint, s numeric(38,0), m text',
    ],
  ])('%s', async (_title, sql, expected) => {
    expect((await types(sql)).join(', ')).toBe(expected)
  })
})

test('a header line wins', async () => {
  expect(
    await types('select id, code, amount from s.a', '-- types: code text, amount numeric(12,4)\n'),
  ).toEqual(['code text', 'amount numeric(12,4)'])
})
