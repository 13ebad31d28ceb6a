/**
 * The memory of what was loaded: one row a batch and schema, written in the batch's own transaction (P4). It
 * alone decides whether a batch was applied, and whether a lake belongs to this warehouse. Each schema that a
 * star was ever loaded into has a story of its own: one that was left says where it was left.
 */
import { ToteError } from '../errors.ts'
import type { Context, WarehouseTableSummary } from '../events.ts'
import type { Connection, TextRow } from '../postgres/connection.ts'
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../postgres/identifiers.ts'
import { LEDGER_TABLE } from '../star/layout.ts'
import type { LedgerEntry } from './warehouse.ts'

/** The statements about one ledger: every environment has its own, in its own schema. */
export interface Ledger {
  readonly schema: string
  readonly createSchema: string
  readonly create: string
  readonly comment: string
  /** Parameter: the schema. Yields `oid`, and as `outdated` the name of the key that an earlier version made. */
  readonly find: string
  /** Parameters: the pipeline, the star's schema. The second is for an earlier version's ledger, which knew one star alone. */
  readonly selectLast: string
  readonly selectLastOutdated: string
  /** Parameters: the pipeline, the star's schema, the batch. */
  readonly selectBatch: string
  /** Parameters: the pipeline, the star's schema. Other schemas, as `schema`; whether they are there, as `there`. */
  readonly selectElsewhere: string
  readonly insert: string
  /** Parameters: the star's schema, a JSON array of entries; those that are there stay as they are. */
  readonly insertMany: string
  /** Parameters: the pipeline, the star's schema, a JSON array of entries. Entries that are none of these, as `n`. */
  readonly countOthers: string
  readonly deleteOthers: string
  /** Gives an earlier version's ledger the columns and the key of this one; of its entries nobody knows the schema yet. */
  readonly migrate: (key: string) => string
  /** Parameters: the pipeline, the star's schema. Entries of earlier versions are of this schema. */
  readonly place: string
}

const COLUMNS = `pipeline, chain, generation, batch, manifest, manifest_sha256, run,
  to_char(instant at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as instant`
/** The schema last: the newest entry of a pipeline is found from the end, and most have one schema alone. */
const KEY = 'primary key (pipeline, generation, batch, schema)'
const NEWEST = 'order by generation desc, batch desc limit 1'

/** The ledger of a schema. */
export function ledgerIn(schema: string): Ledger {
  const ledger = quoteQualified(schema, LEDGER_TABLE)
  const others = `${ledger} as l where l.pipeline = $1 and l.schema = $2 and not exists (
  select from pg_catalog.jsonb_array_elements($3::jsonb) as e
  where (e->>8)::integer = l.generation and (e->>2)::bigint = l.batch and e->>4 = l.manifest_sha256)`
  return {
    schema,
    createSchema: `create schema if not exists ${quoteIdentifier(schema)}`,
    create: `create table if not exists ${ledger} (
  pipeline text not null,
  batch bigint not null,
  generation integer not null default 1,
  chain text not null,
  manifest bigint not null,
  manifest_sha256 text not null,
  instant timestamptz not null,
  run text not null,
  loaded_at timestamptz not null default clock_timestamp(),
  tables jsonb not null,
  schema text not null,
  ${KEY}
)`,
    comment: `comment on table ${ledger} is 'Every batch that was loaded into a schema, written in the same transaction as its rows.'`,
    // Whether there is a ledger, as `oid`; asking for a table that is not there would break the
    // transaction. From the catalogue's own rows: `to_regclass` answers from a cache, which does not
    // know of a ledger that another loader created while we waited for its lock.
    find: `select c.oid::text as oid, (select k.conname from pg_catalog.pg_constraint as k
  where k.conrelid = c.oid and k.contype = 'p' and cardinality(k.conkey) < 4) as outdated
from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = '${LEDGER_TABLE}'`,
    selectLast: `select ${COLUMNS}, schema from ${ledger} where pipeline = $1 and schema in ($2, '') ${NEWEST}`,
    selectLastOutdated: `select ${COLUMNS}, '' as schema from ${ledger} where pipeline = $1 and $2::text is not null ${NEWEST}`,
    selectBatch: `select ${COLUMNS}, schema from ${ledger} where pipeline = $1 and schema = $2 and batch = $3::bigint ${NEWEST}`,
    selectElsewhere: `select schema, exists (select from pg_catalog.pg_namespace where nspname = schema) as there
from (select distinct schema from ${ledger} where pipeline = $1 and schema <> $2) as l order by 1`,
    insert: `insert into ${ledger} (schema, pipeline, chain, batch, manifest, manifest_sha256, instant, run, tables, generation)
values ($1, $2, $3, $4::bigint, $5::bigint, $6, $7::timestamptz, $8, $9::jsonb, $10::integer)`,
    insertMany: `insert into ${ledger} (schema, pipeline, chain, batch, manifest, manifest_sha256, instant, run, tables, generation)
select $1, e->>0, e->>1, (e->>2)::bigint, (e->>3)::bigint, e->>4, (e->>5)::timestamptz, e->>6, (e->>7)::jsonb, (e->>8)::integer
from pg_catalog.jsonb_array_elements($2::jsonb) as e on conflict (pipeline, generation, batch, schema) do nothing`,
    countOthers: `select count(*) as n from ${others}`,
    deleteOthers: `delete from ${others}`,
    // Without a default an earlier version, which does not know of several stars, writes nothing here any more.
    migrate: (key) =>
      `alter table ${ledger} add column schema text not null default '', drop constraint ${quoteIdentifier(key)}, add ${KEY};
alter table ${ledger} alter column schema drop default`,
    place: `update ${ledger} set schema = $2 where pipeline = $1 and schema = ''`,
  }
}

