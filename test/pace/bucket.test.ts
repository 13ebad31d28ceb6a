/** A rate, counted in bytes against a clock of the test's own. */
import { setTimeout } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openBucket } from '../../src/pace/bucket.ts'
import { paceRows } from '../../src/pace/paced-rows.ts'

test('P11: whoever waits as told takes in any span of time no more than the rate allows, a tenth of a second ahead', () => {
  const takes = fc.record({
    rate: fc.integer({ min: 1_000, max: 5_000_000 }),
    steps: fc.array(
      fc.record({ bytes: fc.integer({ min: 1, max: 2_000_000 }), idle: fc.nat(3_000) }),
      { minLength: 2, maxLength: 40 },
    ),
  })
  let waited = 0
  fc.assert(
    fc.property(takes, ({ rate, steps }) => {
      const bucket = openBucket(rate)
      let now = 0
      const taken: { at: number; bytes: number }[] = []
      for (const { bytes, idle } of steps) {
        now += idle
        const wait = bucket.take(bytes, now)
        taken.push({ at: now, bytes })
        if (wait > 0) waited += 1
        now += wait
      }
      for (const [first, { at: from }] of taken.entries())
        for (const [last, { at: until }] of taken.entries()) {
          if (last < first) continue
          // What was taken last is waited for afterwards.
          const sum = taken.slice(first, last).reduce((all, { bytes }) => all + bytes, 0)
          expect(sum).toBeLessThanOrEqual(((until - from + 100) / 1000) * rate * 1.000001)
        }
    }),
    { numRuns: 300 },
  )
  expect(waited).toBeGreaterThan(1000)
})

test('the rate is used up: without idle time as much passes as it allows', () => {
  const bucket = openBucket(1_000_000)
  let now = 0
  let bytes = 0
  while (now < 10_000) {
    now += bucket.take(20_000, now)
    bytes += 20_000
  }
  expect(bytes).toBeGreaterThan(10_000_000)
  expect(bytes).toBeLessThan(10_150_000)
})

test('rows pass at once until the bucket is empty; then the socket waits, until the run is aborted', async () => {
  const abort = new AbortController()
  const rows: number[] = []
  const sink = { row: (csv: Buffer) => void rows.push(csv.length), ready: () => undefined }
  const paced = paceRows(sink, openBucket(1000), abort.signal, () => 0)
  const row = Buffer.alloc(5_000)
  for (let n = 0; n < 3; n++) {
    paced.row(row)
    expect(paced.ready()).toBeUndefined()
  }
  paced.row(row)
  const waiting = paced.ready()
  expect(waiting).toBeInstanceOf(Promise)
  expect(rows).toHaveLength(4)
  const until = async (ms: number): Promise<string> => setTimeout(ms, 'still waiting')
  expect(await Promise.race([waiting, until(20)])).toBe('still waiting')
  abort.abort()
  expect(await Promise.race([waiting, until(5_000)])).toBe(undefined)
  expect(paceRows(sink, null, abort.signal)).toBe(sink)
})

test('the clock is asked once in sixteen kilobytes, and nobody waits while there is room', () => {
  const { signal } = new AbortController()
  const sink = { row: () => undefined, ready: () => undefined }
  const slow = paceRows(sink, openBucket(1000), AbortSignal.abort())
  slow.row(Buffer.alloc(16_383))
  expect(slow.ready()).toBeUndefined()
  slow.row(Buffer.alloc(1))
  expect(slow.ready()).toBeInstanceOf(Promise)
  const fast = paceRows(sink, openBucket(1_000_000_000), signal)
  fast.row(Buffer.alloc(20_000))
  expect(fast.ready()).toBeUndefined()
})
