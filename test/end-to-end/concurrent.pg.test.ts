/**
 * Runs that meet: another run in the same or another checkout, a person's Ctrl-C, a server that ends
 * their session. Whatever happened, the warehouse is afterwards what an oracle in PostgreSQL makes of
 * the source, each batch is there once, and nobody is left behind.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { fill } from '../../examples/totesys/simulator/fill.ts'
import { openSimulation } from '../../examples/totesys/simulator/live.ts'
import { namedRandom } from '../../examples/totesys/simulator/random.ts'
import {
  buildCli,
  checkOut,
  startRun,
  type Ended,
  type Site,
  type StartedRun,
} from '../support/kill.ts'
import {
  currentRows,
  differences,
  expectedRows,
  historyProblems,
  lakeProblems,
  leftBehind,
} from '../support/oracle.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'

let source: TestDatabase
let warehouse: TestDatabase
let folder = ''
let site: Site

beforeAll(async () => {
  buildCli()
  const server = await testServer()
  source = await server.createDatabase('concurrent_source')
  await fill(source.url, { scale: 0.02, years: 1 })
})
afterAll(async () => source.drop())

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tote-concurrent-'))
  warehouse = await (await testServer()).createDatabase('concurrent_warehouse')
  site = checkOut(join(folder, 'here'), folder, { source: source.url, warehouse: warehouse.url })
})
afterEach(async () => {
  await warehouse.drop()
  rmSync(folder, { recursive: true, force: true })
})

async function liveOneDay(): Promise<void> {
  const simulation = await openSimulation(source.url)
  try {
    await simulation.day()
  } finally {
    await simulation.close()
  }
}

/** Throws unless everything is as if nothing had ever happened. */
async function expectWhole(): Promise<void> {
  expect(differences(await expectedRows(source), await currentRows(warehouse))).toEqual([])
  expect(await historyProblems(warehouse)).toEqual([])
  expect(await lakeProblems(site.lake, warehouse)).toEqual([])
  expect(await leftBehind(source, warehouse)).toEqual([])
}

/** Runs once more, which must succeed. */
async function runAgain(): Promise<Ended> {
  const ended = await startRun(site).ended
  expect(ended).toMatchObject({ exit: 0, stderr: '' })
  return ended
}

/** Holds something in a database, starts runs, and lets go when so many sessions of theirs wait for it. */
async function whileHeld(
  database: TestDatabase,
  statement: string,
  work: (waiting: (sessions: number) => Promise<void>) => Promise<void>,
): Promise<void> {
  const holder = new pg.Client({ connectionString: database.url })
  await holder.connect()
  try {
    await holder.query(`begin; ${statement}`)
    await work(async (sessions) => {
      await vi.waitFor(
        async () => {
          const waiting = await database.query(
            "select from pg_stat_activity where datname = current_database() and application_name = 'tote' and wait_event_type = 'Lock'",
          )
          expect(waiting.length).toBe(sessions)
        },
        { timeout: 20_000, interval: 20 },
      )
    })
  } finally {
    await holder.end()
  }
}

describe('another run', () => {
  test('P4: in the same checkout, killed with -9: the one that waits takes the lock over', async () => {
    let first: StartedRun | undefined
    let second: StartedRun | undefined
    await whileHeld(
      source,
      'lock table public.payment in access exclusive mode',
      async (waiting) => {
        first = startRun(site)
        await waiting(1)
        second = startRun(site)
        const told = await second.until((event) => event.type === 'note')
        expect(told).toMatchObject({ text: expect.stringContaining(`process ${first.child.pid}`) })
        first.child.kill('SIGKILL')
      },
    )
    expect(await first?.ended).toMatchObject({ exit: null, signal: 'SIGKILL' })
    expect(await second?.ended).toMatchObject({ exit: 0, summary: { outcome: 'succeeded' } })
    await expectWhole()
  })

  test('P3, P4: from other checkouts, on the same lake and warehouse: one commits, the others compute again', async () => {
    const sites = [
      site,
      ...['there', 'elsewhere'].map((name) => checkOut(join(folder, name), folder, site)),
    ]
    let again = 0
    for (let round = 0; round < 4; round += 1) {
      let runs: StartedRun[] = []
      // All of them read the source from the same moment on.
      await whileHeld(
        source,
        'lock table public.payment in access exclusive mode',
        async (waiting) => {
          runs = sites.map((one) => startRun(one))
          await waiting(runs.length)
        },
      )
      const ended = await Promise.all(runs.map(async (run) => run.ended))
      for (const one of ended) expect(one.summary?.error).toBeUndefined()
      expect(ended.map(({ exit }) => exit)).toEqual([0, 0, 0])
      again += ended.filter(({ events }) =>
        events.some((event) => event.type === 'note' && event.text.includes('committed to')),
      ).length
      await expectWhole()
      await liveOneDay()
    }
    // One batch of each chain in a round, whoever brought it.
    expect(await warehouse.query('select batch from tote.ledger order by batch')).toEqual(
      ['1', '2', '3', '4'].map((batch) => ({ batch })),
    )
    expect(again, 'runs that lost a race').toBeGreaterThan(0)
  })

  // A process's state is read from /proc.
  test.runIf(existsSync('/proc/self/stat'))(
    'P3, P4: suspended at any moment, goes on when another one has meanwhile carried more',
    async () => {
      const other = checkOut(join(folder, 'there'), folder, site)
      const problems: string[] = []
      await runAgain()
      for (const moment of MOMENTS) {
        await liveOneOrder()
        const suspended = startRun(site, { on: moment, signal: 'SIGSTOP', looks: true })
        if (!(await isSuspended(suspended))) problems.push(`${moment.source}: never came`)
        await liveOneOrder()
        const taking = startRun(other)
        // It may have to wait for what the suspended one holds.
        await Promise.race([taking.ended, waitsInWarehouse(taking)])
        suspended.child.kill('SIGCONT')
        for (const { exit, summary } of await Promise.all([suspended.ended, taking.ended])) {
          if (exit !== 0)
            problems.push(`${moment.source}: exit ${exit} ${JSON.stringify(summary?.error)}`)
        }
      }
      expect(problems).toEqual([])
      await expectWhole()
    },
    300_000,
  )
})

