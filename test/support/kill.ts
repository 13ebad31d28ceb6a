/**
 * Runs of the built command line as processes of their own, against databases given by URL, in a
 * project folder that the test owns; and the switch (kill-switch.mjs) that ends one with SIGKILL at
 * its n-th effect on the world.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { cpSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildWhenStale } from '../../scripts/build.js'
import type { RunEvent, RunSummary } from '../../src/events.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const cli = join(root, 'dist', 'cli.js')
const killSwitch = fileURLToPath(new URL('kill-switch.mjs', import.meta.url))

/** Builds what the tests run, when it is not built yet. Throws when src/ does not build. */
export function buildCli(): void {
  if (!buildWhenStale()) throw new Error('dist/ is not built: see above')
}

export interface Site {
  /** The project's folder, and in it its state folder. */
  readonly folder: string
  readonly lake: { readonly ingestion: string; readonly processed: string }
  readonly source: string
  readonly warehouse: string
}

/** A checkout of the example, without its simulator: the databases are given by URL. */
export function checkOut(
  folder: string,
  lakeFolder: string,
  { source, warehouse }: { source: string; warehouse: string },
): Site {
  for (const part of ['tote.config.ts', 'models', 'seeds']) {
    cpSync(join(root, 'examples', 'totesys', part), join(folder, part), { recursive: true })
  }
  return {
    folder,
    lake: {
      ingestion: join(lakeFolder, 'lake', 'ingestion'),
      processed: join(lakeFolder, 'lake', 'processed'),
    },
    source,
    warehouse,
  }
}

export interface Ended {
  readonly exit: number | null
  readonly signal: NodeJS.Signals | null
  readonly events: readonly RunEvent[]
  readonly summary: RunSummary | undefined
  readonly stderr: string
}

export interface StartedRun {
  readonly child: ChildProcess
  /** Resolves with the first event that passes; with undefined when the run ends without one. */
  until(wanted: (event: RunEvent) => boolean): Promise<RunEvent | undefined>
  readonly ended: Promise<Ended>
}

export interface Switch {
  /** killAt says it for a point. */
  readonly at?: number
  /** Or before the first effect that fits, as `<stage> <effect>`. */
  readonly on?: RegExp
  /** SIGSTOP suspends the run there, until the test sends SIGCONT. */
  readonly signal?: 'SIGKILL' | 'SIGSTOP'
  /** Counts looking at manifests, too. */
  readonly looks?: boolean
  readonly report?: string
}

/** Starts `tote run --json`, or another command that runs. */
export function startRun(site: Site, kill?: Switch, command = 'run'): StartedRun {
  const child = spawn(
    process.execPath,
    [
      ...(kill === undefined ? [] : ['--import', killSwitch]),
      cli,
      command,
      '--json',
      '-C',
      site.folder,
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        TOTESYS_URL: site.source,
        WAREHOUSE_URL: site.warehouse,
        TOTE_LAKE_INGESTION: site.lake.ingestion,
        TOTE_LAKE_PROCESSED: site.lake.processed,
        NODE_OPTIONS: '',
        ...(kill === undefined
          ? {}
          : { KILL_AT: String(kill.at ?? NEVER), KILL_WITH: kill.signal ?? 'SIGKILL' }),
        ...(kill?.on === undefined ? {} : { KILL_ON: kill.on.source }),
        ...(kill?.report === undefined ? {} : { KILL_REPORT: kill.report }),
        ...(kill?.looks === true ? { KILL_LOOKS: 'yes' } : {}),
      },
    },
  )
  const events: RunEvent[] = []
  const listeners = new Set<(event: RunEvent | undefined) => void>()
  let text = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (more: string) => {
    const lines = (text + more).split('\n')
    text = lines.pop() ?? ''
    for (const line of lines) {
      const event = JSON.parse(line) as RunEvent
      events.push(event)
      for (const listener of listeners) listener(event)
    }
  })
  child.stderr.setEncoding('utf8').on('data', (more: string) => (stderr += more))
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (exit, signal) => {
      const last = events.at(-1)
      resolve({
        exit,
        signal,
        events,
        summary: last?.type === 'run.finished' ? last.summary : undefined,
        stderr,
      })
      for (const listener of listeners) listener(undefined)
    })
  })
  return {
    child,
    ended,
    until: async (wanted) =>
      new Promise((resolve) => {
        const seen = events.find(wanted)
        const listener = (event: RunEvent | undefined): void => {
          if (event !== undefined && !wanted(event)) return
          listeners.delete(listener)
          resolve(event)
        }
        if (seen !== undefined || child.exitCode !== null || child.signalCode !== null)
          resolve(seen)
        else listeners.add(listener)
      }),
  }
}

export interface Effect {
  /** From 1. */
  readonly n: number
  readonly stage: string
  readonly effect: string
}

export interface KillPoint extends Effect {
  readonly killed: 'before' | 'after'
}

/** A switch that only counts. */
export const NEVER = -1

/** What KILL_AT is for a point. */
export function killAt(n: number, when: 'before' | 'after'): number {
  return 2 * n + (when === 'after' ? 1 : 0)
}

export interface Watched {
  readonly ended: Ended
  /** Where it was killed; undefined when it came to its end. */
  readonly point: KillPoint | undefined
  /** Those that began. */
  readonly effects: readonly Effect[]
}

/** Runs with the switch to the end, whichever it is. */
export async function runWithSwitch(site: Site, kill: Switch, command = 'run'): Promise<Watched> {
  const report = join(site.folder, `${randomUUID()}.report`)
  const ended = await startRun(site, { ...kill, report }, command).ended
  const facts = existsSync(report)
    ? readFileSync(report, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Effect | KillPoint)
    : []
  rmSync(report, { force: true })
  const point = facts.find((fact) => 'killed' in fact)
  return { ended, point, effects: facts.filter((fact) => !('killed' in fact)) }
}
