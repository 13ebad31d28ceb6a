/**
 * How fast a source may be read: a token bucket, kept as the time at which everything taken so far is paid
 * for (the generic cell rate algorithm, ITU-T I.371). Pure: the time comes from outside.
 */

/** What may pass at once after a pause, in milliseconds of the rate. */
const BURST_MS = 100

export interface Bucket {
  /** Takes what has come at `now`, in milliseconds; returns how many to wait before more may come. */
  take(bytes: number, now: number): number
}

/** In any time `t` no more passes than `(t + 100 ms) * rate`, and what is taken last. */
export function openBucket(bytesPerSecond: number): Bucket {
  let paidAt = Number.NEGATIVE_INFINITY
  return {
    take: (bytes, now) => {
      paidAt = Math.max(paidAt, now - BURST_MS) + (bytes / bytesPerSecond) * 1000
      return Math.max(0, paidAt - now)
    },
  }
}
