/** The figures as text: for the terminal, and as Markdown for docs/benchmarks.md. Pure. */
import { renderTable, type TableColumn } from '../src/terminal/table.ts'
import { medianOf, type Goal, type Judged, type Unit } from './figures.ts'

const COLUMNS: readonly TableColumn[] = [
  { title: 'what', align: 'left' },
  { title: 'median', align: 'right' },
  { title: 'least – greatest', align: 'right' },
  { title: 'n', align: 'right' },
  { title: 'limit beside it', align: 'left' },
  { title: 'ratio', align: 'right' },
  { title: 'goal', align: 'left' },
  { title: '', align: 'left' },
]

export function renderFigures(figures: readonly Judged[]): string[] {
  return renderTable(COLUMNS, figures.map(cellsOf))
}

export function renderMarkdown(figures: readonly Judged[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [
    line(COLUMNS.map(({ title }) => title)),
    line(COLUMNS.map(({ align }) => (align === 'right' ? '--:' : '---'))),
    ...figures.map((figure) => line(cellsOf(figure))),
  ]
}

function cellsOf({ what, unit, samples, limit, goal, ...judged }: Judged): string[] {
  const { median, least, greatest, ratio, met } = judged
  return [
    what,
    `${number(median, unit)} ${unit}`,
    samples.length === 1 ? '' : `${number(least, unit)} – ${number(greatest, unit)}`,
    String(samples.length),
    limit === undefined ? '' : `${limit.what}: ${number(medianOf(limit.samples), unit)} ${unit}`,
    ratio === null ? '' : ratioText(ratio, limit?.as ?? 'times'),
    goal === undefined ? '' : goalText(goal, unit, limit?.as ?? 'times'),
    met === null ? '' : met ? 'met' : 'NOT MET',
  ]
}

function goalText({ of, is, bound }: Goal, unit: Unit, as: 'times' | 'share'): string {
  const sign = is === 'at most' ? '≤' : '≥'
  return of === 'ratio' ? `${sign} ${ratioText(bound, as)}` : `${sign} ${bound} ${unit}`
}

function ratioText(ratio: number, as: 'times' | 'share'): string {
  return as === 'times' ? `${ratio.toFixed(ratio < 2 ? 2 : 1)} ×` : ratio.toFixed(2)
}

function number(value: number, unit: Unit): string {
  if (unit === 's') return value.toFixed(value < 1 ? 3 : 2)
  if (unit === 'ms') return value.toFixed(value < 10 ? 1 : 0)
  return Math.round(value).toLocaleString('en')
}
