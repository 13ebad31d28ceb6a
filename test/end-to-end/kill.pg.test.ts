/**
 * The kill test: the built command line, a real source, a real warehouse. A run is killed with
 * SIGKILL at one effect on the world, run again, and what comes of it must be what an unkilled run
 * makes of the same source, and what an oracle in PostgreSQL says; for one effect after the other.
 *
 * Of a later run that finds little it is every effect: before it, which is also after the one before
 * it; and, for what decides, what DuckDB writes, and a sixth of the rest, once it is under way and its
 * answer not read. Of a first run, what decides, the making of manifests and a share of the others.
 * A seed turns the shares. Right after each kill the warehouse is read: the batch is there whole, or
 * not at all. Then it is run again, unless what the kill left is what another one left before; a share
 * of those, too.
 *
 * TOTE_KILL=every leaves nothing out, which takes half an hour; TOTE_KILL_SEED repeats a choice.
 */
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fill } from '../../examples/totesys/simulator/fill.ts'
import { openSimulation } from '../../examples/totesys/simulator/live.ts'
import {
  buildCli,
  checkOut,
  killAt,
  runWithSwitch,
  startRun,
  NEVER,
  type Effect,
  type Ended,
  type KillPoint,
  type Site,
} from '../support/kill.ts'
import {
  currentRows,
  differences,
  expectedRows,
  historyProblems,
  lakeProblems,
  leftBehind,
  WAREHOUSE_TABLES,
  wholeRows,
  type Contents,
} from '../support/oracle.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'

const STAGES = ['extract', 'transform', 'load'] as const
/** Of the effects that are not decisive, a first run is killed at one in so many. */
const SHARE = 32
/** Of the kills that leave what another one left, one in so many is run again nevertheless. */
const AGAIN = 6
const every = process.env['TOTE_KILL'] === 'every'
const seed = Number(process.env['TOTE_KILL_SEED'] ?? Date.now() % SHARE)

/** A world of its own for each core; the sources hold the same rows. */
interface Slot {
  readonly site: Site
  readonly source: TestDatabase
  readonly warehouse: TestDatabase
}

let root = ''
let slots: Slot[] = []

beforeAll(async () => {
  buildCli()
  root = mkdtempSync(join(tmpdir(), 'tote-kill-'))
  const server = await testServer()
  slots = await Promise.all(
    Array.from({ length: Math.max(2, Math.min(4, availableParallelism())) }, async (_, index) => {
      const source = await server.createDatabase('kill_source')
      await fill(source.url, { scale: 0.02, years: 1 })
      const warehouse = await server.createDatabase('kill_warehouse')
      const folder = join(root, `slot-${index}`)
      return {
        site: checkOut(folder, folder, { source: source.url, warehouse: warehouse.url }),
        source,
        warehouse,
      }
    }),
  )
}, 60_000)

afterAll(async () => {
  await Promise.all(slots.flatMap(({ source, warehouse }) => [source.drop(), warehouse.drop()]))
  rmSync(root, { recursive: true, force: true })
})

interface Scenario {
  readonly name: string
  /** Puts a slot's world to where the run begins. */
  reset(slot: Slot): Promise<void>
  choose(effect: Effect): boolean
}

test(
  'P3, P4, P5: a first run killed at any moment, run again, ends as one that was not',
  { timeout: every ? 3_600_000 : 600_000 },
  async () => {
    await play({
      name: 'first run',
      reset: async ({ site, warehouse }) => {
        emptyFolders(site)
        await warehouse.query(
          'drop schema if exists tote cascade; drop schema public cascade; create schema public',
        )
      },
      choose: ({ n, effect }) =>
        every ||
        isDecisive(effect) ||
        (effect.includes('/_manifests') && !effect.includes('sync')) ||
        n % SHARE === seed % SHARE,
    })
  },
)

