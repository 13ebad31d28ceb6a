import { describe, expect, test } from 'vitest'
import { parseModelText } from '../../src/models/header.ts'

function problems(text: string): string[] {
  const parsed = parseModelText('x', 'models/x.sql', text)
  return parsed.problems.map(({ where, message }) => `${where} ${message}`)
}

/** Problems of one header line in an otherwise right dimension; it stands in line 3. */
function problemsOf(line: string): string[] {
  return problems(`-- kind: dimension\n-- key: id\n${line}\nselect 1 as id`)
}

const FACT = `-- kind: fact
-- key: order_id, "Line No"
-- record id: record_id

-- Anything else is an ordinary comment. Note: it may hold a colon, and a link: https://example.org
-- nullable: note
-- references: staff_id -> dim_staff, day -> dim_date,
--   place_id -> "dim place"
-- types: item varchar(7), amount numeric(12,2)
-- check: units > 0
-- check warn: note <> 'a, b'
-- comment: Orders: a row for each version
-- driven by: shop.orders

select 1 as order_id -- and so on
`

describe('a header', () => {
  test('is read line by line', () => {
    const text = `\uFEFF${FACT}`
    const { model, problems: none } = parseModelText('fact_order', 'models/fact_order.sql', text)
    expect(none).toEqual([])
    expect(model).toEqual({
      name: 'fact_order',
      path: 'models/fact_order.sql',
      kind: 'fact',
      sql: 'select 1 as order_id -- and so on\n',
      sqlLine: 15,
      key: ['order_id', 'Line No'],
      recordId: 'record_id',
      nullable: ['note'],
      references: [
        { column: 'staff_id', model: 'dim_staff' },
        { column: 'day', model: 'dim_date' },
        { column: 'place_id', model: 'dim place' },
      ],
      types: { item: 'character varying(7)', amount: 'numeric(12,2)' },
      checks: [
        { name: 'units > 0', severity: 'error', rule: { type: 'row', condition: 'units > 0' } },
        {
          name: "note <> 'a, b'",
          severity: 'warn',
          rule: { type: 'row', condition: "note <> 'a, b'" },
        },
      ],
      comment: 'Orders: a row for each version',
      drivenBy: { schema: 'shop', name: 'orders' },
      lines: {
        kind: 1,
        key: 2,
        'record id': 3,
        nullable: 6,
        'references staff_id': 7,
        'references day': 7,
        'references place_id': 7,
        'types item': 9,
        'types amount': 9,
        'check 0': 10,
        'check 1': 11,
        comment: 12,
        'driven by': 13,
      },
    })
  })
  test('reads the same with Windows line ends', () => {
    const windows = parseModelText('x', 'x.sql', FACT.replaceAll('\n', '\r\n')).model
    const unix = parseModelText('x', 'x.sql', FACT).model
    expect(windows).toEqual(unix)
  })
  test.each([
    ['', []],
    ['-- nullable: none', []],
    ['-- nullable: all', 'all'],
    ['-- nullable: a, b\n-- nullable: c', ['a', 'b', 'c']],
    ['-- nullable: "all"', ['all']],
  ])('says what may be null: %s', (line, nullable) => {
    expect(
      parseModelText('x', 'x.sql', `-- kind: table\n-- key: id\n${line}\nselect 1 as id`).model
        ?.nullable,
    ).toEqual(nullable)
  })
})

describe('the end of the select', () => {
  test.each([
    ['select 1;', 'select 1'],
    ['select 1; -- done\n;\n/* all */', 'select 1'],
    ["select ';\n--x'", "select ';\n--x'"],
    ["select E'\\';' ; ", "select E'\\';' "],
    ['select $$;$$, $a$ ; $b$ $a$;', 'select $$;$$, $a$ ; $b$ $a$'],
    ['select 1 /* ; */ as ";" -- ;', 'select 1 /* ; */ as ";" -- ;'],
    ['select 1; select 2', 'select 1; select 2'],
  ])('%j', (sql, expected) => {
    expect(parseModelText('x', 'x.sql', `-- kind: table\n-- key: id\n${sql}`).model?.sql).toBe(
      expected,
    )
  })
})

