/**
 * The attack in its short form: some fifteen seconds a strategy. `npm run torture` is the long one. A seed repeats the
 * choices of every session: `TOTE_SEED=… npx vitest run --project pg test/attack/attack.pg.test.ts`.
 */
import { expect, test } from 'vitest'
import { attack, sayAttacked, STRATEGIES } from './attack.ts'

const seed = Number(process.env['TOTE_SEED'] ?? Math.floor(Math.random() * 1e9))

test.each(Object.entries(STRATEGIES))(
  'P1, P2, P4, P5, P6: under attack, %s holds in every batch what it must of what its snapshot saw, the warehouse every version, and a reader sees only whole batches',
  async (name, strategy) => {
    process.stdout.write(`${name}: TOTE_SEED=${seed}\n`)
    const done = await attack({
      seed,
      seconds: 10,
      sessions: 60,
      longestMs: 3000,
      strategy,
      columns: true,
    })
    process.stdout.write(`${sayAttacked(done)}\n`)
    expect(done.problems).toEqual([])
    // What a cursor can miss it does miss; the others never do.
    expect(done.missed > 0).toBe(name === 'cursor')
    expect(done.batches).toBeGreaterThan(2)
    expect(done.tally.committed).toBeGreaterThan(100)
    expect(done.tally.prepared).toBeGreaterThan(0)
    expect(done.reads.repeated).toBeGreaterThan(0)
    expect(done.busy).toBeLessThan(done.runs / 2)
  },
  180_000,
)
