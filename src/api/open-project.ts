/**
 * A project in a program's hands. The command line asks the pipeline the same questions; here each run
 * brings its own Context, is kept in the run history, and can be awaited, watched and aborted.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { EmbeddedDatabase } from '../embedded/database.ts'
import { ToteError } from '../errors.ts'
import type { Context } from '../events.ts'
import type { CheckReport } from '../inspect/check.ts'
import type { QueryResult } from '../inspect/query.ts'
import type { Status } from '../inspect/status.ts'
import { newRunId, openContext } from '../observability/run-context.ts'
import { openRunHistory } from '../observability/run-history.ts'
import { parseAsOf, type AsOf } from '../project/moment.ts'
import { openProject as open, type OpenOptions } from '../project/project.ts'
import type { RebuildOptions } from '../pipeline/rebuild.ts'
import { run, type RunOptions, type RunResult } from '../pipeline/run.ts'
import type { Stage } from '../types.ts'
import type { VerifyOptions } from '../verification/verify.ts'
import { closedError, startRun, type Run } from './run.ts'

export interface Abortable {
  /** Aborting ends the work; a run then ends as `cancelled`, and nothing is half done. */
  readonly signal?: AbortSignal | undefined
}

export type RunSettings = RunOptions & Abortable

export type VerifySettings = VerifyOptions & Abortable

export type RebuildSettings = RebuildOptions & Abortable

export interface QuerySettings extends Abortable {
  /** Default: the lake. */
  readonly on?: 'lake' | 'warehouse' | undefined
  /** Most rows to return; default 1,000. `truncated` says whether there were more. */
  readonly limit?: number | undefined
  /** As it was at a batch (7), or at a moment ('2026-11-20T09:30', UTC unless it says otherwise). */
  readonly asOf?: number | string | undefined
}

