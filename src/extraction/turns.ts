/** One engine for whoever needs it, opened with the first of them, one at a time, in the order in which they ask. */
import type { Engine } from '../columns/engine.ts'

export interface EngineTurns {
  /** Runs the action when all before it are over, whatever became of them. */
  withEngine<T>(action: (engine: Engine) => Promise<T>): Promise<T>
  /** Closes the engine, if it was opened, after the last turn. */
  close(): Promise<void>
}

export function takeTurns(open: () => Promise<Engine>): EngineTurns {
  let opening: Promise<Engine> | undefined
  let last: Promise<unknown> = Promise.resolve()
  return {
    withEngine: async (action) => {
      const turn = last.then(async () => action(await (opening ??= open())))
      last = turn.catch(() => undefined)
      return turn
    },
    close: async () => {
      await last
      const engine = await opening?.catch(() => undefined)
      engine?.close()
    },
  }
}
