import { expect, test } from 'vitest'
import type { QueryOptions, QueryResult } from '../../src/inspect/query.ts'
import { play } from '../support/surface.ts'

const result: QueryResult = {
  columns: [
    { name: 'staff_id', type: 'INTEGER' },
    { name: 'name', type: 'VARCHAR' },
    { name: 'salary', type: 'DECIMAL(10,2)' },
    { name: 'big', type: 'HUGEINT' },
  ],
  rows: [
    [1, 'Ann "A", ☃ 漢字', '12.50', 2n],
    [20, '', '-7.00', 9007199254740993n],
    [300, '∅', null, null],
    [4, 'line\nbreak \u001b[31mred', '0.00', -1n],
    [5, 'x'.repeat(100), '1.00', null],
  ],
  truncated: true,
}

const answering = { query: async () => result }

test('a table: numbers to the right, null unlike any text, control characters written out', async () => {
  const { exit, stdout, stderr } = await play(['query', 'select *', '--limit', '5'], {
    pipeline: answering,
  })
  expect(exit).toBe(0)
  expect(stdout).toMatchInlineSnapshot(`
    "staff_id   name                                                                                      salary                big
     INTEGER   VARCHAR                                                                            DECIMAL(10,2)            HUGEINT
           1   Ann "A", ☃ 漢字                                                                            12.50                  2
          20                                                                                              -7.00   9007199254740993
         300   "∅"                                                                                            ∅                  ∅
           4   line\\nbreak \\x1b[31mred                                                                     0.00                 -1
           5   xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…            1.00                  ∅
    "
  `)
  expect(stderr).toMatchInlineSnapshot(`
    "▲ the first 5 rows of more; --limit 50 shows more
    (values are cut at 80 characters; --csv and --json show them whole)
    "
  `)
})

test('CSV as RFC 4180 says, with empty text apart from null', async () => {
  const { stdout, stderr } = await play(['query', 'select *', '--csv'], { pipeline: answering })
  expect(stdout.split('\r\n').slice(0, 4)).toEqual([
    'staff_id,name,salary,big',
    '1,"Ann ""A"", ☃ 漢字",12.50,2',
    '20,"",-7.00,9007199254740993',
    '300,∅,,',
  ])
  expect(stdout).toContain('"line\nbreak \u001b[31mred"')
  expect(stderr).toBe('▲ the first 5 rows of more; --limit 1000 shows more\n')
})

test('JSON is one object, and no integer is rounded', async () => {
  const { stdout } = await play(['query', 'select *', '--json'], { pipeline: answering })
  const { data, ...envelope } = JSON.parse(stdout)
  expect(envelope).toEqual({ version: 1, command: 'query', warnings: [] })
  expect(data.truncated).toBe(true)
  expect(data.rows.map((row: unknown[]) => row[3])).toEqual([2, '9007199254740993', null, -1, null])
})

test('the statement, where to ask and the limit arrive; - reads stdin', async () => {
  const seen: [string, QueryOptions][] = []
  const pipeline = {
    query: async (...[, sql, options]: readonly [unknown, string, QueryOptions]) => (
      seen.push([sql, options]),
      result
    ),
  }
  await play(['query', 'select 1'], { pipeline })
  await play(['query', '--warehouse', '--limit', '7', '-'], {
    pipeline,
    surface: { readInput: async () => '-- two\nselect 2' },
  })
  expect(seen).toEqual([
    ['select 1', { on: 'lake', limit: 100 }],
    ['-- two\nselect 2', { on: 'warehouse', limit: 7 }],
  ])
})

test('a warning goes to stderr, or into the object', async () => {
  const pipeline = {
    query: async (
      ...given: readonly [unknown, unknown, unknown, { emit(event: object): void }]
    ) => {
      given[3].emit({ type: 'note', level: 'warn', text: 'the lake is empty' })
      return { columns: [], rows: [], truncated: false }
    },
  }
  expect((await play(['query', 'select 1'], { pipeline })).stderr).toBe(
    '▲ the lake is empty\n(0 rows)\n',
  )
  const { stdout } = await play(['query', 'select 1', '--json'], { pipeline })
  expect(JSON.parse(stdout).warnings).toEqual([{ message: 'the lake is empty' }])
})
