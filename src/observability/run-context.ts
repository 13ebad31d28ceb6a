/** What surrounds a run: its id, and the Context that stamps its events and fans them out to readers. */
import type { Context, NewEvent, RunEvent } from '../events.ts'
import type { EventReader } from './reader.ts'

export interface ContextOptions {
  readonly run: string
  readonly signal: AbortSignal
  readonly now: () => Date
  readonly readers: readonly EventReader[]
}

/** A Context whose events carry version, run and time, and reach every reader in order. */
export function openContext({ run, signal, now, readers }: ContextOptions): Context {
  return {
    run,
    signal,
    now,
    emit(event: NewEvent) {
      const stamped: RunEvent = { v: 1, run, at: now().toISOString(), ...event }
      for (const reader of readers) reader.read(stamped)
    },
  }
}

const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** Fourteen characters that sort by time: nine of milliseconds, five of chance. */
export function newRunId(from: {
  now(): Date
  /** That many random bytes. */
  random(bytes: number): Uint8Array
}): string {
  let ms = from.now().getTime()
  let time = ''
  for (let place = 0; place < 9; place++) {
    time = (DIGITS[ms % 32] ?? '0') + time
    ms = Math.floor(ms / 32)
  }
  return time + Array.from(from.random(5), (byte) => DIGITS[byte % 32]).join('')
}
