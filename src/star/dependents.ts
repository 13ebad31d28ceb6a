/**
 * What hangs on columns that go: views over them are taken down and put up again, with their grants,
 * comments and indexes; indexes are made again. Anything else, and what cannot be made again, stops
 * the load, by name (PostgreSQL would take it along, or refuse without saying what it is).
 */
import { ToteError, type Problem } from '../errors.ts'
import type { Connection, TextRow } from '../postgres/connection.ts'
import { quoteIdentifier, quoteQualified } from '../postgres/identifiers.ts'

/** What was taken down, in the order in which it is to be put up again. */
export interface Dependent {
  /** As PostgreSQL describes it, for example `view public.sales_by_day`. */
  readonly what: string
  readonly drop: string | null
  readonly create: readonly string[]
  /** The same, when it is only to be seen whether it can be: no rows are computed. */
  readonly attempt: readonly string[]
}

export interface Hanging {
  readonly schema: string
  readonly table: string
  /** The columns that go, and those that get another type: these keep their indexes and grants. */
  readonly columns: readonly string[]
  readonly retyped: readonly string[]
  /** The table's own view of its current rows, which is made anew from its model. */
  readonly view: string | null
  /** Whether that view is made again. */
  readonly viewStays: boolean
  /** The key goes, too. */
  readonly rekey: boolean
  /** The tables of the star: their foreign keys are made anew. */
  readonly star: readonly string[]
}

/** Finds them. Throws WarehouseDependents with everything that cannot be put up again. */
export async function findDependents(
  connection: Connection,
  hanging: Hanging,
): Promise<readonly Dependent[]> {
  const { schema, table, view, retyped } = hanging
  const columns = [...hanging.columns, ...retyped]
  const values = [schema, table, JSON.stringify(columns), view]
  const views = await connection.query('read what hangs on the table', VIEWS, values)
  const others = await connection.query('read what hangs on the table', OTHERS, [
    schema,
    table,
    JSON.stringify(columns),
    hanging.rekey ? 'yes' : 'no',
    JSON.stringify(hanging.star),
  ])
  const stuck = [
    ...others.map((row) => row['what'] ?? ''),
    ...views.flatMap((row) => JSON.parse(row['triggers'] ?? '[]') as string[]),
  ]
  if (stuck.length > 0)
    throw dependents(
      table,
      stuck.map((message) => ({ where: table, message })),
    )
  const indexes = await connection.query('read the indexes', INDEXES, [
    schema,
    table,
    JSON.stringify(hanging.columns),
  ])
  const grants = await connection.query('read the grants on columns', COLUMN_GRANTS, [
    schema,
    table,
    JSON.stringify(hanging.columns),
  ])
  return [
    ...views.map((row) => viewOf(row, hanging.viewStays)),
    ...[...indexes, ...grants].map((row) => ({
      what: row['what'] ?? '',
      drop: null,
      create: [row['definition'] ?? ''],
      attempt: [row['definition'] ?? ''],
    })),
  ]
}

/** Takes them down, the last first. Throws WarehouseDependents where something else needs one of them. */
export async function takeDown(
  connection: Connection,
  table: string,
  found: readonly Dependent[],
): Promise<void> {
  for (const { what, drop } of found.toReversed()) {
    if (drop === null) continue
    try {
      await connection.query(`take down ${what}`, drop)
    } catch (error) {
      if (isForbidden(error)) throw dependents(table, [{ where: table, message: what }], error)
      if (!isNeeded(error)) throw error
      throw dependents(table, [{ where: table, message: `what depends on ${what}` }], error)
    }
  }
}

/** What belongs to another role is for that role to drop. */
function isForbidden(error: unknown): boolean {
  return (
    error instanceof ToteError &&
    error.name === 'WarehouseRefused' &&
    error.facts.sqlstate === '42501'
  )
}

/** PostgreSQL refuses to drop, or to delete, what something else needs. */
export function isNeeded(error: unknown): boolean {
  return (
    error instanceof ToteError &&
    error.name === 'WarehouseRefused' &&
    ['2BP01', '23503'].includes(error.facts.sqlstate ?? '')
  )
}

/** A foreign key between two tables of the star. */
export interface StarForeignKey {
  readonly name: string
  readonly table: string
  readonly column: string
  readonly target: string
}

/** All of them, by the tables that they come from and go to. */
export async function readForeignKeys(
  connection: Connection,
  { schema, star }: Pick<Hanging, 'schema' | 'star'>,
): Promise<ReadonlyMap<string, readonly StarForeignKey[]>> {
  const names = new Set(star)
  const keys = new Map<string, StarForeignKey[]>()
  for (const row of await connection.query('read the foreign keys', FOREIGN_KEYS, [schema])) {
    const key = {
      name: row['name'] ?? '',
      table: row['table'] ?? '',
      column: row['column'] ?? '',
      target: row['target'] ?? '',
    }
    if (!names.has(key.table) || !names.has(key.target)) continue
    for (const table of new Set([key.table, key.target])) {
      const own = keys.get(table) ?? []
      own.push(key)
      keys.set(table, own)
    }
  }
  return keys
}

