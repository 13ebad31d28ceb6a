/**
 * The screen that ends a run. Its numbers add up by themselves: rows in the source beside rows in the
 * lake, rows in the lake beside rows in the warehouse, counted apart, with a mark where they differ.
 */
import type {
  ModelSummary,
  RebuildSummary,
  RebuiltTable,
  RunSummary,
  SourceTableSummary,
  WarehouseTableSummary,
  Way,
} from '../events.ts'
import { renderDuration, renderMoment } from './time.ts'
import { counted, formatChange, formatCount } from './number.ts'
import { changedRows } from './progress.ts'
import { MARKS, printable, type Style } from './style.ts'
import { projectTitle } from './title.ts'
import { LISTED, renderTable, type TableColumn } from './table.ts'
import { verifiedTables } from './verified.ts'

export interface SummaryOptions {
  readonly style: Style
  readonly now: Date
  /** Whether keys may be shown: on a person's own terminal, never in a log (P10). */
  readonly ownTerminal?: boolean
  /** What starts a command that goes on from here: `tote`, `npx tote -C examples/totesys`. */
  readonly tote: string
}

/** The lines of the summary, the first one the outcome. */
export function renderSummary(summary: RunSummary, options: SummaryOptions): string[] {
  const { style } = options
  const blocks = [
    [headline(summary, style)],
    sourceTables(summary.tables, style),
    summary.rebuild === undefined ? [] : rebuiltTables(summary.rebuild, options),
    summary.rebuild !== undefined
      ? []
      : summary.warehouse.length > 0
        ? warehouseTables(summary, style)
        : modelTables(
            summary.models.filter((model) => changedRows(model) > 0),
            style,
          ),
    verifiedTables(summary.verified ?? [], { style, ownTerminal: options.ownTerminal ?? false }),
    footer(summary, options),
    summary.outcome === 'succeeded' && summary.dryRun === undefined
      ? nextSteps(summary, options)
      : [],
  ]
  return blocks
    .filter((block) => block.length > 0)
    .flatMap((block, index) => (index === 0 ? block : ['', ...block]))
}

function headline(summary: RunSummary, style: Style): string {
  const took = renderDuration(summary.ms)
  const isDry = summary.dryRun !== undefined
  const name = `${projectTitle(summary)} · ${isDry ? 'dry run' : `run ${summary.run}`}`
  switch (summary.outcome) {
    case 'succeeded':
      if (isDry)
        return `${style.green(MARKS.done)} ${style.bold(name)} in ${took}: this is what a run would do; nothing was written`
      return `${style.green(MARKS.done)} ${style.bold(name)} succeeded in ${took}`
    case 'nothing to do': {
      const rows = summary.tables.reduce((sum, table) => sum + table.rowsInLake, 0)
      const seen =
        summary.tables.length === 0
          ? ''
          : ` · ${counted(summary.tables.length, 'table')}, ${counted(rows, 'row')} unchanged`
      return `${style.green(MARKS.nothing)} ${style.bold(name)} nothing to do, in ${took}${seen}`
    }
    case 'failed':
      return `${style.red(MARKS.failed)} ${style.bold(name)} failed after ${took}`
    case 'cancelled':
      return `${style.red(MARKS.failed)} ${style.bold(name)} interrupted after ${took}`
  }
}

function sourceTables(tables: readonly SourceTableSummary[], style: Style): string[] {
  const changed = tables.filter((table) => changedRows(table) > 0 || !countsAgree(table))
  if (changed.length === 0) return []
  const still = tables.filter((table) => !changed.includes(table))
  const row = (name: string, of: readonly SourceTableSummary[]): string[] => {
    const sum = total(of)
    const before = sum('rowsInLake') - sum('inserted') + sum('deleted')
    const inSource = of.reduce<number | null>(
      (rows, { rowsInSource }) =>
        rows === null || rowsInSource === null ? null : rows + rowsInSource,
      0,
    )
    return [
      name,
      formatCount(before),
      formatChange(sum('inserted')),
      formatChange(sum('updated')),
      formatChange(sum('deleted')),
      formatCount(sum('rowsInLake')),
      inSource === null ? 'not counted' : formatCount(inSource),
      inSource === null ? '' : agreement(of.every(countsAgree), style),
    ]
  }
  const columns = [
    text('Source table'),
    ...['before', 'inserted', 'updated', 'deleted', 'in lake', 'in source'].map(number),
    text(''),
  ]
  return renderTable(
    columns,
    [
      ...changed.map((table) => row(printable(`${table.source}.${table.table}`), [table])),
      ...(still.length === 0 ? [] : [row(`${counted(still.length, 'other')} unchanged`, still)]),
      ...(tables.length > 1 ? [row('all', tables)] : []),
    ],
    { indent: 2, title: style.dim },
  )
}

