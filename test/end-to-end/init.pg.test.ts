/**
 * `tote init` on databases that were written to be awkward: from nothing to a checked warehouse,
 * untouched, in each format that the ingestion zone may have.
 */
import { randomBytes } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buildWhenStale } from '../../scripts/build.js'
import { startCli, withPassword, type Told } from '../support/project.ts'
import { compareAll, schemaNames, schemaSql, whyNot, type MadeModel } from '../support/schemas.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'

const SECRET = 'hush-4f1e'

/** The first is what init writes; the others are one line in the config. */
const FORMATS = ['parquet', 'csv', 'json'] as const
type Format = (typeof FORMATS)[number]

interface Stranger {
  readonly folder: string
  readonly source: TestDatabase
  readonly warehouses: Readonly<Record<Format, TestDatabase>>
  readonly reader: string
  readonly url: string
  tote(args: readonly string[]): Promise<Told>
  /** Copies of the project that was made, one a format, each with a lake and a warehouse of its own. */
  copy(): Promise<void>
  close(): Promise<void>
}

/** A database with a schema, a role that may only read it, and a folder that is not there yet. */
async function openStranger(sql: string): Promise<Stranger> {
  if (!buildWhenStale()) throw new Error('dist/ is not built: see above')
  const server = await testServer()
  const source = await server.createDatabase('init_source')
  const warehouses = {
    parquet: await server.createDatabase('init_warehouse'),
    csv: await server.createDatabase('init_csv'),
    json: await server.createDatabase('init_json'),
  }
  const reader = `stranger_${randomBytes(6).toString('hex')}`
  await source.query(sql)
  await source.query(
    `create role ${reader} login password '${SECRET}';
     do $$ declare place text; begin
       for place in select quote_ident(nspname) from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' loop
         execute format('grant usage on schema %s to ${reader}; grant select on all tables in schema %s to ${reader}', place, place);
       end loop;
     end $$`,
  )
  const above = await mkdtemp(join(tmpdir(), 'tote-stranger-'))
  return {
    folder: join(above, 'parquet'),
    source,
    warehouses,
    reader,
    url: withPassword(source.roleUrl(reader), SECRET),
    tote: async (args) => {
      const told = await startCli(above, args).ended
      expect(told.stdout + told.stderr, 'a secret').not.toContain(SECRET)
      return told
    },
    copy: async () => {
      for (const format of FORMATS.slice(1)) {
        const folder = join(above, format)
        await cp(join(above, 'parquet'), folder, { recursive: true })
        const rewrite = async (file: string, before: string, after: string): Promise<void> => {
          const text = await readFile(join(folder, file), 'utf8')
          expect(text.split(before).length, `${before} in ${file}`).toBe(2)
          await writeFile(
            join(folder, file),
            text.replace(before, () => after),
          )
        }
        await rewrite(
          'tote.config.ts',
          '  warehouse: {',
          `  lake: { format: '${format}' },\n  warehouse: {`,
        )
        await rewrite('.env', warehouses.parquet.name, warehouses[format].name)
      }
    },
    close: async () => {
      await rm(above, { recursive: true, force: true })
      for (const format of FORMATS) await warehouses[format].drop()
      await source.query(`drop owned by ${reader}; drop role ${reader}`)
      await source.drop()
    },
  }
}

