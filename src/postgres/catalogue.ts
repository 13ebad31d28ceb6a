/** What the server's catalogue says of tables and of itself. Read with `search_path` empty, so types are qualified. */
import { ToteError } from '../errors.ts'
import type { TypePart } from '../types.ts'
import type { Connection } from './connection.ts'

export interface Relation {
  readonly oid: string
  readonly schema: string
  readonly name: string
  /** r table, p partitioned table, v view, m materialized view, f foreign table. */
  readonly kind: string
  /** Oids of the tables that it inherits from. */
  readonly parents: readonly string[]
  /** Partitioned tables: a digest of the oids of all their partitions. */
  readonly partitions: string | null
  /** False for a materialized view that was never refreshed. */
  readonly populated: boolean
  readonly readable: boolean
  /** Row-level security keeps rows of it from our role. */
  readonly filtered: boolean
}

export interface RelationColumn {
  readonly name: string
  readonly type: string
  /** As `Column.builtin`. */
  readonly builtin?: string | undefined
  /** As `Column.inside`. */
  readonly inside?: readonly TypePart[] | undefined
  readonly notNull: boolean
  readonly attribute: number
  readonly comment: string | undefined
  /** Whatever may change rows without touching their `xmin`, as text. */
  readonly shape: string
}

export interface RelationDetail {
  readonly oid: string
  readonly key: readonly string[]
  readonly columns: readonly RelationColumn[]
}

export interface ServerIdentity {
  /** null where the server does not let us ask. */
  readonly system: string | null
  readonly timeline: string | null
  readonly started: string
  /** Since when it counts: a recovery from a crash begins anew, also one without another start. null as above. */
  readonly counting: string | null
  readonly database: string
  readonly databaseOid: string
  readonly version: string
}

/** The server's version as a number: 150018 is 15.18. */
export async function serverVersion(connection: Connection): Promise<number> {
  const [row] = await connection.query(
    'ask for the version',
    `select current_setting('server_version_num') as version`,
  )
  return Number(row?.['version'])
}

/** All tables and table-like relations outside the server's own schemas, partitions left to their parents. */
export async function listRelations(connection: Connection): Promise<Relation[]> {
  const rows = await connection.query(
    'list tables',
    `select c.oid::text, n.nspname, c.relname, c.relkind::text, c.relispopulated,
       (select string_agg(i.inhparent::text, ',' order by i.inhseqno) from pg_catalog.pg_inherits i where i.inhrelid = c.oid) as parents,
       case when c.relkind = 'p' then (
         with recursive part(oid) as (
           select i.inhrelid from pg_catalog.pg_inherits i where i.inhparent = c.oid
           union select i.inhrelid from pg_catalog.pg_inherits i join part p on i.inhparent = p.oid)
         select encode(sha256(convert_to(coalesce(string_agg(p.oid::text, ',' order by p.oid), ''), 'UTF8')), 'hex') from part p
       ) end as partitions,
       has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as readable,
       c.relrowsecurity and row_security_active(c.oid) as filtered
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
       and n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%' escape '\\'
     order by n.nspname, c.relname`,
  )
  return rows.map((row) => ({
    oid: row['oid'] ?? '',
    schema: row['nspname'] ?? '',
    name: row['relname'] ?? '',
    kind: row['relkind'] ?? '',
    parents: row['parents']?.split(',') ?? [],
    partitions: row['partitions'] ?? null,
    populated: row['relispopulated'] === 't',
    readable: row['readable'] === 't',
    filtered: row['filtered'] === 't',
  }))
}

/**
 * From each type to what it is made of: domains to what they are domains of, arrays to their elements. Where
 * that ends in a type of the server's own, `builtin` is it, and else text; so are types whose values name
 * objects of this one server. Elements of arrays that are not told apart by commas cannot be an array of text.
 */
