/**
 * Files of a new project: all of them, or none, and never over one that is there. They are written
 * into a folder beside their places first, then linked into them; the config, without which a folder is no
 * project, comes last. What a kill leaves is told by that folder: its files are the very ones (one
 * inode) that stand in their places, so the next init takes both away. Renamed, the folder says that
 * all is in place.
 */
import type { Stats } from 'node:fs'
import { link, lstat, mkdir, open, readdir, rename, rm, rmdir, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ToteError } from '../errors.ts'
import type { NewFile } from './project-text.ts'

const UNFINISHED = '.tote-init-'
const FINISHED = '.tote-inited-'

/** Throws UsageInvalid, naming every file that is there already; then nothing was written. */
export async function writeNewFiles(
  folder: string,
  files: readonly NewFile[],
  mark: string,
): Promise<void> {
  await mkdir(folder, { recursive: true })
  await refuseExisting(
    folder,
    files.map(({ path }) => path),
  )
  const beside = join(folder, `${UNFINISHED}${mark}`)
  const placed: string[] = []
  try {
    for (const { path, text, secret = false } of files)
      await writeDurably(join(beside, path), text, secret ? 0o600 : 0o644)
    for (const { path } of files) {
      await mkdir(dirname(join(folder, path)), { recursive: true })
      await place(join(beside, path), join(folder, path))
      placed.push(path)
    }
  } catch (error) {
    for (const path of placed) await unlink(join(folder, path)).catch(() => undefined)
    await rm(beside, { recursive: true, force: true })
    await removeEmpty(folder, files)
    throw error
  }
  const finished = join(folder, `${FINISHED}${mark}`)
  await rename(beside, finished)
  await rm(finished, { recursive: true, force: true })
}

/**
 * Throws UsageInvalid when a file of the project, or any model, is there. What a killed init left is
 * taken away first.
 */
export async function refuseExisting(folder: string, paths: readonly string[]): Promise<void> {
  await removeLeftovers(folder)
  const models = (await readdir(join(folder, 'models')).catch(() => [])).filter((name) =>
    name.endsWith('.sql'),
  )
  const there = await Promise.all(
    paths
      .filter((path) => !(models.length > 0 && path.startsWith('models/')))
      .map(async (path) => ((await find(join(folder, path))) === undefined ? [] : [path])),
  )
  const found = there.flat().toSorted()
  if (models.length > 0) found.push(`models/ (${models.length} .sql)`)
  if (found.length > 0) throw exists(folder, found)
}

function exists(folder: string, found: readonly string[]): ToteError {
  return new ToteError(
    'UsageInvalid',
    'What a new project needs to write is there already; nothing was written',
    {
      where: folder,
      problems: found.map((path) => ({ where: path, message: 'exists' })),
      fix: 'name another folder, or move them away',
    },
  )
}

async function removeLeftovers(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  for (const name of names.filter((one) => one.startsWith(FINISHED)))
    await rm(join(folder, name), { recursive: true, force: true })
  const left = names.filter((name) => name.startsWith(UNFINISHED))
  for (const name of left) {
    const beside = join(folder, name)
    for (const path of await filesUnder(beside)) {
      const [mine, placed] = [await find(join(beside, path)), await find(join(folder, path))]
      if (mine !== undefined && mine.ino === placed?.ino && mine.dev === placed.dev)
        await unlink(join(folder, path))
    }
    await rm(beside, { recursive: true, force: true })
  }
  if (left.length > 0) await rmdir(join(folder, 'models')).catch(() => undefined)
}

async function removeEmpty(folder: string, files: readonly NewFile[]): Promise<void> {
  for (const path of new Set(files.map((file) => dirname(file.path))))
    if (path !== '.') await rmdir(join(folder, path)).catch(() => undefined)
}

async function filesUnder(folder: string, below = ''): Promise<string[]> {
  const entries = await readdir(join(folder, below), { withFileTypes: true })
  const found = await Promise.all(
    entries.map(async (entry) => {
      const path = join(below, entry.name)
      return entry.isDirectory() ? filesUnder(folder, path) : [path]
    }),
  )
  return found.flat()
}

async function writeDurably(path: string, text: string, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const file = await open(path, 'wx', mode)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function place(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST')
      throw exists(dirname(to), [basename(to)])
    throw error
  }
}

async function find(path: string): Promise<Stats | undefined> {
  return lstat(path).catch(() => undefined)
}
