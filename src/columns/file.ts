/** A file of the lake, to write or written, in whichever format. */
export type FileFormat = 'parquet' | 'csv' | 'json'

export interface FileColumn {
  readonly id: number
  readonly name: string
  readonly carried: string
}

export interface FileToWrite {
  /** Has `_tote_op` and the columns. */
  readonly relation: string
  readonly columns: readonly FileColumn[]
  /** Rows are sorted by it; they come in any order when it is empty. */
  readonly key: readonly string[]
  /** Rows stay in the order in which the relation yields them, and are not sorted. Parquet only. */
  readonly keepsOrder?: boolean | undefined
  /** null: the relation has `_tote_batch`. */
  readonly batch: number | null
  readonly path: string
}

export interface WrittenFile {
  readonly path: string
  readonly format: FileFormat
  /** CSV and JSON: bytes of the longest row at most; 0 when it is not a long one. */
  readonly longest: number
  /** What the file carries its columns as, by the names that are asked for, where that is another type. */
  readonly carried: Readonly<Record<string, string>>
  /** What it calls them, by the names that are asked for, where that is another name; null for those that it lacks. */
  readonly names?: Readonly<Record<string, string | null>>
  /** CSV: its columns in its order, where they are not those that are asked for in theirs. */
  readonly order?: readonly string[]
}