const TYPE_CHAINS = `chain as (
       select g.type as of_type, g.typmod as of_typmod, g.type as leaf, g.typmod, 0 as arrays from given g
       union all
       select c.of_type, c.of_typmod, case t.typtype when 'd' then t.typbasetype else e.oid end,
           case t.typtype when 'd' then t.typtypmod else c.typmod end, c.arrays + (t.typtype <> 'd')::int
         from chain c join pg_catalog.pg_type t on t.oid = c.leaf
         left join pg_catalog.pg_type e on e.oid = t.typelem and e.typarray = t.oid
         where t.typtype = 'd' or e.oid is not null),
     builtin as (
       select c.of_type, c.of_typmod, case
           when n.nspname = 'pg_catalog' and t.typname !~ '^(reg|aclitem)' and c.arrays < 2
             then format_type(case c.arrays when 0 then t.oid else t.typarray end, c.typmod)
           when c.arrays > 0 and t.typdelim = ',' then 'text[]' else 'text' end as builtin
         from chain c join pg_catalog.pg_type t on t.oid = c.leaf
         join pg_catalog.pg_namespace n on n.oid = t.typnamespace
         left join pg_catalog.pg_type e on e.oid = t.typelem and e.typarray = t.oid
         where t.typtype <> 'd' and e.oid is null)`

/**
 * What lies inside each type, through domains, arrays, ranges and composites: labels and attributes, which can
 * be renamed, so that values are others and no row has another `xmin`.
 */
const TYPE_PARTS = `parts as (
       select g.type as of_type, g.type as part from given g
       union
       select p.of_type, n.oid from parts p join pg_catalog.pg_type t on t.oid = p.part
         cross join lateral (
           select t.typbasetype as oid where t.typtype = 'd'
           union all select t.typelem where t.typelem <> 0
           union all select r.rngsubtype from pg_catalog.pg_range r where r.rngtypid = t.oid
           union all select f.atttypid from pg_catalog.pg_attribute f
             where t.typtype = 'c' and f.attrelid = t.typrelid and f.attnum > 0 and not f.attisdropped) n),
     inside as (
       select p.of_type, p.part, coalesce(
           (select string_agg(e.enumlabel, ',' order by e.enumsortorder) from pg_catalog.pg_enum e where e.enumtypid = p.part),
           (select string_agg(concat_ws(' ', f.attnum, f.attname, f.atttypid, f.atttypmod), ',' order by f.attnum)
              from pg_catalog.pg_attribute f where f.attrelid = t.typrelid and f.attnum > 0)) as inside,
           case t.typtype when 'e' then jsonb_build_object('type', format_type(p.part, null), 'labels',
               (select coalesce(jsonb_agg(e.enumlabel order by e.enumsortorder), '[]') from pg_catalog.pg_enum e where e.enumtypid = p.part))
             else jsonb_build_object('type', format_type(p.part, null), 'attributes',
               (select coalesce(jsonb_agg(jsonb_build_array(f.attname, format_type(f.atttypid, f.atttypmod)) order by f.attnum), '[]')
                from pg_catalog.pg_attribute f where f.attrelid = t.typrelid and f.attnum > 0 and not f.attisdropped)) end as told
         from parts p join pg_catalog.pg_type t on t.oid = p.part where t.typtype in ('e', 'c'))`

/** A type as a column has it, and how it is told from others. */
interface TypeFacts {
  readonly builtin: string | undefined
  readonly inside: readonly TypePart[] | undefined
  /** What lies inside, as a part of a shape; null when nothing can change there. */
  readonly shape: string | null
}

/** A type of the server's own that is made of no other. */
const PLAIN: TypeFacts = { builtin: undefined, inside: undefined, shape: null }

/** By type and modifier, `oid/typmod`; asked for those only that are made of others, or name objects of the server. */
async function describeTypes(
  connection: Connection,
  types: ReadonlySet<string>,
): Promise<ReadonlyMap<string, TypeFacts>> {
  if (types.size === 0) return new Map()
  const pairs = [...types].map((pair) => pair.split('/'))
  const rows = await connection.query(
    'read the types of the columns',
    `with recursive given as (
       select o.type, o.typmod from unnest($1::oid[], $2::int4[]) as o(type, typmod)),
     ${TYPE_CHAINS},
     ${TYPE_PARTS}
     select concat(g.type, '/', g.typmod) as pair, nullif(b.builtin, format_type(g.type, g.typmod)) as builtin,
       i.shape, i.inside
     from given g left join builtin b on b.of_type = g.type and b.of_typmod = g.typmod
     left join (select of_type, string_agg(inside, ' ' order by part) as shape, jsonb_agg(told order by part)::text as inside
       from inside group by of_type) i on i.of_type = g.type`,
    [0, 1].map((index) => `{${pairs.map((pair) => pair[index]).join(',')}}`),
  )
  return new Map(
    rows.map(({ pair, builtin, shape, inside }) => [
      pair ?? '',
      { builtin: builtin ?? undefined, inside: parseInside(inside), shape: shape ?? null },
    ]),
  )
}

