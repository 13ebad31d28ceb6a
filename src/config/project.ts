/**
 * A project, as a tote.config.ts defines it and as all other code sees it: defaults filled in, paths
 * absolute, secrets hidden, variables of the environment resolved. Light: every config imports this.
 */
import type { Duration } from './duration.ts'
import type { Database } from '../secrets/reference.ts'
import type { Secret } from '../secrets/secret.ts'
import type { ProjectConfig } from './schema.ts'

/**
 * Describes a project; returns what it is given, so that an editor knows every setting.
 *
 * @example
 * export default defineProject({
 *   name: 'shop',
 *   sources: { shop: { type: 'postgres', url: env('SHOP_URL') } },
 *   warehouse: { url: env('WAREHOUSE_URL') },
 * })
 */
export function defineProject(config: ProjectConfig): ProjectConfig {
  return config
}

export interface Project {
  readonly name: string
  /** The environment that was chosen, or null. */
  readonly environment: string | null
  /** The folder of tote.config.ts, against which relative paths were resolved. */
  readonly folder: string
  readonly configFile: string
  /** `<folder>/.tote`: what all environments share, caches and the embedded server. */
  readonly homeFolder: string
  /** The environment's own: run history, lock, temporary files. The home folder itself without an environment. */
  readonly stateFolder: string
  /** In the order of the config. */
  readonly sources: readonly SourceSettings[]
  /** Folder of the .csv files that are the source "seeds", or null when there is none. */
  readonly seeds: string | null
  /** DuckDB's memory limit, for example `2GB`. */
  readonly memory?: string | undefined
  /** How long a connection may be silent in a statement before the server is asked about it. */
  readonly silenceMs: number
  /** Folder of the .sql models. */
  readonly models: string
  /** The key of masking hashes, or null when nothing is hashed. */
  readonly maskSecret: Secret | null
  readonly lake: LakeSettings
  readonly warehouse: WarehouseSettings
}

export interface SourceSettings {
  readonly name: string
  readonly type: 'postgres'
  readonly database: Database
  readonly defaultSchema: string
  /** `schema.table` patterns as written, always with a schema. */
  readonly tables: { readonly include: readonly string[]; readonly exclude: readonly string[] }
  /** Settings of single tables. */
  readonly table: readonly TableSettings[]
  readonly strategy: Exclude<Strategy, 'cursor'>
  readonly contract: Contract
  readonly shrinkLimit: { readonly share: number; readonly fromRows: number }
  readonly lockTimeoutMs: number
  readonly statementTimeoutMs: number
  readonly giveWayAfterMs: number
  /** Bytes of rows a second, or null for no limit. */
  readonly rateLimit: number | null
  /** Connections that read one table together. */
  readonly readers: number
  /** Megabytes of a table that are read at once. */
  readonly partSize: number
}

/** How differences are found; `auto` is `xmin` for large tables that allow it, else `compare`; `cursor` only of single tables. */
export type Strategy = 'auto' | 'compare' | 'xmin' | 'cursor'

export interface CursorSettings {
  readonly column: string
  /** A number of milliseconds or, of a column of numbers, of those; as it was written. */
  readonly lookBack: Duration | null
  readonly reconcileMs: number
}

/** Whether a changed schema of the source is followed. */
export type Contract = 'evolve' | 'freeze'

/** How a column is kept from the lake: left out, replaced by a constant, or by a keyed hash. */
export type Mask = 'drop' | 'redact' | 'hash'

export interface TableSettings {
  /** As written, always with a schema. */
  readonly table: string
  /** `include` is null when every column is carried. */
  readonly columns: {
    readonly include: readonly string[] | null
    readonly exclude: readonly string[]
  }
  /** A condition in the source's SQL. */
  readonly where: string | null
  readonly mask: Readonly<Record<string, Mask>>
  /** Columns in place of the primary key. */
  readonly key: readonly string[] | null
  /** In place of the source's. */
  readonly strategy: Strategy | null
  /** Of `cursor`. */
  readonly cursor: CursorSettings | null
  /** null: the source's. */
  readonly contract: Contract | null
  /** Where a setting of this table stands: `tote.config.ts:12:5`, or its path. Without one: the table itself. */
  place(...path: readonly (string | number)[]): string
}

export interface LakeSettings {
  /** Folder of the ingestion zone. */
  readonly ingestion: string
  /** Folder of the processed zone. */
  readonly processed: string
  /** Of the ingestion zone's files. */
  readonly format: 'parquet' | 'csv' | 'json'
  readonly baseAfter: { readonly files: number }
}

export interface WarehouseSettings {
  readonly database: Database
  readonly schema: string
  /** The ledger's schema. */
  readonly ledger: string
  readonly readers: readonly string[]
}
