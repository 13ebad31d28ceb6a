/** A process of its own in which Tote's built code is measured; what it does is in child-main.js. */
import { fork } from 'node:child_process'
import type { RunSettings, RunSummary } from 'totedata'

export type Task =
  | { readonly task: 'whole' | 'run'; readonly cwd: string; readonly options: RunSettings }
  | { readonly task: 'rebuild'; readonly cwd: string }
  | { readonly task: 'verify'; readonly cwd: string }
  | { readonly task: 'copyOut'; readonly url: string; readonly texts: readonly string[] }

export interface Answer {
  readonly seconds: number
  /** The most memory that the process has had so far. */
  readonly peakMb: number
  /** DuckDB's library is in the process. */
  readonly engineLoaded: boolean
  /** Of a run. */
  readonly summary?: RunSummary
}

export interface Child {
  /** Throws what the task threw. */
  ask(task: Task): Promise<Answer>
  end(): Promise<void>
}

export function startChild(env: NodeJS.ProcessEnv): Child {
  const child = fork(new URL('child-main.js', import.meta.url), { env, execArgv: [] })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  return {
    ask: async (task) =>
      new Promise<Answer>((resolve, reject) => {
        const died = (code: number | null): void =>
          reject(new Error(`the child ended with ${code}`))
        child.once('exit', died)
        child.once('message', (answer: Answer & { error?: string }) => {
          child.off('exit', died)
          if (answer.error === undefined) resolve(answer)
          else reject(new Error(answer.error))
        })
        child.send(task)
      }),
    end: async () => {
      if (child.connected) child.disconnect()
      await ended
    },
  }
}

/** One task in a fresh process. */
export async function inFreshProcess(env: NodeJS.ProcessEnv, task: Task): Promise<Answer> {
  const child = startChild(env)
  try {
    return await child.ask(task)
  } finally {
    await child.end()
  }
}
