/** `tote run`: one batch through the stages, watched by terminal, JSON lines and run history. */
import { join } from 'node:path'
import { type ErrorJson, ToteError } from '../errors.ts'
import type { Context, RunSummary } from '../events.ts'
import { openJsonLines } from '../observability/json-lines.ts'
import type { EventReader } from '../observability/reader.ts'
import { openRunHistory } from '../observability/run-history.ts'
import { renderSummary } from '../terminal/summary.ts'
import { openLiveTerminal } from '../terminal/terminal-live.ts'
import { openPlainTerminal, type Terminal, type TerminalOptions } from '../terminal/terminal.ts'
import type { RunOptions, RunResult } from '../pipeline/run.ts'
import type { Project } from '../project/project.ts'
import type { AnyStage, Stage } from '../types.ts'
import { answerError, commandLine, styleOf, toteFrom, writeLines } from '../cli/answer.ts'
import { type Invocation, withProject, withTimeout } from '../cli/context.ts'
import { newRunId, openContext } from '../observability/run-context.ts'
import { exitCodeOf } from '../cli/surface.ts'

export const STAGES: readonly Stage[] = ['extract', 'transform', 'load']

export interface RunFlags {
  readonly only?: Stage
  readonly fullRefresh?: boolean
  readonly acceptShrink?: readonly string[]
  readonly acceptChange?: readonly string[]
  readonly acceptSource?: boolean
  readonly forward?: readonly string[]
  readonly dryRun?: boolean
  readonly select?: readonly string[]
  readonly exclude?: readonly string[]
  readonly failFast?: boolean
  readonly wait: boolean
  /** Milliseconds. */
  readonly timeout?: number
  readonly logFormat: 'pretty' | 'json'
}

/** Returns the exit code; throws what went wrong before the run began. */
export async function commandRun(invocation: Invocation, flags: RunFlags): Promise<number> {
  const { pipeline } = invocation
  const isPart = flags.select !== undefined || flags.exclude !== undefined
  const all = isPart ? STAGES.filter((stage) => stage !== 'load') : STAGES
  const stages = flags.only === undefined ? all : [flags.only]
  return conductRun(invocation, { ...flags, stages }, async (project, context) =>
    pipeline.run(project, toOptions(flags), context),
  )
}

/** What any command that goes through stages is told. */
export interface ConductFlags {
  /** Milliseconds. */
  readonly timeout?: number
  readonly logFormat: 'pretty' | 'json'
  readonly stages: readonly AnyStage[]
  /** Then it is not kept in the history of runs. */
  readonly dryRun?: boolean
}

/** Opens the project, has `work` watched by terminal, JSON lines and run history, and says how it ended. */
export async function conductRun(
  invocation: Invocation,
  flags: ConductFlags,
  work: (project: Project, context: Context) => Promise<RunResult>,
): Promise<number> {
  const { surface } = invocation
  const run = newRunId(surface)
  const terminal = openTerminal(invocation, flags)
  const { signal, stop } = withTimeout(surface.signal, flags.timeout)
  signal.addEventListener('abort', () => terminal.note('Stopping. Once more to stop at once.'))
  try {
    return await withProject(
      // A timeout stops what a signal stops, the warehouse's connection included.
      { ...invocation, surface: { ...surface, signal } },
      (text) => terminal.note(text),
      async (project) => {
        signal.throwIfAborted()
        const history = openRunHistory({
          folder: join(project.stateFolder, 'runs'),
          run,
          onFailure: (text) => terminal.warn(text),
        })
        const kept = flags.dryRun === true ? [] : [history]
        const readers = [...kept, ...jsonReaders(invocation, flags), terminal]
        const context = openContext({ run, signal, now: surface.now, readers })
        const { summary, error, others } = await work(project, context)
        terminal.close()
        return finish(invocation, { summary, error: endOf({ summary, error, signal }), others })
      },
    )
  } finally {
    stop()
    terminal.close()
  }
}

interface Outcome {
  readonly summary: RunSummary
  readonly error: ToteError | undefined
  /** Of other stages, or of other sources. */
  readonly others?: readonly ToteError[] | undefined
}

function finish(invocation: Invocation, { summary, error, others = [] }: Outcome): number {
  const { surface, flags, command } = invocation
  if (!flags.json && !flags.quiet) {
    const tote = toteFrom(surface.env, flags)
    const style = styleOf(invocation, 'stdout')
    if (surface.stderr.isTTY) surface.stderr.write('\n')
    writeLines(
      surface.stdout,
      renderSummary(summary, {
        style,
        now: surface.now(),
        tote,
        ownTerminal: surface.stdout.isTTY,
      }),
    )
  }
  if (error === undefined) return 0
  // With --json the summary, which is the last object, carries the error.
  for (const failure of flags.json ? [] : [error, ...others]) {
    if (!flags.quiet) surface.stderr.write('\n')
    const { verbosity, colour } = flags
    answerError(failure, surface, {
      command,
      json: false,
      verbosity,
      colour,
      tote: toteFrom(surface.env),
      again: commandLine(invocation),
    })
  }
  return exitCodeOf(error)
}

/** What the run ended with; where it was stopped, the reason for which it was stopped. */
function endOf({
  summary,
  error,
  signal,
}: Outcome & { signal: AbortSignal }): ToteError | undefined {
  const ended = error ?? (summary.error === undefined ? undefined : revive(summary.error))
  const stopped =
    ended?.name === 'RunCancelled' && signal.aborted && signal.reason instanceof ToteError
  return stopped ? (signal.reason as ToteError) : ended
}

function revive({ name, message, ...facts }: ErrorJson): ToteError {
  return new ToteError(name, message, facts)
}

function toOptions(flags: RunFlags): RunOptions {
  const { timeout: _timeout, logFormat: _logFormat, ...options } = flags
  return options
}

function jsonReaders({ surface, flags }: Invocation, { logFormat }: ConductFlags): EventReader[] {
  return [
    ...(flags.json ? [openJsonLines((text) => surface.stdout.write(text))] : []),
    ...(logFormat === 'json' && !flags.quiet
      ? [openJsonLines((text) => surface.stderr.write(text))]
      : []),
  ]
}

function openTerminal(invocation: Invocation, { stages, logFormat }: ConductFlags): Terminal {
  const { surface, flags } = invocation
  const options: TerminalOptions = {
    output: surface.stderr,
    style: styleOf(invocation, 'stderr'),
    stages,
    verbosity: flags.verbosity,
    now: surface.now,
  }
  if (flags.json || logFormat === 'json') return silent
  if (flags.quiet) return onlyWarnings(openPlainTerminal(options))
  const live = surface.stderr.isTTY && surface.env['TERM'] !== 'dumb'
  return live ? openLiveTerminal(options) : openPlainTerminal(options)
}

const silent: Terminal = {
  read: () => undefined,
  note: () => undefined,
  warn: () => undefined,
  close: () => undefined,
}

function onlyWarnings(terminal: Terminal): Terminal {
  return {
    ...silent,
    warn: (text) => terminal.warn(text),
    read(event) {
      if (event.type === 'check.failed' || (event.type === 'note' && event.level === 'warn'))
        terminal.read(event)
    },
  }
}
