/** `tote list`: sources, tables and models, with kinds, keys, rows and how fresh they are. */
import { answer, startLog, toteFrom } from '../cli/answer.ts'
import { type Invocation, openReading, withProject } from '../cli/context.ts'
import type { Listed, Standing } from '../inspect/list.ts'
import { counted, formatCount } from '../terminal/number.ts'
import { MARKS, printable, type Style } from '../terminal/style.ts'
import { fitText, LISTED, renderTable, type TableColumn } from '../terminal/table.ts'
import { renderMoment } from '../terminal/time.ts'

export interface ListFlags {
  /** Every table and model, however many. */
  readonly all?: boolean
}

export async function commandList(
  invocation: Invocation,
  { all = !invocation.surface.stdout.isTTY }: ListFlags,
): Promise<number> {
  const { surface, pipeline, flags } = invocation
  const { context, warnings } = openReading(invocation)
  const found = await withProject(invocation, startLog(invocation), (project) =>
    pipeline.list(project, context),
  )
  const tote = toteFrom(surface.env, flags)
  answer(invocation, {
    data: found,
    lines: (style) => renderList(found, { style, tote, now: surface.now(), all }),
    warnings,
  })
  return 0
}

const TABLES: readonly TableColumn[] = [
  { title: 'Table', align: 'left' },
  { title: 'key', align: 'left' },
  { title: 'columns', align: 'right' },
  { title: 'rows', align: 'right' },
  { title: 'batch', align: 'right' },
  { title: 'of', align: 'left' },
]
const MODELS: readonly TableColumn[] = [
  { title: 'Model', align: 'left' },
  { title: 'kind', align: 'left' },
  { title: 'key', align: 'left' },
  { title: 'rows', align: 'right' },
  { title: 'batch', align: 'right' },
  { title: 'of', align: 'left' },
]
const KEY_WIDTH = 30

function renderList(
  { project, sources, tables, models }: Listed,
  { style, tote, now, all }: { style: Style; tote: string; now: Date; all: boolean },
): string[] {
  const options = { indent: 2, title: style.dim }
  const waiting = sources.filter((source) => source.tables === null)
  const keyOf = (key: readonly string[]): string => fitText(printable(key.join(', ')), KEY_WIDTH)
  const some = { tables: largest(tables, all), models: largest(models, all) }
  const tableRows = some.tables.map(({ source, table, key, columns, lake }) => [
    printable(`${source}.${table}`),
    keyOf(key),
    formatCount(columns),
    ...standing(lake, now),
  ])
  const modelRows = some.models.map(({ model, kind, key, lake }) => [
    printable(model),
    kind,
    keyOf(key),
    ...standing(lake, now),
  ])
  const more = [...others('table', tables, some.tables), ...others('model', models, some.models)]
  const rows = tables.reduce((sum, { lake }) => sum + lake.rows, 0)
  return [
    style.bold(project),
    ...(tableRows.length === 0 ? [] : ['', ...renderTable(TABLES, tableRows, options)]),
    ...(modelRows.length === 0 ? [] : ['', ...renderTable(MODELS, modelRows, options)]),
    '',
    ...(more.length === 0 ? [] : [`  … and ${more.join(' and ')} (${tote} list --all)`]),
    `  ${counted(sources.length, 'source')}, ${counted(tables.length, 'table')} with ${counted(rows, 'row')}, ${counted(models.length, 'model')}`,
    ...waiting.map(
      ({ source }) => `  ${MARKS.nothing} nothing carried from ${source} yet: ${tote} run`,
    ),
  ]
}

/** Where there are very many, those with the most rows. */
function largest<T extends { readonly lake: Standing | null }>(
  listed: readonly T[],
  all: boolean,
): readonly T[] {
  if (all || listed.length <= LISTED) return listed
  return listed.toSorted((a, b) => (b.lake?.rows ?? 0) - (a.lake?.rows ?? 0)).slice(0, LISTED)
}

function others(
  what: string,
  listed: readonly { readonly lake: Standing | null }[],
  shown: readonly { readonly lake: Standing | null }[],
): string[] {
  const rest = listed.filter((one) => !shown.includes(one))
  const rows = rest.reduce((sum, { lake }) => sum + (lake?.rows ?? 0), 0)
  return rest.length === 0
    ? []
    : [`${counted(rest.length, `smaller ${what}`)} with ${counted(rows, 'row')}`]
}

function standing(lake: Standing | null, now: Date): string[] {
  if (lake === null) return ['–', '–', '']
  return [formatCount(lake.rows), formatCount(lake.batch), renderMoment(lake.instant, now)]
}
