/**
 * A process's own folder for what need not survive it. What a killed process left is removed by the
 * next that opens one: the folder's name tells whose it was.
 */
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, link, readdir, rm, unlink } from 'node:fs/promises'
import { join } from 'node:path'

export interface TempFolder {
  /** Made by whoever first writes into it. */
  readonly path: string
  remove(): Promise<void>
}

export async function openTempFolder(parent: string): Promise<TempFolder> {
  await sweep(parent)
  const path = join(parent, `${process.pid}-${randomUUID()}`)
  return { path, remove: async () => rm(path, { recursive: true, force: true }) }
}

/** Moves a file that may lie on another disk. */
export async function moveFile(from: string, to: string): Promise<void> {
  // Never rename, which would overwrite.
  await link(from, to).catch(async () => copyFile(from, to, constants.COPYFILE_EXCL))
  await unlink(from)
}

async function sweep(parent: string): Promise<void> {
  const names = await readdir(parent).catch(() => [])
  const dead = names.filter((name) => /^\d+-/.test(name) && !isAlive(Number.parseInt(name, 10)))
  await Promise.all(
    dead.map(async (name) => rm(join(parent, name), { recursive: true, force: true })),
  )
}

/** A later process with the same number only delays the sweep. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
