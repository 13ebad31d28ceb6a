/**
 * Faults of every kind at effects that a seed draws, a few dozen; `npm run torture` is the thousand.
 * `TOTE_SEED=… npx vitest run --project pg test/torture` draws the same again.
 */
import { expect, test } from 'vitest'
import { FAULTS } from './faults.ts'
import { sayKilled, torture } from './kills.ts'
import { buildCli } from '../support/kill.ts'

const seed = Number(process.env['TOTE_SEED'] ?? Math.floor(Math.random() * 1e9))

test(
  'P3, P4, P6: whatever is killed, cut off, full or set back, the next run leads to the warehouse of the oracle, and nothing is left behind',
  { timeout: 600_000 },
  async () => {
    buildCli()
    process.stdout.write(`faults: TOTE_SEED=${seed}\n`)
    // The first kind of each is sure; from then on they are drawn.
    const done = await torture({ seed, kills: 14, worldKills: 14, eachOnce: true })
    process.stdout.write(`${sayKilled(done)}\n`)
    expect(done.problems).toEqual([])
    for (const fault of FAULTS)
      if (!done.left.some((text) => text.startsWith(fault)))
        expect([...done.counts.keys()]).toContain(fault)
  },
)
