/** What a manifest says of files that hold other columns than their table has by now. */
import { expect, test } from 'vitest'
import { goOnWith, recordCarried } from '../../src/lake/carried.ts'
import type { DataFile, TableEntry } from '../../src/lake/manifest.ts'
import type { Column } from '../../src/types.ts'

const column = (id: number, name: string, carried = 'VARCHAR'): Column => ({
  id,
  name,
  type: 'text',
  carried,
  notNull: false,
})
const file = (format: string, more: Partial<DataFile> = {}): DataFile => ({
  key: `shop/t/2026/11/20/093000123456-0-9f86d081884c.${format}`,
  batch: 1,
  rows: 1,
  deletes: 0,
  bytes: 1,
  sha256: '',
  least: [],
  greatest: [],
  ...more,
})
const FIRST = [column(1, 'id', 'INTEGER'), column(2, 'a'), column(3, 'b', 'INTEGER')]

test('files of the same columns need nothing said of them', () => {
  const files = [file('parquet')]
  expect(recordCarried(files, FIRST, [...FIRST])).toBe(files)
})

test('renamed, wider and new columns are said once each, and again when they change again', () => {
  const second = [
    column(1, 'id', 'INTEGER'),
    column(2, 'z'),
    column(3, 'b', 'BIGINT'),
    column(4, 'c'),
  ]
  const [once] = recordCarried([file('parquet')], FIRST, second)
  expect(once).toMatchObject({ names: { z: 'a', c: null }, carried: { b: 'INTEGER' } })
  const third = [
    column(1, 'id', 'INTEGER'),
    column(4, 'z'),
    column(3, 'b', 'VARCHAR'),
    column(2, 'c'),
  ]
  const [twice] = recordCarried([once ?? file('')], second, third)
  expect(twice).toMatchObject({ names: { z: null, c: 'a' }, carried: { b: 'INTEGER' } })
  const [back] = recordCarried([twice ?? file('')], third, FIRST)
  expect(back).toEqual(file('parquet'))
})

test('CSV has no names: its columns are told in its order', () => {
  const second = [
    column(3, 'b', 'INTEGER'),
    column(1, 'id', 'INTEGER'),
    column(2, 'a'),
    column(4, 'c'),
  ]
  const [once] = recordCarried([file('csv.gz')], FIRST, second)
  expect(once).toMatchObject({ names: { c: null }, order: ['id', 'a', 'b'] })
  const [twice] = recordCarried([once ?? file('')], second, [...second, column(5, 'd')])
  expect(twice).toMatchObject({ names: { c: null, d: null }, order: ['id', 'a', 'b'] })
})

test('P8: CSV is read by its own order wherever names differ, also where they are the same letters', () => {
  const [renamed] = recordCarried(
    [file('csv.gz')],
    [column(1, 'ab'), column(2, 'c')],
    [column(1, 'a'), column(2, 'bc')],
  )
  expect(renamed).toMatchObject({ order: ['ab', 'c'], names: { a: 'ab', bc: 'c' } })
  const wider = FIRST.map((one) => (one.name === 'b' ? { ...one, carried: 'BIGINT' } : one))
  expect(recordCarried([file('csv.gz')], FIRST, wider)).toEqual([
    file('csv.gz', { carried: { b: 'INTEGER' } }),
  ])
})

test('what lakes of the second format say of their files still counts, names such as __proto__ included', () => {
  const before = [column(1, 'id', 'INTEGER'), column(2, '__proto__'), column(3, 'constructor')]
  const told = file('parquet', { carried: { constructor: 'INTEGER' } })
  const now = [column(1, 'id', 'INTEGER'), column(2, '__proto__', 'BLOB'), column(3, 'c')]
  const [once] = recordCarried([told], before, now)
  expect(once?.carried).toEqual(JSON.parse('{ "__proto__": "VARCHAR", "c": "INTEGER" }'))
  expect(once?.names).toEqual({ c: 'constructor' })
})

test('columns are other ones by id, name or type, and by their number', () => {
  const files = [file('parquet')]
  const [id, a, b] = FIRST
  if (id === undefined || a === undefined || b === undefined) throw new Error('three columns')
  for (const now of [
    [id, a],
    [...FIRST, column(4, 'c')],
    [id, b, a],
  ])
    expect(recordCarried(files, FIRST, now)).not.toBe(files)
  for (const other of [column(9, 'a'), column(2, 'z'), column(2, 'a', 'BLOB')])
    expect(recordCarried(files, FIRST, [id, other, b])).not.toBe(files)
  // A Parquet file is read by names, so that an order is nothing to say.
  expect(recordCarried(files, FIRST, [id, b, a])).toEqual(files)
  expect(recordCarried([file('csv.gz')], FIRST, [id, a])).toEqual([
    file('csv.gz', { order: ['id', 'a', 'b'] }),
  ])
})

test('the files of the last entry go on, all of them, with what they hold', () => {
  const now = [...FIRST, column(4, 'c')]
  const entry: TableEntry = {
    columns: FIRST,
    key: ['id'],
    shape: 's',
    position: {},
    rows: 2,
    base: [file('parquet')],
    files: [file('parquet', { batch: 2 })],
    previous: 7,
    history: { files: [], older: [] },
  }
  expect(goOnWith(entry, now)).toEqual({
    base: [file('parquet', { names: { c: null } })],
    files: [file('parquet', { batch: 2, names: { c: null } })],
    previous: 7,
  })
  expect(goOnWith(null, now)).toEqual({ base: [], files: [], previous: null })
})
