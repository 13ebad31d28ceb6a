/**
 * What a table has besides its rows, and what of others hangs on it, as statements that give the same to the
 * table that takes its place under its name. What no statement can give back is named, and stops the work.
 */
import { ToteError, type Problem } from '../errors.ts'
import type { Connection, TextRow } from '../postgres/connection.ts'
import { quoteQualified } from '../postgres/identifiers.ts'
import { putUp, takeDown, viewOf, viewsOver, type Dependent } from './dependents.ts'

/** Of all tables of a star. */
export interface Attached {
  /** Views, and foreign keys of other tables: down before the tables go, up when the new ones stand. */
  readonly dependents: readonly Dependent[]
  readonly belongings: readonly Belonging[]
}

interface Belonging {
  readonly table: string
  readonly kind: 'table' | 'index' | 'constraint' | 'reference' | 'default'
  readonly what: string
  readonly statement: string
  /** Of an index of current versions: ours was over the key, and goes with a column of it. */
  readonly needs: readonly string[]
}

export interface Standing {
  readonly schema: string
  /** The star's tables that are there. */
  readonly tables: readonly string[]
  /** The star's own views that are there. */
  readonly views: readonly string[]
  /** Made of the models that the new tables are made of: a reference within the star that those lack is somebody else's. */
  readonly sameModels: boolean
}

/** Throws WarehouseDependents with everything that could not be given back. */
export async function readAttached(
  connection: Connection,
  { schema, tables, views }: Standing,
): Promise<Attached> {
  const doing = 'read what hangs on the tables'
  const [tableList, viewList] = [JSON.stringify(tables), JSON.stringify(views)]
  const stuck = await connection.query(doing, STUCK, [schema, tableList])
  const hanging = await connection.query(doing, HANGING, [schema, tableList, viewList])
  const foreign = await connection.query(doing, FOREIGN_KEYS, [schema, tableList])
  const over = hanging.map((row) => viewOf(row, true))
  // What belongs to another role is for that role to drop.
  const others = [
    ...over.filter((_, index) => hanging[index]?.['ours'] === 'f'),
    ...foreign.filter((row) => row['ours'] === 'f'),
  ]
  const problems = [
    ...others.map(({ what }) => ({ where: schema, message: what ?? '' })),
    ...stuck.map((row) => ({ where: row['table'] ?? '', message: row['what'] ?? '' })),
    ...hanging.flatMap((row) =>
      (JSON.parse(row['triggers'] ?? '[]') as string[]).map((message) => ({
        where: row['name'] ?? '',
        message,
      })),
    ),
  ]
  if (problems.length > 0) throw notReplaceable(problems)
  const belongings = await connection.query(doing, BELONGINGS, [schema, tableList])
  const current = await connection.query(doing, CURRENT_INDEXES, [schema, tableList])
  const needs = new Map(current.map((row) => [row['statement'], row['columns']]))
  return {
    dependents: [
      ...over,
      ...foreign.map((row): Dependent => {
        const create = [row['create'] ?? '']
        return { what: row['what'] ?? '', drop: row['drop'] ?? null, create, attempt: create }
      }),
    ],
    belongings: belongings.map((row) => ({
      table: row['table'] ?? '',
      kind: (row['kind'] ?? 'table') as Belonging['kind'],
      what: row['what'] ?? '',
      statement: row['statement'] ?? '',
      needs: JSON.parse(needs.get(row['statement']) ?? '[]') as string[],
    })),
  }
}

/** Takes down what hangs on the tables, and drops them. Throws WarehouseDependents where something is in the way. */
export async function takeAway(
  connection: Connection,
  { schema, tables }: Standing,
  { dependents }: Attached,
): Promise<void> {
  const all = tables.map((table) => quoteQualified(schema, table)).join(', ')
  await replacing(async () => {
    await takeDown(connection, tables[0] ?? '', dependents)
    if (tables.length === 0) return
    const drop = `drop table ${all}`
    const gone = { what: `the tables of "${schema}"`, drop, create: [], attempt: [] }
    await takeDown(connection, tables[0] ?? '', [gone])
  })
}

