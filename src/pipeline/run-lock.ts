/**
 * Two runs of one project do not overlap on one machine: a file made by `link`, as manifests are. It is
 * a courtesy that saves work; what keeps two machines apart is the manifest and the warehouse's lock.
 * A lock whose process is gone (kill -9) is taken over.
 */
import { randomUUID } from 'node:crypto'
import { link, mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ToteError } from '../errors.ts'

export interface RunLock {
  release(): Promise<void>
}

export interface RunLockOptions {
  readonly folder: string
  readonly run: string
  /** Wait for the other run to end, rather than throw RunLocked. */
  readonly wait: boolean
  readonly signal: AbortSignal
  readonly onWait: (holder: LockHolder) => void
}

export interface LockHolder {
  readonly pid: number
  readonly run: string
  /** Tells a process from a later one with the same pid, where the system says when it began. */
  readonly began: string | null
}

const POLL_MS = 200

/** Takes the lock. Throws RunLocked when it is held and `wait` is false. */
export async function takeRunLock(options: RunLockOptions): Promise<RunLock> {
  const path = join(options.folder, 'run.lock')
  await mkdir(options.folder, { recursive: true })
  const mine: LockHolder = { pid: process.pid, run: options.run, began: await processStart(process.pid) }
  const draft = `${path}.${randomUUID()}`
  await writeFile(draft, JSON.stringify(mine))
  try {
    for (let waited = false; ; ) {
      options.signal.throwIfAborted()
      if (await tryLink(draft, path)) return { release: async () => unlink(path).catch(() => undefined) }
      const holder = await readHolder(path)
      if (holder === null || !(await isAlive(holder))) {
        await removeStale(path, holder)
        continue
      }
      if (!options.wait) {
        throw new ToteError('RunLocked', `Run ${holder.run} of this project is under way (process ${holder.pid}).`, {
          where: path,
          fix: 'wait for it to end, or leave out --no-wait to wait automatically',
        })
      }
      if (!waited) options.onWait(holder)
      waited = true
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  } finally {
    await unlink(draft)
  }
}

async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw new ToteError('LakeUnreachable', `The folder of "${to}" could not be written.`, { where: to, cause: error })
  }
}

/** Moves the dead lock aside under a name of its own, so that of two who find it only one removes it. */
async function removeStale(path: string, seen: LockHolder | null): Promise<void> {
  const aside = `${path}.${randomUUID()}`
  try {
    await rename(path, aside)
  } catch {
    return
  }
  const moved = await readHolder(aside)
  // Between reading and moving, a living run may have taken it: give it back.
  if (moved !== null && JSON.stringify(moved) !== JSON.stringify(seen)) await link(aside, path).catch(() => undefined)
  await unlink(aside).catch(() => undefined)
}

async function readHolder(path: string): Promise<LockHolder | null> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as LockHolder
  } catch {
    return null
  }
}

async function isAlive(holder: LockHolder): Promise<boolean> {
  try {
    process.kill(holder.pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  return holder.began === null || (await processStart(holder.pid)) === holder.began
}

/** When a process began, in the system's own count; null where it does not say (not Linux). */
async function processStart(pid: number): Promise<string | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
  } catch {
    return null
  }
}
