/**
 * DuckDB's own parser: SQL as the tree that `json_serialize_sql` prints, and DuckDB's complaints with
 * the byte at which they point. No other parser of SQL is used.
 */
import { createHash } from 'node:crypto'
import { EngineFailure, type Engine } from '../columns/engine.ts'
import { quoteText } from '../columns/sql.ts'
import type { Json } from '../types.ts'

export interface TreeNode {
  readonly [field: string]: Json | undefined
}

/** What DuckDB says against a text. */
export interface Complaint {
  readonly message: string
  /** Byte offset into the text, where DuckDB knows it. */
  readonly position: number | null
  /** The name that was not found, where it is about a name. */
  readonly name?: string
}

export type Parsed =
  | { readonly statements: readonly TreeNode[] }
  | { readonly complaint: Complaint }

/** Parses without binding: names need not exist. */
export async function parseSql(engine: Engine, sql: string): Promise<Parsed> {
  const answer = await serialized(engine, `json_serialize_sql(${quoteText(sql)})`)
  if (answer['error'] === true) return { complaint: complaintOf(answer) }
  const statements = children(answer['statements']).map((statement) => asNode(statement['node']))
  return { statements: statements.filter((node) => node !== undefined) }
}

export interface OutputColumn {
  readonly name: string
  /** As `describe` prints it. */
  readonly duckdbType: string
}

/** The columns that a select yields, or why DuckDB refuses it; runs nothing. */
export async function describeSql(
  engine: Engine,
  sql: string,
): Promise<readonly OutputColumn[] | Complaint> {
  try {
    const rows = await engine.rows(`describe ${sql}`)
    return rows.map((row) => ({
      name: String(row['column_name']),
      duckdbType: String(row['column_type']),
    }))
  } catch (error) {
    if (!(error instanceof EngineFailure)) throw error
    // The plan is asked for only to learn the place: describe gives it as text cut to a screen's width.
    const answer = await serialized(engine, `json_serialize_plan(${quoteText(sql)})`)
    return answer['error'] === true
      ? complaintOf(answer)
      : { message: firstLines(error.message), position: null }
  }
}

/** The byte offset a node stands at, or null where DuckDB does not say. */
export function positionOf(node: TreeNode): number | null {
  const position = node['query_location']
  return typeof position === 'number' && Number.isSafeInteger(position) ? position : null
}

/** sha256 of a tree without the places of its nodes: equal for texts that differ in formatting and comments only. */
export function fingerprint(tree: TreeNode): string {
  const text = JSON.stringify(tree, (name, value: unknown) =>
    name === 'query_location' ? undefined : value,
  )
  return createHash('sha256').update(text).digest('hex')
}

export function asNode(value: Json | undefined): TreeNode | undefined {
  return typeof value === 'object' && value !== null && !isList(value) ? value : undefined
}

export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}

/** The nodes of a list field; none when it is no list. */
export function children(value: Json | undefined): readonly TreeNode[] {
  return isList(value) ? value.map(asNode).filter((node) => node !== undefined) : []
}

export function names(value: Json | undefined): readonly string[] {
  return isList(value) ? value.filter((item) => typeof item === 'string') : []
}

export function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : ''
}

async function serialized(engine: Engine, call: string): Promise<TreeNode> {
  const [row] = await engine.rows(`select ${call} as answer`)
  return JSON.parse(String(row?.['answer'])) as TreeNode
}

function complaintOf(answer: TreeNode): Complaint {
  const position = answer['position'] === undefined ? Number.NaN : Number(answer['position'])
  const message = text(answer['error_message'])
  const name = text(answer['name']) || /does not have a column named "(.*?)"/.exec(message)?.[1]
  return {
    message: firstLines(message),
    position: Number.isSafeInteger(position) ? position : null,
    ...(name === undefined ? {} : { name }),
  }
}

/** Without the long lists of candidates, the excerpt of the text and the full stop. */
function firstLines(message: string): string {
  const lines: string[] = []
  for (const line of message.split('\n')) {
    if (/^\s*$|^LINE \d|Candidate/.test(line)) break
    lines.push(line.trim())
  }
  return lines.join(' ').replace(/[.!]$/, '')
}
