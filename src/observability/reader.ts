/**
 * What every reader of the event stream is: it takes each event as it happens, in order, and never
 * throws, because watching a run must not be able to end it.
 */
import type { RunEvent } from '../events.ts'

export interface EventReader {
  read(event: RunEvent): void
}

/** Where lines for a person go; `isTTY` says whether it is a person's own terminal. */
export interface TextOutput {
  write(text: string): void
  readonly isTTY: boolean
  readonly columns: number
  readonly rows: number
}
