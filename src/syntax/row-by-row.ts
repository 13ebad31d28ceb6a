/**
 * Whether a select works through one table row by row: each row it yields is made of exactly one row of
 * that table, and of other tables that are read whole. Then changed rows of the table change only
 * the rows made of them. What is not plainly so is refused.
 *
 * The table must be named once. From there to the outermost select its rows may pass joins that keep
 * or drop each by itself, conditions, `with` clauses and subqueries, but nothing that looks at two of
 * them together. Other subqueries may do anything: they see one row of the table at most. That a select
 * has no aggregate is left to whoever asks for a plain column of it: DuckDB refuses one beside the other.
 */
import type { Json } from '../types.ts'
import { readReferences, type Refusal, type TableMention } from './references.ts'
import { asNode, children, isList, positionOf, text, type TreeNode } from './syntax-tree.ts'

export interface RowByRow {
  /** Why not; the messages go on from "cannot be driven by the table: ". */
  readonly refusals: readonly Refusal[]
  /** The selects that the table's rows pass. */
  readonly levels: readonly TreeNode[]
}

/** One step down the tree: the node, and its field (or its place in a list) that leads on. */
interface Step {
  readonly node: TreeNode
  readonly field: string
}

/** Reads one parsed select; `isDriving` says which mention is the table's. */
export function readRowByRow(
  select: TreeNode,
  isDriving: (mention: TableMention) => boolean,
): RowByRow {
  const [mention, ...again] = readReferences(select).tables.filter(isDriving)
  if (mention === undefined)
    return { refusals: [{ message: 'the select does not read it', position: null }], levels: [] }
  if (again.length > 0) {
    return {
      refusals: again.map(({ position }) => ({ message: 'it is read a second time', position })),
      levels: [],
    }
  }
  const reading: Reading = { select, refusals: [], levels: [], passed: new Set() }
  follow(mention.node, reading)
  return { refusals: reading.refusals, levels: reading.levels }
}

interface Reading {
  readonly select: TreeNode
  readonly refusals: Refusal[]
  readonly levels: TreeNode[]
  /** The `with` clauses that were gone through. */
  readonly passed: Set<TreeNode>
}

/** Judges everything between a mention of rows and the outermost select. */
function follow(target: TreeNode, reading: Reading): void {
  const path = stepsTo(reading.select, target) ?? []
  const clause = path.findLastIndex(({ field }) => field === 'cte_map')
  if (clause === -1) {
    judge(path, target, reading)
    return
  }
  // A `with` clause on the way: what it yields goes on from where it is named.
  const inClause = path.slice(clause + 2)
  const entry = inClause[0]?.node
  if (entry === undefined || reading.passed.has(entry)) return
  reading.passed.add(entry)
  judge(inClause, target, reading)
  const mention = onlyMention(entry, reading)
  if (mention !== undefined) follow(mention, reading)
}

/** The one place that names a `with` clause; undefined with a refusal when there is none, or not one. */
function onlyMention(entry: TreeNode, { select, refusals }: Reading): TreeNode | undefined {
  const name = text(entry['key']).toLowerCase()
  const [mention, ...again] = nodesIn(select).filter(
    (node) =>
      node['type'] === 'BASE_TABLE' &&
      text(node['schema_name']) === '' &&
      text(node['table_name']).toLowerCase() === name,
  )
  const clauses = nodesIn(select).filter(
    (node) => text(node['key']).toLowerCase() === name && asNode(node['value']) !== undefined,
  )
  if (mention === undefined || clauses.length > 1) {
    refusals.push({
      message: `its rows pass "${name}", which is not plainly one clause`,
      position: placeOf(entry),
    })
    return undefined
  }
  for (const node of again)
    refusals.push({
      message: `"${name}", which holds its rows, is read a second time`,
      position: positionOf(node),
    })
  return again.length > 0 ? undefined : mention
}

/** `path` begins at a select, or around it, and ends at the rows, which `target` names. */
function judge(path: readonly Step[], target: TreeNode, reading: Reading): void {
  const { refusals } = reading
  const position = positionOf(target)
  for (const { node, field } of path) {
    if (isQuery(node)) {
      judgeLevel(node, reading)
      if (node['type'] === 'SELECT_NODE' && field !== 'from_table') {
        refusals.push({
          message: 'it is read in a subquery of a condition or of a value',
          position,
        })
        return
      }
    }
    if (node['type'] === 'JOIN') {
      if (!judgeJoin(node, field, refusals)) return
    } else if (!isQuery(node) && !isSubquery(node)) {
      refusals.push({
        message: 'it is read in the arguments of a function',
        position,
      })
      return
    }
  }
}

/** A subquery in a `from`, or an object around its select. */
function isSubquery(node: TreeNode): boolean {
  return ['', 'SUBQUERY'].includes(text(node['type']))
}

