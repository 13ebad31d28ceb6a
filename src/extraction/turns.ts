/** Who works when: one engine for whoever needs it, and a line of what was read and waits to be worked on. */
import type { Engine } from '../columns/engine.ts'
import type { Cores } from '../columns/limits.ts'

/** One engine, opened with the first who needs it, one at a time, in the order in which they ask. */
export interface EngineTurns {
  /** Runs the action when all before it are over, whatever became of them; with all cores when not told otherwise. */
  withEngine<T>(action: (engine: Engine) => Promise<T>, cores?: Cores): Promise<T>
  /** Opens the engine now, because somebody will need it; whoever does hears what goes wrong. */
  prepare(): void
  /** Closes the engine, if it was opened, after the last turn. */
  close(): Promise<void>
}

export function takeTurns(open: () => Promise<Engine>): EngineTurns {
  let opening: Promise<Engine> | undefined
  let last: Promise<unknown> = Promise.resolve()
  return {
    withEngine: async (action, cores = 'all') => {
      const turn = last.then(async () => {
        const engine = await (opening ??= open())
        engine.useCores(cores)
        return action(engine)
      })
      last = turn.catch(() => undefined)
      return turn
    },
    prepare: () => {
      opening ??= open()
      opening.catch(() => undefined)
    },
    close: async () => {
      await last
      const engine = await opening?.catch(() => undefined)
      engine?.close()
    },
  }
}

/** What waits to be worked on, one at a time, in its order. */
interface Line<T> {
  add(item: T): void
  /** Resolves when no more than so many bytes wait; throws what became of those before. */
  below(bytes: number): Promise<void>
  /** What waits is discarded; resolves when nobody works any more. */
  abandon(): Promise<void>
}

export function openLine<T>({
  work,
  bytesOf,
  discard,
}: {
  readonly work: (item: T) => Promise<void>
  readonly bytesOf: (item: T) => number
  /** Called for each item in the end, worked on or not. */
  readonly discard: (item: T, failed: boolean) => Promise<void>
}): Line<T> {
  let working: Promise<void> = Promise.resolve()
  let waiting = 0
  let failure: { readonly error: unknown } | undefined
  return {
    add: (item) => {
      const bytes = bytesOf(item)
      waiting += bytes
      working = working.then(async () => {
        try {
          if (failure === undefined) await work(item)
        } catch (error) {
          failure = { error }
        } finally {
          waiting -= bytes
          await discard(item, failure !== undefined)
        }
      })
    },
    below: async (bytes) => {
      if (waiting > bytes || bytes === 0) await working
      if (failure !== undefined) throw failure.error
    },
    abandon: async () => {
      failure ??= { error: undefined }
      await working
    },
  }
}
