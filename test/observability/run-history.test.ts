import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { RunEvent } from '../../src/events.ts'
import { listRuns, openRunHistory, readRun } from '../../src/observability/run-history.ts'
import { sampleEvents, sampleSummary, SECRET_KEY } from '../support/run-events.ts'

let folder = ''

beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'tote-runs-')), 'runs')
})

afterEach(() => rmSync(join(folder, '..'), { recursive: true }))

const complain = (text: string): never => {
  throw new Error(text)
}

function eventsOf(run: string): RunEvent[] {
  return sampleEvents(sampleSummary({ run })).map((event) => ({
    v: 1,
    run,
    at: '2026-11-20T11:05:00.000Z',
    ...event,
  }))
}

function write(run: string, count = Infinity, keep = 500): void {
  const history = openRunHistory({ folder, run, keep, onFailure: complain })
  for (const event of eventsOf(run).slice(0, count)) history.read(event)
}

test('a run is read back as it was written, without progress and without cell values (P10)', async () => {
  write('01JD4R00000001')
  const events = await readRun(folder, '01JD4R00000001')
  expect(events.map((event) => event.type)).toEqual(
    eventsOf('')
      .map((event) => event.type)
      .filter((type) => type !== 'table.progress'),
  )
  expect(readFileSync(join(folder, '01JD4R00000001.jsonl'), 'utf8')).not.toContain(SECRET_KEY)
  expect(statSync(join(folder, '01JD4R00000001.jsonl')).mode & 0o077).toBe(0)
})

test('each event is on disk before the next, and a torn last line is left out', async () => {
  const run = '01JD4R00000002'
  write(run, 3)
  expect(await readRun(folder, run)).toHaveLength(2)
  appendFileSync(join(folder, `${run}.jsonl`), '{"v":1,"type":"table.extr')
  expect(await readRun(folder, run)).toHaveLength(2)
  expect((await listRuns(folder, 5))[0]).toEqual({
    run,
    startedAt: '2026-11-20T11:05:00.000Z',
    command: 'run',
  })
})

test('the newest runs come first; other files, empty ones and a missing folder are no runs', async () => {
  expect(await listRuns(folder, 5)).toEqual([])
  for (const run of ['01JD4R00000003', '01JD4R00000001', '01JD4R00000002']) write(run)
  writeFileSync(join(folder, 'notes.jsonl'), '{}')
  writeFileSync(join(folder, '01JD4R00000009.jsonl'), '')
  const runs = await listRuns(folder, 3)
  expect(runs.map(({ run }) => run)).toEqual(['01JD4R00000003', '01JD4R00000002'])
  expect(runs[0]?.summary?.outcome).toBe('succeeded')
})

test('the oldest runs are removed, and nothing else', () => {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'A.txt'), '')
  for (const run of ['01JD4R00000001', '01JD4R00000002', '01JD4R00000003']) write(run, Infinity, 2)
  expect(readdirSync(folder).sort()).toEqual([
    '01JD4R00000002.jsonl',
    '01JD4R00000003.jsonl',
    'A.txt',
  ])
})

test('what cannot be written is said once', () => {
  const said: string[] = []
  const history = openRunHistory({
    folder: '/dev/null/runs',
    run: '01JD4R00000001',
    onFailure: (text) => said.push(text),
  })
  for (const event of eventsOf('01JD4R00000001')) history.read(event)
  expect(said).toEqual(['the run history in /dev/null/runs cannot be written (ENOTDIR)'])
})
