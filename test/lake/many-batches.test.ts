/**
 * What it costs to read after ten thousand batches, counted in objects, not in time. The change files
 * are written by one statement; the chain and its compactions are the real ones.
 */
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import type { Context } from '../../src/events.ts'
import { writeDueBases } from '../../src/lake/base.ts'
import { fromMicros } from '../../src/lake/instant.ts'
import { formatManifestKey } from '../../src/lake/keys.ts'
import type { CommittedManifest, DataFile, TableEntry } from '../../src/lake/manifest.ts'
import { changesUpTo, filesBetween, filesOfBatch, rowsAsOf } from '../../src/lake/read.ts'
import { openZone, type Zone } from '../../src/lake/zone.ts'
import { openFolderStore } from '../../src/storage/store-folder.ts'
import type { Store } from '../../src/storage/store.ts'
import type { Column } from '../../src/types.ts'

const BATCHES = 10_000
const FILES = 32
/** Every batch writes one row, of one of so many keys. */
const KEYS = 50
const COLUMNS: readonly Column[] = [
  { id: 1, name: 'id', type: 'bigint', carried: 'BIGINT', notNull: true },
  { id: 2, name: 'value', type: 'bigint', carried: 'BIGINT', notNull: true },
]

let folder: string
let engine: Engine
let newest: CommittedManifest
const asked = { manifests: 0, questions: 0, files: 0 }

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-many-'))
  engine = await openEngine({ tempFolder: join(folder, 'tmp') })
  newest = await live()
}, 300_000)

afterAll(async () => {
  engine.close()
  await rm(folder, { recursive: true, force: true })
})

/** A store that counts what is asked of it; data files are not checked, and nothing is fsynced. */
function openCountingStore(): Store {
  const lake = join(folder, 'lake')
  const folderStore = openFolderStore(lake)
  return {
    ...folderStore,
    create: async (key, body) => {
      const path = join(lake, key)
      await mkdir(dirname(path), { recursive: true })
      return writeFile(path, body, { flag: 'wx' }).then(
        () => 'created' as const,
        () => 'exists' as const,
      )
    },
    writeFile: async (key, produce) => {
      const path = join(lake, key)
      await mkdir(dirname(path), { recursive: true })
      await produce(path)
      return { bytes: (await stat(path)).size, sha256: '' }
    },
    read: async (key) => {
      asked.manifests += 1
      return folderStore.read(key)
    },
    has: async (key) => {
      asked.questions += 1
      return folderStore.has(key)
    },
    localPath: async (key) => {
      asked.files += 1
      return join(lake, key)
    },
  }
}

/** A zone with nothing in memory, as another process would open it. */
function openFresh(): Zone {
  Object.assign(asked, { manifests: 0, questions: 0, files: 0 })
  return openZone(openCountingStore())
}

/** Ten thousand batches, compacted whenever it is due. */
async function live(): Promise<CommittedManifest> {
  const context: Context = {
    run: 'r',
    signal: new AbortController().signal,
    now: () => new Date(0),
    emit: () => undefined,
  }
  // A statement holds a buffer for every file that it writes.
  for (let from = 1; from <= BATCHES; from += 200) {
    await engine.run(
      `copy (select i as batch, 'u' as _tote_op, i::bigint as _tote_batch, (i % ${KEYS})::bigint as id, i::bigint as value
        from range(${from}, ${Math.min(from + 200, BATCHES + 1)}) r(i))
       to '${join(folder, `made-${from}`)}' (format parquet, partition_by (batch))`,
    )
  }
  const zone = openFresh()
  let manifest: CommittedManifest | null = null
  for (let batch = 1; batch <= BATCHES; batch++) {
    const file = await takeFile(batch)
    const before: TableEntry | undefined = manifest?.tables['t']
    const entry: TableEntry = {
      columns: COLUMNS,
      key: ['id'],
      shape: '',
      position: {},
      rows: Math.min(batch, KEYS),
      base: before?.base ?? [],
      files: [...(before?.files ?? []), file],
      previous: before?.previous ?? null,
    }
    manifest = await zone.chain('shop').commit(
      {
        chain: 'c',
        batch,
        instant: fromMicros(BigInt(batch)),
        run: 'r',
        writer: 'test',
        tables: { t: entry },
      },
      manifest,
    )
    manifest = await writeDueBases(zone, engine, manifest, { files: FILES }, context)
  }
  if (manifest === null) throw new Error('no batch')
  return manifest
}

