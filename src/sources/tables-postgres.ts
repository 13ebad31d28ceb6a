/** Which relations of a database a source carries, and as what. */
import { writeTableName } from '../config/table-name.ts'
import { ToteError } from '../errors.ts'
import { carriedType } from '../postgres/carried.ts'
import type { Relation, RelationDetail } from '../postgres/catalogue.ts'
import { quoteIdentifier, quoteQualified } from '../postgres/identifiers.ts'
import { chooseTables, isNamed, type TableChoice } from './patterns.ts'
import type { SourceTable } from './source.ts'

export interface RelationChoice {
  /** The source's name, for what is said of it. */
  readonly name: string
  readonly tables: TableChoice
}

/** A table of the source, and what it is called in the database. */
export interface PostgresTable extends SourceTable {
  readonly schema: string
  readonly relation: string
}

/** The relations that a source carries. Throws SourceTableUnknown, SourceForbidden. */
export function chooseRelations(
  options: RelationChoice,
  address: string,
  relations: readonly Relation[],
): Relation[] {
  const tables = chooseTables(options.name, relations, options.tables).filter(
    (relation) => isTable(relation) || isNamed(relation, options.tables),
  )
  const forbidden = tables.filter((table) => !table.readable)
  if (forbidden.length > 0) {
    const names = forbidden.map((table) => `"${table.schema}.${table.name}"`)
    const role = quoteIdentifier(address.slice(0, address.lastIndexOf('@')))
    throw new ToteError(
      'SourceForbidden',
      `Source "${options.name}" does not let us read ${names.join(', ')}.`,
      {
        where: address,
        why: 'the role has no SELECT on the table, or no USAGE on its schema',
        fix: forbidden
          .map((table) => `grant select on ${quoteQualified(table.schema, table.name)} to ${role};`)
          .join(' '),
        problems: forbidden.map((table) => ({
          where: `${table.schema}.${table.name}`,
          message: 'SELECT is missing',
        })),
      },
    )
  }
  return tables
}

function isTable(relation: Relation): boolean {
  return relation.kind === 'r' || relation.kind === 'p'
}

/** The chosen relations as tables of the source. Throws NotSupportedYet with everything that cannot be carried. */
export function describeTables(
  options: RelationChoice,
  relations: readonly Relation[],
  details: ReadonlyMap<string, RelationDetail>,
): PostgresTable[] {
  const unsupported: { where: string; message: string }[] = []
  const names = new Map<string, string>()
  const tables = relations.map((relation): PostgresTable => {
    const detail = details.get(relation.oid) ?? { oid: relation.oid, key: [], columns: [] }
    const where = writeTableName(relation.schema, relation.name)
    if (!isTable(relation)) unsupported.push({ where, message: 'is not a table' })
    else if (detail.key.length === 0) unsupported.push({ where, message: 'has no primary key' })
    else unsupported.push(...oddities(relation, detail).map((message) => ({ where, message })))
    const name =
      relation.schema === options.tables.defaultSchema
        ? relation.name
        : `${relation.schema}.${relation.name}`
    // DuckDB, where models read them, does not tell upper from lower case in names.
    if (names.has(name.toLowerCase()))
      unsupported.push({
        where,
        message: `has the name of another table, "${names.get(name.toLowerCase())}", but for case or dots`,
      })
    names.set(name.toLowerCase(), where)
    return {
      name,
      schema: relation.schema,
      relation: quoteQualified(relation.schema, relation.name),
      key: detail.key,
      columns: detail.columns.map((column) => ({ ...column, carried: carriedType(column.type) })),
      shape: detail.columns.map((column) => column.shape).join('; '),
    }
  })
  if (unsupported.length > 0) {
    const where = [...new Set(unsupported.map((problem) => problem.where))]
    throw new ToteError(
      'NotSupportedYet',
      `Source "${options.name}" has ${where.length === 1 ? 'a table' : `${where.length} tables`} that cannot be carried so far.`,
      {
        problems: unsupported,
        fix: `sources.${options.name}.tables.exclude: [${where.map((name) => `'${name}'`).join(', ')}]`,
      },
    )
  }
  return tables
}

/** What a table with a key has that would go wrong later on. */
function oddities(relation: Relation, { columns }: RelationDetail): string[] {
  const found = relation.inherited
    ? ['has tables that inherit from it, so its key does not tell its rows apart']
    : []
  const seen = new Map<string, string>()
  for (const { name } of columns) {
    const other = seen.get(name.toLowerCase())
    if (other !== undefined)
      found.push(`has columns that differ only in case, "${other}" and "${name}"`)
    if (name.toLowerCase().startsWith('_tote_'))
      found.push(`has a column named "${name}", which Tote keeps for itself`)
    seen.set(name.toLowerCase(), name)
  }
  return found
}
