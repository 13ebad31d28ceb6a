/** Processes that run a project (runner.mjs): one at work, the next already warm. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { ErrorJson } from '../../src/errors.ts'

/** Where a run stands still. */
export interface Point {
  readonly when: 'before' | 'after'
  readonly n: number
  readonly stage: string
  readonly effect: string
  /** The process. */
  readonly pid: number
}

/** Which of its effects a run stands still at: of those that fit `<stage> <effect>`, the one after so many. */
export interface Aim {
  readonly on: string
  readonly skip: number
  readonly side: Point['when']
}

export interface Command {
  readonly command: 'run' | 'extract' | 'transform' | 'load' | 'verify' | 'rebuild'
  readonly settings: Readonly<Record<string, unknown>>
}

export interface Ran {
  /** `killed` by us, `lost` by itself, `hung` when it had to be ended, else the summary's. */
  readonly outcome: string
  readonly error?: ErrorJson | undefined
  /** How many effects each of its stages had. */
  readonly effects: Readonly<Record<string, number>>
  readonly point: Point | undefined
}

/** What is done where the run stands still; it goes on with its clock so far off, or is killed. */
export type Act = (point: Point) => Promise<{ readonly skewMs?: number } | 'kill'>

export interface Runners {
  /** Runs in the process that ran last, when it lives and is `same`, else in one that never did. */
  run(
    command: Command,
    how: { readonly same: boolean; readonly aim?: Aim; readonly act?: Act },
  ): Promise<Ran>
  end(): Promise<void>
}

const HANG_MS = 90_000
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

export function openRunners(folder: string): Runners {
  const all = new Set<ChildProcess>()
  const start = (): ChildProcess => {
    const child = fork(here('runner.mjs'), [], {
      cwd: folder,
      execArgv: ['--import', here('../support/kill-switch.mjs')],
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        TORTURE_PROJECT: folder,
        TORTURE_PRODUCT: new URL('../../dist/index.js', import.meta.url).href,
      },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc', 'pipe', 'pipe'],
      // A Ctrl-C is for whoever torments it.
      detached: true,
    })
    all.add(child)
    child.on('exit', () => all.delete(child))
    return child
  }
  const ready = async (child: ChildProcess): Promise<ChildProcess> => {
    await Promise.race([once(child, 'message'), once(child, 'exit')])
    return child
  }
  let current = ready(start())
  let next = ready(start())
  return {
    run: async (command, { same, aim, act }) => {
      const last = await current
      if (!same || !lives(last)) {
        // It lets go of its connections as a process does that ends.
        last.kill('SIGKILL')
        current = next
        next = ready(start())
      }
      return runIn(await current, command, aim, act)
    },
    end: async () => {
      await Promise.all([current, next])
      await Promise.all(
        [...all].map(async (child) => {
          const exit = once(child, 'exit')
          child.kill('SIGKILL')
          await exit
        }),
      )
    },
  }
}

function lives(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}

async function runIn(
  child: ChildProcess,
  { command, settings }: Command,
  aim: Aim | undefined,
  act: Act | undefined,
): Promise<Ran> {
  let point: Point | undefined
  let killed = false
  const pipes: readonly unknown[] = child.stdio
  const told = pipes[4] as NodeJS.ReadableStream
  const hear = (line: Buffer): void => {
    point = JSON.parse(line.toString()) as Point
    void (act?.(point) ?? Promise.resolve({})).then(
      (answer) => {
        if (answer === 'kill') {
          killed = true
          child.kill('SIGKILL')
        } else (pipes[5] as Writable).write(`${JSON.stringify(answer)}\n`)
      },
      (error: unknown) => {
        process.stderr.write(`the fault itself failed: ${String(error)}\n`)
        child.kill('SIGKILL')
      },
    )
  }
  told.on('data', hear)
  let hung = false
  const timer = setTimeout(() => {
    hung = true
    child.kill('SIGKILL')
  }, HANG_MS)
  const answered = new Promise<Omit<Ran, 'point'>>((resolve) => {
    const onMessage = (message: unknown): void => {
      child.off('exit', onExit)
      resolve(message as Omit<Ran, 'point'>)
    }
    const onExit = (code: number | null, signal: string | null): void => {
      child.off('message', onMessage)
      const lost = `lost (${signal ?? `exit code ${code}`})`
      resolve({ outcome: hung ? 'hung' : killed ? 'killed' : lost, effects: {} })
    }
    child.once('message', onMessage)
    child.once('exit', onExit)
  })
  child.send({ command, settings, point: aim ?? null })
  const ran = await answered
  clearTimeout(timer)
  told.off('data', hear)
  return { ...ran, point }
}
