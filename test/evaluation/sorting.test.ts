/** What sorts gets by with less memory, gets more where it must, and leaves the limit as it was. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { openEngine, openEngineHome, type Engine } from '../../src/columns/engine.ts'
import { ToteError } from '../../src/errors.ts'
import { sorting } from '../../src/evaluation/sorting.ts'

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
  expect(await sorting(engine, async () => limitOf(engine))).toBe('190.7 MiB')
  expect(await limitOf(engine)).toBe('286.1 MiB')
  const failing = sorting(engine, async () => engine.run('select no_such_thing'))
  await expect(failing).rejects.toThrow('no_such_thing')
  expect(await limitOf(engine)).toBe('286.1 MiB')
})

test('a limit that is taken away and given back any number of times stays what it was', async () => {
  for (const memoryLimit of ['300MB', '1GB', '123456789B', '7.7GiB']) {
    const engine = await engineWith(memoryLimit)
    const before = await limitOf(engine)
    for (let times = 0; times < 30; times++) await sorting(engine, async () => undefined)
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
  const first = sorting(engines[0], async () => long)
  expect(await sorting(engines[1], async () => limitOf(engines[1]))).toBe('190.7 MiB')
  expect(await limitOf(engines[1])).toBe('190.7 MiB')
  end()
  await first
  expect(await limitOf(engines[1])).toBe('286.1 MiB')
})

test('what does not fit is done with all of the memory, or with more where the limit is ours to raise', async () => {
  // A limit that the user has set.
  const engine = await engineWith('300MB')
  const limits: string[] = []
  const work = async (): Promise<string> => {
    limits.push(await limitOf(engine))
    if (limits.length === 1) throw new ToteError('RowTooLarge', 'too large')
    return 'done'
  }
  expect(await sorting(engine, work)).toBe('done')
  expect(limits).toEqual(['190.7 MiB', '286.1 MiB'])
  expect(await limitOf(engine)).toBe('286.1 MiB')
  const raised = await engineWith()
  await sorting(raised, async () => raised.run(`set memory_limit = '900MB'`))
  expect(await limitOf(raised)).toBe('858.3 MiB')
})
