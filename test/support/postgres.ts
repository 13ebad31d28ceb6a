/**
 * Databases for tests, on the one server of this vitest run (postgres-setup.ts). A database costs
 * some 30 ms: create one per test file, or per test that must not see another's.
 */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { inject } from 'vitest'
import { quoteIdentifier } from '../../src/postgres/identifiers.ts'
import './postgres-setup.ts'

export interface TestDatabase {
  readonly name: string
  /** The superuser's. */
  readonly url: string
  /** For a role that the test creates: `create role x login password 'x'`, its password is its name. */
  roleUrl(role: string): string
  /** One statement with values, or several without: the rows of the last, every value as the server's text. */
  query(sql: string, values?: unknown[]): Promise<Record<string, string | null>[]>
  /** Ends every connection to the database and drops it. Roles are the server's: drop them after. */
  drop(): Promise<void>
}

export interface TestServer {
  url(database: string, user?: string): string
  createDatabase(prefix?: string): Promise<TestDatabase>
  /** One that is there. */
  database(name: string): TestDatabase
}

/** The server of this run. Throws in a test file that is not in the lane of PostgreSQL. */
export async function testServer(): Promise<TestServer> {
  const base = inject('postgresUrl') as string | undefined
  if (base === undefined) throw new Error('this test needs PostgreSQL: name its file *.pg.test.ts')
  return serverAt(base)
}

/** The server at a superuser's URL. */
export function serverAt(base: string): TestServer {
  const url = (database: string, user?: string): string => {
    const parsed = new URL(base)
    parsed.pathname = `/${encodeURIComponent(database)}`
    if (user !== undefined) {
      parsed.username = encodeURIComponent(user)
      parsed.password = encodeURIComponent(user)
    }
    return parsed.href
  }
  return {
    url,
    createDatabase: async (prefix = 'test') => createDatabase(base, url, prefix),
    database: (name) => openDatabase(base, url, name),
  }
}

async function createDatabase(
  base: string,
  url: TestServer['url'],
  prefix: string,
): Promise<TestDatabase> {
  const name = `${prefix}_${randomBytes(6).toString('hex')}`
  await withClient(base, async (client) =>
    client.query(`create database ${quoteIdentifier(name)} template template1`),
  )
  return openDatabase(base, url, name)
}

function openDatabase(base: string, url: TestServer['url'], name: string): TestDatabase {
  const identifier = quoteIdentifier(name)
  let client: Promise<pg.Client> | undefined
  return {
    name,
    url: url(name),
    roleUrl: (role) => url(name, role),
    query: async (sql, values) => {
      // A connection that a test had the server end is made anew.
      client ??= connect(url(name), () => (client = undefined)).catch((error: unknown) => {
        client = undefined
        throw error
      })
      const result =
        values === undefined
          ? await (await client).query(sql)
          : await (await client).query(sql, values)
      // Several statements give an array, which pg's types do not say.
      const last = (Array.isArray(result) ? result.at(-1) : result) as pg.QueryResult<
        Record<string, string | null>
      >
      return last.rows
    },
    drop: async () => {
      await (await client?.catch(() => undefined))?.end()
      client = undefined
      await withClient(base, async (admin) =>
        admin.query(`drop database if exists ${identifier} with (force)`),
      )
    },
  }
}

async function withClient(
  url: string,
  action: (client: pg.Client) => Promise<unknown>,
): Promise<void> {
  const client = await connect(url)
  try {
    await action(client)
  } finally {
    await client.end()
  }
}

async function connect(url: string, onLost: () => void = () => undefined): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    types: { getTypeParser: () => (value: unknown) => value },
  })
  client.on('error', onLost)
  await client.connect()
  return client
}
