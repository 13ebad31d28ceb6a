/**
 * `tote query`: one read-only statement on the lake or the warehouse, as a table for people, as CSV
 * (RFC 4180) or JSON for programs. NULL is never taken for text: `∅` here, an unquoted nothing in CSV.
 */
import { ToteError } from '../errors.ts'
import { counted } from '../terminal/number.ts'
import { MARKS, printable, type Style } from '../terminal/style.ts'
import { fitText, renderTable } from '../terminal/table.ts'
import type { AsOf } from '../project/moment.ts'
import type { QueryResult } from '../inspect/query.ts'
import { answer, startLog, styleOf, writeLines } from '../cli/answer.ts'
import { type Invocation, openReading, withProject } from '../cli/context.ts'

export interface QueryFlags {
  readonly warehouse?: boolean
  readonly limit: number
  readonly csv?: boolean
  readonly asOf?: AsOf
}

type Cell = QueryResult['rows'][number][number]

const NULL_SIGN = '∅'
const CELL_WIDTH = 80

export async function commandQuery(
  invocation: Invocation,
  statement: string,
  flags: QueryFlags,
): Promise<number> {
  const { surface, pipeline } = invocation
  if (flags.csv === true && invocation.flags.json) {
    throw new ToteError('UsageInvalid', 'An answer is either --csv or --json', {
      fix: 'leave one of them out',
    })
  }
  const sql = statement === '-' ? await surface.readInput() : statement
  if (sql.trim() === '')
    throw new ToteError('UsageInvalid', 'The query is empty', { fix: 'tote query "select 1"' })
  const { context, warnings } = openReading(invocation)
  const on = flags.warehouse === true ? 'warehouse' : 'lake'
  const result = await withProject(invocation, startLog(invocation), (project) =>
    pipeline.query(project, sql, { on, limit: flags.limit, asOf: flags.asOf }, context),
  )
  if (flags.csv === true) surface.stdout.write(renderCsv(result))
  else answer(invocation, { data: result, lines: (style) => renderRows(result, style), warnings })
  writeLines(surface.stderr, afterword(invocation, result, flags))
  return 0
}

/** Header, types and rows; numbers to the right, control characters written out, long values cut. */
export function renderRows({ columns, rows }: QueryResult, style: Style): string[] {
  if (columns.length === 0) return []
  const titles = columns.map(({ name, type }) => ({
    title: printable(name),
    align: isNumber(type) ? ('right' as const) : ('left' as const),
  }))
  const [title = '', types = '', ...lines] = renderTable(titles, [
    columns.map(({ type }) => style.dim(printable(type))),
    ...rows.map((row) => row.map((cell) => renderCell(cell, style))),
  ])
  return [style.bold(title), types, ...lines]
}

/**
 * The same turned round, for rows that are wider than a screen: a line a column, and as many of the first rows
 * as have room beside each other, at least one.
 */
export function renderRowsDown(
  { columns, rows }: QueryResult,
  style: Style,
  width: number,
): { readonly lines: readonly string[]; readonly rows: number } {
  const most = Math.max(12, Math.floor(width / 3))
  const names = columns.map(({ name }) => fitText(printable(name), most))
  const room = width - names.reduce((widest, name) => Math.max(widest, name.length), 0)
  const shown = rows.slice(0, Math.max(1, Math.floor(room / DOWN)))
  const each = Math.max(DOWN, Math.floor(room / Math.max(1, shown.length))) - 3
  const cell = (value: Cell): string =>
    value === null ? style.dim(NULL_SIGN) : fitText(renderCell(value, style), each)
  const [, ...lines] = renderTable(
    [undefined, ...shown].map(() => ({ title: '', align: 'left' }) as const),
    names.map((name, index) => [style.bold(name), ...shown.map((row) => cell(row[index] ?? null))]),
  )
  return { lines, rows: shown.length }
}

/** Characters of a row's column, the gap before it included. */
const DOWN = 20

/** CRLF line ends; an empty text is `""`, NULL is nothing at all. */
export function renderCsv({ columns, rows }: QueryResult): string {
  const line = (cells: readonly Cell[]): string => `${cells.map(renderCsvCell).join(',')}\r\n`
  return [columns.map((column) => column.name), ...rows].map(line).join('')
}

function renderCsvCell(cell: Cell): string {
  if (cell === null) return ''
  const text = String(cell)
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function renderCell(cell: Cell, style: Style): string {
  if (cell === null) return style.dim(NULL_SIGN)
  if (typeof cell !== 'string') return String(cell)
  // A text that is the sign itself is the only one shown in quotes.
  return cell === NULL_SIGN ? `"${NULL_SIGN}"` : fitText(printable(cell), CELL_WIDTH)
}

function isNumber(type: string): boolean {
  return /^(u?(tiny|small|big|huge)?int(eger)?\d*|decimal|numeric|real|double( precision)?|float\d*)\b(?!.*\[)/i.test(
    type,
  )
}

/** Said on stderr: how many rows, and, whatever was asked for, when there are more. */
function afterword(
  invocation: Invocation,
  { rows, truncated, environment, asOf, latestOnly = [] }: QueryResult,
  { csv, limit }: QueryFlags,
): string[] {
  const { json, quiet } = invocation.flags
  const style = styleOf(invocation, 'stderr')
  const isTable = csv !== true && !json
  const isCut =
    isTable &&
    rows.some((row) =>
      row.some((cell) => typeof cell === 'string' && printable(cell).length > CELL_WIDTH),
    )
  const count = counted(rows.length, 'row')
  const more = `${style.yellow(MARKS.warning)} the first ${count} of more; --limit ${limit * 10} shows more`
  return [
    ...(isTable && !quiet && environment !== undefined
      ? [style.dim(`environment ${environment}`)]
      : []),
    ...(isTable && !quiet && asOf !== undefined
      ? [style.dim(`as of batch ${asOf.batch} (${asOf.instant})`)]
      : []),
    ...(latestOnly.length === 0 || quiet
      ? []
      : [
          `${style.yellow(MARKS.warning)} ${latestOnly.join(', ')}: the warehouse keeps the latest values only; the lake has them as of the batch`,
        ]),
    ...(truncated ? [more] : []),
    ...(isTable && !quiet && !truncated ? [style.dim(`(${count})`)] : []),
    ...(isCut
      ? [
          style.dim(
            `(values are cut at ${CELL_WIDTH} characters; --csv and --json show them whole)`,
          ),
        ]
      : []),
  ]
}