const FOREIGN_KEYS = `
select k.conname as name, c.relname as "table", a.attname as "column", t.relname as target
from pg_constraint as k join pg_class as c on c.oid = k.conrelid join pg_class as t on t.oid = k.confrelid
join pg_namespace as n on n.oid = c.relnamespace and n.oid = t.relnamespace
join pg_attribute as a on a.attrelid = c.oid and a.attnum = k.conkey[1]
where k.contype = 'f' and k.conparentid = 0 and cardinality(k.conkey) = 1 and n.nspname = $1
order by 1, 2`

/** Puts them up again. Throws WarehouseDependents, naming the first that does not stand any more. */
export async function putUp(
  connection: Connection,
  table: string,
  found: readonly Dependent[],
  how: 'create' | 'attempt',
): Promise<void> {
  for (const dependent of found) {
    const { what } = dependent
    try {
      for (const text of dependent[how]) await connection.query(`put up ${what}`, text)
    } catch (error) {
      const broken =
        error instanceof ToteError &&
        error.name === 'WarehouseRefused' &&
        error.facts.sqlstate?.startsWith('42') === true
      if (!broken) throw error
      throw dependents(table, [{ where: table, message: what }], error)
    }
  }
}

/** The rows of a table that others still refer to cannot go. */
export function dependents(
  table: string,
  problems: readonly Problem[],
  cause?: unknown,
): ToteError {
  return new ToteError(
    'WarehouseDependents',
    `Table "${table}" cannot follow its model: something in the warehouse needs what it would lose. Nothing was changed.`,
    {
      where: table,
      problems,
      fix: 'drop or change what is named, or keep in the model what it needs; then run again',
      cause,
    },
  )
}

/** A row of `viewsOver`. */
export function viewOf(row: TextRow, ownStays: boolean): Dependent {
  const list = (name: string): readonly string[] => JSON.parse(row[name] ?? '[]') as string[]
  const [schema, name] = [row['schema'] ?? '', row['name'] ?? '']
  const own = row['own'] === 't'
  const kind = row['kind'] === 'm' ? 'materialized view' : 'view'
  const qualified = quoteQualified(schema, name)
  const options = row['options'] === null ? '' : ` with (${row['options']})`
  const definition = (row['definition'] ?? '').replace(/;\s*$/, '')
  const text = `create ${kind} ${qualified}${options} as ${definition}`
  const bare = `${text}${kind === 'view' ? '' : ' with no data'}`
  const after = [...list('indexes'), ...list('comments'), ...list('grants')]
  const stands = (create: string): readonly string[] =>
    own
      ? after
      : [
          create,
          `alter ${kind} ${qualified} owner to ${quoteIdentifier(row['owner'] ?? '')}`,
          ...after,
        ]
  const goes = own && !ownStays
  return {
    what: `${kind} ${schema}.${name} of role ${row['owner'] ?? ''}`,
    drop: `drop ${kind} ${qualified}`,
    create: goes ? [] : stands(row['populated'] === 'f' ? bare : text),
    attempt: goes ? [] : stands(bare),
  }
}

/**
 * Views over relations, and views over those, the nearest first. Conditions: `base` names the relations `c` in `n`,
 * `first` says which uses count (a view `v` in `n` over the column `a` of `base`), `own` which views are the star's own.
 */
