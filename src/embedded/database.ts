/**
 * A database of the embedded server with its roles: there whole, or not at all. It is created and
 * set up under another name and renamed last, so that a kill leaves only what the next start drops.
 * Roles have the passwords that the cluster's secret gives them, and so stay valid for ever.
 */
import { createHash } from 'node:crypto'
import type { Client } from 'pg'
import { ToteError } from '../errors.ts'
import type { EmbeddedServer } from './server.ts'
import { quoteIdentifier, quoteLiteral } from '../postgres/identifiers.ts'

export interface DatabaseOptions {
  readonly database: string
  /** Owns the database and may create schemas and tables in it. */
  readonly owner: string
  /** May connect and select from the tables in `public`, also from those that the owner adds later. */
  readonly reader?: string
  /** Fills a new database. May throw: then there is no database, and the next call begins again. */
  readonly setup?: (ownerUrl: string) => Promise<void>
}

export interface EmbeddedDatabase {
  readonly ownerUrl: string
  readonly readerUrl: string | null
  /** Whether this call created it. */
  readonly created: boolean
}

/** Finds or creates a database; calls at the same time wait for each other. Throws EmbeddedFailed, and what `setup` throws. */
export async function ensureEmbeddedDatabase(
  server: EmbeddedServer,
  options: DatabaseOptions,
): Promise<EmbeddedDatabase> {
  const { database, owner, reader } = options
  const admin = await openSession(server, 'postgres', database)
  let created = false
  try {
    // Held by this session, so that a kill releases it.
    await admin.run('select pg_advisory_lock(hashtextextended($1, 0))', [
      `tote database ${database}`,
    ])
    await ensureRoles(admin, server, options)
    const found = await admin.run('select from pg_database where datname = $1', [database])
    created = found === 0
    if (created) await createDatabase(admin, server, options)
    else if (reader !== undefined) await admitReader(server, database, options)
  } finally {
    await admin.end()
  }
  const readerUrl = reader === undefined ? null : server.url(database, reader)
  return { ownerUrl: server.url(database, owner), readerUrl, created }
}

interface Session {
  /** Runs one statement; returns the number of rows. */
  run(text: string, values?: readonly string[]): Promise<number>
  end(): Promise<void>
}

async function openSession(
  server: EmbeddedServer,
  database: string,
  about: string,
): Promise<Session> {
  const { default: pg } = await import('pg')
  const client: Client = new pg.Client({ connectionString: server.url(database) })
  // Without a listener a lost connection would end the process.
  client.on('error', () => undefined)
  const attempt = async <T>(action: () => Promise<T>): Promise<T> => {
    try {
      return await action()
    } catch (error) {
      const { message, code } = error as Error & { code?: string }
      const text = `The embedded database "${about}" could not be prepared: ${message}.`
      throw new ToteError('EmbeddedFailed', text, {
        where: server.folder,
        sqlstate: code,
        cause: error,
      })
    }
  }
  await attempt(async () => client.connect())
  return {
    run: async (text, values) =>
      attempt(
        async () => (await client.query(text, values === undefined ? [] : [...values])).rows.length,
      ),
    end: async () => client.end().catch(() => undefined),
  }
}

async function ensureRoles(
  admin: Session,
  server: EmbeddedServer,
  options: DatabaseOptions,
): Promise<void> {
  for (const role of new Set([options.owner, options.reader ?? options.owner])) {
    if ((await admin.run('select from pg_roles where rolname = $1', [role])) > 0) continue
    const password = quoteLiteral(server.password(role))
    try {
      await admin.run(`create role ${quoteIdentifier(role)} login password ${password}`)
    } catch (error) {
      // Another command, busy with another database, may have been quicker with this role.
      if (!['42710', '23505'].includes((error as ToteError).facts.sqlstate ?? '')) throw error
    }
  }
}

async function createDatabase(
  admin: Session,
  server: EmbeddedServer,
  options: DatabaseOptions,
): Promise<void> {
  const { database, owner, reader, setup } = options
  // Of a fixed length, and one per database: a leftover is found by its name, under the lock.
  const digest = createHash('sha256').update(database).digest('hex').slice(0, 16)
  const unfinished = `tote_unfinished_${digest}`
  const name = quoteIdentifier(unfinished)
  await admin.run(`drop database if exists ${name} with (force)`)
  await admin.run(`create database ${name} owner ${quoteIdentifier(owner)}`)
  await admin.run(`revoke all on database ${name} from public`)
  await setup?.(server.url(unfinished, owner))
  if (reader !== undefined) await admitReader(server, unfinished, options)
  // Waits up to five seconds for connections of `setup` that are still closing.
  await admin.run(`alter database ${name} rename to ${quoteIdentifier(database)}`)
}

/** Idempotent, and skipped where the reader may connect already: that right is given last. */
async function admitReader(
  server: EmbeddedServer,
  database: string,
  options: DatabaseOptions,
): Promise<void> {
  const { owner, reader = owner } = options
  const session = await openSession(server, database, options.database)
  try {
    const admitted = await session.run(
      "select where has_database_privilege($1, current_database(), 'connect')",
      [reader],
    )
    if (admitted > 0) return
    const role = quoteIdentifier(reader)
    await session.run(`grant usage on schema public to ${role}`)
    await session.run(`grant select on all tables in schema public to ${role}`)
    await session.run(
      `alter default privileges for role ${quoteIdentifier(owner)} in schema public grant select on tables to ${role}`,
    )
    await session.run(`grant connect on database ${quoteIdentifier(database)} to ${role}`)
  } finally {
    await session.end()
  }
}
