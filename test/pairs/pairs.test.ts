/**
 * P2: what has become of a table, told by its pairs: computed in DuckDB, and here one key at a time. A pair that is
 * another, a row that lies elsewhere, an id that may have been given twice, a partition that took another's rows.
 */
import fc from 'fast-check'
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import { quoteName, quoteNames, quoteText } from '../../src/columns/sql.ts'
import {
  changedKeys,
  changesOfPairs,
  columnsBeside,
  columnsOfPairs,
  columnsOfPlaces,
  countPairs,
  dropPlaces,
  freshPairs,
  freshPlaces,
  newPairs,
  pairColumns,
  pairDifference,
  pairsInBlocks,
  pairsOfRows,
  placeDifference,
  placedPairs,
  rowsWithKey,
  rowsWithPair,
  XMIN_COLUMN,
  type Beside,
} from '../../src/pairs/pairs.ts'
import type { IdSpan, SourceTable } from '../../src/sources/source.ts'
import type { Column } from '../../src/types.ts'

let engine: Engine
beforeAll(async () => {
  engine = await openEngine({ tempFolder: tmpdir() })
})
afterAll(() => engine.close())

const COLUMNS: Column[] = [
  { id: 1, name: 'v', type: 'text', carried: 'VARCHAR', notNull: false },
  { id: 2, name: 'a "a"', type: 'integer', carried: 'INTEGER', notNull: true },
  { id: 3, name: 'b', type: 'text', carried: 'VARCHAR', notNull: true },
]
const KEY = ['b', 'a "a"']
const tableOf = (partitioned: boolean): SourceTable => ({
  name: 't',
  columns: [],
  key: KEY,
  shape: '',
  pairs: { origin: {}, leaves: {}, files: {}, partitioned, pages: 1, inPlace: true },
})

interface Pair {
  readonly a: number
  readonly b: string
  readonly xmin: number
  readonly leaf: number
  readonly page: number | null
  readonly item: number
}

const LAST_ID = 2 ** 32 - 1
const pair: fc.Arbitrary<Pair> = fc.record({
  a: fc.nat(2),
  b: fc.constantFrom('x', "y'"),
  xmin: fc.constantFrom(3, 4, 5, LAST_ID),
  leaf: fc.constantFrom(7, 8),
  page: fc.constantFrom(0, 1, 9),
  item: fc.integer({ min: 1, max: 2 }),
})
const nameOf = ({ a, b }: Pick<Pair, 'a' | 'b'>): string => `${b} ${a}`
const pairs = fc
  .array(pair, { maxLength: 6 })
  .map((all) => [...new Map(all.map((each) => [nameOf(each), each])).values()])
/** What was, and what is: some of it as it was, moved, updated or gone, and others. */
const histories = fc
  .tuple(
    pairs,
    fc.array(fc.constantFrom('same', 'moved', 'updated', 'gone'), { minLength: 6 }),
    pairs,
  )
  .map(([known, fates, fresh]) => {
    const left = known.flatMap((each, index): Pair[] => {
      const fate = fates[index]
      if (fate === 'gone') return []
      if (fate === 'moved') return [{ ...each, page: (each.page ?? 0) + 1 }]
      return [fate === 'updated' ? { ...each, xmin: 6, leaf: 8 } : each]
    })
    const now = new Map([...fresh, ...left].map((each) => [nameOf(each), each]))
    return { known, now: [...now.values()] }
  })
const spans = fc.constantFrom<IdSpan | null>(
  null,
  { first: 4, count: 1 },
  { first: LAST_ID, count: 5 },
)

const PAIR_COLUMNS = {
  'a "a"': 'INTEGER',
  b: 'VARCHAR',
  [XMIN_COLUMN]: 'UINTEGER',
  _tote_leaf: 'UINTEGER',
  _tote_page: 'UINTEGER',
  _tote_item: 'USMALLINT',
}

function relationOf(all: readonly Pair[], partitioned: boolean): string {
  const absent = partitioned ? [] : ['_tote_leaf']
  const rows = [...all, null].map((each) => {
    if (each === null) return '(null, null, null, null, null, null)'
    const { a, b, xmin, leaf, page, item } = each
    return `(${a}, ${quoteText(b)}, ${xmin}, ${leaf}, ${page ?? 'null'}, ${item})`
  })
  const names = quoteNames(Object.keys(PAIR_COLUMNS))
  const columns = Object.entries(PAIR_COLUMNS).flatMap(([name, type]) =>
    absent.includes(name) ? [] : [`${quoteName(name)}::${type} as ${quoteName(name)}`],
  )
  return `select ${columns.join(', ')} from (values ${rows.join(', ')}) v(${names}) where b is not null`
}

