/**
 * The words that every layer shares. Rows never appear here: between PostgreSQL and PostgreSQL they
 * are files and columns (DESIGN.md 9), so what travels in JavaScript is names, positions and counts.
 */

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json }

/** What a batch passes. */
export type Stage = 'extract' | 'transform' | 'load'

/** Also what `tote verify` does beyond a batch. */
export type AnyStage = Stage | 'verify'

/** An enum or a composite of a source: what its values are made of. */
export interface TypePart {
  /** As `format_type` prints it. */
  readonly type: string
  /** Of an enum, in its order. */
  readonly labels?: readonly string[] | undefined
  /** Of an enum: labels that it had once, which older rows may still have. */
  readonly past?: readonly string[] | undefined
  /** Of a composite, in its order: each a name and a type. */
  readonly attributes?: readonly (readonly [name: string, type: string])[] | undefined
}

/** A column of a versioned table, of a model or of a warehouse table. */
export interface Column {
  /** Stable within its versioned table, written as the Parquet field id; a rename keeps it. */
  readonly id: number
  readonly name: string
  /** PostgreSQL's type as `format_type` prints it, for example `numeric(10,2)`. */
  readonly type: string
  /**
   * The type of PostgreSQL's own that holds the same values where a warehouse lacks `type`: a domain's base,
   * and text for enums, composites and types of extensions. Absent where `type` is one itself.
   */
  readonly builtin?: string | undefined
  /** What lies inside its type, through domains, arrays, ranges and composites; absent where nothing does. */
  readonly inside?: readonly TypePart[] | undefined
  /** The DuckDB type that carries it in files; `VARCHAR` where DuckDB has no exact one. */
  readonly carried: string
  readonly notNull: boolean
  /** Of a source's table: its position there, which survives a rename (PostgreSQL: attnum). */
  readonly attribute?: number | undefined
  /** Of a model: the column of a source that it is, through whatever models: `schema.table#id`. */
  readonly source?: string | undefined
  /** What it was called before. */
  readonly formerly?: readonly string[] | undefined
  /** Not every batch has it: it came after the first, or is gone. It may be null, whatever is demanded. */
  readonly partial?: true | undefined
  /** Rows do not have it any more: they keep what they had until they change. */
  readonly gone?: true | undefined
}

export type ModelKind = 'dimension' | 'fact' | 'table'

/** Facts, and dimensions whose model asks for it: the warehouse has a row for each version. */
export function keepsVersions(table: {
  readonly kind: ModelKind
  readonly history?: boolean | undefined
}): boolean {
  return table.kind === 'fact' || (table.kind === 'dimension' && table.history === true)
}

/** A column that refers to the key of a model. */
export interface Reference {
  readonly column: string
  readonly model: string
}

/** How many rows changed, by kind. `versions` of a fact are its inserts and updates. */
export interface ChangeCounts {
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
}

/** A moment with microseconds, as `2026-11-20T09:30:00.123456Z`; sorts as text. */
export type Instant = string
