/** Pairs that the lake keeps count only for the very table, in the very shape, on the very server (DESIGN.md 4). */
import { expect, test } from 'vitest'
import { ToteError } from '../../src/errors.ts'
import {
  cursorText,
  cursorThatCounts,
  mayFollow,
  pairsThatCount,
  placesThatCount,
  sameIdentity,
  type CursorPosition,
} from '../../src/pairs/positions.ts'
import { pairColumns } from '../../src/pairs/pairs.ts'
import { fromMicros, toMicros } from '../../src/lake/instant.ts'
import type {
  BlocksFile,
  CommittedManifest,
  PairsEntry,
  TableEntry,
} from '../../src/lake/manifest.ts'
import type {
  Source,
  SourceIdentity,
  SourceSnapshot,
  SourceTable,
} from '../../src/sources/source.ts'

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
    files: { '16396': '16396' },
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

const NOON = '2026-11-27T12:00:00.000000Z'
const HOUR = 3_600_000
const cursor = { column: 'at', lookBack: '1h', reconcileMs: HOUR }
const withCursor: SourceTable = { ...tableOf(), cursor }
const cursorEntry = (position: Partial<CursorPosition> = {}): TableEntry => ({
  ...entryOf(withCursor),
  position: {
    strategy: 'cursor',
    watermark: '2026-11-27 11:00:00',
    comparedAt: NOON,
    cursor: cursorText(cursor),
    ...position,
  },
})

test("P2: a cursor counts until the table is to be compared in full again, by the source's clock", () => {
  const after = (ms: number): CursorPosition | null =>
    cursorThatCounts(cursorEntry(), withCursor, fromMicros(toMicros(NOON) + BigInt(ms * 1000)))
  expect(after(0)).toEqual(cursorEntry().position)
  expect(after(HOUR - 1)).toEqual(cursorEntry().position)
  expect(after(HOUR)).toBeNull()
  // A clock that was put back.
  expect(after(-0.001)).toBeNull()
})

test('P2: a cursor is void by another column, look-back, strategy, shape or key, and where none was', () => {
  const counts = (entry: TableEntry, table: SourceTable = withCursor): boolean =>
    cursorThatCounts(entry, table, NOON) !== null
  expect(counts(cursorEntry())).toBe(true)
  expect(counts(cursorEntry(), tableOf())).toBe(false)
  for (const other of [{ column: 'other' }, { lookBack: '2h' }])
    expect(counts(cursorEntry(), { ...withCursor, cursor: { ...cursor, ...other } })).toBe(false)
  expect(counts(cursorEntry({ strategy: 'xmin' as never }))).toBe(false)
  for (const absent of ['watermark', 'comparedAt', 'cursor']) {
    const entry = cursorEntry()
    const { [absent]: _, ...position } = entry.position
    expect(counts({ ...entry, position })).toBe(false)
  }
  expect(counts({ ...cursorEntry(), shape: 'other' })).toBe(false)
  expect(counts({ ...cursorEntry(), key: ['other'] })).toBe(false)
})

test('P2: pairs and cursors are void with a key of other columns, whatever they are called together', () => {
  const two = { ...tableOf(), key: ['a', 'b'] }
  const one = { ...tableOf(), key: ['ab'] }
  expect(pairsThatCount({ ...entryOf(one), key: ['ab'] }, two, same, columns)).toBeNull()
  expect(
    cursorThatCounts({ ...cursorEntry(), key: ['ab'] }, { ...withCursor, key: ['a', 'b'] }, NOON),
  ).toBeNull()
})

test('P2: a digest counts only for the very server process, and the very table', () => {
  const identity: SourceIdentity = { system: '1', started: 'x', tables: { t: '5', other: '6' } }
  const parent = (given: SourceIdentity | null): CommittedManifest =>
    (given === null ? {} : { source: { identity: given, position: null } }) as CommittedManifest
  const table = { ...tableOf(), origin: 't' }
  const counts = (before: SourceIdentity | null, of = table, but?: readonly string[]): boolean =>
    sameIdentity(before === null ? null : parent(before), { identity }, of, but)
  expect(counts(identity)).toBe(true)
  expect(counts(null)).toBe(false)
  expect(sameIdentity(parent(null), { identity }, table)).toBe(false)
  expect(counts({ ...identity, system: '2' })).toBe(false)
  expect(counts({ ...identity, started: 'y' })).toBe(false)
  expect(counts({ ...identity, started: 'y' }, table, ['started'])).toBe(true)
  expect(counts({ ...identity, system: '2' }, table, ['started'])).toBe(false)
  // The other tables are nobody's business.
  expect(counts({ ...identity, tables: { t: '5', other: '7' } })).toBe(true)
  expect(counts({ ...identity, tables: { t: '7', other: '6' } })).toBe(false)
  expect(counts({ ...identity, tables: { other: '6' } })).toBe(false)
  // It is asked for each of thousands, so none of the others is gone through.
  const unlisted = new Proxy(identity['tables'] as object, { ownKeys: () => [] })
  expect(counts({ ...identity, tables: unlisted } as SourceIdentity)).toBe(true)
  // Nobody told which of them it is: then the server decides.
  expect(counts({ ...identity, tables: { t: '7' } }, tableOf() as typeof table)).toBe(true)
  const { tables: _, ...bare } = identity
  expect(sameIdentity(parent(bare), { identity: bare }, table)).toBe(true)
})

test('P2: what the source says of a snapshot is thrown, but for what was accepted', () => {
  const follow = (thrown: Error | null, accept: boolean): void => {
    const source = {
      follow: () => {
        if (thrown !== null) throw thrown
      },
    } as unknown as Source
    mayFollow(source, {} as SourceSnapshot, { identity: {}, position: null }, accept)
  }
  for (const name of ['SourceReplaced', 'SourceBehind'] as const) {
    const error = new ToteError(name, 'x')
    expect(() => follow(error, false)).toThrow(error)
    expect(() => follow(error, true)).not.toThrow()
  }
  for (const error of [new ToteError('SourceBusy', 'x'), new TypeError('SourceReplaced')])
    for (const accept of [true, false]) expect(() => follow(error, accept)).toThrow(error)
  expect(() => follow(null, false)).not.toThrow()
})

test('P2: places are void when a table that stayed lies in another file, or none is known', () => {
  const files = { '1': '101', '2': '102' }
  const blocks = { key: 'k', bytes: 1, sha256: 's', pages: 2 }
  const counts = (was: BlocksFile | null, now: Record<string, string>): boolean => {
    const { pairs } = tableOf({ partitioned: true, files: now })
    const { pairs: known } = entryOf(tableOf(), { blocks: was })
    if (pairs === undefined || known === undefined) throw new Error('no pairs')
    return placesThatCount(known, pairs)
  }
  expect(counts({ ...blocks, files }, files)).toBe(true)
  expect(counts({ ...blocks, files }, { '1': '101', '3': '103' })).toBe(true)
  expect(counts({ ...blocks, files }, { '1': '101', '2': '202' })).toBe(false)
  expect(counts(blocks, files)).toBe(false)
  expect(counts(null, files)).toBe(false)
})
