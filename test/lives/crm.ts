/** The second source of a life, on the warehouse's server: what it holds, how it changes, and what a batch of it saw. */
import type { Chance } from './chance.ts'
import type { TestDatabase } from '../support/postgres.ts'

/** `c` is told apart without case, by a collation or by its type. */
export interface CrmTypes {
  readonly c: 'nd' | 'citext'
  readonly key: readonly string[]
}

export function drawCrmTypes(chance: Chance): CrmTypes {
  return {
    c: chance.of(['nd', 'citext']),
    key: chance.of([
      ['n'],
      ['f'],
      ['i'],
      ['j'],
      ['c', 'n'],
      ['c'],
      ['n', 'f', 'i', 'c', 'j'],
      ['f', 'i'],
    ]),
  }
}

/** A table has the name of one of the first source; `b` says which rows of `twin` are the same, however spelled. */
export const crmSetup = ({ c, key }: CrmTypes): string => `
create schema ext; create extension citext schema ext; grant usage on schema ext to public;
create collation nd (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
create table client (client_id integer primary key, place_id integer, name text not null, level text);
create table item (item_id integer primary key, cost numeric(8,2) not null, label text);
create table twin (n numeric not null, f double precision not null, i interval not null,
  c ${c === 'nd' ? 'text collate nd' : 'ext.citext'} not null, j jsonb not null, v integer not null, b integer not null unique, primary key (${key.join(', ')}));
insert into client select n, 1 + n % 6, 'Client ' || n, case when n % 2 = 0 then 'l' || n % 3 end from generate_series(1, 7) n;
insert into item select n, n * 2.5, case when n % 3 > 0 then 'Label ' || n end from generate_series(2, 6) n;
insert into twin values (0, 0, '0', 'x0', '[0]', 0, 0), (1.0, 1, '1 day', 'x1', '[1.0]', 1, 1), (2.00, 2, '48:00:00', 'X2', '{"a": 2}', 2, 2), (30, 30, '1 mon', 'X30', '30', 3, 30);
`

/** In the first source: what batches of the second saw. */
export const CRM_KEPT = `
create table kept.client (batch integer, client_id integer, place_id integer, name text, level text);
create table kept.crm_item (batch integer, item_id integer, cost numeric(8,2), label text);
create table kept.twin (batch integer, n text, f text, i text, c text, j text, v integer);
${['client', 'crm_item', 'twin']
  .map(
    (table) =>
      `create view mirror.${table} as select * from kept.${table} where batch = current_setting('lives.crm')::integer;`,
  )
  .join('\n')}
`

export const CRM_TABLES = ['client', 'crm_item', 'twin'] as const

const SHOWN: Readonly<Record<(typeof CRM_TABLES)[number], string>> = {
  client: 'client_id, place_id, name, level',
  crm_item: 'item_id, cost, label',
  twin: 'n::text as n, f::text as f, i::text as i, c::text as c, j::text as j, v',
}

/** Keeps what a batch saw; of a table that was not there, what the batch before saw. */
export async function captureCrm(
  source: TestDatabase,
  crm: TestDatabase,
  batch: number,
): Promise<void> {
  for (const table of CRM_TABLES) {
    const at = table.replace('crm_', '')
    await source.query(`delete from kept.${table} where batch = ${batch}`)
    if (!(await hasTable(crm, at))) {
      const columns = SHOWN[table].replaceAll(/\w+::text as /g, '')
      await source.query(
        `insert into kept.${table} (batch, ${columns}) select ${batch}, ${columns} from kept.${table} where batch = ${batch - 1}`,
      )
      continue
    }
    const [found] = await crm.query(
      `select coalesce(json_agg(r), '[]')::text as rows from (select ${batch} as batch, ${SHOWN[table]} from public.${at}) as r`,
    )
    await source.query(
      `insert into kept.${table} select * from json_populate_recordset(null::kept.${table}, $1::json)`,
      [found?.['rows']],
    )
  }
}

export async function hasTable(crm: TestDatabase, name: string): Promise<boolean> {
  const [found] = await crm.query(`select to_regclass('public.${name}') as found`)
  return found?.['found'] !== null
}

/** The numbers of which rows can be made, and how each is spelled. */
const TWINS = [0, 1, 2, 30, 31] as const

function spelled(b: number, chance: Chance): string {
  const n = chance.of([`${b}`, `${b}.0`, `${b}.00`, `${b}.000000000000`])
  const f = b === 0 ? chance.of([`'0'`, `'-0'`]) : `'${b}'`
  const i = chance.of([
    `${b} days`,
    `${b * 24}:00:00`,
    ...(b >= 30 ? [`1 mon ${b - 30} days`] : []),
    ...(b > 0 ? [`${b - 1} days 24:00:00`] : []),
  ])
  const c = chance.of([`x${b}`, `X${b}`])
  const j = chance.of([`[${b}]`, `[${b}.0]`, `[ ${b}.00 ]`])
  return `${n}, ${f}::float8, '${i}'::interval, '${c}', '${j}'::jsonb`
}

/** One change of the second source's rows. */
export async function crmSql(crm: TestDatabase, chance: Chance): Promise<string> {
  const n = 1 + chance.below(8)
  const b = chance.of(TWINS)
  const other = chance.of(TWINS)
  const again = (one: number): string =>
    `update twin set (n, f, i, c, j) = (select ${spelled(one, chance)}) where b = ${one}`
  const put = (one: number): string =>
    `insert into twin values (${spelled(one, chance)}, ${n}, ${one}) on conflict (b) do update set v = twin.v + 1`
  const changes = [
    again(b),
    again(b),
    `${again(b)}; update twin set v = v + 1 where b = ${b}`,
    `delete from twin where b = ${b}; ${put(b)}`,
    put(b),
    `delete from twin where b = ${b}`,
    `${again(b)}; ${again(other)}; update twin set v = (v * 3) % 7`,
    // What they hold changes places, and how that is spelled with it.
    `create temp table swapped on commit drop as select * from twin where b in (${b}, ${other});
     delete from twin where b in (${b}, ${other});
     insert into twin select ${spelled(b, chance)}, coalesce((select v from swapped where b = ${other}), 5), ${b};
     ${b === other ? '' : `insert into twin select ${spelled(other, chance)}, coalesce((select v from swapped where b = ${b}), 6), ${other}`}`,
    `update twin set v = v + 1 where b <> ${b}`,
    `update item set cost = cost + 0.01 where item_id = ${n}`,
    `insert into item values (${n}, ${n}.5, null) on conflict (item_id) do update set label = coalesce(item.label, '') || 'y'`,
    `delete from item where item_id = ${n}`,
    ...((await hasTable(crm, 'client'))
      ? [
          `update client set place_id = nullif(${n}, 3) where client_id % 3 = ${n % 3}`,
          `insert into client values (${n}, ${n}, 'New ${n}', null) on conflict (client_id) do update set level = 'l${n}', name = client.name || '.'`,
          `delete from client where client_id = ${n}`,
        ]
      : []),
  ]
  return chance.of(changes)
}
