/**
 * examples/totesys as a newcomer has it: no URL, the embedded servers, two years of business, one more
 * day. What the warehouse then holds is the golden file; `UPDATE_GOLDEN=1` writes it anew.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import pg from 'pg'
import { openSimulation } from '../../examples/totesys/simulator/live.ts'
import { buildWhenStale } from '../../scripts/build.js'
import type { RunSummary } from '../../src/events.ts'
import { openProject } from '../../src/project/project.ts'
import {
  currentRows,
  differences,
  expectedRows,
  historyProblems,
  lakeProblems,
  wholeRows,
  type Queryable,
} from '../support/oracle.ts'
import { testServer } from '../support/postgres.ts'
import { startCli, type Told } from '../support/project.ts'

const example = join(import.meta.dirname, '../../examples/totesys')
const golden = join(import.meta.dirname, '../golden/totesys.json')
const ddl = join(import.meta.dirname, '../golden/totesys-warehouse.sql')

let folder = ''
beforeAll(async () => {
  if (!buildWhenStale()) throw new Error('dist/ is not built: see above')
  folder = await mkdtemp(join(tmpdir(), 'tote-totesys-'))
  // As root, the server's user must pass through it; else its files would lie outside, and stay.
  await chmod(folder, 0o755)
  await cp(example, folder, {
    recursive: true,
    filter: (path) => basename(path) !== '.tote' && basename(path) !== 'demo',
  })
  // The simulator imports the driver; `totedata` itself needs no such thing.
  await symlink(join(import.meta.dirname, '../../node_modules'), join(folder, 'node_modules'))
})
afterAll(async () => rm(folder, { recursive: true, force: true }))

const tote = async (
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<Told> => startCli(folder, args, environment).ended

/** A command line that must succeed. */
async function done(
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<Told> {
  const told = await tote(args, environment)
  if (told.exit !== 0)
    throw new Error(`tote ${args.join(' ')}: exit ${told.exit}\n${told.stdout}${told.stderr}`)
  return told
}

/** The one summary that ends `--json`. */
function summaryOf({ stdout }: Told): RunSummary {
  const last = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { summary: RunSummary }
  return last.summary
}

async function serversOfOurs(): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'args'])
  return stdout.split('\n').filter((line) => line.includes(folder))
}

/** Source and warehouse of the embedded server, kept running meanwhile. */
async function embedded<T>(
  work: (source: Queryable, warehouse: Queryable, ownerUrl: string) => Promise<T>,
): Promise<T> {
  const project = await openProject({ cwd: folder })
  const clients: pg.Client[] = []
  const open = async (url: string): Promise<Queryable> => {
    const client = new pg.Client({
      connectionString: url,
      types: { getTypeParser: () => (value: unknown) => value },
    })
    await client.connect()
    clients.push(client)
    return {
      query: async (sql, values) =>
        (await client.query(sql, values)).rows as Record<string, string | null>[],
    }
  }
  try {
    const ownerUrl = (await project.embedded('totesys'))?.ownerUrl ?? ''
    return await work(await open(ownerUrl), await open(await project.warehouseUrl()), ownerUrl)
  } finally {
    await Promise.all(clients.map(async (client) => client.end()))
    await project.close()
  }
}

/** An md5 of every table's rows, history, record ids and batches included, in no order. */
async function fingerprint(
  warehouse: Queryable,
): Promise<Record<string, { rows: number; md5: string }>> {
  const tables = [...(await wholeRows(warehouse))].toSorted(([one], [other]) =>
    one < other ? -1 : 1,
  )
  return Object.fromEntries(
    tables.map(([name, rows]) => [
      name,
      {
        rows: rows.length,
        md5: createHash('md5').update(rows.toSorted().join('\n')).digest('hex'),
      },
    ]),
  )
}

test('with nothing but the folder: a run fills and carries everything, and P12: counts what is there', async () => {
  const told = await done(['run', '--json'])
  expect(await serversOfOurs()).toEqual([])
  const summary = summaryOf(told)
  expect(summary.outcome).toBe('succeeded')
  expect(summary.tables.filter(({ source }) => source === 'totesys')).toHaveLength(11)
  expect(summary.warehouse).toHaveLength(11)
  await embedded(async (source, warehouse) => {
    for (const { source: name, table, rowsInSource, rowsInLake, inserted } of summary.tables) {
      if (name !== 'totesys') continue
      const [row] = await source.query(`select count(*) as n from public."${table}"`)
      expect([table, rowsInSource, rowsInLake, inserted]).toEqual([
        table,
        ...Array(3).fill(Number(row?.['n'])),
      ])
    }
    for (const { table, rowsCurrent, rowsLoaded } of summary.warehouse) {
      const [row] = await warehouse.query(`select count(*) as n from public."${table}"`)
      expect([table, rowsCurrent, rowsLoaded]).toEqual([
        table,
        ...Array(2).fill(Number(row?.['n'])),
      ])
    }
    expect(differences(await expectedRows(source), await currentRows(warehouse))).toEqual([])
  })
})

