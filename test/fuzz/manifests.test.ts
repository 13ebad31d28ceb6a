/**
 * Manifests under damage. One whose bytes are not as they were written is `LakeCorrupt` and never other
 * rows; one that a faulty writer sealed is a manifest, or refused by name, and nobody who reads its rows
 * meets a fault of ours or goes on for ever. TOTE_SEED draws the same again.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { EngineFailure, type Engine } from '../../src/columns/engine.ts'
import { ToteError } from '../../src/errors.ts'
import { formatManifestKey } from '../../src/lake/keys.ts'
import type { CommittedManifest } from '../../src/lake/manifest.ts'
import { filesBetween, rowsAsOf } from '../../src/lake/read.ts'
import { sealJson } from '../../src/storage/sealed.ts'
import { damage, edit } from './damage.ts'
import { drawn } from './seed.ts'
import { buildLake, openFuzzEngine, reopen, type SmallLake } from './small-lake.ts'

let parent: string
let engine: Engine
let lake: SmallLake
const bodies = new Map<number, Buffer>()

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'tote-fuzz-'))
  engine = await openFuzzEngine(parent)
  lake = await buildLake(engine, parent)
  for (let number = 1; number <= lake.newest.number; number++)
    bodies.set(number, await readFile(pathOf(number)))
})
afterAll(async () => {
  engine.close()
  await rm(parent, { recursive: true, force: true })
})
beforeEach(async () => {
  for (const [number, body] of bodies) await writeFile(pathOf(number), body)
})

const pathOf = (number: number): string => join(lake.folder, formatManifestKey('shop', number))
const anyNumber = fc.nat(7).map((n) => n + 1)
const bodyOf = (number: number): Buffer => bodies.get(number) ?? Buffer.alloc(0)

/** What the action gives, or the name of the error that a person would be told. */
async function outcome<T>(action: () => Promise<T>): Promise<T | string> {
  try {
    return await action()
  } catch (error) {
    if (error instanceof ToteError || error instanceof EngineFailure) return error.name
    throw error
  }
}

async function countRows(manifest: CommittedManifest, batch: number): Promise<number> {
  const zone = reopen(lake.folder)
  await filesBetween(zone, manifest, 't', 0, batch)
  const sql = await rowsAsOf(zone, manifest, 't', batch)
  const [row] = await engine.rows(`select count(*) as n from (${sql})`)
  return Number(row?.['n'])
}

test('the lake that is damaged here has batches, merged files, a base and history', async () => {
  expect(lake.newest).toMatchObject({ number: 8, batch: 6 })
  const seventh = await reopen(lake.folder).chain('shop').read(7)
  expect(seventh.tables['t']).toMatchObject({ previous: 7, history: { older: [{ batch: 5 }] } })
  const fourth = await reopen(lake.folder).chain('shop').read(4)
  expect(fourth.tables['t']?.files.some(({ merged }) => merged !== undefined)).toBe(true)
  expect(await countRows(lake.newest, 6)).toBe(lake.rows)
})

test('P3: a manifest is as it was written, or LakeCorrupt, whatever happens to its bytes', async () => {
  const names = new Map<string, number>()
  await fc.assert(
    fc.asyncProperty(anyNumber, damage, async (number, damaged) => {
      const whole = bodyOf(number)
      const body = damaged(whole)
      await writeFile(pathOf(number), body)
      const chain = reopen(lake.folder).chain('shop')
      const name = await outcome(async () =>
        number === lake.newest.number ? chain.newest() : chain.read(number),
      )
      await writeFile(pathOf(number), whole)
      if (body.equals(whole)) expect(name).toMatchObject({ number })
      // A digit of the format may have become a greater one.
      else expect(['LakeCorrupt', 'LakeNewer']).toContain(name)
      if (typeof name === 'string') names.set(name, (names.get(name) ?? 0) + 1)
    }),
    { numRuns: 500, ...drawn },
  )
  expect(names.get('LakeCorrupt')).toBeGreaterThan(300)
})

test('P3: a manifest that was sealed with something else in it is refused by name, or read to the end', async () => {
  let read = 0
  let refused = 0
  await fc.assert(
    fc.asyncProperty(
      anyNumber,
      edit,
      fc.boolean(),
      fc.nat(6),
      async (number, edited, old, batch) => {
        const { seal: _seal, ...record } = JSON.parse(String(bodyOf(number))) as { seal?: string }
        const changed = edited(record)
        // Lakes of earlier formats have no seal at all.
        const body = old
          ? Buffer.from(JSON.stringify({ ...changed, format: 3 }))
          : sealJson(changed)
        await writeFile(pathOf(number), body)
        const chain = reopen(lake.folder).chain('shop')
        const manifest = await outcome(async () => chain.read(number))
        if (typeof manifest === 'string') {
          expect(['LakeCorrupt', 'LakeNewer']).toContain(manifest)
          refused += 1
        } else {
          for (const table of Object.values(manifest.tables)) {
            expect(table.columns.every(({ name }) => typeof name === 'string')).toBe(true)
            expect(Number.isSafeInteger(table.rows)).toBe(true)
          }
          if (manifest.tables['t'] !== undefined)
            await outcome(async () => countRows(manifest, Math.min(batch, manifest.batch)))
          // The others lead through it.
          await outcome(async () => countRows(lake.newest, batch))
          read += 1
        }
        await writeFile(pathOf(number), bodyOf(number))
      },
    ),
    { numRuns: 200, ...drawn },
  )
  expect(Math.min(read, refused)).toBeGreaterThan(20)
})

test('P3: whoever follows what a manifest names comes to an end, whichever manifest it names', async () => {
  const numbers = [...bodies.keys(), lake.newest.number + 1]
  for (const number of bodies.keys()) {
    for (const target of numbers) {
      const record = JSON.parse(String(bodyOf(number))) as Mutable
      delete record.seal
      const entry = record.tables['t']
      if (entry === undefined) continue
      if (target % 2 === 0) delete entry['history']
      entry['previous'] = target
      const pointers = JSON.stringify(record).replaceAll(
        /"manifest":\d+/g,
        () => `"manifest":${target}`,
      )
      await writeFile(pathOf(number), sealJson(JSON.parse(pointers) as object))
      for (const batch of [2, 5]) {
        await outcome(async () =>
          countRows(await reopen(lake.folder).chain('shop').read(number), batch),
        )
        await outcome(async () => countRows(lake.newest, batch))
      }
      await writeFile(pathOf(number), bodyOf(number))
    }
  }
})

interface Mutable {
  seal?: string
  readonly tables: Record<string, Record<string, unknown>>
}
