/** `tote roles`: the printed scripts, run as they are by an administrator, are all that a project needs. */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createProject, withPassword, type TestProject } from '../support/project.ts'
import { SECRET } from '../support/project-shop.ts'
import { expectRefusal } from '../support/refusal.ts'

const ID = randomBytes(6).toString('hex')
/** Names that must be quoted everywhere. */
const ROLES = { reader: `Read-er ${ID}`, loader: `load"er $tote$ ${ID}`, bi: `B.I. ${ID}` }

let project: TestProject
beforeAll(async () => {
  project = await createProject({
    source: `tables: { include: ['*', '"Odd Schema".*'], exclude: ['secrets'] },`,
    warehouse: `schema: 'The Star', readers: [${JSON.stringify(ROLES.bi)}],`,
  })
  await project.source.query(
    `create schema "Odd Schema"; create table "Odd Schema"."Order ""x""" (id integer primary key);
     create table secrets (id integer primary key, word text)`,
  )
  await project.environment({
    SHOP_URL: withPassword(project.source.roleUrl(ROLES.reader), `${SECRET}-r`),
    SHOP_WAREHOUSE_URL: withPassword(project.warehouse.roleUrl(ROLES.loader), `${SECRET}-l`),
  })
})
afterAll(async () => {
  const owned = [ROLES.reader, ROLES.loader, ROLES.bi].map((role) => pg.escapeIdentifier(role))
  await project.source.query(`drop owned by ${owned[0]}`)
  await project.warehouse.query(`drop owned by ${owned[1]}, ${owned[2]} cascade`)
  await project.source.query(`drop role ${owned.join(', ')}`)
  await project.close()
})

async function printed(...args: string[]): Promise<string> {
  const { stdout, exit } = await project.tote('roles', ...args)
  expect(exit).toBe(0)
  return stdout
}

/** As psql would run it: one statement after the other, in one session of a superuser. */
async function runAsSuperuser(
  database: TestProject['source'],
  script: string,
  role: string,
  password: string,
): Promise<void> {
  await database.query(script)
  await database.query(
    `alter role ${pg.escapeIdentifier(role)} password ${pg.escapeLiteral(password)}`,
  )
}

test('before its role is there, the source script stands on the patterns, and says so', async () => {
  const { stdout, stderr } = await project.tote('roles', '--source', 'shop')
  expect(stdout).toContain('-- The database could not be asked for its tables')
  expect(stdout).toContain(`grant select on all tables in schema "public" to "${ROLES.reader}";`)
  expect(stdout).toContain(
    `grant select on all tables in schema "Odd Schema" to "${ROLES.reader}";`,
  )
  expect(stderr).toContain('source "shop" could not be asked for its tables: SourceRefused')
})

test('P11: with the printed roles the project runs, twice over; the source refuses every write', async () => {
  // An administrator's URL reaches the catalogue, and the role is named.
  await project.environment({ SHOP_URL: project.source.url })
  const script = await printed('--source', 'shop', '--role', ROLES.reader)
  expect(script).not.toContain('secrets')
  expect(script).toContain(`grant select on "Odd Schema"."Order ""x""" to "${ROLES.reader}";`)
  await runAsSuperuser(project.source, script, ROLES.reader, `${SECRET}-r`)
  await project.environment({
    SHOP_URL: withPassword(project.source.roleUrl(ROLES.reader), `${SECRET}-r`),
    SHOP_WAREHOUSE_URL: withPassword(project.warehouse.roleUrl(ROLES.loader), `${SECRET}-l`),
  })
  await runAsSuperuser(project.warehouse, await printed('--warehouse'), ROLES.loader, `${SECRET}-l`)
  const check = await project.tote('check', '--live')
  expect(check.stderr).toBe('')
  await project.good()
  await project.source.query('update sale set units = 1 where sale_id = 8800101')
  await project.good()
  expect(await project.warehouse.query('select count(*) as n from "The Star".fact_sale')).toEqual([
    { n: '7' },
  ])

  const reader = new pg.Client({
    connectionString: withPassword(project.source.roleUrl(ROLES.reader), `${SECRET}-r`),
  })
  await reader.connect()
  for (const statement of [
    "insert into department values (9, 'x', null)",
    'update sale set units = 0',
    'delete from payment',
    'truncate payment',
    'select * from secrets',
    'create schema mine',
  ])
    await expect(reader.query(statement), `${statement} is refused`).rejects.toThrow(
      /permission denied/,
    )
  await reader.end()
})

