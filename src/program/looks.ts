/** The commands that only look: their flags and help. Their code is imported when they are called. */
import type { Command } from 'commander'
import { readLimit } from '../cli/flags.ts'
import type { QueryFlags } from '../reports/query.ts'
import type { RolesFlags } from '../reports/roles.ts'
import type { Act } from './act.ts'

export function addLooks(program: Command, act: Act): void {
  addStatus(program, act)
  addQuery(program, act)
  addRoles(program, act)
  addExplain(program, act)
}

function addStatus(program: Command, act: Act): void {
  program
    .command('status')
    .description('how fresh every table is, and how the last runs went')
    .action((_: unknown, command: Command) =>
      act(command, async (invocation) =>
        (await import('../reports/status.ts')).commandStatus(invocation),
      ),
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
