/**
 * Tests of models as data: a Markdown file in which tables say what is given and what is expected
 * (grammar in docs/models.md). Everything else in the file is prose. Pure.
 */
import type { Problem } from '../errors.ts'
import type { TableName } from '../models/model.ts'

/** A cell: its text, or null. */
export type Cell = string | null

export interface CaseTable {
  readonly columns: readonly CaseColumn[]
  readonly rows: readonly (readonly Cell[])[]
  /** `tests/staff.md:7`, the line of its header. */
  readonly where: string
}

export interface CaseColumn {
  readonly name: string
  /** PostgreSQL's type as written behind the name, or null. */
  readonly type: string | null
}

export interface GivenTable extends CaseTable {
  readonly table: TableName
}

export interface Case {
  readonly model: string
  readonly title: string
  /** The heading's place. */
  readonly where: string
  readonly given: readonly GivenTable[]
  readonly expected: CaseTable
}

/** The columns of a table, where no lake says them. */
export interface KnownColumns {
  readonly table: TableName
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly where: string
}

export interface CaseFile {
  readonly cases: readonly Case[]
  readonly known: readonly KnownColumns[]
  readonly problems: readonly Problem[]
}

const NAME = '(?:"(?:[^"]|"")+"|[^\\s".,()|]+)'
const SECTION = new RegExp(`^(?:(given|columns)\\s+(?:(${NAME})\\.)?(${NAME})|(expect))$`, 'i')

/** Reads one file; `path` is shown in problems. */
export function parseCases(path: string, text: string): CaseFile {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  const cases: Case[] = []
  const known: KnownColumns[] = []
  const problems: Problem[] = []
  const at = (index: number): string => `${path}:${index + 1}`
  const found = (index: number, message: string): void =>
    void problems.push({ where: at(index), message })
  let model: string | null = null
  let open: (Omit<Case, 'expected' | 'given'> & { given: GivenTable[]; line: number }) | null = null
  const close = (): void => {
    if (open !== null)
      found(open.line, `"${open.title}" expects nothing; write "expect" and a table`)
    open = null
  }
  for (let index = 0; index < lines.length; index += 1) {
    const line = (lines[index] ?? '').trim()
    const heading = /^(##?)\s+(.+)$/.exec(line)
    if (heading !== null) {
      close()
      const title = plain(heading[2] ?? '')
      if (heading[1] === '#') model = title
      else if (model === null)
        found(index, `"${title}" stands below no model; write "# model" above`)
      else open = { model, title, where: at(index), given: [], line: index }
      continue
    }
    const section = SECTION.exec(plain(line))
    if (section === null) continue
    const [, word = 'expect', schema, name = ''] = section
    const start = nextText(lines, index + 1)
    const table = readTable(lines, start, at, found)
    if (table === null) {
      found(index, `"${plain(line)}" is followed by no table`)
      continue
    }
    index = table.end - 1
    const named = { schema: schema === undefined ? null : unquoted(schema), name: unquoted(name) }
    if (word.toLowerCase() === 'columns') {
      const columns = knownColumns(table)
      if (columns === null) found(start, 'has two columns: | column | type |')
      else known.push({ table: named, columns, where: table.where })
    } else if (open === null) {
      found(start, 'belongs to no test; write "## what it shows" above')
    } else if (word.toLowerCase() === 'given') {
      open.given.push({
        table: named,
        columns: table.columns,
        rows: table.rows,
        where: table.where,
      })
    } else {
      const { line: _line, ...rest } = open
      cases.push({
        ...rest,
        expected: { columns: table.columns, rows: table.rows, where: table.where },
      })
      open = null
    }
  }
  close()
  return { cases, known, problems }
}

type At = (index: number) => string
type Found = (index: number, message: string) => void

function readTable(
  lines: readonly string[],
  start: number,
  at: At,
  found: Found,
): (CaseTable & { readonly end: number }) | null {
  const isRow = (index: number): boolean => /^\s*\|/.test(lines[index] ?? '')
  if (!isRow(start) || !/^\s*\|[\s:|-]*-[\s:|-]*$/.test(lines[start + 1] ?? '')) return null
  const columns = cells(lines[start] ?? '').map(readColumn)
  const rows: Cell[][] = []
  let end = start + 2
  for (; isRow(end); end += 1) {
    const row = cells(lines[end] ?? '').map(readCell)
    if (row.length === columns.length) rows.push(row)
    else found(end, `has ${row.length} cells where the header has ${columns.length}`)
  }
  const names = columns.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) found(start, `has the column "${twice}" twice`)
  if (names.includes('')) found(start, 'has a column without a name')
  return { columns, rows, where: at(start), end }
}

/** Splits at bars that no backslash stands before. */
function cells(line: string): string[] {
  const inner = line
    .trim()
    .replace(/^\|/, '')
    .replace(/(?<!\\)\|$/, '')
  return inner.split(/(?<!\\)\|/).map((cell) => cell.replaceAll('\\|', '|').trim())
}

/** Nothing and NULL are null; quotes keep what is in them as it is. */
function readCell(cell: string): Cell {
  if (cell === '' || cell === 'NULL') return null
  return /^'.*'$/s.test(cell) && cell.length > 1 ? cell.slice(1, -1).replaceAll("''", "'") : cell
}

function readColumn(cell: string): CaseColumn {
  const parts = new RegExp(`^(${NAME})(?:\\s+(.+))?$`).exec(cell)
  return parts === null
    ? { name: cell, type: null }
    : { name: unquoted(parts[1] ?? ''), type: parts[2] ?? null }
}

function knownColumns({ rows, columns }: CaseTable): KnownColumns['columns'] | null {
  if (columns.length !== 2) return null
  const read = rows.flatMap(([name, type]) =>
    typeof name === 'string' && typeof type === 'string' ? [{ name, type }] : [],
  )
  return read.length === rows.length ? read : null
}

/** Without the marks of Markdown, and a colon at the end. */
function plain(line: string): string {
  return line.replace(/[`*]/g, '').replace(/:$/, '').trim()
}

function nextText(lines: readonly string[], from: number): number {
  let index = from
  while (index < lines.length && (lines[index] ?? '').trim() === '') index += 1
  return index
}

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name
}
