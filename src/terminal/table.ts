/** Aligned tables of text. Widths are those of a terminal: wide characters count two, colour none. */
import { createRequire } from 'node:module'
import { stripVTControlCharacters } from 'node:util'

export interface TableColumn {
  readonly title: string
  readonly align: 'left' | 'right'
}

export interface TableOptions {
  /** Spaces before each line. */
  readonly indent?: number
  readonly title?: (text: string) => string
}

/** So many rows of a table a person reads; of more, a command says the rest in few. */
export const LISTED = 50

const GAP = '   '

/** The title line and one line per row; the last left-aligned column carries no trailing spaces. */
export function renderTable(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
  { indent = 0, title = (text) => text }: TableOptions = {},
): string[] {
  const widths = columns.map((column, index) =>
    rows.reduce(
      (width, row) => Math.max(width, textWidth(row[index] ?? '')),
      textWidth(column.title),
    ),
  )
  const line = (cells: readonly string[]): string => {
    const padded = columns.map(({ align }, index) => {
      const cell = cells[index] ?? ''
      const space = ' '.repeat(Math.max(0, (widths[index] ?? 0) - textWidth(cell)))
      return align === 'right' ? space + cell : cell + space
    })
    return (' '.repeat(indent) + padded.join(GAP)).trimEnd()
  }
  return [title(line(columns.map((column) => column.title))), ...rows.map(line)]
}

/** Cuts plain text to a width, the last place an ellipsis. */
export function fitText(text: string, width: number): string {
  if (textWidth(text) <= width) return text
  if (width < 1) return ''
  let kept = ''
  let used = 0
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    used += textWidth(segment)
    if (used > width - 1) break
    kept += segment
  }
  return `${kept}…`
}

/** Letters of Europe, and what we draw with: of one column each. */
const NARROW = /^[ -~\xa1-\xac\xae-\u02ff…·–→▶│─└∅✔✖●○▲•]*$/

let measure: ((text: string) => number) | undefined

/** Columns of a terminal that a text takes, colour not counted. */
export function textWidth(text: string): number {
  const plain = stripVTControlCharacters(text)
  // Most cells are that. Only for others are Unicode's tables loaded, which takes some 40 ms.
  if (NARROW.test(plain)) return plain.length
  measure ??= (createRequire(import.meta.url)('string-width') as typeof import('string-width'))
    .default
  return measure(text)
}
