/**
 * What a command is handed: the command line, a signal with a timeout, a Context for reading. Whoever
 * opens a project here also closes it.
 */
import { ToteError } from '../errors.ts'
import type { Context } from '../events.ts'
import type { EventReader } from '../observability/reader.ts'
import { newRunId, openContext } from '../observability/run-context.ts'
import type { Project } from '../project/project.ts'
import type { GlobalFlags } from './flags.ts'
import type { Pipeline } from './pipeline.ts'
import type { Surface } from './surface.ts'

export interface Invocation {
  readonly command: string
  /** The command line as it was typed. */
  readonly argv: readonly string[]
  readonly surface: Surface
  readonly pipeline: Pipeline
  readonly flags: GlobalFlags
}

/** A signal that also aborts, with RunTimedOut, after a timeout; `stop` lets the timer go. */
export function withTimeout(
  signal: AbortSignal,
  timeoutMs: number | undefined,
): { signal: AbortSignal; stop: () => void } {
  if (timeoutMs === undefined) return { signal, stop: () => undefined }
  const controller = new AbortController()
  const seconds = timeoutMs / 1000
  const timedOut = new ToteError(
    'RunTimedOut',
    `Stopped after the timeout of ${seconds}s; nothing is half done`,
    {
      fix: 'run again with a longer --timeout; what is committed stays',
      details: { timeoutMs },
    },
  )
  const timer = setTimeout(() => controller.abort(timedOut), timeoutMs)
  return { signal: AbortSignal.any([signal, controller.signal]), stop: () => clearTimeout(timer) }
}

/** Opens the project, does the work, closes the project; the first error is the one that counts. */
export async function withProject<T>(
  invocation: Invocation,
  log: (text: string) => void,
  work: (project: Project) => Promise<T>,
): Promise<T> {
  const { surface, pipeline, flags } = invocation
  const { cwd, configFile, env } = flags
  const project = await pipeline.openProject({
    cwd,
    log,
    signal: surface.signal,
    ...(configFile === undefined ? {} : { configFile }),
    ...(env === undefined ? {} : { env }),
  })
  let answer: T
  try {
    surface.signal.throwIfAborted()
    answer = await work(project)
  } catch (thrown) {
    await project.close().catch(() => undefined)
    throw thrown
  }
  await project.close()
  return answer
}

/** The Context of a command that only reads; its warnings are collected for the answer. */
export function openReading(invocation: Invocation): { context: Context; warnings: Warning[] } {
  const { surface } = invocation
  const warnings: Warning[] = []
  const collect: EventReader = {
    read: (event) => {
      if (event.type === 'note' && event.level === 'warn') warnings.push({ message: event.text })
    },
  }
  const { signal, now } = surface
  return {
    context: openContext({ run: newRunId(surface), signal, now, readers: [collect] }),
    warnings,
  }
}

export interface Warning {
  readonly where?: string
  readonly message: string
}