test('readers may read the star and the ledger, tables and views that come later too, and nothing else', async () => {
  const can = async (right: string, relation: string): Promise<string | null> => {
    const [row] = await project.warehouse.query(
      `select has_table_privilege($1, $2, $3)::text as may`,
      [ROLES.bi, relation, right],
    )
    return row?.['may'] ?? null
  }
  for (const relation of ['dim_staff', 'fact_sale', 'fact_sale_current'])
    expect(await can('select', `"The Star".${relation}`), `${relation} can be read`).toBe('true')
  expect(await can('select', 'tote.ledger')).toBe('true')
  expect(await can('insert', '"The Star".dim_staff')).toBe('false')
  // Whoever takes the right away, finds it given back with the next batch.
  await project.warehouse.query(
    `revoke select on "The Star".fact_sale_current from ${pg.escapeIdentifier(ROLES.bi)}`,
  )
  expect(await can('select', '"The Star".fact_sale_current')).toBe('false')
  await project.source.query('update sale set units = 2 where sale_id = 8800101')
  await project.good()
  expect(await can('select', '"The Star".fact_sale_current')).toBe('true')
})

test('a reader that the config names later reads after a run with nothing to do; one that is not there is refused', async () => {
  const later = `later_${ID}`
  const configure = async (reader: string): Promise<void> =>
    project.configure({
      source: `tables: { include: ['*', '"Odd Schema".*'], exclude: ['secrets'] },`,
      warehouse: `schema: 'The Star', readers: [${JSON.stringify(ROLES.bi)}, '${reader}'],`,
    })
  await configure('nobody_here')
  for (const args of [['check', '--live'], ['run']])
    await expectRefusal(project, {
      name: 'ConfigInvalid',
      args,
      says: ['the warehouse has no role "nobody_here"', 'create role "nobody_here"'],
    })
  await project.warehouse.query(`create role ${later}`)
  // As the script for the role says: the loader does not own the schemas, so an administrator lets readers in.
  await configure(later)
  await project.warehouse.query(await printed('--warehouse'))
  expect((await project.good()).outcome).toBe('nothing to do')
  const [row] = await project.warehouse.query(
    `select has_table_privilege('${later}', '"The Star".fact_sale_current', 'select')::text as may`,
  )
  expect(row?.['may']).toBe('true')
  await project.warehouse.query(`drop owned by ${later}; drop role ${later}`)
  await project.configure({
    source: `tables: { include: ['*', '"Odd Schema".*'], exclude: ['secrets'] },`,
    warehouse: `schema: 'The Star', readers: [${JSON.stringify(ROLES.bi)}],`,
  })
})

test('the script does what it does twice as well, and nothing in another database', async () => {
  const script = await printed('--warehouse')
  await project.warehouse.query(script)
  await expect(project.source.query(script)).rejects.toThrow(
    `this script is for the database "${project.warehouse.name}"`,
  )
  await project.source.query('rollback')
})

test('P10: no password is printed, and none is set', async () => {
  const all = await printed()
  expect(all.match(/^begin;$/gm)).toHaveLength(2)
  expect(all).not.toMatch(/password '|encrypted/)
  expect(all).toContain(`--   \\password "${ROLES.reader}"`)
})

test('an unknown source is refused with the nearest name; --json gives the scripts by name', async () => {
  const { stderr, exit } = await project.tote('roles', '--source', 'shpo')
  expect([exit, stderr]).toEqual([2, expect.stringContaining('Did you mean "shop"?')])
  const { stdout } = await project.tote('roles', '--json')
  const { data } = JSON.parse(stdout) as { data: { for: string; role: string }[] }
  expect(data.map((one) => [one.for, one.role])).toEqual([
    ['shop', ROLES.reader],
    ['warehouse', ROLES.loader],
  ])
})
