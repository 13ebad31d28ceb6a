/** What is wrong with models, found before a row is read: where, and what to do. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '../../src/columns/engine.ts'
import { ToteError } from '../../src/errors.ts'
import { bindModels } from '../../src/models/bind.ts'
import { modelQuery, type ModelText } from '../../src/models/model.ts'
import { readModels } from '../../src/models/read-models.ts'
import { dimension, model, openTestEngine, readable } from './totesys-tables.ts'

let engine: Engine
beforeAll(async () => {
  engine = await openTestEngine()
})
afterAll(() => engine.close())

const sources = [
  readable(
    'shop',
    'staff',
    'staff_id integer; first_name text; department_id integer; pay numeric',
  ),
  readable('shop', 'department', 'department_id integer; department_name text'),
  readable('shop', 'Billing.Invoice', 'invoice_id integer'),
  readable('seeds', 'region', 'code text; name text'),
]

async function failure(action: Promise<unknown>): Promise<ToteError> {
  const error: unknown = await action.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof ToteError)) throw new Error('no ToteError was thrown', { cause: error })
  return error
}

async function problems(...texts: ModelText[]): Promise<string[]> {
  const error = await failure(bindModels(texts, engine, sources))
  expect(error.name).toBe('ModelInvalid')
  return (error.facts.problems ?? []).map(({ where, message }) => `${where} ${message}`)
}

describe('models that are right', () => {
  test('come in the order of their dependencies, with what they read, as the sources spell it', async () => {
    const models = await bindModels(
      [
        dimension('a', 'select id, b.name from B join Seeds.REGION on code = b.name'),
        dimension(
          'b',
          'with staff as (from shop.department) select x.department_id as id, department_name as name from staff, (from shop.staff) as x',
        ),
      ],
      engine,
      sources,
    )
    expect(models.map(({ name, reads }) => [name, reads])).toEqual([
      [
        'b',
        [
          { schema: 'shop', name: 'department' },
          { schema: 'shop', name: 'staff' },
        ],
      ],
      [
        'a',
        [
          { schema: null, name: 'b' },
          { schema: 'seeds', name: 'region' },
        ],
      ],
    ])
  })
  test('have column ids from 1, and NOT NULL but where the header says otherwise', async () => {
    const texts = [
      dimension(
        'a',
        'select staff_id as id, first_name, pay from shop.staff',
        '-- nullable: first_name\n',
      ),
    ]
    // Each with the source column that it shows, by attribute number: a rename there is a rename here.
    const source = (attribute: number): string => `shop.staff#${attribute}`
    expect((await bindModels(texts, engine, sources))[0]?.columns).toEqual([
      { id: 1, name: 'id', type: 'integer', carried: 'INTEGER', notNull: true, source: source(1) },
      {
        id: 2,
        name: 'first_name',
        type: 'text',
        carried: 'VARCHAR',
        notNull: false,
        source: source(2),
      },
      { id: 3, name: 'pay', type: 'numeric', carried: 'VARCHAR', notNull: true, source: source(4) },
    ])
  })
  test('have a key that is NOT NULL even where all may be null', async () => {
    const texts = [dimension('a', 'select 1 as id, 2 as n', '-- nullable: all\n')]
    const [bound] = await bindModels(texts, engine, sources)
    expect(bound?.columns.map(({ notNull }) => notNull)).toEqual([true, false])
  })
  test('see and leave nothing in the engine', async () => {
    await engine.run(
      'create schema shop; create table shop.staff (other integer); create table b as select 1 as x',
    )
    await bindModels([dimension('b', 'select staff_id as id from shop.staff')], engine, sources)
    expect(await engine.rows('select * from b')).toEqual([{ x: 1 }])
    expect(await engine.rows('select other from shop.staff')).toEqual([])
    expect(
      await engine.rows(
        "select database_name from duckdb_databases() where database_name like '%tote%'",
      ),
    ).toEqual([])
    expect(await problems(dimension('b', 'select other as id from shop.staff'))).toHaveLength(1)
    expect(await engine.rows('select * from b')).toEqual([{ x: 1 }])
    await engine.run('drop table b; drop schema shop cascade')
  })
  test('bind in an engine that was confined, and reads nothing from outside', async () => {
    const confined = await openTestEngine()
    try {
      await confined.confine([tmpdir()])
      expect(
        await bindModels(
          [dimension('b', 'select staff_id as id from shop.staff')],
          confined,
          sources,
        ),
      ).toHaveLength(1)
      const error = await failure(
        bindModels([dimension('b', 'select idd as id from shop.staff')], confined, sources),
      )
      expect(error.facts.problems?.[0]?.where).toBe('models/b.sql:3:8')
    } finally {
      confined.close()
    }
  })
  test('P8: are evaluated in the types that files carry', async () => {
    const [bound] = await bindModels(
      [
        dimension(
          'a',
          "select 1 as id, sum(staff_id) as s, 1::utinyint as u, 'x'::enum('x') as e from shop.staff; -- end",
        ),
      ],
      engine,
      sources,
    )
    await engine.run(
      'create schema shop; create table shop.staff as select 9223372036854775807 as staff_id from range(3)',
    )
    if (bound === undefined) throw new Error('no model')
    expect(
      await engine.rows(
        `select s, typeof(s) as t, typeof(u) as u, typeof(e) as e from (${modelQuery(bound)})`,
      ),
    ).toEqual([{ s: '27670116110564327421', t: 'DECIMAL(38,0)', u: 'SMALLINT', e: 'VARCHAR' }])
    await engine.run('drop schema shop cascade')
  })
})

describe('a mistake in the SQL', () => {
  test('is shown with file, line, column and caret; lines of the header and wide characters count', async () => {
    const text = dimension(
      'dim_staff',
      "select\n  'é' as word,\n  s.first_nme as id\nfrom shop.staff as s",
    )
    const error = await failure(bindModels([text], engine, sources))
    expect(error.message).toBe('The model models/dim_staff.sql has a problem.')
    expect(error.facts.problems).toEqual([
      {
        where: 'models/dim_staff.sql:5:3',
        message: 'there is no column "first_nme". Did you mean "first_name"?',
      },
    ])
    expect(error.facts.terminal?.join('\n')).toMatchInlineSnapshot(`
      "models/dim_staff.sql:5:3
      5 |   s.first_nme as id
        |   ^"
    `)
    const wide = dimension('x', "select 'éé' as a, nme as id from shop.staff")
    expect((await failure(bindModels([wide], engine, sources))).facts.terminal?.join('\n'))
      .toMatchInlineSnapshot(`
      "models/x.sql:3:19
      3 | select 'éé' as a, nme as id from shop.staff
        |                   ^"
    `)
  })
  test.each([
    ['a syntax error', 'selct 1 as id', 'models/x.sql:3:1 syntax error at or near "selct"'],
    [
      'an unfinished select',
      'select 1 as id,\nfrom',
      'models/x.sql:4:5 syntax error at end of input',
    ],
    [
      'an unclosed text',
      "select 'a as id",
      `models/x.sql:3:8 unterminated quoted string at or near "'a as id"`,
    ],
    [
      'two statements',
      'select 1 as id; select 2',
      'models/x.sql:3 has 2 statements; a model is one select',
    ],
    [
      'another statement',
      'create table x as select 1',
      'models/x.sql:3 is not a select that can be read; a model is one select (and "pivot" is not supported)',
    ],
    [
      'an unknown function',
      'select lowr(first_name) as id from shop.staff',
      'models/x.sql:3:8 Scalar Function with name lowr does not exist! Did you mean "lower"?',
    ],
    [
      'wrong arguments',
      'select lower(staff_id, 1) as id from shop.staff',
      "models/x.sql:3:8 No function matches the given name and argument types 'lower(INTEGER, INTEGER_LITERAL)'. You might need to add explicit type casts",
    ],
    [
      'an unknown column',
      'select pya as id from shop.staff',
      'models/x.sql:3:8 there is no column "pya". Did you mean "pay"?',
    ],
    [
      'an ambiguous column',
      'select department_id as id from shop.staff, shop.department',
      'models/x.sql:3:8 Ambiguous reference to column name "department_id" (use: "staff.department_id" or "department.department_id")',
    ],
    [
      'no group by',
      'select count(*) as n, staff_id as id from shop.staff',
      'models/x.sql:3:23 column "staff_id" must appear in the GROUP BY clause or must be part of an aggregate function. Either add it to the GROUP BY list, or use "ANY_VALUE(staff_id)" if the exact value of "staff_id" is not important',
    ],
    [
      'an unknown type',
      'select staff_id::intt as id from shop.staff',
      'models/x.sql:3:18 Type with name intt does not exist! Did you mean "int"?',
    ],
    [
      'an unknown table',
      'select 1 as id from shop.staf',
      'models/x.sql:3:21 there is no table "staf" in "shop". Did you mean "staff"?',
    ],
    [
      'an unknown source',
      'select 1 as id from shp.staff',
      'models/x.sql:3:21 there is no source "shp". Did you mean "shop"?',
    ],
    [
      'an unknown source near to none',
      'select 1 as id from totally.staff',
      'models/x.sql:3:21 there is no source "totally". There is: shop, seeds',
    ],
    [
      'an unknown model',
      'select 1 as id from xx',
      'models/x.sql:3:21 there is no model "xx". Did you mean "x"?',
    ],
    [
      'a table of the source without its schema',
      'select 1 as id from staff',
      'models/x.sql:3:21 there is no model "staff"; the table of the source is shop.staff',
    ],
    [
      'a table of another schema by its schema',
      'select 1 as id from Billing.Invoice',
      'models/x.sql:3:21 there is no source "Billing"; the table of the source is shop."Billing.Invoice"',
    ],
    [
      'a table of another schema without it',
      'select 1 as id from shop.invoice',
      'models/x.sql:3:21 there is no table "invoice" in "shop"; the table of the source is shop."Billing.Invoice"',
    ],
    [
      'a file',
      "select 1 as id from 'staff.csv'",
      'models/x.sql:3:21 reads the file "staff.csv"; a model reads tables of sources, seeds and models only',
    ],
    [
      'a catalogue',
      'select 1 as id from information_schema.tables',
      'models/x.sql:3:21 there is no source "information_schema". There is: shop, seeds',
    ],
    [
      'the clock',
      'select now() as id from shop.staff',
      'models/x.sql:3:8 now() reads the clock; a model is a function of the tables that it names',
    ],
  ])('%s', async (_title, sql, expected) => {
    expect(await problems(dimension('x', sql))).toEqual([expected])
  })
  test('all of all models are found at once, in the order of their places, and none follows from another', async () => {
    expect(
      await problems(
        dimension('b', 'select bad as id from shop.staff'),
        dimension('a', 'select now() as id,\n random() as r\nfrom shop.staf'),
        dimension('c', 'select nothing from b'),
        dimension('d', 'select a.id from a join d using (id)'),
        dimension('e', 'select 1 as di, 2 as valid_to'),
      ),
    ).toMatchInlineSnapshot(`
      [
        "models/a.sql:3:8 now() reads the clock; a model is a function of the tables that it names",
        "models/a.sql:4:2 random() gives another value each time; a model is a function of the tables that it names",
        "models/a.sql:5:6 there is no table "staf" in "shop". Did you mean "staff"?",
        "models/b.sql:3:8 there is no column "bad". Did you mean "pay"?",
        "models/e.sql:2 the select yields no column "id". Did you mean "di"?",
        "models/e.sql:3 yields the column "valid_to", a name that Tote itself uses in the warehouse; name it otherwise with "as"",
      ]
    `)
  })

  test('more columns than the warehouse can hold beside its own; `_tote_row`, the key of a table without one, is a column', async () => {
    const many = Array.from({ length: 1600 }, (_, index) => `1 as c${index}`).join(', ')
    expect(await problems(dimension('x', `select 1 as id, ${many}`))).toEqual([
      "models/x.sql:3 yields 1601 columns, and a dimension has at most 1599: PostgreSQL's limit is 1600, and the loader needs the rest",
    ])
    const [model] = await bindModels(
      [dimension('x', "select 1 as id, 'a' as _tote_row")],
      engine,
      sources,
    )
    expect(model?.columns.map(({ name }) => name)).toEqual(['id', '_tote_row'])
  })
  test('a circle', async () => {
    const error = await failure(
      bindModels(
        [dimension('a', 'select id from b'), dimension('b', 'select id from a')],
        engine,
        sources,
      ),
    )
    expect([error.name, error.message]).toEqual([
      'ModelCycle',
      'Models refer to each other in a circle: a → b → a.',
    ])
  })
})

describe('columns that do not fit', () => {
  test('what the header names must be there', async () => {
    const header = '-- nullable: firstname\n-- types: b text\n-- references: c -> y\n'
    expect(await problems(dimension('x', 'select staff_id, first_name from shop.staff', header)))
      .toMatchInlineSnapshot(`
      [
        "models/x.sql:2 the select yields no column "id". There is: staff_id, first_name",
        "models/x.sql:3 the select yields no column "firstname". Did you mean "first_name"?",
        "models/x.sql:4 the select yields no column "b". There is: staff_id, first_name",
        "models/x.sql:5 the select yields no column "c". There is: staff_id, first_name",
      ]
    `)
  })
  test('names', async () => {
    expect(
      await problems(dimension('x', 'select 1 as id, 2 as a, 3 as A, 4 as "_tote_x", 5 as batch')),
    ).toMatchInlineSnapshot(`
      [
        "models/x.sql:3 yields the column "A" twice; name one of them with "as"",
        "models/x.sql:3 yields the column "_tote_x", a name that Tote itself uses in the warehouse; name it otherwise with "as"",
        "models/x.sql:3 yields the column "batch", a name that Tote itself uses in the warehouse; name it otherwise with "as"",
      ]
    `)
    expect(await problems(dimension('x', `select 1 as id, 2 as ${'é'.repeat(32)}`))).toHaveLength(1)
  })
  test('a record id', async () => {
    const fact = (id: string) =>
      model('f', `-- kind: fact\n-- key: id\n-- record id: ${id}\nselect 1 as id, 2 as r`)
    expect(await problems(fact('R'))).toEqual([
      'models/f.sql:3 the loader gives "R"; the select must not yield it',
    ])
    expect(await problems(fact('batch'))).toEqual([
      'models/f.sql:3 "batch" is a name that Tote itself uses in the warehouse',
    ])
  })
  test('a key is never null', async () => {
    expect(await problems(dimension('x', 'select 1 as id', '-- nullable: id\n'))).toEqual([
      'models/x.sql:3 "id" is in the key, and a key is never null',
    ])
  })
  test('types without an exact one in the warehouse', async () => {
    expect(await problems(dimension('x', 'select 1 as id, [1] as l, interval 1 day as i')))
      .toMatchInlineSnapshot(`
      [
        "models/x.sql:3 column "l" is INTEGER[], which the warehouse has no exact type for; cast it, for example to varchar",
        "models/x.sql:3 column "i" is INTERVAL, which the warehouse has no exact type for; cast it, for example to varchar",
      ]
    `)
  })
  test('types that would change values', async () => {
    const header = '-- types: d numeric(10,1), t date\n'
    expect(
      await problems(
        dimension('x', "select 1 as id, 1.25 as d, timestamp '2020-01-01' as t", header),
      ),
    ).toMatchInlineSnapshot(`
      [
        "models/x.sql:3 column "d" is DECIMAL(3,2), which cannot become numeric(10,1) without changing values; cast it in the select",
        "models/x.sql:3 column "t" is TIMESTAMP, which cannot become date without changing values; cast it in the select",
      ]
    `)
  })
  test('references', async () => {
    expect(
      await problems(
        dimension(
          'x',
          "select 1 as id, 'a' as a, 1 as b, 1 as c, 1 as d",
          '-- references: a -> y, b -> two, c -> f, d -> dim_y\n',
        ),
        dimension('y', 'select 1 as id'),
        model('two', '-- kind: dimension\n-- key: id, b\nselect 1 as id, 2 as b'),
        model('f', '-- kind: fact\n-- key: id\n-- record id: r\nselect 1 as id'),
      ),
    ).toMatchInlineSnapshot(`
      [
        "models/x.sql:3 "a" is text and refers to "y", whose key "id" is integer; cast one of them",
        "models/x.sql:3 "b" refers to "two", whose key is 2 columns",
        "models/x.sql:3 "c" refers to the fact "f", which has a row for each version",
        "models/x.sql:3 "d" refers to "dim_y", and there is no such model. There is: x, y, two, f",
      ]
    `)
  })
  test('a model with the name of the view of a fact', async () => {
    expect(
      await problems(
        model('f', '-- kind: fact\n-- key: id\n-- record id: r\nselect 1 as id'),
        dimension('f_current', 'select 1 as id'),
      ),
    ).toEqual(['models/f_current.sql has the name of the view of the current rows of models/f.sql'])
  })
  test('two models whose names differ only in case', async () => {
    expect(
      await problems(dimension('a', 'select 1 as id'), dimension('A', 'select 1 as id')),
    ).toEqual([
      'models/A.sql has the name of models/a.sql; upper and lower case do not tell names apart',
    ])
  })
})

test('a table whose columns DuckDB cannot tell apart', async () => {
  const odd = readable('shop', 'odd', 'id integer; ID integer')
  const error = await failure(
    bindModels([dimension('x', 'select id from shop.odd')], engine, [odd]),
  )
  expect(error.facts.problems).toEqual([
    {
      where: 'shop.odd',
      message: 'models cannot read this table: Catalog Error: Column with name ID already exists!',
    },
  ])
})

describe('conditions', () => {
  test.each([
    ['n >', 'syntax error at or near ")"'],
    ['nn > 1', 'Referenced column "nn" not found in FROM clause'],
    ['n + 1', 'is INTEGER, not a condition'],
    [
      'n > (select max(staff_id) from shop.staff)',
      'is not one condition on the columns of the model',
    ],
    ['n > 1), (n > 2', 'is not one condition on the columns of the model'],
    ['n > 1) from shop.staff where (true', 'is not one condition on the columns of the model'],
    ['true); drop table x; select (true', 'is not one condition on the columns of the model'],
    ['true); select (true', 'is not one condition on the columns of the model'],
    [
      'n > 1) from (values (1)) as v where (true',
      'is not one condition on the columns of the model',
    ],
    ['d < now()', 'now() reads the clock; a model is a function of the tables that it names'],
  ])('%s', async (condition, message) => {
    const text = dimension(
      'x',
      "select 1 as id, 2 as n, date '2020-01-01' as d",
      `-- check: id = 1\n-- check warn: ${condition}\n`,
    )
    expect(await problems(text)).toEqual([`models/x.sql:4 ${message}`])
  })
})

describe('a folder', () => {
  test('is read file by file, sorted; problems of all are found at once', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'tote-models-'))
    try {
      await writeFile(path.join(folder, 'b.sql'), '-- kind: table\n-- key: id\nselect 1 as id')
      await writeFile(path.join(folder, 'a.sql'), '-- kind: table\n-- key: id\nselect 1 as id')
      await writeFile(path.join(folder, 'notes.md'), 'none')
      expect((await readModels(folder, 'models')).map((text) => text.path)).toEqual([
        'models/a.sql',
        'models/b.sql',
      ])
      await writeFile(path.join(folder, 'c.sql'), '-- kind: x\n-- key: id\nselect 1')
      await writeFile(path.join(folder, 'd.sql'), '')
      const error = await failure(readModels(folder, 'models'))
      expect(error.message).toBe('2 models have 4 problems.')
      expect(error.facts.problems?.map((problem) => problem.where)).toEqual([
        'models/c.sql:1',
        'models/d.sql',
        'models/d.sql',
        'models/d.sql',
      ])
    } finally {
      await rm(folder, { recursive: true })
    }
  })
  test('that is not there', async () => {
    const error = await failure(readModels('/nowhere/models'))
    expect([error.name, error.message]).toEqual([
      'ModelInvalid',
      'The folder of models "models" cannot be read.',
    ])
  })
})
