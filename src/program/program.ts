/**
 * The program: one command line in, one exit code out. A command's own code is imported when it is
 * called, so that help and version cost nothing but these files and commander.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Command, CommanderError } from 'commander'
import { ToteError, toToteError } from '../errors.ts'
import { createStyle } from '../terminal/style.ts'
import { addGlobalFlags, readGlobalFlags } from '../cli/flags.ts'
import type { Pipeline } from '../cli/pipeline.ts'
import { exitCodeOf, type Surface, version, wantsColour } from '../cli/surface.ts'
import type { Act } from './act.ts'
import { addActions } from './actions.ts'
import { answerCompletion, COMPLETE } from './completion.ts'
import { addLooks } from './looks.ts'

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
  if (argv[0] === COMPLETE && argv[1] === '--') {
    await answerCompletion(program, argv.slice(2), { surface, pipeline })
    return 0
  }
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
    tote: toteFrom(surface.env),
    again: commandLine({ argv, surface }),
  })
  if (error.name === 'ConfigNotFound' && !json) writeLines(surface.stderr, ['', BEGIN])
  return exitCodeOf(error)
}

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
  return declareCommands(program, act)
}

function declareCommands(program: Command, act: Act): Command {
  addActions(program, act)
  addLooks(program, act)
  return program
}

const EXAMPLES = `Examples:
  tote run                                    one batch: extract, transform, load
  tote status                                 how fresh every table is
  tote query "select count(*) from dim_date"  ask the lake; --warehouse asks the warehouse`

/** Also shown with ConfigNotFound. */
const BEGIN = `To begin:
  tote init shop --source env:DATABASE_URL   a project from any PostgreSQL, in ./shop
  tote -C shop check --live                  can we reach everything?
  tote -C shop run                           carry the first batch`

/** The command that was meant, as far as that can be told from a line that was not understood. */
function commandIn(argv: readonly string[]): string {
  const names = declareCommands(new Command(), async () => undefined).commands.map((one) =>
    one.name(),
  )
  return argv.find((word) => names.includes(word)) ?? ''
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