export interface Project {
  readonly name: string
  /** The folder of tote.config.ts. */
  readonly folder: string
  /** `<folder>/.tote`. */
  readonly stateFolder: string
  /** Extract, transform and load. Runs of one project wait for each other unless `wait` is false. */
  run(settings?: RunSettings): Run
  /** Only the difference between the sources and the ingestion zone. */
  extract(settings?: RunSettings): Run
  /** Only the models, over what the ingestion zone holds. */
  transform(settings?: RunSettings): Run
  /** Only the batches that the warehouse has not applied yet. */
  load(settings?: RunSettings): Run
  /**
   * A run, and then source, lake and warehouse compared row by row; `summary.verified` says what was found of
   * every table. It fails with DifferenceFound where they differ and `repair` was not asked for.
   */
  verify(settings?: VerifySettings): Run
  /** A new warehouse from the lake alone, beside the live one, then in its place; `summary.rebuild` compares the two. */
  rebuild(settings?: RebuildSettings): Run
  /** Batches and rows of every table, and how far the warehouse is. */
  status(settings?: Abortable): Promise<Status>
  /**
   * Config and models; with `live` also connections and rights, with `data` also whether the models are
   * functions of the rows in the lake. Throws the first ToteError, the others as its problems.
   */
  check(
    settings?: Abortable & {
      readonly live?: boolean | undefined
      readonly data?: boolean | undefined
    },
  ): Promise<CheckReport>
  /** Answers one `select`. Throws QueryInvalid. */
  query(sql: string, settings?: QuerySettings): Promise<QueryResult>
  /** The embedded database of that name, its owner's URL included; null when a URL was given instead. */
  embedded(database: string): Promise<EmbeddedDatabase | null>
  /** Waits for what is under way, ends connections, stops an embedded server that nobody else uses. */
  close(): Promise<void>
  /** `await using` closes it, where the language has that. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Loads tote.config.ts and opens the project. Throws ConfigNotFound, ConfigInvalid, NotSupportedYet. */
export async function openProject(options: OpenOptions): Promise<Project> {
  const project = await open(options)
  const underWay = new Set<Promise<unknown>>()
  let closing: Promise<void> | undefined

  const follow = async <T>(work: () => Promise<T>): Promise<T> => {
    if (closing !== undefined) throw closedError()
    const working = work()
    const settled = working.then(
      () => undefined,
      () => undefined,
    )
    underWay.add(settled)
    void settled.then(() => underWay.delete(settled))
    return working
  }
  const signalOf = ({ signal }: Abortable): AbortSignal =>
    asCancellation(AbortSignal.any([signal, options.signal].filter((each) => each !== undefined)))
  const clock = { now: () => new Date(), random: (bytes: number) => randomBytes(bytes) }
  const reading = (settings: Abortable): Context =>
    openContext({ run: newRunId(clock), signal: signalOf(settings), now: clock.now, readers: [] })

  const conduct = (
    settings: Pick<RunSettings, 'signal' | 'dryRun'>,
    work: (context: Context) => Promise<RunResult>,
  ): Run => {
    if (closing !== undefined) throw closedError()
    const id = newRunId(clock)
    const history = openRunHistory({
      folder: join(project.stateFolder, 'runs'),
      run: id,
      onFailure: (text) => options.log?.(text),
    })
    return startRun(id, async (reader) =>
      follow(async () =>
        work(
          openContext({
            run: id,
            signal: signalOf(settings),
            now: clock.now,
            readers: settings.dryRun === true ? [reader] : [history, reader],
          }),
        ),
      ),
    )
  }
  const start = ({ signal, ...chosen }: RunSettings, only: Stage | undefined): Run =>
    conduct({ signal, dryRun: chosen.dryRun }, async (context) =>
      run(project, { ...chosen, only }, context),
    )

  const close = async (): Promise<void> => {
    closing ??= Promise.all(underWay).then(async () => project.close())
    return closing
  }
  return {
    name: project.name,
    folder: project.folder,
    stateFolder: project.stateFolder,
    run: (settings = {}) => start(settings, settings.only),
    extract: (settings = {}) => start(settings, 'extract'),
    transform: (settings = {}) => start(settings, 'transform'),
    load: (settings = {}) => start(settings, 'load'),
    verify: ({ signal, ...chosen } = {}) =>
      conduct({ signal }, async (context) =>
        (await import('../verification/verify.ts')).verify(project, chosen, context),
      ),
    rebuild: ({ signal, ...chosen } = {}) =>
      conduct({ signal, dryRun: chosen.dryRun }, async (context) =>
        (await import('../pipeline/rebuild.ts')).rebuild(project, chosen, context),
      ),
    status: async (settings = {}) =>
      follow(async () => (await import('../inspect/status.ts')).status(project, reading(settings))),
    check: async (settings = {}) =>
      follow(async () =>
        (await import('../inspect/check.ts')).check(
          project,
          { live: settings.live ?? false, data: settings.data ?? false },
          reading(settings),
        ),
      ),
    query: async (sql, settings = {}) =>
      follow(async () =>
        (await import('../inspect/query.ts')).query(
          project,
          sql,
          { on: settings.on ?? 'lake', limit: settings.limit ?? 1000, asOf: asOfOf(settings) },
          reading(settings),
        ),
      ),
    embedded: async (database) => follow(async () => project.embedded(database)),
    close,
    [Symbol.asyncDispose]: close,
  }
}

function asOfOf({ asOf }: QuerySettings): AsOf | undefined {
  if (asOf === undefined) return undefined
  const parsed = parseAsOf(String(asOf))
  if (parsed === undefined)
    throw new ToteError('UsageInvalid', `"${asOf}" is no batch and no moment.`, { where: 'asOf' })
  return parsed
}

/** The same signal, its reason an error of ours: a program may abort with anything. */
function asCancellation(signal: AbortSignal): AbortSignal {
  const controller = new AbortController()
  const pass = (): void => controller.abort(cancellation(signal.reason))
  if (signal.aborted) pass()
  else signal.addEventListener('abort', pass, { once: true })
  return controller.signal
}

function cancellation(reason: unknown): ToteError {
  if (reason instanceof ToteError) return reason
  const timedOut = reason instanceof Error && reason.name === 'TimeoutError'
  return timedOut
    ? new ToteError('RunTimedOut', 'Stopped after the timeout; nothing is half done')
    : new ToteError('RunCancelled', 'Stopped by the program; nothing is half done')
}
