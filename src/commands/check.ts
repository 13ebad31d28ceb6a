/** `tote check`: everything that can be known before a run; with `--live` also what only servers know. */
import { counted } from '../terminal/number.ts'
import { MARKS, printable, type Style } from '../terminal/style.ts'
import { renderTable } from '../terminal/table.ts'
import type { CheckReport } from '../inspect/check.ts'
import { answer, startLog, toteFrom } from '../cli/answer.ts'
import { type Invocation, openReading, withProject } from '../cli/context.ts'

export interface CheckFlags {
  readonly live?: boolean
  readonly data?: boolean
}

export async function commandCheck(
  invocation: Invocation,
  { live = false, data = false }: CheckFlags,
): Promise<number> {
  const { surface, pipeline, flags } = invocation
  const { context, warnings } = openReading(invocation)
  const report = await withProject(invocation, startLog(invocation), (project) =>
    pipeline.check(project, { live, data }, context),
  )
  const next = `${toteFrom(surface.env, flags)} ${live ? 'run' : 'check --live'}`
  answer(invocation, {
    data: { live, ...environmentOf(report), passed: report.passed },
    lines: (style) => renderCheck(report, next, style),
    warnings: [...report.warnings, ...warnings],
  })
  return 0
}

function environmentOf({ environment }: CheckReport): { environment?: string } {
  return environment === undefined ? {} : { environment }
}

/** One line for each thing that was checked, then what to type next. */
export function renderCheck(
  { passed, warnings, environment }: CheckReport,
  next: string,
  style: Style,
): string[] {
  const all = [
    ...(environment === undefined ? [] : [{ what: 'environment', detail: environment }]),
    ...passed,
  ]
  const rows = all.map(({ what, detail }) => [
    `${style.green(MARKS.done)} ${printable(what)}`,
    printable(detail),
  ])
  const [, ...lines] = renderTable(
    [
      { title: '', align: 'left' },
      { title: '', align: 'left' },
    ],
    rows,
  )
  const end =
    warnings.length === 0
      ? 'Nothing is wrong.'
      : `Nothing is wrong; ${counted(warnings.length, 'warning')}.`
  return [...lines, '', `${end} Next: ${next}`]
}
