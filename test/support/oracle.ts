/**
 * What the totesys warehouse must hold, said a second time: plain PostgreSQL over the source's own
 * tables, written from the specification (totesys.md 3), sharing nothing with the models. And what
 * must be true of any warehouse and lake of ours, whatever happened on the way (P3, P4, P5, P6).
 */
import { createHash } from 'node:crypto'
import { readFileSync, readdirSync, existsSync } from 'node:fs'
import { join } from 'node:path'

/** A test's client: rows as the server's text. */
export interface Queryable {
  query(sql: string, values?: unknown[]): Promise<Record<string, string | null>[]>
}

interface FactHistory {
  readonly recordId: string
  readonly key: string
}

const FACTS: Readonly<Record<string, FactHistory>> = {
  fact_sales_order: { recordId: 'sales_record_id', key: 'sales_order_id' },
  fact_purchase_order: { recordId: 'purchase_record_id', key: 'purchase_order_id' },
  fact_payment: { recordId: 'payment_record_id', key: 'payment_id' },
}

/** Each table's specified columns, record ids left out, as a query over the source. */
const EXPECTED: Readonly<Record<string, string>> = {
  fact_sales_order: `select sales_order_id, created_at::date as created_date, created_at::time as created_time,
      last_updated::date as last_updated_date, last_updated::time as last_updated_time,
      staff_id as sales_staff_id, counterparty_id, units_sold, unit_price, currency_id, design_id,
      agreed_payment_date::date as agreed_payment_date, agreed_delivery_date::date as agreed_delivery_date,
      agreed_delivery_location_id
    from public.sales_order`,
  fact_purchase_order: `select purchase_order_id, created_at::date as created_date, created_at::time as created_time,
      last_updated::date as last_updated_date, last_updated::time as last_updated_time,
      staff_id, counterparty_id, item_code, item_quantity, item_unit_price, currency_id,
      agreed_delivery_date::date as agreed_delivery_date, agreed_payment_date::date as agreed_payment_date,
      agreed_delivery_location_id
    from public.purchase_order`,
  fact_payment: `select payment_id, created_at::date as created_date, created_at::time as created_time,
      last_updated::date as last_updated_date, last_updated::time as last_updated_time,
      transaction_id, counterparty_id, payment_amount, currency_id, payment_type_id, paid,
      payment_date::date as payment_date
    from public.payment`,
  dim_staff: `select staff_id, first_name, last_name,
      (select d.department_name from public.department d where d.department_id = s.department_id) as department_name,
      coalesce((select d.location from public.department d where d.department_id = s.department_id), 'Unknown') as location,
      email_address
    from public.staff s`,
  dim_location: `select address_id as location_id, address_line_1, address_line_2, district, city, postal_code,
      country, phone from public.address`,
  dim_currency: `select currency_id, currency_code, case currency_code when 'GBP' then 'Pound Sterling'
      when 'USD' then 'US Dollar' when 'EUR' then 'Euro' else 'Unknown' end as currency_name
    from public.currency`,
  dim_design: `select design_id, design_name, file_location, file_name from public.design`,
  dim_counterparty: `select counterparty_id, counterparty_legal_name,
      address_line_1 as counterparty_legal_address_line_1, address_line_2 as counterparty_legal_address_line_2,
      district as counterparty_legal_district, city as counterparty_legal_city,
      postal_code as counterparty_legal_postal_code, country as counterparty_legal_country,
      phone as counterparty_legal_phone_number
    from public.counterparty c, public.address a where a.address_id = c.legal_address_id`,
  dim_transaction: `select transaction_id, transaction_type::text as transaction_type, sales_order_id, purchase_order_id
    from public.transaction`,
  dim_payment_type: `select payment_type_id, payment_type_name::text as payment_type_name from public.payment_type`,
  // Every day of every year that a fact refers to.
  dim_date: `select day::date as date_id, date_part('year', day)::int as year, date_part('month', day)::int as month,
      date_part('day', day)::int as day, date_part('isodow', day)::int as day_of_week,
      (array['Monday','Tuesday','Wednesday','Thursday','Friday','Saturday','Sunday'])[date_part('isodow', day)::int] as day_name,
      (array['January','February','March','April','May','June','July','August','September','October','November','December'])[date_part('month', day)::int] as month_name,
      ((date_part('month', day)::int + 2) / 3) as quarter
    from (select min(d) as first, max(d) as last from (
        select unnest(array[created_at::date, last_updated::date, agreed_payment_date::date, agreed_delivery_date::date]) as d from public.sales_order
        union all
        select unnest(array[created_at::date, last_updated::date, agreed_payment_date::date, agreed_delivery_date::date]) from public.purchase_order
        union all
        select unnest(array[created_at::date, last_updated::date, payment_date::date]) from public.payment) dates) used,
      generate_series(make_date(date_part('year', first)::int, 1, 1), make_date(date_part('year', last)::int, 12, 31), '1 day') as day`,
}