describe('problems of a header', () => {
  test('are all found at once, with their lines', () => {
    expect(problems('-- knd: fact\n-- references: a - b\n-- types: c strin\n'))
      .toMatchInlineSnapshot(`
      [
        "models/x.sql:1 "knd" is not a header line. Did you mean "kind"?",
        "models/x.sql has no select",
        "models/x.sql needs a line "-- kind: …": dimension, fact or table",
        "models/x.sql needs a line "-- key: …": the columns that tell its rows apart",
        "models/x.sql:2 "a - b" is not a reference; write: column -> model",
        "models/x.sql:3 "strin" is not a PostgreSQL type that can be used here",
      ]
    `)
  })
  test('an empty file', () => {
    expect(problems('')).toMatchInlineSnapshot(`
      [
        "models/x.sql has no select",
        "models/x.sql needs a line "-- kind: …": dimension, fact or table",
        "models/x.sql needs a line "-- key: …": the columns that tell its rows apart",
      ]
    `)
  })
  test('a fact without a record id', () => {
    expect(problems('-- kind: fact\n-- key: id\nselect 1')).toMatchInlineSnapshot(`
      [
        "models/x.sql needs a line "-- record id: …": the column that numbers the versions of a fact",
      ]
    `)
  })
  test('an unknown name near to a known one', () => {
    expect(problemsOf('-- refrences: a -> b')).toMatchInlineSnapshot(`
      [
        "models/x.sql:3 "refrences" is not a header line. Did you mean "references"?",
      ]
    `)
  })
  test('an unknown name near to none', () => {
    expect(problemsOf('-- materialized: true')).toMatchInlineSnapshot(`
      [
        "models/x.sql:3 "materialized" is not a header line. There is: kind, key, record id, nullable, references, types, unique, check, check warn, comment, driven by, history",
      ]
    `)
  })
  test('a comment that begins like a sentence is none, unless it is near to a known name', () => {
    expect(problemsOf('-- Beware: of the dog')).toEqual([])
    expect(problemsOf('-- Nulable: a')).toMatchInlineSnapshot(`
      [
        "models/x.sql:3 "Nulable" is not a header line. Did you mean "nullable"?",
      ]
    `)
  })
  test('an unknown kind', () => {
    expect(problems('-- kind: dimensions\n-- key: id\nselect 1')).toMatchInlineSnapshot(`
      [
        "models/x.sql:1 "dimensions" is not a kind. Did you mean "dimension"?",
      ]
    `)
    expect(problems('-- kind: view\n-- key: id\nselect 1')).toMatchInlineSnapshot(`
      [
        "models/x.sql:1 "view" is not a kind. There is: dimension, fact, table",
      ]
    `)
  })
  test('something said twice', () => {
    expect(problemsOf('-- key: b')).toMatchInlineSnapshot(`
      [
        "models/x.sql:3 "key" is said twice; line 2 says it already",
      ]
    `)
    expect(problemsOf('-- nullable: a, b, a')).toMatchInlineSnapshot(`
      [
        "models/x.sql:3 column "a" stands twice in "nullable"",
      ]
    `)
    expect(problemsOf('-- nullable: all\n-- nullable: a')).toMatchInlineSnapshot(`
      [
        "models/x.sql:3 "nullable" is all, or none, or columns; it cannot be two of them",
      ]
    `)
    expect(problemsOf('-- types: a text, a integer')).toMatchInlineSnapshot(`
      [
        "models/x.sql:3 column "a" has two types",
      ]
    `)
    expect(problemsOf('-- references: a -> b, a -> c')).toMatchInlineSnapshot(`
      [
        "models/x.sql:3 column "a" has two references",
      ]
    `)
  })
  test('something that says nothing', () => {
    expect(problemsOf('-- check:')).toMatchInlineSnapshot(`
      [
        "models/x.sql:3 "check" says nothing",
      ]
    `)
  })
  test('a history that is no word for it, or of what has one, or none', () => {
    expect(problemsOf('-- history: versions')).toMatchInlineSnapshot(`
      [
        "models/x.sql:3 "history" is true, or the line is left out",
      ]
    `)
    expect(problems('-- kind: fact\n-- key: id\n-- record id: a\n-- history: true\nselect 1'))
      .toMatchInlineSnapshot(`
      [
        "models/x.sql:4 a fact keeps its history always; leave the line out",
      ]
    `)
    expect(problems('-- kind: table\n-- key: id\n-- history: true\nselect 1'))
      .toMatchInlineSnapshot(`
      [
        "models/x.sql:3 "history" is for dimensions; this is a table",
      ]
    `)
    expect(
      problems('-- kind: dimension\n-- key: id\n-- history: true\n-- record id: a\nselect 1'),
    ).toEqual([])
  })
  test('a record id of a dimension, or of two columns', () => {
    expect(problemsOf('-- record id: a')).toMatchInlineSnapshot(`
      [
        "models/x.sql:3 "record id" is for facts, and for dimensions with "history: true"; this is a dimension",
      ]
    `)
    expect(problems('-- kind: fact\n-- key: id\n-- record id: a, b\nselect 1'))
      .toMatchInlineSnapshot(`
      [
        "models/x.sql:3 "record id" is one column",
      ]
    `)
  })
  test('a reference, a type or a name that is none', () => {
    expect(problemsOf('-- references: a, b -> c -> d')).toMatchInlineSnapshot(`
      [
        "models/x.sql:3 "a" is not a reference; write: column -> model",
        "models/x.sql:3 "b -> c -> d" is not a reference; write: column -> model",
      ]
    `)
    expect(problemsOf('-- types: a, b strin, c numeric(a)')).toMatchInlineSnapshot(`
      [
        "models/x.sql:3 "a" is not a column and its type; write: column type",
        "models/x.sql:3 "strin" is not a PostgreSQL type that can be used here",
        "models/x.sql:3 "numeric(a)" is not a PostgreSQL type that can be used here. Did you mean "numeric"?",
      ]
    `)
    expect(problemsOf('-- nullable: a b')).toMatchInlineSnapshot(`
      [
        "models/x.sql:3 "a b" is not a column's name in "nullable"",
      ]
    `)
  })
  test('a header line below the select', () => {
    expect(problems('-- kind: table\n-- key: id\nselect 1 as id\n-- check: id > 0'))
      .toMatchInlineSnapshot(`
      [
        "models/x.sql:4 "check" stands below the select; header lines come before it",
      ]
    `)
  })
  test('a name that PostgreSQL would cut off', () => {
    const parsed = parseModelText(
      'x'.repeat(64),
      'models/x.sql',
      '-- kind: table\n-- key: id\nselect 1 as id',
    )
    expect(parsed.problems).toMatchInlineSnapshot(`
      [
        {
          "message": "is named longer than 63 bytes, PostgreSQL's limit for a table",
          "where": "models/x.sql",
        },
      ]
    `)
    expect(parseModelText('', 'models/.sql', '-- kind: table\n-- key: id\nselect 1 as id').problems)
      .toMatchInlineSnapshot(`
      [
        {
          "message": "has no name before ".sql"",
          "where": "models/.sql",
        },
      ]
    `)
  })
})

test('a fact whose view of current rows could not bear its name', () => {
  const problems = (kind: string, bytes: number): readonly unknown[] =>
    parseModelText(
      'f'.repeat(bytes),
      'models/f.sql',
      `-- kind: ${kind}\n-- key: id\n${kind === 'fact' ? '-- record id: r\n' : ''}select 1 as id`,
    ).problems
  expect(problems('fact', 55)).toEqual([])
  expect(problems('table', 63)).toEqual([])
  expect(problems('fact', 56)).toEqual([
    {
      where: 'models/f.sql',
      message: `is a fact, and the view of its current rows, "${'f'.repeat(56)}_current", would have a name longer than 63 bytes, PostgreSQL's limit`,
    },
  ])
})
