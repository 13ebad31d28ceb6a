/**
 * What the queries of one point can name: source tables, seeds and models, each made only when a query
 * needs it, so that a small batch does not open the files of large tables.
 */
import type { Engine } from '../columns/engine.ts'
import { quoteName } from '../columns/sql.ts'
import type { CommittedManifest, DataFile } from '../lake/manifest.ts'
import { filesBetween, newestIn, rowsAsOf } from '../lake/read.ts'
import type { TableName } from '../models/model.ts'
import type { Zone } from '../lake/zone.ts'
import type { KeptRows } from '../kept/current-rows.ts'

export interface Relations {
  /** The engine's own database. */
  readonly database: string
  /** Whether the table's rows at this point are others than at the last. */
  hasChanged(table: TableName): boolean
  /** Says how a model's relation is made, and whether it is another one than at the last point. */
  define(model: string, changed: boolean, create: () => Promise<string>): void
  /** Makes the tables that are not there yet, so that `quoteTable` names them. */
  need(tables: readonly TableName[]): Promise<void>
  /** The same relations, made on another engine of the same database. */
  on(engine: Engine): Relations
  /** A `select` of `_tote_op` and the columns of a table of a source: one change for each key since the last point. */
  changesOf(table: TableName): Promise<string>
}

/** The tables of the sources are there from the beginning; models are defined as their turn comes. */
export async function openRelations(
  ingestion: Zone,
  work: {
    readonly engine: Engine
    readonly inputs: ReadonlyMap<string, CommittedManifest>
    /** The batch of every source that the point stands for. */
    readonly batches: Readonly<Record<string, number>>
    readonly parent: CommittedManifest | null
    readonly reads: readonly TableName[]
    /** How rows are read; from the lake when not given. */
    readonly rows?: KeptRows
  },
): Promise<Relations> {
  const { engine, inputs, batches, parent, reads, rows: kept } = work
  const schemas = new Set(reads.flatMap(({ schema }) => schema ?? []))
  const [row] = await engine.rows(
    [
      ...[...schemas].map((schema) => `create schema if not exists ${quoteName(schema)}`),
      'select current_database() as name',
    ].join('; '),
  )
  const creates = new Map<string, (worker: Engine) => Promise<string>>()
  const made = new Map<string, Promise<void>>()
  const changed = new Set<string>()
  const changes = new Map<string, readonly DataFile[]>()
  const manifestOf = (schema: string): CommittedManifest => {
    const manifest = inputs.get(schema)
    if (manifest === undefined) throw new RangeError(`no source "${schema}"`)
    return manifest
  }
  for (const table of reads) {
    const { schema, name } = table
    if (schema === null || creates.has(quoteTable(table))) continue
    const manifest = manifestOf(schema)
    const batch = batches[schema] ?? 0
    const before = parent?.inputs?.[schema]?.batch ?? 0
    const files = await filesBetween(ingestion, manifest, name, before, batch)
    changes.set(quoteTable(table), files)
    if (files.length > 0) changed.add(quoteTable(table))
    creates.set(quoteTable(table), async (worker) => {
      const rows = await (kept?.on(worker) ?? rowsAsOf)(ingestion, manifest, name, batch)
      return `create view ${quoteTable(table)} as ${rows}`
    })
  }
  const relationsOn = (worker: Engine): Relations => ({
    database: String(row?.['name']),
    hasChanged: (table) => changed.has(quoteTable(table)),
    define: (model, isChanged, create) => {
      const table = quoteTable({ schema: null, name: model })
      creates.set(table, create)
      if (isChanged) changed.add(table)
    },
    need: async (tables) => {
      for (const table of tables) {
        const name = quoteTable(table)
        const create = creates.get(name)
        if (create === undefined) continue
        const making = made.get(name) ?? create(worker).then(async (sql) => worker.run(sql))
        made.set(name, making)
        await making
      }
    },
    changesOf: async (table) => {
      const entry = manifestOf(table.schema ?? '').tables[table.name]
      if (entry === undefined) throw new RangeError(`no table "${table.name}"`)
      return newestIn(ingestion, entry, changes.get(quoteTable(table)) ?? [])
    },
    on: relationsOn,
  })
  return relationsOn(engine)
}

/** A table as queries name it. */
export function quoteTable({ schema, name }: TableName): string {
  return schema === null ? quoteName(name) : `${quoteName(schema)}.${quoteName(name)}`
}
