/** psql where the machine has one: the limit that ours is measured beside. */
import { spawnSync } from 'node:child_process'
import { timeProcess, type TimedOptions } from './timed-process.ts'

export function hasPsql(): boolean {
  return spawnSync('psql', ['--version']).status === 0
}

/** Seconds for these statements, in one transaction. `input` and `output` are files. */
export async function timePsql(
  url: string,
  statements: readonly string[],
  options: Pick<TimedOptions, 'input' | 'output' | 'ownSession' | 'core'> = {},
): Promise<number> {
  const args = ['-X', '-q', '-1', '-v', 'ON_ERROR_STOP=1', ...statements.flatMap((s) => ['-c', s])]
  return timeProcess('psql', args, { ...options, env: { ...process.env, ...environmentOf(url) } })
}

/** Not an argument: those are seen by everybody on the machine, and the URL holds a password. */
function environmentOf(url: string): Record<string, string> {
  const { hostname, port, username, password, pathname } = new URL(url)
  return {
    PGHOST: hostname,
    PGPORT: port,
    PGUSER: decodeURIComponent(username),
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: decodeURIComponent(pathname.slice(1)),
  }
}
