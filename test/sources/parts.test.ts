/** How a large table is divided. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  atPlaces,
  comesAsItLies,
  divideKeys,
  dividePages,
  inLeaf,
  inOwnRanges,
  inPart,
  rangedBy,
  selectedBeside,
  sinceValue,
  type KeyPart,
} from '../../src/sources/parts.ts'
import type { SourcePairs, SourceReading } from '../../src/sources/source.ts'

test('P2: every page lies in exactly one part, and a part is the same when the table has grown', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2000 }),
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 0, max: 500 }),
      (pages, each, more) => {
        const parts = dividePages(pages, each)
        if (pages <= each) return parts.length === 0
        for (let page = 0; page < pages; page++)
          if (parts.filter(({ from, to }) => page >= from && page < to).length !== 1) return false
        const grown = dividePages(pages + more, each)
        return JSON.stringify(grown.slice(0, parts.length)) === JSON.stringify(parts)
      },
    ),
  )
})

test('a part is a condition on the place of a row', () => {
  const [, second] = dividePages(20_000)
  expect(second?.id).toBe('pages 8192 to 16383')
  expect(second === undefined ? '' : inPart(second)).toBe(
    `ctid >= '(8192,0)'::pg_catalog.tid and ctid < '(16384,0)'::pg_catalog.tid`,
  )
})

const holds = ({ least, below }: KeyPart, key: bigint): boolean =>
  (least === null || key >= least) && (below === null || key < below)

test('P2: every key lies in exactly one part, whatever the span, and nearly all parts are the same when it has grown', () => {
  const key = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
  const near = fc.bigInt({ min: -5000n, max: 5000n })
  let divided = 0
  fc.assert(
    fc.property(
      fc.oneof(fc.tuple(key, key), fc.tuple(near, near)),
      fc.integer({ min: 0, max: 500 }),
      fc.array(fc.oneof(key, near), { minLength: 1, maxLength: 20 }),
      ([one, other], pages, keys) => {
        const [least, greatest] = one < other ? [one, other] : [other, one]
        const parts = divideKeys({ column: 'k', least, greatest }, pages, 10)
        if (pages <= 10 || least === greatest) return parts.length === 0
        // Bounds are multiples of the width, so that there may be one more than was wanted.
        if (parts.length === 1 || parts.length > Math.ceil(pages / 10) + 1) return false
        if (parts.length === 0) return true
        divided += 1
        for (const tried of [...keys, least, greatest])
          if (parts.filter((part) => holds(part, tried)).length !== 1) return false
        const grown = divideKeys({ column: 'k', least, greatest: greatest + 1n }, pages, 10)
        const kept = parts.filter(({ id }) => grown.some((part) => part.id === id)).length
        // Unless the width has doubled, for one part more.
        return kept >= parts.length - 1 || grown.length <= (parts.length + 1) / 2 + 1
      },
    ),
  )
  expect(divided).toBeGreaterThan(20)
})

test('a part is a condition on the key, open at both ends', () => {
  const parts = divideKeys({ column: 'a "b"', least: -3n, greatest: 9n }, 40, 10)
  expect(parts.map(inPart)).toEqual([
    `"a ""b""" < '0'::bigint`,
    `"a ""b""" >= '0'::bigint and "a ""b""" < '4'::bigint`,
    `"a ""b""" >= '4'::bigint and "a ""b""" < '8'::bigint`,
    `"a ""b""" >= '8'::bigint`,
  ])
  expect(parts.map(({ id }) => id)).toEqual([
    'keys below 0',
    'keys from 0 below 4',
    'keys from 4 below 8',
    'keys from 8 on',
  ])
})

test('bounds are multiples of the least power of two that makes no more parts than pages', () => {
  const idsOf = (least: bigint, greatest: bigint, pages = 40): string[] =>
    divideKeys({ column: 'k', least, greatest }, pages, 10).map(({ id }) => id)
  expect(idsOf(0n, 15n)).toEqual(['keys below 4', 'keys from 4 below 8', 'keys from 8 below 12', 'keys from 12 on']) // prettier-ignore
  expect(idsOf(4n, 19n)).toEqual(['keys below 8', 'keys from 8 below 12', 'keys from 12 below 16', 'keys from 16 on']) // prettier-ignore
  expect(idsOf(0n, 16n)).toEqual(['keys below 8', 'keys from 8 below 16', 'keys from 16 on'])
  // One key, and a table of one part, are not divided.
  expect(idsOf(7n, 7n)).toEqual([])
  expect(idsOf(0n, 15n, 10)).toEqual([])
  expect(dividePages(10, 10)).toEqual([])
})

test('pages come as they lie, keys do not', () => {
  expect(dividePages(20_000).map(comesAsItLies)).toEqual([true, true, true])
  const keys = divideKeys({ column: 'k', least: 0n, greatest: 15n }, 40, 10)
  expect(keys.map(comesAsItLies)).toEqual([false, false, false, false])
})

test('P10: places and tables stand in SQL only as the server writes them', () => {
  expect(atPlaces(['(0,1)', '(4294967294,65535)'])).toBe(
    `ctid = any ('{"(0,1)","(4294967294,65535)"}'::pg_catalog.tid[])`,
  )
  for (const odd of ['', '(1,1', 'x(1,1)', '(1,1)x', '(a,1)', '(1,b)', `(1,1)'`])
    expect(() => atPlaces(['(0,1)', odd])).toThrow('not a place in a table')
  expect(inLeaf('4294967295')).toBe(`tableoid = '4294967295'::pg_catalog.oid`)
  for (const odd of ['', 'x1', '1x', '-1', "1'"])
    expect(() => inLeaf(odd)).toThrow('not the oid of a table')
})

test('P10: a value of a cursor stands in SQL only where it is a number, a date or an instant', () => {
  const cursor = { source: 'at "x"', type: 'timestamp with time zone', lookBack: '1 hour' }
  for (const value of [
    '0',
    '-12.50',
    `-${'9'.repeat(40)}.${'9'.repeat(40)}`,
    '2026-11-27',
    '294276-12-31 23:59:59.123456+00',
    '2026-11-27 09:30:00',
    '2026-11-27 09:30:00.5',
    '2026-11-27 09:30:00+00',
  ])
    expect(sinceValue(cursor, value)).toBe(
      `"at ""x""" >= '${value}'::timestamp with time zone - '1 hour'::pg_catalog.interval`,
    )
  const refused = [
    '',
    '-',
    'x1',
    '1x',
    '1.',
    '1.x',
    '--1',
    '26-11-27',
    'x2026-11-27',
    '2026-11-27x',
    'abcd-11-27',
  ]
  for (const at of [
    '2026-1a-27',
    '2026-a1-27',
    '2026-11-2a',
    '2026-11-a7',
    '2026-11-27 09:30',
    '2026-11-27 09:30:00.x',
  ])
    refused.push(at)
  for (const time of [
    'a9:30:00',
    '0a:30:00',
    '09:a0:00',
    '09:3a:00',
    '09:30:a0',
    '09:30:0a',
    '09:30:00+01',
    '09:30:00+00x',
  ])
    refused.push(`2026-11-27 ${time}`)
  for (const value of [...refused, "1' or true --"])
    expect(() => sinceValue(cursor, value)).toThrow('not a value of a cursor')
  expect(sinceValue({ source: 'n', type: 'bigint', lookBack: '10' }, '5')).toBe(
    `"n" >= '5'::bigint - 10`,
  )
  for (const lookBack of ['1x', 'x1'])
    expect(sinceValue({ source: 'n', type: 'date', lookBack }, '5')).toContain(
      `'${lookBack}'::pg_catalog.interval`,
    )
})

test('P2: what stands beside the columns of a table, and where it names the part that a row lies in', () => {
  const beside = (
    columns: SourceReading['columns'],
    partitioned?: boolean,
  ): ReturnType<typeof selectedBeside> =>
    selectedBeside(
      partitioned === undefined ? {} : { pairs: { partitioned } as SourcePairs },
      columns === undefined ? {} : { columns },
    )
  const nothing = { before: [], after: [], binaryRow: undefined }
  for (const partitioned of [undefined, false]) {
    expect(beside(undefined, partitioned)).toEqual(nothing)
    expect(beside('rows', partitioned)).toEqual(nothing)
    expect(beside('rows with xmin', partitioned)).toEqual({ ...nothing, after: ['xmin'] })
    expect(beside('rows with place', partitioned)).toEqual({ ...nothing, after: ['xmin', 'ctid'] })
    expect(beside('pairs', partitioned)).toEqual({ ...nothing, before: ['xmin', 'ctid'] })
    expect(beside('places', partitioned)).toMatchObject({ before: ['xmin', 'ctid'], binaryRow: 20 })
  }
  const pair = ['tableoid', 'xmin', 'ctid']
  expect(beside('rows with place', true)).toEqual({ ...nothing, after: ['xmin', 'ctid', 'tableoid'] }) // prettier-ignore
  expect(beside('pairs', true)).toEqual({ ...nothing, before: pair })
  expect(beside('places', true)).toEqual({ ...nothing, before: pair, binaryRow: 28 })
})

const column = (name: string, type: string, builtin?: string) => ({
  name,
  type,
  builtin,
  source: `own ${name}`,
  carried: 'VARCHAR',
  notNull: true,
  attribute: 1,
})
const READ = { keyGiven: false, expressions: new Map<string, string>(), hashed: new Set<string>() }

test('P11: a table can be asked for ranges of the first column of its key, whatever it is called there, also of a domain', () => {
  const table = {
    name: 'orders',
    columns: [column('day', 'shop.day', 'date'), column('no', 'uuid'), column('v', 'bigint')],
    key: ['no', 'day'],
  }
  const by = rangedBy(table, READ)
  expect(by?.column).toBe('no')
  const ranges = [{ least: null, below: 3n }]
  expect(inOwnRanges({ ...table, rangedBy: by }, ranges)).toBe(
    `("own no" < '00000000-0000-0000-0000-000000000003'::uuid)`,
  )
  const days = { ...table, key: ['day'] }
  expect(inOwnRanges({ ...days, rangedBy: rangedBy(days, READ) }, ranges)).toBe(
    `("own day" < '1970-01-04'::date)`,
  )
})

test('P2, P10: no ranges are asked for of a key that the config gives, of what is masked, or where the order is not known', () => {
  const table = { name: 'orders', columns: [column('no', 'uuid')], key: ['no'] }
  expect(rangedBy(table, { ...READ, keyGiven: true })).toBeUndefined()
  expect(
    rangedBy(table, { ...READ, expressions: new Map([['own no', 'md5("own no")']]) }),
  ).toBeUndefined()
  expect(rangedBy(table, { ...READ, hashed: new Set(['own no']) })).toBeUndefined()
  expect(rangedBy({ ...table, key: [] }, READ)).toBeUndefined()
  expect(rangedBy({ ...table, columns: [column('no', 'text')] }, READ)).toBeUndefined()
  expect(() => inOwnRanges(table, [])).toThrow('table "orders" has no ranges')
  const by = rangedBy(table, READ)
  expect(() => inOwnRanges({ ...table, columns: [], rangedBy: by }, [])).toThrow('has no ranges')
})
