/**
 * Reads what init must know of a database. Which tables can be carried, under which names and as what,
 * the source itself says: what it refuses is left out, with its reason.
 */
import { withSchema, writeTableName } from '../config/table-name.ts'
import { ToteError, type Problem } from '../errors.ts'
import type { Context } from '../events.ts'
import { connect, type Connection, type TextRow } from '../postgres/connection.ts'
import { listRelations, type Relation } from '../postgres/catalogue.ts'
import { quoteIdentifier } from '../postgres/identifiers.ts'
import { beginReading } from '../postgres/session.ts'
import { listExtensionTables, readTableFacts } from '../postgres/table-facts.ts'
import { chooseTables, exactNames, meaningOf } from '../sources/patterns.ts'
import { openPostgresSource } from '../sources/source-postgres.ts'
import type { SourceColumn, SourceSnapshot, SourceTable } from '../sources/source.ts'
import type { Found, FoundColumn, FoundTable, LeftOut } from './found.ts'
import { isBookkeeping, mainSchema } from './names.ts'

export interface ReadOptions {
  /** The source's name in the project. */
  readonly source: string
  readonly url: string
  /** Only these schemas; all when empty. */
  readonly schemas: readonly string[]
  /** Only tables that match these patterns; all when empty. */
  readonly tables: readonly string[]
  /** Schemas that the star and its ledger will take. */
  readonly ownSchemas: readonly string[]
}

const LIMITS = { lockTimeoutMs: 10_000, statementTimeoutMs: 120_000 }

/** Throws SourceTableUnknown when nothing can be carried, and what connecting throws. */
export async function readDatabase(options: ReadOptions, context: Context): Promise<Found> {
  const connection = await connect({
    side: 'source',
    name: options.source,
    url: options.url,
    signal: context.signal,
  })
  try {
    await connection.query('begin', beginReading('repeatable read', LIMITS))
    const listed = await listRelations(connection)
    const members = await listExtensionTables(connection)
    const choice = chooseAll(
      options,
      listed,
      new Set(members.map((row) => writeTableName(row['schema'] ?? '', row['name'] ?? ''))),
    )
    const { snapshot, tables, leftOut } = await carriedTables(options, choice, context)
    await snapshot.close()
    if (tables.length === 0) {
      throw nothing(options.source, {
        leftOut,
        unreadable: listed.filter(({ readable }) => !readable),
        role: connection.peer.address.slice(0, connection.peer.address.indexOf('@')),
      })
    }
    return {
      database: connection.peer.address.slice(connection.peer.address.lastIndexOf('/') + 1),
      tables: await describeTables(connection, tables),
      leftOut,
      defaultSchema: choice.defaultSchema,
      include: choice.include,
      exclude: leftOut.flatMap(({ origin, why }) =>
        choice.matched.has(origin) ? [{ pattern: origin, why }] : [],
      ),
    }
  } finally {
    await connection.close()
  }
}

interface Choice {
  readonly include: readonly string[]
  readonly defaultSchema: string
  readonly relations: readonly Relation[]
  readonly leftOut: readonly LeftOut[]
  /** Origins that the include patterns name and that a source would take. */
  readonly matched: ReadonlySet<string>
}

function chooseAll(
  options: ReadOptions,
  listed: readonly Relation[],
  members: ReadonlySet<string>,
): Choice {
  const isLoaded = listed.some(({ schema, name }) => schema === LEDGER && name === 'ledger')
  const own = [...options.ownSchemas, ...(isLoaded ? [LEDGER] : [])]
  const mine = listed.filter(({ schema }) => !own.includes(schema))
  refuseUnknownSchemas(options, mine)
  const inSchemas = mine.filter(
    ({ schema }) => options.schemas.length === 0 || options.schemas.includes(schema),
  )
  const isTable = ({ kind }: Relation): boolean => kind === 'r' || kind === 'p'
  const tables = inSchemas.filter(isTable)
  const schemas = [...new Set(tables.map(({ schema }) => schema))]
  const defaultSchema = mainSchema(
    tables
      .filter((table) => !members.has(originOf(table)) && !isBookkeeping(table.name))
      .map(({ schema }) => schema),
  )
  const include =
    options.tables.length > 0 ? options.tables : schemas.map((schema) => withSchema('*', schema))
  const chosen =
    include.length === 0
      ? []
      : chooseTables(options.source, inSchemas, { include, exclude: [], defaultSchema })
  const named = meaningOf(exactNames(options.tables), { defaultSchema })
  const leftOut = chosen.flatMap((relation): LeftOut[] => {
    const why = reasonAgainst(relation, members.has(originOf(relation)), named(relation))
    return why === undefined ? [] : [{ origin: originOf(relation), why }]
  })
  // Where there is no ledger yet, what is there is not ours.
  if (!isLoaded && options.schemas.length + options.tables.length === 0)
    leftOut.push(
      ...listed
        .filter((relation) => own.includes(relation.schema) && isTable(relation))
        .map((relation) => ({ origin: originOf(relation), why: IN_THE_WAY })),
    )
  const out = new Set(leftOut.map(({ origin }) => origin))
  return {
    include,
    defaultSchema,
    leftOut,
    relations: chosen.filter((relation) => !out.has(originOf(relation))),
    matched: new Set(
      chosen.filter((relation) => isTable(relation) || named(relation)).map(originOf),
    ),
  }
}

