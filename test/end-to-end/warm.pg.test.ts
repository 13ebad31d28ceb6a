/**
 * A project that stays open keeps much in memory: models bound, rows of small tables, the rows as they
 * were read last. Whatever happens between two of its runs, they end as runs of a fresh process would.
 */
import { appendFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { fill } from '../../examples/totesys/simulator/fill.ts'
import { openSimulation } from '../../examples/totesys/simulator/live.ts'
import { run } from '../../src/pipeline/run.ts'
import { openProject, type Project } from '../../src/project/project.ts'
import type { RunSummary } from '../../src/events.ts'
import { buildCli, checkOut, startRun, type Site } from '../support/kill.ts'
import {
  currentRows,
  differences,
  expectedRows,
  historyProblems,
  lakeProblems,
} from '../support/oracle.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'

let source: TestDatabase
let warehouse: TestDatabase
let folder = ''
let site: Site
let project: Project
let runs = 0

beforeAll(async () => {
  buildCli()
  const server = await testServer()
  source = await server.createDatabase('warm_source')
  warehouse = await server.createDatabase('warm_warehouse')
  await fill(source.url, { scale: 0.02, years: 1 })
  folder = await mkdtemp(join(tmpdir(), 'tote-warm-'))
  site = checkOut(join(folder, 'here'), folder, { source: source.url, warehouse: warehouse.url })
  vi.stubEnv('TOTESYS_URL', site.source)
  vi.stubEnv('WAREHOUSE_URL', site.warehouse)
  vi.stubEnv('TOTE_LAKE_INGESTION', site.lake.ingestion)
  vi.stubEnv('TOTE_LAKE_PROCESSED', site.lake.processed)
  project = await openProject({ cwd: site.folder })
  await runWarm()
})
afterAll(async () => {
  await project?.close()
  await warehouse?.drop()
  await source?.drop()
  vi.unstubAllEnvs()
  await rm(folder, { recursive: true, force: true })
})

async function runWarm(): Promise<RunSummary> {
  const context = {
    run: `warm-${(runs += 1)}`,
    signal: new AbortController().signal,
    now: () => new Date(),
    emit: () => undefined,
  }
  const { summary, error } = await run(project, {}, context)
  if (error !== undefined) throw error
  return summary
}

/** Another process, from the same checkout. */
async function runElsewhere(): Promise<void> {
  expect(await startRun(site).ended).toMatchObject({ exit: 0, stderr: '' })
}

async function liveOneDay(): Promise<void> {
  const simulation = await openSimulation(source.url)
  try {
    await simulation.day()
  } finally {
    await simulation.close()
  }
}

async function expectWhole(): Promise<void> {
  expect(differences(await expectedRows(source), await currentRows(warehouse))).toEqual([])
  expect(await historyProblems(warehouse)).toEqual([])
  expect(await lakeProblems(site.lake, warehouse)).toEqual([])
}

test('P2, P7: day after day, also after runs of another process, the warehouse is what the source says', async () => {
  for (const elsewhere of [false, true, false]) {
    await liveOneDay()
    if (elsewhere) {
      await runElsewhere()
      await source.query('update payment set paid = not paid where payment_id % 7 = 0')
    }
    expect((await runWarm()).outcome).toBe('succeeded')
    await expectWhole()
  }
}, 240_000)

test('P2: rows that go, come and move between others are found', async () => {
  const moves = [
    'update payment set payment_id = payment_id + 1000000 where payment_id % 5 = 0',
    'delete from payment where payment_id > 1000000 and payment_id % 10 = 0',
    'update payment set payment_id = payment_id - 1000000 where payment_id > 1000000',
    `update design set design_name = design_name || E'"\\n,' where design_id % 2 = 0`,
    'update design set design_name = reverse(design_name)',
  ]
  for (const move of moves) {
    await source.query(move)
    expect((await runWarm()).outcome).toBe('succeeded')
    await expectWhole()
  }
}, 240_000)

test('P7: a model that is edited between two runs is restated', async () => {
  await appendFile(
    join(site.folder, 'models/dim_design.sql'),
    "where design_name <> 'not a design'\n",
  )
  expect((await runWarm()).outcome).toBe('succeeded')
  await liveOneDay()
  expect((await runWarm()).outcome).toBe('succeeded')
  await expectWhole()
})

test('P12: what was dropped or altered in the warehouse between two runs is made again, or named', async () => {
  await warehouse.query('drop view fact_payment_current')
  await liveOneDay()
  expect((await runWarm()).outcome).toBe('succeeded')
  expect(await warehouse.query('select from fact_payment_current limit 1')).toHaveLength(1)
  await expectWhole()

  await warehouse.query('delete from fact_payment where payment_record_id = 1')
  await liveOneDay()
  await expect(runWarm()).rejects.toMatchObject({ name: 'CountMismatch' })
  await warehouse.query('drop table fact_payment cascade')
  await expect(runWarm()).rejects.toMatchObject({ name: 'LedgerMismatch' })
})
