/**
 * The seam to the warehouse: whole batches of a star, each applied once, in one transaction (P4, P5).
 */
import type { RowReader } from '../columns/rows.ts'
import type { Context, WarehouseTableSummary } from '../events.ts'
import type { StarTable } from '../star/star-table.ts'
import type { Instant } from '../types.ts'

export interface LedgerEntry {
  readonly pipeline: string
  readonly chain: string
  readonly batch: number
  readonly manifest: number
  readonly manifestSha256: string
  readonly instant: Instant
  readonly run: string
}

export interface StarChanges {
  readonly table: StarTable
  readonly upserts: number
  readonly deletes: number
  /** Current rows of the versioned table after this batch, to be found again in the warehouse. */
  readonly rowsInLake: number
  /** The batch's changes: column `_tote_op` ('u' or 'd'), then the table's columns; deletes have only keys. */
  readonly rows: RowReader
}

export interface StarBatch {
  readonly entry: LedgerEntry
  /** Every table of the star, those without changes included (with zero counts). */
  readonly changes: readonly StarChanges[]
}

export interface Warehouse {
  /** The ledger's last entry for a pipeline, or null when it has none (or there is no ledger yet). */
  last(pipeline: string): Promise<LedgerEntry | null>
  /**
   * Compares what is there with what the star needs, and throws WarehouseShapeMismatch with every
   * difference; creates nothing.
   */
  check(star: readonly StarTable[]): Promise<void>
  /**
   * One transaction: takes the lock, reads the ledger again, creates what is missing, changes the
   * rows, counts them, writes the ledger. `already` when another run applied it meanwhile.
   */
  apply(
    batch: StarBatch,
    context: Context,
  ): Promise<{ status: 'applied' | 'already'; tables: readonly WarehouseTableSummary[] }>
  /** Whether the rights that loading needs are there; for `tote check --live`. */
  probe(): Promise<void>
  close(): Promise<void>
}
