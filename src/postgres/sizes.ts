/** How tables lie at the server: how large they are, and what must be the same so that pairs of their rows count. */
import type { Connection } from './connection.ts'
import { quoteIdentifier } from './identifiers.ts'

export interface TableSize {
  /** Pages of the largest of its parts: every row's `ctid` names a lower one. */
  readonly pages: number
  /** Of all its parts together. */
  readonly allPages: number
  /** Rows as last analyzed, in proportion to what it has grown since; null when never analyzed. */
  readonly rows: number | null
  /** All its rows lie in heap tables, so that they have a `ctid` and an `xmin`. */
  readonly heap: boolean
}

/** Sizes by table oid, partitions included. What a snapshot sees, taken before, lies within them. */
export async function measureTables(
  connection: Connection,
  oids: readonly string[],
): Promise<Map<string, TableSize>> {
  const rows = await connection.query(
    'ask for the sizes of the tables',
    `with recursive tree(root, oid) as (
       select o, o from unnest($1::oid[]) as o
       union
       select t.root, i.inhrelid from tree t
         join pg_catalog.pg_class p on p.oid = t.oid and p.relkind = 'p'
         join pg_catalog.pg_inherits i on i.inhparent = t.oid
     ), leaves as (
       select t.root, c.relkind, c.relpages, c.reltuples, coalesce(a.amname, '') = 'heap' as heap,
         coalesce(pg_relation_size(c.oid) / current_setting('block_size')::bigint, 0) as pages
       from tree t join pg_catalog.pg_class c on c.oid = t.oid
         left join pg_catalog.pg_am a on a.oid = c.relam
       where c.relkind <> 'p'
     )
     select root::text, max(pages)::text as pages, sum(pages)::text as all_pages, bool_and(heap and relkind = 'r')::text as heap,
       case when bool_and(pages = 0 or relpages > 0)
         then round(sum(case when relpages > 0 then greatest(reltuples, 0)::float8 / relpages * pages else 0 end))::bigint::text
       end as rows
     from leaves group by root`,
    [`{${oids.join(',')}}`],
  )
  return new Map(
    rows.map((row) => [
      row['root'] ?? '',
      {
        pages: Number(row['pages']),
        allPages: Number(row['all_pages']),
        rows: row['rows'] === null || row['rows'] === undefined ? null : Number(row['rows']),
        heap: row['heap'] === 'true',
      },
    ]),
  )
}

export interface PairFacts {
  /** By the oid of each table that rows lie in: a digest of its attributes, missing values included. */
  readonly leaves: Readonly<Record<string, string>>
  /** By the same oids, the file that the rows lie in: whatever moves them without touching their `xmin` gives them another. */
  readonly files: Readonly<Record<string, string>>
  /** A digest of all types that its columns are made of: labels of enums, attributes of composites. */
  readonly types: string
  /** Why its rows can read differently though none was written; null when they cannot. */
  readonly fault: string | null
}

/**
 * By table oid, what pairs of (key, xmin) hang on. Whatever is in here may change how rows read without
 * touching their `xmin`: a default of an added column, a label that was renamed, a partition that was
 * altered while it was away. Needs an open transaction whose snapshot is the batch's.
 */
export async function readPairFacts(
  connection: Connection,
  oids: readonly string[],
): Promise<Map<string, PairFacts>> {
  const given = [`{${oids.join(',')}}`]
  const types = await connection.query('read what the columns are made of', TYPES, given)
  const facts = new Map(
    types.map(({ root, digest, fault }) => [
      root ?? '',
      {
        leaves: {} as Record<string, string>,
        files: {} as Record<string, string>,
        types: digest ?? '',
        fault: fault ?? null,
      },
    ]),
  )
  for (const row of await connection.query('read how the tables lie', LEAVES, given)) {
    const { leaves = {}, files = {} } = facts.get(row['root'] ?? '') ?? {}
    leaves[row['leaf'] ?? ''] = row['digest'] ?? ''
    files[row['leaf'] ?? ''] = row['file'] ?? ''
  }
  return facts
}

const LEAVES = `with recursive tree(root, oid) as (
    select o, o from unnest($1::oid[]) as o
    union
    select t.root, i.inhrelid from tree t
      join pg_catalog.pg_class p on p.oid = t.oid and p.relkind = 'p'
      join pg_catalog.pg_inherits i on i.inhparent = t.oid
  )
  select t.root::text, t.oid::text as leaf, c.relfilenode::text as file,
    left(encode(sha256(convert_to(coalesce((
      select string_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attgenerated, a.attisdropped,
          a.attmissingval::text), ';' order by a.attnum)
      from pg_catalog.pg_attribute a where a.attrelid = t.oid and a.attnum > 0), ''), 'UTF8')), 'hex'), 16) as digest
  from tree t join pg_catalog.pg_class c on c.oid = t.oid
  where c.relkind <> 'p' order by t.root, t.oid`

