/**
 * The memory of what was loaded: one row a batch, written in the batch's own transaction (P4). It
 * alone decides whether a batch was applied, and whether a lake belongs to this warehouse.
 */
import { ToteError } from '../errors.ts'
import type { WarehouseTableSummary } from '../events.ts'
import type { TextRow } from '../postgres/connection.ts'
import { quoteIdentifier, quoteQualified } from '../postgres/identifiers.ts'
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
  /** Parameter: the pipeline. */
  readonly selectLast: string
  /** Parameters: the pipeline, the batch. */
  readonly selectBatch: string
  readonly insert: string
  /** Parameter: a JSON array of entries; those that are there stay as they are. */
  readonly insertMany: string
  /** Parameters: the pipeline, a JSON array of entries. Entries that are none of these, as `n`. */
  readonly countOthers: string
  readonly deleteOthers: string
  /** Gives an earlier version's ledger, whose key knew no generations, the key of this one. */
  readonly migrate: (key: string) => string
}

const COLUMNS = `pipeline, chain, generation, batch, manifest, manifest_sha256, run,
  to_char(instant at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as instant`

/** The ledger of a schema. */
export function ledgerIn(schema: string): Ledger {
  const ledger = quoteQualified(schema, LEDGER_TABLE)
  const others = `${ledger} as l where l.pipeline = $1 and not exists (
  select from pg_catalog.jsonb_array_elements($2::jsonb) as e
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
  primary key (pipeline, generation, batch)
)`,
    comment: `comment on table ${ledger} is 'Every batch that was loaded, written in the same transaction as its rows.'`,
    // Whether there is a ledger, as `oid`; asking for a table that is not there would break the
    // transaction. From the catalogue's own rows: `to_regclass` answers from a cache, which does not
    // know of a ledger that another loader created while we waited for its lock.
    find: `select c.oid::text as oid, (select k.conname from pg_catalog.pg_constraint as k
  where k.conrelid = c.oid and k.contype = 'p' and cardinality(k.conkey) = 2) as outdated
from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = '${LEDGER_TABLE}'`,
    selectLast: `select ${COLUMNS} from ${ledger} where pipeline = $1 order by generation desc, batch desc limit 1`,
    selectBatch: `select ${COLUMNS} from ${ledger} where pipeline = $1 and batch = $2::bigint order by generation desc limit 1`,
    insert: `insert into ${ledger} (pipeline, chain, batch, manifest, manifest_sha256, instant, run, tables, generation)
values ($1, $2, $3::bigint, $4::bigint, $5, $6::timestamptz, $7, $8::jsonb, $9::integer)`,
    insertMany: `insert into ${ledger} (pipeline, chain, batch, manifest, manifest_sha256, instant, run, tables, generation)
select e->>0, e->>1, (e->>2)::bigint, (e->>3)::bigint, e->>4, (e->>5)::timestamptz, e->>6, (e->>7)::jsonb, (e->>8)::integer
from pg_catalog.jsonb_array_elements($1::jsonb) as e on conflict (pipeline, generation, batch) do nothing`,
    countOthers: `select count(*) as n from ${others}`,
    deleteOthers: `delete from ${others}`,
    migrate: (key) =>
      `alter table ${ledger} drop constraint ${quoteIdentifier(key)}, add primary key (pipeline, generation, batch)`,
  }
}

export function entryValues(
  entry: LedgerEntry,
  tables: readonly WarehouseTableSummary[],
): readonly string[] {
  const counts = Object.fromEntries(
    tables.map(({ table, rowsLoaded, rowsDeleted, rowsCurrent, rowsTotal }) => [
      table,
      { rowsLoaded, rowsDeleted, rowsCurrent, rowsTotal },
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

export function parseEntry(row: TextRow | undefined): LedgerEntry | null {
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
  }
}

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

/** Tables that hold rows nobody recorded, or lack rows that somebody did. Throws LedgerMismatch. */
export function refuseRows(
  entry: LedgerEntry,
  table: string,
  why: 'rows without a ledger' | 'a table that is gone',
): never {
  const message =
    why === 'rows without a ledger'
      ? `Table "${table}" already holds rows, and the ledger has no batch of pipeline "${entry.pipeline}".`
      : `Table "${table}" is missing, though earlier batches of pipeline "${entry.pipeline}" were loaded into it.`
  const fix =
    why === 'rows without a ledger'
      ? 'empty the table, load into another schema, or have the table made anew from the lake: tote rebuild --accept-lake'
      : 'have the warehouse made anew from the lake: tote rebuild'
  throw new ToteError('LedgerMismatch', message, {
    where: table,
    fix,
    details: { table, pipeline: entry.pipeline, batch: entry.batch },
  })
}