async function takeFile(batch: number): Promise<DataFile> {
  const key = `shop/t/${batch}.parquet`
  const path = join(folder, 'lake', key)
  if (batch === 1) await mkdir(dirname(path), { recursive: true })
  const made = `made-${batch - ((batch - 1) % 200)}`
  await rename(join(folder, made, `batch=${batch}`, 'data_0.parquet'), path)
  const id = [String(batch % KEYS)]
  return { key, batch, rows: 1, deletes: 0, bytes: 0, sha256: '', least: id, greatest: id }
}

test('the newest manifest is found by few questions, and stays small', async () => {
  const zone = openFresh()
  const found = await zone.chain('shop').newest()
  expect(found?.sha256).toBe(newest.sha256)
  expect(found?.batch).toBe(BATCHES)
  expect(asked.manifests, 'the newest and its parent').toBe(2)
  expect(asked.questions).toBeLessThan(40)
  const key = formatManifestKey('shop', newest.number)
  const body = await readFile(join(folder, 'lake', key))
  expect(createHash('sha256').update(body).digest('hex')).toBe(newest.sha256)
  expect(body.length).toBeLessThan(FILES * 400)
})

test('P6: the current rows are read from a base and few files, and are right', async () => {
  const zone = openFresh()
  const sql = await rowsAsOf(zone, newest, 't', BATCHES)
  expect(asked.manifests).toBe(0)
  expect(asked.files).toBeLessThanOrEqual(FILES + 1)
  const rows = await engine.rows(`select id, value from (${sql}) order by id`)
  expect(rows.map(({ id, value }) => [Number(id), Number(value)])).toEqual(expected(BATCHES))
})

test('P6: the rows as of any batch are read by way of few manifests, from few files', async () => {
  for (let batch = 1; batch <= BATCHES; batch += 613) {
    const zone = openFresh()
    const sql = await rowsAsOf(zone, newest, 't', batch)
    expect(asked.manifests, `manifests for batch ${batch}`).toBeLessThan(30)
    expect(asked.files, `files for batch ${batch}`).toBeLessThanOrEqual(FILES + 1)
    const rows = await engine.rows(`select id, value from (${sql}) order by id`)
    expect(rows.map(({ id, value }) => [Number(id), Number(value)])).toEqual(expected(batch))
  }
})

test('P6: the whole history is read by way of one manifest, from few files', async () => {
  const zone = openFresh()
  const sql = await changesUpTo(zone, newest, 't', BATCHES)
  expect(asked.manifests).toBe(1)
  expect(asked.files).toBeLessThan(2 * FILES)
  const [row] = await engine.rows(
    `select count(*) as n, count(distinct _tote_batch) as batches, sum(value - _tote_batch) as off from (${sql})`,
  )
  expect([row?.['n'], row?.['batches'], row?.['off']].map(Number)).toEqual([BATCHES, BATCHES, 0])
})

test('P6: the changes of one batch, and of any span, are found without the others', async () => {
  for (let batch = 1; batch <= BATCHES; batch += 977) {
    const zone = openFresh()
    const files = await filesOfBatch(zone, newest, 't', batch)
    expect(files.map((file) => file.batch)).toEqual([batch])
    expect(asked.manifests, `manifests for batch ${batch}`).toBeLessThan(60)
  }
  const zone = openFresh()
  const files = await filesBetween(zone, newest, 't', 777, 8_888)
  expect(files.reduce((sum, file) => sum + file.rows, 0)).toBe(8_888 - 777)
  expect(files.length).toBeLessThan(8 * FILES)
  expect(asked.manifests).toBeLessThan(4 * FILES)
})

function expected(batch: number): number[][] {
  return Array.from({ length: KEYS }, (_, id) => [
    id,
    Math.floor((batch - id) / KEYS) * KEYS + id,
  ]).filter(([, value = 0]) => value > 0)
}