test(
  'P3, P4, P5: a later run killed at every effect, run again, ends as one that was not',
  { timeout: every ? 3_600_000 : 600_000 },
  async () => {
    // Every slot gets a first run of its own, and keeps it aside.
    await Promise.all(
      slots.map(async ({ site, source, warehouse }) => {
        emptyFolders(site)
        await warehouse.query(
          'drop schema if exists tote cascade; drop schema public cascade; create schema public',
        )
        expect(await startRun(site).ended).toMatchObject({ exit: 0 })
        cpSync(join(site.folder, 'lake'), join(site.folder, 'kept'), { recursive: true })
        const kept = ['tote.ledger', ...WAREHOUSE_TABLES.map((table) => `public.${table}`)]
        await warehouse.query(
          `create schema kept; ${kept.map((table) => `create table kept.${table.split('.')[1]} as table ${table}`).join('; ')}`,
        )
        await liveOn(source)
      }),
    )
    await play({
      name: 'later run',
      reset: async ({ site, warehouse }) => {
        emptyFolders(site)
        cpSync(join(site.folder, 'kept'), join(site.folder, 'lake'), { recursive: true })
        const tables = WAREHOUSE_TABLES.toReversed()
        await warehouse.query(
          `begin; truncate tote.ledger, ${tables.map((table) => `public.${table}`).join(', ')}; insert into tote.ledger table kept.ledger;
         ${tables.map((table) => `insert into public.${table} table kept.${table}`).join('; ')}; commit`,
        )
      },
      choose: () => true,
    })
  },
)

/** What can happen between two runs: silently updated, late, deleted, new; few tables, so that runs stay short. */
async function liveOn(source: TestDatabase): Promise<void> {
  const simulation = await openSimulation(source.url)
  try {
    simulation.nextDay()
    const late = await simulation.lateCommit()
    await simulation.newOrders(1)
    await simulation.silentUpdate('sales_order')
    await simulation.deleteOrder('sales_order')
    await late.commit()
  } finally {
    await simulation.close()
  }
}

/** Removes the lake and the state folder's content, but for the transpiled config, which takes time only. */
function emptyFolders({ folder, lake }: Site): void {
  const state = join(folder, '.tote')
  const names = existsSync(state) ? readdirSync(state).filter((name) => name !== 'cache') : []
  for (const gone of [join(lake.ingestion, '..'), ...names.map((name) => join(state, name))])
    rmSync(gone, { recursive: true, force: true })
}

/** What makes something visible, or ends it. */
function isDecisive(effect: string): boolean {
  return /^(fs\.link|pg\.query (begin|commit|rollback)|pg\.parse insert into "tote")/.test(effect)
}

