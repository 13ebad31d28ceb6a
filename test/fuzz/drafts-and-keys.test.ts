/**
 * What only speeds things up, under damage: notes of a draft, digests of blocks. Damaged, they count for nothing or
 * have more compared, never less. And keys, which are read back as they were written, or are nobody's. TOTE_SEED draws
 * the same again.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDraft, type Draft, type DraftPart } from '../../src/extraction/draft.ts'
import { formatBlocks, parseBlocks, watchBlocks, type Blocks } from '../../src/pairs/pair-blocks.ts'
import { fromMicros } from '../../src/lake/instant.ts'
import {
  formatBlocksKey,
  formatDataKey,
  formatDraftKey,
  formatManifestKey,
  parseDataKey,
} from '../../src/lake/keys.ts'
import type { DataFile } from '../../src/lake/manifest.ts'
import { openZone } from '../../src/lake/zone.ts'
import type { SourceTable } from '../../src/sources/source.ts'
import { sealJson } from '../../src/storage/sealed.ts'
import { openFolderStore } from '../../src/storage/store-folder.ts'
import { damage, edit } from './damage.ts'
import { drawn } from './seed.ts'

let folder: string
let whole: Buffer
const path = (): string => join(folder, formatDraftKey('shop', 1, 1))
const table: SourceTable = { name: 'event', columns: [], key: ['id'], shape: 'a' }
const part = { id: 'pages 0 to 127' }
const file = (key: string): DataFile => ({
  key,
  batch: 1,
  rows: 5,
  deletes: 0,
  bytes: 100,
  sha256: 'a'.repeat(64),
  least: ['1'],
  greatest: ['5'],
})
const finished: DraftPart = {
  columns: [{ id: 1, name: 'id', type: 'integer', carried: 'INTEGER', notNull: true }],
  files: [{ data: file('d'), pairs: file('p') }],
}

async function open(): Promise<Draft | null> {
  const zone = openZone(openFolderStore(folder))
  const snapshot = { identity: { system: '1' }, position: '1:1:', comparable: () => true }
  return openDraft({ zone, chain: 'shop', parent: null, batch: 1 }, snapshot)
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-fuzz-'))
  await (await open())?.note(table, part, finished)
  whole = await readFile(path())
})
afterAll(async () => rm(folder, { recursive: true, force: true }))

test('P2: a damaged note is no part that was finished', async () => {
  expect((await open())?.find(table, part)).toMatchObject(finished)
  await fc.assert(
    fc.asyncProperty(damage, async (damaged) => {
      const body = damaged(whole)
      await writeFile(path(), body)
      const found = (await open())?.find(table, part)
      if (body.equals(whole)) expect(found).toMatchObject(finished)
      else expect(found).toBeUndefined()
    }),
    { numRuns: 200, ...drawn },
  )
})

test('P2: a note that was sealed with something else in it is none, or has what a resume needs', async () => {
  const { seal: _seal, ...record } = JSON.parse(String(whole)) as { seal: string }
  let found = 0
  await fc.assert(
    fc.asyncProperty(edit, async (edited) => {
      await writeFile(path(), sealJson(edited(record)))
      const noted = (await open())?.find(table, part)
      if (noted === undefined) return
      found += 1
      const { columns, files } = noted
      for (const { name, carried } of columns) {
        expect(typeof name).toBe('string')
        expect(typeof carried).toBe('string')
      }
      for (const each of files.flatMap(({ data, pairs }) => [data, pairs])) {
        expect([typeof each.key, typeof each.sha256]).toEqual(['string', 'string'])
        for (const count of [each.rows, each.deletes, each.bytes, each.batch])
          expect(Number.isSafeInteger(count)).toBe(true)
        expect([...each.least, ...each.greatest].every((key) => typeof key === 'string')).toBe(true)
      }
    }),
    { numRuns: 200, ...drawn },
  )
  expect(found).toBeGreaterThan(2)
})

type Pair = readonly [page: number, xmin: number]

/** One row to a page, four pages to a block. */
function watch(
  pairs: readonly Pair[],
  known: Blocks | null,
): { blocks: Blocks; kept: Set<string> } {
  const kept = new Set<string>()
  const watched = watchBlocks({
    pages: 4,
    known,
    partitioned: false,
    reused: null,
    onChanged: (rows) => {
      for (const row of rows.match(/.*\n/g) ?? []) kept.add(row)
    },
  })
  for (const pair of pairs) watched.pair(rowOf(pair))
  const seen = watched.finish()
  if (seen === null) throw new Error('rows came out of order')
  return { blocks: seen.blocks, kept }
}

