/** Column ids: kept while the table lives, never used twice. */
import { expect, test } from 'vitest'
import { continueIds } from '../../src/lake/column-ids.ts'

const column = (
  name: string,
): { name: string; type: string; carried: string; notNull: boolean } => ({
  name,
  type: 'text',
  carried: 'VARCHAR',
  notNull: false,
})

test('ids begin at 1, follow the name through a new order, and go on from the highest', () => {
  const first = continueIds(['a', 'b', 'c'].map(column), [])
  expect(first.map(({ name, id }) => [name, id])).toEqual([
    ['a', 1],
    ['b', 2],
    ['c', 3],
  ])
  const second = continueIds(['c', 'new', 'a'].map(column), first)
  expect(second.map(({ name, id }) => [name, id])).toEqual([
    ['c', 3],
    ['new', 4],
    ['a', 1],
  ])
})

test('an id carries nothing but the column over: type and nullability are the new ones', () => {
  const first = continueIds([column('a')], [])
  expect(
    continueIds([{ ...column('a'), type: 'integer', carried: 'INTEGER', notNull: true }], first),
  ).toEqual([{ id: 1, name: 'a', type: 'integer', carried: 'INTEGER', notNull: true }])
})