/**
 * Whether a row of pg_attribute is of a column that holds no NULL: from PostgreSQL 18 on, `attnotnull` may be a
 * promise for new rows only. Looked up by index, table by table: joined as one list, it was searched for every index.
 */
function isNeverNull(attribute: string): string {
  return `(${attribute}.attnotnull and not exists (select from pg_catalog.pg_constraint o
             where o.conrelid = ${attribute}.attrelid and o.contype = 'n' and not o.convalidated and o.conkey = array[${attribute}.attnum]))`
}

/**
 * Columns and keys, by table oid. The key is the primary
 * key, else the replica identity, else the unique index with the fewest columns, the first columns of
 * the table before others: whole, valid, over plain columns that are all NOT NULL. Else it is empty.
 */
export async function describeRelations(
  connection: Connection,
  oids: readonly string[],
): Promise<Map<string, RelationDetail>> {
  const rows = await connection.query(
    'read the columns of the tables',
    `with chosen as (select unnest($1::oid[]) as oid),
     key as (
       select distinct on (k.indrelid) k.indrelid, k.columns
       from (select i.*, (i.indkey::int2[])[0:i.indnkeyatts - 1] as columns from pg_catalog.pg_index i
             where i.indrelid = any ($1::oid[]) and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null) k
       where not exists (select from unnest(k.columns) as c(attnum)
         where not exists (select from pg_catalog.pg_attribute n
           where n.attrelid = k.indrelid and n.attnum = c.attnum and ${isNeverNull('n')}))
       order by k.indrelid, k.indisprimary desc, k.indisreplident desc, k.indnkeyatts, k.columns)
     select t.oid::text as oid, a.attname, a.attnum::text, ${isNeverNull('a')} as attnotnull,
       format_type(a.atttypid, a.atttypmod) as type,
       case when y.typtype <> 'b' or y.typelem <> 0 or y.typnamespace <> 'pg_catalog'::regnamespace or y.typname ~ '^(reg|aclitem)'
         then concat(a.atttypid, '/', a.atttypmod) end as pair,
       col_description(a.attrelid, a.attnum) as comment,
       array_position(k.columns, a.attnum)::text as key_position,
       concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attgenerated,
         a.attmissingval::text, case when a.attgenerated <> '' then pg_get_expr(d.adbin, d.adrelid) end) as shape
     from chosen t left join pg_catalog.pg_attribute a on a.attrelid = t.oid
       and a.attrelid = any ($1::oid[]) and a.attnum > 0 and not a.attisdropped
     left join pg_catalog.pg_type y on y.oid = a.atttypid
     left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     left join key k on k.indrelid = a.attrelid
     order by t.oid, a.attnum`,
    [`{${oids.join(',')}}`],
  )
  const types = await describeTypes(connection, new Set(rows.flatMap(({ pair }) => pair ?? [])))
  const details = new Map<string, { oid: string; key: string[]; columns: RelationColumn[] }>()
  for (const row of rows) {
    const oid = row['oid'] ?? ''
    const detail = details.get(oid) ?? { oid, key: [], columns: [] }
    details.set(oid, detail)
    const name = row['attname'] ?? null
    // A table without columns.
    if (name === null) continue
    const { builtin, inside, shape } = types.get(row['pair'] ?? '') ?? PLAIN
    detail.columns.push({
      name,
      type: row['type'] ?? '',
      builtin,
      inside,
      notNull: row['attnotnull'] === 't',
      attribute: Number(row['attnum']),
      comment: row['comment'] ?? undefined,
      shape: [row['shape'] ?? '', ...(shape === null ? [] : [shape])].join(' '),
    })
    // int2vector counts from 0; its slice, which leaves out INCLUDE columns, from 1.
    const position = row['key_position'] ?? null
    if (position !== null) detail.key[Number(position) - 1] = name
  }
  return details
}

