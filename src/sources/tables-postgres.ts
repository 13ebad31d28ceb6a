/** Which relations of a database a source carries, and as what. */
import { ROW_COLUMN } from '../columns/sql.ts'
import { writeTableName } from '../config/table-name.ts'
import { ToteError, type Problem } from '../errors.ts'
import { carriedType } from '../postgres/carried.ts'
import type { Relation, RelationColumn, RelationDetail } from '../postgres/catalogue.ts'
import { quoteIdentifier, quoteQualified } from '../postgres/identifiers.ts'
import { distinctNames } from './names.ts'
import { chooseTables, exactNames, meaningOf, type TableChoice } from './patterns.ts'
import type { SourceColumn, SourceTable } from './source.ts'

export interface RelationChoice {
  /** The source's name, for what is said of it. */
  readonly name: string
  readonly tables: TableChoice
}

/** A table of the source, and how the database is asked for it. */
export interface PostgresTable extends SourceTable {
  readonly columns: readonly PostgresColumn[]
  /** What stands after `from`: the quoted name, with `only` before a table that is no partitioned one. */
  readonly relation: string
}

export interface PostgresColumn extends SourceColumn {
  /** Its name in the database; null for ROW_COLUMN, which the database does not have. */
  readonly source: string | null
}

/** Kinds that a pattern with `*` takes; the others (views, materialized views, foreign tables) must be named. */
const TABLE_KINDS = ['r', 'p']

/** As `lock table` and `from` take it: each table for itself, a partitioned one with its partitions. */
export function nameRelation({ schema, name, kind }: Relation): string {
  return `${kind === 'r' ? 'only ' : ''}${quoteQualified(schema, name)}`
}

/** The relations that the config means, whether they may be read or not. Throws SourceTableUnknown. */
export function takenRelations<T extends Pick<Relation, 'schema' | 'name' | 'kind'>>(
  { name, tables }: RelationChoice,
  relations: readonly T[],
): T[] {
  const isNamed = meaningOf(exactNames(tables.include), tables)
  return chooseTables(name, relations, tables).filter(
    (relation) => TABLE_KINDS.includes(relation.kind) || isNamed(relation),
  )
}

/** The relations that a source carries. Throws SourceTableUnknown, SourceForbidden. */
export function chooseRelations(
  options: RelationChoice,
  address: string,
  relations: readonly Relation[],
): Relation[] {
  const tables = takenRelations(options, relations)
  const forbidden = tables.filter((table) => !table.readable || table.filtered)
  if (forbidden.length > 0) {
    const names = forbidden.map((table) => `"${table.schema}.${table.name}"`)
    const role = quoteIdentifier(address.slice(0, address.lastIndexOf('@')))
    const ungranted = forbidden.filter((table) => !table.readable)
    const isFiltered = ungranted.length < forbidden.length
    throw new ToteError(
      'SourceForbidden',
      `Source "${options.name}" does not let us read ${names.join(', ')}.`,
      {
        where: address,
        why:
          ungranted.length > 0
            ? 'the role has no SELECT on the table, or no USAGE on its schema'
            : 'row-level security hides rows from the role, and what it hides would count as deleted',
        fix: [
          ...ungranted.map(
            (table) => `grant select on ${quoteQualified(table.schema, table.name)} to ${role};`,
          ),
          ...(isFiltered ? [`alter role ${role} bypassrls; or exclude the tables`] : []),
        ].join(' '),
        problems: forbidden.map((table) => ({
          where: `${table.schema}.${table.name}`,
          message: table.readable ? 'row-level security applies to the role' : 'SELECT is missing',
        })),
      },
    )
  }
  return tables
}

/**
 * The chosen relations as tables of the source; `all` are those that could have been chosen. Throws
 * TableNotCarried with everything that cannot be carried.
 */
