/** The flags that every command has, and how single values are read: what is wrong with one is a UsageInvalid. */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { parseDuration } from '../config/duration.ts'
import { nearestName, ToteError } from '../errors.ts'
import { parseAsOf, type AsOf } from '../project/moment.ts'

export interface GlobalFlags {
  /** Absolute. */
  readonly cwd: string
  readonly configFile?: string
  /** The project's environment; '' is none. */
  readonly env?: string
  readonly json: boolean
  readonly quiet: boolean
  readonly verbosity: number
  readonly colour: boolean
  /** As it was written, to be repeated in a hint. */
  readonly writtenCwd?: string
}

interface GlobalOptions {
  readonly cwd?: string
  readonly config?: string
  readonly env?: string
  readonly json?: boolean
  readonly quiet?: boolean
  readonly verbose: number
  readonly color: boolean
}

/** Adds the flags that may stand before or after any command. */
export function addGlobalFlags(program: Command): void {
  program
    .option('-C, --cwd <dir>', 'the project, when it is not here')
    .addOption(
      new Option('-c, --config <file>', 'another file than tote.config.ts').env('TOTE_CONFIG'),
    )
    .option('-e, --env <name>', 'an environment of the project (env: TOTE_ENV)')
    .option('--json', 'the answer as JSON on stdout')
    .option('-q, --quiet', 'only the answer, warnings and errors')
    .option('-v, --verbose', 'more; -vv with stacks', (_: unknown, before: number) => before + 1, 0)
    .option('--no-color', 'no colour, as with NO_COLOR')
}

/** The global flags as commands use them; UsageInvalid when the folder is not there. */
export function readGlobalFlags(program: Command, cwd: string): GlobalFlags {
  const options = program.opts<GlobalOptions>()
  const folder = resolve(cwd, options.cwd ?? '.')
  if (
    options.cwd !== undefined &&
    statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true
  ) {
    throw new ToteError('UsageInvalid', `There is no folder "${options.cwd}"`, { where: '--cwd' })
  }
  return {
    cwd: folder,
    json: options.json === true,
    quiet: options.quiet === true,
    verbosity: options.verbose,
    colour: options.color,
    ...(options.config === undefined ? {} : { configFile: resolve(folder, options.config) }),
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.cwd === undefined ? {} : { writtenCwd: options.cwd }),
  }
}

/** Milliseconds of `30s`, `5m`, `2h`. */
export function readDuration(text: string): number {
  const ms = parseDuration(text)
  if (ms === undefined) throw new InvalidArgumentError('A duration is written like 30s, 5m or 2h.')
  // The longest that a timer can wait for.
  if (ms > 2 ** 31 - 1) throw new InvalidArgumentError('The longest is 24d.')
  return ms
}

/** A whole number from 1. */
export function readLimit(text: string): number {
  const limit = Number(text)
  if (!/^\d+$/.test(text) || limit < 1 || !Number.isSafeInteger(limit)) {
    throw new InvalidArgumentError('A limit is a whole number from 1.')
  }
  return limit
}

/** A batch's number, or a moment. */
export function readAsOf(text: string): AsOf {
  const asOf = parseAsOf(text)
  if (asOf === undefined)
    throw new InvalidArgumentError(
      'It is the number of a batch, or a moment like 2026-11-20, 2026-11-20T09:30 or 2026-11-20T09:30:00+01:00.',
    )
  return asOf
}

/** One of a few words. */
export function readWord<Word extends string>(words: readonly Word[]): (text: string) => Word {
  return (text) => {
    const word = words.find((known) => known === text)
    if (word !== undefined) return word
    const nearest = nearestName(text, words)
    throw new InvalidArgumentError(
      `It is one of ${words.join(', ')}.${nearest === undefined ? '' : ` Did you mean ${nearest}?`}`,
    )
  }
}

/** Words between commas; the flag may also be given several times. */
export function readList(text: string, before: readonly string[] = []): readonly string[] {
  const words = text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
  if (words.length === 0) throw new InvalidArgumentError('It names nothing.')
  return [...before, ...words]
}
