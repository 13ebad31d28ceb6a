/** `tote test`: models on given rows. The rows are the test's own, so they may be shown anywhere. */
import { answer, startLog } from '../cli/answer.ts'
import { type Invocation, openReading, withProject } from '../cli/context.ts'
import type { CaseResult } from '../cases/run-case.ts'
import type { TestReport } from '../inspect/test.ts'
import { counted } from '../terminal/number.ts'
import { MARKS, printable, type Style } from '../terminal/style.ts'
import { renderTable } from '../terminal/table.ts'

/** Returns 1 when a test failed. */
export async function commandTest(
  invocation: Invocation,
  model: string | undefined,
): Promise<number> {
  const { context, warnings } = openReading(invocation)
  const report = await withProject(invocation, startLog(invocation), (project) =>
    invocation.pipeline.test(project, { model }, context),
  )
  const failed = report.tests.filter(({ outcome }) => outcome === 'failed').length
  answer(invocation, {
    data: { passed: report.tests.length - failed, failed, tests: report.tests },
    lines: (style) => renderTests(report, style),
    warnings,
  })
  return failed > 0 ? 1 : 0
}

/** A line for each test, and below one that failed the rows that differ. */
export function renderTests({ tests }: TestReport, style: Style): string[] {
  if (tests.length === 0) return ['There are no tests: write them in tests/*.md (docs/models.md).']
  const failed = tests.filter(({ outcome }) => outcome === 'failed').length
  const end =
    failed === 0
      ? `${counted(tests.length, 'test')} passed.`
      : `${failed} of ${counted(tests.length, 'test')} failed.`
  return [...tests.flatMap((test) => renderTest(test, style)), '', end]
}

function renderTest(test: CaseResult, style: Style): string[] {
  const isPassed = test.outcome === 'passed'
  const mark = isPassed ? style.green(MARKS.done) : style.red(MARKS.failed)
  const line = `${mark} ${printable(test.model)}  ${printable(test.title)}`
  if (isPassed) return [line]
  const place = `  ${style.dim(printable(test.where))}`
  if (test.error !== undefined)
    return [line, place, ...test.error.split('\n').map((text) => `  ${printable(text)}`)]
  const rows = [
    ...test.missing.map((row) => ({ sign: '-', row })),
    ...test.unexpected.map((row) => ({ sign: '+', row })),
  ]
  return [
    line,
    place,
    ...renderTable(
      [
        { title: '', align: 'left' },
        ...test.columns.map((title) => ({ title: printable(title), align: 'left' as const })),
      ],
      rows.map(({ sign, row }) => [
        sign === '-' ? style.red('- expected') : style.green('+ came'),
        ...row.map((cell) =>
          cell === null ? style.dim('NULL') : printable(cell === '' ? "''" : cell),
        ),
      ]),
      { indent: 2, title: style.dim },
    ),
  ]
}
