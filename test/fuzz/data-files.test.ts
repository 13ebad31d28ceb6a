/**
 * Files of rows under damage, in every format. What is not as its manifest says is `LakeCorrupt` and no rows; bytes
 * that a faulty writer vouched for are rows, or `LakeCorrupt` with the place, and the process lives on. TOTE_SEED draws the
 * same again.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '../../src/columns/engine.ts'
import { ToteError } from '../../src/errors.ts'
import { formatDataKey } from '../../src/lake/keys.ts'
import type { DataFile, TableEntry } from '../../src/lake/manifest.ts'
import { filesAsOf, rowsIn } from '../../src/lake/read.ts'
import { damage } from './damage.ts'
import { drawn } from './seed.ts'
import { buildLake, openFuzzEngine, reopen, type SmallLake } from './small-lake.ts'

let parent: string
let engine: Engine

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'tote-fuzz-'))
  engine = await openFuzzEngine(parent)
})
afterAll(async () => {
  engine.close()
  await rm(parent, { recursive: true, force: true })
})

async function count(
  folder: string,
  files: {
    readonly entry: TableEntry
    readonly bulk: readonly DataFile[]
    readonly since: readonly DataFile[]
  },
): Promise<number> {
  const sql = await rowsIn(reopen(folder), files, files.entry.columns)
  // Every value is looked at.
  const rows = await engine.rows(`select hash(r) as h from (${sql}) r`)
  return rows.length
}

async function failureOf(action: () => Promise<number>): Promise<unknown> {
  return action().then(
    () => undefined,
    (error: unknown) => error,
  )
}

async function outcome(action: () => Promise<number>): Promise<number | string> {
  try {
    return await action()
  } catch (error) {
    if (error instanceof ToteError) return error.name
    throw error
  }
}

describe.each(['parquet', 'csv', 'json'] as const)('%s', (format) => {
  let lake: SmallLake
  beforeAll(async () => {
    lake = await buildLake(engine, parent, format)
  })

  test('P8: a damaged file is LakeCorrupt, and gives no row', async () => {
    const files = await filesAsOf(reopen(lake.folder), lake.newest, 't', lake.newest.batch)
    const all = [...files.bulk, ...files.since]
    expect(await count(lake.folder, files)).toBe(lake.rows)
    await fc.assert(
      fc.asyncProperty(fc.nat(all.length - 1), damage, async (index, damaged) => {
        const path = join(lake.folder, all[index]?.key ?? '')
        const whole = await readFile(path)
        const body = damaged(whole)
        await writeFile(path, body)
        const found = await outcome(async () => count(lake.folder, files))
        await writeFile(path, whole)
        expect(found).toBe(body.equals(whole) ? lake.rows : 'LakeCorrupt')
      }),
      { numRuns: 60, ...drawn },
    )
  })

  test('bytes that the manifest vouches for are rows or LakeCorrupt with the place, whatever they are', async () => {
    const files = await filesAsOf(reopen(lake.folder), lake.newest, 't', lake.newest.batch)
    const [base] = files.bulk
    if (base === undefined) throw new Error('no base')
    const whole = await readFile(join(lake.folder, base.key))
    let n = 0
    let refused = 0
    await fc.assert(
      fc.asyncProperty(damage, async (damaged) => {
        n += 1
        const { instant } = lake.newest
        const random = n.toString(16).padStart(12, '0')
        const key = formatDataKey({
          chain: 'shop',
          table: 't',
          instant,
          part: 9,
          random,
          base: true,
          format,
        })
        const stored = await reopen(lake.folder).store.writeFile(key, async (path) =>
          writeFile(path, damaged(whole)),
        )
        const bulk = [{ ...base, ...stored, key }]
        const found = await failureOf(async () => count(lake.folder, { ...files, bulk }))
        if (found !== undefined) {
          refused += 1
          // DuckDB may name no file; then it is the table's folder.
          const places = [join(lake.folder, key), join(lake.folder, 'shop', 't')]
          expect(found).toMatchObject({ name: 'LakeCorrupt' })
          expect(places).toContain((found as ToteError).facts.where)
        }
        // A fatal error of the engine would have it refuse every query from here on.
        expect(await engine.rows('select 1 as one')).toEqual([{ one: 1 }])
      }),
      { numRuns: 60, ...drawn },
    )
    expect(refused).toBeGreaterThan(10)
  })
})

test.each(['csv', 'json'] as const)(
  'P8: whatever bit of the gzip header of %s is another, there are rows or LakeCorrupt',
  async (format) => {
    const lake = await buildLake(engine, parent, format)
    const files = await filesAsOf(reopen(lake.folder), lake.newest, 't', lake.newest.batch)
    const [base] = files.bulk
    if (base === undefined) throw new Error('no base')
    const whole = await readFile(join(lake.folder, base.key))
    const failed = new Map<string, number>()
    for (let bit = 0; bit < 80; bit++) {
      const body = Buffer.from(whole)
      body.writeUInt8(body.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      const key = base.key.replace(/[0-9a-f]{12}(?=\D*$)/, bit.toString(16).padStart(12, '0'))
      const { store } = reopen(lake.folder)
      const stored = await store.writeFile(key, async (path) => writeFile(path, body))
      const bulk = [{ ...base, ...stored, key }]
      const found = await outcome(async () => count(lake.folder, { ...files, bulk }))
      if (typeof found === 'string') failed.set(found, (failed.get(found) ?? 0) + 1)
    }
    expect([...failed.keys()]).toEqual(['LakeCorrupt'])
    expect(failed.get('LakeCorrupt')).toBeGreaterThan(20)
  },
)

test('P8, P10: a line of JSON that has a column twice is LakeCorrupt with the place, and none of its values is told', async () => {
  const lake = await buildLake(engine, parent, 'json')
  const files = await filesAsOf(reopen(lake.folder), lake.newest, 't', lake.newest.batch)
  const [base] = files.bulk
  if (base === undefined) throw new Error('no base')
  const whole = gunzipSync(await readFile(join(lake.folder, base.key))).toString()
  const [line = ''] = whole.split('\n')
  const twice = line.replace(/\}$/, ',"note":"Qx7"}')
  const key = base.key.replace(/[0-9a-f]{12}(?=\D*$)/, '0123456789ab')
  const stored = await reopen(lake.folder).store.writeFile(key, async (path) =>
    writeFile(path, gzipSync(`${twice}\n`)),
  )
  const bulk = [{ ...base, ...stored, key }]
  const found = await failureOf(async () => count(lake.folder, { ...files, bulk }))
  expect(found).toMatchObject({ name: 'LakeCorrupt', facts: { where: join(lake.folder, key) } })
  expect(JSON.stringify(found)).not.toContain('Qx7')
})
