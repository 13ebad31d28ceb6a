/** `tote runs [RUN]`: the last runs, or one in full. */
import { join } from 'node:path'
import { answer, startLog, toteFrom } from '../cli/answer.ts'
import { type Invocation, withProject } from '../cli/context.ts'
import { nearestName, ToteError } from '../errors.ts'
import { listRuns, type RunRecord } from '../observability/run-history.ts'
import { MARKS, printable, type Style } from '../terminal/style.ts'
import { renderSummary } from '../terminal/summary.ts'
import { renderTable } from '../terminal/table.ts'
import { renderMoment } from '../terminal/time.ts'
import { RUN_COLUMNS, runRow } from './status.ts'

export interface RunsFlags {
  readonly limit: number
}

/** The history keeps no more than this. */
const ALL_RUNS = 1000

export async function commandRuns(
  invocation: Invocation,
  run: string | undefined,
  { limit }: RunsFlags,
): Promise<number> {
  const { surface, flags } = invocation
  const found = await withProject(invocation, startLog(invocation), async (project) =>
    listRuns(join(project.stateFolder, 'runs'), run === undefined ? limit : ALL_RUNS),
  )
  const options = { now: surface.now(), tote: toteFrom(surface.env, flags) }
  if (run === undefined) {
    answer(invocation, {
      data: found,
      lines: (style) => renderRuns(found, { ...options, style }),
      warnings: [],
    })
    return 0
  }
  const record = chooseRun(found, run)
  answer(invocation, {
    data: record,
    lines: (style) => renderRun(record, { ...options, style }),
    warnings: [],
  })
  return 0
}

/** A run by its id, or by the beginning of one; `last` is the newest. Throws UsageInvalid. */
export function chooseRun(runs: readonly RunRecord[], typed: string): RunRecord {
  const id = typed.toUpperCase()
  const [first, ...more] =
    id === 'LAST' ? runs.slice(0, 1) : runs.filter(({ run }) => run.startsWith(id))
  const exact = runs.find(({ run }) => run === id)
  if (exact !== undefined) return exact
  if (first !== undefined && more.length === 0) return first
  const ids = runs.map(({ run }) => run)
  const nearest = nearestName(id, ids)
  const message =
    first === undefined
      ? `There is no run "${typed}"${nearest === undefined ? '' : `. Did you mean ${nearest}?`}`
      : `${more.length + 1} runs begin with "${typed}"`
  throw new ToteError('UsageInvalid', message, { fix: 'tote runs' })
}

interface ScreenOptions {
  readonly style: Style
  readonly now: Date
  readonly tote: string
}

function renderRuns(runs: readonly RunRecord[], { style, now, tote }: ScreenOptions): string[] {
  if (runs.length === 0) return [`${MARKS.nothing} no run yet: ${tote} run`]
  const rows = runs.map((record) => runRow(record, style, now))
  return [
    ...renderTable(RUN_COLUMNS, rows, { title: style.dim }),
    '',
    `One in full: ${tote} runs ${runs[0]?.run ?? 'RUN'}; what it said: ${tote} logs`,
  ]
}

function renderRun(record: RunRecord, { style, now, tote }: ScreenOptions): string[] {
  const { run, summary } = record
  const line = `${printable(record.command)}, started ${renderMoment(record.startedAt, now)}`
  if (summary === undefined)
    return [
      `${MARKS.waiting} ${style.bold(run)}  ${line}, under way or killed`,
      '',
      `${tote} logs ${run}`,
    ]
  const { error } = summary
  return [
    style.dim(line),
    ...renderSummary(summary, { style, now, tote }),
    ...(error === undefined
      ? []
      : [
          '',
          `${style.red(MARKS.failed)} ${error.name}  ${printable(error.message)}`,
          ...(error.problems ?? []).map(
            ({ where, message }) => `  ${printable(where)}  ${printable(message)}`,
          ),
          `  ${tote} explain ${error.name}`,
        ]),
  ]
}
