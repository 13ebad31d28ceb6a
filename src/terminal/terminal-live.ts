/**
 * A few lines at the bottom of a terminal, redrawn at most ten times a second: one per stage, and one
 * per table under way with its rows and rate. Lines are cut to the terminal's width, since a wrapped
 * line would be counted once and erased half. What must stay (notes, warnings) is written above.
 */
import type { RunEvent } from '../events.ts'
import { counted, formatBytes, formatRate } from './number.ts'
import {
  createProgress,
  describeStage,
  rateOf,
  timeLeft,
  type StageProgress,
  type TableProgress,
} from './progress.ts'
import { MARKS, printable, type Style } from './style.ts'
import { fitText } from './table.ts'
import { describeEvent, type Terminal, type TerminalOptions, warningOf } from './terminal.ts'
import { renderDuration } from './time.ts'

const FRAME_MS = 100
const NAME_WIDTH = 28

/** The redrawn view; `close` (or `run.finished`) leaves the last frame and stops. */
export function openLiveTerminal(options: TerminalOptions): Terminal {
  const { output, style, stages, verbosity, now } = options
  const progress = createProgress(stages)
  let drawn = 0
  let timer: NodeJS.Timeout | undefined

  const draw = (lines: readonly string[]): void => {
    // To column one first: a typed ^C is echoed where the cursor stands.
    const up = drawn === 0 ? '' : `\r\u001b[${drawn}A`
    // Each line erases its own rest, and the last what is below, so that nothing flickers.
    output.write(`${up}${lines.map((line) => `${line}\u001b[K\n`).join('')}\u001b[J`)
    drawn = lines.length
  }
  const frameOptions = (): FrameOptions => ({ output, style, now: now().getTime() })
  const frame = (): string[] => renderFrame(progress.stages(), frameOptions())
  const above = (text: string): void => {
    if (timer === undefined) return output.write(`${text}\n`)
    draw([text, ...frame()])
    drawn -= 1
  }
  const warn = (text: string): void => above(`${style.yellow(MARKS.warning)} ${text}`)
  const start = (): void => {
    timer ??= setInterval(() => draw(frame()), FRAME_MS).unref()
  }
  const stop = (): void => {
    if (timer === undefined) return
    clearInterval(timer)
    timer = undefined
    draw(renderLast(progress.stages(), frameOptions()))
    drawn = 0
  }
  const worthKeeping = (event: RunEvent): boolean =>
    event.type === 'run.started' || event.type === 'note' || verbosity > 0

  return {
    note: (text) => above(style.dim(text)),
    warn,
    close: stop,
    read(event) {
      progress.read(event)
      const warning = warningOf(event, 'terminal')
      if (warning !== undefined) return warn(warning)
      const text = worthKeeping(event)
        ? describeEvent(event, Math.max(0, verbosity - 1))
        : undefined
      if (text !== undefined) above(style.dim(text))
      if (event.type === 'stage.started') start()
      if (event.type === 'run.finished') stop()
    },
  }
}

interface FrameOptions {
  readonly output: { readonly columns: number; readonly rows: number }
  readonly style: Style
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** The lines of one frame: no wider than the terminal, and fewer than it has rows. */
function renderFrame(stages: readonly StageProgress[], options: FrameOptions): string[] {
  const { output, style } = options
  const room = Math.max(1, output.rows - stages.length - 2)
  return stages.flatMap((stage) => {
    const tables = [...stage.active.values()]
    const shown = tables.slice(0, tables.length > room ? room - 1 : room)
    const more = tables.length - shown.length
    return [
      renderStage(stage, options),
      ...shown.map((table) => style.dim(fitText(describeTable(table), lineWidth(output.columns)))),
      ...(more > 0 ? [style.dim(`    and ${counted(more, 'other')}`)] : []),
    ]
  })
}

/** The last frame: what was begun, without the tables. */
function renderLast(stages: readonly StageProgress[], options: FrameOptions): string[] {
  return stages
    .filter((stage) => stage.state !== 'waiting')
    .map((stage) => renderStage(stage, options))
}

function renderStage(stage: StageProgress, { output, style, now }: FrameOptions): string {
  const ms = stage.state === 'running' ? Math.max(0, now - stage.startedAt) : stage.ms
  const took = stage.state === 'waiting' ? '' : renderDuration(ms)
  const text = `${stage.stage.padEnd(9)}  ${describeStage(stage).padEnd(48)}  ${took.padStart(7)}`
  return `${markOf(stage, style)} ${fitText(text.trimEnd(), lineWidth(output.columns) - 2)}`
}

function markOf(stage: StageProgress, style: Style): string {
  switch (stage.state) {
    case 'waiting':
      return style.dim(MARKS.waiting)
    case 'running':
      return style.cyan(MARKS.running)
    case 'done':
      return style.green(MARKS.done)
    case 'nothing to do':
      return style.dim(MARKS.nothing)
    case 'failed':
    case 'stopped':
      return style.red(MARKS.failed)
  }
}

function describeTable(progress: TableProgress): string {
  const { table, rows, bytes } = progress
  const [perSecond, left] = [rateOf(progress), timeLeft(progress)]
  const rate = perSecond === undefined ? '' : formatRate(perSecond)
  const name = fitText(printable(table), NAME_WIDTH).padEnd(NAME_WIDTH)
  const size = formatBytes(bytes).padStart(7)
  const rest = left === undefined ? '' : `  ${renderDuration(left)} left`
  return `    ${name}  ${counted(rows, 'row').padStart(16)}  ${size}  ${rate}${rest}`.trimEnd()
}

/** One less than the terminal, where some would wrap. */
function lineWidth(columns: number): number {
  return Math.max(20, columns - 1)
}