export const WAREHOUSE_TABLES: readonly string[] = Object.keys(EXPECTED)

/** Each table's rows as JSON with the columns in their order, sorted. */
export type Contents = ReadonlyMap<string, readonly string[]>

/** What the warehouse's current rows must be. */
export async function expectedRows(source: Queryable): Promise<Contents> {
  return readRows(source, (table) => EXPECTED[table] ?? '')
}

/** What the warehouse's current rows are: every column but record ids and those that Tote adds. */
export async function currentRows(warehouse: Queryable): Promise<Contents> {
  const found = await warehouse.query(
    `select table_name, string_agg(column_name, ', ' order by ordinal_position) as columns
     from information_schema.columns
     where table_schema = 'public' and column_name not in ('valid_from', 'valid_to', 'is_deleted', 'batch')
       and column_name not in (${Object.values(FACTS)
         .map(({ recordId }) => `'${recordId}'`)
         .join(', ')})
     group by table_name`,
  )
  const columns = new Map(found.map((row) => [row['table_name'], row['columns']]))
  return readRows(warehouse, (table) => {
    const current = table in FACTS ? 'valid_to is null' : 'not is_deleted'
    return `select ${columns.get(table) ?? '*'} from public.${table} where ${current}`
  })
}

/**
 * Everything in the warehouse but instants, which no two runs share: record ids, versions, the batch
 * that brought and the batch that closed each, marks of deletion.
 */
export async function wholeRows(warehouse: Queryable): Promise<Contents> {
  const [ledger] = await warehouse.query("select to_regclass('tote.ledger') as name")
  // One transaction creates it with all tables.
  if (ledger?.['name'] === null) {
    const found = await warehouse.query(
      "select relname from pg_class where relnamespace = 'public'::regnamespace",
    )
    return new Map(found.map((row) => [row['relname'] ?? '', ['there without a ledger']]))
  }
  return readRows(warehouse, (table) =>
    table in FACTS
      ? `select to_jsonb(t) - 'valid_from' - 'valid_to' as row,
           (select l.batch from tote.ledger l where l.instant = t.valid_to) as closed_by from public.${table} t`
      : `select to_jsonb(t) as row from public.${table} t`,
  )
}

/** Every cell of the star, history and instants included. */
export async function everyCell(warehouse: Queryable): Promise<Contents> {
  return readRows(warehouse, (table) => `select to_jsonb(t) as row from public.${table} t`)
}

/** `except`, both ways, with the first few rows of each: nothing when both hold the same. */
export function differences(expected: Contents, found: Contents): string[] {
  return [...new Set([...expected.keys(), ...found.keys()])].flatMap((table) => {
    const missing = without(expected.get(table) ?? [], found.get(table) ?? [])
    const extra = without(found.get(table) ?? [], expected.get(table) ?? [])
    return [
      ...(missing.length === 0 ? [] : [`${table}: ${missing.length} missing, as ${missing[0]}`]),
      ...(extra.length === 0 ? [] : [`${table}: ${extra.length} too many, as ${extra[0]}`]),
    ]
  })
}

function without(rows: readonly string[], others: readonly string[]): string[] {
  const left = new Map<string, number>()
  for (const row of others) left.set(row, (left.get(row) ?? 0) + 1)
  return rows.filter((row) => {
    const count = left.get(row) ?? 0
    left.set(row, count - 1)
    return count <= 0
  })
}

async function readRows(database: Queryable, query: (table: string) => string): Promise<Contents> {
  return readContents(
    database,
    Object.fromEntries(WAREHOUSE_TABLES.map((table) => [table, query(table)])),
  )
}

