/**
 * Rebuild: a new warehouse from the lake alone, equal to the live one, record ids included (P7). It needs no
 * source and no model file. Extraction and transformation go on beside it; loading waits, and catches up.
 */
import { ToteError, toToteError } from '../errors.ts'
import type { Context, RebuildSummary, RunSummary, WarehouseTableSummary } from '../events.ts'
import type { CommittedManifest } from '../lake/manifest.ts'
import { refuseForeignLake } from '../project/inputs.ts'
import type { Project } from '../project/project.ts'
import type { LedgerEntry, Rebuilt, WholeStar } from '../warehouse/warehouse.ts'
import { wholeStar } from './history.ts'
import { load, refuseForeignLedger } from './load.ts'
import type { RunResult } from './run.ts'
import { everyTable } from './star.ts'

export interface RebuildOptions {
  /** Build in this schema and leave it there, instead of switching; a schema of its own, or of an earlier rebuild. */
  readonly into?: string | undefined
  /** Build and compare, then leave everything as it was. */
  readonly dryRun?: boolean | undefined
  /** Replace a warehouse that was loaded from another lake, or from batches that this lake does not have. */
  readonly acceptLake?: boolean | undefined
}

interface Done {
  readonly report: RebuildSummary
  readonly tables: readonly WarehouseTableSummary[]
}

/** Rebuilds and says how it went; throws nothing. A dry run that finds a difference ends with CountMismatch. */
export async function rebuild(
  project: Project,
  options: RebuildOptions,
  context: Context,
): Promise<RunResult> {
  const startedAt = context.now()
  const identity = {
    project: project.name,
    ...(project.environment === null ? {} : { environment: project.environment }),
  }
  let warnings = 0
  const counting: Context = {
    ...context,
    emit: (event) => {
      if (event.type === 'note' && event.level === 'warn') warnings += 1
      context.emit(event)
    },
  }
  counting.emit({ type: 'run.started', ...identity, command: 'rebuild' })
  counting.emit({ type: 'stage.started', stage: 'load' })
  let done: Done | undefined
  let error: ToteError | undefined
  try {
    done = await rebuildStar(project, options, counting)
    error = options.dryRun === true ? differenceIn(done.report) : undefined
  } catch (thrown) {
    error = toToteError(thrown)
  }
  const ms = context.now().getTime() - startedAt.getTime()
  const outcome = error === undefined ? 'done' : 'failed'
  const failure = error === undefined ? {} : { error: error.toJSON() }
  counting.emit({ type: 'stage.finished', stage: 'load', ms, outcome, ...failure })
  const summary: RunSummary = {
    run: context.run,
    ...identity,
    outcome:
      error === undefined ? 'succeeded' : error.name === 'RunCancelled' ? 'cancelled' : 'failed',
    startedAt: startedAt.toISOString(),
    ms,
    stages: [{ stage: 'load', ms, outcome }],
    tables: [],
    models: [],
    warehouse: done?.tables ?? [],
    batches: { ingestion: {}, processed: done?.report.to ?? null, warehouse: standOf(done) },
    warnings,
    ...(done === undefined ? {} : { rebuild: done.report }),
    ...failure,
  }
  counting.emit({ type: 'run.finished', summary })
  return error === undefined ? { summary } : { summary, error }
}

function standOf(done: Done | undefined): RunSummary['batches']['warehouse'] {
  if (done === undefined) return null
  return done.report.outcome === 'switched' ? done.report.to : done.report.from
}

