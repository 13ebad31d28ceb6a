/**
 * Which columns of a select are plain references, followed through aliases, joins, `using`, `with`
 * and subqueries to the columns they come from, so that they keep their PostgreSQL types. Where the
 * way is not plain the answer is "unknown", never a guess.
 */
import type { Json, TypePart } from '../types.ts'
import { withEntries } from './references.ts'
import { asNode, children, isList, names, text, type TreeNode } from './syntax-tree.ts'

/** A column's types where it comes from; null where it is computed or not followed. */
export interface Origin {
  readonly type: string
  /** As `Column.builtin`. */
  readonly builtin?: string | undefined
  /** As `Column.inside`. */
  readonly inside?: readonly TypePart[] | undefined
  readonly carried: string
  /** As `Column`'s. */
  readonly source?: string | undefined
  readonly formerly?: readonly string[] | undefined
  readonly partial?: true | undefined
}

export interface OriginColumn {
  readonly name: string
  readonly origin: Origin | null
}

/** The columns of a named table; undefined when there is none of that name. */
export type TableLookup = (
  schema: string | null,
  name: string,
) => readonly OriginColumn[] | undefined

type Columns = readonly OriginColumn[] | null

interface Relation {
  readonly schema: string
  readonly alias: string
  /** Null: not known. */
  readonly columns: Columns
}

/** What the select list of one query can name. */
interface Scope {
  readonly relations: readonly Relation[]
  /** Columns that `using` made one. */
  readonly merged: ReadonlyMap<string, OriginColumn>
  /** What `*` yields. */
  readonly star: Columns
}

interface Surroundings {
  readonly tables: TableLookup
  readonly withs: ReadonlyMap<string, Columns>
}

/** The output columns of a query in order, or null when even their number is not known. */
export function outputOrigins(
  query: TreeNode,
  tables: TableLookup,
): readonly OriginColumn[] | null {
  return outputOf(query, { tables, withs: new Map() })
}

function outputOf(node: TreeNode | undefined, outer: Surroundings): Columns {
  if (node === undefined) return null
  const withs = new Map(outer.withs)
  for (const { name, aliases, query } of withEntries(node)) {
    withs.set(name, renamed(outputOf(query, { ...outer, withs: new Map(withs) }), aliases))
  }
  const around = { ...outer, withs }
  if (node['type'] === 'SELECT_NODE') return selectOutput(node, around)
  if (node['type'] === 'SET_OPERATION_NODE' && node['setop_type'] !== 'UNION_BY_NAME') {
    const left = outputOf(asNode(node['left']), around)
    const right = outputOf(asNode(node['right']), around)
    if (left === null || right === null || left.length !== right.length) return null
    return left.map((column, index) => ({
      name: column.name,
      origin: common(column.origin, right[index]?.origin ?? null),
    }))
  }
  return null
}

function selectOutput(node: TreeNode, around: Surroundings): Columns {
  const scope = scopeOf(asNode(node['from_table']), around)
  const columns: OriginColumn[] = []
  for (const item of children(node['select_list'])) {
    if (item['class'] === 'STAR') {
      const expanded = expandStar(item, scope)
      if (expanded === null) return null
      columns.push(...expanded)
    } else {
      const path = item['class'] === 'COLUMN_REF' ? names(item['column_names']) : []
      const name = text(item['alias']) || (path.at(-1) ?? '')
      columns.push({ name, origin: path.length === 0 ? null : resolve(path, scope) })
    }
  }
  return columns
}

function expandStar(item: TreeNode, scope: Scope): Columns {
  const isPlain = ['replace_list', 'rename_list', 'qualified_exclude_list'].every((field) =>
    isEmpty(item[field]),
  )
  if (!isPlain || item['columns'] === true || asNode(item['expr']) !== undefined) return null
  const relation = text(item['relation_name']).toLowerCase()
  const all =
    relation === '' ? scope.star : scope.relations.find(({ alias }) => alias === relation)?.columns
  if (all === null || all === undefined) return null
  const excluded = new Set(names(item['exclude_list']).map((name) => name.toLowerCase()))
  return all.filter(({ name }) => !excluded.has(name.toLowerCase()))
}

function isEmpty(value: Json | undefined): boolean {
  return value === undefined || value === null || (isList(value) && value.length === 0)
}

