import { spawnSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { buildWhenStale } from '../../scripts/build.js'
import { writeNewFiles } from '../../src/init/new-files.ts'

const FILES = [
  { path: 'models/dim_a.sql', text: 'a' },
  { path: 'models/dim_b.sql', text: 'b' },
  { path: '.env', text: 'URL=secret', secret: true },
  { path: 'tote.config.ts', text: 'config' },
]
// The kill switch counts effects below a folder of this name.
let folder: string
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'tote-new-')), 'lake')
  mkdirSync(folder)
})
afterEach(() => rmSync(join(folder, '..'), { recursive: true, force: true }))

const all = (): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .toSorted()

const WHOLE = ['.env', 'models/dim_a.sql', 'models/dim_b.sql', 'tote.config.ts']

test('all files, and nothing else; a secret one is for its owner alone', async () => {
  const deep = join(folder, 'a', 'b')
  await writeNewFiles(deep, FILES, 'one')
  expect(readdirSync(deep).toSorted()).toEqual(['.env', 'models', 'tote.config.ts'])
  expect(statSync(join(deep, '.env')).mode & 0o777).toBe(0o600)
  expect(readFileSync(join(deep, 'models/dim_b.sql'), 'utf8')).toBe('b')
})

test('what is there stays as it is, every clash is named, and nothing is written', async () => {
  mkdirSync(join(folder, 'models'))
  for (const name of ['.env', 'models/mine.sql', 'notes.txt'])
    writeFileSync(join(folder, name), 'mine')
  const refused = writeNewFiles(folder, FILES, 'one')
  await expect(refused).rejects.toMatchObject({
    name: 'UsageInvalid',
    facts: { problems: [{ where: '.env' }, { where: 'models/ (1 .sql)' }] },
  })
  expect(all()).toEqual(['.env', 'models/mine.sql', 'notes.txt'])
  expect(readFileSync(join(folder, '.env'), 'utf8')).toBe('mine')
})

test('a file that cannot be placed takes the others back', async () => {
  const files = [...FILES.slice(0, 3), { path: 'models/dim_a.sql/x', text: '' }]
  await expect(writeNewFiles(folder, files, 'one')).rejects.toMatchObject({ code: 'EEXIST' })
  expect(all()).toEqual([])
})

test('killed at any effect, it is no project or a whole one, and the next init makes it whole', async () => {
  expect(buildWhenStale()).toBe(true)
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const module = pathToFileURL(join(root, 'dist/init/new-files.js')).href
  const script = `const { writeNewFiles } = await import(${JSON.stringify(module)})
    await writeNewFiles(${JSON.stringify(folder)}, ${JSON.stringify(FILES)}, 'killed')`
  let kills = 0
  let finished = 0
  for (let at = 2; ; at++) {
    const { signal, status, stderr } = spawnSync(
      process.execPath,
      ['--import', join(root, 'test/support/kill-switch.mjs'), '--input-type=module', '-e', script],
      { env: { PATH: process.env['PATH'] ?? '', KILL_AT: String(at) }, encoding: 'utf8' },
    )
    if (signal === null) {
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      break
    }
    kills += 1
    writeFileSync(join(folder, 'mine.txt'), 'mine')
    const left = all()
    if (left.includes('tote.config.ts')) {
      for (const name of WHOLE) expect(left, `kill ${at}`).toContain(name)
    }
    const isFinished = left.every((name) => !name.startsWith('.tote-init-'))
    if (left.includes('tote.config.ts') && isFinished) {
      finished += 1
      await expect(writeNewFiles(folder, FILES, 'again')).rejects.toMatchObject({
        name: 'UsageInvalid',
      })
    } else await writeNewFiles(folder, FILES, 'again')
    expect(all(), `kill ${at}`).toEqual([...WHOLE, 'mine.txt'].toSorted())
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder)
  }
  expect(kills - finished).toBeGreaterThan(20)
})