/** Gives the new tables, which stand under the old names, what the old ones had. */
export async function giveBack(
  connection: Connection,
  { schema, tables, sameModels }: Standing,
  { dependents, belongings }: Attached,
): Promise<void> {
  const doing = 'read what the new tables have'
  const tableList = JSON.stringify(tables)
  for (const { statement } of await connection.query(doing, GRANTED, [schema, tableList]))
    await connection.query('take back rights that the table did not give', statement ?? '')
  const now = await connection.query(doing, BELONGINGS, [schema, tableList])
  const has = new Set(now.map(sameAs))
  const columns = await connection.query(doing, COLUMNS, [schema, tableList])
  const there = new Set(columns.map((row) => JSON.stringify([row['table'], row['name']])))
  const lacking = belongings.filter(
    ({ table, kind, statement, needs }) =>
      !has.has(sameAs({ table, kind, statement })) &&
      (sameModels || kind !== 'reference') &&
      needs.every((name) => there.has(JSON.stringify([table, name]))),
  )
  await replacing(async () => {
    const parts = lacking.map(({ table, what, statement }): Dependent => ({
      what: `${what} of ${table}`,
      drop: null,
      create: [statement],
      attempt: [],
    }))
    await putUp(connection, tables[0] ?? '', parts, 'create')
    await putUp(connection, tables[0] ?? '', dependents, 'create')
  })
}

/** Two statements that do the same: the name of an index or a constraint is nobody's business. */
function sameAs(row: TextRow): string {
  const text = row['statement'] ?? ''
  const name = '(?:"(?:[^"]|"")+"|[^" ]+)'
  const bare =
    row['kind'] === 'index'
      ? text.replace(new RegExp(`^(CREATE (?:UNIQUE )?INDEX) ${name} ON`), '$1 ON')
      : row['kind'] === 'constraint' || row['kind'] === 'reference'
        ? text.replace(new RegExp(` add constraint ${name} `), ' add ')
        : text
  return JSON.stringify([row['table'], bare])
}

/** The same failures, told of a table that is replaced. */
async function replacing(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof ToteError) || error.name !== 'WarehouseDependents') throw error
    throw notReplaceable(error.facts.problems ?? [], error)
  }
}

function notReplaceable(problems: readonly Problem[], cause?: unknown): ToteError {
  const what = problems.length === 1 ? 'something' : `${problems.length} things`
  return new ToteError(
    'WarehouseDependents',
    `The tables cannot be replaced: ${what} in the warehouse could not be made again on the new ones. Nothing was changed.`,
    {
      problems,
      fix: 'drop what is named, rebuild, and make it again; tote rebuild --into SCHEMA builds beside and replaces nothing',
      cause,
    },
  )
}

/** Keeps everybody from the tables and from the views over them, in the order in which a reader takes them. */
export async function lockStanding(
  connection: Connection,
  { schema, tables, views }: Standing,
): Promise<void> {
  const hanging = await connection.query('read what hangs on the tables', HANGING, [
    schema,
    JSON.stringify(tables),
    JSON.stringify(views),
  ])
  const over = hanging
    .filter((row) => row['kind'] === 'v')
    .map((row) => quoteQualified(row['schema'] ?? '', row['name'] ?? ''))
  const all = [...over.toReversed(), ...tables.map((table) => quoteQualified(schema, table))]
  if (all.length > 0)
    await connection.query(
      'wait for readers to let go of the star',
      `lock table ${all.join(', ')} in access exclusive mode`,
    )
}

/** A table that takes nobody's place gets the rights that it would have had, had it been made in this schema. */
export async function giveDefaults(
  connection: Connection,
  schema: string,
  table: string,
): Promise<void> {
  for (const { statement } of await connection.query('read the default rights', DEFAULTS, [
    schema,
    table,
  ]))
    await connection.query('give the default rights', statement ?? '')
}

const IN_STAR = `n.nspname = $1 and c.relname in (select jsonb_array_elements_text($2::jsonb))`

const HANGING = viewsOver({
  base: IN_STAR,
  first: 'true',
  own: 'n.nspname = $1 and c.relname in (select jsonb_array_elements_text($3::jsonb))',
})

