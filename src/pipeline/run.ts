/**
 * One run: extract, transform, load. The stages are decoupled: each takes up what the one before has
 * committed, in this run or an earlier one, so a stage that fails does not keep the next from work
 * that is already there.
 */
import { nearestName, toToteError, type ToteError } from '../errors.ts'
import type {
  BatchMark,
  Context,
  ModelSummary,
  RunSummary,
  SourceTableSummary,
  WarehouseTableSummary,
} from '../events.ts'
import type { Stage } from '../types.ts'
import { extract, namesTable } from './extract.ts'
import { refuseForeignInputs } from '../project/inputs.ts'
import { load } from './load.ts'
import type { Project } from '../project/project.ts'
import { takeRunLock } from '../orchestrator/run-lock.ts'
import { transform } from './transform.ts'

export interface RunOptions {
  /** Only this stage; all three when not given. */
  readonly only?: Stage | undefined
  /** Compare every table in full, whatever its digest says. History is kept. */
  readonly fullRefresh?: boolean | undefined
  readonly acceptShrink?: readonly string[] | undefined
  readonly acceptSource?: boolean | undefined
  /** Edited models that keep their old versions; all others are restated. */
  readonly forward?: readonly string[] | undefined
  /** Wait for another run of this project on this machine; the default. */
  readonly wait?: boolean | undefined
}

export interface RunResult {
  readonly summary: RunSummary
  /** The first failure, whole: with what only a person's terminal may show. */
  readonly error?: ToteError
  /** Failures of other stages, or of other sources. */
  readonly others?: readonly ToteError[]
}

interface Progress {
  readonly stages: RunSummary['stages'][number][]
  readonly ingestion: Record<string, BatchMark>
  processed: BatchMark | null
  inWarehouse: BatchMark | null
  tables: SourceTableSummary[]
  models: readonly ModelSummary[]
  warehouse: readonly WarehouseTableSummary[]
  warnings: number
  readonly errors: ToteError[]
}

/** Runs the stages and says how it went; throws nothing. */
export async function run(
  project: Project,
  options: RunOptions,
  context: Context,
): Promise<RunResult> {
  const startedAt = context.now()
  const progress: Progress = {
    stages: [],
    ingestion: {},
    processed: null,
    inWarehouse: null,
    tables: [],
    models: [],
    warehouse: [],
    warnings: 0,
    errors: [],
  }
  const counting: Context = {
    ...context,
    emit: (event) => {
      if (event.type === 'check.failed' && event.severity === 'warn') progress.warnings += 1
      if (event.type === 'note' && event.level === 'warn') progress.warnings += 1
      context.emit(event)
    },
  }
  counting.emit({ type: 'run.started', ...identify(project), command: 'run' })
  try {
    const lock = await takeRunLock({
      folder: project.stateFolder,
      run: context.run,
      wait: options.wait ?? true,
      signal: context.signal,
      onWait: (holder) =>
        counting.emit({
          type: 'note',
          level: 'info',
          text: `waiting for run ${holder.run} (process ${holder.pid}) to end`,
        }),
    })
    try {
      await runStages(project, options, counting, progress)
    } finally {
      await lock.release()
    }
  } catch (error) {
    progress.errors.push(toToteError(error))
  }
  const summary = summarize(project, startedAt, context, progress)
  counting.emit({ type: 'run.finished', summary })
  const [error, ...others] = progress.errors
  return error === undefined ? { summary } : { summary, error, others }
}

