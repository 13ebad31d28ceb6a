/** Pairs that the lake keeps count only for the very table, in the very shape, on the very server (DESIGN.md 4). */
import { expect, test } from 'vitest'
import { pairsThatCount } from '../../src/extraction/positions.ts'
import { pairColumns } from '../../src/extraction/pairs.ts'
import type { PairsEntry, TableEntry } from '../../src/lake/manifest.ts'
import type { SourceTable } from '../../src/sources/source.ts'

const ORIGIN = {
  system: '7712740341468496954',
  timeline: '1',
  started: '2026-11-27 06:51:39.937351+00',
  databaseOid: '16384',
  table: '16396',
  types: 'aa',
}
const columns = [{ id: 1, name: 'id', type: 'integer', carried: 'INTEGER', notNull: true }]

function tableOf(given: Partial<NonNullable<SourceTable['pairs']>> = {}): SourceTable {
  const pairs = {
    origin: ORIGIN,
    leaves: { '16396': 'x' },
    partitioned: false,
    pages: 9,
    inPlace: true,
  }
  return {
    name: 'item',
    columns: columns.map((column) => ({ ...column, attribute: 1 })),
    key: ['id'],
    shape: '1 id 23',
    pairs: { ...pairs, ...given },
  }
}

function entryOf(table: SourceTable, pairs: Partial<PairsEntry> = {}): TableEntry {
  const { origin = {}, leaves = {} } = table.pairs ?? {}
  return {
    columns,
    key: ['id'],
    shape: table.shape,
    position: { strategy: 'xmin' },
    rows: 1,
    base: [],
    files: [],
    previous: null,
    pairs: {
      origin,
      leaves,
      position: '9:9:',
      columns: pairColumns(table, columns),
      base: [],
      files: [],
      blocks: null,
      ...pairs,
    },
  }
}

const same = { comparable: () => true }

test('P2: pairs of the same table count', () => {
  const table = tableOf()
  expect(pairsThatCount(entryOf(table), table, same, columns)).not.toBeNull()
})

test.each(Object.keys(ORIGIN))('P2: pairs are void when the %s is another', (part) => {
  const table = tableOf({ origin: { ...ORIGIN, [part]: 'another' } })
  expect(pairsThatCount(entryOf(tableOf()), table, same, columns)).toBeNull()
})

test('P2: pairs are void in another shape, with another key, and after too many transactions', () => {
  const table = tableOf()
  const entry = entryOf(table)
  expect(pairsThatCount({ ...entry, shape: '1 id 20' }, table, same, columns)).toBeNull()
  expect(pairsThatCount({ ...entry, key: ['other'] }, table, same, columns)).toBeNull()
  expect(pairsThatCount(entry, table, { comparable: () => false }, columns)).toBeNull()
  expect(pairsThatCount(entry, table, {}, columns)).toBeNull()
  const text = columns.map((column) => ({ ...column, carried: 'VARCHAR' }))
  expect(pairsThatCount(entry, table, same, text)).toBeNull()
  const { pairs: _, ...without } = entry
  expect(pairsThatCount(without, table, same, columns)).toBeNull()
})

test('P2: a partition that stayed must be the same; others may come and go', () => {
  const was = tableOf({ partitioned: true, leaves: { '1': 'a', '2': 'b' } })
  const counts = (leaves: Record<string, string>): boolean =>
    pairsThatCount(entryOf(was), tableOf({ partitioned: true, leaves }), same, columns) !== null
  expect(counts({ '1': 'a', '2': 'b' })).toBe(true)
  expect(counts({ '1': 'a', '3': 'c' })).toBe(true)
  expect(counts({ '1': 'a', '2': 'other' })).toBe(false)
  // A table for itself has no others.
  expect(
    pairsThatCount(entryOf(tableOf()), tableOf({ leaves: { '5': 'x' } }), same, columns),
  ).toBeNull()
  expect(pairsThatCount(entryOf(tableOf()), was, same, columns)).toBeNull()
})
