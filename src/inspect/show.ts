/** One table or model in full: columns, where they come from, what reads it, checks, SQL and a few rows. */
import { quoteName } from '../columns/sql.ts'
import { nearestName, quoteWord, ToteError } from '../errors.ts'
import type { Context } from '../events.ts'
import type { CommittedManifest, TableEntry } from '../lake/manifest.ts'
import { checksOf } from '../models/checks.ts'
import { byNameIn, sameName } from '../models/dependencies.ts'
import { modelQuery, type Model } from '../models/model.ts'
import { boundModels, modelTexts } from '../project/bound-models.ts'
import type { Project } from '../project/project.ts'
import { outputOrigins, type Origin, type OriginColumn } from '../syntax/inheritance.ts'
import { parseSql } from '../syntax/syntax-tree.ts'
import type { ModelKind } from '../types.ts'
import { standingOf, type Standing } from './list.ts'
import type { AsOf } from '../project/moment.ts'
import { query, type QueryResult } from './query.ts'

export interface ShownColumn {
  readonly name: string
  /** PostgreSQL's: of the source for a table, of the warehouse for a model. */
  readonly type: string
  /** The one that a warehouse without that type has in its place; null where every server has it. */
  readonly builtin: string | null
  /** DuckDB's, in the lake. */
  readonly lake: string
  readonly notNull: boolean
  /** `table.column`, where the column is that one and nothing else; null where it is computed. */
  readonly from: string | null
}

export interface Shown {
  readonly name: string
  readonly kind: 'source' | ModelKind
  /** A model's file. */
  readonly path: string | null
  readonly comment: string | null
  readonly key: readonly string[]
  readonly columns: readonly ShownColumn[]
  /** Tables and models that it reads. */
  readonly reads: readonly string[]
  /** Models that read it, and models that refer to it. */
  readonly readBy: readonly string[]
  readonly references: readonly { readonly column: string; readonly model: string }[]
  readonly referredBy: readonly string[]
  readonly checks: readonly { readonly check: string; readonly severity: string }[]
  /** The select as it stands in the file, and as it is run, cast to what files carry. */
  readonly sql: string | null
  readonly compiled: string | null
  readonly lake: Standing | null
  /** null before the first batch. */
  readonly sample: QueryResult | null
}

/** Throws UsageInvalid with the nearest name when there is neither such a model nor such a table. */
export async function show(
  project: Project,
  name: string,
  options: { readonly limit: number; readonly asOf?: AsOf | undefined },
  context: Context,
): Promise<Shown> {
  const texts = await modelTexts(project)
  const inputs = new Map<string, CommittedManifest>()
  for (const { source } of project.sources) {
    const manifest = await project.ingestion.chain(source.name).newest()
    if (manifest !== null) inputs.set(source.name, manifest)
  }
  const tables = [...inputs].flatMap(([source, manifest]) =>
    Object.entries(manifest.tables).map(([table, entry]): SourceTable => ({
      source,
      table,
      entry,
      manifest,
    })),
  )
  const text = byNameIn(texts, name)
  const table = text === undefined ? findTable(tables, name) : undefined
  if (text === undefined && table === undefined)
    throw unknown(name, [
      ...texts.map((model) => model.name),
      ...tables.map((one) => `${one.source}.${one.table}`),
    ])
  const isKnown = inputs.size === project.sources.length
  const models = isKnown ? await boundModels(project, texts, inputs, context) : []
  if (table !== undefined) return showTable(project, { table, models, ...options }, context)
  const processed = await project.processed.chain(project.name).newest()
  const model = models.find((one) => one.name === text?.name)
  if (model === undefined)
    throw new ToteError('UsageInvalid', `What "${name}" yields is not known before the first run`, {
      where: text?.path,
      fix: 'tote run',
    })
  return showModel(project, { model, models, tables, processed, ...options }, context)
}

interface SourceTable {
  readonly source: string
  readonly table: string
  readonly entry: TableEntry
  readonly manifest: CommittedManifest
}

/** With or without the names of source and schema. Throws UsageInvalid when they are left out and several tables are called so. */
function findTable(tables: readonly SourceTable[], name: string): SourceTable | undefined {
  const whole = tables.find(({ source, table }) => `${source}.${table}` === name)
  if (whole !== undefined) return whole
  const among = [
    ({ table }: SourceTable) => table === name,
    ({ table }: SourceTable) => sameName(table, name),
    // Of another schema than its source's default.
    ({ table }: SourceTable) => table.toLowerCase().endsWith(`.${name.toLowerCase()}`),
  ]
  const found = among.map((isIt) => tables.filter(isIt)).find(({ length }) => length > 0) ?? []
  if (found.length > 1) {
    const all = found.map(({ source, table }) => `${source}.${table}`)
    throw new ToteError('UsageInvalid', `"${name}" may be any of ${all.join(', ')}`, {
      fix: `tote show ${quoteWord(all[0] ?? '')}`,
    })
  }
  return found[0]
}

