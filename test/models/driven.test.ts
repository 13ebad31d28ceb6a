/** `driven by`: what works through a table row by row, and what only seems to. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '../../src/columns/engine.ts'
import { ToteError } from '../../src/errors.ts'
import { bindModels } from '../../src/models/bind.ts'
import type { Model } from '../../src/models/model.ts'
import { dimension, model, openTestEngine, readable } from './totesys-tables.ts'

let engine: Engine
beforeAll(async () => {
  engine = await openTestEngine()
})
afterAll(() => engine.close())

const sources = [
  readable('s', 'sale', 'id integer; staff_id integer; tags text; amount numeric(9,2)'),
  readable('s', 'line', 'id integer; no integer; item text', ['id', 'no']),
  readable('s', 'staff', 'staff_id integer; name text; boss_id integer'),
  readable('s', 'log', 'at text; what text', []),
]
const others = [
  dimension('totals', 'select staff_id as id, sum(amount) as total from s.sale group by 1'),
]

async function bind(sql: string, header = '-- key: id\n-- driven by: s.sale\n'): Promise<Model> {
  const text = model('m', `-- kind: table\n-- nullable: all\n${header}${sql}`)
  const bound = (await bindModels([text, ...others], engine, sources)).find(
    ({ name }) => name === 'm',
  )
  if (bound === undefined) throw new Error('not bound')
  return bound
}

async function refusal(sql: string, header?: string): Promise<string[]> {
  const error: unknown = await bind(sql, header).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof ToteError)) throw new Error(`not refused: ${sql}`, { cause: error })
  return [
    error.name,
    ...(error.facts.problems ?? []).map(
      ({ where, message }) => `${where.replace('models/m.sql', '')} ${message}`,
    ),
  ]
}

describe('P7: a model is driven by a table whose rows it passes one by one', () => {
  test.each([
    'select id, amount from s.sale',
    'from s.sale',
    'select * from s.SALE as x where amount > 0 order by amount',
    'select * exclude (tags), upper(tags) as tag from s.sale',
    'select s.id, p.name from s.sale s left join s.staff p using (staff_id)',
    'select s.id, p.name from s.sale s join s.staff p on p.staff_id = s.staff_id join s.staff b on b.staff_id = p.boss_id',
    'select s.id, p.name from s.staff p right join s.sale s using (staff_id)',
    'select s.id, p.name from s.sale s, s.staff p where s.staff_id = p.staff_id',
    'select id from s.sale semi join s.staff using (staff_id)',
    'select id from s.sale anti join s.staff using (staff_id)',
    'select id, (select max(name) from s.staff p where p.boss_id = s.staff_id) as first from s.sale s',
    'select id from s.sale s where exists (select 1 from s.staff p where p.staff_id = s.staff_id)',
    'select id from s.sale where staff_id in (select staff_id from s.staff limit 3)',
    'select s.id, t.total from s.sale s left join (select boss_id, count(*) as total from s.staff group by 1) t on t.boss_id = s.staff_id',
    'with p as (select *, row_number() over (order by staff_id) as no from s.staff) select id, no from s.sale left join p using (staff_id)',
    'with sale as (from s.sale) select id, amount from sale',
    'with a as (select id as k, tags from s.sale), b as (select k as id, tags from a where tags is not null) from b',
    'select x.id from (select * from (select id, tags from s.sale) y) x',
    "select id, unnest(string_split(tags, ',')) as tag from s.sale",
    'select s.id, u.tag from s.sale s, unnest([s.tags]) as u(tag)',
    'select s.id, p.name from s.sale s, lateral (select name from s.staff p where p.staff_id = s.staff_id order by name limit 1) p',
    'select s.id, t.total from s.sale s left join totals t on t.id = s.staff_id',
  ])('%s', async (sql) => {
    expect((await bind(sql)).driven).toEqual({
      table: { schema: 's', name: 'sale' },
      key: [{ column: 'id', as: 'id' }],
    })
  })
  test('its key may be part of a longer one, and have other names', async () => {
    const header = '-- key: number, sale, place\n-- driven by: S."line"\n'
    const { driven } = await bind(
      'select l.id as sale, no as number, p.staff_id as place from s.line l, s.staff p',
      header,
    )
    expect(driven).toEqual({
      table: { schema: 's', name: 'line' },
      key: [
        { column: 'id', as: 'sale' },
        { column: 'no', as: 'number' },
      ],
    })
  })
  test('it may be a model', async () => {
    const { driven } = await bind(
      'select id, total from totals',
      '-- key: id\n-- driven by: totals\n',
    )
    expect(driven?.table).toEqual({ schema: null, name: 'totals' })
  })
  test('without the line nothing is driven', async () => {
    expect((await bind('from s.sale', '-- key: id\n')).driven).toBeNull()
  })
})

describe('P7: what looks at several of its rows is refused, with its place', () => {
  const because = 'cannot be driven by "s.sale":'
  test.each([
    [
      'select id, row_number() over (order by amount) as n\nfrom s.sale',
      `:5:12 ${because} row_number() over (…) looks at several of its rows`,
    ],
    [
      'select id,\n  sum(amount) over () as n from s.sale',
      `:6:3 ${because} sum() over (…) looks at several of its rows`,
    ],
    [
      'select id, sum(x) over w as n from (select id, 1 as x from s.sale) window w as ()',
      `:5:12 ${because} sum() over (…) looks at several of its rows`,
    ],
    [
      'select id from s.sale qualify rank() over (order by amount) = 1',
      `:5:61 ${because} "qualify" looks at several of its rows`,
    ],
    ['select distinct id from s.sale', `:5:17 ${because} "distinct" compares its rows`],
    [
      'select distinct on (staff_id) id from s.sale',
      `:5:21 ${because} "distinct" compares its rows`,
    ],
    [
      'select id from s.sale order by amount limit 10',
      `:5:45 ${because} "limit" or "offset" counts its rows`,
    ],
    ['select id from s.sale offset 10', `:5:30 ${because} "limit" or "offset" counts its rows`],
    ['select id from s.sale limit 10%', `:5:29 ${because} "limit" or "offset" counts its rows`],
    [
      'select id, sum(amount) as total from s.sale group by id',
      `:5:54 ${because} "group by" puts its rows together`,
    ],
    ['select id from s.sale group by all', `:5:8 ${because} "group by" puts its rows together`],
    ['select max(id) as id from s.sale', `:5:8 ${because} max() puts its rows together`],
    [
      'select max(id) as id from (select id from s.sale)',
      `:5:8 ${because} max() puts its rows together`,
    ],
    [
      'select id from s.sale union all select staff_id from s.staff',
      `:5:8 ${because} it is read in a part of "union"`,
    ],
    [
      'select id from (select id from s.sale except select 1)',
      `:5:24 ${because} it is read in a part of "except"`,
    ],
    [
      'select a.id from s.sale a join s.sale b on a.id = b.staff_id',
      `:5:32 ${because} it is read a second time`,
    ],
    [
      'select id, (select count(*) from s.sale) as n from s.sale',
      `:5:52 ${because} it is read a second time`,
    ],
    [
      'select s.id from s.staff p left join s.sale s using (staff_id)',
      `:5:38 ${because} the left join can yield rows that are not made of one row of it`,
    ],
    [
      'select s.id from s.sale s right join s.staff p using (staff_id)',
      `:5:38 ${because} the right join can yield rows that are not made of one row of it`,
    ],
    [
      'select s.id from s.sale s full join s.staff p using (staff_id)',
      `:5:37 ${because} the full join can yield rows that are not made of one row of it`,
    ],
    [
      'select staff_id as id from s.staff semi join s.sale using (staff_id)',
      `:5:46 ${because} the semi join can yield rows that are not made of one row of it`,
    ],
    [
      'select s.id from s.sale s asof join s.staff p on s.id >= p.staff_id',
      `:5:37 ${because} it is read through a join of the kind "asof"`,
    ],
    [
      'select staff_id as id from s.staff where staff_id in (select staff_id from s.sale)',
      `:5:76 ${because} it is read in a subquery of a condition or of a value`,
    ],
    [
      'select staff_id as id, (select max(amount) from s.sale) as m from s.staff',
      `:5:49 ${because} it is read in a subquery of a condition or of a value`,
    ],
    [
      'select p.staff_id as id from s.staff p join s.staff q on exists (from s.sale)',
      `:5:45 ${because} it is read in the condition of a join`,
    ],
    [
      'select u.id from unnest((select list(id) from s.sale)) as u(id)',
      `:5:47 ${because} it is read in the arguments of a function`,
    ],
    [
      'with a as (from s.sale) select a.id from a join a as b using (id)',
      `:5:49 ${because} "a", which holds its rows, is read a second time`,
    ],
    [
      'with a as (select distinct id from s.sale) from a',
      `:5:28 ${because} "distinct" compares its rows`,
    ],
    ['with a as (from s.sale) select id from (with a as (select 1 as id) from a)', null],
    [
      'with recursive a as (select id from s.sale union all select id + 1 from a where id < 9) from a',
      null,
    ],
    [
      'with recursive a as (select id from s.sale union all select id + 1 from a where id < 9) select 1 as id',
      null,
    ],
  ])('%s', async (sql, message) => {
    const [name, ...problems] = await refusal(sql)
    expect(name).toBe('ModelNotDriven')
    if (message !== null) expect(problems).toEqual([message])
  })
  test('DuckDB refuses an aggregate of the outer rows, wherever it hides, beside their key', async () => {
    for (const sql of [
      'select id, sum(amount) from s.sale',
      'select id, (select sum(s.amount)) as n from s.sale s',
      'select *, (select sum(s.amount) from s.staff) as n from s.sale s',
      'select id from s.sale s where (select count(s.amount)) > 1',
      'select s.id, t.n from s.sale s, lateral (select sum(s.amount) as n from s.staff) t',
      'select id, (select row_number() over (order by s.amount)) as n from s.sale s',
      'select id, geomean(amount) as n from s.sale s',
      'select id from s.sale order by sum(amount)',
    ])
      expect((await refusal(sql))[0]).toBe('ModelInvalid')
  })
})

describe('the line itself', () => {
  test.each([
    [
      'from s.sale',
      '-- key: id\n-- driven by: s.sales\n',
      ':4 the select reads no table "s.sales". Did you mean "s.sale"?',
    ],
    [
      'from s.sale',
      '-- key: id\n-- driven by: sale\n',
      ':4 the select reads no table "sale". Did you mean "s.sale"?',
    ],
    ['from s.log', '-- key: at\n-- driven by: s.log\n', ':4 "s.log" has no key'],
    [
      'select id + 0 as id from s.sale',
      undefined,
      ':3 the key must hold "id" of "s.sale", as a plain column, for the model to be driven by it',
    ],
    [
      'select id, tags from s.sale',
      '-- key: tags\n-- driven by: s.sale\n',
      ':3 the key must hold "id" of "s.sale", as a plain column, for the model to be driven by it',
    ],
    [
      'select staff_id as id, s.id as other from s.sale s',
      undefined,
      ':3 the key must hold "id" of "s.sale", as a plain column, for the model to be driven by it',
    ],
    [
      'from s.line',
      '-- key: no\n-- driven by: s.line\n',
      ':3 the key must hold "id" of "s.line", as a plain column, for the model to be driven by it',
    ],
  ])('%s', async (sql, header, message) => {
    expect(await refusal(sql, header)).toEqual(['ModelNotDriven', message])
  })
  test('names one table', () => {
    for (const value of ['a, b', 'a b', '', 's.t.u', '(x)'])
      expect(() =>
        model('m', `-- kind: table\n-- key: id\n-- driven by: ${value}\nfrom a`),
      ).toThrow(value === '' ? 'says nothing' : 'is not one table')
  })
})

test('P7: all reasons are told at once, each with its line, and the way out', async () => {
  const failed = async (sql: string): Promise<ToteError> => {
    const error: unknown = await bind(sql).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    if (!(error instanceof ToteError)) throw new Error('not refused', { cause: error })
    return error
  }
  const one = await failed('select distinct id from s.sale')
  expect(one.message).toBe('A model is not driven by the table that its header names.')
  expect(one.facts.fix).toBe(
    'remove the line "driven by": the model is then evaluated in full when a table that it reads has changed',
  )
  expect(one.facts.terminal?.join('\n')).toContain('select distinct id from s.sale')
  const two = await failed('select distinct id from s.sale\nlimit 3')
  expect(two.message).toBe(
    'Models are not driven by the tables that their headers name: 2 reasons.',
  )
  expect(two.facts.problems?.map(({ where }) => where)).toEqual([
    'models/m.sql:5:17',
    'models/m.sql:6:7',
  ])
  expect(two.facts.terminal?.join('\n')).toContain('limit 3')
})
