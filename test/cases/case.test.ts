/** Tests of models as Markdown: what a file says, and what is wrong with it. */
import { describe, expect, test } from 'vitest'
import { parseCases } from '../../src/cases/case.ts'

const FILE = `# dim_staff

Prose, and a table that is nobody's:

| a | b |
| - | - |
| 1 | 2 |

columns shop.staff

| column   | type          |
| -------- | ------------- |
| staff_id | integer       |
| pay      | numeric(10,2) |

## The row is kept

Given a member of staff whose department is not there, we expect Unknown.

**given** \`shop.staff\`:

| staff_id integer | "first name" | pay varchar(3) |
|:-----------------|-------------:|----------------|
| 1                | Ann \\| Bob  |                |
| 2                | '  '' '      | NULL           |
| 3                | ''           | 'NULL'         |

Given "a model"
| x |
|---|

Expect

| staff_id |
| -------- |
`

test('a file has tests under the names of models, and the columns of tables', () => {
  const { cases, known, problems } = parseCases('tests/a.md', FILE)
  expect(problems).toEqual([])
  expect(known).toEqual([
    {
      table: { schema: 'shop', name: 'staff' },
      columns: [
        { name: 'staff_id', type: 'integer' },
        { name: 'pay', type: 'numeric(10,2)' },
      ],
      where: 'tests/a.md:11',
    },
  ])
  expect(cases).toEqual([
    {
      model: 'dim_staff',
      title: 'The row is kept',
      where: 'tests/a.md:16',
      given: [
        {
          table: { schema: 'shop', name: 'staff' },
          columns: [
            { name: 'staff_id', type: 'integer' },
            { name: 'first name', type: null },
            { name: 'pay', type: 'varchar(3)' },
          ],
          rows: [
            ['1', 'Ann | Bob', null],
            ['2', "  ' ", null],
            ['3', '', 'NULL'],
          ],
          where: 'tests/a.md:22',
        },
        {
          table: { schema: null, name: 'a model' },
          columns: [{ name: 'x', type: null }],
          rows: [],
          where: 'tests/a.md:29',
        },
      ],
      expected: { columns: [{ name: 'staff_id', type: null }], rows: [], where: 'tests/a.md:34' },
    },
  ])
})

describe('every problem of a file is found, with its line', () => {
  test.each([
    [
      '## x\nexpect\n|a|\n|-|',
      [
        ':1 "x" stands below no model; write "# model" above',
        ':3 belongs to no test; write "## what it shows" above',
      ],
    ],
    ['# m\n## x\n## y\nexpect\n|a|\n|-|', [':2 "x" expects nothing; write "expect" and a table']],
    ['# m\n## x', [':2 "x" expects nothing; write "expect" and a table']],
    ['# m\n## x\ngiven s.t\nprose\nexpect\n|a|\n|-|', [':3 "given s.t" is followed by no table']],
    ['# m\ngiven s.t\n|a|\n|-|', [':3 belongs to no test; write "## what it shows" above']],
    [
      '# m\n## x\nexpect\n|a|a|\n|-|-|\n|1|',
      [':6 has 1 cells where the header has 2', ':4 has the column "a" twice'],
    ],
    ['# m\n## x\nexpect\n|a||\n|-|-|', [':4 has a column without a name']],
    ['columns s.t\n|a|\n|-|', [':2 has two columns: | column | type |']],
    ['columns s.t\n|a|b|\n|-|-|\n|x||', [':2 has two columns: | column | type |']],
  ])('%j', (text, expected) => {
    expect(
      parseCases('f', text).problems.map(({ where, message }) => `${where.slice(1)} ${message}`),
    ).toEqual(expected)
  })
})
