/**
 * Servers of a test's own, from the binaries in a folder: made, copied, put back, followed and promoted. They run
 * as another user when the test is root's, and end with it.
 */
import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import { findBinaries, prepareBinaries } from '../../src/embedded/binaries.ts'
import { findHome } from '../../src/embedded/home.ts'

/** Where Debian and its kin keep what comes with a server of that major. */
export const DEBIAN_15 = '/usr/lib/postgresql/15/bin'

/** Why servers cannot be copied and followed here; undefined when they can. */
export function missingTools(bin: string): string | undefined {
  const missing = ['initdb', 'postgres', 'pg_basebackup', 'pg_resetwal'].filter(
    (name) => !existsSync(join(bin, name)),
  )
  return missing.length === 0 ? undefined : `not installed in ${bin}: ${missing.join(', ')}`
}

type Settings = Readonly<Record<string, string>>

export interface Cluster {
  readonly data: string
  readonly port: number
  url(database: string, user?: string): string
  /** Statements in a session of their own; the rows of the last, every value as text. */
  query(database: string, sql: string): Promise<Record<string, string | null>[]>
  start(settings?: Settings): Promise<void>
  isRunning(): boolean
  stop(how?: 'fast' | 'immediate'): Promise<void>
  /** SIGKILL to the server and all its sessions at once; `start` has it recover. */
  kill(): Promise<void>
  /** Writes a file of zeros among its data. */
  zero(path: string, bytes: number): Promise<void>
  /** A program of the same binaries, as the server's user. */
  tool(name: string, ...args: string[]): Promise<string>
}

export interface Clusters {
  /** initdb: a server with a system identifier of its own, not yet started. */
  create(settings?: Settings): Promise<Cluster>
  /** pg_basebackup: a standby that follows by streaming, not yet started. */
  follow(primary: Cluster, settings?: Settings): Promise<Cluster>
  /** Copies the files of a server that is stopped; returns how to put them back. */
  keep(cluster: Cluster): Promise<() => Promise<void>>
  /** Stops all of them and deletes their files. */
  end(): Promise<void>
}

const SETTINGS: Settings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  fsync: 'off',
  shared_buffers: '16MB',
  max_wal_size: '256MB',
  wal_level: 'replica',
  max_prepared_transactions: '10',
}

