/**
 * Rows at a bounded rate: while the bucket is empty nothing more is asked of the socket, so the server waits in
 * its COPY. What reads side by side shares one bucket.
 */
import { setTimeout } from 'node:timers/promises'
import type { Bucket } from './bucket.ts'

export interface RowReceiver {
  row(csv: Buffer): void
  ready(): Promise<void> | undefined
}

/** Asking the clock for every row would cost more than the row. */
const STEP_BYTES = 16_384

export function paceRows<T extends RowReceiver>(
  sink: T,
  bucket: Bucket | null,
  signal: AbortSignal,
  clock: () => number = () => performance.now(),
): RowReceiver {
  if (bucket === null) return sink
  let untaken = 0
  return {
    row: (csv) => {
      untaken += csv.length
      sink.row(csv)
    },
    ready: () => {
      const ready = sink.ready()
      if (untaken < STEP_BYTES) return ready
      const wait = bucket.take(untaken, clock())
      untaken = 0
      if (wait === 0) return ready
      // An abort ends the connection; nobody waits for the rest.
      const paused = setTimeout(wait, undefined, { signal }).catch(() => undefined)
      return Promise.all([paused, ready]).then(() => undefined)
    },
  }
}
