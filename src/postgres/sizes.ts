/** How large tables are, as far as the server knows without looking at a row. */
import type { Connection } from './connection.ts'

export interface TableSize {
  /** Pages of the largest of its parts: every row's `ctid` names a lower one. */
  readonly pages: number
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
     select root::text, max(pages)::text as pages, bool_and(heap and relkind = 'r')::text as heap,
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
        rows: row['rows'] === null || row['rows'] === undefined ? null : Number(row['rows']),
        heap: row['heap'] === 'true',
      },
    ]),
  )
}
