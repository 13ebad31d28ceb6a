/** The commands that do something: their flags and help. Their code is imported when they are called. */
import { type Command, Option } from 'commander'
import { readDuration, readList, readWord } from '../cli/flags.ts'
import type { CheckFlags } from '../commands/check.ts'
import type { InitFlags } from '../commands/init.ts'
import type { RebuildFlags } from '../commands/rebuild.ts'
import type { RunFlags } from '../commands/run.ts'
import type { VerifyFlags } from '../commands/verify.ts'
import type { Stage } from '../types.ts'
import type { Act } from './act.ts'

export function addActions(program: Command, act: Act): void {
  addInit(program, act)
  addRun(program, act)
  addVerify(program, act)
  addRebuild(program, act)
  addCheck(program, act)
  addTest(program, act)
}

function addInit(program: Command, act: Act): void {
  program
    .command('init')
    .description("write a project from a database's catalogue")
    .argument('[dir]', 'where; made when it is not there', '.')
    .option('--source <url>', 'the PostgreSQL to read: a URL, or env:NAME of a variable')
    .option('--warehouse <url>', 'the PostgreSQL to load; without it, an embedded one')
    .option('--schema <names>', 'only tables of these schemas', readList)
    .option('--tables <patterns>', 'only these: table, schema.table, with *', readList)
    .option('-y, --yes', 'ask nothing')
    .action((dir: string, flags: InitFlags, command: Command) =>
      act(command, async (invocation) =>
        (await import('../commands/init.ts')).commandInit(invocation, dir, flags),
      ),
    )
}

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
    .option('--accept-change <table...>', 'follow what happened to the shape of these tables, once')
    .option(
      '--accept-source',
      'take the database that answers now for the source, also in an older state',
    )
    .option('--forward <model...>', 'let edited models keep their old versions and begin now')
    .option('--dry-run', 'say what a run would do; nothing is written')
    .option('-s, --select <model...>', 'of a dry run: only these models, with * in names')
    .option('--exclude <model...>', 'of a dry run: all models but these')
    .option('-x, --fail-fast', 'end with the first failure')
    .option('--no-wait', 'exit 4 when another run is under way')
    .option('--timeout <duration>', 'stop after 30s, 5m, 2h', readDuration)
    .addOption(logFormat())
    .action((flags: RunFlags, command: Command) =>
      act(command, async (invocation) =>
        (await import('../commands/run.ts')).commandRun(invocation, flags),
      ),
    )
}

function addRebuild(program: Command, act: Act): void {
  program
    .command('rebuild')
    .description('make the warehouse anew from the lake alone')
    .option('--dry-run', 'build and compare, then leave all as it was; exit 5 on a difference')
    .option('--into <schema>', 'build in this schema and leave it there, instead of switching')
    .option('--accept-lake', 'take this lake for the warehouse, whatever the ledger says')
    .option('--timeout <duration>', 'stop after 30s, 5m, 2h', readDuration)
    .addOption(logFormat())
    .action((flags: RebuildFlags, command: Command) =>
      act(command, async (invocation) =>
        (await import('../commands/rebuild.ts')).commandRebuild(invocation, flags),
      ),
    )
}

function addVerify(program: Command, act: Act): void {
  program
    .command('verify')
    .description('a batch, then all sides of it compared row by row')
    .argument('[of...]', 'only these: staff, shop.staff, dim_staff; without any, all')
    .option('--repair', 'make good what differs, and compare again')
    .option('--no-wait', 'exit 4 when another run is under way')
    .option('--timeout <duration>', 'stop after 30s, 5m, 2h', readDuration)
    .addOption(logFormat())
    .action((tables: string[], flags: VerifyFlags, command: Command) =>
      act(command, async (invocation) =>
        (await import('../commands/verify.ts')).commandVerify(invocation, tables, flags),
      ),
    )
}

function logFormat(): Option {
  return new Option('--log-format <format>', 'commentary as pretty lines or JSON')
    .argParser(readWord(['pretty', 'json']))
    .default('pretty')
    .env('TOTE_LOG_FORMAT')
}

function addCheck(program: Command, act: Act): void {
  program
    .command('check')
    .description('look for mistakes before a run')
    .option('--live', 'also connect: servers, rights, tables')
    .option('--data', 'also run the models on the rows of the lake, in several orders')
    .action((flags: CheckFlags, command: Command) =>
      act(command, async (invocation) =>
        (await import('../commands/check.ts')).commandCheck(invocation, flags),
      ),
    )
}

function addTest(program: Command, act: Act): void {
  program
    .command('test')
    .description('run the tests of models: given rows, expected rows')
    .argument('[model]', 'only the tests of this model')
    .action((model: string | undefined, _: unknown, command: Command) =>
      act(command, async (invocation) =>
        (await import('../commands/test.ts')).commandTest(invocation, model),
      ),
    )
}