const STAR = `star as (
  select c.oid, c.relname, c.reltype, n.nspname, c.relowner from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
  where ${IN_STAR}
)`

/** Of the tables themselves, and of others: what no statement here gives back. */
const STUCK = `
with ${STAR},
types as (
  select star.relname, t.oid from star join pg_type as t on t.oid = star.reltype
  union all select star.relname, t.typarray from star join pg_type as t on t.oid = star.reltype where t.typarray <> 0
)
select star.relname as "table", pg_describe_object(d.classid, d.objid, d.objsubid) as what
from star join pg_depend as d on d.refclassid = 'pg_class'::regclass and d.refobjid = star.oid
where d.deptype in ('n', 'a') and d.classid not in ('pg_attrdef'::regclass, 'pg_constraint'::regclass, 'pg_trigger'::regclass,
    'pg_statistic_ext'::regclass, 'pg_publication_rel'::regclass)
  and not (d.classid = 'pg_class'::regclass and exists (select from pg_class as i where i.oid = d.objid and i.relkind in ('i', 'I', 'S', 't')))
  and not (d.classid = 'pg_policy'::regclass and exists (select from pg_policy as p where p.oid = d.objid and p.polrelid in (select oid from star)))
  and not (d.classid = 'pg_rewrite'::regclass and exists (select from pg_rewrite as r join pg_class as v on v.oid = r.ev_class
    where r.oid = d.objid and (v.relkind in ('v', 'm') or v.oid in (select oid from star))))
union
select types.relname, pg_describe_object(d.classid, d.objid, d.objsubid)
from types join pg_depend as d on d.refclassid = 'pg_type'::regclass and d.refobjid = types.oid
where d.deptype = 'n'
union
select star.relname, 'it is ' || case c.relkind when 'p' then 'a partitioned table' when 'v' then 'a view' when 'm' then 'a materialized view'
  when 'f' then 'a foreign table' else 'no table' end
from star join pg_class as c on c.oid = star.oid where c.relkind <> 'r'
union
select star.relname, 'its inheritance' from star where exists (select from pg_inherits as i where star.oid in (i.inhrelid, i.inhparent))
union
select star.relname, 'its tablespace' from star join pg_class as c on c.oid = star.oid where c.reltablespace <> 0
union
select star.relname, 'its security labels' from star where exists (
  select from pg_seclabel as l where l.classoid = 'pg_class'::regclass and l.objoid = star.oid)
union
select star.relname, 'it belongs to role ' || pg_get_userbyid(star.relowner) || ', whose it is to drop'
from star where not pg_has_role(star.relowner, 'usage')
order by 1, 2`

/** Of tables outside the star. */
const FOREIGN_KEYS = `
with ${STAR}
select format('foreign key %I of table %I.%I', k.conname, n.nspname, c.relname) as what, pg_has_role(c.relowner, 'usage') as ours,
  format('alter table %I.%I drop constraint %I', n.nspname, c.relname, k.conname) as drop,
  format('alter table %I.%I add constraint %I %s', n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid)) as create
from pg_constraint as k join pg_class as c on c.oid = k.conrelid join pg_namespace as n on n.oid = c.relnamespace
where k.contype = 'f' and k.conparentid = 0 and k.confrelid in (select oid from star) and k.conrelid not in (select oid from star)
order by 1`

/** Grants of the tables to others than their owner. */
const GRANTED = `
with ${STAR}
select distinct format('revoke all on %I.%I from %s', star.nspname, star.relname,
  case when g.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end) as statement
from star join pg_class as c using (oid) cross join lateral aclexplode(c.relacl) as g
where g.grantee <> c.relowner`

const GRANTEE = `case when g.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end,
  case when g.is_grantable then ' with grant option' else '' end`

/** Indexes of the rows that are current, by what gives them back. */
const CURRENT_INDEXES = `
with ${STAR}
select pg_get_indexdef(i.indexrelid) as statement, jsonb_agg(a.attname) as columns
from star join pg_index as i on i.indrelid = star.oid join pg_attribute as a on a.attrelid = star.oid and a.attnum = any (i.indkey)
where pg_get_expr(i.indpred, i.indrelid) = '(valid_to IS NULL)'
group by i.indexrelid`

