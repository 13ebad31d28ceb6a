/**
 * One run: extract, transform, load. The stages are decoupled: each takes up what the one before has
 * committed, in this run or an earlier one, so a stage that fails does not keep the next from work
 * that is already there.
 */
import { nearestName, ToteError, toToteError } from '../errors.ts'
import type {
  BatchMark,
  Context,
  ModelSummary,
  RunSummary,
  SourceTableSummary,
  VerifiedTable,
  WarehouseTableSummary,
} from '../events.ts'
import type { AnyStage, Stage } from '../types.ts'
import { extract, namesTable } from './extract.ts'
import { refuseForeignInputs, refuseForeignLake } from '../project/inputs.ts'
import { load, pendingLoad } from './load.ts'
import { modelTexts } from '../project/bound-models.ts'
import type { Project } from '../project/project.ts'
import { isSelective, selectNames } from '../models/selection.ts'
import { openRehearsal } from '../project/rehearsal.ts'
import { takeRunLock } from '../orchestrator/run-lock.ts'
import { transform } from './transform.ts'

export interface RunOptions {
  /** Only this stage; all three when not given. */
  readonly only?: Stage | undefined
  /** Compare every table in full, whatever its digest says. History is kept. */
  readonly fullRefresh?: boolean | undefined
  readonly acceptShrink?: readonly string[] | undefined
  /** Tables whose changed shape is followed whatever it is. */
  readonly acceptChange?: readonly string[] | undefined
  readonly acceptSource?: boolean | undefined
  /** Edited models that keep their old versions; all others are restated. */
  readonly forward?: readonly string[] | undefined
  /** Wait for another run of this project on this machine; the default. */
  readonly wait?: boolean | undefined
  /**
   * Find out what a run would do: the same work on the same rows, into a folder that goes away with it. Lake,
   * warehouse and history of runs stay as they are.
   */
  readonly dryRun?: boolean | undefined
  /** Of a dry run: the models that are asked about, as names or patterns with `*`, and those that are not. */
  readonly select?: readonly string[] | undefined
  readonly exclude?: readonly string[] | undefined
  /** End with the first failure; later stages, sources and batches are not tried. */
  readonly failFast?: boolean | undefined
}

export interface RunResult {
  readonly summary: RunSummary
  /** The first failure, whole: with what only a person's terminal may show. */
  readonly error?: ToteError
  /** Failures of other stages, or of other sources. */
  readonly others?: readonly ToteError[]
}

/** What the summary will say. */
export interface Progress {
  readonly stages: RunSummary['stages'][number][]
  readonly ingestion: Record<string, BatchMark>
  processed: BatchMark | null
  inWarehouse: BatchMark | null
  tables: SourceTableSummary[]
  models: readonly ModelSummary[]
  warehouse: readonly WarehouseTableSummary[]
  toLoad: number | null
  verified?: readonly VerifiedTable[]
  warnings: number
  readonly standing: Set<string>
  readonly errors: ToteError[]
}

/** What a command does beyond a run, with what the run has at hand. */
export interface Beyond {
  readonly command: string
  /** Before anything is read. */
  begin(context: Context): Promise<void>
  /** In place of `extract`. */
  readonly extract: typeof extract
  /** A last stage; says whether there was anything to do. */
  verify(context: Context, progress: Progress): Promise<boolean>
}

/** Runs the stages and says how it went; throws nothing. */
export async function run(
  project: Project,
  options: RunOptions,
  context: Context,
  beyond?: Beyond,
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
    toLoad: null,
    warnings: 0,
    standing: new Set(),
    errors: [],
  }
  const isDry = options.dryRun === true
  const said = new Set<string>()
  const counting: Context = {
    ...context,
    emit: (event) => {
      if (event.type === 'note' && event.level !== 'info') {
        // A batch that is computed again finds the same again.
        if (said.has(event.text)) return
        said.add(event.text)
      }
      if (event.type === 'note' && event.level === 'standing') progress.standing.add(event.text)
      if (event.type === 'check.failed' && event.severity === 'warn') progress.warnings += 1
      if (event.type === 'note' && event.level === 'warn') progress.warnings += 1
      if (isDry && (event.type === 'file.written' || event.type === 'manifest.committed')) return
      context.emit(event)
    },
  }
  const command = beyond?.command ?? (isDry ? DRY_RUN : 'run')
  counting.emit({ type: 'run.started', ...identify(project), command })
  try {
    if (isDry) await rehearse(project, options, counting, progress)
    else await runLocked(project, { ...options, beyond }, counting, progress)
  } catch (error) {
    progress.errors.push(toToteError(error))
  }
  const summary = summarize(project, startedAt, context, { ...progress, isDry })
  counting.emit({ type: 'run.finished', summary })
  const [error, ...others] = progress.errors
  return error === undefined ? { summary } : { summary, error, others }
}

const DRY_RUN = 'run --dry-run'

/** Nobody need wait for what changes nothing. */
async function rehearse(
  project: Project,
  options: RunOptions,
  context: Context,
  progress: Progress,
): Promise<void> {
  if (isSelective(options)) {
    // What was mistyped is told before a table is read.
    const texts = await modelTexts(project)
    selectNames(
      texts.map(({ name }) => name),
      options,
    )
  }
  const rehearsal = await openRehearsal(project)
  try {
    await runStages(rehearsal.project, options, context, progress)
  } finally {
    await rehearsal.remove()
  }
}

