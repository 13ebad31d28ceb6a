/** Databases that cannot be reached, refuse us, or hold what cannot be carried yet: said clearly, nothing lost. */
import { chmod } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createProject, withPassword, type TestProject } from '../support/project.ts'
import { SECRET } from '../support/project-shop.ts'
import { expectRefusal } from '../support/refusal.ts'

let project: TestProject
beforeAll(async () => {
  project = await createProject()
  await project.good()
})
afterEach(async () => {
  await project.environment({})
  await project.configure({})
})
afterAll(async () => project.close())

/** A URL with one part changed; its password stays a secret. */
function altered(url: string, change: (parsed: URL) => void): string {
  const parsed = new URL(withPassword(url, `${SECRET}-wrong`))
  change(parsed)
  return parsed.href
}

const unreachable = (url: string): string =>
  altered(url, (parsed) => {
    parsed.hostname = '127.0.0.1'
    parsed.port = '1'
  })
const stranger = (url: string): string =>
  altered(url, (parsed) => {
    parsed.username = 'stranger'
  })
const nowhere = (url: string): string => url.replace(new URL(url).pathname, '/no_such_database')

describe('a database that does not answer, or refuses the login, is named with role, place and SQLSTATE', () => {
  test('P10: the source is unreachable', async () => {
    await project.environment({ SHOP_URL: unreachable(project.urls.source) })
    await expectRefusal(project, {
      name: 'SourceUnreachable',
      says: ['source "shop"', `${project.reader}@127.0.0.1:1/`, 'ECONNREFUSED', 'again tote run'],
    })
  })
  test('P10: the source refuses the login', async () => {
    await project.environment({ SHOP_URL: stranger(project.urls.source) })
    await expectRefusal(project, {
      name: 'SourceRefused',
      says: ['source "shop"', 'stranger@', 'refused the login', /SQLSTATE 28(P01|000)/],
    })
  })
  test('the source has no such database', async () => {
    await project.environment({ SHOP_URL: nowhere(project.urls.source) })
    await expectRefusal(project, {
      name: 'SourceRefused',
      says: [project.reader, '/no_such_database', 'has no such database', 'SQLSTATE 3D000'],
    })
  })
  test('P10: the warehouse is unreachable, and extraction and transformation go on without it', async () => {
    await project.source.query('update sale set units = units + 1 where sale_id = 8800101')
    await project.environment({ SHOP_WAREHOUSE_URL: unreachable(project.urls.warehouse) })
    const told = await expectRefusal(project, {
      name: 'WarehouseUnreachable',
      says: ['The warehouse at', `${project.loader}@127.0.0.1:1/`, 'ECONNREFUSED'],
      moves: 'lake',
    })
    expect(told.stderr).toMatch(/✔ extract.*1 row changed[^]*✔ transform[^]*✖ load/)
    await project.environment({})
    expect(
      (await project.good()).warehouse.find(({ table }) => table === 'fact_sale'),
    ).toMatchObject({
      rowsLoaded: 1,
    })
  })
  test('P10: the warehouse refuses the login', async () => {
    await project.environment({ SHOP_WAREHOUSE_URL: stranger(project.urls.warehouse) })
    await expectRefusal(project, {
      name: 'WarehouseRefused',
      says: ['The warehouse at stranger@', 'refused the login', /SQLSTATE 28(P01|000)/],
    })
  })
  test('the warehouse has no such database', async () => {
    await project.environment({ SHOP_WAREHOUSE_URL: nowhere(project.urls.warehouse) })
    await expectRefusal(project, {
      name: 'WarehouseRefused',
      says: [project.loader, 'has no such database', 'SQLSTATE 3D000'],
    })
  })
  test('a URL that is not set is a matter of the config, which names the variable and its place', async () => {
    await project.write('.env', `SHOP_URL=${project.urls.source}\n`)
    await expectRefusal(project, {
      name: 'ConfigInvalid',
      says: ['SHOP_WAREHOUSE_URL', 'tote.config.ts:9'],
    })
  })
})

describe('a source that does not let us read, or has not what was asked for', () => {
  test('P11: SELECT is missing on one table: its name, and the grant to paste', async () => {
    await project.source.query(`revoke select on address from ${project.reader}`)
    const grant = `grant select on "public"."address" to "${project.reader}"`
    await expectRefusal(project, {
      name: 'SourceForbidden',
      says: ['Source "shop"', '"public.address"', 'SELECT is missing', `${grant};`],
    })
    await project.source.query(grant)
    expect((await project.good()).outcome).toBe('nothing to do')
  })
  test('a table that the config names and the source has not: the nearest name', async () => {
    await project.configure({ source: "tables: { include: ['sale', 'paymnt', 'stuff'] }" })
    await expectRefusal(project, {
      name: 'SourceTableUnknown',
      says: [
        'sources.shop.tables.include',
        '"public.paymnt" names no table',
        'Did you mean "public.payment"?',
        '"public.stuff" names no table',
        'Did you mean "public.staff"?',
      ],
    })
  })
  test('P2: a table whose rows are elsewhere, too, and one with a name of ours, with the line to paste', async () => {
    await project.source.query(
      `create schema other; create table log_a (line text); create table other.log_b () inherits (log_a); create table log_c (_tote_op text)`,
    )
    await expectRefusal(project, {
      name: 'TableNotCarried',
      says: [
        'public.log_a has rows in the table other.log_b, which inherits from it and is neither included nor excluded',
        'public.log_c has a column named "_tote_op", which Tote keeps for itself',
        "sources.shop.tables.exclude: ['public.log_a', 'public.log_c']",
      ],
    })
    await project.configure({
      source: 'tables: { exclude: ["public.log_a", "public.log_c"] }',
    })
    expect((await project.good()).outcome).toBe('nothing to do')
    await project.source.query('drop schema other cascade; drop table log_a, log_c')
  })
})

test('until a later issue: what the config wishes for too early is listed at once, each with its line', async () => {
  await project.configure({
    source: "strategy: 'log'",
    lake: "processed: 's3://bucket/processed'",
  })
  await project.environment({})
  await expectRefusal(project, {
    name: 'NotSupportedYet',
    says: [
      'tote.config.ts:6',
      'sources.shop.strategy cannot be "log" yet',
      'tote.config.ts:8',
      'lake.processed is an S3 bucket, which is not there yet; for now: a folder',
    ],
  })
})

test('P10: the setup of an embedded database that throws is the project’s own fault, and its words are for a terminal', async () => {
  // As root, the server's user must pass through the folder; else its files would lie outside, and stay.
  await chmod(project.folder, 0o755)
  await project.write(
    'tote.config.ts',
    `import { defineProject, embedded, env } from 'totedata'
export default defineProject({
  name: 'shop',
  sources: { shop: { type: 'postgres', url: embedded({ database: 'own', owner: 'own_owner', setup }) } },
  lake: { ingestion: 'lake/ingestion', processed: 'lake/processed' },
  warehouse: { url: env('SHOP_WAREHOUSE_URL') },
})
function setup(url: string): void {
  throw new Error('no row Qx7 in ' + url)
}
`,
  )
  await expectRefusal(project, {
    name: 'ConfigInvalid',
    says: ['The setup of the embedded database "own" failed', 'tote.config.ts: embedded({'],
  })
  const { stderr } = await project.onTerminal('run')
  expect(stderr).toContain('no row Qx7 in postgres')
  expect(stderr).not.toMatch(/own_owner:(?!\*)[^@]+@/)
})