const byName = ([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number =>
  one < other ? -1 : 1

const isReused = (xmin: number, span: IdSpan | null): boolean =>
  span !== null && (xmin - span.first + 2 ** 32) % 2 ** 32 < span.count

/** What a key has become: kind, and the pair that it has now. */
function model(
  known: readonly Pair[],
  now: readonly Pair[],
  partitioned: boolean,
  span: IdSpan | null,
): Map<string, { readonly kind: string; readonly now: Pair | null }> {
  const changes = new Map<string, { kind: string; now: Pair | null }>()
  const before = new Map(known.map((each) => [nameOf(each), each]))
  for (const each of now) {
    const was = before.get(nameOf(each))
    const other =
      was !== undefined &&
      (was.xmin !== each.xmin ||
        (partitioned && was.leaf !== each.leaf) ||
        isReused(each.xmin, span))
    if (was === undefined) changes.set(nameOf(each), { kind: 'i', now: each })
    else if (other) changes.set(nameOf(each), { kind: 'u', now: each })
    else if (was.page !== each.page || was.item !== each.item)
      changes.set(nameOf(each), { kind: 'm', now: each })
  }
  const left = new Set(now.map(nameOf))
  for (const each of known)
    if (!left.has(nameOf(each))) changes.set(nameOf(each), { kind: 'd', now: null })
  return changes
}

const keysOf = async (from: string): Promise<string[]> =>
  (await engine.rows(`select "b" || ' ' || "a ""a""" as name from ${from} order by 1`)).map(
    ({ name }) => String(name),
  )

test('P2: of every key the pairs tell what became of it, and where the rows lie that must be read', async () => {
  const kinds = { i: 0, u: 0, m: 0, d: 0 }
  await fc.assert(
    fc.asyncProperty(histories, fc.boolean(), spans, async ({ known, now }, partitioned, span) => {
      const table = tableOf(partitioned)
      await engine.run('drop table if exists "the ""changes"""')
      const into = 'the "changes"'
      await engine.run(
        pairDifference({
          into,
          known: relationOf(known, partitioned),
          now: relationOf(now, partitioned),
          table,
          reused: span,
        }),
      )
      const changes = model(known, now, partitioned, span)
      for (const { kind } of changes.values()) kinds[kind as 'i'] += 1
      const of = (kind: string): [string, { readonly now: Pair | null }][] =>
        [...changes].toSorted(byName).filter((each) => kind.includes(each[1].kind))
      const rows = await engine.rows(
        `select _tote_kind as kind, "b" || ' ' || "a ""a""" as name, ${XMIN_COLUMN} as xmin, _tote_page as page, _tote_item as item${partitioned ? ', _tote_leaf as leaf' : ''} from "the ""changes""" order by name`,
      )
      expect(rows).toEqual(
        of('iumd').map(([name, { now: held }]) => ({
          kind: changes.get(name)?.kind,
          name,
          xmin: held?.xmin ?? null,
          page: held?.page ?? null,
          item: held?.item ?? null,
          ...(partitioned ? { leaf: held?.leaf ?? null } : {}),
        })),
      )
      expect(await engine.rows(countPairs(into))).toEqual([
        {
          added: BigInt(of('i').length),
          fresh: BigInt(of('iu').length),
          gone: BigInt(of('d').length),
          changes: BigInt(changes.size),
        },
      ])
      expect(await keysOf(freshPairs(into))).toEqual(of('iu').map(([name]) => name))
      expect(await keysOf(changedKeys(into))).toEqual(of('iud').map(([name]) => name))
      const made = await engine.rows(
        `select _tote_op as op, count(*) as n from (${changesOfPairs(into)}) group by 1 order by 1`,
      )
      expect(made).toEqual(
        [
          { op: 'd', n: BigInt(of('d').length) },
          { op: 'u', n: BigInt(of('ium').length) },
        ].filter(({ n }) => n > 0n),
      )
      for (const atOnce of [1, 2, 100]) {
        const read = await engine.rows(freshPlaces(freshPairs(into), table, atOnce))
        const places = read.flatMap((row) =>
          String(row['places'])
            .split(' ')
            .map((place) => `${String(row['leaf'])} ${place}`),
        )
        const expected = of('iu').map(
          ([, { now: held }]) => `${partitioned ? held?.leaf : null} (${held?.page},${held?.item})`,
        )
        expect(places.toSorted()).toEqual(expected.toSorted())
        for (const row of read)
          expect(String(row['places']).split(' ').length).toBeLessThanOrEqual(atOnce)
        // As they lie, and no more statements than are needed.
        const numbers = read.map((row) =>
          String(row['places'])
            .replaceAll(/[()]/g, '')
            .split(' ')
            .map((place) => place.split(',').map(Number))
            .map(([page = 0, item = 0]) => page * 10 + item),
        )
        for (const leaf of new Set(read.map((row) => row['leaf']))) {
          const own = numbers.filter((_, index) => read[index]?.['leaf'] === leaf)
          expect(own.flat()).toEqual(own.flat().toSorted((one, other) => one - other))
          expect(own.length).toBe(Math.ceil(own.flat().length / atOnce))
        }
      }
    }),
    { numRuns: 80 },
  )
  expect(Math.min(...Object.values(kinds)), 'every kind came up').toBeGreaterThan(5)
})

test('a reading of pairs has page and item for the place', async () => {
  const rows = `select 5::UINTEGER as ${XMIN_COLUMN}, place as _tote_place from (values ('(0,1)'), ('(4294967295,65535)')) v(place)`
  expect(
    await engine.rows(
      `select *, typeof(_tote_page) as page, typeof(_tote_item) as item from (${placedPairs(rows)})`,
    ),
  ).toEqual([
    { [XMIN_COLUMN]: 5, _tote_page: 0, _tote_item: 1, page: 'UINTEGER', item: 'USMALLINT' },
    {
      [XMIN_COLUMN]: 5,
      _tote_page: 4294967295,
      _tote_item: 65535,
      page: 'UINTEGER',
      item: 'USMALLINT',
    },
  ])
})

test('pairs have the key as the table carries it, and the table that a row lies in where there are several', () => {
  const shown = (
    columns: readonly { readonly name: string; readonly carried: string }[],
  ): string[] => columns.map(({ name, carried }) => `${name} ${carried}`)
  expect(shown(pairColumns(tableOf(false), COLUMNS))).toEqual([
    'b VARCHAR',
    'a "a" INTEGER',
    '_tote_xmin UINTEGER',
    '_tote_page UINTEGER',
    '_tote_item USMALLINT',
  ])
  const columns = pairColumns(tableOf(true), COLUMNS)
  expect(shown(columns)[3]).toBe('_tote_leaf UINTEGER')
  // Field ids of files of earlier versions.
  expect(columns.map(({ id, type, notNull }) => `${id} ${type} ${notNull}`)).toEqual([
    '3 text true',
    '2 integer true',
    '2000000002 xid true',
    '2000000003 xid true',
    '2000000004 xid true',
    '2000000005 xid true',
  ])
  expect(shown(columnsOfPairs(tableOf(false), COLUMNS))).toEqual([
    '_tote_xmin UINTEGER',
    '_tote_place VARCHAR',
    'b VARCHAR',
    'a "a" INTEGER',
  ])
  expect(shown(columnsOfPairs(tableOf(true), COLUMNS))[0]).toBe('_tote_leaf UINTEGER')
  const { pairs: _, ...without } = tableOf(true)
  expect(pairColumns(without, COLUMNS)).toHaveLength(5)
  expect(columnsOfPairs(without, COLUMNS)).toHaveLength(4)
})

test('rows that were read with their xmin give pairs that lie nowhere', async () => {
  const rows = `(select 1 as "a ""a""", 'x' as b, 9::UINTEGER as ${XMIN_COLUMN}, 'v' as v)`
  expect(await engine.rows(pairsOfRows(rows, tableOf(false)))).toEqual([
    { _tote_op: 'u', b: 'x', 'a "a"': 1, [XMIN_COLUMN]: 9, _tote_page: null, _tote_item: null },
  ])
  const [leafed] = await engine.rows(pairsOfRows(rows, tableOf(true)))
  expect(Object.keys(leafed ?? {}).slice(3)).toEqual([
    XMIN_COLUMN,
    '_tote_leaf',
    '_tote_page',
    '_tote_item',
  ])
  expect(leafed).toMatchObject({ _tote_leaf: null, _tote_page: null, _tote_item: null })
})

test('P2: the pairs of a block are all of those and no others', async () => {
  const names = fc.array(fc.tuple(fc.constantFrom(7, 8), fc.nat(3)), { minLength: 1, maxLength: 3 })
  await fc.assert(
    fc.asyncProperty(
      pairs,
      names,
      fc.constantFrom(1, 4),
      fc.boolean(),
      async (all, blocks, pages, partitioned) => {
        const table = tableOf(partitioned)
        const found = await keysOf(
          `(${pairsInBlocks(relationOf(all, partitioned), table, { pages, names: blocks })})`,
        )
        const expected = all.filter(({ leaf, page }) =>
          blocks.some(
            ([of, block]) =>
              Math.floor((page ?? 0) / pages) === block && (!partitioned || of === leaf),
          ),
        )
        expect(found).toEqual(expected.map(nameOf).toSorted())
      },
    ),
    { numRuns: 40 },
  )
})

const stays = fc.array(fc.boolean(), { minLength: 6, maxLength: 6 })
const onePlace = (all: readonly Pair[]): Pair[] => [
  ...new Map(all.map((each) => [`${each.leaf} ${each.page} ${each.item}`, each])).values(),
]

test('P2: a place is fresh where another row version lies in it, and a pair lost where its own does no more', async () => {
  const seen = { fresh: 0, lost: 0, kept: 0 }
  await fc.assert(
    fc.asyncProperty(
      pairs,
      pairs,
      stays,
      fc.boolean(),
      spans,
      async (first, second, stay, partitioned, span) => {
        const table = tableOf(partitioned)
        const later = [...second, ...first.filter((_, index) => stay[index] === true)]
        const [known = [], now = []] = [first, later].map((all) =>
          onePlace(partitioned ? all : all.map((each) => ({ ...each, leaf: 7 }))),
        )
        const names = { fresh: 'the "fresh"', lost: 'the "lost"' }
        const columns = quoteNames(columnsOfPlaces(table).map(({ name }) => name))
        await engine.run(dropPlaces(names))
        await engine.run(
          placeDifference(names, {
            known: relationOf(known, partitioned),
            now: `select ${columns} from (${relationOf(now, partitioned)})`,
            table,
            reused: span,
          }),
        )
        const text = ({ leaf, xmin, page, item }: Pair): string => `${leaf} ${xmin} ${page} ${item}`
        const apart = (all: readonly Pair[], others: readonly Pair[]): Pair[] =>
          all.filter((p) => isReused(p.xmin, span) || !others.some((o) => text(o) === text(p)))
        const leaf = partitioned ? '_tote_leaf' : '7'
        const found = await engine.rows(
          `select concat_ws(' ', ${leaf}, ${XMIN_COLUMN}, _tote_page, _tote_item) as place from ${quoteName(names.fresh)} order by 1`,
        )
        const [fresh, lost] = [apart(now, known), apart(known, now)]
        expect(found.map(({ place }) => place)).toEqual(fresh.map(text).toSorted())
        expect(await keysOf(quoteName(names.lost))).toEqual(lost.map(nameOf).toSorted())
        seen.fresh += fresh.length
        seen.lost += lost.length
        seen.kept += now.length - fresh.length
      },
    ),
    { numRuns: 80 },
  )
  expect(Math.min(...Object.values(seen)), 'all of it came up').toBeGreaterThan(5)
})

test('what rows are read with stands after their own columns', () => {
  const names = (beside: Beside, partitioned: boolean): string[] =>
    columnsBeside(beside, tableOf(partitioned)).map(({ name }) => name)
  expect(names('nothing', true)).toEqual([])
  expect(names('xmin', true)).toEqual([XMIN_COLUMN])
  expect(names('place', false)).toEqual([XMIN_COLUMN, '_tote_place'])
  expect(names('place', true)).toEqual([XMIN_COLUMN, '_tote_place', '_tote_leaf'])
})

test('P2: pairs are new where key or xmin is another, and rows go with their pair', async () => {
  await fc.assert(
    fc.asyncProperty(pairs, pairs, async (now, known) => {
      const relations = [now, known].map((all) => `(${relationOf(all, false)})`)
      const [n = '', k = ''] = relations
      const has = ({ a, b, xmin }: Pair): boolean =>
        known.some((each) => each.a === a && each.b === b && each.xmin === xmin)
      const names = (all: readonly Pair[]): string[] => all.map(nameOf).toSorted()
      expect(await keysOf(`(${newPairs(n, k, KEY)})`)).toEqual(
        names(now.filter((each) => !has(each))),
      )
      expect(await keysOf(`(${rowsWithPair(n, k, KEY)})`)).toEqual(names(now.filter(has)))
      const keys = new Set(known.map(nameOf))
      expect(await keysOf(`(${rowsWithKey(n, k, KEY)})`)).toEqual(
        names(now.filter((each) => keys.has(nameOf(each)))),
      )
    }),
    { numRuns: 40 },
  )
})