async function runLocked(
  project: Project,
  options: RunOptions & { readonly beyond: Beyond | undefined },
  context: Context,
  progress: Progress,
): Promise<void> {
  if (isSelective(options)) {
    throw new ToteError('UsageInvalid', 'Models are selected for a dry run only', {
      where: options.select === undefined ? '--exclude' : '--select',
      why: 'a batch carries the whole star at once, or nothing of it',
      fix: 'add --dry-run, or run without it: models whose tables did not change are skipped anyway',
    })
  }
  const lock = await takeRunLock({
    folder: project.stateFolder,
    run: context.run,
    wait: options.wait ?? true,
    signal: context.signal,
    onWait: (holder) =>
      context.emit({
        type: 'note',
        level: 'info',
        text: `waiting for run ${holder.run} (process ${holder.pid}) to end`,
      }),
  })
  try {
    await runStages(project, options, context, progress)
  } finally {
    await lock.release()
  }
}

async function runStages(
  project: Project,
  options: RunOptions & { readonly beyond?: Beyond | undefined },
  context: Context,
  progress: Progress,
): Promise<void> {
  const { beyond } = options
  const extractOne = beyond?.extract ?? extract
  await refuseForeignLake(project)
  const work: Readonly<Record<AnyStage, () => Promise<boolean>>> = {
    extract: async () => {
      await beyond?.begin(context)
      const extracting = {
        fullRefresh: options.fullRefresh ?? false,
        acceptSource: options.acceptSource ?? false,
        acceptShrink: options.acceptShrink ?? [],
        acceptChange: options.acceptChange ?? [],
      }
      // Committing onto a zone that was put back would make restoring it impossible.
      await refuseForeignInputs(project)
      let changed = false
      const failures: ToteError[] = []
      for (const source of project.sources) {
        try {
          const extracted = await extractOne(project, source, extracting, context)
          progress.tables.push(...extracted.tables)
          changed ||= extracted.changed
          if (extracted.manifest !== null)
            progress.ingestion[source.source.name] = markOf(extracted.manifest)
        } catch (error) {
          context.signal.throwIfAborted()
          failures.push(toToteError(error))
          if (options.failFast === true) break
        }
      }
      const accepted = [...extracting.acceptShrink, ...extracting.acceptChange]
      await noteUnknown(project, accepted, progress.tables, context)
      if (failures.length > 0) throw new SeveralFailures(failures)
      return changed
    },
    transform: async () => {
      const transformed = await transform(project, options, context)
      progress.models = transformed.models
      progress.processed = transformed.manifest === null ? null : markOf(transformed.manifest)
      return transformed.batches > 0 || transformed.edited
    },
    load: async () => {
      if (options.dryRun === true) {
        const { last, batches } = await pendingLoad(project)
        progress.toLoad = batches
        progress.inWarehouse = last === null ? null : markOf(last)
        return batches > 0
      }
      const loaded = await load(project, context)
      progress.warehouse = loaded.tables
      progress.inWarehouse = loaded.last === null ? null : markOf(loaded.last)
      return loaded.batches > 0
    },
    verify: async () => beyond?.verify(context, progress) ?? false,
  }
  for (const stage of ['extract', 'transform', 'load', 'verify'] as const) {
    if (stage === 'verify' && beyond === undefined) continue
    if (options.only !== undefined && options.only !== stage) continue
    // Of a part of the star there is nothing to load.
    if (stage === 'load' && isSelective(options)) continue
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
      const isOver = context.signal.aborted || options.failFast === true
      if (isOver || failures.some((failure) => failure.name === 'Bug')) return
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
async function noteUnknown(
  project: Project,
  accepted: readonly string[],
  tables: readonly SourceTableSummary[],
  context: Context,
): Promise<void> {
  for (const name of accepted) {
    const isNamed = (table: string, source: string): boolean => {
      const from = project.sources.find((candidate) => candidate.source.name === source)
      return from !== undefined && namesTable(name, table, from)
    }
    if (tables.length === 0 || tables.some(({ table, source }) => isNamed(table, source))) continue
    if (await isInLake(project, isNamed)) continue
    const nearest = nearestName(
      name,
      tables.map(({ table }) => table),
    )
    const hint = nearest === undefined ? '' : `; did you mean "${nearest}"?`
    context.emit({ type: 'note', level: 'warn', text: `no table is named "${name}"${hint}` })
  }
}

/** A table that the source has no more is one to be accepted, too. */
async function isInLake(
  { sources, ingestion }: Project,
  isNamed: (table: string, source: string) => boolean,
): Promise<boolean> {
  for (const { source } of sources) {
    const manifest = await ingestion.chain(source.name).newest()
    if (Object.keys(manifest?.tables ?? {}).some((table) => isNamed(table, source.name)))
      return true
  }
  return false
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
  progress: Progress & { readonly isDry: boolean },
): RunSummary {
  const { stages, tables, models, warehouse, ingestion, processed, inWarehouse, warnings } =
    progress
  const [error] = progress.errors
  const idle = stages.every((stage) => stage.outcome === 'nothing to do')
  const failed = error?.name === 'RunCancelled' ? 'cancelled' : 'failed'
  return {
    run: context.run,
    ...identify(project),
    ...(progress.isDry ? { dryRun: { batchesToLoad: progress.toLoad } } : {}),
    outcome: error === undefined ? (idle ? 'nothing to do' : 'succeeded') : failed,
    startedAt: startedAt.toISOString(),
    ms: context.now().getTime() - startedAt.getTime(),
    stages,
    tables,
    models,
    warehouse,
    batches: { ingestion, processed, warehouse: inWarehouse },
    warnings,
    ...(progress.standing.size === 0 ? {} : { standing: [...progress.standing] }),
    ...(progress.verified === undefined ? {} : { verified: progress.verified }),
    ...(error === undefined ? {} : { error: error.toJSON() }),
  }
}
