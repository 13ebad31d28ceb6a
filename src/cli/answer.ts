/**
 * How a command answers. stdout is the answer, stderr the commentary; with `--json` the answer, an
 * error included, is one object on stdout.
 */
import { quoteWord, type ToteError } from '../errors.ts'
import { renderError } from '../terminal/error-screen.ts'
import { toJson } from '../observability/json-lines.ts'
import type { TextOutput } from '../observability/reader.ts'
import { createStyle, MARKS, printable, type Style } from '../terminal/style.ts'
import type { Invocation, Warning } from './context.ts'
import type { GlobalFlags } from './flags.ts'
import { type Surface, version, wantsColour } from './surface.ts'

/** Colour for one of the two streams. */
export function styleOf({ surface, flags }: Invocation, stream: 'stdout' | 'stderr'): Style {
  return createStyle(wantsColour(surface[stream], surface.env, flags.colour))
}

/** Writes the answer of a reading command: an object, or lines; warnings go with it, or to stderr. */
export function answer(
  invocation: Invocation,
  given: {
    readonly data: unknown
    readonly lines: (style: Style) => readonly string[]
    readonly warnings: readonly Warning[]
  },
): void {
  const { surface, flags, command } = invocation
  const { data, lines, warnings } = given
  if (flags.json) {
    surface.stdout.write(`${toJson({ version: 1, command, data, warnings })}\n`)
    return
  }
  writeLines(surface.stdout, lines(styleOf(invocation, 'stdout')))
  const style = styleOf(invocation, 'stderr')
  for (const { where, message } of warnings) {
    const place = where === undefined ? '' : `${printable(where)}  `
    writeLines(surface.stderr, [`${style.yellow(MARKS.warning)} ${place}${printable(message)}`])
  }
}

/** Notes of a slow start, for whoever waits at a terminal. */
export function startLog(invocation: Invocation): (text: string) => void {
  const { surface, flags } = invocation
  if (flags.quiet || flags.json || (!surface.stderr.isTTY && flags.verbosity === 0))
    return () => undefined
  const style = styleOf(invocation, 'stderr')
  return (text) => writeLines(surface.stderr, [style.dim(printable(text))])
}

export interface FailureOptions {
  readonly command: string
  readonly json: boolean
  readonly verbosity: number
  readonly colour: boolean
  readonly tote: string
  readonly again?: string
}

/** Writes an error: as the last object on stdout, or as a screen on stderr. */
export function answerError(error: ToteError, surface: Surface, options: FailureOptions): void {
  const { command, json, verbosity, colour, tote, again } = options
  if (json) {
    surface.stdout.write(`${toJson({ version: 1, command, error, warnings: [] })}\n`)
    return
  }
  const screen = renderError(error, {
    style: createStyle(wantsColour(surface.stderr, surface.env, colour)),
    ownTerminal: surface.stderr.isTTY,
    verbosity,
    tote,
    about: `tote ${version()}, Node ${process.version}, ${process.platform} ${process.arch}`,
    ...(again === undefined ? {} : { again }),
  })
  writeLines(surface.stderr, screen)
}

export function writeLines(output: TextOutput, lines: readonly string[]): void {
  if (lines.length > 0) output.write(`${lines.join('\n')}\n`)
}

/** How the user starts `tote` from here, for commands that they are told to type. */
export function toteFrom(
  env: Surface['env'],
  flags: Pick<GlobalFlags, 'writtenCwd' | 'env'> = {},
): string {
  const tote = env['npm_command'] === 'exec' ? 'npx tote' : 'tote'
  return [
    tote,
    ...(flags.writtenCwd === undefined ? [] : ['-C', quoteWord(flags.writtenCwd)]),
    ...(flags.env === undefined ? [] : ['-e', quoteWord(flags.env)]),
  ].join(' ')
}

/** What was typed, to be typed again. */
export function commandLine({ argv, surface }: Pick<Invocation, 'argv' | 'surface'>): string {
  return [toteFrom(surface.env), ...argv.map(quoteWord)].join(' ')
}
