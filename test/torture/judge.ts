/**
 * What must be true of a world whatever was done to it, computed inside PostgreSQL: of the current rows by the shop's
 * own tables, of versions by a table of all states that batches saw, kept beside the shop.
 */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { differences, lakeProblems, readContents } from '../support/oracle.ts'
import { ORACLE } from '../support/project-shop.ts'
import type { Database, World } from './world.ts'

/** Each fact's key and the number that Tote gives its versions. */
const FACTS: Readonly<Record<string, { readonly key: string; readonly id: string }>> = {
  fact_sale: { key: 'sale_id', id: 'sale_record_id' },
  fact_payment: { key: 'payment_id', id: 'payment_record_id' },
}
const DIMENSIONS = Object.keys(ORACLE).filter((name) => !(name in FACTS))

/** Every version that a batch saw, by the batch that brought and the one that closed it. */
export const VERSIONS = `
create schema oracle;
create table oracle.version (fact text, key bigint, row jsonb, opened int, closed int, deleted bool not null default false)`

/** What the next batch sees. Returns whether it sees any other row of a fact than the last. */
export async function seeBatch(source: Database, batch: number): Promise<boolean> {
  const seen = Object.entries(FACTS).map(
    ([fact, { key }]) =>
      `select '${fact}' as fact, ${key}::bigint as key, to_jsonb(t) as row from (${ORACLE[fact]}) t`,
  )
  const [changed] = await source.query(`
    create temporary table seen as ${seen.join(' union all ')};
    with closed as (
      update oracle.version v set closed = ${batch},
        deleted = not exists (select from seen s where s.fact = v.fact and s.key = v.key)
      where closed is null and not exists (select from seen s where s.fact = v.fact and s.row = v.row) returning 1),
    opened as (
      insert into oracle.version select fact, key, row, ${batch} from seen s
      where not exists (select from oracle.version v where v.closed is null and v.fact = s.fact and v.row = s.row) returning 1)
    select (select count(*) from closed) + (select count(*) from opened) > 0 as changed`)
  return changed?.['changed'] === 't'
}

/** The batch at which the warehouse stands; 0 before the first. */
export async function batchOf(warehouse: Database): Promise<number> {
  const [found] = await warehouse.query("select to_regclass('tote.ledger') as name")
  if (found?.['name'] === null) return 0
  const [row] = await warehouse.query('select max(batch) as batch from tote.ledger')
  return Number(row?.['batch'] ?? 0)
}

/** Every cell of the star but the clock's, and how far the ledger is. */
export async function wholeStar(warehouse: Database): Promise<string> {
  const batch = await batchOf(warehouse)
  if (batch === 0) {
    const rows = await warehouse.query(
      "select relname from pg_class where relnamespace = 'public'::regnamespace",
    )
    return rows.map((row) => row['relname']).join(' ')
  }
  const star = await readContents(warehouse, {
    ...queriesOf(
      FACTS,
      ([fact, { id }]) =>
        `select ${versionOf(id)} || jsonb_build_object('id', ${id}) as row from ${fact} f`,
    ),
    ...Object.fromEntries(
      DIMENSIONS.map((name) => [name, `select to_jsonb(t) as row from ${name} t`]),
    ),
  })
  return `${batch} ${JSON.stringify([...star])}`
}

/** A query for each, by the same names. */
function queriesOf<V>(
  of: Readonly<Record<string, V>>,
  query: (entry: readonly [name: string, value: V]) => string,
): Record<string, string> {
  return Object.fromEntries(Object.entries(of).map((entry) => [entry[0], query(entry)]))
}

const OWN = "array['valid_from', 'valid_to', 'batch', 'is_deleted']"

function versionOf(id: string): string {
  return `(to_jsonb(f) - ${OWN} - '${id}') || jsonb_build_object('', array[f.batch,
    (select l.batch from tote.ledger l where l.instant = f.valid_to), f.is_deleted::int])`
}

