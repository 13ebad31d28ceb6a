/** `tote logs [RUN]`: what a run said, as it was said; with `--follow` until it ends. */
import { join } from 'node:path'
import { styleOf, startLog, toteFrom } from '../cli/answer.ts'
import { type Invocation, withProject } from '../cli/context.ts'
import { ToteError } from '../errors.ts'
import { type RunEvent, TerminalOnly } from '../events.ts'
import { toJson } from '../observability/json-lines.ts'
import { listRuns, readRun } from '../observability/run-history.ts'
import { renderSummary } from '../terminal/summary.ts'
import { openPlainTerminal } from '../terminal/terminal.ts'
import type { AnyStage } from '../types.ts'
import { chooseRun } from './runs.ts'

export interface LogsFlags {
  readonly follow?: boolean
}

const STAGES: readonly AnyStage[] = ['extract', 'transform', 'load']
const LOOK_AGAIN_MS = 200

/** Throws UsageInvalid when there is no such run. */
export async function commandLogs(
  invocation: Invocation,
  typed: string | undefined,
  { follow = false }: LogsFlags,
): Promise<number> {
  const { surface } = invocation
  const folder = await withProject(invocation, startLog(invocation), async (project) =>
    join(project.stateFolder, 'runs'),
  )
  const runs = await listRuns(folder, typed === undefined ? 1 : 1000)
  if (runs.length === 0) {
    throw new ToteError('UsageInvalid', 'There is no run yet', {
      fix: `${toteFrom(surface.env, invocation.flags)} run`,
    })
  }
  const { run } = chooseRun(runs, typed ?? 'last')
  const say = speaker(invocation)
  let said = 0
  for (;;) {
    const events = await readRun(folder, run)
    for (const event of events.slice(said)) say(event)
    said = events.length
    if (!follow || events.at(-1)?.type === 'run.finished') return 0
    await pause(surface.signal)
  }
}

/** Each event as a line of the same form as during the run; with `--json` as it was kept. */
function speaker(invocation: Invocation): (event: RunEvent) => void {
  const { surface, flags } = invocation
  if (flags.json) return (event) => surface.stdout.write(`${toJson(event)}\n`)
  const style = styleOf(invocation, 'stdout')
  const terminal = openPlainTerminal({
    output: surface.stdout,
    style,
    stages: STAGES,
    verbosity: Math.max(1, flags.verbosity),
    now: surface.now,
  })
  return (event) => {
    // Keys of failing rows were for the terminal of that run only.
    terminal.read(event.type === 'check.failed' ? { ...event, keys: new TerminalOnly([]) } : event)
    if (event.type !== 'run.finished') return
    const tote = toteFrom(surface.env, flags)
    const [outcome = ''] = renderSummary(event.summary, { style, now: surface.now(), tote })
    surface.stdout.write(`${outcome}\n`)
    const { error } = event.summary
    if (error !== undefined) surface.stdout.write(`${error.name}  ${error.message}\n`)
  }
}

async function pause(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer)
      reject(signal.reason as Error)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, LOOK_AGAIN_MS)
    signal.addEventListener('abort', stop, { once: true })
  })
}
