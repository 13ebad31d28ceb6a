import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Given, giveValues, openEnvironment } from '../../src/config/environment.ts'
import { embedded, env } from '../../src/secrets/reference.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-env-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true })
})

test('the process environment comes before .env.local, that before .env', async () => {
  await writeFile(join(folder, '.env'), 'A=env\nB=env\nC="env with # and spaces"\n# D=no\n')
  await writeFile(join(folder, '.env.local'), 'A=local\nB=local\n')
  const lookup = await openEnvironment(folder, { A: 'process' })
  expect(['A', 'B', 'C', 'D'].map(lookup)).toEqual([
    'process',
    'local',
    'env with # and spaces',
    undefined,
  ])
})

test('an empty variable counts as not set and hides the files', async () => {
  await writeFile(join(folder, '.env'), 'A=env\nB=\n')
  const lookup = await openEnvironment(folder, { A: '' })
  expect(['A', 'B'].map(lookup)).toEqual([undefined, undefined])
})

test('no files are no problem, and inherited properties are not variables', async () => {
  const lookup = await openEnvironment(folder, process.env)
  expect(['constructor', 'toString', '__proto__'].map(lookup)).toEqual([
    undefined,
    undefined,
    undefined,
  ])
})

test('a .env that cannot be read is named', async () => {
  await mkdir(join(folder, '.env'))
  await expect(openEnvironment(folder, {})).rejects.toMatchObject({
    name: 'ConfigInvalid',
    message: '.env cannot be read (EISDIR)',
    facts: { where: join(folder, '.env') },
  })
})

test('values stand where references stood, at any depth; other objects are left alone', () => {
  const database = embedded({ database: 'd', owner: 'o' })
  const date = new Date(0)
  const config = {
    a: env('A', 'fallback'),
    b: [env('B', 'fallback')],
    c: { d: env('D', database) },
    date,
    n: null,
  }
  const { given, unset } = giveValues(config, (name) => (name === 'A' ? 'set' : undefined))
  expect(given).toEqual({
    a: new Given('A', 'set', false),
    b: [new Given('B', 'fallback', true)],
    c: { d: new Given('D', database, true) },
    date,
    n: null,
  })
  expect(unset).toEqual([])
})

test('every variable that is not set is found, and a circle ends', () => {
  const circle: Record<string, unknown> = { b: [{ c: env('B') }], a: env('A') }
  circle['self'] = circle
  const { unset } = giveValues(circle, () => undefined)
  expect(unset.slice(0, 2)).toEqual([
    { path: ['b', 0, 'c'], variable: 'B' },
    { path: ['a'], variable: 'A' },
  ])
})