/** Returns once a session of a run waits for a lock in the warehouse, or when the run is over. */
async function waitsInWarehouse({ child }: StartedRun): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) {
    const waiting = await warehouse.query(
      "select from pg_stat_activity where datname = current_database() and application_name = 'tote' and wait_event_type = 'Lock'",
    )
    if (waiting.length > 0) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Where another run may come between: before each look at what is there, and before each decision. */
const MOMENTS: readonly RegExp[] = [
  /^extract fs\.access .*ingestion\/totesys/,
  /^extract pg\.startup/,
  /^extract pg\.query lock table/,
  /^extract pg\.query copy/,
  /^extract duckdb\.copy/,
  /^extract fs\.link .*totesys/,
  /^transform fs\.access .*ingestion\/totesys/,
  /^transform fs\.access .*ingestion\/seeds/,
  /^transform fs\.access .*processed\/totesys/,
  /^transform duckdb\.copy/,
  /^transform fs\.link/,
  /^load fs\.access .*processed\/totesys/,
  /^load pg\.startup/,
  /^load pg\.query .*pg_advisory_xact_lock/,
  /^load pg\.query copy/,
  /^load pg\.query commit/,
]

const seed = Number(process.env['TOTE_KILL_SEED'] ?? Date.now() % 24)

async function liveOneOrder(): Promise<void> {
  const simulation = await openSimulation(source.url)
  try {
    await simulation.newOrders(1)
  } finally {
    await simulation.close()
  }
}

/** True once the process is stopped (its state in /proc is T); false when it ended instead. */
async function isSuspended({ child }: StartedRun): Promise<boolean> {
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) return false
    const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
    if (stat.slice(stat.lastIndexOf(')') + 2).startsWith('T')) return true
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

test(
  'P4: Ctrl-C at any moment ends a run with 130, and the next one completes its work',
  { timeout: 240_000 },
  async () => {
    const random = namedRandom(seed, 'moments')
    let stopped = 0
    for (let round = 0; round < 5; round += 1) {
      const run = startRun(site)
      await run.until((event) => event.type === 'run.started')
      await new Promise((resolve) => setTimeout(resolve, random.next() * 1_000))
      run.child.kill('SIGINT')
      const { exit, signal, summary, stderr } = await run.ended
      expect([0, 130], `${signal} ${stderr}`).toContain(exit)
      if (exit === 130) {
        stopped += 1
        expect(summary).toMatchObject({ outcome: 'cancelled', error: { name: 'RunCancelled' } })
      }
      await runAgain()
      await expectWhole()
      await liveOneDay()
    }
    process.stdout.write(`stopped ${stopped} of 5 runs, seed ${seed}\n`)
    expect(stopped).toBeGreaterThan(0)
  },
)

describe('a server that ends our session in the middle of a COPY', () => {
  test.each([
    ['source', 'is asked again in the same run', { exit: 0, summary: { outcome: 'succeeded' } }],
    [
      'warehouse',
      'ends the run with exit 3 and SQLSTATE',
      {
        exit: 3,
        summary: { error: { name: 'WarehouseUnreachable', retry: true, sqlstate: '57P01' } },
      },
    ],
  ] as const)('P4: the %s %s, and the next one is whole', async (side, _, expected) => {
    const database = side === 'source' ? source : warehouse
    // A server-side watch sees even a COPY of a millisecond.
    const watch = database.query(`do $$ begin
      for tried in 1..200000 loop
        perform pg_stat_clear_snapshot();
        perform pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and application_name = 'tote' and query like 'copy %';
        exit when found;
        perform pg_sleep(0.0001);
      end loop;
    end $$`)
    const ended = await startRun(site).ended
    await watch
    expect(ended).toMatchObject(expected)
    if (side === 'source')
      expect(ended.events).toContainEqual(
        expect.objectContaining({ type: 'note', text: expect.stringContaining('sent us away') }),
      )
    await runAgain()
    await expectWhole()
  })
})
