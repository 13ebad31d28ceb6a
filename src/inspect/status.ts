/** Where everything stands: batches and rows of every table in the lake, and how far the warehouse is. */
import type { Context } from '../events.ts'
import { ToteError, toToteError } from '../errors.ts'
import type { CommittedManifest } from '../lake/manifest.ts'
import type { ModelKind } from '../types.ts'
import type { LedgerEntry } from '../warehouse/warehouse.ts'
import { pendingBatches, refuseForeignLedger } from '../pipeline/load.ts'
import type { Project } from '../project/project.ts'

export interface StatusTable {
  readonly chain: string
  readonly table: string
  readonly kind: 'source' | ModelKind
  /** Its model was removed: the rows stay as they were. */
  readonly modelIsGone?: true
  /** The newest batch of the table's chain, up to whose instant the table is complete. */
  readonly batch: number
  readonly instant: string
  /** Current rows in the lake. */
  readonly rows: number
}

export interface Status {
  readonly project: string
  /** When one was chosen. */
  readonly environment?: string
  readonly tables: readonly StatusTable[]
  readonly ledger: {
    readonly pipeline: string
    readonly batch: number
    readonly instant: string
  } | null
  /** Processed batches that the warehouse has not applied; null when it could not be asked. */
  readonly pending: number | null
  /** Ingestion batches that no processed batch stands for yet. */
  readonly untransformed: number
  readonly warehouse: ToteError | null
}

/**
 * Reads the ledger and manifests, the last stage first: a run that goes on meanwhile must not make one
 * seem ahead of what it was made of. A warehouse that does not answer is part of the answer.
 */
export async function status(project: Project, _context: Context): Promise<Status> {
  const ledger = await project.warehouse.last(project.name).catch(toToteError)
  const processed = await project.processed.chain(project.name).newest()
  const tables: StatusTable[] = []
  for (const { source } of project.sources) {
    const manifest = await project.ingestion.chain(source.name).newest()
    tables.push(...tablesOf(source.name, manifest))
  }
  tables.push(...tablesOf(project.name, processed))
  const known = {
    project: project.name,
    ...(project.environment === null ? {} : { environment: project.environment }),
    tables,
    untransformed: await countUntransformed(project, processed),
  }
  const failure =
    ledger instanceof ToteError ? ledger : await foreignLedger(project, processed, ledger)
  if (ledger instanceof ToteError || failure !== null)
    return { ...known, ledger: null, pending: null, warehouse: failure }
  return {
    ...known,
    ledger:
      ledger === null
        ? null
        : { pipeline: ledger.pipeline, batch: ledger.batch, instant: ledger.instant },
    pending: pendingBatches(processed, ledger),
    warehouse: null,
  }
}

async function foreignLedger(
  project: Project,
  processed: CommittedManifest | null,
  last: LedgerEntry | null,
): Promise<ToteError | null> {
  try {
    await refuseForeignLedger(project, processed, last)
    return null
  } catch (error) {
    return toToteError(error)
  }
}

async function countUntransformed(
  project: Project,
  processed: CommittedManifest | null,
): Promise<number> {
  let waiting = 0
  for (const { source } of project.sources) {
    const manifest = await project.ingestion.chain(source.name).newest()
    waiting += Math.max(0, (manifest?.batch ?? 0) - (processed?.inputs?.[source.name]?.batch ?? 0))
  }
  return waiting
}

function tablesOf(chain: string, manifest: CommittedManifest | null): StatusTable[] {
  if (manifest === null) return []
  const { batch, instant } = manifest
  return Object.entries(manifest.tables).map(([table, entry]) => ({
    chain,
    table,
    kind: entry.model?.kind ?? 'source',
    ...(entry.model?.retired === true ? { modelIsGone: true as const } : {}),
    batch,
    instant,
    rows: entry.rows,
  }))
}
