/**
 * The seam to the warehouse: whole batches of a star, each applied once, in one transaction (P4, P5).
 */
import type { DuckDBDataChunk } from '@duckdb/node-api'
import type { Context, RebuiltTable, WarehouseTableSummary } from '../events.ts'
import type { KeyRange, RangedBy } from '../ranges/key-range.ts'
import type { CopySink } from '../wire/copy.ts'
import type { StarTable } from '../star/star-table.ts'
import type { Instant } from '../types.ts'

export interface LedgerEntry {
  readonly pipeline: string
  readonly chain: string
  readonly generation: number
  readonly batch: number
  readonly manifest: number
  readonly manifestSha256: string
  readonly instant: Instant
  readonly run: string
  /** As read: the star's schema; null where an earlier version wrote it, which did not say. */
  readonly schema?: string | null
}

export interface StarChanges {
  readonly table: StarTable
  readonly upserts: number
  readonly deletes: number
  /** Current rows of the versioned table after this batch, to be found again in the warehouse. */
  readonly rowsInLake: number
  /** Among which batches the newest one before this is that brought rows of the table; 0: none may have. */
  readonly before?: { readonly from: number; readonly to: number }
  /** Whether earlier batches changed the table, too: then it cannot begin with this one. */
  readonly hasHistory?: () => Promise<boolean>
  /** The batch's changes: column `_tote_op` ('u' or 'd'), then the table's columns; deletes have only keys. */
  readonly rows: RowReader
}

export interface StarBatch {
  readonly entry: LedgerEntry
  /** Every table of the star, those without changes included (with zero counts). */
  readonly changes: readonly StarChanges[]
  /** The star as of the batch before; none before the first. */
  readonly live: readonly StarTable[]
}

/** Some rows of a table in the warehouse: those in these ranges of a column as it is kept there. */
export interface Within {
  readonly by: RangedBy
  readonly ranges: readonly KeyRange[]
}

/** A table whose history was made anew. */
export interface RemadeTable {
  readonly table: StarTable
  /** Current rows of the versioned table, to be found again in the warehouse. */
  readonly rowsInLake: number
  /** Given where only these rows are: all others in the warehouse are left as they are. */
  readonly within?: Within | undefined
  /**
   * All the rows that the warehouse is to hold, there. Facts: `_tote_number`, the columns, `valid_from`,
   * `valid_to`, `is_deleted`, `batch`; dimensions: the columns, `is_deleted`, and as `_tote_batch` a number by
   * which the newest of several spellings of one key is known; tables: the columns.
   */
  readonly rows: RowReader
}

/** Edited models, and with them all that the warehouse lacks up to their manifest: one transaction. */
export interface StarRestatement {
  readonly entry: LedgerEntry
  /** The ledger's last entry when this was computed; null into an empty warehouse. */
  readonly after: LedgerEntry | null
  readonly star: readonly StarTable[]
  /** The star as of `after`; none when that is null. */
  readonly live: readonly StarTable[]
  readonly remade: readonly RemadeTable[]
  /** What the ledger says of the batches, and of the beginnings of generations, between `after` and `entry`. */
  readonly passed: readonly LedgerEntry[]
  /** The batches after `after` of tables that were not remade, in order; tables without changes left out. */
  readonly batches: readonly {
    readonly entry: LedgerEntry
    readonly changes: readonly StarChanges[]
  }[]
}

/** A star with its whole history. */
export interface WholeStar {
  /** Where the ledger will stand. */
  readonly entry: LedgerEntry
  /** One for every batch, and for every generation's beginning, oldest first; `entry` is the last. */
  readonly entries: readonly LedgerEntry[]
  readonly tables: readonly RemadeTable[]
}

export interface RebuildOptions {
  /** The ledger's last entry when this was computed. */
  readonly after: LedgerEntry | null
  /** A schema to build in and leave; null: the star takes the live one's place. */
  readonly into: string | null
  /** Only to see what it would come to. */
  readonly dryRun: boolean
  /** What the warehouse holds that is not of this lake may go. */
  readonly acceptLake: boolean
  /** Tables whose models are gone: they are made anew only where they are. */
  readonly retired: ReadonlySet<string>
}

export interface Rebuilt {
  /** `stale` when the ledger is not at `after` any more. */
  readonly status: 'switched' | 'built' | 'compared' | 'stale'
  readonly tables: readonly WarehouseTableSummary[]
  readonly compared: readonly RebuiltTable[]
}

/** How a remade table differs from what is there, compared to the byte. */
export interface RowsDiffer {
  readonly missing: number
  readonly extra: number
  readonly different: number
  /** In how many of the different rows each column differs. */
  readonly columns: Readonly<Record<string, number>>
  /** The first keys, the primary key and of facts the model's own: for a person's terminal only. */
  readonly keys: readonly {
    readonly kind: 'missing' | 'extra' | 'different'
    readonly parts: readonly (readonly [name: string, value: string | null])[]
  }[]
}

