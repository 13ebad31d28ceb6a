/** What the catalogue says of tables beyond their columns: constraints, comments, and where types come from. */
import type { Connection, TextRow } from './connection.ts'

/** Rows by the oid of their table. */
export type RowsByTable = ReadonlyMap<string, readonly TextRow[]>

export interface TableFacts {
  /** `attnum`, `attname`, and what COLUMNS says of its type. */
  readonly columns: RowsByTable
  /** `contype` f or c; `columns`, `target_schema`, `target`, `target_columns`, `rule`. */
  readonly constraints: RowsByTable
  /** `columns` of each, as JSON. */
  readonly unique: RowsByTable
  /** `comment`. */
  readonly comments: RowsByTable
}

/** Needs a transaction with `search_path` empty, so that types and rules are qualified. */
export async function readTableFacts(
  connection: Connection,
  oids: readonly string[],
): Promise<TableFacts> {
  const ask = async (doing: string, sql: string): Promise<RowsByTable> => {
    const byTable = new Map<string, TextRow[]>()
    for (const row of await connection.query(doing, sql, [`{${oids.join(',')}}`])) {
      const rows = byTable.get(row['oid'] ?? '') ?? []
      rows.push(row)
      byTable.set(row['oid'] ?? '', rows)
    }
    return byTable
  }
  return {
    columns: await ask('read the columns', COLUMNS),
    constraints: await ask('read the constraints', CONSTRAINTS),
    unique: await ask('read the unique indexes', UNIQUE),
    comments: await ask('read the comments', TABLES),
  }
}

/** `schema` and `name` of the tables that belong to extensions. */
export async function listExtensionTables(connection: Connection): Promise<readonly TextRow[]> {
  return connection.query('find the tables of extensions', MEMBERS)
}

const MEMBERS = `select n.nspname as schema, c.relname as name
from pg_catalog.pg_depend d
join pg_catalog.pg_class c on c.oid = d.objid and d.classid = 'pg_catalog.pg_class'::regclass
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where d.deptype = 'e' and d.refclassid = 'pg_catalog.pg_extension'::regclass`

const TABLES = `select c.oid::text as oid, obj_description(c.oid, 'pg_class') as comment
from pg_catalog.pg_class c where c.oid = any ($1::oid[])`

/**
 * Of each column: the labels of its enum, also under a domain; whether equal means the same bytes.
 */
const COLUMNS = `with recursive base as (
  select t.oid as type, t.oid as below from pg_catalog.pg_type t
  where t.oid in (select case when e.typcategory = 'A' and e.typelem <> 0 then e.typelem else e.oid end
    from pg_catalog.pg_attribute a join pg_catalog.pg_type e on e.oid = a.atttypid
    where a.attrelid = any ($1::oid[]))
  union all
  select base.type, d.typbasetype
  from base join pg_catalog.pg_type d on d.oid = base.below where d.typtype = 'd'
)
select a.attrelid::text as oid, a.attnum::text as attnum, a.attname,
  case when b.typtype = 'e' and not (t.typcategory = 'A' and t.typelem <> 0)
    then (select json_agg(l.enumlabel order by l.enumsortorder) from pg_catalog.pg_enum l where l.enumtypid = b.oid) end as labels,
  coalesce(l.collisdeterministic, true) as exact
from pg_catalog.pg_attribute a
join pg_catalog.pg_type t on t.oid = a.atttypid
join pg_catalog.pg_type e on e.oid = case when t.typcategory = 'A' and t.typelem <> 0 then t.typelem else t.oid end
join base on base.type = e.oid
join pg_catalog.pg_type b on b.oid = base.below and b.typtype <> 'd'
left join pg_catalog.pg_collation l on l.oid = a.attcollation
where a.attrelid = any ($1::oid[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum`

/** Foreign keys and check constraints that hold for every row; partitions have copies, which are left out. */
const CONSTRAINTS = `select k.conrelid::text as oid, k.contype::text as contype,
  case when k.contype = 'c' then pg_get_expr(k.conbin, k.conrelid) end as rule,
  (select json_agg(a.attname order by u.n) from unnest(k.conkey) with ordinality u(attnum, n)
    join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum) as columns,
  f.relname as target, n.nspname as target_schema,
  (select json_agg(a.attname order by u.n) from unnest(k.confkey) with ordinality u(attnum, n)
    join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.attnum) as target_columns
from pg_catalog.pg_constraint k
left join pg_catalog.pg_class f on f.oid = k.confrelid
left join pg_catalog.pg_namespace n on n.oid = f.relnamespace
where k.conrelid = any ($1::oid[]) and k.contype in ('f', 'c') and k.convalidated
  and not (k.contype = 'f' and k.conparentid <> 0)
order by k.conrelid, k.conname`

const UNIQUE = `select i.indrelid::text as oid,
  (select json_agg(a.attname order by u.n) from unnest(i.indkey::int2[]) with ordinality u(attnum, n)
    join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.attnum
    where u.n <= i.indnkeyatts) as columns
from pg_catalog.pg_index i
where i.indrelid = any ($1::oid[]) and i.indisunique and not i.indisprimary and i.indisvalid
  and i.indpred is null and i.indexprs is null
order by i.indrelid, i.indexrelid`
