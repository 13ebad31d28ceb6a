/**
 * Two runs of one project do not overlap on one machine: a file made by `link`, as manifests are. It is
 * a courtesy that saves work; what keeps two machines apart is the manifest and the warehouse's lock.
 * A lock whose process is gone (kill -9) is taken over.
 */
import { createHash, randomUUID } from 'node:crypto'
import { link, mkdir, readdir, readFile, unlink, writeFile } from 'node:fs/promises'
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
  const mine: LockHolder = {
    pid: process.pid,
    run: options.run,
    began: await processStart(process.pid),
  }
  const draft = `${path}.${process.pid}-${randomUUID()}`
  try {
    await mkdir(options.folder, { recursive: true })
    await writeFile(draft, JSON.stringify(mine))
  } catch (error) {
    throw unwritable(path, error)
  }
  try {
    for (let waited = false; ;) {
      options.signal.throwIfAborted()
      if (await tryLink(draft, path)) {
        await sweepDrafts(options.folder)
        return { release: async () => unlink(path).catch(() => undefined) }
      }
      const seen = await readText(path)
      if (seen === undefined) continue
      const holder = parseHolder(seen)
      if (holder === null || !(await isAlive(holder))) {
        await removeDead(path, seen, draft)
        continue
      }
      if (!options.wait) {
        throw new ToteError(
          'RunLocked',
          `Run ${holder.run} of this project is under way (process ${holder.pid}).`,
          {
            where: path,
            fix: 'wait for it to end, or leave out --no-wait to wait automatically',
          },
        )
      }
      if (!waited) options.onWait(holder)
      waited = true
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  } finally {
    await unlink(draft)
  }
}

/** Of processes that were killed before they could remove their own; the name tells whose one was. */
async function sweepDrafts(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const [, pid] = /^run\.lock\.(\d+)-[0-9a-f-]{36}$/.exec(name) ?? []
    if (pid !== undefined && !(await isAlive({ pid: Number(pid), run: '', began: null })))
      await unlink(join(folder, name)).catch(() => undefined)
  }
}

async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw unwritable(to, error)
  }
}

function unwritable(path: string, cause: unknown): ToteError {
  return new ToteError(
    'LakeUnreachable',
    `The folder of "${path}" could not be written (${(cause as NodeJS.ErrnoException).code}).`,
    {
      where: path,
      fix: 'check the folder and its rights, and the space on its disk',
      cause,
    },
  )
}

/**
 * Removes a dead lock, and no other: only who holds the claim on that very holder may, so a living run
 * that took the lock meanwhile keeps it. A claim is a lock itself, and may be dead in turn.
 */
async function removeDead(path: string, seen: string, draft: string): Promise<void> {
  const claim = `${path}.${createHash('sha256').update(seen).digest('hex').slice(0, 16)}`
  if (!(await tryLink(draft, claim))) {
    const claimer = await readText(claim)
    if (claimer !== undefined && !(await isAlive(parseHolder(claimer))))
      await removeDead(claim, claimer, draft)
    return
  }
  try {
    if ((await readText(path)) === seen) await unlink(path)
  } finally {
    await unlink(claim)
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw unwritable(path, error)
  }
}

/** null for a text that is no lock. */
function parseHolder(text: string): LockHolder | null {
  try {
    const parsed = JSON.parse(text) as Partial<LockHolder> | null
    return typeof parsed?.pid === 'number' ? (parsed as LockHolder) : null
  } catch {
    return null
  }
}

async function isAlive(holder: LockHolder | null): Promise<boolean> {
  if (holder === null) return false
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
