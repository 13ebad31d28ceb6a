/** A run in the process of the test: its own number, the real clock, and whoever listens. */
import { randomBytes } from 'node:crypto'
import type { Context, NewEvent } from '../../src/events.ts'

export function contextHere(emit: (event: NewEvent) => void = () => undefined): Context {
  return {
    run: `here-${randomBytes(4).toString('hex')}`,
    signal: new AbortController().signal,
    now: () => new Date(),
    emit,
  }
}