/** Of the PostgreSQL that the package brings along. */
export async function openEmbeddedClusters(): Promise<Clusters> {
  const folder = await mkdtemp(join(tmpdir(), 'tote-servers-'))
  // As root, the servers' user must pass through it.
  await chmod(folder, 0o755)
  const native = await prepareBinaries(
    await findBinaries([import.meta.url]),
    await findHome(folder),
  )
  const clusters = await openClusters(join(native, 'bin'))
  return {
    ...clusters,
    end: async () => {
      await clusters.end()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export async function openClusters(bin: string): Promise<Clusters> {
  const home = await mkdtemp(join(tmpdir(), 'tote-cluster-'))
  const user = serverUser()
  if (user !== undefined) await chown(home, user.uid, user.gid)
  await chmod(home, 0o755)
  const all: Cluster[] = []
  const tool = async (name: string, args: readonly string[]): Promise<string> => {
    const done = await promisify(execFile)(join(bin, name), args, {
      ...user,
      cwd: home,
      env: { LC_ALL: 'C', TZ: 'UTC' },
    })
    return done.stdout
  }
  const add = async (data: string, own: Settings = {}): Promise<Cluster> => {
    const cluster = openCluster({ bin, data, user, own, port: await freePort(), tool })
    all.push(cluster)
    return cluster
  }
  return {
    create: async (settings) => {
      const data = join(home, `cluster-${all.length}`)
      await tool('initdb', ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync'])
      return add(data, settings)
    },
    follow: async (primary, settings) => {
      const data = join(home, `cluster-${all.length}`)
      const from = ['-h', '127.0.0.1', '-p', String(primary.port), '-U', 'postgres']
      await tool('pg_basebackup', [
        '-D',
        data,
        ...from,
        '-R',
        '-X',
        'stream',
        '-c',
        'fast',
        '--no-sync',
      ])
      return add(data, settings)
    },
    keep: async ({ data }) => {
      const copy = `${data}-kept`
      // Owner and mode as they are, which a server insists on.
      execFileSync('cp', ['-a', data, copy])
      return async () => {
        await rm(data, { recursive: true })
        execFileSync('cp', ['-a', copy, data])
      }
    },
    end: async () => {
      await Promise.all(all.map(async (cluster) => cluster.stop('immediate')))
      await rm(home, { recursive: true, force: true })
    },
  }
}

interface Parts {
  readonly bin: string
  readonly data: string
  readonly user: { readonly uid: number; readonly gid: number } | undefined
  readonly own: Settings
  readonly port: number
  readonly tool: (name: string, args: readonly string[]) => Promise<string>
}

function openCluster({ bin, data, user, own, port, tool }: Parts): Cluster {
  let child: ChildProcess | undefined
  const url = (database: string, name = 'postgres'): string =>
    `postgres://${name}@127.0.0.1:${port}/${database}`
  const query: Cluster['query'] = async (database, sql) => {
    const client = new pg.Client({
      connectionString: url(database),
      types: { getTypeParser: () => (value: unknown) => value },
    })
    client.on('error', () => undefined)
    await client.connect()
    try {
      const result = await client.query(sql)
      const last = (Array.isArray(result) ? result.at(-1) : result) as pg.QueryResult
      return last.rows as Record<string, string | null>[]
    } finally {
      await client.end()
    }
  }
  return {
    data,
    port,
    url,
    query,
    zero: async (path, bytes) => {
      await writeFile(join(data, path), Buffer.alloc(bytes), { mode: 0o600 })
      if (user !== undefined) await chown(join(data, path), user.uid, user.gid)
    },
    tool: async (name, ...args) => tool(name, args),
    start: async (settings = {}) => {
      const given = Object.entries({ ...SETTINGS, ...own, ...settings, port: String(port) })
      const launch = (): ChildProcess =>
        spawn(
          join(bin, 'postgres'),
          ['-D', data, ...given.flatMap(([name, value]) => ['-c', `${name}=${value}`])],
          {
            ...user,
            cwd: data,
            env: { LC_ALL: 'C', TZ: 'UTC' },
            stdio: ['ignore', 'ignore', 'pipe'],
          },
        )
      let said = ''
      const listen = (started: ChildProcess): ChildProcess => {
        started.stderr?.on('data', (text) => (said = (said + String(text)).slice(-4000)))
        return started
      }
      child = listen(launch())
      for (let tries = 0; ; tries++) {
        const refused = await query('postgres', 'select 1').then(
          () => undefined,
          (error: unknown) => error,
        )
        if (refused === undefined) return
        // What was killed may hold its memory and its port for a moment.
        if (child.exitCode !== null && /in use|pid file|lock file/.test(said) && tries < 100) {
          said = ''
          child = listen(launch())
        } else if (child.exitCode !== null || tries > 600)
          throw new Error(`the server did not start: ${said}`, { cause: refused })
        await sleep(50)
      }
    },
    isRunning: () => child !== undefined && child.exitCode === null && child.signalCode === null,
    stop: async (how = 'fast') => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
      child.kill(how === 'fast' ? 'SIGINT' : 'SIGQUIT')
      await exit
    },
    kill: async () => {
      if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
      const all = [child.pid, ...childrenOf(child.pid)]
      for (const pid of all) killProcess(pid)
      await exit
    },
  }
}

function childrenOf(pid: number): number[] {
  const list = `/proc/${pid}/task/${pid}/children`
  // Elsewhere they notice by themselves that their server is gone.
  if (!existsSync(list)) return []
  return readFileSync(list, 'utf8').trim().split(' ').filter(Boolean).map(Number)
}

/** SIGKILL, to whom it may concern. */
export function killProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** PostgreSQL refuses to run as root. */
function serverUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const id = (flag: string): number =>
    Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
