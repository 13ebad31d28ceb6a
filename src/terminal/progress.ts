/**
 * What a run has done so far, gathered from its events, and how a stage says it in one line. Knows
 * nothing of terminals: the live view, the plain lines and later the web monitor read it.
 */
import type { RunEvent } from '../events.ts'
import type { AnyStage, ChangeCounts } from '../types.ts'
import { counted } from './number.ts'
import { differingRows, nameOf } from './verified.ts'

export interface TableProgress {
  readonly table: string
  readonly rows: number
  readonly bytes: number
  /** About how many rows there are, where that is known. */
  readonly expectedRows: number | undefined
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly lastAt: number
  /** Rows that were there already at `startedAt`. */
  readonly firstRows: number
}

/** Rows a second since the first that was told; undefined before there is something to go by. */
export function rateOf({ rows, firstRows, startedAt, lastAt }: TableProgress): number | undefined {
  const seconds = (lastAt - startedAt) / 1000
  return seconds < 0.2 ? undefined : (rows - firstRows) / seconds
}

/** Milliseconds that a table still takes at the rate so far, where that can be said. */
export function timeLeft(table: TableProgress): number | undefined {
  const rate = rateOf(table)
  const left = (table.expectedRows ?? 0) - table.rows
  return rate === undefined || rate <= 0 || left <= 0 ? undefined : (left / rate) * 1000
}

export interface StageProgress {
  readonly stage: AnyStage
  /** `stopped` is what a cancelled run leaves. */
  readonly state: 'waiting' | 'running' | 'done' | 'nothing to do' | 'failed' | 'stopped'
  /** Milliseconds since the epoch, while it runs. */
  readonly startedAt: number
  /** Milliseconds, once it is over. */
  readonly ms: number
  /** Tables under way, by name. */
  readonly active: ReadonlyMap<string, TableProgress>
  readonly finished: ReadonlySet<string>
  readonly changed: ReadonlySet<string>
  readonly rows: number
}

export interface Progress {
  read(event: RunEvent): void
  stages(): readonly StageProgress[]
}

/** Its sets only grow: copied for every table, thousands of tables would take seconds. */
interface Gathered extends StageProgress {
  readonly finished: Set<string>
  readonly changed: Set<string>
}

/** Follows the given stages; a stage that begins without being announced is added. */
export function createProgress(announced: readonly AnyStage[]): Progress {
  const stages = new Map<AnyStage, Gathered>(announced.map((stage) => [stage, waiting(stage)]))
  const change = (stage: AnyStage, next: (before: Gathered) => Partial<Gathered>): void => {
    const before = stages.get(stage) ?? waiting(stage)
    stages.set(stage, { ...before, ...next(before) })
  }
  const finish = (stage: AnyStage, table: string, rows: number, source = ''): void =>
    change(stage, (before) => {
      // Two sources may have tables of one name.
      const counted = `${source}.${table}`
      before.finished.add(counted)
      if (rows > 0) before.changed.add(counted)
      return { active: without(before.active, table), rows: before.rows + rows }
    })

  return {
    stages: () => [...stages.values()],
    read(event) {
      const at = Date.parse(event.at)
      switch (event.type) {
        case 'stage.started':
          return change(event.stage, () => ({ state: 'running', startedAt: at }))
        case 'stage.finished':
          return change(event.stage, () => ({
            state: event.outcome,
            ms: event.ms,
            active: new Map(),
          }))
        case 'table.progress':
          return change(event.stage, (before) => {
            const { table, rows, bytes, expectedRows } = event
            const known = before.active.get(table)
            const { startedAt, firstRows } = known ?? { startedAt: at, firstRows: rows }
            return {
              active: new Map(before.active).set(table, {
                table,
                rows,
                bytes,
                expectedRows,
                startedAt,
                lastAt: at,
                firstRows,
              }),
            }
          })
        case 'table.extracted':
          return finish('extract', event.table, changedRows(event), event.source)
        case 'model.evaluated':
          return finish('transform', event.model, changedRows(event))
        case 'table.loaded':
          return finish('load', event.table, event.rowsLoaded + event.rowsDeleted)
        case 'table.verified':
          return finish('verify', nameOf(event), differingRows(event))
        case 'run.finished':
          for (const { stage, state, startedAt } of stages.values()) {
            const end = event.summary.outcome === 'cancelled' ? 'stopped' : 'failed'
            if (state === 'running')
              change(stage, () => ({ state: end, ms: at - startedAt, active: new Map() }))
          }
          return undefined
        default:
          return undefined
      }
    },
  }
}

/** Rows that an event or a summary counts as changed. */
export function changedRows(counts: ChangeCounts): number {
  return counts.inserted + counts.updated + counts.deleted
}

/** One phrase: `11 tables, 3 with changes, 1,655 rows`. */
export function describeStage(progress: StageProgress): string {
  const { stage, state, finished, changed, rows } = progress
  if (state === 'waiting') return ''
  if (state === 'nothing to do') {
    return finished.size === 0
      ? 'nothing to do'
      : `${counted(finished.size, nounOf(stage))}, no change`
  }
  const broken = state === 'failed' || state === 'stopped'
  if (finished.size === 0 && stage === 'verify' && state === 'done') return 'nothing compared'
  if (finished.size === 0) return broken ? state : ''
  const parts = [counted(finished.size, nounOf(stage))]
  if (stage === 'verify') {
    parts.push(changed.size === 0 ? 'all equal' : `${changed.size} with differences`)
    return (broken ? `${state} after ` : '') + parts.join(', ')
  }
  if (changed.size < finished.size) parts.push(`${changed.size} with changes`)
  parts.push(`${counted(rows, 'row')} ${stage === 'load' ? 'written' : 'changed'}`)
  return (broken ? `${state} after ` : '') + parts.join(', ')
}

function nounOf(stage: AnyStage): string {
  if (stage === 'verify') return 'comparison'
  return stage === 'transform' ? 'model' : 'table'
}

function waiting(stage: AnyStage): Gathered {
  const nothing = {
    active: new Map(),
    finished: new Set<string>(),
    changed: new Set<string>(),
    rows: 0,
  }
  return { stage, state: 'waiting', startedAt: 0, ms: 0, ...nothing }
}

function without<K, V>(map: ReadonlyMap<K, V>, key: K): Map<K, V> {
  const copy = new Map(map)
  copy.delete(key)
  return copy
}