function unknown(name: string, names: readonly string[]): ToteError {
  const bare = names.flatMap((one) => [one, one.slice(one.indexOf('.') + 1)])
  const nearest = nearestName(name, bare)
  const hint = nearest === undefined ? '' : `. Did you mean ${nearest}?`
  return new ToteError('UsageInvalid', `There is no table or model "${name}"${hint}`, {
    fix: nearest === undefined ? 'tote list' : `tote show ${nearest}`,
  })
}

async function showTable(
  project: Project,
  { table: found, models, ...sampled }: { table: SourceTable; models: readonly Model[] } & Sampled,
  context: Context,
): Promise<Shown> {
  const { source, table, entry, manifest } = found
  const readers = models.filter(({ reads }) =>
    reads.some((read) => read.schema === source && read.name === table),
  )
  return {
    name: `${source}.${table}`,
    kind: 'source',
    path: null,
    comment: null,
    key: entry.key,
    columns: entry.columns.map(({ name, type, carried, notNull }) => ({
      name,
      type,
      builtin: null,
      lake: carried,
      notNull,
      from: null,
    })),
    reads: [],
    readBy: readers.map(({ name }) => name),
    references: [],
    referredBy: [],
    checks: [],
    sql: null,
    compiled: null,
    lake: standingOf(manifest, table),
    sample: await sampleOf(project, `${quoteName(source)}.${quoteName(table)}`, sampled, context),
  }
}

interface ModelToShow {
  readonly model: Model
  readonly models: readonly Model[]
  readonly tables: readonly SourceTable[]
  readonly processed: CommittedManifest | null
}

interface Sampled {
  readonly limit: number
  readonly asOf?: AsOf | undefined
}

async function showModel(
  project: Project,
  { model, models, tables, processed, ...sampled }: ModelToShow & Sampled,
  context: Context,
): Promise<Shown> {
  const lake = standingOf(processed, model.name)
  const origins = await originsOf(project, model, { models, tables }, context)
  const { name, kind, path, comment, key, columns, reads, references, sql } = model
  return {
    name,
    kind,
    path,
    comment,
    key,
    columns: columns.map((column, index) => ({
      name: column.name,
      type: column.type,
      builtin: column.builtin ?? null,
      lake: column.carried,
      notNull: column.notNull,
      from: origins[index] ?? null,
    })),
    reads: reads.map((read) => (read.schema === null ? read.name : `${read.schema}.${read.name}`)),
    readBy: models
      .filter((other) => other.reads.some((read) => read.schema === null && read.name === name))
      .map((other) => other.name),
    references,
    referredBy: models
      .filter((other) => other.references.some((reference) => reference.model === name))
      .map((other) => other.name),
    checks: checksOf(model, (other) => models.find((one) => one.name === other)?.key[0] ?? '').map(
      (check) => ({ check: check.name, severity: check.severity }),
    ),
    sql,
    compiled: modelQuery(model),
    lake,
    sample: lake === null ? null : await sampleOf(project, quoteName(name), sampled, context),
  }
}

interface NamedOrigin extends Origin {
  readonly path: string
}

/** `table.column` of each output that is a plain column, by the same reading that its type is inherited by. */
async function originsOf(
  project: Project,
  model: Model,
  known: Pick<ModelToShow, 'models' | 'tables'>,
  context: Context,
): Promise<readonly (string | null)[]> {
  const lookup = (schema: string | null, name: string): readonly OriginColumn[] | undefined => {
    const columns =
      schema === null
        ? byNameIn(known.models, name)?.columns
        : known.tables.find((one) => sameName(one.source, schema) && sameName(one.table, name))
            ?.entry.columns
    return columns?.map(({ name: column, type, carried }) => {
      const path = [...(schema === null ? [] : [schema]), name, column].join('.')
      const origin: NamedOrigin = { type, carried, path }
      return { name: column, origin }
    })
  }
  const engine = await project.engine(context.signal)
  try {
    const parsed = await parseSql(engine, model.sql)
    const tree = 'complaint' in parsed ? undefined : parsed.statements[0]
    const found = (tree === undefined ? null : outputOrigins(tree, lookup)) ?? []
    return found.map(({ origin }) =>
      origin !== null && 'path' in origin ? String(origin.path) : null,
    )
  } finally {
    engine.close()
  }
}

async function sampleOf(
  project: Project,
  relation: string,
  sampled: Sampled,
  context: Context,
): Promise<QueryResult> {
  return query(project, `select * from ${relation}`, { on: 'lake', ...sampled }, context)
}
