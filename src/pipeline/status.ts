/** Where everything stands: batches and rows of every table in the lake, and how far the warehouse is. */
import type { Context } from '../events.ts'
import { toToteError, type ToteError } from '../errors.ts'
import type { CommittedManifest } from '../lake/manifest.ts'
import type { ModelKind } from '../types.ts'
import { refuseForeignLedger } from './load.ts'
import type { Project } from './project.ts'

export interface StatusTable {
  readonly chain: string
  readonly table: string
  readonly kind: 'source' | ModelKind
  /** The newest batch of the table's chain, up to whose instant the table is complete. */
  readonly batch: number
  readonly instant: string
  /** Current rows in the lake. */
  readonly rows: number
}

export interface Status {
  readonly project: string
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

/** Reads manifests and the ledger; a warehouse that does not answer is part of the answer. */
export async function status(project: Project, _context: Context): Promise<Status> {
  const tables: StatusTable[] = []
  for (const { source } of project.sources) {
    const manifest = await project.ingestion.chain(source.name).newest()
    tables.push(...tablesOf(source.name, manifest))
  }
  const processed = await project.processed.chain(project.name).newest()
  tables.push(...tablesOf(project.name, processed))
  const untransformed = await countUntransformed(project, processed)
  try {
    const last = await project.warehouse.last(project.name)
    await refuseForeignLedger(project, processed, last)
    return {
      project: project.name,
      tables,
      ledger:
        last === null
          ? null
          : { pipeline: last.pipeline, batch: last.batch, instant: last.instant },
      pending: (processed?.batch ?? 0) - (last?.batch ?? 0),
      untransformed,
      warehouse: null,
    }
  } catch (error) {
    return {
      project: project.name,
      tables,
      ledger: null,
      pending: null,
      untransformed,
      warehouse: toToteError(error),
    }
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
    batch,
    instant,
    rows: entry.rows,
  }))
}
