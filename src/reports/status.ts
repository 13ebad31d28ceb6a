/**
 * `tote status`: the last runs, how fresh each table is, and what the warehouse has not loaded yet. With
 * `--check` also whether all of that is as it should be, for whoever watches it from outside.
 */
import { join } from 'node:path'
import { counted, formatChange, formatCount } from '../terminal/number.ts'
import { changedRows } from '../terminal/progress.ts'
import { listRuns, type RunRecord } from '../observability/run-history.ts'
import { projectTitle } from '../terminal/title.ts'
import { MARKS, printable, type Style } from '../terminal/style.ts'
import { LISTED, renderTable, type TableColumn } from '../terminal/table.ts'
import { renderDuration, renderMoment } from '../terminal/time.ts'
import type { Status, StatusTable } from '../inspect/status.ts'
import type { Stage } from '../types.ts'
import { answer, startLog, toteFrom } from '../cli/answer.ts'
import { type Invocation, openReading, withProject } from '../cli/context.ts'

const SHOWN_RUNS = 5
/** Enough to find the last good run after an evening of failures. */
const READ_RUNS = 50

export interface StatusFlags {
  readonly check?: boolean
  /** Every table, however many. */
  readonly all?: boolean
  /** Milliseconds; says that it is to be checked. */
  readonly maxAge?: number
}

/** How far behind a table may be when nobody says. */
const MAX_AGE = 3_600_000

/** Returns the exit code: 5 when a check was asked for and finds something. */
export async function commandStatus(
  invocation: Invocation,
  { maxAge, check = maxAge !== undefined, all = !invocation.surface.stdout.isTTY }: StatusFlags,
): Promise<number> {
  const { surface, pipeline, flags } = invocation
  const { context, warnings } = openReading(invocation)
  const { found, history } = await withProject(
    invocation,
    startLog(invocation),
    async (project) => ({
      found: await pipeline.status(project, context),
      history: await listRuns(join(project.stateFolder, 'runs'), READ_RUNS),
    }),
  )
  const tables = found.tables.map((table) => ({ ...table, freshTo: freshTo(table, history) }))
  const runs = history.slice(0, SHOWN_RUNS)
  const shown: Shown = { ...found, tables, runs }
  const now = surface.now()
  const limits = { now, maxAge: maxAge ?? MAX_AGE }
  const findings = check ? findAmiss(shown, history, limits) : []
  const tote = toteFrom(surface.env, flags)
  answer(invocation, {
    data: { ...shown, ...(check ? { check: { maxAgeMs: limits.maxAge, findings } } : {}) },
    lines: (style) => [
      ...renderStatus(shown, { style, now, tote, all }),
      ...(check ? renderFindings(findings, { ...limits, all }, style) : []),
    ],
    warnings,
  })
  return findings.length === 0 ? 0 : FOUND
}

/** The exit code of every difference that was found. */
const FOUND = 5

interface Amiss {
  readonly what: 'run' | 'table' | 'warehouse'
  readonly where: string
  readonly message: string
}

/** The last run that ended went wrong, the warehouse cannot be asked, nothing is there, or a table is late. Pure. */
function findAmiss(
  { project, tables, warehouse }: Shown,
  history: readonly RunRecord[],
  { now, maxAge }: { readonly now: Date; readonly maxAge: number },
): Amiss[] {
  // One that only found another under way says nothing.
  const last = history.find(
    ({ summary }) => summary !== undefined && summary.error?.name !== 'RunLocked',
  )
  const outcome = last?.summary?.outcome
  const error = last?.summary?.error
  const failed = outcome === 'failed' || outcome === 'cancelled'
  const late = tables.filter((table) => now.getTime() - Date.parse(table.freshTo) > maxAge)
  return [
    ...(last !== undefined && failed
      ? [
          {
            what: 'run' as const,
            where: last.run,
            message: error === undefined ? outcome : `${outcome}: ${error.name}`,
          },
        ]
      : []),
    ...(warehouse === null
      ? []
      : [{ what: 'warehouse' as const, where: project, message: warehouse.name }]),
    ...(tables.length === 0
      ? [{ what: 'table' as const, where: project, message: 'nothing carried yet' }]
      : []),
    ...late.map(({ chain, table, kind, freshTo: moment }) => ({
      what: 'table' as const,
      where: kind === 'source' ? `${chain}.${table}` : table,
      message: `${renderDuration(now.getTime() - Date.parse(moment))} behind`,
    })),
  ]
}

