/**
 * Runs of the built command line as processes of their own, against databases given by URL, in a
 * project folder that the test owns; and the switch (kill-switch.mjs) that ends one with SIGKILL at
 * its n-th effect on the world.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { cpSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RunEvent, RunSummary } from '../../src/events.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const cli = join(root, 'dist', 'cli.js')
const killSwitch = fileURLToPath(new URL('kill-switch.mjs', import.meta.url))

/** Builds what the tests run, when it is not built yet. */
export function buildCli(): void {
  const built = spawnSync(process.execPath, [join(root, 'scripts', 'build.js'), '--when-stale'], { stdio: 'inherit' })
  if (built.status !== 0) throw new Error('src/ could not be built')
}

export interface Site {
  /** The project's folder, and in it its state folder. */
  readonly folder: string
  readonly lake: { readonly ingestion: string; readonly processed: string }
  readonly source: string
  readonly warehouse: string
}

/** A checkout of the example, without its simulator: the databases are given by URL. */
export function checkOut(folder: string, lakeFolder: string, urls: { source: string; warehouse: string }): Site {
  for (const part of ['tote.config.ts', 'models', 'seeds']) {
    cpSync(join(root, 'examples', 'totesys', part), join(folder, part), { recursive: true })
  }
  return {
    folder,
    lake: { ingestion: join(lakeFolder, 'lake', 'ingestion'), processed: join(lakeFolder, 'lake', 'processed') },
    ...urls,
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

/** Starts `tote run --json`. */
export function startRun(site: Site, options: { args?: readonly string[]; kill?: { at: number; report: string } } = {}): StartedRun {
  const { args = [], kill } = options
  const child = spawn(
    process.execPath,
    [...(kill === undefined ? [] : ['--import', killSwitch]), cli, 'run', '--json', '-C', site.folder, ...args],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        TOTESYS_URL: site.source,
        WAREHOUSE_URL: site.warehouse,
        TOTE_LAKE_INGESTION: site.lake.ingestion,
        TOTE_LAKE_PROCESSED: site.lake.processed,
        NODE_OPTIONS: '',
        ...(kill === undefined ? {} : { KILL_AT: String(kill.at), KILL_REPORT: kill.report }),
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
      resolve({ exit, signal, events, summary: last?.type === 'run.finished' ? last.summary : undefined, stderr })
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
        if (seen !== undefined || child.exitCode !== null || child.signalCode !== null) resolve(seen)
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

/** What KILL_AT is for a point. */
export function killAt(n: number, when: 'before' | 'after'): number {
  return 2 * n + (when === 'after' ? 1 : 0)
}

/** Runs with the switch at `at`: how it ended, where it was killed, and the effects that began. */
export async function runWithSwitch(site: Site, at: number): Promise<{ ended: Ended; point: KillPoint | undefined; effects: readonly Effect[] }> {
  const report = join(site.folder, `${randomUUID()}.report`)
  const ended = await startRun(site, { kill: { at, report } }).ended
  const facts = existsSync(report)
    ? readFileSync(report, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as Effect | KillPoint)
    : []
  rmSync(report, { force: true })
  const point = facts.find((fact) => 'killed' in fact)
  return { ended, point, effects: facts.filter((fact) => !('killed' in fact)) }
}
