/**
 * Everything that can be observed, as one stream (DESIGN.md 8). Terminal, JSON log and run history
 * are readers of it. Events carry names, keys of objects and counts: never a cell value (P10).
 */
import type { ErrorJson } from './errors.ts'
import type { AnyStage, ChangeCounts, Instant, ModelKind } from './types.ts'

/** A value for a person's own terminal: JSON.stringify leaves it out. */
export class TerminalOnly<T> {
  readonly value: T
  constructor(value: T) {
    this.value = value
  }
  toJSON(): undefined {
    return undefined
  }
}

export interface SourceTableSummary extends ChangeCounts {
  readonly source: string
  readonly table: string
  /** Rows in the source at the batch's snapshot, counted as they passed; null of a table that a cursor read in part. */
  readonly rowsInSource: number | null
  /** Current rows of the versioned table after the batch, counted from the lake. */
  readonly rowsInLake: number
}

/** How a model came to its rows: its query over all rows, over changed rows of the table that drives it, or not at all. */
export type Way = 'full' | 'driven' | 'skipped'

export interface ModelSummary extends ChangeCounts {
  readonly model: string
  readonly kind: ModelKind
  /** Current rows of the model's versioned table. */
  readonly rowsInLake: number
  /** At how many points each way was taken. */
  readonly ways: Readonly<Record<Way, number>>
}

export interface WarehouseTableSummary {
  readonly table: string
  readonly kind: ModelKind
  /** Rows written in this run: upserts of dimensions, new versions of facts. */
  readonly rowsLoaded: number
  /** Rows closed or marked as deleted in this run. */
  readonly rowsDeleted: number
  /** Current rows (facts: open versions; dimensions: not deleted), counted in the warehouse. */
  readonly rowsCurrent: number
}

/** A table of a rebuilt star beside the live one. */
export interface RebuiltTable {
  readonly table: string
  readonly kind: ModelKind
  /** Whether there is a live one, and whether its columns, types and key are the same: only then rows were compared. */
  readonly shape: 'same' | 'differs' | 'absent'
  /** All rows, history included; null where there is no live table. */
  readonly rowsLive: number | null
  readonly rowsRebuilt: number
  /** Rows of one key (of facts: one record id) that are the same to the byte. */
  readonly rowsEqual: number
}

/** What a rebuild came to. */
export interface RebuildSummary {
  /** `switched`: the new star is live; `built`: it lies in `schema`; `compared`: a dry run, nothing is left of it. */
  readonly outcome: 'switched' | 'built' | 'compared'
  readonly schema: string
  /** Where the live star stood. */
  readonly from: BatchMark | null
  readonly to: BatchMark
  readonly tables: readonly RebuiltTable[]
}

export interface BatchMark {
  readonly batch: number
  readonly instant: Instant
}

/**
 * Two sides of a table as `tote verify` found them at one instant, row by row: a source's table against the
 * lake, a model's query run afresh against its rows in the lake, or the lake against a warehouse table.
 */
export interface VerifiedTable {
  readonly what: 'source' | 'model' | 'warehouse'
  /** Of a table of a source. */
  readonly source?: string
  readonly table: string
  /** Rows that ought to be there: the source's, the query's, the lake's (of facts every version). */
  readonly rowsExpected: number
  /** Rows that are there: the lake's, or the warehouse's. */
  readonly rowsFound: number
  /** Of at most 1,024 ranges of keys, how many differ. */
  readonly rangesDiffer: number
  /** Rows that ought to be there and are not, that are there and ought not to be, and that have other values. */
  readonly missing: number
  readonly extra: number
  readonly different: number
  /** Of the different rows: in how many each column differs. */
  readonly columns: Readonly<Record<string, number>>
  /** The first keys of all of those. */
  readonly keys: TerminalOnly<readonly string[]>
  /** What differed was made good, and found equal afterwards; the counts are those from before. */
  readonly repaired: boolean
}

