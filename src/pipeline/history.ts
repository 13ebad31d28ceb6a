/**
 * What a warehouse keeps of the versioned tables of a chain, all at once: the rows that batch after batch would have
 * come to, and what the ledger would say of them.
 */
import type { Engine } from '../columns/engine.ts'
import { BATCH_COLUMN, quoteName, quoteNames } from '../columns/sql.ts'
import type { Context } from '../events.ts'
import { generationOf, type CommittedManifest } from '../lake/manifest.ts'
import { changesIn, changesWithPlace, filesBetween, rowsAsOf } from '../lake/read.ts'
import { splitBatch } from '../lake/history.ts'
import type { Project } from '../project/project.ts'
import type { RangedBy } from '../ranges/key-range.ts'
import { boundsOf, inSpans, type SomeSpans } from '../ranges/key-spans.ts'
import type { StarTable } from '../star/star-table.ts'
import { deletedRows, versionsOf, type Statements } from '../star/versions.ts'
import { keepsVersions, type Instant } from '../types.ts'
import type { LedgerEntry, RemadeTable, WholeStar } from '../warehouse/warehouse.ts'
import { entryOf } from './star.ts'

export interface TableHistory {
  readonly manifest: CommittedManifest
  readonly table: StarTable
  readonly instants: ReadonlyMap<number, Instant>
}

/** Some of its rows, in the warehouse and here. */
export interface SomeRows {
  readonly by: RangedBy
  /** The text of that column, over the rows as `r`. */
  readonly text: string
  readonly spans: SomeSpans
}

/** The rows are computed when they are asked for, one table at a time. */
export async function remadeTable(
  project: Pick<Project, 'processed'>,
  engine: Engine,
  of: TableHistory,
  some: SomeRows | null = null,
): Promise<RemadeTable> {
  const entry = of.manifest.tables[of.table.name]
  if (entry === undefined) throw new RangeError(`no table "${of.table.name}"`)
  const statements = await historyOf(project, of)
  const relation = (text: string): string =>
    some === null
      ? `(${text})`
      : `(select * from (${text}) as r where ${inSpans(some.text, some.spans)})`
  return {
    table: of.table,
    rowsInLake: entry.rows,
    ...(some === null ? {} : { within: { by: some.by, ranges: boundsOf(some.spans) } }),
    rows: {
      chunks: async function* (select) {
        for (const text of statements.prepare) await engine.run(text)
        for (const text of statements.selects) yield* engine.chunks(select(relation(text), null))
      },
    },
  }
}

/** The statements that yield the rows of a RemadeTable. */
export async function historyOf(
  project: Pick<Project, 'processed'>,
  of: TableHistory,
): Promise<Statements> {
  return keepsVersions(of.table)
    ? versions(project, of)
    : { prepare: [], selects: [await latest(project, of.manifest, of.table)] }
}

async function versions(
  { processed }: Pick<Project, 'processed'>,
  { manifest, table, instants }: TableHistory,
): Promise<Statements> {
  const { name, columns, key } = table
  const entry = manifest.tables[name]
  if (entry === undefined) throw new RangeError(`no table "${name}"`)
  const files = await filesBetween(processed, manifest, name, 0, manifest.batch)
  const { of: first, after } = splitBatch(files, files[0]?.batch)
  const { relation, place } =
    first.length === 1
      ? await changesWithPlace(processed, entry, first)
      : { relation: '', place: null }
  const bulk =
    place === null || first[0] === undefined
      ? null
      : { relation, place, batch: first[0].batch, rows: first[0].rows }
  const changes = await changesIn(processed, entry, bulk === null ? files : after)
  return versionsOf({ columns, key, bulk, changes, instants })
}

/** How many versions there are of all rows together, as the manifests say. */
export async function countVersions(
  { processed }: Pick<Project, 'processed'>,
  { manifest, table }: Pick<TableHistory, 'manifest' | 'table'>,
): Promise<number> {
  const files = await filesBetween(processed, manifest, table.name, 0, manifest.batch)
  return files.reduce((sum, { rows, deletes }) => sum + rows - deletes, 0)
}

/** Latest values; of a dimension, also of what is gone, each with the batch that brought them. */
async function latest(
  { processed }: Pick<Project, 'processed'>,
  manifest: CommittedManifest,
  { name, kind, columns, key }: StarTable,
): Promise<string> {
  const entry = manifest.tables[name]
  if (entry === undefined) throw new RangeError(`no table "${name}"`)
  const names = quoteNames(columns.map((column) => column.name))
  const current = await rowsAsOf(processed, manifest, name, manifest.batch)
  if (kind !== 'dimension') return `select ${names} from (${current})`
  const files = await filesBetween(processed, manifest, name, 0, manifest.batch)
  const batch = quoteName(BATCH_COLUMN)
  const there = `select ${names}, false as is_deleted, ${manifest.batch + 1}::bigint as ${batch} from (${current})`
  if (files.every(({ deletes }) => deletes === 0)) return there
  const changes = await changesIn(processed, entry, files)
  return `${there} union all select ${names}, true, ${batch} from (${deletedRows({ changes, columns, key })})`
}

export interface Past {
  /** What the ledger of a warehouse at the newest batch says, oldest first. */
  readonly entries: readonly LedgerEntry[]
  readonly instants: ReadonlyMap<number, Instant>
}

/** Of every batch, and of every generation's beginning. Manifests are not kept: there may be any number. */
export async function pastOf(
  project: Pick<Project, 'name' | 'processed'>,
  newest: CommittedManifest,
  context: Context,
): Promise<Past> {
  const chain = project.processed.chain(newest.name)
  const entries: LedgerEntry[] = []
  const instants = new Map<number, Instant>()
  for (let manifest: CommittedManifest | null = newest; manifest !== null;) {
    context.signal.throwIfAborted()
    const parent: CommittedManifest | null =
      manifest.parent === null ? null : await chain.read(manifest.parent.number)
    const adds = parent === null || parent.batch < manifest.batch
    if (adds) instants.set(manifest.batch, manifest.instant)
    if (adds || generationOf(parent) < generationOf(manifest))
      entries.push(entryOf(project, manifest, context))
    manifest = parent
  }
  return { entries: entries.reverse(), instants }
}

/** The star at a manifest, as it would be after every batch up to it. */
export async function wholeStar(
  project: Pick<Project, 'name' | 'processed'>,
  engine: Engine,
  { newest, star }: { readonly newest: CommittedManifest; readonly star: readonly StarTable[] },
  context: Context,
): Promise<WholeStar> {
  const { entries, instants } = await pastOf(project, newest, context)
  const tables = await Promise.all(
    star.map(async (table) => remadeTable(project, engine, { manifest: newest, table, instants })),
  )
  const entry = entries.at(-1) ?? entryOf(project, newest, context)
  return { entry, entries, tables }
}
