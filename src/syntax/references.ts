/**
 * What a model's syntax tree names: the tables it reads, less those of its own `with` clauses, and
 * everything in it that would make it more, or less, than a function of those tables.
 */
import type { Json } from '../types.ts'
import { asNode, children, isList, names, positionOf, text, type TreeNode } from './syntax-tree.ts'

export interface TableMention {
  readonly schema: string | null
  readonly name: string
  readonly position: number | null
  readonly node: TreeNode
}

export interface Refusal {
  readonly message: string
  readonly position: number | null
}

export interface References {
  /** In the order of the text, repetitions included. */
  readonly tables: readonly TableMention[]
  readonly refusals: readonly Refusal[]
}

const CHANCE = 'gives another value each time'
const CLOCK = 'reads the clock'
const SESSION = 'depends on the session'
const EFFECT = 'does more than give a value'

/** Functions that models may not call. A test holds them against what DuckDB itself calls consistent. */
const FORBIDDEN: Readonly<Record<string, string>> = {
  [CHANCE]: 'random uuid uuidv4 uuidv7 gen_random_uuid nextval currval',
  [CLOCK]:
    'now today ago current_date current_time current_timestamp current_localtime current_localtimestamp localtime' +
    ' localtimestamp get_current_time get_current_timestamp transaction_timestamp pg_conf_load_time' +
    ' pg_postmaster_start_time',
  [SESSION]:
    'user current_user session_user current_role current_catalog current_database current_schema current_schemas' +
    ' current_setting current_query current_query_id current_connection_id current_transaction_id txid_current' +
    ' getvariable getenv version get_block_size in_search_path inet_client_addr inet_client_port inet_server_addr' +
    ' inet_server_port format_type pg_get_viewdef pg_get_constraintdef stats',
  [EFFECT]: 'setseed error write_log sleep_ms pg_sleep',
}

/** The reason by lower-case name. */
const REASONS: ReadonlyMap<string, string> = new Map(
  Object.entries(FORBIDDEN).flatMap(([reason, functions]) =>
    functions.split(' ').map((name) => [name, reason] as const),
  ),
)

/** Words that are these functions without parentheses. */
const BARE = new Set([
  'user',
  'current_user',
  'session_user',
  'current_role',
  'current_catalog',
  'current_schema',
  'current_date',
  'current_time',
  'current_timestamp',
  'localtime',
  'localtimestamp',
])

const TABLE_FUNCTIONS = new Set(['generate_series', 'range', 'unnest'])
const TABLE_REFERENCES = new Set([
  'BASE_TABLE',
  'JOIN',
  'SUBQUERY',
  'TABLE_FUNCTION',
  'EXPRESSION_LIST',
  'EMPTY',
])

/** Reads one parsed select. */
export function readReferences(select: TreeNode): References {
  const tables: TableMention[] = []
  const refusals: Refusal[] = []
  const refuse = (node: TreeNode, message: string): void =>
    void refusals.push({ message, position: positionOf(node) })

  const visit = (value: Json | undefined, scope: ReadonlySet<string>): void => {
    if (isList(value)) for (const item of value) visit(item, scope)
    const node = asNode(value)
    if (node === undefined) return
    judge(node, refuse)
    if (node['type'] === 'BASE_TABLE') tables.push(...mention(node, scope))
    const inner = visitWith(node, scope, visit)
    for (const [field, child] of Object.entries(node)) {
      if (field === 'cte_map') continue
      // Only the second half of a recursive query sees the query itself.
      const own = node['type'] === 'RECURSIVE_CTE_NODE' && field === 'right'
      visit(child, own ? new Set([...inner, text(node['cte_name']).toLowerCase()]) : inner)
    }
  }
  visit(select as Json, new Set())
  return { tables, refusals }
}