/** The schema of ledgers. */
export const LEDGER = 'tote'

const IN_THE_WAY =
  'is in a schema that the star or its ledger takes in this very database; another database for --warehouse leaves it alone'

const KINDS: Readonly<Record<string, string>> = {
  v: 'is a view',
  m: 'is a materialized view',
  f: 'is a foreign table',
}

function reasonAgainst(
  { kind, name, readable, filtered }: Relation,
  isMember: boolean,
  isAsked: boolean,
): string | undefined {
  const other = KINDS[kind]
  if (isAsked) return undefined
  if (other !== undefined) return `${other}, which is carried only when it is named`
  if (isMember) return 'belongs to an extension'
  if (isBookkeeping(name)) return 'is the bookkeeping of a migration tool'
  if (!readable) return 'cannot be read: SELECT on it, or USAGE on its schema, is missing'
  return filtered
    ? 'shows this role only some of its rows: row-level security, which a role with bypassrls passes'
    : undefined
}

function refuseUnknownSchemas({ source, schemas }: ReadOptions, listed: readonly Relation[]): void {
  const known = [...new Set(listed.map(({ schema }) => schema))]
  const unknown = schemas.filter((schema) => !known.includes(schema))
  if (unknown.length === 0) return
  throw new ToteError(
    'SourceTableUnknown',
    `Source "${source}" has no tables in ${unknown.map((name) => `"${name}"`).join(', ')}.`,
    { where: '--schema', fix: `one of: ${known.join(', ')}` },
  )
}

interface Carried {
  readonly snapshot: SourceSnapshot
  readonly tables: readonly { readonly relation: Relation; readonly table: SourceTable }[]
  readonly leftOut: readonly LeftOut[]
}

/** Asks the source, leaving out what it refuses, until it takes the rest. */
async function carriedTables(
  options: ReadOptions,
  choice: Choice,
  context: Context,
): Promise<Carried> {
  const leftOut = [...choice.leftOut]
  let relations = choice.relations
  for (;;) {
    if (relations.length === 0) return { snapshot: emptySnapshot, tables: [], leftOut }
    const patterns = {
      include: choice.include,
      exclude: leftOut.flatMap(({ origin }) => (choice.matched.has(origin) ? [origin] : [])),
      defaultSchema: choice.defaultSchema,
    }
    try {
      const source = openPostgresSource({
        name: options.source,
        url: async () => options.url,
        tables: patterns,
        table: [],
        maskSecret: null,
        limits: LIMITS,
        giveWayAfterMs: 10_000,
      })
      const snapshot = await source.snapshot(context)
      return { snapshot, tables: pair(snapshot, relations), leftOut }
    } catch (error) {
      const refused = error instanceof ToteError ? refusals(error, relations) : new Map()
      if (refused.size === 0) throw error
      leftOut.push(...[...refused].map(([origin, why]) => ({ origin, why })))
      relations = relations.filter((relation) => !refused.has(originOf(relation)))
    }
  }
}

const emptySnapshot = { close: async () => undefined } as SourceSnapshot

/** The source's complaints by table: each names `schema.table`, or a column below it. */
function refusals(
  { name, facts }: ToteError,
  relations: readonly Relation[],
): ReadonlyMap<string, string> {
  const refused = new Map<string, string>()
  if (!['NotSupportedYet', 'TableNotCarried', 'SourceForbidden', 'ValueNotCarried'].includes(name))
    return refused
  for (const { where, message } of facts.problems ?? ([] as Problem[])) {
    const [relation] = relations
      .filter((one) => where === originOf(one) || where.startsWith(`${originOf(one)}.`))
      .toSorted((a, b) => originOf(b).length - originOf(a).length)
    if (relation === undefined) continue
    const column = where.slice(originOf(relation).length + 1)
    const text = column === '' ? message : `column ${column} ${message}`
    const before = refused.get(originOf(relation))
    refused.set(originOf(relation), before === undefined ? text : `${before}; ${text}`)
  }
  return refused
}

