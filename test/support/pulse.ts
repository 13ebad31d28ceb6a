/**
 * Whether this process, and with it the servers that it started, stood still: silence is a fault to what is tried here,
 * and a machine that sleeps, or whoever stops all of it for a while, makes one that nobody drew.
 */
export interface Pulse {
  /** Since that moment, as `performance.now()` tells it. */
  stoodStillSince(moment: number): boolean
  end(): void
}

/** What is waited for in tests at the least, in milliseconds. */
const LONG = 1500

export function openPulse(): Pulse {
  let last = performance.now()
  let stillUntil = -1
  const look = (): void => {
    const now = performance.now()
    if (now - last > LONG) stillUntil = now
    last = now
  }
  const timer = setInterval(look, 100).unref()
  return {
    stoodStillSince: (moment) => {
      look()
      return stillUntil >= moment
    },
    end: () => clearInterval(timer),
  }
}