export function describeTables(
  options: RelationChoice,
  {
    tables: relations,
    all,
  }: { readonly tables: readonly Relation[]; readonly all: readonly Relation[] },
  details: ReadonlyMap<string, RelationDetail>,
): PostgresTable[] {
  const bare = relations.map(({ schema, name }) =>
    schema === options.tables.defaultSchema ? name : `${schema}.${name}`,
  )
  const names = distinctNames(bare)
  const problems: Problem[] = []
  const children = unchosenChildren(options.tables, all, relations)
  const tables = relations.map((relation, index): PostgresTable => {
    const detail = details.get(relation.oid) ?? { oid: relation.oid, key: [], columns: [] }
    const columns = describeColumns(detail.columns)
    const name = names[index]
    const messages = [
      ...(name === undefined ? ['has the name of another table, but for case or dots'] : []),
      ...relationProblems(relation, children.get(relation.oid) ?? []),
      ...columnProblems(detail.columns, columns),
    ]
    const where = writeTableName(relation.schema, relation.name)
    problems.push(...messages.map((message) => ({ where, message })))
    const key = detail.key.map(
      (column) => columns[detail.columns.findIndex((own) => own.name === column)]?.name ?? column,
    )
    return {
      name: name ?? where,
      relation: nameRelation(relation),
      key: key.length === 0 ? [ROW_COLUMN] : key,
      columns: key.length === 0 ? [...columns, WHOLE_ROW] : columns,
      shape: detail.columns.map((column) => column.shape).join('; '),
    }
  })
  if (problems.length > 0) throw notCarried(options.name, problems)
  return tables
}

const WHOLE_ROW: PostgresColumn = {
  name: ROW_COLUMN,
  type: 'text',
  carried: 'VARCHAR',
  notNull: true,
  attribute: 0,
  source: null,
}

function describeColumns(columns: readonly RelationColumn[]): PostgresColumn[] {
  const names = distinctNames(columns.map(({ name }) => name))
  return columns.map(({ name, type, builtin, inside, notNull, attribute, comment }, index) => ({
    name: names[index] ?? name,
    type,
    builtin,
    inside,
    carried: carriedType(builtin ?? type),
    notNull,
    attribute,
    comment,
    source: name,
  }))
}

function relationProblems({ populated }: Relation, children: readonly Relation[]): string[] {
  if (!populated)
    return ['is a materialized view that holds nothing yet; refresh it, or exclude it']
  return children.map(
    ({ schema, name }) =>
      `has rows in the table ${writeTableName(schema, name)}, which inherits from it and is neither included nor excluded`,
  )
}

/**
 * By the oid of a parent, the tables that inherit from it and are neither chosen nor excluded. Each table is read for
 * itself: whoever takes the parent must say what is to become of the children.
 */
function unchosenChildren(
  choice: TableChoice,
  all: readonly Relation[],
  chosen: readonly Relation[],
): ReadonlyMap<string, readonly Relation[]> {
  const isChosen = new Set(chosen)
  const isExcluded = meaningOf(choice.exclude, choice)
  const children = new Map<string, Relation[]>()
  for (const child of all) {
    if (child.parents.length === 0 || isChosen.has(child) || isExcluded(child)) continue
    for (const parent of child.parents) {
      const own = children.get(parent) ?? []
      own.push(child)
      children.set(parent, own)
    }
  }
  return children
}

function columnProblems(
  columns: readonly RelationColumn[],
  described: readonly PostgresColumn[],
): string[] {
  const unnamed = new Set(
    distinctNames(columns.map(({ name }) => name)).flatMap((name, index) =>
      name === undefined ? [described[index]?.name ?? ''] : [],
    ),
  )
  return columns.flatMap(({ name }) => [
    ...(unnamed.has(name) ? [`has the column "${name}", whose name others have but for case`] : []),
    ...(name.toLowerCase().startsWith('_tote_')
      ? [`has a column named "${name}", which Tote keeps for itself`]
      : []),
  ])
}

function notCarried(source: string, problems: readonly Problem[]): ToteError {
  const where = [...new Set(problems.map((problem) => problem.where))]
  const patterns = where.map((name) => `'${name.replaceAll(/['\\]/g, String.raw`\$&`)}'`)
  return new ToteError(
    'TableNotCarried',
    `Source "${source}" has ${where.length === 1 ? 'a table' : `${where.length} tables`} that cannot be carried as they are.`,
    {
      problems,
      why: 'docs/tables.md says which tables are carried, and how',
      fix: `carry a view with other names in its place, leave the columns out, or sources.${source}.tables.exclude: [${patterns.join(', ')}]`,
    },
  )
}
