/**
 * Lives of a project: models are edited, renamed, taken away and put back, settings and seeds change, the source's rows
 * and columns too; it is run in every way, by a process that stays open or by two at once, killed, verified, repaired and rebuilt. Its warehouse is
 * emptied or damaged, or loses its ledger; views hang on its star; warehouse, lake and source are put back from copies; its lake moves.
 * After each run that went well the warehouse is what PostgreSQL makes of the same models, written by hand, over tables
 * that it keeps beside the source: every version with its instants and record id (P2, P6, P7). What must be refused is
 * told from the rows before, and then nothing has changed; what was said beforehand is what came. In the end a rebuild equals
 * the live warehouse (P7), and source, lake and warehouse are equal.
 *
 * One life has a step of every kind. TOTE_LIVES=20 plays so many, of TOTE_STEPS=50 steps; TOTE_SEED draws the same again, and
 * TOTE_SKIP=3,17 leaves steps out.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { live } from './life.ts'
import { openServers, type OwnServers } from '../support/servers.ts'

const LIVES = process.env['TOTE_LIVES']
const STEPS = LIVES === undefined ? null : Number(process.env['TOTE_STEPS'] ?? 50)
const SEED = Number(process.env['TOTE_SEED'] ?? (LIVES === undefined ? 2 : Date.now() % 1_000_000))
const SKIP = new Set((process.env['TOTE_SKIP'] ?? '').split(',').filter(Boolean).map(Number))

const counts: Record<string, number> = {}
let servers: OwnServers
beforeAll(async () => {
  servers = await openServers()
})
afterAll(async () => {
  process.stdout.write(`lives: ${JSON.stringify(counts)}\n`)
  await servers.end()
})

test(
  'P2, P4, P6, P7, P12: whatever its owner does to a project, the warehouse is what the models say of the source',
  { timeout: Number(LIVES ?? 1) * 300_000 },
  async () => {
    const failed: string[] = []
    for (let n = 0; n < Number(LIVES ?? 1); n++) {
      const lines: string[] = []
      const count = (what: string): void => void (counts[what] = (counts[what] ?? 0) + 1)
      try {
        await live({
          servers,
          seed: SEED + n,
          steps: STEPS,
          skip: SKIP,
          log: (text) => void lines.push(text),
          count,
        })
        count('lives')
      } catch (error) {
        const { stack = '' } = error as Error
        failed.push(`TOTE_SEED=${SEED + n}\n${lines.join('\n')}\n${stack}`)
        process.stdout.write(`\n=== life ${failed.at(-1)}\n`)
      }
    }
    expect(failed).toEqual([])
  },
)
