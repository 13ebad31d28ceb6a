/** What init knows of a database, in plain objects: the input of every decision. */

export interface FoundColumn {
  /** As models read it from the lake. */
  readonly name: string
  /** As the database says. */
  readonly origin: string
  /** PostgreSQL's type, as `format_type` prints it. */
  readonly type: string
  /** The DuckDB type that carries it. */
  readonly carried: string
  readonly notNull: boolean
  readonly comment: string | null
  /** As `Column.builtin`: what it is where the warehouse lacks the type. */
  readonly builtin?: string | undefined
  /** Of an enum, in its order. */
  readonly labels: readonly string[] | null
  /** Equal values are equal texts: false of types and collations that take several spellings for one value. */
  readonly exact: boolean
}

export interface FoundForeignKey {
  /** As the database says, like all names below. */
  readonly columns: readonly string[]
  /** Its origin. */
  readonly target: string
  readonly targetColumns: readonly string[]
}

export interface FoundTable {
  /** `schema.table`, as the database says and a config writes it. */
  readonly origin: string
  readonly schema: string
  readonly table: string
  /** As the lake and models name it. */
  readonly name: string
  readonly columns: readonly FoundColumn[]
  /** As the lake names them: a table without a key has a column of Tote's for one. */
  readonly key: readonly string[]
  readonly comment: string | null
  readonly foreignKeys: readonly FoundForeignKey[]
  /** Unique constraints and indexes besides the key, over whole columns and all rows. */
  readonly unique: readonly (readonly string[])[]
  /** Check constraints, as `pg_get_expr` prints them. */
  readonly rules: readonly string[]
}

export interface LeftOut {
  /** As of FoundTable. */
  readonly origin: string
  readonly why: string
}

export interface Found {
  readonly database: string
  readonly tables: readonly FoundTable[]
  readonly leftOut: readonly LeftOut[]
  readonly defaultSchema: string
  /** Patterns for the config. */
  readonly include: readonly string[]
  readonly exclude: readonly { readonly pattern: string; readonly why: string }[]
}