export function entryValues(
  entry: LedgerEntry,
  tables: readonly WarehouseTableSummary[],
): readonly string[] {
  const counts = Object.fromEntries(
    tables.map(({ table, rowsLoaded, rowsDeleted, rowsCurrent }) => [
      table,
      { rowsLoaded, rowsDeleted, rowsCurrent },
    ]),
  )
  const { pipeline, chain, batch, manifest, manifestSha256, instant, run } = entry
  return [
    pipeline,
    chain,
    String(batch),
    String(manifest),
    manifestSha256,
    instant,
    run,
    JSON.stringify(counts),
    String(entry.generation),
  ]
}

function parseEntry(row: TextRow | undefined): LedgerEntry | null {
  if (row === undefined) return null
  const text = (name: string): string => row[name] ?? ''
  return {
    pipeline: text('pipeline'),
    chain: text('chain'),
    generation: Number(text('generation')),
    batch: Number(text('batch')),
    manifest: Number(text('manifest')),
    manifestSha256: text('manifest_sha256'),
    instant: text('instant'),
    run: text('run'),
    schema: text('schema') === '' ? null : text('schema'),
  }
}

/** Where a ledger is asked. */
export interface Asking {
  readonly connection: Connection
  readonly ledger: Ledger
  /** The star's. */
  readonly schema: string
}

export interface LedgerState {
  readonly exists: boolean
  readonly last: LedgerEntry | null
  readonly recorded: LedgerEntry | null
  /** Schemas into which this pipeline was loaded, asked for where nothing was loaded into this one. */
  readonly elsewhere: readonly { readonly schema: string; readonly isThere: boolean }[]
}

/** The last entry of a pipeline, whatever version made the ledger; nothing is changed. */
export async function readLast(
  { connection, ledger, schema }: Asking,
  pipeline: string,
): Promise<LedgerEntry | null> {
  const found = await find({ connection, ledger })
  if (found === null) return null
  const text = found.outdated === null ? ledger.selectLast : ledger.selectLastOutdated
  const [row] = await connection.query('read the ledger', text, [pipeline, schema])
  return parseEntry(row)
}