function resolve(path: readonly string[], scope: Scope): Origin | null {
  const [column = '', table, schema, ...more] = path.map((name) => name.toLowerCase()).toReversed()
  if (more.length > 0) return null
  if (table === undefined) {
    const merged = scope.merged.get(column)
    if (merged !== undefined) return merged.origin
  }
  const relations = scope.relations.filter(
    (relation) =>
      (table === undefined || relation.alias === table) &&
      (schema === undefined || relation.schema === schema),
  )
  const found = relations.flatMap(({ columns }) =>
    (columns ?? []).filter(({ name }) => name.toLowerCase() === column),
  )
  return found.length === 1 ? (found[0]?.origin ?? null) : null
}

const NOTHING: Scope = { relations: [], merged: new Map(), star: [] }

function scopeOf(from: TreeNode | undefined, around: Surroundings): Scope {
  const type = text(from?.['type'])
  if (from === undefined || type === 'EMPTY') return NOTHING
  if (type === 'JOIN') return joinScope(from, around)
  const alias = text(from['alias'])
  const one = (schema: string, name: string, columns: Columns): Scope => {
    const named = renamed(columns, names(from['column_name_alias']))
    return {
      relations: [{ schema: schema.toLowerCase(), alias: name.toLowerCase(), columns: named }],
      merged: new Map(),
      star: named,
    }
  }
  if (type === 'BASE_TABLE') {
    const [schema, name] = [text(from['schema_name']), text(from['table_name'])]
    const own = schema === '' ? around.withs.get(name.toLowerCase()) : undefined
    const columns =
      own !== undefined ? own : (around.tables(schema === '' ? null : schema, name) ?? null)
    return one(alias === '' ? schema : '', alias === '' ? name : alias, columns)
  }
  if (type === 'SUBQUERY')
    return one('', alias, outputOf(asNode(asNode(from['subquery'])?.['node']), around))
  return one('', alias, null)
}

function joinScope(join: TreeNode, around: Surroundings): Scope {
  const left = scopeOf(asNode(join['left']), around)
  const right = scopeOf(asNode(join['right']), around)
  const type = text(join['join_type'])
  if (type === 'SEMI' || type === 'ANTI') return left
  const using = usingColumns(join, left, right)
  const relations = [...left.relations, ...right.relations]
  if (using === null) {
    return {
      relations: relations.map((relation) => ({ ...relation, columns: null })),
      merged: new Map(),
      star: null,
    }
  }
  const merged = new Map([...left.merged, ...right.merged])
  for (const name of using) {
    const sides = [resolve([name], left), resolve([name], right)] as const
    const origin =
      type === 'RIGHT'
        ? sides[1]
        : type === 'INNER' || type === 'LEFT'
          ? sides[0]
          : common(...sides)
    merged.set(name, { name: columnName(left, name), origin })
  }
  const star =
    left.star === null || right.star === null
      ? null
      : [
          ...left.star.map((column) =>
            using.includes(column.name.toLowerCase())
              ? (merged.get(column.name.toLowerCase()) ?? column)
              : column,
          ),
          ...right.star.filter((column) => !using.includes(column.name.toLowerCase())),
        ]
  return { relations, merged, star }
}

/** The lower-case names that both sides share by `using` or `natural`; null when they are not known. */
function usingColumns(join: TreeNode, left: Scope, right: Scope): readonly string[] | null {
  if (join['ref_type'] !== 'NATURAL')
    return names(join['using_columns']).map((name) => name.toLowerCase())
  if (left.star === null || right.star === null) return null
  const onRight = new Set(right.star.map(({ name }) => name.toLowerCase()))
  return left.star.map(({ name }) => name.toLowerCase()).filter((name) => onRight.has(name))
}

function columnName(scope: Scope, lower: string): string {
  return scope.star?.find(({ name }) => name.toLowerCase() === lower)?.name ?? lower
}

function renamed(columns: Columns, aliases: readonly string[]): Columns {
  return (
    columns?.map((column, index) => ({ ...column, name: aliases[index] ?? column.name })) ?? null
  )
}

function common(a: Origin | null, b: Origin | null): Origin | null {
  const isEqual = a !== null && b !== null && a.type === b.type && a.carried === b.carried
  if (!isEqual) return null
  return b.partial === true ? { ...a, partial: true } : a
}
