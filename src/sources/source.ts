/**
 * The seam to operational data: what a batch sees, at one instant (P1). A source offers reads;
 * which of them a table needs, and what changed, the lake decides.
 */
import type { CsvRows } from '../storage/pieces.ts'
import type { Context } from '../events.ts'
import type { KeyRange, RangedBy } from '../ranges/key-range.ts'
import type { Instant, Json, TypePart } from '../types.ts'

export interface SourceColumn {
  readonly name: string
  /** PostgreSQL's type, as `format_type` prints it. */
  readonly type: string
  /** As `Column.builtin`. */
  readonly builtin?: string | undefined
  /** As `Column.inside`. */
  readonly inside?: readonly TypePart[] | undefined
  /** The DuckDB type that carries it exactly; `VARCHAR` for all others. */
  readonly carried: string
  readonly notNull: boolean
  /** Position within the source table that survives a rename (PostgreSQL: attnum). */
  readonly attribute: number
  /** A comment of the source's catalogue. */
  readonly comment?: string | undefined
}

export interface SourceTable {
  /** As the lake and the models name it: bare in the default schema, else `schema.table`. */
  readonly name: string
  readonly columns: readonly SourceColumn[]
  /**
   * Column names of the key, in its order. A table without one has ROW_COLUMN (columns/sql.ts) for key
   * and as its last column, which `copy` leaves out: it is computed from the others.
   */
  readonly key: readonly string[]
  /** The source's own key, where the lake has told rows apart by another one from the first. */
  readonly sourceKey?: readonly string[] | undefined
  /** The key is not the catalogue's (but the config's): it must be verified before it is believed. */
  readonly keyGiven?: boolean | undefined
  /** Columns whose values the config masks, each as it stands in the shape: `hash "email"`. */
  readonly masks?: readonly string[] | undefined
  /** Which table of which server it is: while that is the same, so are attribute numbers. Absent where nobody knows. */
  readonly relationId?: string | undefined
  /** Its contract is `freeze`: no change of its shape is followed. */
  readonly frozen?: boolean | undefined
  /** Columns that the config leaves out, each with the setting that does. */
  readonly omitted?: ReadonlyMap<string, string> | undefined
  /** Everything that, when it differs, means that rows may have changed unseen. Compared as text. */
  readonly shape: string
  /** By what name `identity.tables` knows it, where it does. */
  readonly origin?: string | undefined
  /** When equal to the last batch's, the table is unchanged and need not be read. */
  readonly fingerprint?: string | undefined
  /** What a large table is read in: together all of its rows, each once. Read whole when there are none. */
  readonly parts?: readonly SourcePart[] | undefined
  /** Its rows can be read as lines, too. */
  readonly inLines?: boolean | undefined
  /** Given where its changes are to be found by pairs, which it then has. */
  readonly pairs?: SourcePairs | undefined
  /** Given where its changes are to be found by a cursor. */
  readonly cursor?: SourceCursor | undefined
  /** The first column of its key, where rows can be asked for by ranges of it. */
  readonly rangedBy?: RangedBy | undefined
  /** About how many rows it has, where the source knows without counting. */
  readonly expectedRows?: number | undefined
}

/** A column whose values grow with every row that is written, or should. */
export interface SourceCursor {
  readonly column: string
  /** How far behind the greatest value rows are read again; as text, to tell a change of it. */
  readonly lookBack: string
  /** How often the table is compared in full. */
  readonly reconcileMs: number
}

/** What is known of a table's pairs: the key and the `xmin` of each row. */
export interface SourcePairs {
  /**
   * What must be the same as when pairs were read, beside the table's shape, so that an equal pair is an
   * equal row.
   */
  readonly origin: Readonly<Record<string, Json>>
  /** The tables that rows lie in, each with what must be the same of it. */
  readonly leaves: Readonly<Record<string, string>>
  /** Rows may lie in several tables, so that pairs name theirs. */
  readonly partitioned: boolean
  /** Pages of all these tables together. */
  readonly pages: number
  /** Rows come as they lie. */
  readonly inPlace: boolean
  /** The file of each of the tables: while it is the same, a row version stays where it is. */
  readonly files: Readonly<Record<string, string>>
}

/** A span of 32-bit transaction ids, beginning with `first` and going on after the last with 0. */
export interface IdSpan {
  readonly first: number
  readonly count: number
}

/** A share of a table that can be read by itself. */
export interface SourcePart {
  /** The same place in the table in every snapshot, for instance `pages 0 to 8191`. */
  readonly id: string
}