/** What the ledger says of a batch and before it, inside the transaction that loads. One of an earlier version is brought up to date first. */
export async function readLedger(
  { connection, ledger, schema }: Asking,
  { pipeline, batch }: Pick<LedgerEntry, 'pipeline' | 'batch'>,
): Promise<LedgerState> {
  const found = await find({ connection, ledger })
  if (found === null) return { exists: false, last: null, recorded: null, elsewhere: [] }
  if (found.outdated !== null) await bringUpToDate({ connection, ledger })
  const ask = async (text: string, ...more: string[]): Promise<readonly TextRow[]> =>
    connection.query('read the ledger', text, [pipeline, schema, ...more])
  const [last] = await ask(ledger.selectLast)
  if (parseEntry(last)?.schema === null)
    await connection.query('say in the ledger where the star is', ledger.place, [pipeline, schema])
  const [recorded] = await ask(ledger.selectBatch, String(batch))
  return {
    exists: true,
    last: parseEntry(last),
    recorded: parseEntry(recorded),
    elsewhere:
      last === undefined ? await readElsewhere({ connection, ledger, schema }, pipeline) : [],
  }
}

/** Other schemas into which a pipeline was loaded; none that an earlier version's ledger could tell. Nothing is changed. */
export async function readElsewhere(
  { connection, ledger, schema }: Asking,
  pipeline: string,
): Promise<LedgerState['elsewhere']> {
  const found = await find({ connection, ledger })
  if (found === null || found.outdated !== null) return []
  const rows = await connection.query('read the ledger', ledger.selectElsewhere, [pipeline, schema])
  return rows.map((row) => ({ schema: row['schema'] ?? '', isThere: row['there'] === 't' }))
}

async function find({
  connection,
  ledger,
}: Pick<Asking, 'connection' | 'ledger'>): Promise<{ readonly outdated: string | null } | null> {
  const [found] = await connection.query('look for the ledger', ledger.find, [ledger.schema])
  if ((found?.['oid'] ?? null) === null) return null
  return { outdated: found?.['outdated'] ?? null }
}

/** Another pipeline may do it at the same time. */
async function bringUpToDate(asking: Pick<Asking, 'connection' | 'ledger'>): Promise<void> {
  const { connection, ledger } = asking
  await connection.query('wait for another loader', lockLedger)
  const key = (await find(asking))?.outdated ?? null
  if (key !== null) await connection.query('bring the ledger up to date', ledger.migrate(key))
}

/** A star of its own begins beside others, which somebody may go on reading. */
export function sayOthers(
  { schema }: Pick<Asking, 'schema'>,
  { elsewhere }: Pick<LedgerState, 'elsewhere'>,
  context: Context,
): void {
  if (elsewhere.length === 0) return
  const names = elsewhere.map((other) => `"${other.schema}"`).join(', ')
  context.emit({
    type: 'note',
    level: 'warn',
    text: `schema "${schema}" gets a star of its own; the ledger also knows one in ${names}, which stays as it is`,
  })
}

/** `alone` when its schema is there and need not be made: `if not exists` would still ask for the right to. */
export async function createLedger(
  { connection, ledger }: Pick<Asking, 'connection' | 'ledger'>,
  { alone }: { readonly alone: boolean },
): Promise<void> {
  await connection.query('wait for another loader', lockLedger)
  const schema = alone ? [] : [ledger.createSchema]
  await connection.query('create the ledger', [...schema, ledger.create, ledger.comment].join('; '))
}

/** Held while the ledger itself is created or altered: two pipelines may begin at once. */
const lockLedger = "select pg_advisory_xact_lock(hashtextextended('tote ledger', 0))"

const REBUILD =
  'point the project at the lake that was loaded here; or make the warehouse anew from this lake: tote rebuild --accept-lake'

/**
 * Whether a batch may be applied on top of the ledger's last entry. `recorded` is the ledger's own
 * entry of that batch, when it has one. Throws LedgerMismatch when the ledger tells another story.
 */
