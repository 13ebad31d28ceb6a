/** What others hang on the star's tables: it stays, or the run stops by name and nothing is changed. */
import { expect } from 'vitest'
import { runAndCheck } from './runs.ts'
import { write, type Variant } from './models.ts'
import { said, type State } from './state.ts'

interface Hanging {
  /** How it is taken away again. */
  readonly drop: string
  /** A query whose one value is the same as long as it is there. */
  readonly look: string
  readonly was: string | null
}

export type Hung = Map<string, Hanging>

/** One of what an owner of a star may do to it, besides loading it. */
export async function hang(state: State): Promise<void> {
  const { project, chance, models } = state
  await runAndCheck(state)
  const name = chance.of([...models.keys()])
  const variant = models.get(name)
  if (variant === undefined) return
  const hung = `hung_${state.hungSoFar++}`
  const { create, drop, look } = chance.of(waysOf(hung, name, variant))
  const { warehouse, loader } = project
  await warehouse.query(`${ROLE}; set role ${loader}; ${said(state, create)}; reset role`)
  const [seen] = await warehouse.query(look)
  state.life.count(`hung: ${create.split(' ', 2).join(' ')}`)
  state.hung.set(hung, { drop, look, was: seen?.['found'] ?? null })
}

/** A fact is divided into partitions by hand, as an administrator would; all that its owner has hung there is put away first. */
export async function divide(state: State): Promise<void> {
  const { project, chance, models, life } = state
  await runAndCheck(state)
  await dropHanging(state)
  const { warehouse, loader } = project
  const facts = [...models].flatMap(([name, variant]) => {
    const { recordId } = write(name, variant)
    return recordId === null ? [] : [{ name, by: recordId }]
  })
  if (facts.length === 0) return
  const { name, by } = chance.of(facts)
  const [found] = await warehouse.query(
    `select relkind::text as kind, pg_get_viewdef('${name}_current'::regclass) as view,
       (select count(*) from pg_constraint where contype = 'f' and (conrelid = c.oid or confrelid = c.oid)) as keys from pg_class c where oid = '${name}'::regclass`,
  )
  if (found?.['kind'] !== 'r' || found['keys'] !== '0') return
  life.count('divided')
  await warehouse.query(
    `set role ${loader}; drop view ${name}_current; alter table ${name} rename to whole;
     create table ${said(state, name)} (like whole including defaults) partition by range (${by}); alter table ${name} alter column ${by} drop default;
     create table ${name}_low partition of ${name} for values from (minvalue) to (4); create table ${name}_rest partition of ${name} default;
     insert into ${name} select * from whole; drop table whole; alter table ${name} add primary key (${by});
     create view ${name}_current as ${found['view']}; reset role`,
  )
  await runAndCheck(state)
}

/** Of the server, whoever comes first. */
const ROLE = `do $$ begin if to_regrole('star_reader') is null then create role star_reader; end if; end $$`

function waysOf(
  hung: string,
  name: string,
  variant: Variant,
): readonly { readonly create: string; readonly drop: string; readonly look: string }[] {
  const { key, recordId } = write(name, variant)
  const isKept = variant.kind === 'fact' || variant.kind === 'history'
  const said = (kind: string): string => `comment on ${kind} ${hung} is 'of ${name}'`
  const comment = `select obj_description(to_regclass('public.${hung}')) as found`
  const primary = recordId ?? key.join(', ')
  const views = [name, ...(isKept ? [`${name}_current`] : [])].map((from) => ({
    create: `create view ${hung} as select * from ${from}; ${said('view')}`,
    drop: `drop view if exists ${hung} cascade`,
    look: comment,
  }))
  return [
    ...views,
    {
      create: `create materialized view ${hung} as select ${key.join(', ')}, count(*) as times from ${name} group by ${key.join(', ')}; ${said('materialized view')}`,
      drop: `drop materialized view if exists ${hung} cascade`,
      look: comment,
    },
    {
      create: `create index ${hung} on ${name} (${key.toReversed().join(', ')})`,
      drop: `drop index if exists ${hung}`,
      look: `select (to_regclass('public.${hung}') is not null)::text as found`,
    },
    {
      create: `grant select, references on ${name} to star_reader`,
      drop: `revoke all on ${name} from star_reader`,
      look: `select has_table_privilege('star_reader', 'public.${name}', 'select, references')::text as found`,
    },
    {
      create: `create table ${hung} as select ${primary} from ${name} limit 0; alter table ${hung} add foreign key (${primary}) references ${name} (${primary})`,
      drop: `drop table if exists ${hung}`,
      look: `select pg_get_constraintdef(oid) as found from pg_constraint where conrelid = 'public.${hung}'::regclass and confrelid = 'public.${name}'::regclass and contype = 'f'`,
    },
    {
      create: `create function ${hung}() returns trigger language plpgsql as 'begin return null; end';
        create trigger ${hung} after insert or update or delete on ${name} for each statement execute function ${hung}()`,
      drop: `drop function if exists ${hung} cascade`,
      look: `select tgrelid::regclass::text as found from pg_trigger where tgname = '${hung}'`,
    },
    {
      create: `create policy ${hung} on ${name} for select to star_reader using (true); alter table ${name} enable row level security`,
      drop: `drop policy if exists ${hung} on ${name}; alter table ${name} disable row level security`,
      look: `select c.oid::regclass || ' ' || relrowsecurity as found from pg_policy p join pg_class c on c.oid = p.polrelid where polname = '${hung}'`,
    },
    {
      create: `alter table ${name} set (fillfactor = 71); comment on table ${name} is '${hung}'`,
      drop: `alter table ${name} reset (fillfactor)`,
      look: `select reloptions::text as found from pg_class where oid = 'public.${name}'::regclass`,
    },
  ]
}

export async function expectHanging({ project, hung }: State): Promise<void> {
  for (const [name, { look, was, drop }] of hung) {
    const [found] = await project.warehouse.query(look)
    expect(found?.['found'] ?? null, `${name}: ${look}`).toBe(was)
    if (/view/.test(drop)) await project.warehouse.query(`select * from ${name}`)
  }
}

export async function dropHanging({ project, hung }: State): Promise<void> {
  for (const { drop } of hung.values())
    await project.warehouse.query(drop).catch((error: { code?: string }) => {
      // The table that it hung on is gone.
      if (error.code !== '42P01') throw error
    })
  hung.clear()
}