async function rebuildStar(
  project: Project,
  options: RebuildOptions,
  context: Context,
): Promise<Done> {
  refuseOwnSchemas(project, options)
  await refuseForeignLake(project)
  const { into = null, dryRun = false, acceptLake = false } = options
  for (;;) {
    // The lake after the ledger, as in loading.
    const after = await project.warehouse.last(project.name)
    const newest = await project.processed.chain(project.name).newest()
    if (newest === null)
      throw new ToteError('UsageInvalid', 'The lake has no batch to rebuild a warehouse from.', {
        where: project.processed.store.url,
        fix: 'tote run',
      })
    const looks = into !== null || dryRun
    if (!acceptLake && !looks) await refuseForeignLedger(project, newest, after)
    if (after === null && !acceptLake && !looks) return fillEmpty(project, newest, context)
    const retired = new Set(
      Object.entries(newest.tables)
        .filter(([, { model }]) => model?.retired === true)
        .map(([name]) => name),
    )
    const engine = await project.engine(context.signal)
    try {
      const whole = await wholeStar(project, engine, { newest, star: everyTable(newest) }, context)
      const how = { after, into, dryRun, acceptLake, retired }
      const rebuilt = await project.warehouse.rebuild(whole, how, context)
      if (rebuilt.status !== 'stale')
        return {
          report: reportOf(project, { whole, after, into, status: rebuilt.status, rebuilt }),
          tables: rebuilt.tables,
        }
    } finally {
      engine.close()
    }
  }
}

interface ToReport {
  readonly whole: Pick<WholeStar, 'entry'>
  readonly after: LedgerEntry | null
  readonly into: string | null
  readonly status: RebuildSummary['outcome']
  readonly rebuilt: Rebuilt
}

function reportOf(
  project: Project,
  { whole: { entry }, after, into, status, rebuilt }: ToReport,
): RebuildSummary {
  return {
    outcome: status,
    schema: into ?? project.settings.warehouse.schema,
    from: after === null ? null : { batch: after.batch, instant: after.instant },
    to: { batch: entry.batch, instant: entry.instant },
    tables: rebuilt.compared,
  }
}

/** An empty warehouse has nothing that a new star could stand beside. */
async function fillEmpty(
  project: Project,
  newest: CommittedManifest,
  context: Context,
): Promise<Done> {
  const { tables } = await load(project, context)
  const { batch, instant } = newest
  return {
    report: {
      outcome: 'switched',
      schema: project.settings.warehouse.schema,
      from: null,
      to: { batch, instant },
      tables: tables.map(({ table, kind, rowsLoaded }) => ({
        table,
        kind,
        shape: 'absent',
        rowsLive: null,
        rowsRebuilt: rowsLoaded,
        rowsEqual: 0,
      })),
    },
    tables,
  }
}

function refuseOwnSchemas(project: Project, { into, dryRun }: RebuildOptions): void {
  const { schema, ledger } = project.settings.warehouse
  if (into === undefined) return
  const invalid = (message: string): ToteError =>
    new ToteError('UsageInvalid', message, {
      where: '--into',
      fix: 'name a schema of its own, that does not exist yet',
    })
  if (into === schema || into === ledger)
    throw invalid(`Schema "${into}" is the ${into === schema ? "live star's" : "ledger's"} own.`)
  if (into === '' || Buffer.byteLength(into) > 63 || into.startsWith('pg_'))
    throw invalid(`"${into}" cannot be the name of a schema.`)
  if (dryRun === true) throw invalid('A dry run leaves nothing behind, so it needs no --into.')
}

/** Two stars at one batch must be equal. */
function differenceIn({ from, to, tables }: RebuildSummary): ToteError | undefined {
  const differing = tables.filter((table) => !isEqual(table))
  if (from?.batch !== to.batch || differing.length === 0) return undefined
  return new ToteError(
    'CountMismatch',
    `${differing.length} of ${tables.length} tables of the warehouse are not what the lake says.`,
    {
      problems: differing.map(({ table, shape, rowsLive, rowsRebuilt, rowsEqual }) => ({
        where: table,
        message:
          shape === 'same'
            ? `${rowsEqual} rows are the same, of ${rowsLive ?? 0} that are there and ${rowsRebuilt} from the lake`
            : shape === 'absent'
              ? 'is not there'
              : 'has other columns, types or another key',
      })),
      fix: 'tote rebuild',
    },
  )
}

/** Whether the live table is to the byte what the lake says. */
function isEqual({
  shape,
  rowsLive,
  rowsRebuilt,
  rowsEqual,
}: RebuildSummary['tables'][number]): boolean {
  return shape === 'same' && rowsLive === rowsEqual && rowsRebuilt === rowsEqual
}
