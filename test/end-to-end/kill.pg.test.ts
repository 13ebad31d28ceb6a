/**
 * The kill test: the built command line, a real source, a real warehouse. A run is killed with
 * SIGKILL at one effect on the world, run again, and what comes of it must be what an unkilled run
 * makes of the same source, and what an oracle in PostgreSQL says; for one effect after the other.
 *
 * Of a later run that finds little it is every effect: before it, which is also after the one before
 * it; and, for what decides, what DuckDB writes, and a sixth of the rest, once it is under way and its
 * answer not read. Of effects in a row that leave nothing behind, it is the first and a share of the others. Of a first run, what
 * decides, half of the making of manifests, which a later run makes alike, and a share of the others. support/kill-world.ts says how it is judged.
 *
 * TOTE_KILL=every leaves nothing out, which takes half an hour.
 */
import { availableParallelism } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openSimulation } from '../../examples/totesys/simulator/live.ts'
import { killAt, type Effect } from '../support/kill.ts'
import {
  every,
  isDecisive,
  isDrawn,
  killEach,
  openKillWorld,
  type KillPlan,
  type KillWorld,
} from '../support/kill-world.ts'
import {
  currentRows,
  differences,
  expectedRows,
  historyProblems,
  lakeProblems,
  wholeRows,
} from '../support/oracle.ts'
import type { TestDatabase } from '../support/postgres.ts'

/** Of the effects that are not decisive, a first run is killed at one in so many. */
const SHARE = 64
const timeout = every ? 3_600_000 : 1_200_000

/** One for each core; the sources hold the same rows. */
let worlds: KillWorld[] = []

beforeAll(async () => {
  const count = Math.max(2, Math.min(4, availableParallelism()))
  worlds = await Promise.all(Array.from({ length: count }, async () => openKillWorld(0.02)))
}, 60_000)

afterAll(async () => {
  await Promise.all(worlds.map(async (world) => world.end()))
})

test(
  'P3, P4, P5: a first run killed at any moment, run again, ends as one that was not',
  { timeout },
  async () => {
    await play(
      'first run',
      ({ n, effect }) =>
        isDecisive(effect) ||
        (effect.includes('/_manifests') && !effect.includes('sync') && isDrawn(n, 2)) ||
        isDrawn(n, SHARE),
    )
  },
)

test(
  'P3, P4, P5: a later run killed at every effect, run again, ends as one that was not',
  { timeout },
  async () => {
    await Promise.all(
      worlds.map(async (world) => {
        await world.reset()
        await world.run()
        await world.keep()
        await liveOn(world.source)
      }),
    )
    await play(
      'later run',
      ({ n }, before) => before === undefined || !isLook(before.effect) || isDrawn(n, 4),
    )
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

/** Kills at the effects that are chosen, each with the one before it in sight. */
async function play(
  name: string,
  choose: (effect: Effect, before: Effect | undefined) => boolean,
): Promise<void> {
  const plan: KillPlan = {
    name,
    reset: async (world) => world.reset(),
    whole: async ({ warehouse }) => wholeRows(warehouse),
    points: (effects) => [
      ...effects
        .filter((effect, index) => choose(effect, effects[index - 1]))
        .flatMap(({ n, effect }) => {
          const underWay =
            effect.startsWith('duckdb.') ||
            (effect.startsWith('pg.') && (isDecisive(effect) || isDrawn(n, 6)))
          return [killAt(n, 'before'), ...(underWay ? [killAt(n, 'after')] : [])]
        }),
      // The last one is past the end: that run completes.
      killAt(effects.length + 1, 'before'),
    ],
    problems: async ({ site, warehouse }) => [
      ...(await historyProblems(warehouse)),
      ...(await lakeProblems(site.lake, warehouse)),
    ],
  }
  const { killed } = await killEach(worlds, plan)
  for (const { source, warehouse, run } of worlds) {
    // The last kill in a world may be one after which it is not run again.
    await run()
    expect(differences(await expectedRows(source), await currentRows(warehouse))).toEqual([])
  }
  for (const stage of ['extract', 'transform', 'load'])
    expect(
      killed.some((point) => point.stage === stage),
      `no kill point in ${stage}`,
    ).toBe(true)
}

/**
 * What changes nothing that a process leaves when it dies: whatever kills it after it leaves what it leaves before it.
 * (What is not synced yet is lost with a machine only.)
 */
function isLook(effect: string): boolean {
  return /^(fs\.handle\.sync|pg\.(startup|end|(query|parse) ?(begin|set local|savepoint|release|lock table|select|with recursive|copy \(select)))\b/.test(
    effect,
  )
}
