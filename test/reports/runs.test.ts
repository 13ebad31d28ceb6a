import { mkdtempSync, rmSync, writeFileSync, mkdirSync, appendFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ToteError } from '../../src/errors.ts'
import { toJson } from '../../src/observability/json-lines.ts'
import { playRun, sampleSummary, SECRET_KEY } from '../support/run-events.ts'
import { captureOutput, play, type Play } from '../support/surface.ts'

let stateFolder: string
beforeEach(() => (stateFolder = mkdtempSync(join(tmpdir(), 'tote-runs-'))))
afterEach(() => rmSync(stateFolder, { recursive: true, force: true }))

const ask = async (argv: readonly string[], options: Play = {}) =>
  play(argv, { stateFolder, ...options })

/** Two runs: one that succeeded, one that failed. */
async function twoRuns(): Promise<readonly [string, string]> {
  for (const error of [undefined, new ToteError('SourceUnreachable', 'gone')])
    await ask(['run', '-q'], {
      pipeline: {
        run: async (_project, _options, context) =>
          playRun(context, error === undefined ? {} : { outcome: 'failed', error: error.toJSON() }),
      },
    })
  const { stdout } = await ask(['runs', '--json'])
  const runs = (JSON.parse(stdout) as { data: { run: string }[] }).data.map(({ run }) => run)
  return [runs[1] ?? '', runs[0] ?? '']
}

test('runs: the newest first; one by its id, its beginning, or last', async () => {
  const [good, bad] = await twoRuns()
  const { stdout } = await ask(['runs'])
  expect(stdout.indexOf(bad)).toBeLessThan(stdout.indexOf(good))
  expect(stdout).toMatch(/failed, SourceUnreachable/)
  const last = await ask(['runs', 'last'])
  expect(last.stdout).toContain('SourceUnreachable  gone')
  expect(last.stdout).toContain('tote explain SourceUnreachable')
  expect((await ask(['runs', bad.toLowerCase()])).stdout).toBe(last.stdout)
  expect(JSON.parse((await ask(['runs', good, '--json'])).stdout)).toMatchObject({
    version: 1,
    command: 'runs',
    data: { run: good, summary: { outcome: 'succeeded' } },
  })
  expect((await ask(['runs', '--limit', '1'])).stdout).not.toContain(good)
})

test.each([
  ['runs', 'ZZZZ', 'There is no run "ZZZZ"'],
  ['logs', 'ZZZZ', 'There is no run "ZZZZ"'],
  ['runs', '1', '2 runs begin with "1"'],
])('%s %s: %s', async (command, typed, message) => {
  const runs = await twoRuns()
  const { exit, stderr } = await ask([command, typed === '1' ? (runs[0][0] ?? '') : typed])
  expect(exit).toBe(2)
  expect(stderr).toContain(typed === '1' ? '2 runs begin with' : message)
})

test('before the first run both say what to do', async () => {
  expect((await ask(['runs'])).stdout).toBe('• no run yet: tote run\n')
  expect(await ask(['logs'])).toMatchObject({ exit: 2 })
})

test('P10: logs say what the run said, without keys', async () => {
  const [good, bad] = await twoRuns()
  const { stdout } = await ask(['logs', good])
  expect(stdout).toContain(`run ${good}`)
  expect(stdout).toContain('succeeded')
  expect(stdout).not.toContain(SECRET_KEY)
  const events = (await ask(['logs', '--json'])).stdout.trimEnd().split('\n')
  expect(events.map((line) => (JSON.parse(line) as { run: string }).run)).toContain(bad)
  expect(JSON.parse(events.at(-1) ?? '')).toMatchObject({ type: 'run.finished' })
})

test('logs --follow goes on until the run ends', async () => {
  const [, bad] = await twoRuns()
  const run = 'ZZZZZZZZZZZZZZ'
  const file = join(stateFolder, 'runs', `${run}.jsonl`)
  mkdirSync(join(stateFolder, 'runs'), { recursive: true })
  const at = '2026-11-20T11:00:00.000Z'
  const line = (event: object): string => `${toJson({ v: 1, run, at, ...event })}\n`
  writeFileSync(file, line({ type: 'run.started', project: 'shop', command: 'run' }))
  const stdout = captureOutput()
  const followed = ask(['logs', '-f'], { surface: { stdout } })
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(stdout.text()).toContain(run)
  expect(stdout.text()).not.toContain('succeeded')
  appendFileSync(file, line({ type: 'run.finished', summary: sampleSummary({ run }) }))
  expect((await followed).exit).toBe(0)
  expect(stdout.text()).toContain('succeeded')
  expect(stdout.text()).not.toContain(bad)
})
