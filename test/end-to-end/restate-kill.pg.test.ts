/**
 * A run that restates edited models, killed with SIGKILL at every effect that decides, and at a share of
 * the others; run again, it must end where one ends that was not killed. Right after the kill, the
 * warehouse is at the old generation or at the new one, in every table.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { killAt } from '../support/kill.ts'
import {
  isDecisive,
  isDrawn,
  killEach,
  openKillWorld,
  type KillWorld,
} from '../support/kill-world.ts'
import { everyCell, lakeProblems } from '../support/oracle.ts'

/** Of the effects that are not decisive, one in so many. */
const SHARE = 40

let world: KillWorld

beforeAll(async () => {
  world = await openKillWorld(0.02)
  await world.run()
  await world.source.query(
    'update sales_order set units_sold = units_sold + 1; update staff set first_name = upper(first_name)',
  )
  await world.run()
  await world.keep()
  // No column comes or goes, so that the warehouse can be put back with its tables in place.
  for (const [name, from, to] of [
    ['fact_sales_order', 'units_sold', 'units_sold // 2 as units_sold'],
    ['dim_staff', 'first_name', 'lower(first_name) as first_name'],
  ] as const) {
    const path = join(world.folder, 'models', `${name}.sql`)
    const text = readFileSync(path, 'utf8')
    writeFileSync(
      path,
      text.replace(new RegExp(`(?<=\\n\\s*)(\\w+\\.)?${from}(?=,)`), (column) =>
        to.replace(from, column),
      ),
    )
    expect(readFileSync(path, 'utf8')).not.toBe(text)
  }
}, 120_000)

afterAll(async () => world.end())

test(
  'P3, P4, P5: a restatement killed at any moment, run again, ends as one that was not',
  { timeout: 540_000 },
  async () => {
    const { killed } = await killEach([world], {
      name: 'restatement',
      reset: async ({ reset }) => reset(),
      whole: async ({ warehouse }) => everyCell(warehouse),
      points: (effects) =>
        effects
          .filter(({ stage }) => stage !== 'extract' && stage !== 'start')
          .flatMap(({ n, effect }) => {
            if (isDecisive(effect)) return [killAt(n, 'before'), killAt(n, 'after')]
            return isDrawn(n, SHARE) ? [killAt(n, 'before')] : []
          }),
      problems: async ({ site, warehouse }) => lakeProblems(site.lake, warehouse),
    })
    expect(killed.length).toBeGreaterThan(10)
  },
)
