/**
 * The event stream for a person. Here: how an event reads as a line, and the view for anything that
 * is not a terminal, one line per change of state, so that the log of a scheduled run reads well.
 * The view that is redrawn is terminal-live.ts. Keys of failing rows are shown only there (P10).
 */
import type { RunEvent } from '../events.ts'
import type { AnyStage, ChangeCounts } from '../types.ts'
import { renderDuration } from './time.ts'
import { counted, formatCount } from './number.ts'
import { changedRows, createProgress, describeStage } from './progress.ts'
import type { EventReader, TextOutput } from '../observability/reader.ts'
import { projectTitle } from './title.ts'
import { MARKS, printable, type Style } from './style.ts'
import { describeVerified, differingRows, nameOf } from './verified.ts'

export interface TerminalOptions {
  readonly output: TextOutput
  readonly style: Style
  /** The stages that this run will go through. */
  readonly stages: readonly AnyStage[]
  /** 1 and more: also unchanged tables and committed manifests. */
  readonly verbosity: number
  readonly now: () => Date
}

/** A reader that also says what no event says, for example that a server is being started. */
export interface Terminal extends EventReader {
  note(text: string): void
  warn(text: string): void
  /** Leaves the terminal tidy, whatever happened; may be called twice. */
  close(): void
}

/** Plain lines, each written once. */
export function openPlainTerminal({ output, style, stages, verbosity }: TerminalOptions): Terminal {
  const progress = createProgress(stages)
  const line = (text: string): void => output.write(`${text}\n`)
  const warn = (text: string): void => line(`${style.yellow(MARKS.warning)} ${text}`)

  return {
    note: (text) => line(text),
    warn,
    close: () => undefined,
    read(event) {
      progress.read(event)
      const warning = warningOf(event, 'log')
      if (warning !== undefined) return warn(warning)
      if (event.type === 'stage.finished') {
        const stage = progress.stages().find((one) => one.stage === event.stage)
        const done = event.outcome === 'failed' ? style.red(MARKS.failed) : style.green(MARKS.done)
        const mark = event.outcome === 'nothing to do' ? MARKS.nothing : done
        const words = stage === undefined ? '' : describeStage(stage)
        return line(`${mark} ${event.stage.padEnd(9)}  ${words}  ${renderDuration(event.ms)}`)
      }
      const text = describeEvent(event, verbosity)
      if (text !== undefined) line(text)
    },
  }
}

/** The warning that an event is, as text, or undefined. */
export function warningOf(event: RunEvent, shownOn: 'terminal' | 'log'): string | undefined {
  if (event.type === 'note') {
    // The log of a schedule of minutes would be full of what stands.
    const isWarning =
      event.level === 'warn' || (event.level === 'standing' && shownOn === 'terminal')
    return isWarning ? printable(event.text) : undefined
  }
  if (event.type !== 'check.failed') return undefined
  const found = `check ${printable(event.check)} on ${event.model} found ${counted(event.rows, 'row')}`
  const keys = event.keys.value
  return shownOn === 'terminal' && keys.length > 0
    ? `${found}: ${keys.map(printable).join(', ')}`
    : found
}

/** What an event says in one plain line; undefined for what is not worth a line. */
export function describeEvent(event: RunEvent, verbosity: number): string | undefined {
  switch (event.type) {
    case 'run.started':
      return `${projectTitle(event)} · ${event.command === 'run' ? `run ${event.run}` : event.command}`
    case 'table.extracted':
    case 'model.evaluated': {
      if (changedRows(event) === 0 && verbosity === 0) return undefined
      const name = printable(event.type === 'table.extracted' ? event.table : event.model)
      const driven = event.type === 'model.evaluated' && event.ways.driven > 0
      const way = driven && verbosity > 0 ? ', evaluated for changed rows only' : ''
      return `  ${name}: ${describeChanges(event)}${way}  ${renderDuration(event.ms)}`
    }
    case 'table.verified':
      if (differingRows(event) === 0 && verbosity === 0) return undefined
      return `  ${printable(nameOf(event))}: ${describeVerified(event)}  ${renderDuration(event.ms)}`
    case 'model.skipped':
      return verbosity === 0
        ? undefined
        : `  ${event.model}: skipped, nothing that it reads has changed`
    case 'table.loaded': {
      if (event.rowsLoaded + event.rowsDeleted === 0 && verbosity === 0) return undefined
      const deleted = event.rowsDeleted === 0 ? '' : `, ${formatCount(event.rowsDeleted)} deleted`
      return `  ${printable(event.table)}: ${formatCount(event.rowsLoaded)} loaded${deleted}  ${renderDuration(event.ms)}`
    }
    case 'manifest.committed':
      return verbosity === 0
        ? undefined
        : `  ${event.chain}: batch ${event.batch}, manifest ${event.number}`
    case 'file.written':
      return verbosity < 2 ? undefined : `  ${event.key}: ${counted(event.rows, 'row')}`
    case 'note':
      if (event.level === 'standing' && verbosity === 0) return undefined
      return printable(event.text)
    default:
      return undefined
  }
}

/** `1,204 inserted, 3 deleted`; `no change`. */
function describeChanges(counts: ChangeCounts): string {
  const kinds = ['inserted', 'updated', 'deleted'] as const
  const parts = kinds.filter((kind) => counts[kind] > 0)
  if (parts.length === 0) return 'no change'
  return parts.map((kind) => `${formatCount(counts[kind])} ${kind}`).join(', ')
}