/** The rows of queries, by their names: all in one statement, which is one instant, and one round trip. */
export async function readContents(
  database: Queryable,
  queries: Readonly<Record<string, string>>,
): Promise<Contents> {
  const parts = Object.entries(queries).map(
    ([name, query]) =>
      `select '${name}' as name, json_agg(row_to_json(t)::text order by row_to_json(t)::text) as rows from (${query}) t`,
  )
  const found = await database.query(parts.join(' union all '))
  return new Map(
    found.map((row) => [row['name'] ?? '', JSON.parse(row['rows'] ?? '[]') as string[]]),
  )
}

/**
 * What is wrong with the warehouse's history and ledger by itself: nothing, when every fact has at
 * most one open version, versions follow each other without gap or overlap, none repeats the one
 * before, record ids run from 1, and batches from 1.
 */
export async function historyProblems(warehouse: Queryable): Promise<string[]> {
  const queries = Object.entries(FACTS).flatMap(([table, { recordId, key }]) => {
    const found = (what: string, query: string): string =>
      `select '${table}: ' || count(*) || ' ${what}' as problem from (${query}) t having count(*) > 0`
    const values = `to_jsonb(f) - '${recordId}' - 'valid_from' - 'valid_to' - 'batch' - 'is_deleted'`
    const versions = `select f.*, ${values} as own, lead(valid_from) over w as next_from, lag(valid_to) over w as last_to,
      lag(${values}) over w as last_own from public.${table} f window w as (partition by ${key} order by valid_from)`
    return [
      found(
        'open versions beside another',
        `select from public.${table} where valid_to is null group by ${key} having count(*) > 1`,
      ),
      found(
        'versions that end before they begin',
        `select from public.${table} where valid_to <= valid_from`,
      ),
      found(
        'versions that no other and no deletion follows',
        `select from (${versions}) v where valid_to is not null and not is_deleted and next_from is distinct from valid_to`,
      ),
      found(
        'versions that overlap the next',
        `select from (${versions}) v where next_from < coalesce(valid_to, 'infinity')`,
      ),
      found(
        'open versions marked as deleted',
        `select from public.${table} where valid_to is null and is_deleted`,
      ),
      found(
        'versions that repeat the one before',
        `select from (${versions}) v where own = last_own and last_to = valid_from`,
      ),
      found(
        'versions that are not of their batch',
        `select from public.${table} f left join tote.ledger l using (batch) where l.instant is distinct from f.valid_from`,
      ),
      found(
        'versions that no batch closed',
        `select from public.${table} f where valid_to is not null and not exists (select from tote.ledger l where l.instant = f.valid_to)`,
      ),
      `select '${table}: record ids run from ' || min(${recordId}) || ' to ' || max(${recordId}) || ' for ' || count(*) || ' rows'
        from public.${table} having min(${recordId}) <> 1 or max(${recordId}) <> count(*)`,
      found(
        'rows in which the view is not what is current',
        `select from (select ${recordId} from public.${table}_current) c
        full join (select ${recordId} from public.${table} where valid_to is null) t using (${recordId})
        where c is null or t is null`,
      ),
    ]
  })
  const ledger = `select 'ledger: batches run from ' || min(batch) || ' to ' || max(batch) || ' in ' || count(*) || ' entries'
    from tote.ledger having min(batch) <> 1 or max(batch) <> count(*)`
  const rows = await warehouse.query([...queries, ledger].join(' union all '))
  return rows.map((row) => row['problem'] ?? '')
}