/** Everything that is not as it must be; `batch` is the one at which the warehouse must stand. */
export async function problemsOf(world: World): Promise<string[]> {
  const { source, warehouse, lake } = world
  const current = await readContents(
    warehouse,
    queriesOf(ORACLE, ([name]) => {
      const fact = FACTS[name]
      return fact === undefined
        ? `select to_jsonb(t) - 'is_deleted' as row from ${name} t where not is_deleted`
        : `select to_jsonb(t) - ${OWN} - '${fact.id}' as row from ${name}_current t`
    }),
  )
  const expected = await readContents(
    source,
    queriesOf(ORACLE, ([, query]) => `select to_jsonb(t) as row from (${query}) t`),
  )
  const versions = await readContents(
    warehouse,
    queriesOf(FACTS, ([fact, { id }]) => `select ${versionOf(id)} as row from ${fact} f`),
  )
  const seen = await readContents(
    source,
    queriesOf(
      FACTS,
      ([fact]) =>
        `select row || jsonb_build_object('', array[opened, closed, deleted::int]) as row from oracle.version where fact = '${fact}'`,
    ),
  )
  return [
    ...differences(expected, current),
    ...differences(seen, versions),
    ...(await orderProblems(warehouse)),
    ...(await lakeProblems(lake, warehouse)),
    ...(await leftIn(source)),
    ...(await leftIn(warehouse)),
  ]
}

/** Batches and record ids have no gap, and time goes on from batch to batch whatever clocks say. */
async function orderProblems(warehouse: Database): Promise<string[]> {
  const rows = await warehouse.query(
    [
      `select 'ledger: batches from ' || min(batch) || ' to ' || max(batch) || ' in ' || count(*) as problem
        from tote.ledger having min(batch) <> 1 or max(batch) <> count(*)`,
      `select 'ledger: batch ' || b.batch || ' is not later than the one before' from tote.ledger a
        join tote.ledger b on b.batch = a.batch + 1 where b.instant <= a.instant`,
      ...Object.entries(FACTS).flatMap(([fact, { id, key }]) => [
        `select '${fact}: record ids to ' || max(${id}) || ' for ' || count(*) || ' rows' from ${fact}
          having min(${id}) <> 1 or max(${id}) <> count(*)`,
        `select '${fact}: ' || count(*) || ' versions that do not begin with their batch' from ${fact} f
          left join tote.ledger l using (batch) where l.instant is distinct from f.valid_from having count(*) > 0`,
        `select '${fact}: ' || count(*) || ' versions that overlap' from ${fact} a join ${fact} b
          on a.${key} = b.${key} and a.${id} <> b.${id} and a.valid_from < coalesce(b.valid_to, 'infinity')
          and b.valid_from < coalesce(a.valid_to, 'infinity') having count(*) > 0`,
        `select '${fact}: ' || count(*) || ' versions that end before they begin' from ${fact}
          where valid_to <= valid_from having count(*) > 0`,
      ]),
    ].join(' union all '),
  )
  return rows.map((row) => row['problem'] ?? '')
}

/** Transactions, locks, temporary tables and prepared transactions that a run left; servers get a moment to notice a death. */
async function leftIn(database: Database): Promise<string[]> {
  const text = `
    select 'transaction ' || state || ' ' || left(query, 60) as left from pg_stat_activity
      where datname = current_database() and application_name = 'tote' and xact_start is not null
    union all select 'lock ' || mode || ' on ' || coalesce(relation::regclass::text, locktype) from pg_locks
      where pid in (select pid from pg_stat_activity where datname = current_database() and application_name = 'tote')
    union all select 'temporary table ' || relname from pg_class where relpersistence = 't'
    union all select 'prepared transaction ' || gid from pg_prepared_xacts where database = current_database()`
  for (let tried = 0; ; tried += 1) {
    const left = (await database.query(text)).map((row) => row['left'] ?? '')
    if (left.length === 0 || tried === 60) return left
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/**
 * Overwrites what no manifest names, nor a draft, so that a run that reads it cannot end well. Returns how many
 * files that were.
 */
export function poison({ lake }: World): number {
  let poisoned = 0
  for (const zone of [lake.ingestion, lake.processed]) {
    if (!existsSync(zone)) continue
    const paths = readdirSync(zone, { recursive: true, encoding: 'utf8' })
      .map((name) => join(zone, name))
      .filter((path) => statSync(path).isFile())
    const named = paths
      .filter((path) => /[/\\]_[^/\\]*[/\\][^/\\]*$/.test(path))
      .map((path) => readFileSync(path, 'latin1'))
      .join('\n')
    for (const path of paths) {
      const key = relative(zone, path).replaceAll(sep, '/')
      if (/(^|\/)_/.test(key) || named.includes(key)) continue
      writeFileSync(path, 'poison '.repeat(Math.ceil(statSync(path).size / 7) + 1))
      poisoned += 1
    }
  }
  return poisoned
}