export function viewsOver({
  base,
  first,
  own,
}: Readonly<Record<'base' | 'first' | 'own', string>>): string {
  return `
with recursive base as (
  select c.oid from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
  where ${base}
),
hanging(oid, depth) as (
  select r.ev_class, 1 from base
    join pg_depend as d on d.refclassid = 'pg_class'::regclass and d.refobjid = base.oid and d.classid = 'pg_rewrite'::regclass
    join pg_rewrite as r on r.oid = d.objid
    left join pg_attribute as a on a.attrelid = base.oid and a.attnum = d.refobjsubid and d.refobjsubid > 0
    join pg_class as v on v.oid = r.ev_class and v.relkind in ('v', 'm') join pg_namespace as n on n.oid = v.relnamespace
  where r.ev_class <> base.oid and (${first})
  union all
  select r.ev_class, hanging.depth + 1 from hanging
    join pg_depend as d on d.refclassid = 'pg_class'::regclass and d.refobjid = hanging.oid and d.classid = 'pg_rewrite'::regclass
    join pg_rewrite as r on r.oid = d.objid
    join pg_class as v on v.oid = r.ev_class and v.relkind in ('v', 'm')
  where r.ev_class <> hanging.oid
),
ordered as (select oid, max(depth) as depth from hanging group by oid)
select n.nspname as schema, c.relname as name, c.relkind::text as kind, pg_get_userbyid(c.relowner) as owner,
  pg_has_role(c.relowner, 'usage') as ours, coalesce(${own}, false) as own, c.relispopulated as populated,
  pg_get_viewdef(c.oid) as definition, array_to_string(c.reloptions, ', ') as options,
  (select coalesce(jsonb_agg(pg_get_indexdef(i.indexrelid)), '[]') from pg_index as i where i.indrelid = c.oid) as indexes,
  (select coalesce(jsonb_agg(case when s.objsubid > 0
      then format('comment on column %I.%I.%I is %L', n.nspname, c.relname, a.attname, s.description)
      else format('comment on %s %I.%I is %L', case c.relkind when 'm' then 'materialized view' else 'view' end,
        n.nspname, c.relname, s.description) end), '[]')
    from pg_description as s left join pg_attribute as a on a.attrelid = c.oid and a.attnum = s.objsubid
    where s.classoid = 'pg_class'::regclass and s.objoid = c.oid) as comments,
  (select coalesce(jsonb_agg(what), '[]') from (
      select pg_describe_object('pg_trigger'::regclass, t.oid, 0) as what from pg_trigger as t where t.tgrelid = c.oid
      union all
      select pg_describe_object('pg_rewrite'::regclass, r.oid, 0) from pg_rewrite as r where r.ev_class = c.oid and r.rulename <> '_RETURN'
      union all
      select pg_describe_object('pg_attrdef'::regclass, d.oid, 0) from pg_attrdef as d where d.adrelid = c.oid
    ) as attached) as triggers,
  (select coalesce(jsonb_agg(format('grant %s%s on %I.%I to %s%s', g.privilege_type, ' (' || quote_ident(attname) || ')', n.nspname, c.relname,
      case when g.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end,
      case when g.is_grantable then ' with grant option' else '' end)), '[]')
    from (select null as attname, c.relacl as acl
        union all select a.attname, a.attacl from pg_attribute as a where a.attrelid = c.oid and a.attacl is not null) as granted
      cross join lateral aclexplode(granted.acl) as g where g.grantee <> c.relowner) as grants
from ordered join pg_class as c on c.oid = ordered.oid join pg_namespace as n on n.oid = c.relnamespace
order by ordered.depth, n.nspname, c.relname`
}

/** Those over the columns; the table's own view always. */
const VIEWS = viewsOver({
  base: 'n.nspname = $1 and c.relname = $2',
  first:
    'a.attname in (select jsonb_array_elements_text($3::jsonb)) or (n.nspname = $1 and v.relname = $4)',
  own: 'n.nspname = $1 and c.relname = $4',
})

/** What depends on the columns besides views, plain indexes, and what the star makes anew; and what refers to the key. */
const OTHERS = `
with base as (
  select c.oid from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
  where n.nspname = $1 and c.relname = $2
),
gone as (
  select a.attnum from base join pg_attribute as a on a.attrelid = base.oid
  where a.attname in (select jsonb_array_elements_text($3::jsonb))
),
star as (
  select c.oid from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
  where n.nspname = $1 and c.relname in (select jsonb_array_elements_text($5::jsonb))
)
select distinct pg_describe_object(d.classid, d.objid, d.objsubid) as what
from base join pg_depend as d on d.refclassid = 'pg_class'::regclass and d.refobjid = base.oid
  and d.refobjsubid in (select attnum from gone)
where d.deptype in ('n', 'a')
  and d.classid not in ('pg_rewrite'::regclass, 'pg_attrdef'::regclass)
  and not (d.classid = 'pg_class'::regclass and exists (
    select from pg_class as i where i.oid = d.objid and i.relkind in ('i', 'I', 'S')))
  and not (d.classid = 'pg_constraint'::regclass and exists (
    select from pg_constraint as k where k.oid = d.objid and (
      k.conrelid = base.oid and (k.contype in ('p', 'n') or (k.contype = 'f' and k.confrelid in (select oid from star)))
      or k.contype = 'f' and k.confrelid = base.oid and k.conrelid in (select oid from star))))
union
select pg_describe_object('pg_constraint'::regclass, k.oid, 0)
from base join pg_constraint as k on k.contype = 'f' and k.confrelid = base.oid
where $4 = 'yes' and k.conrelid not in (select oid from star)
order by 1`

/** Indexes over the columns, but for the key's and our own, which finds the current version. */
const INDEXES = `
select 'index ' || x.relname as what, pg_get_indexdef(i.indexrelid) as definition
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
join pg_index as i on i.indrelid = c.oid join pg_class as x on x.oid = i.indexrelid
where n.nspname = $1 and c.relname = $2 and not i.indisprimary
  and coalesce(pg_get_expr(i.indpred, i.indrelid), '') <> '(valid_to IS NULL)'
  and exists (select from pg_depend as d join pg_attribute as a on a.attrelid = c.oid and a.attnum = d.refobjsubid
    where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid and d.refobjid = c.oid
      and a.attname in (select jsonb_array_elements_text($3::jsonb)))
order by 1`

const COLUMN_GRANTS = `
select format('a grant on column %s', a.attname) as what,
  format('grant %s (%I) on %I.%I to %s', g.privilege_type, a.attname, n.nspname, c.relname,
    case when g.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end) as definition
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
join pg_attribute as a on a.attrelid = c.oid cross join lateral aclexplode(a.attacl) as g
where n.nspname = $1 and c.relname = $2 and a.attname in (select jsonb_array_elements_text($3::jsonb))
order by 1`
