/** `tote list`: sources, tables and models, with kinds, keys, rows and how fresh they are. */
import { answer, startLog, toteFrom } from '../cli/answer.ts'
import { type Invocation, openReading, withProject } from '../cli/context.ts'
import type { Listed, Standing } from '../inspect/list.ts'
import { counted, formatCount } from '../terminal/number.ts'
import { MARKS, printable, type Style } from '../terminal/style.ts'
import { fitText, renderTable, type TableColumn } from '../terminal/table.ts'
import { renderMoment } from '../terminal/time.ts'

export async function commandList(invocation: Invocation): Promise<number> {
  const { surface, pipeline, flags } = invocation
  const { context, warnings } = openReading(invocation)
  const found = await withProject(invocation, startLog(invocation), (project) =>
    pipeline.list(project, context),
  )
  const tote = toteFrom(surface.env, flags)
  answer(invocation, {
    data: found,
    lines: (style) => renderList(found, { style, tote, now: surface.now() }),
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
  { style, tote, now }: { style: Style; tote: string; now: Date },
): string[] {
  const options = { indent: 2, title: style.dim }
  const waiting = sources.filter((source) => source.tables === null)
  const keyOf = (key: readonly string[]): string => fitText(printable(key.join(', ')), KEY_WIDTH)
  const tableRows = tables.map(({ source, table, key, columns, lake }) => [
    printable(`${source}.${table}`),
    keyOf(key),
    formatCount(columns),
    ...standing(lake, now),
  ])
  const modelRows = models.map(({ model, kind, key, lake }) => [
    printable(model),
    kind,
    keyOf(key),
    ...standing(lake, now),
  ])
  const rows = tables.reduce((sum, { lake }) => sum + lake.rows, 0)
  return [
    style.bold(project),
    ...(tableRows.length === 0 ? [] : ['', ...renderTable(TABLES, tableRows, options)]),
    ...(modelRows.length === 0 ? [] : ['', ...renderTable(MODELS, modelRows, options)]),
    '',
    `  ${counted(sources.length, 'source')}, ${counted(tables.length, 'table')} with ${counted(rows, 'row')}, ${counted(models.length, 'model')}`,
    ...waiting.map(
      ({ source }) => `  ${MARKS.nothing} nothing carried from ${source} yet: ${tote} run`,
    ),
  ]
}

function standing(lake: Standing | null, now: Date): string[] {
  if (lake === null) return ['–', '–', '']
  return [formatCount(lake.rows), formatCount(lake.batch), renderMoment(lake.instant, now)]
}