/** Sessions, locks, temporary tables and prepared transactions that a run left; waits a little for servers to notice a death. */
export async function leftBehind(
  ...databases: readonly (Queryable & { name: string })[]
): Promise<string[]> {
  const query = (name: string): string => `
    select 'session ' || pid || ': ' || state || ' ' || left(query, 60) as left from pg_stat_activity
      where datname = '${name}' and application_name = 'tote'
    union all select 'lock ' || mode || ' on ' || coalesce(relation::regclass::text, locktype) from pg_locks
      where database = (select oid from pg_database where datname = '${name}') and pid <> pg_backend_pid()
        and pid in (select pid from pg_stat_activity where application_name = 'tote')
    union all select 'temporary table ' || relname from pg_class where relpersistence = 't'
    union all select 'prepared transaction ' || gid from pg_prepared_xacts where database = '${name}'`
  for (let tried = 0; ; tried += 1) {
    const found = await Promise.all(databases.map(async (one) => one.query(query(one.name))))
    const left = found.flat().map((row) => row['left'] ?? '')
    if (left.length === 0 || tried === 200) return left
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

interface ManifestText {
  readonly number: number
  readonly batch: number
  readonly parent: { readonly number: number; readonly sha256: string } | null
  readonly tables: Readonly<
    Record<string, { readonly base: readonly FileText[]; readonly files: readonly FileText[] }>
  >
}

interface FileText {
  readonly key: string
  readonly bytes: number
  readonly sha256: string
}

/**
 * What is wrong with a lake, read without our code: manifests from 1 without a gap, each naming its
 * parent's sha256, each file that one names there with its sha256; and the ledger's entries are
 * manifests of this very lake, the last one being the newest batch. Files that no manifest names count for nothing.
 */
export async function lakeProblems(
  lake: { ingestion: string; processed: string },
  warehouse: Queryable,
): Promise<string[]> {
  const problems: string[] = []
  for (const zone of [lake.ingestion, lake.processed]) {
    for (const chain of readdirSync(zone)) problems.push(...chainProblems(zone, chain))
  }
  const ledger = await warehouse.query(
    'select pipeline, batch, manifest, manifest_sha256 from tote.ledger order by batch',
  )
  for (const { pipeline, batch, manifest, manifest_sha256: sha } of ledger) {
    const read = readManifest(lake.processed, pipeline ?? '', Number(manifest))
    if (read === undefined)
      problems.push(`ledger: batch ${batch} is of manifest ${manifest}, which is not there`)
    else if (read.sha256 !== sha || read.manifest.batch !== Number(batch))
      problems.push(`ledger: batch ${batch} is of another manifest ${manifest}`)
  }
  const last = ledger.at(-1)
  const chains = existsSync(lake.processed) ? readdirSync(lake.processed) : []
  for (const chain of chains) {
    const newest = manifestNumbers(lake.processed, chain).at(-1) ?? 0
    const batch = readManifest(lake.processed, chain, newest)?.manifest.batch ?? 0
    if (Number(last?.['batch'] ?? 0) !== batch)
      problems.push(`ledger: ends at batch ${last?.['batch']}, the lake at ${batch}`)
  }
  return problems
}

function chainProblems(zone: string, chain: string): string[] {
  const problems: string[] = []
  let parent: { number: number; sha256: string } | null = null
  const seen = new Set<string>()
  for (const [index, number] of manifestNumbers(zone, chain).entries()) {
    const read = readManifest(zone, chain, number)
    if (read === undefined || number !== index + 1 || read.manifest.number !== number)
      return [`${chain}: manifest ${number} is not number ${index + 1}`]
    if (JSON.stringify(read.manifest.parent) !== JSON.stringify(parent))
      problems.push(`${chain}: manifest ${number} has another parent than ${number - 1}`)
    parent = { number, sha256: read.sha256 }
    for (const { base, files } of Object.values(read.manifest.tables)) {
      for (const { key, bytes, sha256 } of [...base, ...files]) {
        if (seen.has(key)) continue
        seen.add(key)
        const path = join(zone, ...key.split('/'))
        const body = existsSync(path) ? readFileSync(path) : undefined
        if (body === undefined)
          problems.push(`${chain}: manifest ${number} names ${key}, which is not there`)
        else if (body.length !== bytes || sha256Of(body) !== sha256)
          problems.push(`${chain}: ${key} is not what manifest ${number} says`)
      }
    }
  }
  return problems
}

function manifestNumbers(zone: string, chain: string): number[] {
  const folder = join(zone, chain, '_manifests')
  const names = existsSync(folder) ? readdirSync(folder) : []
  return names
    .flatMap((name) => (/^\d{10}\.json$/.test(name) ? [Number.parseInt(name, 10)] : []))
    .sort((a, b) => a - b)
}

function readManifest(
  zone: string,
  chain: string,
  number: number,
): { manifest: ManifestText; sha256: string } | undefined {
  const path = join(zone, chain, '_manifests', `${String(number).padStart(10, '0')}.json`)
  if (!existsSync(path)) return undefined
  const body = readFileSync(path)
  return { manifest: JSON.parse(body.toString('utf8')) as ManifestText, sha256: sha256Of(body) }
}

function sha256Of(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex')
}
