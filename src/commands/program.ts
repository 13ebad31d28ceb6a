/**
 * The commands, their flags and their help. A command's own code is imported when it is called, so
 * that help and version cost nothing but this file and commander.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Command, CommanderError, Option } from 'commander'
import { ToteError, toToteError } from '../errors.ts'
import { createStyle } from '../terminal/style.ts'
import type { Stage } from '../types.ts'
import type { CheckFlags } from './check.ts'
import type { QueryFlags } from './query.ts'
import type { RunFlags } from './run.ts'
import type { Invocation } from '../cli/context.ts'
import { addGlobalFlags, readDuration, readGlobalFlags, readLimit, readWord } from '../cli/flags.ts'
import type { Pipeline } from '../cli/pipeline.ts'
import { exitCodeOf, type Surface, version, wantsColour } from '../cli/surface.ts'

const COMMANDS = ['run', 'status', 'query', 'check', 'explain']

/** Runs one command line (without `node` and script) and returns its exit code; never throws. */
export async function main(
  argv: readonly string[],
  surface: Surface,
  pipeline: Pipeline,
): Promise<number> {
  let exit = 0
  const act: Act = async (command, work) => {
    const flags = readGlobalFlags(program, surface.cwd)
    exit = await work({ command: command.name(), argv, surface, pipeline, flags })
  }
  const program = buildProgram({ argv, surface, act })
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return exit
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) return report(thrown, argv, surface)
    // No command at all: help is the answer to that, too.
    if (thrown.code === 'commander.help') program.outputHelp()
    const answered = ['commander.help', 'commander.helpDisplayed', 'commander.version'].includes(
      thrown.code,
    )
    return answered ? 0 : report(usageError(thrown, commandIn(argv)), argv, surface)
  }
}

/** Says what went wrong, whatever was thrown, and returns the exit code. */
export async function report(
  thrown: unknown,
  argv: readonly string[],
  surface: Surface,
): Promise<number> {
  const { answerError, commandLine, toteFrom, writeLines } = await import('../cli/answer.ts')
  const stopped = surface.signal.aborted && surface.signal.reason instanceof ToteError
  const error = stopped ? (surface.signal.reason as ToteError) : toToteError(thrown)
  const json = argv.includes('--json')
  answerError(error, surface, {
    command: commandIn(argv),
    json,
    verbosity: verbosityIn(argv),
    colour: !argv.includes('--no-color'),
    tote: toteFrom(surface.env, undefined),
    again: commandLine({ argv, surface }),
  })
  if (error.name === 'ConfigNotFound' && !json) writeLines(surface.stderr, ['', BEGIN])
  return exitCodeOf(error)
}

type Act = (
  command: Command,
  work: (invocation: Invocation) => number | Promise<number>,
) => Promise<void>

interface ProgramOptions {
  readonly surface: Surface
  readonly argv: readonly string[]
  readonly act: Act
}

function buildProgram({ surface, argv, act }: ProgramOptions): Command {
  const colour = wantsColour(surface.stdout, surface.env, !argv.includes('--no-color'))
  const program = new Command('tote')
    .description('Carries operational data into a warehouse: nothing lost, nothing doubled.')
    .usage('COMMAND [options]')
    .version(version(), '-V, --version', 'the version')
    .helpOption('-h, --help', 'help; also after a command')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      // Asked for or not, help is an answer; what commander calls errors is said by fail().
      writeOut: (text) => surface.stdout.write(text),
      writeErr: () => undefined,
      getOutHelpWidth: () => Math.min(100, surface.stdout.columns),
      getErrHelpWidth: () => Math.min(100, surface.stdout.columns),
      getOutHasColors: () => colour,
    })
    .configureHelp({ styleTitle: createStyle(colour).bold, showGlobalOptions: true })
  addGlobalFlags(program)
  const begun =
    existsSync(join(surface.cwd, 'tote.config.ts')) ||
    argv.some((word) => /^(-C|-c|--cwd|--config)/.test(word))
  program.addHelpText('after', `\n${begun ? EXAMPLES : BEGIN}`)
  addRun(program, act)
  addStatus(program, act)
  addQuery(program, act)
  addCheck(program, act)
  addExplain(program, act)
  return program
}

