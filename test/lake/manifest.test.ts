/**
 * P3: a manifest is judged whole before anybody reads by it. Every property of an entry that has all there can be is
 * taken away, or put to what it must not be, one after the other.
 */
import { expect, test } from 'vitest'
import {
  areColumns,
  generationOf,
  isCount,
  isDataFile,
  isSourceAndInputs,
  isTableEntry,
  pointsBack,
  tableEntries,
  type DataFile,
  type TableEntry,
} from '../../src/lake/manifest.ts'

const COLUMN = {
  id: 1,
  name: 'id',
  type: 'integer',
  carried: 'INTEGER',
  notNull: true,
  formerly: ['no'],
}
const FILE: DataFile = {
  key: 'shop/t/x.csv.gz',
  batch: 3,
  rows: 5,
  deletes: 1,
  bytes: 100,
  sha256: 'aa',
  least: ['1'],
  greatest: ['9'],
  longest: 70,
  carried: { id: 'VARCHAR' },
  names: { id: null, other: 'no' },
  order: ['id'],
  merged: { from: 2, manifest: 4 },
}
const ENTRY: TableEntry = {
  columns: [COLUMN],
  key: ['id'],
  sourceKey: ['no'],
  shape: 's',
  relationId: '1.2',
  position: { strategy: 'xmin' },
  pairs: {
    origin: { system: '1' },
    leaves: { '5': 'x' },
    position: '1:1:',
    columns: [COLUMN],
    base: [FILE],
    files: [FILE],
    blocks: { key: 'b', sha256: 'bb', bytes: 10, pages: 2 },
  },
  rows: 4,
  base: [FILE],
  files: [FILE],
  previous: 7,
  history: { files: [FILE], older: [{ number: 1, batch: 2, manifest: 3 }] },
  model: { kind: 'fact', history: true, references: [] } as unknown as NonNullable<
    TableEntry['model']
  >,
}

/** What is wanted of each property, by its path: `?` may be absent, `0` may be null. */
const WANTED: Readonly<Record<string, string>> = {
  columns: 'list',
  'columns.0': 'record',
  'columns.0.id': 'count',
  'columns.0.name': 'text',
  'columns.0.type': 'text',
  'columns.0.carried': 'text',
  'columns.0.formerly': 'list?',
  'columns.0.formerly.0': 'text',
  key: 'list',
  'key.0': 'text',
  sourceKey: 'list?',
  'sourceKey.0': 'text',
  shape: 'text',
  position: 'record',
  pairs: 'record?',
  'pairs.origin': 'record',
  'pairs.leaves': 'record',
  'pairs.position': 'text',
  'pairs.columns': 'list',
  'pairs.columns.0': 'record',
  'pairs.base': 'list',
  'pairs.base.0': 'record',
  'pairs.files': 'list',
  'pairs.files.0': 'record',
  'pairs.blocks': 'record0',
  'pairs.blocks.key': 'text',
  'pairs.blocks.sha256': 'text',
  'pairs.blocks.bytes': 'count',
  'pairs.blocks.pages': 'count',
  rows: 'count',
  base: 'list',
  'base.0': 'record',
  'base.0.key': 'text',
  'base.0.sha256': 'text',
  'base.0.batch': 'count',
  'base.0.rows': 'count',
  'base.0.deletes': 'count',
  'base.0.bytes': 'count',
  'base.0.least': 'list',
  'base.0.least.0': 'text',
  'base.0.greatest': 'list',
  'base.0.greatest.0': 'text',
  'base.0.longest': 'count?',
  'base.0.carried': 'record?',
  'base.0.carried.id': 'text?',
  'base.0.names': 'record?',
  'base.0.names.other': 'text?0',
  'base.0.order': 'list?',
  'base.0.order.0': 'text',
  'base.0.merged': 'record?',
  'base.0.merged.from': 'count',
  'base.0.merged.manifest': 'count',
  files: 'list',
  'files.0': 'record',
  previous: 'count0',
  history: 'record?',
  'history.files': 'list',
  'history.files.0': 'record',
  'history.older': 'list',
  'history.older.0': 'record',
  'history.older.0.number': 'count',
  'history.older.0.batch': 'count',
  'history.older.0.manifest': 'count',
  model: 'record?',
  'model.kind': 'text',
  'model.references': 'list',
}

const NOT: Readonly<Record<string, readonly unknown[]>> = {
  text: [1, true, {}, []],
  count: [-1, 0.5, 2 ** 53, Number.NaN, '1', true, {}, []],
  record: ['x', 1, true, []],
  list: ['x', 1, true, {}, { length: 1, 0: 'a' }],
}

type Holder = Record<string, unknown>

