/** A zone in a folder: nothing torn, nothing overwritten, whatever ends the writer. */
import { spawn } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import {
  appendFile,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openStore } from '../../src/storage/open-store.ts'
import { openFolderStore } from '../../src/storage/store-folder.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-store-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

const sha256 = (text: string | Buffer): string => createHash('sha256').update(text).digest('hex')

/** A Node process of its own that runs `code` with the store module imported as `openFolderStore`. */
async function startChild(code: string): Promise<ReturnType<typeof spawn>> {
  const module = fileURLToPath(new URL('../../src/storage/store-folder.ts', import.meta.url))
  const file = join(folder, `child-${randomUUID()}.mts`)
  await writeFile(file, `import { openFolderStore } from ${JSON.stringify(module)}\n${code}`)
  return spawn(process.execPath, ['--import', 'jiti/register', file], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

test('P3: of many that create one key at once, exactly one does, and its bytes stay', async () => {
  const results = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const outcome = await openFolderStore(folder).create(
        'chain/_manifests/1.json',
        Buffer.from(`body ${index}`),
      )
      return { index, outcome }
    }),
  )
  const created = results.filter(({ outcome }) => outcome === 'created')
  expect(created).toHaveLength(1)
  const kept = await openFolderStore(folder).read('chain/_manifests/1.json')
  expect(kept?.toString()).toBe(`body ${created[0]?.index}`)
  expect(
    await openFolderStore(folder).create('chain/_manifests/1.json', Buffer.from('later')),
  ).toBe('exists')
  expect((await openFolderStore(folder).read('chain/_manifests/1.json'))?.toString()).toBe(
    `body ${created[0]?.index}`,
  )
  expect(await readdir(join(folder, 'chain/_manifests'))).toEqual(['1.json'])
})

test('P3: of processes that create the same keys at once, each key has exactly one winner', async () => {
  const children = [0, 1, 2].map(async (self) =>
    startChild(`
      const store = openFolderStore(${JSON.stringify(folder)})
      const won = []
      for (let n = 0; n < 60; n++) if ((await store.create('c/' + n, Buffer.from('${self}'))) === 'created') won.push(n)
      process.stdout.write(JSON.stringify(won))
    `),
  )
  const won = await Promise.all(
    children.map(async (starting) => {
      const child = await starting
      let text = ''
      child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()))
      await once(child, 'close')
      return JSON.parse(text) as number[]
    }),
  )
  expect(won.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, n) => n))
  for (const [self, numbers] of won.entries()) {
    for (const n of numbers)
      expect(await readFile(join(folder, 'c', String(n)), 'utf8')).toBe(String(self))
  }
})

test('P3: kill -9 at any moment leaves a name free or its whole object under it', async () => {
  const body = 'x'.repeat(4 << 20)
  const whole = sha256(body)
  let seen = 0
  for (const delay of [0, 1, 2, 3, 5, 8, 12, 20, 35, 100, 400, 1500]) {
    const child = await startChild(`
      const store = openFolderStore(${JSON.stringify(folder)})
      const body = Buffer.alloc(${body.length}, 'x')
      for (let n = 0; ; n++) {
        process.stdout.write('.')
        await store.create('${delay}/' + n + '.json', body)
      }
    `)
    await once(child.stdout ?? child, 'data')
    await new Promise((resolve) => setTimeout(resolve, delay))
    child.kill('SIGKILL')
    await once(child, 'close')
    const store = openFolderStore(folder)
    for (let n = 0; await store.has(`${delay}/${n}.json`); n++) {
      seen += 1
      expect(sha256((await store.read(`${delay}/${n}.json`)) ?? Buffer.alloc(0))).toBe(whole)
    }
    // What the killed one left under another name harms nobody: the next object is created beside it.
    let next = 0
    while (await store.has(`${delay}/${next}.json`)) next += 1
    expect(await store.create(`${delay}/${next}.json`, Buffer.from('after'))).toBe('created')
    await rm(join(folder, String(delay)), { recursive: true })
  }
  expect(seen).toBeGreaterThan(0)
}, 60_000)

test('a written file is told by size and sha256, in folders made for it, and found again', async () => {
  const store = openFolderStore(join(folder, 'not', 'yet', 'there'))
  const stored = await store.writeFile('a/2026/11/20/file.parquet', async (path) =>
    writeFile(path, 'content'),
  )
  expect(stored).toEqual({ bytes: 7, sha256: sha256('content') })
  expect(await readFile(await store.localPath('a/2026/11/20/file.parquet', stored), 'utf8')).toBe(
    'content',
  )
  expect(
    await openFolderStore(join(folder, 'not', 'yet', 'there')).localPath(
      'a/2026/11/20/file.parquet',
      stored,
    ),
  ).toBe(join(folder, 'not/yet/there/a/2026/11/20/file.parquet'))
  expect(await store.has('a/2026/11/20/file.parquet')).toBe(true)
  expect(await store.has('a/2026/11/20/other.parquet')).toBe(false)
  expect(await store.read('a/2026/11/20/other.parquet')).toBeUndefined()
})

test('what keys begin with is listed, once each, in order; nothing is there before the first', async () => {
  const store = openFolderStore(join(folder, 'none'))
  expect(await store.folders()).toEqual([])
  for (const key of ['b/x', 'a/x', 'a/y/z', 'alone']) await store.create(key, Buffer.from(''))
  expect(await store.folders()).toEqual(['a', 'b'])
})

