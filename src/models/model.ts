/**
 * A model: one `.sql` file with one `select`, whose file name is the table's name, under a header of
 * comment lines (grammar in docs/models.md, parsed by header.ts).
 */
import { createHash } from 'node:crypto'
import { quoteName } from '../columns/sql.ts'
import type { Column, ModelKind, Reference } from '../types.ts'

export interface Check {
  /** As written, for people: `not null(a, b)`, `unique(a, b)`, `references(a -> dim_b)`, or the SQL text of a row rule. */
  readonly name: string
  readonly severity: 'error' | 'warn'
  readonly rule:
    | { readonly type: 'not null'; readonly columns: readonly string[] }
    | { readonly type: 'unique'; readonly columns: readonly string[] }
    | {
        readonly type: 'references'
        readonly column: string
        readonly model: string
        readonly modelColumn: string
      }
    /**
     * An SQL condition that must be true or null of every row. `judgedAs`: DuckDB types of columns in it that files
     * carry as text only since a value did not fit; it sees them as they were, and rows with such a value pass.
     */
    | {
        readonly type: 'row'
        readonly condition: string
        readonly judgedAs?: Readonly<Record<string, string>>
      }
}

/** A table that a model reads: a model (schema null), or a table of a source or of the seeds. */
export interface TableName {
  readonly schema: string | null
  readonly name: string
}

/** What the header and the text say, before the parser has seen the SQL. */
export interface ModelText {
  readonly name: string
  readonly kind: ModelKind
  /** A dimension of which every version is kept. */
  readonly history?: true
  /** Relative to the project's folder. */
  readonly path: string
  /** The `select`, without the header, and the file's line on which it starts (1-based). */
  readonly sql: string
  readonly sqlLine: number
  readonly key: readonly string[]
  /** Facts: the surrogate key column that the loader fills. */
  readonly recordId: string | null
  /** Columns that may be null; every other one is checked and created NOT NULL. `all` means any may. */
  readonly nullable: readonly string[] | 'all'
  readonly references: readonly Reference[]
  /** PostgreSQL types by column that override what would be inherited. */
  readonly types: Readonly<Record<string, string>>
  /** As the header gives them; checksOf adds those that follow from key, nullable and references. */
  readonly checks: readonly Check[]
  readonly comment: string | null
  /** The table that the model says it works through row by row, as written. */
  readonly drivenBy: TableName | null
  /** The line of each header entry, by `key`, `nullable`, `types <column>`, `references <column>`, `check <index>`, `driven by`. */
  readonly lines: Readonly<Record<string, number>>
}

/** A model whose SQL was parsed and bound: it knows what it reads and what it yields. */
export interface Model extends ModelText {
  /** As the sources spell them, each once. */
  readonly reads: readonly TableName[]
  /** Ids count from 1 in order; a versioned table continues those of its last batch by name. */
  readonly columns: readonly Column[]
  /** Set when the header says so and the syntax tree agrees. */
  readonly driven: Driven | null
  /** sha256 of the select's syntax tree, without places: formatting and comments do not change it. */
  readonly syntax: string
}

/** The table that drives a model: every row of the model is made of one row of it, and of look-ups. */
export interface Driven {
  readonly table: TableName
  /** The table's key, and the model's key columns that hold it. */
  readonly key: readonly { readonly column: string; readonly as: string }[]
}

/**
 * sha256 of what decides a model's rows and its table: an edited comment or check restates nothing.
 */
export function definitionOf(model: ModelText): string {
  const { kind, key, recordId, nullable, references, types, sql, history } = model
  return createHash('sha256')
    .update(
      JSON.stringify([
        kind,
        key,
        recordId,
        nullable,
        references,
        types,
        sql.trim(),
        ...(history === true ? ['history'] : []),
      ]),
    )
    .digest('hex')
}

/**
 * The `select` to evaluate: the model's own, its columns cast to the types that files carry (a
 * HUGEINT would be written to Parquet as DOUBLE).
 */
export function modelQuery({ sql, columns }: Pick<Model, 'sql' | 'columns'>): string {
  const list = columns.map(
    ({ name, carried }) => `cast(${quoteName(name)} as ${carried}) as ${quoteName(name)}`,
  )
  return `select ${list.join(', ')} from (\n${sql}\n)`
}
