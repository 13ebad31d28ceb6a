import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readJournal } from '../../examples/totesys/simulator/journal.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'

const MAIN = fileURLToPath(new URL('../../examples/totesys/simulator/main.ts', import.meta.url))

interface Ended {
  code: number | null
  out: string
  err: string
}

/** Runs the simulator as a person would; `stopAt` in its output sends it Ctrl-C. */
async function simulate(args: readonly string[], stopAt?: string): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'jiti/register', MAIN, ...args])
    let [out, err] = ['', '']
    let stopped = false
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString()
      // Once: the second Ctrl-C would end it at once.
      if (stopped || stopAt === undefined || !out.includes(stopAt)) return
      stopped = child.kill('SIGINT')
    })
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk.toString()
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, out, err }))
  })
}

let database: TestDatabase
let folder = ''
beforeAll(async () => {
  database = await (await testServer()).createDatabase('sim')
  folder = await mkdtemp(join(tmpdir(), 'simulator-'))
})
afterAll(async () => {
  await database.drop()
  await rm(folder, { recursive: true })
})

describe('the command line', () => {
  test('fills, lives a day, lives on until Ctrl-C', async () => {
    const url = ['--url', database.url]
    const filled = await simulate(['fill', ...url, '--scale', '0.1', '--years', '1', '--seed', '7'])
    expect(filled).toMatchObject({ code: 0, err: '' })
    expect(filled.out).toMatch(/^Business from 2024-01-01 to 2024-12-31:\n {2}address {9,}30\n/)

    const journal = join(folder, 'journal.jsonl')
    const day = await simulate([
      'day',
      ...url,
      '--journal',
      journal,
      '--days',
      '2',
      '--scale',
      '0.1',
    ])
    expect(day).toMatchObject({ code: 0, err: '' })
    expect(day.out).toMatch(/^2025-01-01 {2}\d+ rows changed: .*silent.*\n2025-01-02 {2}.*\n$/)

    const args = ['live', ...url, '--journal', journal, '--ms-per-day', '50']
    const live = await simulate(args, '2025-01-06')
    expect(live).toMatchObject({ code: 0, err: '' })
    expect(live.out).toContain('2025-01-03  ')
    const dates = (await readJournal(journal)).map(({ at }) => at.slice(0, 10))
    expect([...new Set(dates)].slice(0, 4)).toEqual([
      '2025-01-01',
      '2025-01-02',
      '2025-01-03',
      '2025-01-06',
    ])

    const again = await simulate(['fill', ...url])
    expect(again.code).toBe(1)
    expect(again.err).toMatch(/^The database already has .* --replace\.\n$/)
  })

  test.each([
    [['fly'], 'There is no command "fly". There are: fill, day, live.'],
    [['day'], 'day needs --url.'],
    [['fill', '--url', 'x', '--scale', 'big'], '--scale needs a number, not "big".'],
    [['live', '--url', 'x'], '--ms-per-day needs a number, not "".'],
    [['day', 'today', '--url', 'x'], '"today" is one word too many.'],
    [['day', '--bar'], "Unknown option '--bar'"],
  ])('%j is answered in a sentence', async (args, sentence) => {
    const { code, out, err } = await simulate(args)
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toContain(sentence)
    expect(err).not.toContain('    at ')
  })

  test('without a command it says what there is', async () => {
    const { code, out } = await simulate([])
    expect(code).toBe(0)
    expect(out).toMatch(/fill .*--url[^]*day .*--url[^]*live .*--url/)
  })
})