/** The same object ends `--json`, is kept in the run history and is returned by the API. */
export interface RunSummary {
  readonly run: string
  readonly project: string
  /** When one was chosen. */
  readonly environment?: string
  /**
   * Nothing was written: counts and batches of the lake are those that a run would come to, and this is how many
   * batches it would load; null where that was not asked.
   */
  readonly dryRun?: { readonly batchesToLoad: number | null }
  readonly outcome: 'succeeded' | 'nothing to do' | 'failed' | 'cancelled'
  readonly startedAt: string
  readonly ms: number
  readonly stages: readonly {
    readonly stage: AnyStage
    readonly ms: number
    readonly outcome: 'done' | 'nothing to do' | 'failed'
  }[]
  readonly tables: readonly SourceTableSummary[]
  readonly models: readonly ModelSummary[]
  readonly warehouse: readonly WarehouseTableSummary[]
  /** The newest batch of each source in the lake, of the pipeline, and of the warehouse, after the run. */
  readonly batches: {
    readonly ingestion: Readonly<Record<string, BatchMark>>
    readonly processed: BatchMark | null
    readonly warehouse: BatchMark | null
  }
  readonly warnings: number
  /** Warnings that hold in every run until someone changes what they are about; not counted in `warnings`. */
  readonly standing?: readonly string[]
  /** Of `tote verify`. */
  readonly verified?: readonly VerifiedTable[]
  /** Of `tote rebuild` that came to its end. */
  readonly rebuild?: RebuildSummary
  readonly error?: ErrorJson
}

/** `standing`: a warning that holds in every run until someone changes what it is about; `warn` is of this run. */
export type NoteLevel = 'info' | 'warn' | 'standing'

export type NewEvent =
  | {
      readonly type: 'run.started'
      readonly project: string
      readonly environment?: string
      readonly command: string
    }
  | { readonly type: 'run.finished'; readonly summary: RunSummary }
  | { readonly type: 'stage.started'; readonly stage: AnyStage }
  | {
      readonly type: 'stage.finished'
      readonly stage: AnyStage
      readonly ms: number
      readonly outcome: 'done' | 'nothing to do' | 'failed'
      readonly error?: ErrorJson
    }
  | {
      readonly type: 'table.progress'
      readonly stage: AnyStage
      readonly table: string
      readonly rows: number
      readonly bytes: number
      /** About how many rows there are, where that is known beforehand. */
      readonly expectedRows?: number
    }
  | ({ readonly type: 'table.extracted'; readonly ms: number } & SourceTableSummary)
  | {
      readonly type: 'file.written'
      readonly chain: string
      readonly table: string
      readonly key: string
      readonly rows: number
      readonly bytes: number
    }
  | {
      readonly type: 'manifest.committed'
      readonly chain: string
      readonly number: number
      readonly batch: number
      readonly instant: Instant
    }
  | ({
      readonly type: 'model.evaluated'
      readonly ms: number
      readonly batch: number
    } & ModelSummary)
  /** No table that it reads has changed. */
  | { readonly type: 'model.skipped'; readonly batch: number; readonly model: string }
  | {
      readonly type: 'check.failed'
      readonly model: string
      readonly check: string
      readonly severity: 'error' | 'warn'
      readonly rows: number
      readonly keys: TerminalOnly<readonly string[]>
    }
  | ({
      readonly type: 'table.loaded'
      readonly batch: number
      readonly ms: number
    } & WarehouseTableSummary)
  | ({ readonly type: 'table.verified'; readonly ms: number } & VerifiedTable)
  | { readonly type: 'note'; readonly level: NoteLevel; readonly text: string }

export type RunEvent = NewEvent & { readonly v: 1; readonly run: string; readonly at: string }

/** What every stage is handed last: who runs, until when, and where to say what happened. */
export interface Context {
  readonly run: string
  readonly signal: AbortSignal
  now(): Date
  emit(event: NewEvent): void
}
