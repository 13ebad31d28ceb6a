/** The rights that loading needs, said as the grants that would give them. */
import { ToteError } from '../errors.ts'
import type { Connection } from '../postgres/connection.ts'
import { quoteIdentifier, quoteQualified } from '../postgres/identifiers.ts'
import type { ModelKind } from '../types.ts'
import type { FoundRelation } from './catalogue.ts'
import { LEDGER_TABLE } from './layout.ts'

export interface Rights {
  readonly role: string
  readonly database: string
  /** The ledger's schema. */
  readonly ledger: string
  readonly schemaExists: boolean
  readonly schemaUsage: boolean
  readonly schemaCreate: boolean
  readonly databaseCreate: boolean
  readonly databaseTemp: boolean
  readonly ledgerSchemaExists: boolean
  readonly ledgerSchemaCreate: boolean
  readonly ledgerExists: boolean
  readonly ledgerWritable: boolean
}

export async function readRights(
  connection: Connection,
  { schema, ledger }: { readonly schema: string; readonly ledger: string },
): Promise<Rights> {
  const [row] = await connection.query('read our rights', RIGHTS, [schema, ledger, LEDGER_TABLE])
  const flag = (name: string): boolean => row?.[name] === 't'
  return {
    role: row?.['role'] ?? '',
    database: row?.['database'] ?? '',
    ledger,
    schemaExists: flag('schema_exists'),
    schemaUsage: flag('schema_usage'),
    schemaCreate: flag('schema_create'),
    databaseCreate: flag('database_create'),
    databaseTemp: flag('database_temp'),
    ledgerSchemaExists: flag('ledger_schema_exists'),
    ledgerSchemaCreate: flag('ledger_schema_create'),
    ledgerExists: flag('ledger_exists'),
    ledgerWritable: flag('ledger_writable'),
  }
}

const RIGHTS = `
select current_user as role, current_database() as database,
  s.oid is not null as schema_exists,
  coalesce(has_schema_privilege(s.oid, 'usage'), false) as schema_usage,
  coalesce(has_schema_privilege(s.oid, 'create'), false) as schema_create,
  has_database_privilege(current_database(), 'create') as database_create,
  has_database_privilege(current_database(), 'temp') as database_temp,
  t.oid is not null as ledger_schema_exists,
  coalesce(has_schema_privilege(t.oid, 'create'), false) as ledger_schema_create,
  l.oid is not null as ledger_exists,
  coalesce(has_schema_privilege(t.oid, 'usage') and has_table_privilege(l.oid, 'select')
    and has_table_privilege(l.oid, 'insert'), false) as ledger_writable
from (select) as one
left join pg_namespace as s on s.nspname = $1
left join pg_namespace as t on t.nspname = $2
left join pg_class as l on l.relnamespace = t.oid and l.relname = $3`

/** What a load is about to do, as far as rights go. */
export interface Needs {
  readonly schema: string
  readonly creates: boolean
  /** Tables that are there and will be written. */
  readonly tables: readonly { readonly found: FoundRelation; readonly kind: ModelKind }[]
  /** Tables that must be altered, which only their owner may. */
  readonly alters: readonly string[]
}

/** The statements, for an administrator, that would give what is missing. */
function missingGrants(
  rights: Rights,
  { schema, creates, tables, alters }: Needs,
): readonly string[] {
  const role = quoteIdentifier(rights.role)
  const grants: string[] = []
  const database = quoteIdentifier(rights.database)
  const ledger = quoteIdentifier(rights.ledger)
  if (!rights.schemaExists) {
    if (!rights.databaseCreate)
      grants.push(`create schema ${quoteIdentifier(schema)} authorization ${role}`)
  } else if (!rights.schemaUsage || (creates && !rights.schemaCreate)) {
    grants.push(
      `grant usage${creates ? ', create' : ''} on schema ${quoteIdentifier(schema)} to ${role}`,
    )
  }
  if (!rights.databaseTemp) grants.push(`grant temporary on database ${database} to ${role}`)
  if (!rights.ledgerExists) {
    if (!rights.ledgerSchemaExists && !rights.databaseCreate)
      grants.push(`create schema ${ledger} authorization ${role}`)
    if (rights.ledgerSchemaExists && !rights.ledgerSchemaCreate)
      grants.push(`grant usage, create on schema ${ledger} to ${role}`)
  } else if (!rights.ledgerWritable) {
    grants.push(`grant usage on schema ${ledger} to ${role}`)
    grants.push(`grant select, insert on ${quoteQualified(rights.ledger, LEDGER_TABLE)} to ${role}`)
  }
  for (const { found, kind } of tables) {
    const needed = ['select', 'insert', 'update', ...(kind === 'table' ? ['delete'] : [])]
    const missing = needed.filter((right) => !found.rights.includes(right))
    if (missing.length > 0)
      grants.push(`grant ${missing.join(', ')} on ${quoteQualified(schema, found.name)} to ${role}`)
    if (alters.includes(found.name) && !found.owned)
      grants.push(`alter table ${quoteQualified(schema, found.name)} owner to ${role}`)
  }
  return grants
}

