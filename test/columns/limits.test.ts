/** What the engines of an instance may use: what sorts has less memory, gets more where it must, and leaves the limit as it was. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { openEngine, openEngineHome, type Engine } from '../../src/columns/engine.ts'

const execute = promisify(execFile)

let tempFolder: string
beforeAll(async () => {
  tempFolder = await mkdtemp(join(tmpdir(), 'tote-sorting-'))
})
afterAll(async () => rm(tempFolder, { recursive: true, force: true }))

async function limitOf(engine: Engine): Promise<string> {
  const [row] = await engine.rows(`select current_setting('memory_limit') as text`)
  return String(row?.['text'])
}

async function engineWith(memoryLimit?: string): Promise<Engine> {
  const engine = await openEngine({ tempFolder, threads: 2, memoryLimit })
  onTestFinished(() => engine.close())
  return engine
}

test('the limit is two thirds meanwhile, and afterwards what it was, also when the work fails', async () => {
  const engine = await engineWith()
  expect(await limitOf(engine)).toBe('286.1 MiB')
  expect(await engine.sorting(async () => limitOf(engine))).toBe('190.7 MiB')
  expect(await limitOf(engine)).toBe('286.1 MiB')
  const failing = engine.sorting(async () => engine.run('select no_such_thing'))
  await expect(failing).rejects.toThrow('no_such_thing')
  expect(await limitOf(engine)).toBe('286.1 MiB')
})

test('a limit that is taken away and given back any number of times stays what it was', async () => {
  for (const memoryLimit of ['300MB', '1GB', '123456789B', '7.7GiB']) {
    const engine = await engineWith(memoryLimit)
    const before = await limitOf(engine)
    for (let times = 0; times < 30; times++) await engine.sorting(async () => undefined)
    expect(await limitOf(engine)).toBe(before)
  }
})

test('several that sort side by side in one home have it together, and the last one gives it back', async () => {
  const home = openEngineHome({ tempFolder, threads: 2 })
  const engines = [await home.engine(), await home.engine()] as const
  onTestFinished(async () => {
    for (const engine of engines) engine.close()
    await home.close()
  })
  let end = (): void => undefined
  const long = new Promise<void>((resolve) => (end = resolve))
  const first = engines[0].sorting(async () => long)
  expect(await engines[1].sorting(async () => limitOf(engines[1]))).toBe('190.7 MiB')
  expect(await limitOf(engines[1])).toBe('190.7 MiB')
  end()
  await first
  expect(await limitOf(engines[1])).toBe('286.1 MiB')
})

test('a sort that is aborted leaves the next engine of its home all of the memory', async () => {
  const home = openEngineHome({ tempFolder, threads: 2 })
  const aborting = new AbortController()
  const engine = await home.engine(aborting.signal)
  const sorted = engine.sorting(async () => {
    aborting.abort(new Error('enough'))
    await engine.run('select 1')
  })
  await expect(sorted).rejects.toThrow('enough')
  engine.close()
  const next = await home.engine()
  onTestFinished(async () => {
    next.close()
    await home.close()
  })
  expect(await limitOf(next)).toBe('286.1 MiB')
})

/** A list that must be in memory as a whole: some 210 MB of it, within a limit of 300, and not within 200. */
const NEEDY = 'select len(list(range)) as n from range(13000000)'

test('what does not fit gets all of the memory, and more only where the limit is ours to raise', async () => {
  const given = await engineWith('300MB')
  expect(await given.sorting(async () => given.rows(NEEDY))).toEqual([{ n: 13_000_000n }])
  expect(await limitOf(given)).toBe('286.1 MiB')
  // Of the user's limit no more is taken.
  const more = NEEDY.replace('13000000', '30000000')
  await expect(given.sorting(async () => given.rows(more))).rejects.toMatchObject({
    name: 'RowTooLarge',
  })
  expect(await limitOf(given)).toBe('286.1 MiB')
  expect(await given.sorting(async () => limitOf(given))).toBe('190.7 MiB')
  const ours = await engineWith()
  expect(await ours.sorting(async () => ours.rows(more))).toEqual([{ n: 30_000_000n }])
  expect(await limitOf(ours)).toMatch(/^572/)
})

const report = process.report.getReport() as { header: { glibcVersionRuntime?: string } }
const isKept = report.header.glibcVersionRuntime !== undefined

// Without glibc nothing that was freed is kept.
test.skipIf(!isKept)('what was freed goes back to the system when more is needed', async () => {
  const jiti = fileURLToPath(new URL('../../node_modules/jiti/lib/jiti-cli.mjs', import.meta.url))
  const main = fileURLToPath(new URL('freed-memory.ts', import.meta.url))
  const { stdout } = await execute(process.execPath, ['--expose-gc', jiti, main, tempFolder])
  const { held, holds } = JSON.parse(stdout) as { held: number; holds: number }
  expect(held).toBeGreaterThan(600_000_000)
  expect(holds).toBeLessThan(held - 350_000_000)
})