test('run again: nothing to do; status says so; no server stays', async () => {
  const again = await tote(['run'])
  expect([again.exit, again.stdout]).toEqual([0, expect.stringContaining('nothing to do')])
  const status = await tote(['status'])
  expect(status.exit).toBe(0)
  expect(status.stdout).toMatch(/fact_sales_order +fact +1 .* 11,187\n/)
  expect(status.stdout).toContain('nothing left to load')
  expect(await serversOfOurs()).toEqual([])
})

test('P2, P6, P7: one more day, and the warehouse is what PostgreSQL makes of the source; golden', async () => {
  await embedded(async (source, warehouse, ownerUrl) => {
    const simulation = await openSimulation(ownerUrl, { seed: 42 })
    try {
      await simulation.day()
    } finally {
      await simulation.close()
    }
    // The command shares the server that this process keeps.
    await done(['run'])
    expect(differences(await expectedRows(source), await currentRows(warehouse))).toEqual([])
    expect(await historyProblems(warehouse)).toEqual([])
    expect(await lakeProblems(lake, warehouse)).toEqual([])
    const found = await fingerprint(warehouse)
    if (process.env['UPDATE_GOLDEN'] === '1')
      await writeFile(golden, `${JSON.stringify(found, null, 2)}\n`)
    expect(found).toEqual(JSON.parse(await readFile(golden, 'utf8')))
  })
})

test('P7: loaded from the lake alone into tables made from the specification, batch by batch: the same, record ids included', async () => {
  const other = await (await testServer()).createDatabase('e2e_totesys')
  try {
    await other.query(await readFile(ddl, 'utf8'))
    await done(['run', '--only', 'load'], { WAREHOUSE_URL: other.url })
    expect(await fingerprint(other)).toEqual(JSON.parse(await readFile(golden, 'utf8')))
    expect(await historyProblems(other)).toEqual([])
  } finally {
    await other.drop()
  }
  expect(await serversOfOurs()).toEqual([])
})

test('P7: further days, batch by batch: the facts go the driven way, and equal what PostgreSQL makes of the source', async () => {
  await embedded(async (source, warehouse, ownerUrl) => {
    for (const seed of [7, 8, 9]) {
      const simulation = await openSimulation(ownerUrl, { seed })
      try {
        await simulation.day()
      } finally {
        await simulation.close()
      }
      await source.query(
        'delete from public.payment where payment_id = (select min(payment_id) from public.payment)',
      )
      const { models } = summaryOf(await done(['run', '--json']))
      const ways = Object.fromEntries(models.map((model) => [model.model, model.ways]))
      expect(ways).toMatchObject({
        fact_sales_order: { full: 0, driven: 1, skipped: 0 },
        fact_payment: { full: 0, driven: 1, skipped: 0 },
        dim_date: { driven: 0 },
      })
      expect(models.find(({ model }) => model === 'fact_payment')?.deleted).toBe(1)
      expect(differences(await expectedRows(source), await currentRows(warehouse))).toEqual([])
    }
    expect(await historyProblems(warehouse)).toEqual([])
    // Seeds, dates and three stars, every version and its record id.
    const { verified = [] } = summaryOf(await done(['verify', '--json']))
    expect(verified.length).toBeGreaterThan(30)
    const differing = verified.filter(
      ({ rowsExpected, rowsFound, rangesDiffer }) => rowsExpected !== rowsFound || rangesDiffer > 0,
    )
    expect(differing).toEqual([])
  })
  const checked = await done(['check', '--data'])
  expect(checked.stdout).toMatch(/✔ data +11 models yield the same whatever the order of rows/)
})

const lake = {
  get ingestion() {
    return join(folder, '.tote/lake/ingestion')
  },
  get processed() {
    return join(folder, '.tote/lake/processed')
  },
}
