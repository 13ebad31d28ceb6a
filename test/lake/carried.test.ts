/** What a manifest says of files that hold other columns than their table has by now. */
import { expect, test } from 'vitest'
import { recordCarried } from '../../src/lake/carried.ts'
import type { DataFile } from '../../src/lake/manifest.ts'
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

test('what lakes of the second format say of their files still counts, names such as __proto__ included', () => {
  const before = [column(1, 'id', 'INTEGER'), column(2, '__proto__'), column(3, 'constructor')]
  const told = file('parquet', { carried: { constructor: 'INTEGER' } })
  const now = [column(1, 'id', 'INTEGER'), column(2, '__proto__', 'BLOB'), column(3, 'c')]
  const [once] = recordCarried([told], before, now)
  expect(once?.carried).toEqual(JSON.parse('{ "__proto__": "VARCHAR", "c": "INTEGER" }'))
  expect(once?.names).toEqual({ c: 'constructor' })
})