async function play(scenario: Scenario): Promise<void> {
  const startedAt = Date.now()
  const [first] = slots
  if (first === undefined) throw new Error('no slot')
  await scenario.reset(first)
  const before = await wholeRows(first.warehouse)
  const untouched = await runWithSwitch(first.site, { at: NEVER })
  expect(untouched.ended).toMatchObject({ exit: 0, summary: { outcome: 'succeeded' } })
  const expected: Expected = {
    current: await expectedRows(first.source),
    whole: await wholeRows(first.warehouse),
  }
  expect(await problemsOf(first, expected)).toEqual([])

  const points = pointsOf(untouched.effects.filter(scenario.choose))
  // The last one is past the end: that run completes.
  points.push(killAt(untouched.effects.length + 1, 'before'))
  const killed: KillPoint[] = []
  const problems: string[] = []
  const seen = new Map<string, number>()
  let repeated = 0
  const playPoint = async (slot: Slot, at: number): Promise<string[]> => {
    await scenario.reset(slot)
    const { ended, point } = await runWithSwitch(slot.site, { at })
    // One effect may come more or less than in the run that was not killed.
    if (point === undefined)
      return ended.exit === 0 ? problemsOf(slot, expected) : [describeEnd(ended)]
    if (ended.signal !== 'SIGKILL') return [`the switch did not kill: ${describeEnd(ended)}`]
    killed.push(point)
    const found = await wholeRows(slot.warehouse)
    const stands = [before, expected.whole].findIndex(
      (rows) => differences(rows, found).length === 0,
    )
    if (stands < 0) return [`half a batch: ${differences(before, found).join('; ')}`]
    const left = `${stands} ${stateOf(slot.site, point)}`
    const times = seen.get(left) ?? 0
    seen.set(left, times + 1)
    if (!every && times > 0 && times % AGAIN !== seed % AGAIN)
      return leftBehind(slot.source, slot.warehouse)
    repeated += 1
    const again = await startRun(slot.site).ended
    return again.exit === 0 ? problemsOf(slot, expected) : [`run again: ${describeEnd(again)}`]
  }
  await Promise.all(
    slots.map(async (slot) => {
      for (let at = points.shift(); at !== undefined && problems.length < 5; at = points.shift()) {
        const found = await playPoint(slot, at)
        problems.push(
          ...found.map(
            (problem) =>
              `${describePoint(killed.find(({ n, killed: when }) => killAt(n, when) === at))}: ${problem}`,
          ),
        )
      }
    }),
  )
  const counts = STAGES.map(
    (stage) => `${stage} ${killed.filter((point) => point.stage === stage).length}`,
  )
  process.stdout.write(
    `${scenario.name}: ${untouched.effects.length} effects, killed ${killed.length} times (${counts.join(', ')}), ` +
      `${seen.size} states left, run again ${repeated} times, seed ${seed}, ${Math.round((Date.now() - startedAt) / 1000)} s\n`,
  )
  expect(problems).toEqual([])
  for (const stage of STAGES)
    expect(
      killed.some((point) => point.stage === stage),
      `no kill point in ${stage}`,
    ).toBe(true)
}

function pointsOf(effects: readonly Effect[]): number[] {
  return effects.flatMap(({ n, effect }) => {
    const underWay =
      effect.startsWith('duckdb.') ||
      (effect.startsWith('pg.') && (every || isDecisive(effect) || n % 6 === seed % 6))
    return [killAt(n, 'before'), ...(underWay ? [killAt(n, 'after')] : [])]
  })
}

/** What a kill left on disk, without what is random in it; and what of a server was under way. */
function stateOf({ folder, lake }: Site, { stage, effect, killed }: KillPoint): string {
  const list = (path: string, sizes: boolean): string[] =>
    (existsSync(path) ? readdirSync(path, { recursive: true, encoding: 'utf8' }) : []).map(
      (name) => {
        const { size } = statSync(join(path, name))
        return `${keyOf(name)} ${sizes ? size : ''}`
      },
    )
  const deciding = isDecisive(effect) ? `${killed} ${effect}` : ''
  return [
    stage,
    deciding,
    ...list(join(lake.ingestion, '..'), true),
    '',
    ...list(join(folder, '.tote'), false),
  ].join('\n')
}

function keyOf(name: string): string {
  return name
    .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '…')
    .replaceAll(/\d{12}(-base)?-\d+-[0-9a-f]{12}|[0-9A-Z]{10,16}(?=\.jsonl)|\d+(?=-…)/g, '…')
}

function describePoint(point: KillPoint | undefined): string {
  return point === undefined
    ? 'not killed'
    : `killed ${point.killed} effect ${point.n} (${point.stage}, ${point.effect})`
}

function describeEnd({ exit, summary, stderr }: Ended): string {
  return `exit ${exit} ${JSON.stringify(summary?.error ?? stderr)}`
}

interface Expected {
  readonly current: Contents
  readonly whole: Contents
}

async function problemsOf(
  { site, source, warehouse }: Slot,
  expected: Expected,
): Promise<string[]> {
  return [
    ...differences(expected.current, await currentRows(warehouse)),
    ...differences(expected.whole, await wholeRows(warehouse)).map(
      (problem) => `unlike the unkilled run: ${problem}`,
    ),
    ...(await historyProblems(warehouse)),
    ...(await lakeProblems(site.lake, warehouse)),
    ...(await leftBehind(source, warehouse)),
  ]
}