/** Throws WarehouseRefused, naming the schema and every grant that is missing. */
export function requireRights(rights: Rights, needs: Needs, address: string): void {
  const grants = missingGrants(rights, needs)
  if (grants.length === 0) return
  throw new ToteError(
    'WarehouseRefused',
    `Role "${rights.role}" lacks ${grants.length === 1 ? 'a right' : `${grants.length} rights`} in the warehouse, schema "${needs.schema}".`,
    {
      where: address,
      problems: grants.map((grant) => ({ where: needs.schema, message: `needed: ${grant}` })),
      fix: `as an administrator of the warehouse: ${grants.join('; ')}`,
      details: { schema: needs.schema, role: rights.role },
    },
  )
}

export interface Readership {
  readonly schema: string
  /** The ledger's schema. */
  readonly ledger: string
  readonly readers: readonly string[]
  /** Tables and views of the star. */
  readonly relations: readonly string[]
}

/** Readers that the warehouse does not know. Throws ConfigInvalid with every one of them. */
export async function requireReaders(
  connection: Connection,
  readers: readonly string[],
): Promise<void> {
  if (readers.length === 0) return
  const rows = await connection.query(
    'look up the readers',
    'select r.name from jsonb_array_elements_text($1::jsonb) as r(name) where not exists (select from pg_roles where rolname = r.name)',
    [JSON.stringify(readers)],
  )
  if (rows.length === 0) return
  const problems = rows.map((row) => ({
    where: 'warehouse.readers',
    message: `the warehouse has no role "${row['name'] ?? ''}"`,
  }))
  throw new ToteError(
    'ConfigInvalid',
    `warehouse.readers names ${rows.length === 1 ? 'a role' : `${rows.length} roles`} that the warehouse does not have.`,
    {
      where: 'warehouse.readers',
      problems,
      fix: rows.map((row) => `create role ${quoteIdentifier(row['name'] ?? '')}`).join('; '),
    },
  )
}

/** Gives each reader what it lacks to read the star and the ledger. */
export async function grantReaders(
  connection: Connection,
  { schema, ledger, readers, relations }: Readership,
): Promise<void> {
  if (readers.length === 0) return
  const rows = await connection.query('read the rights of the readers', LACKING, [
    JSON.stringify(readers),
    schema,
    JSON.stringify(relations),
    ledger,
  ])
  for (const row of rows)
    await connection.query(`let "${row['reader'] ?? ''}" read`, row['statement'] ?? '')
}

const LACKING = `
with reader as (select rolname, oid from pg_roles where rolname in (select jsonb_array_elements_text($1::jsonb))),
wanted as (
  select c.oid, n.nspname, c.relname from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
  where (n.nspname = $2 and c.relname in (select jsonb_array_elements_text($3::jsonb)))
    or (n.nspname = $4 and c.relname = '${LEDGER_TABLE}')
)
select rolname as reader, format('grant usage on schema %I to %I', nspname, rolname) as statement
from reader cross join (select distinct nspname from wanted) as schemas
where not has_schema_privilege(reader.oid, nspname, 'usage')
union all
select rolname, format('grant select on %I.%I to %I', nspname, relname, rolname)
from reader cross join wanted
where not has_table_privilege(reader.oid, wanted.oid, 'select')`