/** What is read of a table, where not all of its rows. */
export interface SourceReading {
  readonly part?: SourcePart | undefined
  /** Rows at these places, as pairs told them; of a table of several files, also others at the same ones. */
  readonly places?: readonly string[] | undefined
  /** Only rows whose cursor is not further than the look-back behind this value, which the lake's rows have told. */
  readonly since?: string | undefined
  /** Only rows that `rangedBy` has in one of these ranges, in any order. */
  readonly ranges?: readonly KeyRange[] | undefined
  /** Only rows that lie in this one of the tables that `pairs.leaves` names. */
  readonly leaf?: string | undefined
  /**
   * `rows`, all columns, when not given; `rows with xmin` have it as one more, `rows with place` also their
   * place and, if pairs name it, the table that they lie in; `pairs` are that table, `xmin`, the place, and the
   * key; `places` are the same without the key, each as `placeRow` says.
   */
  readonly columns?: 'rows' | 'rows with xmin' | 'rows with place' | 'pairs' | 'places' | undefined
  /** `lines` are PostgreSQL's text format, of which each line is a row: cheaper than CSV, where nobody parts it. */
  readonly format?: 'csv' | 'lines' | undefined
}

/** A row of `places`: how long it is, and where the numbers in it stand, big-endian; the bytes between are always the same. */
export interface PlaceRow {
  readonly bytes: number
  /** The table that it lies in, 32 bits; null where pairs name none. */
  readonly leaf: number | null
  /** 32 bits. */
  readonly xmin: number
  /** 32 bits. */
  readonly page: number
  /** 16 bits. */
  readonly item: number
}

/** Of a table whose rows may lie in several tables, or not. */
export function placeRow(partitioned: boolean): PlaceRow {
  // PostgreSQL's binary COPY: how many columns (16 bits), and the length of each (32 bits) before its value.
  const leaf = partitioned ? 6 : null
  const from = partitioned ? 10 : 2
  return { bytes: from + 18, leaf, xmin: from + 4, page: from + 12, item: from + 16 }
}

/** A row with all that stands between its numbers, which are 0. */
export function formatPlace(row: PlaceRow): Buffer {
  const bytes = Buffer.alloc(row.bytes)
  bytes.writeUInt16BE(row.leaf === null ? 2 : 3)
  if (row.leaf !== null) bytes.writeUInt32BE(4, row.leaf - 4)
  bytes.writeUInt32BE(4, row.xmin - 4)
  bytes.writeUInt32BE(6, row.page - 4)
  return bytes
}

/** Who the source is, so that another database behind the same URL is noticed. */
export type SourceIdentity = Readonly<Record<string, Json>>

/** Receives a table's rows as CSV as PostgreSQL's COPY writes it, one whole row a call, line end included. */
export interface RowSink {
  row(csv: Buffer): void
  /** The same for rows that have come together; `row` is called for each when not given. */
  many?(rows: CsvRows): void
  /** Resolves when more rows may come; undefined when they may at once. */
  ready(): Promise<void> | undefined
}

export interface SourceWarning {
  readonly text: string
  /** Nothing of it grows from batch to batch: the first run says it, and whoever looks. */
  readonly standing: boolean
}

export interface SourceSnapshot {
  readonly identity: SourceIdentity
  /** The source's own name for what this snapshot sees, to tell an older one (PostgreSQL: `pg_current_snapshot`). */
  readonly position: string | null
  /**
   * The same in the source's log, where that is known: all up to `least` is seen, nothing after `most`
   * (PostgreSQL: `pg_lsn`).
   */
  readonly reach?: { readonly least: string; readonly most: string } | null | undefined
  /** It follows another server, and may lag behind it. */
  readonly standby?: boolean
  /** The source's clock right after the snapshot was taken. */
  readonly instant: Instant
  readonly tables: readonly SourceTable[]
  /** What its user must know. */
  readonly warnings?: readonly SourceWarning[]
  /**
   * The rows of a table, ordered by key if it has one; those of one of its parts in any order that stays
   * the same while no row changes. Returns their number as the source counted them.
   */
  copy(table: SourceTable, sink: RowSink, reading?: SourceReading): Promise<number>
  /** How many parts may be read at once; one when not given. */
  readonly readers?: number | undefined
  /** Whether a pair read at that position, by the same source, is still a pair of the same row. */
  comparable?(position: string): boolean
  /** The ids that rows written since that position may share with older ones; null when there are none. */
  reusedIds?(position: string): IdSpan | null
  /** Ends the snapshot; says whether it was whole. Safe to call twice. */
  close(): Promise<void>
}

/** What the newest manifest of the source's chain remembers, or null before the first batch. */
export interface SourceMemory {
  readonly identity: SourceIdentity
  readonly position: string | null
  /** `most` of its reach. */
  readonly reached?: string | undefined
}

export interface Source {
  readonly name: string
  /** Opens one snapshot over all configured tables. */
  snapshot(context: Context): Promise<SourceSnapshot>
  /**
   * Whether this snapshot may follow that memory: throws SourceReplaced or SourceBehind.
   * Pure; called before anything is read.
   */
  follow(snapshot: SourceSnapshot, memory: SourceMemory): void
  close(): Promise<void>
}