/** What a cursor has read in part cannot disagree: nobody has counted the rest. */
function countsAgree({ rowsInSource, rowsInLake }: SourceTableSummary): boolean {
  return rowsInSource === null || rowsInSource === rowsInLake
}

function warehouseTables({ warehouse, models }: RunSummary, style: Style): string[] {
  const inLake = new Map(models.map((model) => [model.model, model.rowsInLake]))
  const written = (table: WarehouseTableSummary): number => table.rowsLoaded + table.rowsDeleted
  const agrees = (table: WarehouseTableSummary): boolean =>
    (inLake.get(table.table) ?? table.rowsCurrent) === table.rowsCurrent
  const changed = warehouse.filter((table) => written(table) > 0 || !agrees(table))
  if (changed.length === 0) return []
  const still = warehouse.filter((table) => !changed.includes(table))
  const row = (name: string, kind: string, of: readonly WarehouseTableSummary[]): string[] => {
    const sum = total(of)
    const known = of.every((table) => inLake.has(table.table))
    return [
      name,
      kind,
      formatChange(sum('rowsLoaded')),
      formatChange(sum('rowsDeleted')),
      formatCount(sum('rowsCurrent')),
      known
        ? formatCount(of.reduce((rows, table) => rows + (inLake.get(table.table) ?? 0), 0))
        : '',
      known ? agreement(of.every(agrees), style) : '',
    ]
  }
  const columns = [
    text('Warehouse table'),
    text('kind'),
    ...['loaded', 'deleted', 'current', 'in lake'].map(number),
    text(''),
  ]
  return renderTable(
    columns,
    [
      ...changed.map((table) => row(table.table, table.kind, [table])),
      ...(still.length === 0
        ? []
        : [row(`${counted(still.length, 'other')} unchanged`, '', still)]),
      ...(warehouse.length > 1 ? [row('all', '', warehouse)] : []),
    ],
    { indent: 2, title: style.dim },
  )
}

const REBUILT: Readonly<Record<RebuildSummary['outcome'], (schema: string) => string>> = {
  switched: () => 'the new star is live',
  built: (schema) => `the new star is in schema ${schema}; the live one was not touched`,
  compared: () => 'a dry run: nothing was changed',
}

function rebuiltTables(
  { outcome, schema, from, to, tables }: RebuildSummary,
  { style, now }: SummaryOptions,
): string[] {
  const stood =
    from === null
      ? 'there was none before'
      : from.batch === to.batch
        ? 'as the live one'
        : `the live one was at batch ${from.batch} (${renderMoment(from.instant, now)})`
  const isEqual = ({ shape, rowsLive, rowsRebuilt, rowsEqual }: RebuiltTable): boolean =>
    shape === 'same' && rowsLive === rowsEqual && rowsRebuilt === rowsEqual
  const row = (
    name: string,
    kind: string,
    of: readonly [RebuiltTable, ...RebuiltTable[]],
  ): string[] => {
    const sum = total(of)
    const [{ shape }] = of
    const live = of.reduce((rows, { rowsLive }) => rows + (rowsLive ?? 0), 0)
    return [
      name,
      kind,
      of.every(({ rowsLive }) => rowsLive === null) ? '' : formatCount(live),
      formatCount(sum('rowsRebuilt')),
      shape === 'same' ? formatCount(sum('rowsEqual')) : '',
      shape === 'absent'
        ? 'new'
        : shape === 'differs'
          ? `${style.yellow(MARKS.warning)} other columns or key`
          : agreement(of.every(isEqual), style),
    ]
  }
  // Of very many, those that are as they should be are summed up.
  const few = tables.length <= LISTED
  const [equal, fresh, others] = [
    few ? [] : tables.filter(isEqual),
    few ? [] : tables.filter(({ shape }) => shape === 'absent'),
    few ? tables : tables.filter((one) => !isEqual(one) && one.shape !== 'absent'),
  ]
  const summed = (of: readonly RebuiltTable[], what: string): string[][] => {
    const [first, ...more] = of
    return first === undefined
      ? []
      : [row(`${counted(of.length, 'table')} ${what}`, '', [first, ...more])]
  }
  const rows = [
    ...others.map((one) => row(one.table, one.kind, [one])),
    ...summed(fresh, 'new'),
    ...summed(equal, 'equal'),
  ]
  return [
    ...renderTable(
      [
        text('Warehouse table'),
        text('kind'),
        ...['live', 'rebuilt', 'equal'].map(number),
        text(''),
      ],
      rows,
      { indent: 2, title: style.dim },
    ),
    '',
    `  at batch ${to.batch} (${renderMoment(to.instant, now)}), ${stood}; ${REBUILT[outcome](schema)}`,
  ]
}

