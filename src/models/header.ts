/**
 * A model's text: the leading `-- name: value` lines (grammar in docs/models.md) and the `select`
 * below them. Everything that is wrong with a header is found at once, with its line.
 */
import { nearestName, type Problem } from '../errors.ts'
import { keepsVersions, type ModelKind, type Reference } from '../types.ts'
import { meant } from './finding.ts'
import type { Check, ModelText, TableName } from './model.ts'
import { canonicalPostgresType, TYPE_NAMES } from './types.ts'

export interface ParsedModel {
  /** Absent when the header has problems. */
  readonly model?: ModelText
  readonly problems: readonly Problem[]
}

/** The lines a header may have. */
export const HEADER_NAMES = [
  'kind',
  'key',
  'record id',
  'nullable',
  'references',
  'types',
  'unique',
  'check',
  'check warn',
  'comment',
  'driven by',
  'history',
] as const

type HeaderName = (typeof HEADER_NAMES)[number]

interface Entry {
  readonly name: HeaderName
  value: string
  readonly line: number
}

const KINDS: readonly ModelKind[] = ['dimension', 'fact', 'table']
/** A comma at the end of these goes on in the next line. */
const LISTS: readonly HeaderName[] = ['key', 'nullable', 'references', 'types', 'unique']
const REPEATABLE: readonly HeaderName[] = [
  'nullable',
  'references',
  'types',
  'unique',
  'check',
  'check warn',
]
/** PostgreSQL cuts longer names off. */
export const MAX_NAME_BYTES = 63

/** Parses one file. `path` is shown in problems; `name` is the model's. */
export function parseModelText(name: string, path: string, file: string): ParsedModel {
  const lines = file
    .replace(/^\uFEFF/, '')
    .replaceAll('\r\n', '\n')
    .split('\n')
  const start = lines.findIndex((line) => !/^\s*(--.*)?$/.test(line))
  const problems: Problem[] = []
  const found = (line: number | null, message: string): void => {
    problems.push({ where: line === null ? path : `${path}:${line}`, message })
  }
  const entries = readEntries(lines.slice(0, start === -1 ? lines.length : start), found)
  if (start === -1) found(null, 'has no select')
  lines.forEach((line, index) => {
    if (start === -1 || index < start) return
    const late = knownName(line.trim())
    if (late !== undefined)
      found(index + 1, `"${late}" stands below the select; header lines come before it`)
  })
  if (name === '') found(null, 'has no name before ".sql"')
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) {
    found(null, `is named longer than ${MAX_NAME_BYTES} bytes, PostgreSQL's limit for a table`)
  }
  const header = readHeader(entries, found)
  const view = `${name}_current`
  if (keepsVersions(header) && Buffer.byteLength(view) > MAX_NAME_BYTES) {
    found(
      null,
      `is a fact, and the view of its current rows, "${view}", would have a name longer than ${MAX_NAME_BYTES} bytes, PostgreSQL's limit`,
    )
  }
  if (problems.length > 0) return { problems }
  return {
    problems,
    model: {
      name,
      path,
      sql: withoutSemicolon(lines.slice(start).join('\n')),
      sqlLine: start + 1,
      ...header,
    },
  }
}

type Found = (line: number | null, message: string) => void
type Header = Omit<ModelText, 'name' | 'path' | 'sql' | 'sqlLine'>

function readEntries(lines: readonly string[], found: Found): Entry[] {
  const entries: Entry[] = []
  let open: Entry | undefined
  lines.forEach((text, index) => {
    const line = text.trim()
    const content = line.replace(/^-+/, '').trim()
    const known = knownName(line)
    if (open !== undefined && known === undefined) {
      open.value += ` ${content}`
    } else if (known !== undefined) {
      open = { name: known, value: content.slice(content.indexOf(':') + 1).trim(), line: index + 1 }
      const twice = REPEATABLE.includes(known)
        ? undefined
        : entries.find(({ name }) => name === known)
      if (twice !== undefined)
        found(index + 1, `"${known}" is said twice; line ${twice.line} says it already`)
      else if (open.value === '') found(index + 1, `"${known}" says nothing`)
      else entries.push(open)
    } else {
      const message = unknownName(line)
      if (message !== undefined) found(index + 1, message)
    }
    if (open !== undefined && !(LISTS.includes(open.name) && open.value.endsWith(',')))
      open = undefined
  })
  return entries
}

