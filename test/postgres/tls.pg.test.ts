/** TLS to a real server with a certificate of its own: what each sslmode demands, and how a refusal reads (P10). */
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect } from '../../src/postgres/connection.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
let folder: string
let missing: string | undefined

beforeAll(async () => {
  database = await (await testServer()).createDatabase('tls')
  folder = await mkdtemp(join(tmpdir(), 'tote-tls-'))
  missing = await setUp()
})
afterAll(async () => {
  await database.query('alter system reset ssl; select pg_reload_conf()').catch(() => undefined)
  await database.drop()
  await rm(folder, { recursive: true, force: true })
})

/** Says why TLS cannot be tried here, if so. The server makes its key itself: it must own the file. */
async function setUp(): Promise<string | undefined> {
  try {
    execFileSync('openssl', ['version'])
  } catch {
    return 'openssl is not installed'
  }
  const names = 'subjectAltName=DNS:localhost'
  await database.query(
    `copy (select 1) to program 'cat >/dev/null; umask 077; openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext ${names} -keyout server.key -out server.crt 2>/dev/null'`,
  )
  await database.query('alter system set ssl = on')
  await database.query('select pg_reload_conf()')
  const [file] = await database.query("select pg_read_file('server.crt') as text")
  await writeFile(join(folder, 'root.pem'), String(file?.['text']))
  for (let tries = 0; tries < 50; tries++) {
    const [row] = await database.query('show ssl')
    if (row?.['ssl'] === 'on') return undefined
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return 'this PostgreSQL cannot do TLS'
}

function urlWith(host: string, parameters: string): string {
  const url = new URL(database.url)
  url.hostname = host
  return `${url.href}?${parameters}`
}

async function encrypted(url: string): Promise<string | null | undefined> {
  const connection = await connect({ side: 'source', name: 'shop', url })
  try {
    const [row] = await connection.query(
      'look',
      'select ssl from pg_stat_ssl where pid = pg_backend_pid()',
    )
    return row?.['ssl']
  } finally {
    await connection.close()
  }
}

const root = (): string => `sslrootcert=${encodeURIComponent(join(folder, 'root.pem'))}`
const refused = (url: string): Promise<unknown> =>
  encrypted(url).then(
    (ssl) => `connected, ssl ${ssl}`,
    (error: unknown) => error,
  )

test('P10: a certificate that nobody vouches for is refused unless the URL says otherwise', async (ctx) => {
  if (missing !== undefined) return ctx.skip(missing)
  for (const mode of ['verify-full', 'verify-ca']) {
    expect(await refused(urlWith('localhost', `sslmode=${mode}`))).toMatchObject({
      name: 'SourceUnreachable',
      facts: { why: expect.stringContaining('certificate') as string },
    })
  }
  expect(await encrypted(urlWith('localhost', 'sslmode=require'))).toBe('t')
  expect(await encrypted(urlWith('localhost', 'sslmode=disable'))).toBe('f')
})

test('sslrootcert makes it known, for the name that it was made for', async (ctx) => {
  if (missing !== undefined) return ctx.skip(missing)
  expect(await encrypted(urlWith('localhost', `sslmode=verify-full&${root()}`))).toBe('t')
  expect(await refused(urlWith('127.0.0.1', `sslmode=verify-full&${root()}`))).toMatchObject({
    name: 'SourceUnreachable',
    facts: { why: expect.stringContaining('another host name') as string },
  })
})

test('verify-ca checks who vouches and not the name, as through a tunnel', async (ctx) => {
  if (missing !== undefined) return ctx.skip(missing)
  expect(await encrypted(urlWith('127.0.0.1', `sslmode=verify-ca&${root()}`))).toBe('t')
})

test('a root certificate that cannot be read is said so, with its path', async (ctx) => {
  if (missing !== undefined) return ctx.skip(missing)
  const url = urlWith('localhost', 'sslmode=verify-full&sslrootcert=/nowhere/root.pem')
  expect(await refused(url)).toMatchObject({
    name: 'ConfigInvalid',
    message: expect.stringContaining('/nowhere/root.pem') as string,
  })
})
