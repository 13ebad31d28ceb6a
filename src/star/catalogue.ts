/** What is there already: the star's tables and views as the warehouse's catalogue tells them, and our rights. */
import type { Connection, TextRow } from '../postgres/connection.ts'
import { quoteQualified } from '../postgres/identifiers.ts'

export interface FoundColumn {
  readonly name: string
  readonly type: string
  readonly notNull: boolean
  /** A default, an identity or a sequence fills it when nothing is given. */
  readonly filled: boolean
  readonly generated: boolean
}

export interface FoundRelation {
  readonly name: string
  /** r table, p partitioned table, v view, i index, S sequence, … */
  readonly kind: string
  readonly comment: string | null
  readonly columns: readonly FoundColumn[]
  readonly primaryKey: readonly string[]
  /** Unique indexes besides the primary key, by name. */
  readonly unique: readonly string[]
  /** Columns with a foreign key of their own. */
  readonly foreignKeys: readonly string[]
  readonly owned: boolean
  /** What we may do of select, insert, update and delete. */
  readonly rights: readonly string[]
}

export type Catalogue = ReadonlyMap<string, FoundRelation>

/** Relations of `schema` with one of these names; types qualified unless they are the server's own. */
export async function readCatalogue(
  connection: Connection,
  schema: string,
  names: readonly string[],
): Promise<Catalogue> {
  const rows = await connection.query('read the catalogue', CATALOGUE, [
    schema,
    JSON.stringify(names),
  ])
  return new Map(rows.map((row) => [row['name'] ?? '', foundRelation(row)]))
}

const CATALOGUE = `
select c.relname as name, c.relkind::text as kind, obj_description(c.oid, 'pg_class') as comment,
  pg_has_role(c.relowner, 'usage') as owned,
  (select coalesce(jsonb_agg(r), '[]') from unnest(array['select', 'insert', 'update', 'delete']) as r
    where c.relkind in ('r', 'p', 'v') and has_table_privilege(c.oid, r)) as rights,
  (select coalesce(jsonb_agg(jsonb_build_object(
      'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'notNull', a.attnotnull,
      'filled', a.atthasdef or a.attidentity <> '', 'generated', a.attgenerated <> '') order by a.attnum), '[]')
    from pg_attribute as a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
  (select coalesce(jsonb_agg(a.attname order by k.n), '[]')
    from pg_index as i cross join lateral unnest(i.indkey) with ordinality as k(attnum, n)
    join pg_attribute as a on a.attrelid = c.oid and a.attnum = k.attnum
    where i.indrelid = c.oid and i.indisprimary) as primary_key,
  (select coalesce(jsonb_agg(x.relname order by x.relname), '[]')
    from pg_index as i join pg_class as x on x.oid = i.indexrelid
    where i.indrelid = c.oid and i.indisunique and not i.indisprimary) as unique_indexes,
  (select coalesce(jsonb_agg(a.attname order by a.attnum), '[]')
    from pg_constraint as f join pg_attribute as a on a.attrelid = c.oid and a.attnum = f.conkey[1]
    where f.conrelid = c.oid and f.contype = 'f' and cardinality(f.conkey) = 1) as foreign_keys
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname in (select jsonb_array_elements_text($2::jsonb))`

function foundRelation(row: TextRow): FoundRelation {
  const list = (name: string): readonly string[] => JSON.parse(row[name] ?? '[]') as string[]
  return {
    name: row['name'] ?? '',
    kind: row['kind'] ?? '',
    comment: row['comment'] ?? null,
    columns: JSON.parse(row['columns'] ?? '[]') as FoundColumn[],
    primaryKey: list('primary_key'),
    unique: list('unique_indexes'),
    foreignKeys: list('foreign_keys'),
    owned: row['owned'] === 't',
    rights: list('rights'),
  }
}

/** The names of those tables that hold no row. */
export async function readEmptyTables(
  connection: Connection,
  schema: string,
  names: readonly string[],
): Promise<ReadonlySet<string>> {
  if (names.length === 0) return new Set()
  const flags = names.map((name) => `not exists (select from ${quoteQualified(schema, name)})`)
  // A list of columns would end with the 1,664th.
  const [row] = await connection.query(
    'look for rows',
    `select array_to_json(array[${flags.join(', ')}])::text as empty`,
  )
  const empty = JSON.parse(row?.['empty'] ?? '[]') as boolean[]
  return new Set(names.filter((_, index) => empty[index] === true))
}

/**
 * Types as `format_type` prints them, by the spelling that was asked for; null for one that the
 * warehouse does not have. Needs a transaction: the spellings are tried in a temporary table.
 */
export async function readTypes(
  connection: Connection,
  spellings: readonly string[],
): Promise<ReadonlyMap<string, string | null>> {
  if (spellings.length === 0) return new Map()
  const found = await connection.query(
    'look up the types of the models',
    'select t.spelling from jsonb_array_elements_text($1::jsonb) as t(spelling) where to_regtype(t.spelling) is not null',
    [JSON.stringify(spellings)],
  )
  const known = new Set(found.map((row) => row['spelling'] ?? ''))
  const tried = spellings.filter((spelling) => known.has(spelling))
  const types = new Map<string, string | null>(spellings.map((spelling) => [spelling, null]))
  for (let first = 0; first < tried.length; first += MOST_COLUMNS)
    for (const [spelling, type] of await tryTypes(
      connection,
      tried.slice(first, first + MOST_COLUMNS),
    ))
      types.set(spelling, type)
  return types
}

/** That a table may have. */
const MOST_COLUMNS = 1600

/** Types that are there, as `format_type` prints them, by their spellings. */
async function tryTypes(
  connection: Connection,
  spellings: readonly string[],
): Promise<readonly (readonly [string, string | null])[]> {
  const columns = spellings.map((spelling, index) => `c${index} ${spelling}`).join(', ')
  await connection.query(
    'try the types of the models',
    `create temp table tote_types (${columns}) on commit drop`,
  )
  const rows = await connection.query(
    'read the types of the models',
    `select format_type(atttypid, atttypmod) as type from pg_attribute
     where attrelid = 'pg_temp.tote_types'::regclass and attnum > 0 order by attnum`,
  )
  await connection.query('drop the tried types', 'drop table pg_temp.tote_types')
  return spellings.map((spelling, index) => [spelling, rows[index]?.['type'] ?? null] as const)
}
