import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { NewEvent } from '../../src/events.ts'
import { createStyle } from '../../src/terminal/style.ts'
import { openLiveTerminal } from '../../src/terminal/terminal-live.ts'
import { sampleEvents, sampleSummary } from '../support/run-events.ts'

beforeEach(() => void vi.useFakeTimers({ now: new Date('2026-11-20T11:05:00.000Z') }))
afterEach(() => void vi.useRealTimers())

/** A terminal that understands what the live view writes: cursor up, erase line, erase below. */
function fakeTerminal(size: { columns: number; rows: number }) {
  const lines: string[] = ['$ tote run']
  let at = 1
  let writes = 0
  return {
    ...size,
    isTTY: true,
    writes: () => writes,
    screen: () => lines.join('\n').trimEnd(),
    write(text: string) {
      writes += 1
      for (const [part] of text.matchAll(/\u001b\[\d*[A-Z]|\n|\r|[^\r\n\u001b]+/g)) {
        const up = /^\u001b\[(\d+)A$/.exec(part)?.[1]
        if (up !== undefined) at -= Number(up)
        else if (part === '\n') at += 1
        else if (part === '\u001b[J') lines.length = at
        else if (part !== '\u001b[K' && part !== '\r') lines[at] = part
      }
    },
  }
}

function open(size = { columns: 100, rows: 24 }) {
  const output = fakeTerminal(size)
  const terminal = openLiveTerminal({
    output,
    style: createStyle(false),
    stages: ['extract', 'transform', 'load'],
    verbosity: 0,
    now: () => new Date(),
  })
  const read = (event: NewEvent): void =>
    terminal.read({ v: 1, run: '01JD4R', at: new Date().toISOString(), ...event })
  return { output, terminal, read }
}

const progressOf = (table: string, rows: number): NewEvent => ({
  type: 'table.progress',
  stage: 'extract',
  table,
  rows,
  bytes: rows * 100,
})

test('stages and the tables under way are redrawn in place', () => {
  const { output, read } = open()
  read({ type: 'run.started', project: 'shop', command: 'run' })
  read({ type: 'stage.started', stage: 'extract' })
  read(progressOf('sales_order', 0))
  vi.advanceTimersByTime(1000)
  read(progressOf('sales_order', 48_000))
  read({ type: 'note', level: 'warn', text: 'a warning stays above' })
  read(progressOf('staff', 20))
  vi.advanceTimersByTime(100)
  expect(output.screen()).toMatchInlineSnapshot(`
    "$ tote run
    shop · run 01JD4R
    ▲ a warning stays above
    ● extract                                                         1.1s
        sales_order                        48,000 rows   4.8 MB  48k rows/s
        staff                                  20 rows   2.0 kB
    ○ transform
    ○ load"
  `)
})

test('however many events there are, a frame is drawn at most ten times a second', () => {
  const { output, read } = open()
  read({ type: 'stage.started', stage: 'extract' })
  const before = output.writes()
  for (let i = 0; i < 1000; i++) {
    read(progressOf('sales_order', i))
    vi.advanceTimersByTime(1)
  }
  expect(output.writes() - before).toBeLessThanOrEqual(10)
})

test('the last frame stays, with the stages alone, and nothing is drawn after it', () => {
  const { output, terminal, read } = open()
  for (const event of sampleEvents(sampleSummary())) {
    read(event)
    vi.advanceTimersByTime(30)
  }
  const last = output.screen()
  const writes = output.writes()
  vi.advanceTimersByTime(1000)
  terminal.close()
  expect(output.writes()).toBe(writes)
  expect(last).toMatchInlineSnapshot(`
    "$ tote run
    shop · run 01JD4R
    ▲ check unique(email) on dim_staff found 1 row: staff_id 4711
    ✔ extract    3 tables, 2 with changes, 1,208 rows changed         0.4s
    ✔ transform  2 models, 1,208 rows changed                         1.2s
    ✔ load       2 tables, 1,208 rows written                         0.7s"
  `)
})

test('a frame fits the terminal, in width and in height', () => {
  const { output, read } = open({ columns: 40, rows: 10 })
  read({ type: 'stage.started', stage: 'extract' })
  for (let i = 0; i < 50; i++) read(progressOf(`a_table_with_a_very_long_name_${i}`, 123_456_789))
  vi.advanceTimersByTime(100)
  const lines = output.screen().split('\n').slice(1)
  expect(lines.length).toBeLessThan(10)
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(40)
  expect(output.screen()).toContain('and 46 others')
})

test('a cancelled run leaves the stage that it stopped in', () => {
  const { output, read } = open()
  read({ type: 'stage.started', stage: 'extract' })
  vi.advanceTimersByTime(1500)
  read({ type: 'run.finished', summary: sampleSummary({ outcome: 'cancelled' }) })
  expect(output.screen()).toBe(`$ tote run\n✖ extract    stopped${' '.repeat(46)}1.5s`)
})