const COLUMNS = `
with ${STAR}
select star.relname as "table", a.attname as name
from star join pg_attribute as a on a.attrelid = star.oid and a.attnum > 0 and not a.attisdropped`

/** In the order in which they are given. */
const BELONGINGS = `
with ${STAR}, t as (select c.*, star.nspname, format('%I.%I', star.nspname, c.relname) as named from star join pg_class as c using (oid))
select 1 as place, 'default' as kind, relname as "table", format('default of column %I', a.attname) as what,
  format('alter table %s alter column %I set default %s', named, a.attname, pg_get_expr(d.adbin, d.adrelid)) as statement
from t join pg_attrdef as d on d.adrelid = t.oid join pg_attribute as a on a.attrelid = t.oid and a.attnum = d.adnum and a.attgenerated = ''
where not exists (select from pg_depend as u join pg_depend as o on o.classid = 'pg_class'::regclass and o.objid = u.refobjid
    and o.refobjid = t.oid and o.refclassid = 'pg_class'::regclass and o.deptype = 'a'
  where u.classid = 'pg_attrdef'::regclass and u.objid = d.oid and u.refclassid = 'pg_class'::regclass)
union all
select 1, 'default', t.relname, format('identity of column %I', a.attname),
  format('alter table %s alter column %I drop default, alter column %2$I add generated %s as identity', named, a.attname,
    case a.attidentity when 'a' then 'always' else 'by default' end)
from t join pg_attribute as a on a.attrelid = t.oid and a.attidentity <> ''
union all
select 1, 'table', t.relname, format('statistics target of column %I', a.attname),
  format('alter table %s alter column %I set statistics %s', named, a.attname, a.attstattarget)
from t join pg_attribute as a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped and a.attstattarget >= 0
union all
select 1, 'table', t.relname, 'storage parameters', format('alter table %s set (%s)', named, array_to_string(reloptions, ', '))
from t where reloptions is not null
union all
select 2, 'index', t.relname, format('index %I', x.relname), pg_get_indexdef(i.indexrelid)
from t join pg_index as i on i.indrelid = t.oid join pg_class as x on x.oid = i.indexrelid
where not i.indisprimary and not exists (select from pg_constraint as k where k.conindid = i.indexrelid and k.conrelid = t.oid and k.contype in ('u', 'x'))
union all
select case k.contype when 'f' then 4 else 3 end,
  case when k.contype = 'f' and k.confrelid in (select oid from star) then 'reference' else 'constraint' end, t.relname, format('constraint %I', k.conname),
  format('alter table %s add constraint %I %s', named, k.conname, pg_get_constraintdef(k.oid))
from t join pg_constraint as k on k.conrelid = t.oid and k.contype in ('c', 'u', 'x', 'f') and k.conparentid = 0
union all
select 5, 'table', t.relname, 'replica identity', case when relreplident = 'i'
  then format('alter table %s replica identity using index %I', named, (select x.relname from pg_index as i
    join pg_class as x on x.oid = i.indexrelid where i.indrelid = t.oid and i.indisreplident))
  else format('alter table %s replica identity %s', named, case relreplident when 'f' then 'full' else 'nothing' end) end
from t where relreplident <> 'd'
union all
select 5, 'table', t.relname, 'the order of ' || x.relname, format('alter table %s cluster on %I', named, x.relname)
from t join pg_index as i on i.indrelid = t.oid and i.indisclustered join pg_class as x on x.oid = i.indexrelid
union all
select 5, 'table', t.relname, format('statistics %I', s.stxname), pg_get_statisticsobjdef(s.oid)
from t join pg_statistic_ext as s on s.stxrelid = t.oid
union all
select 6, 'table', t.relname, format('comment on column %I', a.attname),
  format('comment on column %s.%I is %L', named, a.attname, s.description)
from t join pg_description as s on s.classoid = 'pg_class'::regclass and s.objoid = t.oid and s.objsubid > 0
join pg_attribute as a on a.attrelid = t.oid and a.attnum = s.objsubid
union all
select 6, 'table', t.relname, 'comment', format('comment on table %s is %L', named, s.description)
from t join pg_description as s on s.classoid = 'pg_class'::regclass and s.objoid = t.oid and s.objsubid = 0
union all
select 7, 'table', t.relname, format('rule %I', r.rulename), pg_get_ruledef(r.oid)
from t join pg_rewrite as r on r.ev_class = t.oid and r.rulename <> '_RETURN'
union all
select 7, 'table', t.relname, format('trigger %I', g.tgname), pg_get_triggerdef(g.oid)
from t join pg_trigger as g on g.tgrelid = t.oid and not g.tgisinternal and g.tgparentid = 0
union all
select 8, 'table', t.relname, format('trigger %I', g.tgname), format('alter table %s %s trigger %I', named,
  case g.tgenabled when 'D' then 'disable' when 'R' then 'enable replica' else 'enable always' end, g.tgname)
from t join pg_trigger as g on g.tgrelid = t.oid and not g.tgisinternal and g.tgparentid = 0 and g.tgenabled <> 'O'
union all
select 8, 'table', t.relname, format('policy %I', p.polname), format('create policy %I on %s as %s for %s to %s%s%s', p.polname, named,
  case when p.polpermissive then 'permissive' else 'restrictive' end,
  case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
  (select string_agg(case when r = 0 then 'public' else quote_ident(pg_get_userbyid(r)) end, ', ') from unnest(p.polroles) as r),
  ' using (' || pg_get_expr(p.polqual, p.polrelid) || ')', ' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
from t join pg_policy as p on p.polrelid = t.oid
union all
select 8, 'table', t.relname, 'row security', format('alter table %s enable row level security', named) from t where relrowsecurity
union all
select 8, 'table', t.relname, 'row security', format('alter table %s force row level security', named) from t where relforcerowsecurity
union all
select 9, 'table', t.relname, format('publication %I', p.pubname), format('alter publication %I add table only %s%s%s', p.pubname, named,
  case when to_jsonb(r) ->> 'prattrs' is null then '' else (select format(' (%s)', string_agg(quote_ident(a), ', '))
    from jsonb_array_elements_text(to_jsonb(v) -> 'attnames') as a) end,
  ' where (' || (to_jsonb(v) ->> 'rowfilter') || ')')
from t join pg_publication_rel as r on r.prrelid = t.oid join pg_publication as p on p.oid = r.prpubid
left join pg_publication_tables as v on v.pubname = p.pubname and v.schemaname = t.nspname and v.tablename = t.relname
union all
select 10, 'table', t.relname, 'a grant', format('grant %s on %s to %s%s', g.privilege_type, named, ${GRANTEE})
from t cross join lateral aclexplode(relacl) as g where g.grantee <> relowner
union all
select 10, 'table', t.relname, format('a grant on column %I', a.attname), format('grant %s (%I) on %s to %s%s', g.privilege_type, a.attname, named, ${GRANTEE})
from t join pg_attribute as a on a.attrelid = t.oid cross join lateral aclexplode(a.attacl) as g where g.grantee <> relowner
union all
select 10, 'table', t.relname, format('a grant on sequence %I', s.relname),
  format('grant %s on sequence %I.%I to %s%s', g.privilege_type, t.nspname, s.relname, ${GRANTEE})
from t join pg_depend as d on d.refclassid = 'pg_class'::regclass and d.refobjid = t.oid and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i')
join pg_class as s on s.oid = d.objid and s.relkind = 'S' cross join lateral aclexplode(s.relacl) as g where g.grantee <> s.relowner
union all
select 11, 'table', t.relname, 'owner', format('alter table %s owner to %s', named, quote_ident(pg_get_userbyid(relowner)))
from t where relowner <> (select oid from pg_roles where rolname = current_user)
order by 1, 3, 4, 5`

const DEFAULTS = `
select format('grant %s on %I.%I to %s%s', g.privilege_type, n.nspname, c.relname, ${GRANTEE}) as statement
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
join pg_default_acl as d on d.defaclnamespace = n.oid and d.defaclrole = c.relowner and d.defaclobjtype = 'r'
cross join lateral aclexplode(d.defaclacl) as g
where n.nspname = $1 and c.relname = $2 and g.grantee <> c.relowner`