test('a producer that throws is heard, and nothing is called stored', async () => {
  const store = openFolderStore(folder)
  await expect(
    store.writeFile('a/b', async () => Promise.reject(new Error('no rows'))),
  ).rejects.toThrow('no rows')
  await expect(store.writeFile('a/c', async () => undefined)).rejects.toMatchObject({
    name: 'LakeUnreachable',
  })
})

test('P3: a file that is missing, cut, or changed in place is LakeCorrupt, and is named', async () => {
  const key = 'chain/table/file.parquet'
  const stored = await openFolderStore(folder).writeFile(key, async (path) =>
    writeFile(path, 'content'),
  )
  const check = async (): Promise<unknown> => openFolderStore(folder).localPath(key, stored)
  const path = join(folder, key)
  await writeFile(path, 'CONTENT')
  await expect(check()).rejects.toMatchObject({
    name: 'LakeCorrupt',
    message: expect.stringContaining('sha256') as string,
    facts: { where: path },
  })
  await appendFile(path, '!')
  await expect(check()).rejects.toMatchObject({
    name: 'LakeCorrupt',
    message: expect.stringContaining('has 8 bytes where its manifest says 7') as string,
  })
  await unlink(path)
  await expect(check()).rejects.toMatchObject({
    name: 'LakeCorrupt',
    message: expect.stringContaining('is missing') as string,
  })
})

test('what the system refuses is LakeUnreachable with its code, at every call', async () => {
  await writeFile(join(folder, 'file'), '')
  const store = openFolderStore(join(folder, 'file'))
  const refused = {
    name: 'LakeUnreachable',
    retry: true,
    message: expect.stringMatching(/\((ENOTDIR|EEXIST)\)/) as string,
  }
  await expect(store.create('a/b', Buffer.from(''))).rejects.toMatchObject(refused)
  await expect(store.writeFile('a/b', async () => undefined)).rejects.toMatchObject(refused)
  await expect(store.read('a/b')).rejects.toMatchObject(refused)
  await expect(store.has('a/b')).rejects.toMatchObject(refused)
  await expect(store.folders()).rejects.toMatchObject(refused)
  await expect(store.localPath('a/b', { bytes: 0, sha256: '' })).rejects.toMatchObject(refused)
})

test.skipIf(process.platform !== 'linux')(
  'a full disk is LakeUnreachable and says so',
  async () => {
    const store = openFolderStore(folder)
    // Every write to this device answers ENOSPC, as a full disk does.
    const written = store.writeFile('a/b', async () => writeFile('/dev/full', 'x'))
    await expect(written).rejects.toMatchObject({
      name: 'LakeUnreachable',
      facts: { fix: 'free some disk space, then run again' },
    })
  },
)

test('durable means synced: the file, its folder and every folder that was made, before anyone may name it', async () => {
  const trace = join(folder, 'trace.json')
  const child = await startChild(`
    import { open, writeFile } from 'node:fs/promises'
    const handle = await open(${JSON.stringify(folder)}, 'r')
    const proto = Object.getPrototypeOf(handle)
    const sync = proto.sync
    await handle.close()
    const { readlinkSync, writeFileSync } = await import('node:fs')
    const synced = []
    proto.sync = async function () {
      synced.push(readlinkSync('/proc/self/fd/' + this.fd))
      return sync.call(this)
    }
    const store = openFolderStore(${JSON.stringify(join(folder, 'made', 'zone'))})
    await store.writeFile('c/t/f.parquet', (path) => writeFile(path, 'x'))
    synced.push('|')
    await store.create('c/_manifests/1.json', Buffer.from('{}'))
    writeFileSync(${JSON.stringify(trace)}, JSON.stringify(synced))
  `)
  await once(child, 'close')
  const synced = (JSON.parse(await readFile(trace, 'utf8')) as string[]).map((path) =>
    path.replace(folder, ''),
  )
  const [file, manifest] = [
    synced.slice(0, synced.indexOf('|')),
    synced.slice(synced.indexOf('|') + 1),
  ]
  expect(new Set(file)).toEqual(
    new Set([
      '',
      '/made',
      '/made/zone',
      '/made/zone/c',
      '/made/zone/c/t',
      '/made/zone/c/t/f.parquet',
    ]),
  )
  // The entry of a file is durable only once its folder is synced after it was made; which of the two ends first is all the same.
  expect(new Set(file.slice(-2))).toEqual(new Set(['/made/zone/c/t/f.parquet', '/made/zone/c/t']))
  expect(manifest.at(-1)).toBe('/made/zone/c/_manifests')
  expect(manifest.at(-2)).toMatch(/1\.json\..*\.tmp/)
  expect(manifest).toContain('/made/zone/c')
})

test('a bucket is refused for now, by name; a folder is not', async () => {
  expect(() => openStore('s3://bucket/prefix')).toThrow(
    expect.objectContaining({ name: 'NotSupportedYet' }) as Error,
  )
  expect(openStore(folder).url).toBe(folder)
  expect((await stat(folder)).isDirectory()).toBe(true)
})

test('P3: a file that could not be written to its end leaves nothing behind', async () => {
  const broken = new Error('the disk is full')
  const store = openFolderStore(folder)
  const failing = store.writeFile('shop/half.parquet', async (path) => {
    await writeFile(path, 'half of')
    throw broken
  })
  await expect(failing).rejects.toBe(broken)
  expect(await store.has('shop/half.parquet')).toBe(false)
})