async function runStages(
  project: Project,
  options: RunOptions,
  context: Context,
  progress: Progress,
): Promise<void> {
  const work: Readonly<Record<Stage, () => Promise<boolean>>> = {
    extract: async () => {
      const extracting = {
        fullRefresh: options.fullRefresh ?? false,
        acceptSource: options.acceptSource ?? false,
        acceptShrink: options.acceptShrink ?? [],
      }
      // Committing onto a zone that was put back would make restoring it impossible.
      await refuseForeignInputs(project)
      let changed = false
      const failures: ToteError[] = []
      for (const source of project.sources) {
        try {
          const extracted = await extract(project, source, extracting, context)
          progress.tables.push(...extracted.tables)
          changed ||= extracted.changed
          if (extracted.manifest !== null)
            progress.ingestion[source.source.name] = markOf(extracted.manifest)
        } catch (error) {
          context.signal.throwIfAborted()
          failures.push(toToteError(error))
        }
      }
      noteUnknown(project, extracting.acceptShrink, progress.tables, context)
      if (failures.length > 0) throw new SeveralFailures(failures)
      return changed
    },
    transform: async () => {
      const transformed = await transform(project, { forward: options.forward }, context)
      progress.models = transformed.models
      progress.processed = transformed.manifest === null ? null : markOf(transformed.manifest)
      return transformed.batches > 0 || transformed.edited
    },
    load: async () => {
      const loaded = await load(project, context)
      progress.warehouse = loaded.tables
      progress.inWarehouse = loaded.last === null ? null : markOf(loaded.last)
      return loaded.batches > 0
    },
  }
  for (const stage of ['extract', 'transform', 'load'] as const) {
    if (options.only !== undefined && options.only !== stage) continue
    const startedAt = context.now().getTime()
    const finish = (outcome: 'done' | 'nothing to do' | 'failed', error?: ToteError): void => {
      const ms = context.now().getTime() - startedAt
      progress.stages.push({ stage, ms, outcome })
      const failure = error === undefined ? {} : { error: error.toJSON() }
      context.emit({ type: 'stage.finished', stage, ms, outcome, ...failure })
    }
    context.emit({ type: 'stage.started', stage })
    try {
      context.signal.throwIfAborted()
      finish((await work[stage]()) ? 'done' : 'nothing to do')
    } catch (error) {
      const failures = error instanceof SeveralFailures ? error.failures : [toToteError(error)]
      // What stops one stage may stop the next with the same words; once is enough.
      const said = new Set(progress.errors.map((failure) => failure.message))
      progress.errors.push(...failures.filter((failure) => !said.has(failure.message)))
      finish('failed', failures[0])
      if (context.signal.aborted || failures.some((failure) => failure.name === 'Bug')) return
    }
  }
}

/** Each source is extracted by itself; what went wrong with several is one failure of the stage. */
class SeveralFailures extends Error {
  override readonly name = 'SeveralFailures'
  readonly failures: readonly ToteError[]
  constructor(failures: readonly ToteError[]) {
    super('several sources failed')
    this.failures = failures
  }
}

/** A name that was accepted and is no table's was mistyped: the refusal it was meant for still stands. */
function noteUnknown(
  project: Project,
  accepted: readonly string[],
  tables: readonly SourceTableSummary[],
  context: Context,
): void {
  for (const name of accepted) {
    const known = tables.some(({ table, source }) => {
      const from = project.sources.find((candidate) => candidate.source.name === source)
      return from !== undefined && namesTable(name, table, from)
    })
    if (known || tables.length === 0) continue
    const nearest = nearestName(
      name,
      tables.map(({ table }) => table),
    )
    const hint = nearest === undefined ? '' : `; did you mean "${nearest}"?`
    context.emit({ type: 'note', level: 'warn', text: `no table is named "${name}"${hint}` })
  }
}

function identify({ name, environment }: Project): { project: string; environment?: string } {
  return { project: name, ...(environment === null ? {} : { environment }) }
}

function markOf({ batch, instant }: BatchMark): BatchMark {
  return { batch, instant }
}

function summarize(
  project: Project,
  startedAt: Date,
  context: Context,
  progress: Progress,
): RunSummary {
  const { stages, tables, models, warehouse, ingestion, processed, inWarehouse, warnings } =
    progress
  const [error] = progress.errors
  const idle = stages.every((stage) => stage.outcome === 'nothing to do')
  const failed = error?.name === 'RunCancelled' ? 'cancelled' : 'failed'
  return {
    run: context.run,
    ...identify(project),
    outcome: error === undefined ? (idle ? 'nothing to do' : 'succeeded') : failed,
    startedAt: startedAt.toISOString(),
    ms: context.now().getTime() - startedAt.getTime(),
    stages,
    tables,
    models,
    warehouse,
    batches: { ingestion, processed, warehouse: inWarehouse },
    warnings,
    ...(error === undefined ? {} : { error: error.toJSON() }),
  }
}