function parseInside(json: string | null | undefined): readonly TypePart[] | undefined {
  return typeof json === 'string' ? (JSON.parse(json) as TypePart[]) : undefined
}

/** Where the server's log (WAL) stands, and which server says so. */
export interface LogPosition {
  readonly started: string
  /** On a primary what has been written, on a standby what has been replayed; null where the server does not tell. */
  readonly lsn: string | null
  /** Known on a primary only. */
  readonly timeline: string | null
}

/**
 * Asks inside a savepoint: some servers that speak PostgreSQL know these functions and refuse them, which must
 * not end the open transaction. Whatever commits a snapshot shows lie before the position read after it; on a standby
 * all that lie before the position read before it are shown.
 */
export async function readLogPosition(connection: Connection): Promise<LogPosition> {
  const doing = 'read the position of the log'
  const started = 'pg_postmaster_start_time()::text as started'
  try {
    const [row] = await connection.query(
      doing,
      `savepoint tote_log; select ${started},
         (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end)::text as lsn,
         case when not pg_is_in_recovery()
           then ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int::text end as timeline`,
    )
    // A snapshot cannot be shared from inside a savepoint.
    await connection.query(doing, 'release savepoint tote_log')
    return {
      started: row?.['started'] ?? '',
      lsn: row?.['lsn'] ?? null,
      timeline: row?.['timeline'] ?? null,
    }
  } catch (error) {
    // Not supported, not there, not allowed.
    const sqlstate = error instanceof ToteError ? error.facts.sqlstate : undefined
    if (sqlstate === undefined || !/^(0A|42|55000)/.test(sqlstate)) throw error
    const [row] = await connection.query(
      doing,
      `rollback to savepoint tote_log; release savepoint tote_log; select ${started}`,
    )
    return { started: row?.['started'] ?? '', lsn: null, timeline: null }
  }
}

const COUNTING = 'pg_stat_get_bgwriter_stat_reset_time()'

/** Who the server is, what a snapshot taken now sees, and its clock right after. */
export async function identifyServer(connection: Connection): Promise<{
  identity: ServerIdentity
  position: string
  /** Read after the snapshot. */
  log: LogPosition
  instant: string
  standby: boolean
  pid: number
  /** Of the database, for example UTF8. */
  encoding: string
}> {
  const [rights] = await connection.query(
    'identify the server',
    `select bool_and(has_function_privilege('pg_catalog.' || name, 'execute')) as allowed,
         coalesce(has_function_privilege(to_regprocedure('pg_catalog.${COUNTING}')::oid, 'execute'), false) as counting
       from unnest('{pg_control_system(),pg_control_checkpoint(),pg_control_recovery()}'::text[]) as name`,
  )
  const control =
    rights?.['allowed'] === 't'
      ? `, (select system_identifier from pg_control_system())::text as system,
           greatest((select timeline_id from pg_control_checkpoint()),
             (select min_recovery_end_timeline from pg_control_recovery()))::text as timeline`
      : ', null as system, null as timeline'
  const counting = rights?.['counting'] === 't' ? `${COUNTING}::text` : 'null'
  const [row] = await connection.query(
    'identify the server',
    `select pg_current_snapshot()::text as position, pg_backend_pid()::text as pid,
       to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as instant,
       pg_postmaster_start_time()::text as started, ${counting} as counting, current_database() as database,
       (select oid from pg_catalog.pg_database where datname = current_database())::text as database_oid,
       current_setting('server_version') as version, current_setting('server_encoding') as encoding, pg_is_in_recovery() as standby ${control}`,
  )
  const log = await readLogPosition(connection)
  return {
    identity: {
      system: row?.['system'] ?? null,
      // The control file learns of a promotion only with the next checkpoint.
      timeline: log.timeline ?? row?.['timeline'] ?? null,
      started: row?.['started'] ?? '',
      counting: row?.['counting'] ?? null,
      database: row?.['database'] ?? '',
      databaseOid: row?.['database_oid'] ?? '',
      version: row?.['version'] ?? '',
    },
    position: row?.['position'] ?? '',
    log,
    instant: row?.['instant'] ?? '',
    standby: row?.['standby'] === 't',
    encoding: row?.['encoding'] ?? '',
    // Asked for, because a pooler tells the client another number.
    pid: Number(row?.['pid']),
  }
}
