/**
 * Compares what is in the warehouse with what the star needs, and decides for each table: create
 * it, make an empty one ready, or use it as it is. Lists every difference. Pure.
 */
import { transferOf } from '../vectors/copy-types.ts'
import { nearestName, type Problem } from '../errors.ts'
import type { Catalogue, FoundColumn, FoundRelation } from './catalogue.ts'
import { viewColumns } from './ddl.ts'
import { allColumns, layoutOf, reservedNames, type Layout, type WarehouseColumn } from './layout.ts'
import type { Needs } from './rights.ts'
import type { StarTable } from './star-table.ts'

export interface TablePlan {
  readonly layout: Layout
  readonly action: 'create' | 'adopt' | 'use'
  /** `adopt`: the columns of ours that are added, and those that get NOT NULL. */
  readonly missing: readonly WarehouseColumn[]
  readonly nullable: readonly string[]
  readonly createView: boolean
  readonly found: FoundRelation | undefined
}

export interface Comparison {
  readonly plans: readonly TablePlan[]
  readonly problems: readonly Problem[]
}

export interface Seen {
  readonly schema: string
  readonly catalogue: Catalogue
  /** The types that the star asks for, as `format_type` prints them; absent where the spelling was that already. */
  readonly types: ReadonlyMap<string, string | null>
  readonly empty: ReadonlySet<string>
}

/** What the plans need in rights. */
export function needsOf(schema: string, plans: readonly TablePlan[]): Needs {
  return {
    schema,
    creates: plans.some(({ action, createView }) => action === 'create' || createView),
    tables: plans.flatMap(({ layout, found }) =>
      found === undefined ? [] : [{ found, kind: layout.table.kind }],
    ),
    alters: plans.filter(({ action }) => action === 'adopt').map(({ layout }) => layout.table.name),
  }
}

const MAX_NAME_BYTES = 63

/** The names that a star takes in its schema. */
export function relationNames(star: readonly StarTable[]): readonly string[] {
  return star.flatMap((table) => {
    const { view } = layoutOf(table)
    return view === null ? [table.name] : [table.name, view]
  })
}

/** Spellings that must be looked up: types of columns that are not there, or that look different there. */
export function unknownTypes(star: readonly StarTable[], catalogue: Catalogue): readonly string[] {
  const unknown = star.flatMap((table) => {
    const found = new Map(catalogue.get(table.name)?.columns.map(({ name, type }) => [name, type]))
    return table.columns
      .filter(({ name, type }) => found.get(name) !== type)
      .map(({ type }) => type)
  })
  return [...new Set(unknown)]
}

/** Tables whose emptiness decides something: those that lack columns of ours. */
export function incompleteTables(
  star: readonly StarTable[],
  catalogue: Catalogue,
): readonly string[] {
  return star.flatMap((table) => {
    const found = catalogue.get(table.name)
    if (found === undefined || !isTable(found)) return []
    const names = new Set(found.columns.map(({ name }) => name))
    return layoutOf(table).system.some(({ name }) => !names.has(name)) ? [table.name] : []
  })
}

/** Types whose values name objects of their own server: as such they mean nothing in another. */
const NAMES_OBJECTS = /^(reg[a-z]+|aclitem)(\[\])?$/

/** The table with types that this warehouse has: what is there stays, else a lacking type gives way to a built-in one. */
export function withTypesHere(
  table: StarTable,
  { catalogue, types }: Pick<Seen, 'catalogue' | 'types'>,
): StarTable {
  const found = new Map(catalogue.get(table.name)?.columns.map(({ name, type }) => [name, type]))
  const columns = table.columns.map((column) => {
    const { name, type, builtin } = column
    if (builtin === undefined) return column
    const known = types.has(type) ? types.get(type) : type
    const lacks = known === null || NAMES_OBJECTS.test(type)
    return lacks || found.get(name) === builtin ? { ...column, type: builtin } : column
  })
  return { ...table, columns }
}

