/** `tote test`: on a fresh clone, without a database and a lake. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pipeline } from '../../src/cli/pipeline.ts'
import { play, type Played } from '../support/surface.ts'

const MODELS = {
  dim_staff: `-- kind: dimension
-- key: staff_id
-- driven by: shop.staff
-- references: department_id -> dim_department
select s.staff_id, upper(s.name) as name, s.department_id, s.pay * 2 as twice, s.born
from shop.staff as s`,
  dim_department:
    '-- kind: dimension\n-- key: department_id\nselect department_id, title from shop.department',
  fact_pay: `-- kind: fact
-- key: title
-- record id: record
select coalesce(title, 'None') as title, sum(twice) as total
from dim_staff left join dim_department using (department_id) group by 1`,
}

const COLUMNS = `columns shop.staff
| column | type |
|-|-|
| staff_id | integer |
| name | text |
| department_id | int |
| pay | numeric(10,2) |
| born | date |
columns shop.department
| column | type |
|-|-|
| department_id | integer |
| title | varchar(20) |
`

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-cases-'))
  await mkdir(join(folder, 'models'))
  await mkdir(join(folder, 'tests'))
  await writeFile(
    join(folder, 'tote.config.ts'),
    `import { defineProject } from 'totedata'
export default defineProject({ name: 'shop', sources: { shop: { type: 'postgres', url: 'postgres://nobody@127.0.0.1:1/none' } }, warehouse: { url: 'postgres://nobody@127.0.0.1:1/none' } })`,
  )
  for (const [name, text] of Object.entries(MODELS))
    await writeFile(join(folder, `models/${name}.sql`), text)
})
afterAll(async () => rm(folder, { recursive: true, force: true }))

async function tote(text: string, ...args: string[]): Promise<Played> {
  await writeFile(join(folder, 'tests/a.md'), text)
  const { openProject, test: run } = pipeline
  return play(['test', ...args], {
    pipeline: { openProject, test: run },
    surface: { cwd: folder },
  })
}

const GIVEN = `given shop.staff
| staff_id | name | pay | born |
|-|-|-|-|
| 1 | ann | 1.5 | 2001-02-03 |
| 2 | '' | NULL | |
`

test('rows that come are compared as values of their columns, in no order; others are not looked at', async () => {
  const { exit, stdout } = await tote(`${COLUMNS}
# dim_staff
## is upper case
${GIVEN}
expect
| twice | name | staff_id | born |
|-|-|-|-|
| | '' | 2 | NULL |
| 3 | ANN | 1 | 2001-2-3 |
## needs nothing
expect
| staff_id |
|-|
`)
  expect(stdout).toBe('✔ dim_staff  is upper case\n✔ dim_staff  needs nothing\n\n2 tests passed.\n')
  expect(exit).toBe(0)
})

test('a row that is missing and one that came stand below each other, and the exit code is 1', async () => {
  const text = `${COLUMNS}
# dim_staff
## is lower case
${GIVEN}
expect
| staff_id | name | twice |
|-|-|-|
| 1 | ann | 3 |
| 2 | '' | NULL |
| 2 | '' | NULL |
`
  const { exit, stdout } = await tote(text)
  expect(exit).toBe(1)
  expect(stdout).toMatchInlineSnapshot(`
    "✖ dim_staff  is lower case
      tests/a.md:16
                   staff_id   name   twice
      - expected   1          ann    3.00
      - expected   2          ''     NULL
      + came       1          ANN    3.00

    1 of 1 test failed.
    "
  `)
  const json = await tote(text, '--json')
  expect(json.exit).toBe(1)
  expect(JSON.parse(json.stdout)).toMatchObject({
    data: {
      passed: 0,
      failed: 1,
      tests: [
        {
          model: 'dim_staff',
          outcome: 'failed',
          columns: ['staff_id', 'name', 'twice'],
          missing: [
            ['1', 'ann', '3.00'],
            ['2', '', null],
          ],
          unexpected: [['1', 'ANN', '3.00']],
        },
      ],
    },
  })
})

test('a model below is evaluated from what is given, or given itself', async () => {
  const { stdout, exit } = await tote(`${COLUMNS}
# fact_pay
## through the models below
given shop.staff
| staff_id | name | department_id | pay |
|-|-|-|-|
| 1 | a | 7 | 1 |
| 2 | b | 7 | 2 |
| 3 | c | 8 | 4 |
given shop.department
| department_id | title |
|-|-|
| 7 | Sales |
expect
| title | total |
|-|-|
| Sales | 6 |
| None | 8 |
## on top of a given model
given dim_staff
| staff_id | department_id | twice |
|-|-|-|
| 1 | 7 | 0.5 |
expect
| title | total |
|-|-|
| None | 0.5 |
`)
  expect(stdout).toContain('2 tests passed.')
  expect(exit).toBe(0)
})

test('types may stand behind the names of given columns', async () => {
  const { stdout } = await tote(`# dim_department
## one
given shop.department
| department_id bigint | title text |
|-|-|
| 9000000000 | x |
expect
| department_id |
|-|
| 9000000000 |
`)
  expect(stdout).toContain('1 test passed.')
})

test('a query that fails fails its test, with the words of the engine', async () => {
  await writeFile(
    join(folder, 'models/broken.sql'),
    "-- kind: table\n-- key: d\nselect cast(strptime(name, '%Y') as date) as d from shop.staff",
  )
  const { exit, stdout } = await tote(`${COLUMNS}
# broken
## a year
${GIVEN}
expect
| d |
|-|
`)
  await rm(join(folder, 'models/broken.sql'))
  expect(exit).toBe(1)
  expect(stdout).toContain('✖ broken  a year\n  tests/a.md:')
  expect(stdout).toContain('Could not parse string "ann"')
})

describe('TestInvalid says what a test cannot mean', () => {
  test.each([
    [
      '# dim_stuff\n## x\nexpect\n|a|\n|-|',
      'tests/a.md:2  there is no model "dim_stuff". Did you mean "dim_staff"?',
    ],
    [
      '# dim_staff\n## x\nexpect\n|nome|\n|-|',
      '"dim_staff" has no column "nome". There is: staff_id, name',
    ],
    [
      '# dim_staff\n## x\ngiven shop.staff\n|nome|\n|-|\nexpect\n|name|\n|-|',
      '"staff" has no column "nome"',
    ],
    [
      '# dim_staff\n## x\ngiven shop.department\n|title|\n|-|\nexpect\n|name|\n|-|',
      '"dim_staff" does not read "shop.department"',
    ],
    [
      '# dim_staff\n## x\ngiven dim_department\n|title|\n|-|\nexpect\n|name|\n|-|',
      '"dim_staff" does not read the model "dim_department"',
    ],
    [`# dim_staff\n## x\n${GIVEN}\n${GIVEN}\nexpect\n|name|\n|-|`, '"staff" is given twice'],
    [
      '# dim_staff\n## x\ngiven shop.staff\n|staff_id|\n|-|\n|one|\nexpect\n|name|\n|-|',
      "Could not convert string 'one' to INT32",
    ],
    [
      '# dim_staff\n## x\nexpect\n|staff_id|\n|-|\n|one|',
      "Could not convert string 'one' to INT32",
    ],
    [
      '# dim_staff\n## x\ngiven shop.staff\n|staff_id text|\n|-|\nexpect\n|name|\n|-|',
      '"staff_id" is text here, and integer elsewhere',
    ],
  ])('%j', async (text, message) => {
    const { exit, stderr } = await tote(`${text}\n\n${COLUMNS}`)
    expect([exit, stderr]).toEqual([2, expect.stringContaining('TestInvalid')])
    expect(stderr).toContain(message)
  })
  test('columns that nobody knows are asked for', async () => {
    const { exit, stderr } = await tote('# dim_staff\n## x\nexpect\n|name|\n|-|')
    expect(exit).toBe(2)
    expect(stderr).toContain('shop.staff  its columns are not known; write "columns shop.staff"')
  })
  test('a model without a test is named, with those that have one', async () => {
    const { exit, stderr } = await tote('# dim_staff\n## x\nexpect\n|name|\n|-|', 'dim_staf')
    expect(exit).toBe(2)
    expect(stderr).toContain('Did you mean "dim_staff"?')
  })
})

test('without a test there is nothing wrong', async () => {
  const { exit, stdout } = await tote('# prose')
  expect([exit, stdout]).toEqual([
    0,
    'There are no tests: write them in tests/*.md (docs/models.md).\n',
  ])
})

test('the tests of the example pass', async () => {
  const { openProject, test: run } = pipeline
  const { exit, stdout } = await play(['test'], {
    pipeline: { openProject, test: run },
    surface: { cwd: join(import.meta.dirname, '../../examples/totesys') },
  })
  expect(stdout).toContain('4 tests passed.')
  expect(exit).toBe(0)
})
