import { expect, test } from 'vitest'
import type { RunEvent } from '../../src/events.ts'
import { createProgress, describeStage, rateOf, timeLeft } from '../../src/terminal/progress.ts'
import { sampleEvents, sampleSummary } from '../support/run-events.ts'

const stamp = (event: ReturnType<typeof sampleEvents>[number]): RunEvent => ({
  v: 1,
  run: '01JD4R',
  at: '2026-11-20T11:05:00.000Z',
  ...event,
})
const says = (events: readonly RunEvent[]): string[] => {
  const progress = createProgress(['extract', 'transform', 'load'])
  for (const event of events) progress.read(event)
  return progress.stages().map((stage) => `${stage.stage} ${stage.state}: ${describeStage(stage)}`)
}

test('a stage says what it found, and one that has not begun says nothing', () => {
  const events = sampleEvents(sampleSummary()).map(stamp)
  expect(says(events)).toEqual([
    'extract done: 3 tables, 2 with changes, 1,208 rows changed',
    'transform done: 2 models, 1,208 rows changed',
    'load done: 2 tables, 1,208 rows written',
  ])
  expect(says(events.slice(0, 9))).toEqual([
    'extract done: 3 tables, 2 with changes, 1,208 rows changed',
    'transform running: ',
    'load waiting: ',
  ])
})

test('a table of several batches is one table, and its rows are all of them', () => {
  const evaluated = sampleEvents(sampleSummary()).find(({ type }) => type === 'model.evaluated')
  if (evaluated === undefined) throw new Error('no such event')
  expect(
    says([
      stamp(evaluated),
      stamp({ type: 'stage.started', stage: 'transform' }),
      stamp(evaluated),
    ])[1],
  ).toBe('transform running: 1 model, 8 rows changed')
})

test('a failed stage says how far it came', () => {
  const failed = stamp({ type: 'stage.finished', stage: 'extract', ms: 5, outcome: 'failed' })
  expect(says([failed])[0]).toBe('extract failed: failed')
  expect(says([...sampleEvents(sampleSummary()).slice(0, 5).map(stamp), failed])[0]).toBe(
    'extract failed: failed after 2 tables, 1,208 rows changed',
  )
})

test('nothing to do says what was looked at', () => {
  const still = stamp({
    type: 'table.extracted',
    ms: 1,
    source: 'totesys',
    table: 'currency',
    inserted: 0,
    updated: 0,
    deleted: 0,
    rowsInSource: 3,
    rowsInLake: 3,
  })
  const other = { ...still, source: 'crm' }
  const idle = (stage: 'extract' | 'load') =>
    stamp({ type: 'stage.finished', stage, ms: 5, outcome: 'nothing to do' })
  // A table of that name in another source is another one.
  expect(says([still, other, still, idle('extract'), idle('load')])).toEqual([
    'extract nothing to do: 2 tables, no change',
    'transform waiting: ',
    'load nothing to do: nothing to do',
  ])
})

test('a table under way has a rate from what arrives now, and the time that its other rows take at it', () => {
  const table = {
    table: 'event',
    bytes: 0,
    startedAt: 1000,
    lastAt: 3000,
    firstRows: 4000,
    rows: 5000,
    expectedRows: 7000,
  }
  expect(rateOf(table)).toBe(500)
  expect(timeLeft(table)).toBe(4000)
  expect(timeLeft({ ...table, expectedRows: undefined })).toBeUndefined()
  expect(timeLeft({ ...table, expectedRows: 4500 })).toBeUndefined()
  expect(timeLeft({ ...table, lastAt: 1100 })).toBeUndefined()
  expect(timeLeft({ ...table, rows: 4000 })).toBeUndefined()
})

test('a verification that compared nothing, because the batch failed, says so', () => {
  const progress = createProgress(['verify'])
  progress.read(stamp({ type: 'stage.started', stage: 'verify' }))
  const [begun] = progress.stages()
  expect(begun === undefined ? undefined : describeStage(begun)).toBe('')
  progress.read(stamp({ type: 'stage.finished', stage: 'verify', ms: 5, outcome: 'done' }))
  const [ended] = progress.stages()
  expect(ended === undefined ? undefined : describeStage(ended)).toBe('nothing compared')
})