function renderFindings(
  findings: readonly Amiss[],
  { maxAge, all }: { readonly maxAge: number; readonly all: boolean },
  style: Style,
): string[] {
  const limit = `at most ${renderDuration(maxAge)} behind`
  const shown = all ? findings : findings.slice(0, LISTED)
  if (findings.length === 0) return [`  ${style.green(MARKS.done)} every table is ${limit}`]
  return [
    `  ${style.red(MARKS.failed)} not as it should be (tables ${limit})`,
    ...shown.map(
      ({ what, where, message }) => `    ${what} ${printable(where)}: ${printable(message)}`,
    ),
    ...(findings.length > shown.length
      ? [`    … and ${formatCount(findings.length - shown.length)} more`]
      : []),
  ]
}

interface Shown extends Status {
  readonly tables: readonly (StatusTable & { readonly freshTo: string })[]
  readonly runs: readonly RunRecord[]
}

/**
 * Up to when a table is complete: its newest batch, or a later run that looked and found no change.
 * A model also needs that run's other stages.
 */
function freshTo(table: StatusTable, history: readonly RunRecord[]): string {
  const needed: readonly Stage[] =
    table.kind === 'source' ? ['extract'] : ['extract', 'transform', 'load']
  const confirming = history.find(({ summary }) =>
    needed.every((stage) =>
      summary?.stages.some((one) => one.stage === stage && one.outcome !== 'failed'),
    ),
  )
  const confirmed = confirming?.summary?.startedAt ?? ''
  return confirmed > table.instant ? confirmed : table.instant
}

/** The screen: runs, tables, and where the warehouse stands. */
function renderStatus(
  found: Shown,
  { style, now, tote, all }: { style: Style; now: Date; tote: string; all: boolean },
): string[] {
  const { runs } = found
  const indent = { indent: 2, title: style.dim }
  const runRows = runs.map((record) => runRow(record, style, now))
  const isCut = !all && found.tables.length > LISTED
  const lines = isCut ? alike(found.tables) : found.tables.map(lineOf)
  const tableRows = lines.map(({ name, kind, batch, freshTo: moment, rows }) => [
    printable(name),
    kind,
    formatCount(batch),
    renderMoment(moment, now),
    renderDuration(Math.max(0, now.getTime() - Date.parse(moment))),
    formatCount(rows),
  ])
  return [
    style.bold(projectTitle(found)),
    ...(runs.length === 0 ? [] : ['', ...renderTable(RUN_COLUMNS, runRows, indent)]),
    ...(tableRows.length === 0 ? [] : ['', ...renderTable(TABLE_COLUMNS, tableRows, indent)]),
    '',
    `  ${standing(found, style, now)}`,
    ...(isCut ? [`  ${tote} status --all lists each table`] : []),
    ...((found.pending ?? 0) > 0 ? [`  ${tote} run --only load`] : []),
    ...(found.tables.length === 0 ? [`  ${tote} run`] : []),
  ]
}

type Line = Pick<Shown['tables'][number], 'batch' | 'freshTo' | 'rows'> & {
  readonly name: string
  readonly kind: string
}

function lineOf({ chain, table, kind, modelIsGone, ...rest }: Shown['tables'][number]): Line {
  return {
    ...rest,
    name: kind === 'source' ? `${chain}.${table}` : table,
    kind: modelIsGone === true ? `${kind}, no model` : kind,
  }
}

