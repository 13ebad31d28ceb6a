import { expect, test } from 'vitest'
import type { RunEvent } from '../../src/events.ts'
import { newRunId, openContext } from '../../src/observability/run-context.ts'

const random = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(255)

test('run ids sort by time, to the millisecond', () => {
  const moments = [0, 1, 31, 32, 1_795_172_808_000, 1_795_172_808_001, 2 ** 45 - 1]
  const ids = moments.map((ms) => newRunId({ now: () => new Date(ms), random }))
  expect(ids).toEqual(ids.toSorted())
  expect(new Set(ids).size).toBe(ids.length)
  for (const id of ids) expect(id).toMatch(/^[0-9A-HJKMNP-TV-Z]{14}$/)
})

test('every reader sees every event in order, stamped', () => {
  const seen: RunEvent[] = []
  const readers = [
    { read: (event: RunEvent) => void seen.push(event) },
    { read: (event: RunEvent) => void seen.push(event) },
  ]
  const { signal } = new AbortController()
  const context = openContext({ run: '01JD4R', signal, now: () => new Date(0), readers })
  context.emit({ type: 'note', level: 'info', text: 'a' })
  context.emit({ type: 'note', level: 'info', text: 'b' })
  expect(seen.map((event) => (event.type === 'note' ? event.text : ''))).toEqual([
    'a',
    'a',
    'b',
    'b',
  ])
  expect(seen[0]).toEqual({
    v: 1,
    run: '01JD4R',
    at: '1970-01-01T00:00:00.000Z',
    type: 'note',
    level: 'info',
    text: 'a',
  })
})
