/** Column ids: kept while the table lives, never used twice. */
import { expect, test } from 'vitest'
import {
  continueColumns,
  continueIds,
  growModel,
  matchColumns,
  type NewColumn,
} from '../../src/lake/column-ids.ts'
import type { Column } from '../../src/types.ts'

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

const named = (name: string, attribute?: number, type = 'text'): NewColumn => ({
  name,
  type,
  carried: type === 'text' ? 'VARCHAR' : type.toUpperCase(),
  notNull: false,
  ...(attribute === undefined ? {} : { attribute }),
})
const asText = (columns: readonly Column[]): string[] =>
  columns.map(
    ({ id, name, gone, partial }) =>
      `${id} ${name}${gone === true ? ' gone' : partial === true ? ' partial' : ''}`,
  )
const following = (now: NewColumn[], before: readonly Column[], sameTable = true): string[] =>
  asText(continueColumns(now, before, matchColumns(now, before, sameTable)))

const FIRST = continueColumns([named('id', 1), named('a', 2), named('b', 3)], [])

test('within one table a column is the same by its attribute number, whatever it is called', () => {
  expect(following([named('id', 1), named('z', 2), named('b', 3)], FIRST)).toEqual([
    '1 id',
    '2 z',
    '3 b',
  ])
  // Two that swap their names.
  expect(following([named('id', 1), named('b', 2), named('a', 3)], FIRST)).toEqual([
    '1 id',
    '2 b',
    '3 a',
  ])
})

test('a column that is dropped stays, last; added again it is another one, and has the name', () => {
  const dropped = continueColumns([named('id', 1), named('b', 3)], FIRST)
  expect(asText(dropped)).toEqual(['1 id', '3 b', '2 a gone'])
  expect(following([named('id', 1), named('b', 3), named('a', 4)], dropped)).toEqual([
    '1 id',
    '3 b',
    '4 a partial',
    '2 a_dropped_2 gone',
  ])
  // Upper and lower case are one to DuckDB.
  expect(following([named('id', 1), named('b', 3), named('A', 4)], dropped)).toContain(
    '2 a_dropped_2 gone',
  )
})

test('of another table, or from before attribute numbers were kept, names decide; what is gone is back only as a like column', () => {
  const older = FIRST.map((column) => ({ ...column, attribute: undefined }))
  expect(following([named('id', 1), named('b', 2), named('a', 3)], FIRST, false)).toEqual([
    '1 id',
    '3 b',
    '2 a',
  ])
  expect(following([named('id', 1), named('b', 2), named('a', 3)], older)).toEqual([
    '1 id',
    '3 b',
    '2 a',
  ])
  const dropped = continueColumns([named('id', 1), named('b', 3)], FIRST)
  expect(following([named('id', 1), named('b', 2), named('a', 3)], dropped, false)).toEqual([
    '1 id',
    '3 b',
    '2 a partial',
  ])
  expect(
    following([named('id', 1), named('b', 2), named('a', 3, 'integer')], dropped, false),
  ).toEqual(['1 id', '3 b', '4 a partial', '2 a_dropped_2 gone'])
})

test('a model follows the columns of a source that it is: by name, and else by where they come from', () => {
  const of = (name: string, source?: string): NewColumn => ({
    ...named(name),
    ...(source === undefined ? {} : { source }),
  })
  const before = growModel([of('id', 's.t#1'), of('a', 's.t#2'), of('sum')], [])
  expect(asText(growModel([of('id', 's.t#1'), of('z', 's.t#2'), of('sum')], before))).toEqual([
    '1 id',
    '2 z',
    '3 sum',
  ])
  // Dropped and added again: the old one goes on under its new name.
  expect(
    asText(
      growModel(
        [of('id', 's.t#1'), of('sum'), of('a', 's.t#4'), of('a_dropped_2', 's.t#2')],
        before,
      ),
    ),
  ).toEqual(['1 id', '3 sum', '4 a partial', '2 a_dropped_2'])
  // One that names the column reads the new one.
  expect(asText(growModel([of('id', 's.t#1'), of('a', 's.t#4'), of('sum')], before))).toEqual([
    '1 id',
    '2 a',
    '3 sum',
  ])
  expect(asText(growModel([of('id', 's.t#1'), of('sum')], before))).toEqual([
    '1 id',
    '3 sum',
    '2 a gone',
  ])
})
