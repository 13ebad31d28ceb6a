/**
 * Where it all happens: a temporary folder, and databases with roles of their own on the server that
 * TEST_PG names (a superuser's URL) or on an embedded one. Nothing of it remains.
 */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbedded } from '../src/embedded/server.ts'
import { connect } from '../src/postgres/connection.ts'
import { quoteIdentifier, quoteLiteral } from '../src/postgres/identifiers.ts'

export interface BenchDatabase {
  readonly ownerUrl: string
  /** A role that may only SELECT, once it has been granted that. */
  readonly readerUrl: string
}

export interface Place {
  readonly folder: string
  /** A role name, to be granted SELECT. */
  readonly reader: string
  /** The server's first process, where it was started here. */
  readonly pid: number | null
  /** What the server says of itself. */
  readonly server: Readonly<Record<string, string | null>>
  createDatabase(): Promise<BenchDatabase>
  /** Has all written that waits to be: what comes next is not held up by what came before. */
  settle(): Promise<void>
  close(): Promise<void>
}

export async function openPlace(superuserUrl: string | undefined): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'tote-bench-'))
  // As root, the embedded server's user must pass through it.
  await chmod(folder, 0o755)
  const embedded = superuserUrl === undefined ? await startEmbedded({ folder }) : undefined
  const base = superuserUrl ?? embedded?.url('postgres') ?? ''
  const suffix = randomBytes(4).toString('hex')
  const password = randomBytes(16).toString('hex')
  const roles = { owner: `tote_bench_owner_${suffix}`, reader: `tote_bench_reader_${suffix}` }
  const databases: string[] = []
  for (const role of Object.values(roles))
    await execute(base, `create role ${role} login password ${quoteLiteral(password)}`)
  return {
    folder,
    reader: roles.reader,
    pid: embedded === undefined ? null : await firstProcess(base),
    server: await facts(base),
    createDatabase: async () => {
      const name = `tote_bench_${suffix}_${databases.length}`
      databases.push(name)
      await execute(base, `create database ${quoteIdentifier(name)} owner ${roles.owner}`)
      const url = (role: string): string => urlOf(base, name, { role, password })
      return { ownerUrl: url(roles.owner), readerUrl: url(roles.reader) }
    },
    settle: async () => {
      await execute(base, 'checkpoint')
      spawnSync('sync')
    },
    close: async () => {
      for (const name of databases)
        await execute(base, `drop database if exists ${quoteIdentifier(name)} with (force)`)
      for (const role of Object.values(roles)) await execute(base, `drop role ${role}`)
      await embedded?.release()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Runs statements and returns the rows of the last. */
export async function execute(
  url: string,
  text: string,
): Promise<Readonly<Record<string, string | null>>[]> {
  const connection = await connect({ side: 'source', name: 'bench', url })
  try {
    return await connection.query('prepare a benchmark', text)
  } finally {
    await connection.close()
  }
}

async function firstProcess(url: string): Promise<number> {
  const [row] = await execute(
    url,
    `select split_part(pg_read_file('postmaster.pid'), e'\\n', 1) as pid`,
  )
  return Number(row?.['pid'])
}

async function facts(url: string): Promise<Readonly<Record<string, string | null>>> {
  const names = ['server_version', 'shared_buffers', 'fsync', 'wal_level', 'max_wal_size']
  const settings = names.map((name) => `current_setting('${name}') as ${name}`)
  return (await execute(url, `select ${settings.join(', ')}`))[0] ?? {}
}

function urlOf(
  base: string,
  database: string,
  { role, password }: { role: string; password: string },
): string {
  const url = new URL(base)
  url.pathname = `/${database}`
  url.username = role
  url.password = password
  return url.href
}
