/** `tote show NAME`: one table or model in full. */
import type { AsOf } from '../project/moment.ts'
import { answer, startLog, toteFrom } from '../cli/answer.ts'
import { type Invocation, openReading, withProject } from '../cli/context.ts'
import type { Shown } from '../inspect/show.ts'
import { counted } from '../terminal/number.ts'
import { createStyle, MARKS, printable, type Style } from '../terminal/style.ts'
import { fitText, renderTable, type TableColumn } from '../terminal/table.ts'
import { renderMoment } from '../terminal/time.ts'
import { renderRows, renderRowsDown } from './query.ts'

export interface ShowFlags {
  readonly asOf?: AsOf
  readonly limit: number
}

export async function commandShow(
  invocation: Invocation,
  name: string,
  { limit, asOf }: ShowFlags,
): Promise<number> {
  const { surface, pipeline, flags } = invocation
  const { context, warnings } = openReading(invocation)
  const shown = await withProject(invocation, startLog(invocation), (project) =>
    pipeline.show(project, name, { limit, asOf }, context),
  )
  const tote = toteFrom(surface.env, flags)
  answer(invocation, {
    data: shown,
    lines: (style) =>
      renderShown(shown, { style, tote, now: surface.now(), width: surface.stdout.columns }),
    warnings,
  })
  return 0
}

interface ScreenOptions {
  readonly style: Style
  readonly tote: string
  readonly now: Date
  readonly width: number
}

function renderShown(shown: Shown, { style, tote, now, width }: ScreenOptions): string[] {
  const { name, kind, path, comment, key, lake, sample, sql } = shown
  const fact = (label: string, text: string): string[] =>
    text === '' ? [] : [`  ${style.dim(label.padEnd(11))}  ${text}`]
  const at =
    lake === null
      ? `${MARKS.nothing} nothing in the lake yet: ${tote} run`
      : `${counted(lake.rows, 'row')} as of batch ${lake.batch} (${renderMoment(lake.instant, now)})`
  const names = (all: readonly string[]): string => all.map(printable).join(', ')
  const notNull = shown.checks.filter(({ check }) => check.startsWith('not null('))
  const checks = shown.checks.filter((one) => !notNull.includes(one))
  return [
    `${style.bold(printable(name))}  ${kind}${path === null ? '' : `  ${style.dim(printable(path))}`}`,
    ...fact('says', printable(comment ?? '')),
    ...fact('key', names(key)),
    ...fact('lake', at),
    ...fact('reads', names(shown.reads)),
    ...fact('read by', names(shown.readBy)),
    ...fact(
      'refers to',
      names(shown.references.map(({ column, model }) => `${model} (${column})`)),
    ),
    ...fact('referred by', names(shown.referredBy)),
    '',
    ...renderColumns(shown, style, width),
    ...(shown.checks.length === 0
      ? []
      : [
          '',
          `  ${style.dim('Checks')}`,
          ...checks.map(
            ({ check, severity }) =>
              `  ${severity.padEnd(5)}  ${fitText(printable(check), Math.max(20, width - 10))}`,
          ),
          ...(notNull.length === 0
            ? []
            : [`  error  not null, of ${counted(notNull.length, 'column')}`]),
        ]),
    ...(sql === null
      ? []
      : [
          '',
          `  ${style.dim('SQL')}`,
          ...sql
            .trim()
            .split('\n')
            .map((line) => `  ${printable(line)}`),
        ]),
    ...(sample === null || sample.rows.length === 0 ? [] : renderSample(sample, style, width)),
  ]
}

/** Rows as wide as the screen, or turned round. */
function renderSample(
  sample: NonNullable<Shown['sample']>,
  style: Style,
  width: number,
): readonly string[] {
  const fits = renderRows(sample, createStyle(false)).every(
    (line) => fitText(line, width - 2) === line,
  )
  const { lines, rows } = fits
    ? { lines: renderRows(sample, style), rows: sample.rows.length }
    : renderRowsDown(sample, style, width - 2)
  const then = sample.asOf === undefined ? '' : ` as of batch ${sample.asOf.batch}`
  const isPart = sample.truncated || rows < sample.rows.length
  return [
    '',
    `  ${style.dim((isPart ? `The first ${rows === 1 ? 'row' : counted(rows, 'row')}` : 'Rows') + then)}`,
    ...lines.map((line) => `  ${line}`),
  ]
}

function renderColumns({ kind, columns }: Shown, style: Style, width: number): string[] {
  const hasFrom = columns.some(({ from }) => from !== null)
  const titles: TableColumn[] = [
    { title: 'Column', align: 'left' },
    { title: kind === 'source' ? 'in the source' : 'in the warehouse', align: 'left' },
    { title: 'in the lake', align: 'left' },
    { title: '', align: 'left' },
    ...(hasFrom ? [{ title: 'from', align: 'left' } as const] : []),
  ]
  // On a narrow screen long names give way, never the number of columns.
  const most = Math.max(12, Math.floor((width - 20) / (hasFrom ? 3 : 2)))
  const rows = columns.map(({ name, type, builtin, lake, notNull, from }) => [
    fitText(printable(name), most),
    fitText(printable(builtin === null ? type : `${type} or ${builtin}`), most),
    lake,
    notNull ? 'not null' : '',
    ...(hasFrom ? [fitText(from === null ? 'computed' : printable(from), most)] : []),
  ])
  return renderTable(titles, rows, { indent: 2, title: style.dim })
}