export function compareShape(star: readonly StarTable[], seen: Seen): Comparison {
  const problems: Problem[] = []
  const plans = star.map((wanted): TablePlan => {
    const table = withTypesHere(wanted, seen)
    const layout = layoutOf(table)
    const found = seen.catalogue.get(table.name)
    const say = (column: string | null, message: string): void => {
      problems.push({
        where: [seen.schema, table.name, ...(column === null ? [] : [column])].join('.'),
        message,
      })
    }
    checkNames(layout, say)
    checkReferences(layout, star, say)
    checkTransfers(layout, { found, types: seen.types }, say)
    const createView = checkView(layout, seen.catalogue, say)
    if (found === undefined)
      return { layout, action: 'create', missing: [], nullable: [], createView, found }
    return {
      ...compareTable(layout, { found, types: seen.types, empty: seen.empty.has(table.name) }, say),
      layout,
      createView,
      found,
    }
  })
  return { plans, problems }
}

type Say = (column: string | null, message: string) => void

function checkNames({ table, view }: Layout, say: Say): void {
  const reserved = reservedNames(table)
  for (const { name } of table.columns) {
    if (reserved.includes(name))
      say(
        name,
        'this name is one of the columns that Tote adds; call it something else in the model',
      )
    if (Buffer.byteLength(name) > MAX_NAME_BYTES)
      say(name, `the name is longer than PostgreSQL's ${MAX_NAME_BYTES} bytes`)
  }
  for (const name of [table.name, ...(view === null ? [] : [view])]) {
    if (Buffer.byteLength(name) > MAX_NAME_BYTES)
      say(null, `the name "${name}" is longer than PostgreSQL's ${MAX_NAME_BYTES} bytes`)
  }
}

function checkReferences({ table }: Layout, star: readonly StarTable[], say: Say): void {
  for (const { column, model } of table.references) {
    const target = star.find(({ name }) => name === model)
    if (
      target === undefined ||
      target.kind === 'table' ||
      (target.kind === 'dimension' && target.key.length === 1)
    )
      continue
    const why =
      target.kind === 'fact'
        ? 'has a row for each version'
        : `has a key of ${target.key.length} columns`
    say(
      column,
      `refers to "${model}", which ${why}; a reference needs a dimension with a key of one column`,
    )
  }
}

function checkTransfers(
  { table }: Layout,
  { found, types }: { found: FoundRelation | undefined; types: Seen['types'] },
  say: Say,
): void {
  for (const { name, type, carried } of table.columns) {
    const known = types.has(type) ? types.get(type) : type
    if (known === null || known === undefined) {
      say(
        name,
        `the warehouse has no type ${type}; create it there, or give the column another type in the model's header`,
      )
      continue
    }
    const kept = found?.columns.find((column) => column.name === name)?.type ?? known
    const transfer = transferOf(carried, kept)
    if (transfer === undefined)
      say(
        name,
        `the lake carries it as ${carried}, which cannot be sent to PostgreSQL; cast it in the model`,
      )
    if (transfer === 'inexact')
      say(
        name,
        `the lake carries it as ${carried}, and ${kept} would change its values; cast it in the model`,
      )
  }
}

/** Whether the view must be created. */
function checkView(layout: Layout, catalogue: Catalogue, say: Say): boolean {
  if (layout.view === null) return false
  const found = catalogue.get(layout.view)
  if (found === undefined) return true
  if (found.kind !== 'v') {
    say(null, `"${layout.view}" is ${kindOf(found)}, and should be the view of the current rows`)
    return false
  }
  const names = new Set(found.columns.map(({ name }) => name))
  const absent = viewColumns(layout).filter((name) => !names.has(name))
  if (absent.length > 0)
    say(
      null,
      `the view "${layout.view}" lacks ${absent.map((name) => `"${name}"`).join(', ')}; drop it, and it is made anew`,
    )
  return false
}