function knownName(line: string): HeaderName | undefined {
  const name = /^-+\s*([a-z]+(?: +[a-z]+)?)\s*:/i.exec(line)?.[1]?.toLowerCase().replace(/ +/g, ' ')
  return HEADER_NAMES.find((known) => known === name)
}

/** One to three words and a colon are a header line, unless they begin like a sentence and are near to no known name. */
function unknownName(line: string): string | undefined {
  const written = /^-+\s*([a-z]+(?: [a-z]+){0,2})\s*:(?:\s|$)/i.exec(line)?.[1]
  if (written === undefined) return undefined
  if (written !== written.toLowerCase() && nearestName(written, HEADER_NAMES) === undefined)
    return undefined
  return `"${written}" is not a header line${meant(written, HEADER_NAMES)}`
}

function readHeader(entries: readonly Entry[], found: Found): Header {
  const lines: Record<string, number> = {}
  const one = (name: HeaderName): Entry | undefined => {
    const entry = entries.find((candidate) => candidate.name === name)
    if (entry !== undefined) lines[name] = entry.line
    return entry
  }
  const kind = readKind(one('kind'), found)
  const keyEntry = one('key')
  if (keyEntry === undefined)
    found(null, 'needs a line "-- key: …": the columns that tell its rows apart')
  const key = keyEntry === undefined ? [] : readNames(keyEntry, found)
  const recordEntry = one('record id')
  const recordId = recordEntry === undefined ? null : (readNames(recordEntry, found)[0] ?? null)
  if (kind === 'fact' && recordEntry === undefined) {
    found(null, 'needs a line "-- record id: …": the column that numbers the versions of a fact')
  }
  const history = readHistory(one('history'), kind, found)
  if (kind !== undefined && !keepsVersions({ kind, history }) && recordEntry !== undefined) {
    found(
      recordEntry.line,
      `"record id" is for facts, and for dimensions with "history: true"; this is a ${kind}`,
    )
  }
  if (recordEntry !== undefined && splitItems(recordEntry.value).length > 1) {
    found(recordEntry.line, '"record id" is one column')
  }
  return {
    kind: kind ?? 'table',
    ...(history ? { history } : {}),
    key,
    recordId,
    nullable: readNullable(entries, lines, found),
    references: readReferences(entries, lines, found),
    types: readTypes(entries, lines, found),
    checks: readChecks(entries, lines, found),
    comment: one('comment')?.value ?? null,
    drivenBy: readDrivenBy(one('driven by'), found),
    lines,
  }
}

function readHistory(
  entry: Entry | undefined,
  kind: ModelKind | undefined,
  found: Found,
): true | undefined {
  if (entry === undefined) return undefined
  if (entry.value !== 'true') found(entry.line, '"history" is true, or the line is left out')
  if (kind === 'fact') found(entry.line, 'a fact keeps its history always; leave the line out')
  if (kind === 'table') found(entry.line, '"history" is for dimensions; this is a table')
  return true
}

function readKind(entry: Entry | undefined, found: Found): ModelKind | undefined {
  if (entry === undefined) {
    found(null, 'needs a line "-- kind: …": dimension, fact or table')
    return undefined
  }
  const kind = KINDS.find((known) => known === entry.value)
  if (kind === undefined)
    found(entry.line, `"${entry.value}" is not a kind${meant(entry.value, KINDS)}`)
  return kind
}

function readNullable(
  entries: readonly Entry[],
  lines: Record<string, number>,
  found: Found,
): readonly string[] | 'all' {
  const mine = entries.filter(({ name }) => name === 'nullable')
  const words = mine.filter(({ value }) => value === 'all' || value === 'none')
  if (words.length > 0 && mine.length > 1) {
    found(
      words[0]?.line ?? null,
      '"nullable" is all, or none, or columns; it cannot be two of them',
    )
  }
  if (mine[0] !== undefined) lines['nullable'] = mine[0].line
  if (words.length > 0) return words[0]?.value === 'all' ? 'all' : []
  return mine.flatMap((entry) => readNames(entry, found))
}