/**
 * Arrays and domains, composites and ranges are followed down to what they are made of. The range of a
 * multirange is asked for as JSON, because PostgreSQL 13 has no such column.
 */
const TYPES = `with recursive reach(root, type) as (
    select o, 0::oid from unnest($1::oid[]) as o
    union
    select a.attrelid, a.atttypid from pg_catalog.pg_attribute a
      where a.attrelid = any ($1::oid[]) and a.attnum > 0 and not a.attisdropped
    union
    select r.root, x.type from reach r join pg_catalog.pg_type t on t.oid = r.type
      cross join lateral (
        select t.typelem as type where t.typelem <> 0
        union all select t.typbasetype where t.typtype = 'd'
        union all select f.atttypid from pg_catalog.pg_attribute f
          where t.typrelid <> 0 and f.attrelid = t.typrelid and f.attnum > 0 and not f.attisdropped
        union all select g.rngsubtype from pg_catalog.pg_range g
          where g.rngtypid = t.oid or to_jsonb(g) ->> 'rngmultitypid' = t.oid::text) x
  )
  select r.root::text,
    left(encode(sha256(convert_to(coalesce(string_agg(case
        when t.typtype = 'e' then concat_ws(' ', t.oid, (select json_agg(e.enumlabel order by e.enumsortorder)::text
          from pg_catalog.pg_enum e where e.enumtypid = t.oid))
        when t.typrelid <> 0 then concat_ws(' ', t.oid, (select string_agg(concat_ws(' ', f.attnum, f.attname, f.atttypid, f.atttypmod), ',' order by f.attnum)
          from pg_catalog.pg_attribute f where f.attrelid = t.typrelid and f.attnum > 0 and not f.attisdropped))
      end, ';' order by t.oid), ''), 'UTF8')), 'hex'), 16) as digest,
    case
      when bool_or(t.typname ~ '^(reg|aclitem)' and n.nspname = 'pg_catalog')
        then 'has values that name objects of the server, which may be renamed'
      when exists (select from pg_catalog.pg_attribute a where a.attrelid = r.root and a.attnum > 0
          and not a.attisdropped and a.attgenerated = 'v')
        then 'has columns that are computed when they are read'
    end as fault
  from reach r left join pg_catalog.pg_type t on t.oid = r.type
    left join pg_catalog.pg_namespace n on n.oid = t.typnamespace
  group by r.root`

/** By table oid, the columns that whole, valid indexes begin with. */
export async function readIndexedColumns(
  connection: Connection,
  oids: readonly string[],
): Promise<Map<string, string[]>> {
  const rows = await connection.query(
    'read the indexes',
    `select i.indrelid::text as oid, json_agg(a.attname)::text as columns
     from pg_catalog.pg_index i join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
       join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_am m on m.oid = c.relam
     where i.indrelid = any ($1::oid[]) and i.indisvalid and i.indpred is null and m.amname in ('btree', 'brin')
     group by i.indrelid`,
    [`{${oids.join(',')}}`],
  )
  return new Map(
    rows.map((row) => [row['oid'] ?? '', JSON.parse(row['columns'] ?? '[]') as string[]]),
  )
}

/** A table that an index could read range by range. */
export interface KeyedTable {
  readonly oid: string
  /** As `from` takes it, quoted. */
  readonly relation: string
  /** The database's name of the key's first column. */
  readonly column: string
}

/** Rows lie in the order of a column, or nearly so: the server's statistics, between -1 and 1. */
const IN_ORDER = 0.95

/**
 * By table oid, the least and the greatest value of the key's first column: of tables that have an index on it, have been
 * analyzed, and lie in its order, and where it is a whole number. Any other would be read whole for every range.
 */
export async function measureKeys(
  connection: Connection,
  tables: readonly KeyedTable[],
): Promise<Map<string, { readonly least: bigint; readonly greatest: bigint }>> {
  const spans = new Map<string, { readonly least: bigint; readonly greatest: bigint }>()
  const indexed = await readIndexedColumns(
    connection,
    tables.map(({ oid }) => oid),
  )
  for (const { oid, relation, column } of tables) {
    if (indexed.get(oid)?.includes(column) !== true) continue
    const [lies] = await connection.query(
      'ask in which order a table lies',
      `select s.correlation::text from pg_catalog.pg_class c
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attname = $2
         join pg_catalog.pg_stats s on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname
       where c.oid = $1::oid and not s.inherited and a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)`,
      [oid, column],
    )
    if (Math.abs(Number(lies?.['correlation'] ?? 0)) < IN_ORDER) continue
    const name = quoteIdentifier(column)
    const [row] = await connection.query(
      'ask for the least and the greatest key',
      `select min(${name})::text as least, max(${name})::text as greatest from ${relation}`,
    )
    const { least, greatest } = row ?? {}
    if (typeof least === 'string' && typeof greatest === 'string')
      spans.set(oid, { least: BigInt(least), greatest: BigInt(greatest) })
  }
  return spans
}