const EXAMPLES = `Examples:
  tote run                                    one batch: extract, transform, load
  tote status                                 how fresh every table is
  tote query "select count(*) from dim_date"  ask the lake; --warehouse asks the warehouse`

/** Also shown with ConfigNotFound. */
const BEGIN = `To begin, in an empty folder:
  write tote.config.ts   export default defineProject({ name, sources, warehouse })
  tote check --live      can we reach everything?
  tote run               carry the first batch`

function addRun(program: Command, act: Act): void {
  program
    .command('run')
    .description('carry one batch from the sources to the warehouse')
    .addOption(
      new Option('--only <stage>', 'extract, transform or load').argParser(
        readWord<Stage>(['extract', 'transform', 'load']),
      ),
    )
    .option('--full-refresh', 'compare every table in full; history is kept')
    .option('--accept-shrink <table...>', 'let a batch delete most of these tables, once')
    .option('--accept-source', 'take the database that answers now for the source')
    .option('--no-wait', 'exit 4 when another run is under way')
    .option('--timeout <duration>', 'stop after 30s, 5m, 2h', readDuration)
    .addOption(
      new Option('--log-format <format>', 'commentary as pretty lines or JSON')
        .argParser(readWord(['pretty', 'json']))
        .default('pretty')
        .env('TOTE_LOG_FORMAT'),
    )
    .action((flags: RunFlags, command: Command) =>
      act(command, async (invocation) => (await import('./run.ts')).commandRun(invocation, flags)),
    )
}

function addStatus(program: Command, act: Act): void {
  program
    .command('status')
    .description('how fresh every table is, and how the last runs went')
    .action((_: unknown, command: Command) =>
      act(command, async (invocation) => (await import('./status.ts')).commandStatus(invocation)),
    )
}

function addQuery(program: Command, act: Act): void {
  program
    .command('query')
    .description('ask the lake or the warehouse, read-only')
    .argument('<sql>', 'one statement; - reads it from stdin')
    .option('--warehouse', 'ask the warehouse (PostgreSQL) instead of the lake (DuckDB)')
    .option('--limit <rows>', 'how many rows at most', readLimit, 100)
    .option('--csv', 'the answer as CSV')
    .action((sql: string, flags: QueryFlags, command: Command) =>
      act(command, async (invocation) =>
        (await import('./query.ts')).commandQuery(invocation, sql, flags),
      ),
    )
}

function addCheck(program: Command, act: Act): void {
  program
    .command('check')
    .description('look for mistakes before a run')
    .option('--live', 'also connect: servers, rights, tables')
    .action((flags: CheckFlags, command: Command) =>
      act(command, async (invocation) =>
        (await import('./check.ts')).commandCheck(invocation, flags),
      ),
    )
}

function addExplain(program: Command, act: Act): void {
  program
    .command('explain')
    .description('what the name of an error means')
    .argument('[name]', 'for example SourceUnreachable; without one, all of them')
    .action((name: string | undefined, _: unknown, command: Command) =>
      act(command, async (invocation) =>
        (await import('./explain.ts')).commandExplain(invocation, name),
      ),
    )
}

/** The command that was meant, as far as that can be told from a line that was not understood. */
function commandIn(argv: readonly string[]): string {
  return argv.find((word) => COMMANDS.includes(word)) ?? ''
}

function verbosityIn(argv: readonly string[]): number {
  return argv.reduce(
    (sum, word) => sum + (word === '--verbose' ? 1 : /^-v+$/.test(word) ? word.length - 1 : 0),
    0,
  )
}

/** Commander's message as one of ours: `error: unknown command 'rnu'\n(Did you mean run?)`. */
function usageError({ message }: CommanderError, command: string): ToteError {
  const [first = '', suggestion = ''] = message.replace(/^error: /, '').split('\n')
  const nearest = /^\((.*)\)$/.exec(suggestion)?.[1]
  const said = first.charAt(0).toUpperCase() + first.slice(1)
  return new ToteError('UsageInvalid', nearest === undefined ? said : `${said}. ${nearest}`, {
    fix: command === '' ? 'tote --help' : `tote ${command} --help`,
  })
}