/** Joins that keep or drop each row of the table by itself; false when it is not even joined. */
function judgeJoin(join: TreeNode, side: string, refusals: Refusal[]): boolean {
  const type = text(join['join_type'])
  const kind = text(join['ref_type'])
  const position = placeOf(asNode(join['right']))
  if (side !== 'left' && side !== 'right') {
    refusals.push({ message: 'it is read in the condition of a join', position })
    return false
  }
  const fits =
    type === 'INNER' ||
    (type === 'RIGHT'
      ? side === 'right'
      : ['LEFT', 'SEMI', 'ANTI'].includes(type) && side === 'left')
  if (!['REGULAR', 'CROSS', 'NATURAL'].includes(kind)) {
    refusals.push({
      message: `it is read through a join of the kind "${kind.toLowerCase()}"`,
      position,
    })
  } else if (!fits) {
    refusals.push({
      message: `the ${type.toLowerCase()} join can yield rows that are not made of one row of it`,
      position,
    })
  }
  return true
}

function judgeLevel(node: TreeNode, { refusals, levels }: Reading): void {
  const refuse = (message: string, position: number | null): void =>
    void refusals.push({
      message,
      position: position ?? placeOf(children(node['select_list'])[0] ?? node),
    })
  if (node['type'] !== 'SELECT_NODE') {
    const what = text(node['setop_type']).toLowerCase().replaceAll('_', ' ')
    refuse(
      what === '' ? 'it is read in a recursive query' : `it is read in a part of "${what}"`,
      null,
    )
    return
  }
  levels.push(node)
  for (const modifier of children(node['modifiers'])) {
    const type = text(modifier['type'])
    if (type === 'DISTINCT_MODIFIER') refuse('"distinct" compares its rows', placeOf(modifier))
    else if (type.startsWith('LIMIT'))
      refuse('"limit" or "offset" counts its rows', placeOf(modifier))
    else if (type !== 'ORDER_MODIFIER') refuse('it is read under an unknown modifier', null)
  }
  const sets = node['group_sets']
  const grouped = !isList(sets) || sets.length > 0
  if (grouped || node['aggregate_handling'] !== 'STANDARD_HANDLING')
    refuse('"group by" puts its rows together', placeOf(children(node['group_expressions'])[0]))
  for (const [field, name] of [
    ['having', 'having'],
    ['qualify', 'qualify'],
    ['sample', 'using sample'],
  ] as const) {
    const clause = asNode(node[field])
    if (clause !== undefined) refuse(`"${name}" looks at several of its rows`, placeOf(clause))
  }
  for (const inner of expressionsOf(node)) {
    if (inner['class'] === 'WINDOW')
      refuse(
        `${text(inner['function_name'])}() over (…) looks at several of its rows`,
        placeOf(inner),
      )
  }
}

/** The calls of these functions, in lower case, in the select itself. */
export function callsIn(level: TreeNode, functions: ReadonlySet<string>): readonly TreeNode[] {
  return expressionsOf(level).filter((node) =>
    functions.has(text(node['function_name']).toLowerCase()),
  )
}

/** Every node of a select's own expressions, less `qualify`: not those of its subqueries and `with` clauses. */
function expressionsOf(level: TreeNode): readonly TreeNode[] {
  const fields = Object.entries(level).filter(([field]) => field !== 'qualify')
  return fields.flatMap(([, value]) => nodesIn(value, (node) => !isQuery(node)))
}

function nodesIn(
  value: Json | TreeNode | undefined,
  enter: (node: TreeNode) => boolean = () => true,
): readonly TreeNode[] {
  return nodesOf(value as Json | undefined)
    .filter(enter)
    .flatMap((node) => [node, ...Object.values(node).flatMap((child) => nodesIn(child, enter))])
}

/** The way down to a node, which is one of the tree's own objects. */
function stepsTo(from: TreeNode, target: TreeNode): readonly Step[] | undefined {
  if (from === target) return []
  for (const [field, value] of Object.entries(from)) {
    for (const child of nodesOf(value)) {
      const rest = stepsTo(child, target)
      if (rest !== undefined) return [{ node: from, field }, ...rest]
    }
  }
  return undefined
}

/** A node, or those of a list, or of a list of lists (the rows of `values`). */
function nodesOf(value: Json | undefined): readonly TreeNode[] {
  if (isList(value)) return value.flatMap(nodesOf)
  const node = asNode(value)
  return node === undefined ? [] : [node]
}

function isQuery(node: TreeNode): boolean {
  return /(?:SELECT|SET_OPERATION|CTE)_NODE$/.test(text(node['type']))
}

/** The first place that DuckDB knows in a node. */
function placeOf(node: TreeNode | undefined): number | null {
  for (const inner of nodesIn(node)) {
    const position = positionOf(inner)
    if (position !== null) return position
  }
  return null
}
