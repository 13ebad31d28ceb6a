/**
 * A zone in a folder. A data file is fsynced, and its folders too, before any manifest can name it.
 * A conditional create writes a temporary file, fsyncs it and makes it visible by `link`, which fails
 * when the name is taken: `rename` would overwrite silently, and `open(wx)` followed by writing would
 * leave a torn object under its final name when killed.
 */
import { createHash, randomUUID } from 'node:crypto'
import {
  access,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  stat,
  unlink,
  type FileHandle,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ToteError } from '../errors.ts'
import type { Store, StoredObject } from './store.ts'

/** Opens a folder as a zone; it is created by the first write. */
export function openFolderStore(folder: string): Store {
  const pathOf = (key: string): string => join(folder, ...key.split('/'))
  const sound = new Set<string>()
  const verify = async (key: string, expected: StoredObject): Promise<void> => {
    const path = pathOf(key)
    sound.delete(path)
    const problem = await attempt(path, async () => difference(path, expected))
    if (problem !== undefined) {
      throw new ToteError('LakeCorrupt', `The lake file "${key}" ${problem}.`, {
        where: path,
        why: 'files of the lake are never changed once written, so something else touched it',
        fix: 'restore the file from a backup of the lake',
      })
    }
    sound.add(path)
  }
  return {
    url: folder,
    create: async (key, body) => {
      const path = pathOf(key)
      return attempt(path, async () => {
        await makeFolder(dirname(path))
        const temporary = `${path}.${randomUUID()}.tmp`
        await writeDurably(temporary, body)
        try {
          await link(temporary, path)
        } catch (error) {
          if (codeOf(error) === 'EEXIST') return 'exists'
          throw error
        } finally {
          await unlink(temporary)
        }
        await syncPath(dirname(path))
        return 'created'
      })
    },
    writeFile: async (key, produce) => {
      const path = pathOf(key)
      await attempt(path, async () => makeFolder(dirname(path)))
      try {
        await attempt(path, async () => produce(path))
      } catch (error) {
        // Whatever stands there is a part of a file, and nobody else's.
        await unlink(path).catch(() => undefined)
        throw error
      }
      return attempt(path, async () => {
        const [stored] = await Promise.all([describeDurably(path), syncPath(dirname(path))])
        sound.add(path)
        return stored
      })
    },
    read: async (key) => attempt(pathOf(key), async () => orUndefined(readFile(pathOf(key)))),
    has: async (key) =>
      attempt(
        pathOf(key),
        async () => (await orUndefined(access(pathOf(key)).then(() => true))) ?? false,
      ),
    folders: async () =>
      attempt(folder, async () => {
        const entries = (await orUndefined(readdir(folder, { withFileTypes: true }))) ?? []
        return entries
          .filter((entry) => entry.isDirectory())
          .map(({ name }) => name)
          .sort()
      }),
    localPath: async (key, expected) => {
      const path = pathOf(key)
      if (!sound.has(path)) await verify(key, expected)
      return path
    },
    verify,
  }
}

async function difference(path: string, expected: StoredObject): Promise<string | undefined> {
  const found = await orUndefined(stat(path))
  if (found === undefined) return 'is missing'
  if (found.size !== expected.bytes)
    return `has ${found.size} bytes where its manifest says ${expected.bytes}`
  const { sha256 } = await describe(path)
  return sha256 === expected.sha256
    ? undefined
    : 'has another content than its manifest says (sha256)'
}

/** A stream sets aside as much for a file of three rows as for any, which is what keeps the collector busy. */
const READ_BYTES = 1 << 20

async function describe(path: string): Promise<StoredObject> {
  const file = await open(path, 'r')
  try {
    return await describeOpen(file)
  } finally {
    await file.close()
  }
}

/** The same while the file is made durable. */
async function describeDurably(path: string): Promise<StoredObject> {
  const file = await open(path, 'r')
  try {
    const [stored] = await Promise.all([describeOpen(file), file.sync()])
    return stored
  } finally {
    await file.close()
  }
}

async function describeOpen(file: FileHandle): Promise<StoredObject> {
  const hash = createHash('sha256')
  const { size } = await file.stat()
  if (size <= READ_BYTES) {
    const body = await file.readFile()
    return { bytes: body.length, sha256: hash.update(body).digest('hex') }
  }
  let bytes = 0
  const chunks = file.createReadStream({ highWaterMark: READ_BYTES, autoClose: false })
  for await (const chunk of chunks) {
    hash.update(chunk as Buffer)
    bytes += (chunk as Buffer).length
  }
  return { bytes, sha256: hash.digest('hex') }
}

async function writeDurably(path: string, body: Uint8Array): Promise<void> {
  const file = await open(path, 'wx')
  try {
    await file.writeFile(body)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Creates what is missing of a folder's path, each entry durable in its parent. */
async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true })
  if (first === undefined) return
  const top = dirname(first)
  for (let current = folder; ; current = dirname(current)) {
    await syncPath(current)
    if (current === top || current === dirname(current)) return
  }
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function orUndefined<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

async function attempt<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    const code = codeOf(error)
    if (code === undefined) throw error
    throw new ToteError(
      'LakeUnreachable',
      `The lake at "${path}" could not be read or written (${code}).`,
      {
        where: path,
        fix:
          code === 'ENOSPC'
            ? 'free some disk space, then run again'
            : 'check the folder and its rights',
        cause: error,
      },
    )
  }
}

function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' && /^E[A-Z]+$/.test(code) ? code : undefined
}