function readReferences(
  entries: readonly Entry[],
  lines: Record<string, number>,
  found: Found,
): Reference[] {
  const references: Reference[] = []
  for (const { name, value, line } of entries) {
    if (name !== 'references') continue
    for (const item of splitItems(value)) {
      const [left, right, ...more] = item.split('->').map((part) => parseName(part.trim()))
      if (left === undefined || right === undefined || more.length > 0) {
        found(line, `"${item}" is not a reference; write: column -> model`)
      } else if (references.some(({ column }) => column === left)) {
        found(line, `column "${left}" has two references`)
      } else {
        references.push({ column: left, model: right })
        lines[`references ${left}`] = line
      }
    }
  }
  return references
}

function readTypes(
  entries: readonly Entry[],
  lines: Record<string, number>,
  found: Found,
): Record<string, string> {
  const types: Record<string, string> = {}
  for (const { name, value, line } of entries) {
    if (name !== 'types') continue
    for (const item of splitItems(value)) {
      const parts = /^("(?:[^"]|"")+"|[^\s"]+)\s+(.+)$/.exec(item)
      const column = parts === null ? undefined : parseName(parts[1] ?? '')
      const written = parts?.[2] ?? ''
      const type = canonicalPostgresType(written)
      if (column === undefined) {
        found(line, `"${item}" is not a column and its type; write: column type`)
      } else if (type === undefined) {
        found(
          line,
          `"${written}" is not a PostgreSQL type that can be used here${meant(written, TYPE_NAMES)}`,
        )
      } else if (Object.hasOwn(types, column)) {
        found(line, `column "${column}" has two types`)
      } else {
        types[column] = type
        lines[`types ${column}`] = line
      }
    }
  }
  return types
}

function readChecks(
  entries: readonly Entry[],
  lines: Record<string, number>,
  found: Found,
): Check[] {
  return entries
    .filter(({ name }) => name === 'check' || name === 'check warn' || name === 'unique')
    .map((entry, index) => {
      const { name, value, line } = entry
      lines[`check ${index}`] = line
      if (name === 'unique') {
        const columns = readNames(entry, found)
        const said = `unique(${columns.join(', ')})`
        return { name: said, severity: 'error', rule: { type: 'unique', columns } }
      }
      return {
        name: value,
        severity: name === 'check' ? 'error' : 'warn',
        rule: { type: 'row', condition: value },
      }
    })
}

function readDrivenBy(entry: Entry | undefined, found: Found): TableName | null {
  if (entry === undefined) return null
  const parts = /^(?:("(?:[^"]|"")+"|[^\s".,()]+)\.)?("(?:[^"]|"")+"|[^\s".,()]+)$/.exec(
    entry.value,
  )
  const name = parseName(parts?.[2] ?? '')
  if (name === undefined) {
    found(
      entry.line,
      `"${entry.value}" is not one table; write: source.table, or the name of a model`,
    )
    return null
  }
  return { schema: parseName(parts?.[1] ?? '') ?? null, name }
}

function readNames({ name, value, line }: Entry, found: Found): string[] {
  const names: string[] = []
  for (const item of splitItems(value)) {
    const column = parseName(item)
    if (column === undefined) found(line, `"${item}" is not a column's name in "${name}"`)
    else if (names.includes(column)) found(line, `column "${column}" stands twice in "${name}"`)
    else names.push(column)
  }
  return names
}

/** Splits at commas outside quotes and parentheses. */
function splitItems(value: string): string[] {
  const items = value.match(/(?:"(?:[^"]|"")*"|\([^)]*\)|[^,"(]|["(])+/g) ?? []
  return items.map((item) => item.trim()).filter((item) => item !== '')
}

function parseName(text: string): string | undefined {
  if (/^"(?:[^"]|"")+"$/.test(text)) return text.slice(1, -1).replaceAll('""', '"')
  return /^[^\s",()]+$/.test(text) ? text : undefined
}

/** Cuts at the semicolon that ends the only statement, so that the text can stand in parentheses. */
function withoutSemicolon(sql: string): string {
  const tokens =
    /[eE]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\/|;/g
  for (const token of sql.matchAll(tokens)) {
    if (token[0] !== ';') continue
    const rest = sql.slice(token.index + 1)
    return /^(\s|;|--[^\n]*|\/\*[\s\S]*?\*\/)*$/.test(rest) ? sql.slice(0, token.index) : sql
  }
  return sql
}