describe.each(await schemaNames())('%s', (name) => {
  // The most tables of all, about names and keys, which no format has to do with.
  const formats = name === 'hostile' ? (['parquet', 'json'] as const) : FORMATS
  let stranger: Stranger
  let models: readonly MadeModel[]
  let refused: string | undefined
  beforeEach((ctx) => ctx.skip(refused !== undefined, refused))
  beforeAll(async () => {
    refused = await whyNot(name, await testServer())
    if (refused !== undefined) return
    stranger = await openStranger(await schemaSql(name))
    // Of 1,600 columns no model can be made, so there is nothing to compare; shapes.pg.test.ts carries them.
    if (name === 'shapes')
      await stranger.source.query(
        `drop table wide; create table wide (id integer primary key, c1 integer, c1598 integer);
         grant select on wide to ${stranger.reader}`,
      )
  })
  afterAll(async () => stranger?.close())

  /** The same command line in every format's project, at the same time: what each printed. */
  const good = async (...args: string[]): Promise<string[]> =>
    Promise.all(
      formats.map(async (format) => {
        const told = await stranger.tote(['-C', format, ...args])
        expect({ format, ...told, stdout: '' }).toMatchObject({
          exit: 0,
          stderr: expect.not.stringContaining('✖'),
        })
        return told.stdout
      }),
    )
  const equal = async (): Promise<void> => {
    for (const format of formats) {
      const compared = await compareAll(models, {
        source: stranger.source.url,
        warehouse: stranger.warehouses[format].url,
      })
      const wrong = compared.filter((one) => one.missing + one.extra + one.types.length > 0)
      expect([format, wrong]).toEqual([format, []])
      expect(compared.length).toBe(models.length)
      expect(compared.reduce((rows, one) => rows + one.rows, 0)).toBeGreaterThan(20)
    }
  }

  test('P11: a role that may only read is enough; what is written adds up', async () => {
    const { exit, stdout, stderr } = await stranger.tote([
      'init',
      'parquet',
      '--source',
      stranger.url,
      '--warehouse',
      stranger.warehouses.parquet.url,
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
    const told = await stranger.tote(['init', 'parquet', '--source', stranger.url])
    expect(told.exit).toBe(2)
    expect(told.stderr).toMatch(/is there already; nothing was written/)
    expect(told.stderr).toContain('tote.config.ts')
    expect(await modified()).toBe(before)
  })
  test('check, and check --live, find nothing wrong', async () => {
    await stranger.copy()
    // Of the lake's format they look at nothing but the line in the config, which every run reads.
    for (const [args, expected] of [
      [['check'], 'Nothing is wrong'],
      [['check', '--live'], 'Nothing is wrong. Next:'],
    ] as const) {
      const told = await stranger.tote(['-C', 'parquet', ...args])
      expect({ ...told, stdout: '' }).toMatchObject({
        exit: 0,
        stderr: expect.not.stringContaining('✖'),
      })
      expect(told.stdout).toContain(expected)
    }
  })
  test('P8: the first run carries every table, value by value, in its type, through every format', async () => {
    await good('run')
    await equal()
    const endings = { parquet: '.parquet', csv: '.csv.gz', json: '.jsonl.gz' }
    for (const format of formats) {
      const lake = join(stranger.folder, '..', format, '.tote', 'lake', 'ingestion')
      const files = await readdir(lake, { recursive: true, withFileTypes: true })
      const data = files.filter((file) => file.isFile() && !file.name.endsWith('.json'))
      expect(data.length).toBeGreaterThan(5)
      expect(data.filter((file) => !file.name.endsWith(endings[format]))).toEqual([])
    }
  })
  test('P7: changes of every kind arrive with the next run', async () => {
    await stranger.source.query(await schemaSql(`${name}-changes`))
    await good('run')
    await equal()
    for (const stdout of await good('run')) expect(stdout).toContain('nothing to do')
  })
  test('P12: source, lake and warehouse are equal, row by row and in number', async () => {
    const { exit, stdout } = await stranger.tote(['-C', 'parquet', 'verify', '--json'])
    const { summary } = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as {
      summary: { verified: { table: string; rowsExpected: number; rowsFound: number }[] }
    }
    const wrong = summary.verified.filter((one) => one.rowsExpected !== one.rowsFound)
    expect({ exit, wrong }).toEqual({ exit: 0, wrong: [] })
    expect(summary.verified.length).toBeGreaterThan(2 * models.length)
  })
})