/** A copy of `whole` in which the property at `path` is `value`, or, with none, is gone. */
function changed<T>(whole: T, path: string, ...value: readonly [unknown?]): T {
  const copy = structuredClone(whole)
  const names = path.split('.')
  const last = names.pop() ?? ''
  const holder = names.reduce((held, name) => held[name] as Holder, copy as Holder)
  if (value.length > 0) holder[last] = value[0]
  else if (Array.isArray(holder)) holder.splice(Number(last), 1)
  else Reflect.deleteProperty(holder, last)
  return copy
}

function refuses<T>(
  is: (value: T) => boolean,
  whole: T,
  wanted: Readonly<Record<string, string>>,
): void {
  expect(is(whole)).toBe(true)
  for (const [path, want] of Object.entries(wanted)) {
    const [kind, mayLack, mayBeNull] = [
      want.replace(/[?0]+$/, ''),
      want.includes('?') || /(^|\.)\d+$/.test(path),
      want.endsWith('0'),
    ]
    for (const value of NOT[kind] ?? [])
      expect(is(changed(whole, path, value)), `${path}: ${String(value)}`).toBe(false)
    expect(is(changed(whole, path, null)), `${path}: null`).toBe(mayBeNull)
    expect(is(changed(whole, path)), `without ${path}`).toBe(mayLack)
  }
}

test('P3: an entry of a table with anything else in the place of what its readers need is none', () => {
  refuses<unknown>(isTableEntry, ENTRY, WANTED)
  for (const not of [null, undefined, 'x', 1, [], [ENTRY]]) expect(isTableEntry(not)).toBe(false)
})

test('P3: a file that is told of is judged by itself, as a note of a draft has it', () => {
  const own = Object.entries(WANTED).flatMap(([path, want]) =>
    path.startsWith('base.0.') ? [[path.slice('base.0.'.length), want] as const] : [],
  )
  refuses<unknown>(isDataFile, FILE, Object.fromEntries(own))
  for (const not of [null, undefined, 'x', []]) expect(isDataFile(not)).toBe(false)
  expect(areColumns([COLUMN])).toBe(true)
  expect(areColumns([COLUMN, { ...COLUMN, name: 1 }])).toBe(false)
  expect(areColumns(COLUMN)).toBe(false)
})

test('P3: where rows are from is told whole, or not at all', () => {
  const manifest = {
    source: { identity: { system: '1' }, position: '1:1:', reached: '0/1' },
    inputs: { shop: { chain: 'c', batch: 1, manifest: 2, sha256: 'aa' } },
  }
  refuses<typeof manifest>(isSourceAndInputs, manifest, {
    source: 'record?',
    'source.identity': 'record',
    'source.position': 'text0',
    'source.reached': 'text?',
    inputs: 'record?',
    'inputs.shop': 'record?',
    'inputs.shop.chain': 'text',
    'inputs.shop.batch': 'count',
  })
  expect(isSourceAndInputs({})).toBe(true)
})

test('P3: an entry names only older manifests, and its own where that tells its history', () => {
  const plain: DataFile = { ...FILE }
  Reflect.deleteProperty(plain, 'merged')
  const merged = (manifest: number): DataFile => ({ ...FILE, merged: { from: 1, manifest } })
  const points = (given: Partial<TableEntry>): boolean => {
    const entry = { ...ENTRY, base: [plain], files: [plain], previous: null, ...given }
    if (!('history' in given)) Reflect.deleteProperty(entry, 'history')
    return pointsBack(entry, 5)
  }
  const history = { files: [plain], older: [] }
  expect(points({})).toBe(true)
  expect(points({ previous: 4 })).toBe(true)
  expect(points({ previous: 5 })).toBe(false)
  expect(points({ previous: 6 })).toBe(false)
  expect(points({ previous: 5, history })).toBe(true)
  expect(points({ previous: 6, history })).toBe(false)
  for (const place of ['base', 'files'] as const) {
    expect(points({ [place]: [plain, merged(4)] })).toBe(true)
    expect(points({ [place]: [plain, merged(5)] })).toBe(false)
    expect(points({ [place]: [merged(5), plain] })).toBe(false)
  }
  expect(points({ previous: 5, history: { ...history, files: [merged(4)] } })).toBe(true)
  expect(points({ previous: 5, history: { ...history, files: [merged(5)] } })).toBe(false)
})

test('counts are whole, not negative, and exact', () => {
  for (const count of [0, 1, Number.MAX_SAFE_INTEGER]) expect(isCount(count)).toBe(true)
  for (const not of NOT['count'] ?? []) expect(isCount(not)).toBe(false)
})

test('a manifest that tells no generation is of the first', () => {
  expect(generationOf({})).toBe(1)
  expect(generationOf({ generation: 3 })).toBe(3)
})

test('tables may be called what objects have by nature', () => {
  expect(tableEntries()['constructor']).toBeUndefined()
  expect(Object.keys(tableEntries())).toEqual([])
  const tables = tableEntries([
    ['__proto__', ENTRY],
    ['toString', ENTRY],
  ])
  expect(Object.keys(tables)).toEqual(['__proto__', 'toString'])
  expect(tables['__proto__']).toBe(ENTRY)
})
