/** Object keys: one function writes them, its inverse reads them, and their order is the order of time. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fromMicros } from '../../src/lake/instant.ts'
import {
  formatBlocksKey,
  formatDataKey,
  formatDraftKey,
  formatOf,
  formatManifestKey,
  parseDataKey,
  type DataKey,
} from '../../src/lake/keys.ts'

const names = fc.oneof(
  fc.string({ unit: 'grapheme', minLength: 1 }),
  fc.constantFrom(
    '_manifests',
    '.',
    '..',
    '...',
    '.hidden',
    '_x',
    'a.b',
    'a/b',
    '/',
    '%2E',
    '%',
    'Ünïcode "quoted"',
    'a\\b',
    'nul\0',
    'c0=1',
    'a*b?[c]',
  ),
)
const instants = fc.bigInt({ min: 0n, max: 253_402_300_799_999_999n }).map(fromMicros)
const rowKeys: fc.Arbitrary<DataKey> = fc.record({
  chain: names,
  table: names,
  instant: instants,
  part: fc.nat(),
  random: fc.stringMatching(/^[0-9a-f]{12}$/),
  base: fc.boolean(),
  format: fc.constantFrom('parquet', 'csv', 'json'),
})
const keys: fc.Arbitrary<DataKey> = fc.oneof(
  rowKeys,
  rowKeys.map((key) => ({ ...key, pairs: true })),
)

test('P3: keys are what they were in earlier versions: a lake outlives them', () => {
  const key: DataKey = {
    chain: 'shop',
    table: 'sales_order',
    instant: '2026-11-20T09:30:00.123456Z',
    part: 2,
    random: '9f86d081884c',
    base: false,
    format: 'parquet',
  }
  const place = { chain: '_shop', table: 'crm.Order Lines', manifest: 7, random: 'ab' }
  expect([
    formatDataKey(key),
    formatDataKey({ ...key, base: true, format: 'csv', table: 'crm.Order Lines' }),
    formatDataKey({ ...key, pairs: true, format: 'json', table: '.a_b.ü' }),
    formatBlocksKey(place),
    formatDraftKey('_shop', 7, 12),
    formatManifestKey('_shop', 1234567890),
  ]).toEqual([
    'shop/sales_order/2026/11/20/093000123456-2-9f86d081884c.parquet',
    'shop/crm.Order%20Lines/2026/11/20/093000123456-base-2-9f86d081884c.csv.gz',
    'shop/_pairs/%2Ea_b.%C3%BC/2026/11/20/093000123456-2-9f86d081884c.jsonl.gz',
    '%5Fshop/_pairs/crm.Order%20Lines/0000000007-ab.blocks',
    '%5Fshop/_drafts/0000000007/0000000012.json',
    '%5Fshop/_manifests/1234567890.json',
  ])
})

test('a key is read back as it was written, whatever the names', () => {
  fc.assert(
    fc.property(keys, (key) => {
      expect(parseDataKey(formatDataKey(key))).toEqual(key)
      expect(formatOf(formatDataKey(key))).toBe(key.format)
    }),
    { numRuns: 1000 },
  )
})

test('P3: names that no file system takes are cut, and still told apart', () => {
  const key = {
    chain: 'shop',
    part: 0,
    random: '0123456789ab',
    base: false,
    format: 'parquet',
  } as const
  const segmentOf = (table: string): string =>
    formatDataKey({ ...key, table, instant: '2026-11-20T09:30:00.000000Z' }).split('/')[1] ?? ''
  const long = '🐘'.repeat(15)
  const [one, other] = [segmentOf(`${long}abc.${long}abc`), segmentOf(`${long}abc.${long}abd`)]
  expect(one).toMatch(/^(%[0-9A-F]{2})+[a-z.%A-F0-9]*~[0-9a-f]{32}$/)
  expect(one.length).toBeLessThanOrEqual(240)
  expect(one).not.toBe(other)
  expect(segmentOf('a'.repeat(240))).toBe('a'.repeat(240))
  // Wherever the cut falls, no half of a byte is left.
  for (const shift of [0, 1, 2])
    expect(segmentOf(`${'a'.repeat(shift)}${'é'.repeat(60)}`)).toMatch(
      /^(?:%[0-9A-F]{2}|a)+~[0-9a-f]{32}$/,
    )
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 60, maxLength: 130 }), (table) => {
      expect(segmentOf(table)).toMatch(/^(?:%[0-9A-F]{2}|[A-Za-z0-9_.-])+(?:~[0-9a-f]{32})?$/)
      expect(segmentOf(table).length).toBeLessThanOrEqual(240)
    }),
  )
})

test('P3: no name leaves its folder, hides it, or looks like the folder of manifests', () => {
  fc.assert(
    fc.property(keys, (key) => {
      const { pairs, ...rowKey } = key
      expect(formatDataKey(key).split('/')[1] === '_pairs').toBe(pairs === true)
      const segments = formatDataKey(rowKey).split('/')
      expect(segments).toHaveLength(6)
      for (const segment of segments) expect(segment).toMatch(/^[A-Za-z0-9%-][A-Za-z0-9%_.-]*$/)
      expect(segments[1]).not.toBe('_manifests')
      expect(formatManifestKey(key.chain, 1)).toBe(`${segments[0]}/_manifests/0000000001.json`)
    }),
    { numRuns: 1000 },
  )
})

test('different tables never share a folder', () => {
  fc.assert(
    fc.property(names, names, instants, (first, second, instant) => {
      fc.pre(first !== second)
      const folder = (table: string): string =>
        formatDataKey({
          chain: 'c',
          table,
          instant,
          part: 0,
          random: '0',
          base: false,
          format: 'csv',
        }).split('/')[1] ?? ''
      expect(folder(first)).not.toBe(folder(second))
    }),
  )
})

test('within a table the order of keys is the order of instants', () => {
  fc.assert(
    fc.property(rowKeys, rowKeys, (first, second) => {
      fc.pre(first.instant !== second.instant)
      const [a, b] = [
        formatDataKey({ ...first, chain: 'c', table: 't' }),
        formatDataKey({ ...second, chain: 'c', table: 't' }),
      ]
      expect(a < b).toBe(first.instant < second.instant)
    }),
  )
})

test('what formatDataKey did not write is not a key', () => {
  for (const text of [
    '',
    'c/_manifests/0000000001.json',
    'c/t/2026/11/20/093000123456-0-ab.csv',
    'c/t/x/2026/11/20/093000123456-0-ab.parquet',
    '%zz/t/2026/11/20/093000123456-0-ab.parquet',
    'c/%FF/2026/11/20/093000123456-0-ab.parquet',
  ]) {
    expect(parseDataKey(text)).toBeUndefined()
  }
})