/** Every name in a tree that may be a column's, in lower case. */
export function namedColumns(tree: TreeNode): ReadonlySet<string> {
  const found = new Set<string>()
  const visit = (value: Json | undefined): void => {
    if (isList(value)) for (const item of value) visit(item)
    const node = asNode(value)
    if (node?.['class'] === 'COLUMN_REF')
      for (const name of names(node['column_names'])) found.add(name.toLowerCase())
    for (const child of Object.values(node ?? {})) visit(child)
  }
  visit(tree as Json)
  return found
}

/** Visits a node's `with` clauses, each seeing those before it, and returns what its body sees. */
function visitWith(
  node: TreeNode,
  scope: ReadonlySet<string>,
  visit: (value: Json | undefined, scope: ReadonlySet<string>) => void,
): ReadonlySet<string> {
  let inner = scope
  for (const entry of withEntries(node)) {
    visit(entry.query as Json, inner)
    inner = new Set([...inner, entry.name])
  }
  return inner
}

export interface WithEntry {
  /** Lower case, as DuckDB compares names. */
  readonly name: string
  readonly aliases: readonly string[]
  readonly query: TreeNode
}

/** The `with` clauses of a query node, in order. */
export function withEntries(node: TreeNode): readonly WithEntry[] {
  return children(asNode(node['cte_map'])?.['map']).flatMap((entry) => {
    const value = asNode(entry['value'])
    const query = asNode(asNode(value?.['query'])?.['node'])
    if (query === undefined) return []
    return [{ name: text(entry['key']).toLowerCase(), aliases: names(value?.['aliases']), query }]
  })
}

function mention(node: TreeNode, scope: ReadonlySet<string>): TableMention[] {
  const [schema, name] = [text(node['schema_name']), text(node['table_name'])]
  if (schema === '' && scope.has(name.toLowerCase())) return []
  return [{ schema: schema === '' ? null : schema, name, position: positionOf(node), node }]
}

function judge(node: TreeNode, refuse: (node: TreeNode, message: string) => void): void {
  judgeTableReference(node, refuse)
  if (typeof node['function_name'] === 'string') {
    const name = node['function_name'].toLowerCase()
    const reason =
      name === 'age' && children(node['children']).length === 1 ? CLOCK : REASONS.get(name)
    if (reason !== undefined)
      refuse(node, `${name}() ${reason}; a model is a function of the tables that it names`)
  }
  if (node['class'] === 'COLUMN_REF') {
    const column = names(node['column_names'])
    const name = column[0]?.toLowerCase() ?? ''
    if (column.length === 1 && BARE.has(name)) {
      const reason = REASONS.get(name) ?? SESSION
      refuse(node, `"${name}" ${reason}; if it is a column here, write its table before it`)
    }
  }
  if (node['class'] === 'PARAMETER')
    refuse(node, `has the parameter $${text(node['identifier'])}, and nothing gives it a value`)
}

function judgeTableReference(
  node: TreeNode,
  refuse: (node: TreeNode, message: string) => void,
): void {
  const type = text(node['type'])
  if (asNode(node['sample']) !== undefined)
    refuse(node, 'takes a sample, which is other rows each time')
  if (type === 'BASE_TABLE') {
    const catalog = text(node['catalog_name'])
    if (catalog !== '')
      refuse(node, `names a database ("${catalog}"); write source.table, or a model's name`)
    if (asNode(node['at_clause']) !== undefined)
      refuse(node, 'asks for another state of a table; a model reads current rows')
    return
  }
  if (type === 'TABLE_FUNCTION') {
    const name = text(asNode(node['function'])?.['function_name']).toLowerCase()
    if (!TABLE_FUNCTIONS.has(name))
      refuse(node, `reads ${name}(), which is no table of a source and no model`)
  }
  if (type === 'JOIN' && node['ref_type'] === 'POSITIONAL') {
    refuse(node, 'joins by position, but the rows of a table have no order')
  }
  const from = asNode(node['from_table'])
  if (from !== undefined && !TABLE_REFERENCES.has(text(from['type']))) {
    refuse(from, 'reads something that is no table of a source and no model')
  }
}
