/** The commands that only look: their flags and help. Their code is imported when they are called. */
import type { Command } from 'commander'
import { readDuration, readAsOf, readLimit } from '../cli/flags.ts'
import type { ListFlags } from '../reports/list.ts'
import type { LogsFlags } from '../reports/logs.ts'
import type { QueryFlags } from '../reports/query.ts'
import type { RolesFlags } from '../reports/roles.ts'
import type { RunsFlags } from '../reports/runs.ts'
import type { ShowFlags } from '../reports/show.ts'
import type { StatusFlags } from '../reports/status.ts'
import type { Act } from './act.ts'
import { addCompletion } from './completion.ts'

export function addLooks(program: Command, act: Act): void {
  addStatus(program, act)
  addList(program, act)
  addShow(program, act)
  addQuery(program, act)
  addRoles(program, act)
  addRuns(program, act)
  addLogs(program, act)
  addExplain(program, act)
  addCompletion(program, act)
}

function addStatus(program: Command, act: Act): void {
  program
    .command('status')
    .description('how fresh every table is, and how the last runs went')
    .option('--check', 'exit 5 when a table is late, or the last run failed')
    .option(
      '--max-age <duration>',
      'how late is late, for --check; 1h when not given',
      readDuration,
    )
    .option('--all', 'a line for each table, however many')
    .action((flags: StatusFlags, command: Command) =>
      act(command, async (invocation) =>
        (await import('../reports/status.ts')).commandStatus(invocation, flags),
      ),
    )
}

function addQuery(program: Command, act: Act): void {
  program
    .command('query')
    .description('ask the lake or the warehouse, read-only')
    .argument('<sql>', 'one statement; - reads it from stdin')
    .option('--warehouse', 'ask the warehouse (PostgreSQL) instead of the lake (DuckDB)')
    .option(
      '--as-of <batch or time>',
      'as it was at batch 7, or at 2026-11-20T09:30 (UTC)',
      readAsOf,
    )
    .option('--limit <rows>', 'how many rows at most', readLimit, 100)
    .option('--csv', 'the answer as CSV')
    .action((sql: string, flags: QueryFlags, command: Command) =>
      act(command, async (invocation) =>
        (await import('../reports/query.ts')).commandQuery(invocation, sql, flags),
      ),
    )
}

function addRoles(program: Command, act: Act): void {
  program
    .command('roles')
    .description('SQL for the roles that the databases need')
    .option('--source <name>', 'only of this source')
    .option('--warehouse', 'only of the warehouse')
    .option('--role <name>', 'another role than the one in the URL')
    .action((flags: RolesFlags, command: Command) =>
      act(command, async (invocation) =>
        (await import('../reports/roles.ts')).commandRoles(invocation, flags),
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
        (await import('../reports/explain.ts')).commandExplain(invocation, name),
      ),
    )
}

function addList(program: Command, act: Act): void {
  program
    .command('list')
    .description('sources, tables and models')
    .option('--all', 'a line for each, however many')
    .action((flags: ListFlags, command: Command) =>
      act(command, async (invocation) =>
        (await import('../reports/list.ts')).commandList(invocation, flags),
      ),
    )
}

function addShow(program: Command, act: Act): void {
  program
    .command('show')
    .description('one table or model: columns, lineage, SQL, rows')
    .argument('<name>', 'dim_staff, or shop.staff')
    .option('--as-of <batch or time>', 'its rows as they were then', readAsOf)
    .option('--limit <rows>', 'how many rows of it', readLimit, 5)
    .action((name: string, flags: ShowFlags, command: Command) =>
      act(command, async (invocation) =>
        (await import('../reports/show.ts')).commandShow(invocation, name, flags),
      ),
    )
}

function addRuns(program: Command, act: Act): void {
  program
    .command('runs')
    .description('the last runs, or one in full')
    .argument('[run]', 'its id, the beginning of one, or last')
    .option('--limit <runs>', 'how many at most', readLimit, 20)
    .action((run: string | undefined, flags: RunsFlags, command: Command) =>
      act(command, async (invocation) =>
        (await import('../reports/runs.ts')).commandRuns(invocation, run, flags),
      ),
    )
}

function addLogs(program: Command, act: Act): void {
  program
    .command('logs')
    .description('what a run said')
    .argument('[run]', 'as of runs; the last when not given')
    .option('-f, --follow', 'go on until it ends')
    .action((run: string | undefined, flags: LogsFlags, command: Command) =>
      act(command, async (invocation) =>
        (await import('../reports/logs.ts')).commandLogs(invocation, run, flags),
      ),
    )
}