/** For a run that did not load. */
function modelTables(models: readonly ModelSummary[], style: Style): string[] {
  if (models.length === 0) return []
  return renderTable(
    [text('Model'), text('kind'), ...['inserted', 'updated', 'deleted', 'in lake'].map(number)],
    models.map((model) => [
      model.model,
      model.kind,
      formatChange(model.inserted),
      formatChange(model.updated),
      formatChange(model.deleted),
      formatCount(model.rowsInLake),
    ]),
    { indent: 2, title: style.dim },
  )
}

/** How models came to their rows; after an outage one may have gone several ways. */
const WAYS: Readonly<Record<Way, string>> = {
  full: 'evaluated in full',
  driven: 'for changed rows only',
  skipped: 'skipped',
}

function footer(summary: RunSummary, { style, now, tote }: SummaryOptions): string[] {
  const stages = summary.stages.map(
    ({ stage, ms, outcome }) =>
      `${stage} ${renderDuration(ms)}${outcome === 'failed' ? ` ${MARKS.failed}` : ''}`,
  )
  const { ingestion, processed, warehouse } = summary.batches
  const { dryRun } = summary
  const standing = Object.entries(
    dryRun === undefined ? { ...ingestion, 'star schema': processed, warehouse } : { warehouse },
  ).flatMap(([name, mark]) =>
    mark === null ? [] : [`${name} batch ${mark.batch} (${renderMoment(mark.instant, now)})`],
  )
  const batchesToLoad = dryRun?.batchesToLoad ?? null
  const batches = [
    ...standing,
    ...(batchesToLoad === null
      ? []
      : [`${batchesToLoad} ${batchesToLoad === 1 ? 'batch' : 'batches'} to load`]),
  ]
  const ways = (['full', 'driven', 'skipped'] as const).flatMap((way) => {
    const models = summary.models.filter((model) => model.ways[way] > 0).length
    return models === 0 ? [] : [`${models} ${WAYS[way]}`]
  })
  const warnings =
    summary.warnings === 0
      ? []
      : [`${style.yellow(MARKS.warning)} ${counted(summary.warnings, 'warning')}`]
  const always = summary.standing?.length ?? 0
  if (always > 0)
    warnings.push(`${counted(always, 'warning')} as in every run, see ${tote} check --live`)
  return [
    ...(stages.length === 0 ? [] : [`  ${stages.join(' · ')}`]),
    ...(ways.length === 0 ? [] : [`  models: ${ways.join(', ')}`]),
    ...(batches.length === 0 ? [] : [`  ${batches.join(' · ')}`]),
    ...warnings.map((line) => `  ${line}`),
  ]
}

function nextSteps({ warehouse }: RunSummary, { style, tote }: SummaryOptions): string[] {
  const facts = warehouse.filter((table) => table.kind === 'fact')
  const shown = (facts.length > 0 ? facts : warehouse).toSorted(
    (a, b) => b.rowsCurrent - a.rowsCurrent,
  )[0]
  const query =
    shown === undefined
      ? []
      : [`  ${tote} query --warehouse "select * from ${shown.table} limit 5"`]
  return [style.dim('Next'), `  ${tote} status`, ...query]
}

function total<T>(
  of: readonly T[],
): (count: keyof { [K in keyof T as T[K] extends number ? K : never]: 0 }) => number {
  return (count) => of.reduce((sum, one) => sum + Number(one[count as keyof T]), 0)
}

function agreement(agree: boolean, style: Style): string {
  return agree ? style.green(MARKS.done) : `${style.red(MARKS.failed)} differ`
}

function text(title: string): TableColumn {
  return { title, align: 'left' }
}

function number(title: string): TableColumn {
  return { title, align: 'right' }
}