const rowOf = ([page, xmin]: Pair): Buffer => Buffer.from(`${xmin},"(${page},1)",${page}\n`)
const placeOf = ([page, xmin]: Pair): string => `${xmin},${page},1\n`

test('P2: with damaged digests more blocks are compared, never fewer', () => {
  const xmins = fc.array(fc.integer({ min: 3, max: 4 }), { minLength: 20, maxLength: 60 })
  let passedOver = 0
  fc.assert(
    fc.property(
      xmins,
      fc.array(fc.nat(19), { minLength: 1, maxLength: 3 }),
      damage,
      (before, changes, damaged) => {
        const old = before.map((xmin, page): Pair => [page, xmin])
        const now = old.map(([page, xmin]): Pair => [
          page,
          changes.includes(page) ? xmin + 10 : xmin,
        ])
        const { blocks } = watch(old, null)
        const { kept } = watch(now, parseBlocks(damaged(formatBlocks(blocks)), 4))
        if (kept.size < now.length) passedOver += 1
        for (const pair of now) if (changes.includes(pair[0])) expect(kept).toContain(placeOf(pair))
      },
    ),
    { numRuns: 1000, ...drawn },
  )
  expect(passedOver, 'some blocks are believed').toBeGreaterThan(150)
})

const names = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 300 }),
  fc.string({
    unit: fc.constantFrom('/', '.', '%', '~', '_', '\0', '\n', 'é', '😀'),
    minLength: 1,
  }),
  fc.constantFrom('..', '../..', '_pairs', '%2E', 'CON', '__proto__'),
)
const keys = fc.record({
  chain: names,
  table: names,
  instant: fc.bigInt({ min: 0n, max: 253_402_300_799_999_999n }).map(fromMicros),
  part: fc.nat(),
  random: fc.stringMatching(/^[0-9a-f]{12}$/),
  base: fc.boolean(),
  format: fc.constantFrom('parquet' as const, 'csv' as const, 'json' as const),
})

test('a key stays below its zone and in what every file system takes, whatever the names', () => {
  fc.assert(
    fc.property(keys, fc.nat(9_999_999), (key, manifest) => {
      const { chain, table: name, random } = key
      for (const text of [
        formatDataKey(key),
        formatManifestKey(chain, manifest),
        formatDraftKey(chain, manifest, 1),
        formatBlocksKey({ chain, table: name, manifest, random }),
      ]) {
        for (const segment of text.split('/')) {
          expect(segment).toMatch(/^[A-Za-z0-9_%~-][A-Za-z0-9_.%~-]*$/)
          expect(segment.length).toBeLessThanOrEqual(255)
        }
      }
    }),
    { numRuns: 1000, ...drawn },
  )
})

test('a text is the key that it is read as, or nobody’s', () => {
  fc.assert(
    fc.property(keys, damage, fc.string({ unit: 'binary' }), (key, damaged, any) => {
      for (const text of [any, damaged(Buffer.from(formatDataKey(key))).toString('utf8')]) {
        const parsed = parseDataKey(text)
        if (parsed !== undefined) expect(formatDataKey(parsed)).toBe(text)
      }
    }),
    { numRuns: 1000, ...drawn },
  )
})
