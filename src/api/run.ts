/** A run as a program sees it: its events as they happen, and how it ended. */
import { ToteError } from '../errors.ts'
import type { RunEvent, RunSummary } from '../events.ts'
import type { EventReader } from '../observability/reader.ts'
import type { RunResult } from '../pipeline/run.ts'

/**
 * A run that has begun. Iterating yields every event from the first to `run.finished`, however late
 * and however often one begins; leaving the loop does not stop the run (abort the signal for that).
 */
export interface Run extends AsyncIterable<RunEvent> {
  /** As in the run history and in `tote runs`. */
  readonly id: string
  /** How it went: the object that ends `tote run --json`. Never rejects: see `outcome` and `error`. */
  readonly summary: Promise<RunSummary>
  /** The same for a run that went well; rejects with the run's first ToteError otherwise. */
  succeeded(): Promise<RunSummary>
}

/** Starts `work` with a reader that keeps its events; `work` must emit `run.finished` last and not throw. */
export function startRun(id: string, work: (reader: EventReader) => Promise<RunResult>): Run {
  const events: RunEvent[] = []
  let over = false
  let wake = (): void => undefined
  let more = new Promise<void>((resolve) => (wake = resolve))
  const announce = (): void => {
    const told = wake
    more = new Promise<void>((resolve) => (wake = resolve))
    told()
  }
  const result = work({
    read(event) {
      events.push(event)
      announce()
    },
  }).finally(() => {
    over = true
    announce()
  })
  return {
    id,
    summary: result.then(({ summary }) => summary),
    async succeeded() {
      const { summary, error } = await result
      if (error !== undefined) throw error
      return summary
    },
    async *[Symbol.asyncIterator]() {
      for (let next = 0; ; next++) {
        // Taken before the look, so that an event between look and wait is not slept through.
        for (let waiting = more; next >= events.length; waiting = more) {
          if (over) return
          await waiting
        }
        const event = events[next]
        if (event !== undefined) yield event
      }
    },
  }
}

/** What a call on a closed project meets. */
export function closedError(): ToteError {
  return new ToteError('ProjectClosed', 'The project was closed.', {
    fix: 'call openProject again, or close later',
  })
}