/** The star in one snapshot of the warehouse: every call sees the same rows. */
export interface StarReading {
  /** As `Warehouse.last`. */
  last(pipeline: string): Promise<LedgerEntry | null>
  /**
   * The type of every column as it is kept, by table. Throws WarehouseShapeMismatch, and LedgerMismatch when
   * a table that `entry` was loaded into is gone.
   */
  open(
    star: readonly StarTable[],
    entry: LedgerEntry,
  ): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>>
  /** All rows of a table in any order, as CSV or as lines of PostgreSQL's text format: record id, the table's columns, those of Tote. */
  copy(table: StarTable, sink: CopySink, format: 'csv' | 'lines'): Promise<void>
  /** Sends what ought to be there, and compares. */
  compare(remade: RemadeTable, namedKeys: number, context: Context): Promise<RowsDiffer>
}

/** Tables that are to be made what the lake says, at the batch where the warehouse stands. */
export interface StarRepair {
  /** The ledger's last entry when this was computed. */
  readonly after: LedgerEntry
  readonly star: readonly StarTable[]
  readonly remade: readonly RemadeTable[]
}

export interface Warehouse {
  /** The ledger's last entry for a pipeline, or null when it has none (or there is no ledger yet). */
  last(pipeline: string): Promise<LedgerEntry | null>
  /**
   * Compares what is there with what the star needs, and throws WarehouseShapeMismatch with every
   * difference; creates nothing. `live` is the star as it was loaded last: what differs from it would
   * be altered, and WarehouseDependents says what stands against that. Tables that are `refilled` get all
   * their rows again; in others those that are there keep their values.
   */
  check(
    star: readonly StarTable[],
    live?: readonly StarTable[],
    refilled?: (table: string) => boolean,
  ): Promise<void>
  /**
   * One transaction: takes the lock, reads the ledger again, creates what is missing, changes the
   * rows, counts them, writes the ledger. `already` when another run applied it meanwhile.
   */
  apply(
    batch: StarBatch,
    context: Context,
  ): Promise<{ status: 'applied' | 'already'; tables: readonly WarehouseTableSummary[] }>
  /**
   * One transaction into an empty warehouse: what applying every batch, one after the other, would have
   * come to. `stale` when the ledger has an entry by now.
   */
  begin(
    whole: WholeStar,
    context: Context,
  ): Promise<{ status: 'applied' | 'stale'; tables: readonly WarehouseTableSummary[] }>
  /**
   * One transaction: the star made anew beside the live one, compared with it, and put in its place with
   * all that hangs on it. Throws WarehouseDependents with what could not be made again.
   */
  rebuild(whole: WholeStar, options: RebuildOptions, context: Context): Promise<Rebuilt>
  /**
   * One transaction, as `apply`: alters tables whose models were edited, gives them their new history,
   * and keeps what hangs on them. `stale` when the ledger is not at `after` any more.
   */
  restate(
    restatement: StarRestatement,
    context: Context,
  ): Promise<{
    status: 'applied' | 'already' | 'stale'
    tables: readonly WarehouseTableSummary[]
  }>
  /** Reads in one snapshot; nothing that is done in it stays. */
  reading<T>(work: (star: StarReading) => Promise<T>): Promise<T>
  /**
   * One transaction, as `restate`, without a new batch: rows that differ are written, those that ought not to
   * be there go. `stale` when the ledger is not at `after` any more.
   */
  repair(repair: StarRepair, context: Context): Promise<'repaired' | 'stale'>
  /** Whether the rights that loading needs are there, and which database it is, as a source's identity says it; for `tote check --live`. */
  probe(): Promise<{ readonly started: string; readonly databaseOid: string }>
  /** Throws LedgerMismatch when nothing of a pipeline was loaded into the star's schema, and a table there holds rows. */
  refuseStrangers(pipeline: string, star: readonly StarTable[]): Promise<void>
  /** Which of these tables the star's schema does not have. */
  missing(tables: readonly string[]): Promise<readonly string[]>
  /** Has a ledger that an earlier version wrote say in which schema the star is: this one. */
  upgradeLedger(pipeline: string): Promise<void>
  /** Gives configured readers what they lack, where no batch does: a reader may be new, or its right taken away. */
  keepReaders(star: readonly StarTable[]): Promise<void>
  close(): Promise<void>
}

/** Rows of a DuckDB relation as column vectors, handed to whoever encodes them without ever becoming JavaScript objects. */
export interface RowReader {
  /**
   * Streams the rows that `select` yields, given the name of the relation to select from.
   * The relation's columns are as its giver documents. `place` is a further one, where it is known
   * without sorting: each row's place in the order of the key, from 0.
   */
  chunks(select: (relation: string, place: string | null) => string): AsyncIterable<DuckDBDataChunk>
}