/** Tables of one chain, one kind and one moment together, those that are furthest behind first. */
function alike(tables: Shown['tables']): Line[] {
  const groups = new Map<string, { readonly chain: string; readonly lines: Line[] }>()
  for (const table of tables) {
    const line = lineOf(table)
    const id = JSON.stringify([table.chain, line.kind, line.batch, line.freshTo])
    const group = groups.get(id) ?? { chain: table.chain, lines: [] }
    group.lines.push(line)
    groups.set(id, group)
  }
  return [...groups.values()]
    .flatMap(({ chain, lines }): Line[] => {
      const [first] = lines
      if (first === undefined || lines.length === 1) return lines
      const rows = lines.reduce((sum, line) => sum + line.rows, 0)
      return [{ ...first, name: `${counted(lines.length, 'table')} of ${chain}`, rows }]
    })
    .toSorted((a, b) => (a.freshTo < b.freshTo ? -1 : a.freshTo > b.freshTo ? 1 : 0))
}

export const RUN_COLUMNS: readonly TableColumn[] = [
  { title: 'Run', align: 'left' },
  { title: 'started', align: 'left' },
  { title: 'took', align: 'right' },
  { title: 'changes', align: 'right' },
  { title: 'loaded', align: 'right' },
  { title: 'outcome', align: 'left' },
]

const TABLE_COLUMNS: readonly TableColumn[] = [
  { title: 'Table', align: 'left' },
  { title: 'kind', align: 'left' },
  { title: 'batch', align: 'right' },
  { title: 'fresh to', align: 'left' },
  { title: 'behind', align: 'right' },
  { title: 'rows', align: 'right' },
]

export function runRow({ run, startedAt, summary }: RunRecord, style: Style, now: Date): string[] {
  const started = renderMoment(startedAt, now)
  if (summary === undefined)
    return [run, started, '–', '–', '–', `${MARKS.waiting} under way, or killed`]
  const changes = summary.tables.reduce((rows, table) => rows + changedRows(table), 0)
  const loaded = summary.warehouse.reduce(
    (rows, table) => rows + table.rowsLoaded + table.rowsDeleted,
    0,
  )
  return [
    run,
    started,
    renderDuration(summary.ms),
    formatChange(changes),
    formatChange(loaded),
    outcomeOf(summary, style),
  ]
}

function outcomeOf(summary: NonNullable<RunRecord['summary']>, style: Style): string {
  if (summary.outcome === 'succeeded') return `${style.green(MARKS.done)} succeeded`
  if (summary.outcome === 'nothing to do') return `${MARKS.nothing} nothing to do`
  const name = summary.error === undefined ? '' : `, ${summary.error.name}`
  return `${style.red(MARKS.failed)} ${summary.outcome}${name}`
}

function standing(
  { ledger, pending, tables, warehouse, untransformed }: Status,
  style: Style,
  now: Date,
): string {
  if (pending === null) {
    const why = warehouse === null ? '' : `: ${warehouse.name}  ${printable(warehouse.message)}`
    return `${style.red(MARKS.failed)} where the warehouse stands is not known${why}`
  }
  if (tables.length === 0) return `${MARKS.nothing} nothing carried yet`
  const at =
    ledger === null
      ? 'the warehouse is empty'
      : `the warehouse is at batch ${ledger.batch} (${renderMoment(ledger.instant, now)})`
  if (untransformed > 0)
    return `${style.yellow(MARKS.warning)} ${at}, ${formatCount(untransformed)} extracted ${untransformed === 1 ? 'batch waits' : 'batches wait'} to be transformed`
  if (pending === 0) return `${style.green(MARKS.done)} ${at}, nothing left to load`
  return `${style.yellow(MARKS.warning)} ${at}, ${formatCount(pending)} ${pending === 1 ? 'batch' : 'batches'} not loaded yet`
}
