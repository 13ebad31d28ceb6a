/** The chain of manifests: found, verified, and extended by one writer at a time. */
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { newestNumber, openChain, type Chain, type ManifestDraft } from '../../src/lake/chain.ts'
import { LAKE_FORMAT } from '../../src/lake/manifest.ts'
import { sealJson } from '../../src/storage/sealed.ts'
import { openFolderStore } from '../../src/storage/store-folder.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-chain-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

const open = (name = 'shop'): Chain => openChain(openFolderStore(folder), name)
const pathOf = (number: number, name = 'shop'): string =>
  join(folder, name, '_manifests', `${String(number).padStart(10, '0')}.json`)
const draft = (batch: number): ManifestDraft => ({
  chain: 'one',
  batch,
  instant: `2026-11-20T09:30:00.${String(batch).padStart(6, '0')}Z`,
  run: 'run',
  writer: 'test',
  tables: {},
})

/** Commits `count` manifests and returns them. */
async function commitMany(count: number): Promise<Chain> {
  const chain = open()
  let parent = await chain.newest()
  for (let batch = 1; batch <= count; batch++) parent = await chain.commit(draft(batch), parent)
  return chain
}

/** Rewrites a manifest on disk, sealed anew, as a faulty writer would leave it. */
async function edit(
  number: number,
  change: (manifest: Record<string, unknown>) => object,
): Promise<void> {
  const { seal: _seal, ...manifest } = JSON.parse(await readFile(pathOf(number), 'utf8')) as Record<
    string,
    unknown
  >
  await writeFile(pathOf(number), sealJson(change(manifest)))
}

test('newestNumber finds the greatest number, from any number known to exist, with few questions', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(5000), fc.nat(), async (greatest, seed) => {
      const from = greatest === 0 ? 0 : seed % (greatest + 1)
      let asked = 0
      const found = await newestNumber(async (number) => {
        asked += 1
        return number <= greatest
      }, from)
      expect(found).toBe(greatest)
      expect(asked).toBeLessThanOrEqual(2 * Math.log2(greatest - from + 1) + 3)
    }),
    { numRuns: 500 },
  )
})

test('P3: a manifest names its parent and the sha256 of its bytes, and is read as it was written', async () => {
  const chain = await commitMany(3)
  expect(await open().newest()).toEqual(await chain.newest())
  const [first, second] = [await readFile(pathOf(1)), await open().read(2)]
  expect(second.parent).toEqual({
    number: 1,
    sha256: createHash('sha256').update(first).digest('hex'),
  })
  expect((await open().read(1)).parent).toBeNull()
  expect((await open().newest())?.number).toBe(3)
  expect(await open('other').newest()).toBeNull()
})

test('P3: of many that commit on one parent exactly one does; the others learn that they lost', async () => {
  await commitMany(2)
  const writers = Array.from({ length: 8 }, () => open())
  const parents = await Promise.all(writers.map(async (writer) => writer.newest()))
  const results = await Promise.allSettled(
    writers.map(async (writer, index) =>
      writer.commit({ ...draft(3), run: `run ${index}` }, parents[index] ?? null),
    ),
  )
  const committed = results.filter((result) => result.status === 'fulfilled')
  expect(committed).toHaveLength(1)
  for (const result of results) {
    if (result.status === 'rejected')
      expect(result.reason).toMatchObject({ name: 'LakeConflict', retry: true })
  }
  expect((await open().newest())?.run).toBe(committed[0]?.value.run)
  // A loser sees the winner's manifest next, and may follow it.
  const loser = writers[results.findIndex((result) => result.status === 'rejected')]
  const newest = await loser?.newest()
  expect(newest?.number).toBe(3)
  expect((await loser?.commit(draft(4), newest ?? null))?.number).toBe(4)
})

test('P3: a chain opened before another process committed finds what that one added', async () => {
  const early = open()
  expect(await early.newest()).toBeNull()
  await commitMany(5)
  expect((await early.newest())?.number).toBe(5)
})

test('P3: a parent that is not the one that was followed is found', async () => {
  await commitMany(3)
  await edit(2, (manifest) => ({ ...manifest, run: 'another' }))
  await expect(open().newest()).rejects.toMatchObject({
    name: 'LakeCorrupt',
    message: expect.stringContaining('parent 2 of another content') as string,
  })
})

test('P3: a manifest of another chain under the same name is found', async () => {
  await commitMany(2)
  await edit(2, (manifest) => ({ ...manifest, chain: 'two' }))
  await expect(open().newest()).rejects.toMatchObject({ name: 'LakeCorrupt' })
})

test.each([
  ['not JSON', () => '{"format": 1, "nu'],
  ['an empty file', () => ''],
  ['not an object', () => '7'],
  ['null', () => 'null'],
  ['another kind of JSON', () => '{"a": 1}'],
  ['no tables', (manifest: object) => JSON.stringify({ ...manifest, tables: null })],
  ['no parent', (manifest: object) => JSON.stringify({ ...manifest, parent: null })],
  [
    'a parent that is not the one before',
    (manifest: object) => JSON.stringify({ ...manifest, parent: { number: 1, sha256: '' } }),
  ],
  [
    'the name of another chain',
    (manifest: object) => JSON.stringify({ ...manifest, name: 'foreign' }),
  ],
  ['another number', (manifest: object) => JSON.stringify({ ...manifest, number: 7 })],
])(
  'P3: %s where the newest manifest should be is LakeCorrupt, and the file is named',
  async (_, write) => {
    await commitMany(3)
    await writeFile(pathOf(3), write(JSON.parse(await readFile(pathOf(3), 'utf8')) as object))
    await expect(open().newest()).rejects.toMatchObject({
      name: 'LakeCorrupt',
      facts: { where: 'shop/_manifests/0000000003.json' },
    })
  },
)

test('P3: an older manifest that is gone is LakeCorrupt when it is needed', async () => {
  await commitMany(3)
  await rm(pathOf(1))
  await expect(open().read(1)).rejects.toMatchObject({
    name: 'LakeCorrupt',
    message: expect.stringContaining('is missing') as string,
  })
})

test('a lake of a newer format is refused, and not taken for a corrupt one', async () => {
  await commitMany(1)
  await edit(1, (manifest) => ({
    format: LAKE_FORMAT + 1,
    tables: 'of another shape',
    run: manifest['run'],
  }))
  await expect(open().newest()).rejects.toMatchObject({
    name: 'LakeNewer',
    message: expect.stringContaining(String(LAKE_FORMAT + 1)) as string,
  })
})
