/** Column ids: kept while the table lives, never used twice. */
import { beforeEach, expect, test } from 'vitest'
import {
  continueColumns,
  continueIds,
  continueModel,
  goneColumns,
  growModel,
  liveColumns,
  matchColumns,
  withoutNumbers,
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
const continued = (now: readonly NewColumn[], known: readonly Column[]): Column[] =>
  continueColumns(now, known, matchColumns(now, known))
const following = (now: NewColumn[], before: readonly Column[], sameTable = true): string[] =>
  asText(continued(now, sameTable ? before : withoutNumbers(before)))

let FIRST: readonly Column[]
beforeEach(() => {
  FIRST = continueColumns([named('id', 1), named('a', 2), named('b', 3)], [])
})

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

test("P6: a new column of the table in another's place is not what that one lost, though it has its number", () => {
  const dropped = continued([named('id', 1), named('a', 2)], FIRST)
  expect(asText(dropped)).toEqual(['1 id', '2 a', '3 b gone'])
  const inItsPlace = continued([named('id', 1), named('a', 2)], withoutNumbers(dropped))
  expect(asText(continued([named('id', 1), named('a', 2), named('c', 3)], inItsPlace))).toEqual([
    '1 id',
    '2 a',
    '4 c partial',
    '3 b gone',
  ])
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

test('P6: of a model, the same source is the same column, where only one is; then the same name', () => {
  const of = (name: string, source?: string): NewColumn => ({
    ...named(name),
    ...(source === undefined ? {} : { source }),
  })
  const grown = (now: readonly NewColumn[], before: readonly NewColumn[]): string[] =>
    asText(growModel(now, growModel(before, [])))
  // Two that swap their names.
  expect(grown([of('a', '#3'), of('b', '#2')], [of('a', '#2'), of('b', '#3')])).toEqual([
    '2 a',
    '1 b',
  ])
  // An older lake does not know where its columns are from.
  expect(grown([of('x', '#2')], [of('x'), of('y', '#2')])).toEqual(['1 x', '2 y gone'])
  const twice = [of('a', '#2'), of('b', '#2')]
  expect(grown([of('b', '#2'), of('z', '#2')], twice)).toEqual(['2 b', '1 z'])
  expect(grown([of('a', '#2')], twice)).toEqual(['1 a', '2 b gone'])
  // Nobody can tell which of the two it was.
  expect(grown([of('z', '#2')], twice)).toEqual(['3 z partial', '1 a gone', '2 b gone'])
  // What comes from nowhere is not therefore the same.
  expect(grown([of('total')], [of('sum')])).toEqual(['2 total partial', '1 sum gone'])
})

test('P8: what is known of a column goes with it', () => {
  const whole: NewColumn = {
    ...named('mood', 4, 'mood'),
    builtin: 'text',
    source: 's.t#1',
    formerly: ['was'],
    partial: true,
    notNull: true,
  }
  expect(continueIds([whole], [])).toEqual([{ id: 1, ...whole }])
  expect(continueIds([named('a')], [])).toEqual([{ id: 1, ...named('a') }])
})

test('P8: a column that came to be carried as text stays so', () => {
  const before = continueColumns([{ ...named('n', 1, 'numeric(3,2)'), carried: 'VARCHAR' }], [])
  const now = { ...named('n', 1, 'numeric(3,2)'), carried: 'DECIMAL(3,2)' }
  expect(continueColumns([now], before)[0]?.carried).toBe('VARCHAR')
  expect(continueColumns([now], continueColumns([now], []))[0]?.carried).toBe('DECIMAL(3,2)')
})

test('every name that a column had is known, but for the one that it has', () => {
  const rename = (name: string, before: readonly Column[]): Column[] => {
    const now = [named('id', 1), named(name, 2), named('b', 3)]
    return continueColumns(now, before, matchColumns(now, before))
  }
  expect(FIRST.map(({ formerly }) => formerly)).toEqual([undefined, undefined, undefined])
  const second = rename('y', FIRST)
  expect(second.map(({ formerly }) => formerly)).toEqual([undefined, ['a'], undefined])
  const third = rename('z', second)
  expect(third[1]?.formerly).toEqual(['a', 'y'])
  expect(rename('a', third)[1]?.formerly).toEqual(['y', 'z'])
})

test("P6: what is gone may be null, and gives way until its name is nobody else's", () => {
  const before = continueColumns(
    [named('id', 1), { ...named('a', 2), notNull: true }, named('x', 3), named('X_', 4)],
    [],
  )
  const now = [named('id', 1), named('A', 5), named('a_dropped_2', 6), named('A_Dropped_2_', 7)]
  const after = continueColumns(now, before, matchColumns(now, before))
  expect(asText(after)).toEqual([
    '1 id',
    '5 A partial',
    '6 a_dropped_2 partial',
    '7 A_Dropped_2_ partial',
    '2 a_dropped_2__ gone',
    '3 x gone',
    '4 X_ gone',
  ])
  expect(after[4]).toMatchObject({ notNull: false, partial: true })
  expect(asText([...liveColumns(after)])).toEqual(asText(after.slice(0, 4)))
  expect(asText([...goneColumns(after)])).toEqual(asText(after.slice(4)))
  expect(asText(continueColumns([named('id', 1)], before))).toEqual([
    '1 id',
    '2 a gone',
    '3 x gone',
    '4 X_ gone',
  ])
})

test('attribute numbers count where both sides have one; 0 is none', () => {
  const before = continueColumns([named('a', 0), named('b'), named('c', 2)], [])
  for (const now of [named('b', 0), named('b'), named('b', 2)])
    expect(matchColumns([now], before).get(now)?.name).toBe('b')
  const other = named('c', 5)
  expect(matchColumns([other], before).get(other)).toBeUndefined()
  expect(matchColumns([other], withoutNumbers(before)).get(other)?.id).toBe(3)
  // A live column of another type is the same one, whose change somebody must judge.
  const narrower = named('c', 2, 'integer')
  expect(matchColumns([narrower], before).get(narrower)?.id).toBe(3)
  // Without matches names decide, whatever the numbers.
  expect(asText(continueColumns([named('z', 2)], [{ ...named('c', 2), id: 1 }]))).toEqual([
    '2 z partial',
    '1 c gone',
  ])
  const renamed = named('z', 2)
  expect(matchColumns([renamed], before).get(renamed)?.id).toBe(3)
})

test('P6: a column of a model that may be null in older rows may be null, whatever is demanded now', () => {
  const demanded = (name: string): NewColumn => ({ ...named(name), notNull: true })
  const before = continueIds([named('loose'), demanded('strict')], [])
  const nulls = (columns: readonly Column[]): string[] =>
    columns.map(({ id, name, notNull, partial }) => `${id} ${name} ${notNull} ${partial === true}`)
  const now = [demanded('strict'), demanded('loose'), demanded('new')]
  expect(nulls(continueModel(now, before))).toEqual([
    '2 strict true false',
    '1 loose false false',
    '3 new true false',
  ])
  expect(nulls(growModel(now, before))).toEqual([
    '2 strict true false',
    '1 loose false false',
    '3 new false true',
  ])
  // The first batch has all of them.
  expect(nulls(growModel(now, []))).toEqual([
    '1 strict true false',
    '2 loose true false',
    '3 new true false',
  ])
})
