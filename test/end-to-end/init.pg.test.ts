/** `tote init` on databases that were written to be awkward: from nothing to a checked warehouse, untouched. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildWhenStale } from '../../scripts/build.js'
import { startCli, withPassword, type Told } from '../support/project.ts'
import { compareAll, schemaNames, schemaSql, type MadeModel } from '../support/schemas.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'

const SECRET = 'hush-4f1e'

interface Stranger {
  readonly folder: string
  readonly source: TestDatabase
  readonly warehouse: TestDatabase
  readonly reader: string
  readonly url: string
  tote(args: readonly string[], environment?: Readonly<Record<string, string>>): Promise<Told>
  close(): Promise<void>
}

/** A database with a schema, a role that may only read it, and a folder that is not there yet. */
async function openStranger(sql: string): Promise<Stranger> {
  if (!buildWhenStale()) throw new Error('dist/ is not built: see above')
  const server = await testServer()
  const source = await server.createDatabase('init_source')
  const warehouse = await server.createDatabase('init_warehouse')
  const reader = `stranger_${randomBytes(6).toString('hex')}`
  await source.query(sql)
  await source.query(
    `create role ${reader} login password '${SECRET}';
     grant pg_read_all_data to ${reader}`,
  )
  const above = await mkdtemp(join(tmpdir(), 'tote-stranger-'))
  return {
    folder: join(above, 'made'),
    source,
    warehouse,
    reader,
    url: withPassword(source.roleUrl(reader), SECRET),
    tote: async (args, environment) => {
      const told = await startCli(above, args, environment).ended
      expect(told.stdout + told.stderr, 'a secret').not.toContain(SECRET)
      return told
    },
    close: async () => {
      await rm(above, { recursive: true, force: true })
      await warehouse.drop()
      await source.query(`drop owned by ${reader}; drop role ${reader}`)
      await source.drop()
    },
  }
}

describe.each(await schemaNames())('%s', (name) => {
  let stranger: Stranger
  let models: readonly MadeModel[]
  beforeAll(async () => {
    stranger = await openStranger(await schemaSql(name))
    // Of 1,600 columns no model can be made, so there is nothing to compare; shapes.pg.test.ts carries them.
    if (name === 'shapes')
      await stranger.source.query(
        `drop table wide; create table wide (id integer primary key, c1 integer, c1598 integer);
         grant select on wide to ${stranger.reader}`,
      )
  })
  afterAll(async () => stranger.close())

  const good = async (...args: string[]): Promise<Told> => {
    const told = await stranger.tote(['-C', 'made', ...args])
    expect({ ...told, stdout: '' }).toMatchObject({
      exit: 0,
      stderr: expect.not.stringContaining('✖'),
    })
    return told
  }
  const equal = async (): Promise<void> => {
    const compared = await compareAll(models, {
      source: stranger.source.url,
      warehouse: stranger.warehouse.url,
    })
    const wrong = compared.filter((one) => one.missing + one.extra + one.types.length > 0)
    expect(wrong).toEqual([])
    expect(compared.length).toBe(models.length)
    expect(compared.reduce((rows, one) => rows + one.rows, 0)).toBeGreaterThan(20)
  }

  test('P11: a role that may only read is enough; what is written adds up', async () => {
    const { exit, stdout, stderr } = await stranger.tote([
      'init',
      'made',
      '--source',
      stranger.url,
      '--warehouse',
      stranger.warehouse.url,
      '--json',
    ])
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
    const { data } = JSON.parse(stdout) as {
      data: { counts: Record<string, number>; models: readonly MadeModel[]; files: string[] }
    }
    models = data.models
    const { counts } = data
    expect(counts['tablesCarried']).toBe(
      (counts['tablesFound'] ?? 0) - (counts['tablesLeftOut'] ?? 0),
    )
    expect(counts['models']).toBe(
      (counts['dimensions'] ?? 0) + (counts['facts'] ?? 0) + (counts['tables'] ?? 0),
    )
    expect(models.length).toBe(counts['models'])
    const files = await readdir(stranger.folder, { recursive: true, withFileTypes: true })
    expect(files.filter((entry) => entry.isFile()).length).toBe(data.files.length)
  })
  test('P10: the password is in .env alone, which is its owner’s and which git ignores', async () => {
    const files = await readdir(stranger.folder, { recursive: true, withFileTypes: true })
    for (const entry of files.filter((one) => one.isFile() && one.name !== '.env'))
      expect(await readFile(join(entry.parentPath, entry.name), 'utf8')).not.toContain(SECRET)
    expect((await stat(join(stranger.folder, '.env'))).mode & 0o777).toBe(0o600)
    expect(await readFile(join(stranger.folder, '.gitignore'), 'utf8')).toContain('\n.env\n')
  })
  test('a second init changes nothing, and says which files are there', async () => {
    const modified = async (): Promise<number> =>
      (await stat(join(stranger.folder, 'tote.config.ts'))).mtimeMs
    const before = await modified()
    const told = await stranger.tote(['init', 'made', '--source', stranger.url])
    expect(told.exit).toBe(2)
    expect(told.stderr).toMatch(/is there already; nothing was written/)
    expect(told.stderr).toContain('tote.config.ts')
    expect(await modified()).toBe(before)
  })
  test('check, and check --live, find nothing wrong', async () => {
    expect((await good('check')).stdout).toContain('Nothing is wrong')
    expect((await good('check', '--live')).stdout).toContain('Nothing is wrong. Next:')
  })
  test('P8: the first run carries every table, value by value, in its type', async () => {
    await good('run')
    await equal()
  })
  test('P7: changes of every kind arrive with the next run', async () => {
    await stranger.source.query(await schemaSql(`${name}-changes`))
    await good('run')
    await equal()
    expect((await good('run')).stdout).toContain('nothing to do')
  })
})
