/** SQL that makes the roles a project needs, with no right too many. Pure text, for an administrator to read and run. */
import { isExact, parseTableName } from '../config/table-name.ts'
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../postgres/identifiers.ts'
import { rebuildSchema } from '../star/layout.ts'

export interface SourceRole {
  readonly source: string
  readonly role: string
  readonly database: string
  /** The tables to carry; null when the database could not be asked, and `patterns` must do. */
  readonly tables: readonly { readonly schema: string; readonly name: string }[] | null
  /** Of the config, always with a schema. */
  readonly patterns: readonly string[]
}

export interface WarehouseRole {
  readonly role: string
  readonly database: string
  readonly schema: string
  /** The ledger's schema. */
  readonly ledger: string
  readonly readers: readonly string[]
}

/** A role that may read the chosen tables, and nothing else. */
export function sourceScript({ source, role, database, tables, patterns }: SourceRole): string {
  const grants = tables === null ? grantsByPattern(patterns, role) : grantsByName(tables, role)
  const schemas = [...new Set(grants.flatMap(({ schema }) => schema ?? []))].toSorted()
  const owner = '"the role that creates them"'
  return script(
    [
      `Source "${source}": a role that may read what the project carries, and nothing else.`,
      ...(tables === null
        ? [
            'The database could not be asked for its tables, so they stand as the config names them;',
            'once it can be reached as this role, the same command names them one by one.',
          ]
        : []),
    ],
    { role, database },
    [
      ...schemas.map(
        (schema) => `grant usage on schema ${quoteIdentifier(schema)} to ${quoteIdentifier(role)};`,
      ),
      ...grants.map(({ statement }) => statement),
      '-- Tables that are created later, if they are to be read without asking (not needed for a run):',
      ...schemas.map((schema) =>
        comment(
          `alter default privileges for role ${owner} in schema ${quoteIdentifier(schema)} grant select on tables to ${quoteIdentifier(role)};`,
        ),
      ),
    ],
  )
}

/** A role that may fill one schema and one ledger, and nothing else. */
export function warehouseScript({
  role,
  database,
  schema,
  ledger,
  readers,
}: WarehouseRole): string {
  const loader = quoteIdentifier(role)
  const schemas = [schema, ledger].map(quoteIdentifier)
  const rebuilds = quoteIdentifier(rebuildSchema(schema))
  return script(
    [
      `The warehouse: a role that may make and fill the tables of schema "${schema}" and the ledger in "${ledger}".`,
      'It owns what it makes. What it lacks on tables that are there already, tote check --live says.',
    ],
    { role, database },
    [
      `grant temporary on database ${quoteIdentifier(database)} to ${loader};`,
      comment(
        `In ${rebuilds} a new star is made by tote rebuild, before it takes the old one's place.`,
      ),
      ...[...schemas, rebuilds].flatMap((name) => [
        `create schema if not exists ${name};`,
        `grant usage, create on schema ${name} to ${loader};`,
      ]),
      ...(readers.length === 0
        ? []
        : [
            '-- Readers: SELECT on each table and view they are given by the loader, which owns them.',
          ]),
      ...readers.flatMap((reader) => [
        createRole(reader, 'nologin'),
        ...schemas.map((name) => `grant usage on schema ${name} to ${quoteIdentifier(reader)};`),
      ]),
    ],
  )
}

function script(
  what: readonly string[],
  { role, database }: { readonly role: string; readonly database: string },
  statements: readonly string[],
): string {
  const guard = `if current_database() <> ${quoteLiteral(database)} then
    raise exception using message = ${quoteLiteral(`this script is for the database "${database}"`)};
  end if;`
  return [
    ...what.map(comment),
    comment(
      `Run it as an administrator, connected to the database "${database}". It sets no password; afterwards, in psql:`,
    ),
    comment(`  \\password ${quoteIdentifier(role)}`),
    'begin;',
    block(guard),
    createRole(role, 'login'),
    `grant connect on database ${quoteIdentifier(database)} to ${quoteIdentifier(role)};`,
    ...statements,
    'commit;',
    '',
  ].join('\n')
}

function createRole(role: string, kind: 'login' | 'nologin'): string {
  return block(`if not exists (select from pg_catalog.pg_roles where rolname = ${quoteLiteral(role)}) then
    create role ${quoteIdentifier(role)} ${kind};
  end if;`)
}

/** As a statement of plain SQL, so that any client can run the script. */
function block(body: string): string {
  let tag = '$tote$'
  while (body.includes(tag)) tag = `${tag.slice(0, -1)}_$`
  return `do ${tag} begin\n  ${body}\nend ${tag};`
}

/** Line ends in a name must not end the comment. */
function comment(text: string): string {
  return `-- ${text.replaceAll(/\s*[\r\n]+\s*/g, ' ')}`
}

interface Grant {
  /** null when it is not known. */
  readonly schema: string | null
  readonly statement: string
}

function grantsByName(tables: NonNullable<SourceRole['tables']>, role: string): readonly Grant[] {
  return tables.map(({ schema, name }) => ({
    schema,
    statement: `grant select on ${quoteQualified(schema, name)} to ${quoteIdentifier(role)};`,
  }))
}

/** More than is needed where a pattern has stars, and nothing where even the schema has. */
function grantsByPattern(patterns: readonly string[], role: string): readonly Grant[] {
  return patterns.flatMap((pattern): Grant[] => {
    const written = parseTableName(pattern)
    const schema = written?.schema ?? null
    if (written === undefined || schema === null) return []
    const { name } = written
    if (schema.hasStar)
      return [
        {
          schema: null,
          statement: comment(`tables of ${pattern}: grant usage and select by hand`),
        },
      ]
    const what = isExact(written)
      ? quoteQualified(schema.text, name.text)
      : `all tables in schema ${quoteIdentifier(schema.text)}`
    return [
      { schema: schema.text, statement: `grant select on ${what} to ${quoteIdentifier(role)};` },
    ]
  })
}
