import { expect, test } from 'vitest'
import { loadOrder, reservedNames } from '../../src/star/layout.ts'
import type { StarTable } from '../../src/star/star-table.ts'
import { columns, starTable } from '../support/star.ts'

function table(name: string, kind: StarTable['kind'], ...models: readonly string[]): StarTable {
  return starTable({
    name,
    kind,
    columns: columns(['id', 'integer', 'INTEGER']),
    key: ['id'],
    references: models.map((model) => ({ column: 'id', model })),
  })
}

test('whatever is referred to comes first, facts come last', () => {
  const star = [
    table('fact_a', 'fact', 'dim_b', 'dim_d'),
    table('dim_b', 'dimension', 'dim_c'),
    table('list', 'table'),
    table('dim_c', 'dimension', 'dim_c', 'not in the star'),
    table('dim_d', 'dimension'),
  ]
  expect(loadOrder(star).map(({ name }) => name)).toEqual([
    'dim_c',
    'dim_b',
    'list',
    'dim_d',
    'fact_a',
  ])
})

test('a circle is named', () => {
  expect(() =>
    loadOrder([
      table('a', 'dimension', 'b'),
      table('b', 'dimension', 'c'),
      table('c', 'table', 'b'),
    ]),
  ).toThrow('b → c → b')
})

test('names that a model may not use', () => {
  expect(reservedNames(table('a', 'table'))).toEqual(['_tote_op', '_tote_batch', '_tote_number'])
  expect(reservedNames(table('a', 'dimension'))).toContain('is_deleted')
  expect(reservedNames(table('a', 'fact'))).toEqual(
    expect.arrayContaining(['record_id', 'valid_from', 'valid_to', 'is_deleted', 'batch']),
  )
})