interface FoundTable {
  readonly found: FoundRelation
  readonly types: Seen['types']
  readonly empty: boolean
}

function compareTable(
  layout: Layout,
  { found, types, empty }: FoundTable,
  say: Say,
): Pick<TablePlan, 'action' | 'missing' | 'nullable'> {
  const none = { action: 'use', missing: [], nullable: [] } as const
  if (!isTable(found)) {
    say(null, `is ${kindOf(found)}, and should be a table`)
    return none
  }
  const byName = new Map(found.columns.map((column) => [column.name, column]))
  const systemNames = new Set(layout.system.map(({ name }) => name))
  const wanted = allColumns(layout)
  const missing: WarehouseColumn[] = []
  const nullable: string[] = []
  for (const column of wanted) {
    const there = byName.get(column.name)
    if (there === undefined && systemNames.has(column.name) && empty) missing.push(column)
    else if (there === undefined)
      say(column.name, missingColumn(column, { systemNames, found, wanted }))
    else compareColumn(column, { there, types, system: systemNames.has(column.name) }, say)
    if (there !== undefined && column.notNull && !there.notNull) nullable.push(column.name)
  }
  const names = new Set(wanted.map(({ name }) => name))
  for (const { name } of found.columns)
    if (!names.has(name)) say(name, 'is not a column of the model')
  if (!sameNames(found.primaryKey, layout.primaryKey)) {
    say(
      null,
      `the primary key is ${listNames(found.primaryKey)}, and should be ${listNames(layout.primaryKey)}`,
    )
  }
  for (const index of found.unique)
    say(
      null,
      `has the unique index "${index}" besides its key, which history or a swap of values would break`,
    )
  // An older table of ours is used as it is; only an empty one that lacked our columns is made ready.
  return missing.length > 0 ? { action: 'adopt', missing, nullable } : none
}

interface Around {
  readonly systemNames: ReadonlySet<string>
  readonly found: FoundRelation
  readonly wanted: readonly WarehouseColumn[]
}

function missingColumn(column: WarehouseColumn, { systemNames, found, wanted }: Around): string {
  if (systemNames.has(column.name))
    return found.rights.includes('select')
      ? `the column is missing, and the table holds rows; only an empty table gets Tote's columns added`
      : 'the column is missing, and SELECT is, too, to see whether the table is empty'
  const strangers = found.columns
    .map(({ name }) => name)
    .filter((name) => !wanted.some((other) => other.name === name))
  const near = nearestName(column.name, strangers)
  return `the column is missing${near === undefined ? '' : `; did you mean "${near}"?`}`
}

function compareColumn(
  column: WarehouseColumn,
  { there, types, system }: { there: FoundColumn; types: Seen['types']; system: boolean },
  say: Say,
): void {
  const accepted = column.types.map((type) => types.get(type) ?? type)
  if (!accepted.includes(there.type))
    say(column.name, `is ${there.type}, and should be ${accepted.join(' or ')}`)
  if (there.generated) say(column.name, 'is a generated column, and should be an ordinary one')
  if (there.notNull && !column.notNull) say(column.name, 'is NOT NULL, and should allow null')
  if (system && column.name === 'is_deleted' && !there.filled)
    say(column.name, 'should have the default false')
}

function isTable(found: FoundRelation): boolean {
  return found.kind === 'r' || found.kind === 'p'
}

const KINDS: Readonly<Record<string, string>> = {
  r: 'a table',
  p: 'a partitioned table',
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
  i: 'an index',
  I: 'an index',
  S: 'a sequence',
  c: 'a composite type',
}

function kindOf({ kind }: FoundRelation): string {
  return KINDS[kind] ?? 'something else'
}

function sameNames(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name) => right.includes(name))
}

function listNames(names: readonly string[]): string {
  return names.length === 0 ? 'missing' : `(${names.join(', ')})`
}
