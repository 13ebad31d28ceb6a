/**
 * The memory of past runs: `<folder>/<run id>.jsonl`, one event a line, each written before the next
 * happens, so that a kill leaves a readable prefix. It keeps names and counts, never a cell value
 * (P10), and never stops a run: what cannot be written is said once and left.
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RunEvent, RunSummary } from '../events.ts'
import { toJson } from './json-lines.ts'
import type { EventReader } from './reader.ts'

export interface RunRecord {
  readonly run: string
  readonly startedAt: string
  readonly command: string
  /** Absent when the run was killed, or is still under way. */
  readonly summary?: RunSummary
}

export interface RunHistoryOptions {
  readonly folder: string
  readonly run: string
  /** How many runs are kept. */
  readonly keep?: number
  /** Told once, when the history cannot be written. */
  readonly onFailure: (text: string) => void
}

const RUN_FILE = /^([0-9A-Z]{10,16})\.jsonl$/

/** Appends the events of one run; the file appears with the first and is closed by `run.finished`. */
export function openRunHistory(options: RunHistoryOptions): EventReader {
  const { folder, run, keep = 500, onFailure } = options
  let file: number | undefined
  let over = false

  const append = (event: RunEvent): void => {
    if (file === undefined) {
      mkdirSync(folder, { recursive: true })
      file = openSync(join(folder, `${run}.jsonl`), 'ax', 0o600)
    }
    writeSync(file, `${toJson(event)}\n`)
    if (event.type !== 'run.finished') return
    over = true
    fsyncSync(file)
    closeSync(file)
    prune(folder, keep)
  }

  return {
    read(event) {
      // Progress is for watching: ten lines a second would bury what happened.
      if (over || event.type === 'table.progress') return
      try {
        append(event)
      } catch (thrown) {
        over = true
        onFailure(`the run history in ${folder} cannot be written (${errorCode(thrown)})`)
      }
    },
  }
}

/** The newest runs first, at most `limit`; a missing folder is an empty history. */
export async function listRuns(folder: string, limit: number): Promise<RunRecord[]> {
  const names = await readdir(folder).catch(() => [])
  const runs = runIds(names).reverse().slice(0, limit)
  const records = await Promise.all(
    runs.map(async (run) => toRecord(run, await readRun(folder, run))),
  )
  return records.filter((record) => record !== undefined)
}

/** The events of one run, as far as they were written; empty when there is no such run. */
export async function readRun(folder: string, run: string): Promise<RunEvent[]> {
  const text = await readFile(join(folder, `${run}.jsonl`), 'utf8').catch(() => '')
  const events: RunEvent[] = []
  for (const line of text.split('\n')) {
    if (line === '') continue
    try {
      events.push(JSON.parse(line) as RunEvent)
    } catch {
      // A line torn by a kill or a full disk ends what can be known.
      break
    }
  }
  return events
}

function toRecord(run: string, events: readonly RunEvent[]): RunRecord | undefined {
  const started = events[0]
  if (started?.type !== 'run.started') return undefined
  const finished = events.at(-1)
  return {
    run,
    startedAt: started.at,
    command: started.command,
    ...(finished?.type === 'run.finished' ? { summary: finished.summary } : {}),
  }
}

function prune(folder: string, keep: number): void {
  const runs = runIds(readdirSync(folder))
  for (const run of runs.slice(0, Math.max(0, runs.length - keep)))
    unlinkSync(join(folder, `${run}.jsonl`))
}

/** Run ids sort by time. */
function runIds(names: readonly string[]): string[] {
  return names
    .map((name) => RUN_FILE.exec(name)?.[1])
    .filter((run) => run !== undefined)
    .sort()
}

function errorCode(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
  return typeof code === 'string' ? code : String(thrown)
}