export function placeInLedger(
  entry: LedgerEntry,
  last: LedgerEntry | null,
  recorded: LedgerEntry | null,
): 'next' | 'already' {
  if (last !== null && last.chain !== entry.chain) {
    throw new ToteError(
      'LedgerMismatch',
      `The warehouse's ledger says that pipeline "${entry.pipeline}" was loaded from another lake (chain ${last.chain}; this lake is chain ${entry.chain}).`,
      {
        fix: REBUILD,
        details: { pipeline: entry.pipeline, ledgerChain: last.chain, chain: entry.chain },
      },
    )
  }
  // Superseded: a restatement that holds this batch was loaded meanwhile.
  if (last !== null && last.generation > entry.generation) return 'already'
  const previous = last?.batch ?? 0
  if (entry.batch === previous + 1) return 'next'
  if (entry.batch > previous) {
    throw new ToteError(
      'LedgerMismatch',
      `Batch ${entry.batch} of pipeline "${entry.pipeline}" cannot be loaded: the warehouse stands at batch ${previous}.`,
      {
        details: { pipeline: entry.pipeline, batch: entry.batch, ledgerBatch: previous },
      },
    )
  }
  if (recorded?.manifestSha256 === entry.manifestSha256) return 'already'
  throw new ToteError(
    'LedgerMismatch',
    `Batch ${entry.batch} of pipeline "${entry.pipeline}" was loaded from another manifest than this lake's: the lake was restored or replaced.`,
    {
      fix: REBUILD,
      details: { pipeline: entry.pipeline, batch: entry.batch, ledgerBatch: previous },
    },
  )
}

/** A table that lacks rows which somebody recorded. Throws LedgerMismatch. */
export function refuseGone({ pipeline, batch }: LedgerEntry, table: string): never {
  throw new ToteError(
    'LedgerMismatch',
    `Table "${table}" is missing, though earlier batches of pipeline "${pipeline}" were loaded into it.`,
    {
      where: table,
      fix: 'have the warehouse made anew from the lake: tote rebuild',
      details: { table, pipeline, batch },
    },
  )
}

/** A table whose newest version is of another batch than the ledger has it: one of the two was put back. Throws LedgerMismatch. */
export function refuseVersions(
  table: string,
  { newest, from, last }: { readonly newest: number; readonly from: number; readonly last: number },
): never {
  const isAhead = newest >= from
  throw new ToteError(
    'LedgerMismatch',
    isAhead
      ? `Table "${table}" has versions of batch ${newest}, and the ledger says that batch ${last} was loaded last.`
      : `Table "${table}" has no version of batch ${from}, though the ledger says that it was loaded.`,
    {
      where: table,
      why: `${isAhead ? 'the ledger was put back, or lost entries, without its star' : 'the star was put back without its ledger'}: versions would be loaded twice, or lack`,
      fix: 'put the other one back to the same time; or have the star made what the lake says: tote rebuild; or tote verify --repair, and then tote run',
      details: { table, newest, ledgerBatch: last },
    },
  )
}

/** A table that holds rows which nobody recorded, or in another schema. Throws LedgerMismatch. */
export function refuseRows(
  { pipeline, batch }: Pick<LedgerEntry, 'pipeline' | 'batch'>,
  table: string,
  { ledger, schema, elsewhere }: Pick<Asking, 'ledger' | 'schema'> & Pick<LedgerState, 'elsewhere'>,
): never {
  const anew = 'have the table made anew from the lake: tote rebuild --accept-lake'
  const details = { table, pipeline, batch }
  if (elsewhere.length === 0)
    throw new ToteError(
      'LedgerMismatch',
      `Table "${table}" already holds rows, which no batch of pipeline "${pipeline}" in the ledger has brought.`,
      {
        where: table,
        fix: `empty the table, load into another schema, or ${anew}`,
        details,
      },
    )
  const names = elsewhere.map((other) => `"${other.schema}"`).join(', ')
  const gone = elsewhere.find(({ isThere }) => !isThere)
  const renamed = `update ${quoteQualified(ledger.schema, LEDGER_TABLE)} set schema = ${quoteLiteral(schema)} where pipeline = ${quoteLiteral(pipeline)} and schema = ${quoteLiteral(gone?.schema ?? '')}`
  throw new ToteError(
    'LedgerMismatch',
    `Table "${table}" of schema "${schema}" already holds rows, and the ledger knows of pipeline "${pipeline}" only in schema ${names}.`,
    {
      where: table,
      fix:
        gone === undefined
          ? `set warehouse.schema back, or ${anew}`
          : `set warehouse.schema back; if the schema was renamed, tell the ledger: ${renamed}; or ${anew}`,
      details,
    },
  )
}
