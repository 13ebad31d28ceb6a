/** What a question is about that names a batch or a moment: in the lake, and in the warehouse. */
import { ToteError } from '../errors.ts'
import type { CommittedManifest } from '../lake/manifest.ts'
import { refuseForeignLedger } from '../pipeline/load.ts'
import { everyTable } from '../pipeline/star.ts'
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../postgres/identifiers.ts'
import type { AsOf } from '../project/moment.ts'
import { batchMarks } from '../project/points.ts'
import type { Project } from '../project/project.ts'
import { viewColumns } from '../star/ddl.ts'
import { allColumns, layoutOf } from '../star/layout.ts'
import type { StarTable } from '../star/star-table.ts'
import { keepsVersions, type Instant } from '../types.ts'

export interface ManifestAsOf {
  readonly newest: CommittedManifest
  /** The one that added the batch. */
  readonly added: CommittedManifest
}

/** The manifest that added the batch: the one of that number, or the newest at that moment. Throws UsageInvalid. */
export async function manifestAsOf(project: Project, asOf: AsOf, now: Date): Promise<ManifestAsOf> {
  const chain = project.processed.chain(project.name)
  const newest = await chain.newest()
  if (newest === null) throw invalid('There is no batch yet.', 'tote run')
  const marks = await batchMarks(project.processed, project.name, newest, 0)
  const known = `batches go from 1 (${marks[0]?.instant ?? ''}) to ${newest.batch} (${newest.instant})`
  if ('instant' in asOf && asOf.instant > now.toISOString())
    throw invalid(`${asOf.instant} is in the future; ${known}.`)
  const found =
    'batch' in asOf
      ? marks.find(({ batch }) => batch === asOf.batch)
      : marks.findLast(({ instant }) => instant <= asOf.instant)
  if (found === undefined)
    throw invalid(
      'batch' in asOf
        ? `There is no batch ${asOf.batch}; ${known}.`
        : `There was no batch yet at ${asOf.instant}; ${known}.`,
    )
  return { newest, added: await chain.read(found.manifest) }
}

function invalid(message: string, fix?: string): ToteError {
  return new ToteError('UsageInvalid', message, { where: '--as-of', fix })
}

/** The star that the warehouse holds, which must be as far as the batch. Throws UsageInvalid, LedgerMismatch. */
export async function starAsOf(
  project: Project,
  { newest, added }: ManifestAsOf,
): Promise<readonly StarTable[]> {
  const last = await project.warehouse.last(project.name)
  await refuseForeignLedger(project, newest, last)
  if (last === null || last.batch < added.batch)
    throw invalid(
      `Batch ${added.batch} is not in the warehouse yet, which ${last === null ? 'is empty' : `stands at batch ${last.batch}`}.`,
      'tote run --only load',
    )
  return everyTable(await project.processed.chain(project.name).read(last.manifest))
}

/** Of each table that keeps versions, and of its view of current rows: a view of one's own session, under the same name. */
export function viewsAsOf(schema: string, star: readonly StarTable[], instant: Instant): string[] {
  const at = `${quoteLiteral(instant)}::pg_catalog.timestamptz`
  const then = `valid_from <= ${at} and (valid_to is null or valid_to > ${at})`
  return star.filter(keepsVersions).flatMap((table) => {
    const layout = layoutOf(table)
    const view = (name: string, columns: readonly string[]): string =>
      `create temporary view ${quoteIdentifier(name)} as select ${columns.map(quoteIdentifier).join(', ')}` +
      ` from ${quoteQualified(schema, table.name)} where ${then}`
    return [
      view(
        table.name,
        allColumns(layout).map(({ name }) => name),
      ),
      ...(layout.view === null ? [] : [view(layout.view, viewColumns(layout))]),
    ]
  })
}

/** Tables without versions that a query names: they have their latest values, whatever it asks. */
export function latestOnly(star: readonly StarTable[], sql: string): readonly string[] {
  const words = new Set(sql.toLowerCase().match(/[\p{L}\p{N}_$]+/gu))
  return star
    .filter((table) => !keepsVersions(table) && words.has(table.name.toLowerCase()))
    .map(({ name }) => name)
}