/** The snapshot's tables are those that were chosen, perhaps by other names. */
function pair(snapshot: SourceSnapshot, relations: readonly Relation[]): Carried['tables'] {
  const byOrigin = new Map(relations.map((relation) => [originOf(relation), relation]))
  return snapshot.tables.map((table) => {
    const relation = byOrigin.get(table.origin ?? '')
    if (relation === undefined)
      throw new ToteError('SourceBusy', 'The tables of the source changed while they were read.', {
        fix: 'run again when the migration is over',
      })
    return { relation, table }
  })
}

async function describeTables(
  connection: Connection,
  carried: Carried['tables'],
): Promise<FoundTable[]> {
  const { columns, constraints, unique, comments } = await readTableFacts(
    connection,
    carried.map(({ relation }) => relation.oid),
  )
  return carried.map(({ relation, table }): FoundTable => {
    const { oid, schema, name } = relation
    const mine = constraints.get(oid) ?? []
    const facts = new Map((columns.get(oid) ?? []).map((row) => [Number(row['attnum']), row]))
    return {
      origin: originOf(relation),
      schema,
      table: name,
      name: table.name,
      key: table.key,
      columns: table.columns.map((column) => describeColumn(column, facts.get(column.attribute))),
      comment: comments.get(oid)?.[0]?.['comment'] ?? null,
      foreignKeys: mine
        .filter((row) => row['contype'] === 'f')
        .map((row) => ({
          columns: names(row['columns']),
          target: writeTableName(row['target_schema'] ?? '', row['target'] ?? ''),
          targetColumns: names(row['target_columns']),
        })),
      unique: (unique.get(oid) ?? []).map((row) => names(row['columns'])),
      rules: mine.filter((row) => row['contype'] === 'c').map((row) => row['rule'] ?? ''),
    }
  })
}

function describeColumn(column: SourceColumn, row: TextRow | undefined): FoundColumn {
  const { name, type, builtin, carried, notNull, comment } = column
  const labels = row?.['labels'] ?? null
  return {
    name,
    origin: row?.['attname'] ?? name,
    type,
    carried,
    notNull,
    comment: comment ?? null,
    builtin,
    labels: labels === null ? null : (JSON.parse(labels) as string[]),
    exact: row?.['exact'] !== 'f' && isExact(type, carried, labels !== null),
  }
}

function isExact(type: string, carried: string, isEnum: boolean): boolean {
  return carried !== 'VARCHAR' || isEnum || /^(text|character varying(\(\d+\))?)$/.test(type)
}

function names(json: string | null | undefined): readonly string[] {
  return JSON.parse(json ?? '[]') as string[]
}

/** As a config writes it, so that no two tables look alike. */
function originOf({ schema, name }: Pick<Relation, 'schema' | 'name'>): string {
  return writeTableName(schema, name)
}

/** Each reason once, and what an administrator grants where a right is all that is missing. */
function nothing(
  source: string,
  {
    leftOut,
    unreadable,
    role,
  }: {
    readonly leftOut: readonly LeftOut[]
    readonly unreadable: readonly Relation[]
    readonly role: string
  },
): ToteError {
  const reasons = [...new Set(leftOut.map(({ why }) => why))]
  const schemas = [...new Set(unreadable.map(({ schema }) => quoteIdentifier(schema)))].join(', ')
  const to = quoteIdentifier(role)
  return new ToteError(
    'SourceTableUnknown',
    `Source "${source}" has no table that can be carried.`,
    {
      why: leftOut.length === 0 ? 'the database shows no table to this role' : undefined,
      problems: reasons.map((why) => ({
        where: someOf(leftOut.filter((one) => one.why === why)),
        message: why,
      })),
      fix:
        schemas === ''
          ? 'grant SELECT on its tables and USAGE on their schemas to the role, or name another database'
          : `grant usage on schema ${schemas} to ${to}; grant select on all tables in schema ${schemas} to ${to}`,
    },
  )
}

function someOf(tables: readonly LeftOut[]): string {
  const names = tables.slice(0, 3).map(({ origin }) => origin)
  const others = tables.length - names.length
  return `${names.join(', ')}${others === 0 ? '' : `, and ${others} more`}`
}
