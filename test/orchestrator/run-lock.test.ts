/** The lock of a project: one run at a time on a machine, and none held by the dead. */
import { spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  takeRunLock,
  type LockHolder,
  type RunLock,
  type RunLockOptions,
} from '../../src/orchestrator/run-lock.ts'

let folder: string

beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'tote-lock-')), 'state')
})

afterEach(async () => {
  await rm(join(folder, '..'), { recursive: true, force: true })
})

const take = async (options: Partial<RunLockOptions> = {}): Promise<RunLock> =>
  takeRunLock({
    folder,
    run: 'mine',
    wait: false,
    signal: new AbortController().signal,
    onWait: () => undefined,
    ...options,
  })

/** A process that takes the lock and holds it until it is killed. */
async function holdInChild(run: string): Promise<ChildProcess> {
  const module = fileURLToPath(new URL('../../src/orchestrator/run-lock.ts', import.meta.url))
  const file = join(folder, '..', `${run}.mts`)
  await writeFile(
    file,
    `import { takeRunLock } from ${JSON.stringify(module)}
    await takeRunLock({ folder: ${JSON.stringify(folder)}, run: '${run}', wait: false, signal: new AbortController().signal, onWait: () => undefined })
    console.log('held')
    setInterval(() => undefined, 1000)`,
  )
  const child = spawn(process.execPath, ['--import', 'jiti/register', file], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  return child
}

test('what processes left that were killed while they took it goes with the next, what the living write stays', async () => {
  const child = await holdInChild('short')
  child.kill('SIGKILL')
  await once(child, 'exit')
  const uuid = '01234567-89ab-cdef-0123-456789abcdef'
  // Torn, as a kill leaves it.
  await writeFile(join(folder, `run.lock.${child.pid}-${uuid}`), '{"pi')
  await writeFile(join(folder, `run.lock.${process.ppid}-${uuid}`), '')
  const lock = await take()
  await lock.release()
  expect(await readdir(folder)).toEqual([`run.lock.${process.ppid}-${uuid}`])
})

test('of many that take it at once, one holds it; released, it is free and nothing is left', async () => {
  const results = await Promise.allSettled(
    Array.from({ length: 10 }, async (_, index) => take({ run: `run ${index}` })),
  )
  const held = results.filter((result) => result.status === 'fulfilled')
  expect(held).toHaveLength(1)
  for (const result of results) {
    if (result.status === 'rejected')
      expect(result.reason).toMatchObject({ name: 'RunLocked', exit: 4, retry: true })
  }
  await held[0]?.value.release()
  expect(await readdir(folder)).toEqual([])
  await (await take()).release()
})

test('another process holds it while it lives; after kill -9 it is taken over', async () => {
  const child = await holdInChild('theirs')
  await expect(take()).rejects.toMatchObject({
    name: 'RunLocked',
    message: expect.stringContaining(
      `theirs of this project is under way (process ${child.pid})`,
    ) as string,
  })
  child.kill('SIGKILL')
  await once(child, 'close')
  const waits: LockHolder[] = []
  const lock = await take({ onWait: (holder) => waits.push(holder) })
  expect(waits).toEqual([])
  expect((JSON.parse(await readFile(join(folder, 'run.lock'), 'utf8')) as LockHolder).run).toBe(
    'mine',
  )
  await lock.release()
})

test('many that find one dead lock: one takes it over, each time', async () => {
  await (await take()).release()
  const dead = JSON.stringify({ pid: process.pid, run: 'dead', began: '1' })
  for (let round = 0; round < 40; round++) {
    await writeFile(join(folder, 'run.lock'), dead)
    // A claim on the dead lock whose own process died, too, keeps nobody out.
    if (round % 4 === 0)
      await writeFile(
        join(folder, `run.lock.${createHash('sha256').update(dead).digest('hex').slice(0, 16)}`),
        dead,
      )
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, async (_, index) => take({ run: `run ${index}` })),
    )
    const held = results.filter((result) => result.status === 'fulfilled')
    expect(held).toHaveLength(1)
    await held[0]?.value.release()
    expect(await readdir(folder)).toEqual([])
  }
})

test.skipIf(process.platform !== 'linux')(
  'a later process with the same number is not the one that held it',
  async () => {
    await (await take()).release()
    const own = { pid: process.pid, run: 'long ago', began: '1' }
    await writeFile(join(folder, 'run.lock'), JSON.stringify(own))
    await (await take()).release()
    // Where the system does not say when a process began, a living number counts as the holder.
    await writeFile(join(folder, 'run.lock'), JSON.stringify({ ...own, began: null }))
    await expect(take()).rejects.toMatchObject({ name: 'RunLocked' })
  },
)

test('a lock file that is no lock is replaced', async () => {
  await (await take()).release()
  for (const body of ['', '{', 'null', '{}']) {
    await writeFile(join(folder, 'run.lock'), body)
    await (await take()).release()
  }
})

test('waiting, it says so once and goes on when the other ends', async () => {
  const first = await take({ run: 'first' })
  const waits: string[] = []
  const second = take({ run: 'second', wait: true, onWait: (holder) => waits.push(holder.run) })
  await new Promise((resolve) => setTimeout(resolve, 500))
  expect(waits).toEqual(['first'])
  await first.release()
  await (await second).release()
  expect(waits).toEqual(['first'])
})

test('an abort ends the wait with its own reason, and leaves the other’s lock alone', async () => {
  const first = await take({ run: 'first' })
  const controller = new AbortController()
  const reason = new Error('stop')
  const second = take({
    wait: true,
    signal: controller.signal,
    onWait: () => controller.abort(reason),
  })
  await expect(second).rejects.toBe(reason)
  expect(await readdir(folder)).toEqual(['run.lock'])
  await first.release()
})

test('a folder that cannot be written is a named error', async () => {
  await writeFile(join(folder, '..', 'file'), '')
  await expect(take({ folder: join(folder, '..', 'file') })).rejects.toMatchObject({
    name: 'LakeUnreachable',
  })
})
