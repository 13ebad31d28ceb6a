/** What the comparison with other tools asks of each, asked of ours. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openPlace, type Place } from '../bench/place.ts'
import { suffer } from '../bench/rivals/adversity.ts'
import { openRival, openTote } from '../bench/rivals/carrier.ts'
import { findRivals } from '../bench/rivals/environments.ts'
import { renderSuffered } from '../bench/rivals/rivals.ts'
import { buildWhenStale } from '../scripts/build.js'
import { testServer } from './support/postgres.ts'

let place: Place

beforeAll(async () => {
  if (!buildWhenStale()) throw new Error('dist/ is not built: see above')
  place = await openPlace((await testServer()).url('postgres'))
})

afterAll(async () => place.close())

const NOTHING = { missing: 0, stale: 0, extra: 0, doubled: 0 }

test('P2: late commits, ties, silent updates, deletions, clocks and changed keys: nothing is missed', async () => {
  const { moves } = await suffer(place, async (source, table) => openTote(place, source, table))
  expect(moves.map(({ move }) => move)).toHaveLength(10)
  for (const { outcome } of moves) expect(outcome).toEqual(NOTHING)
})

test('the others are asked the same, and what they miss is found', async (ctx) => {
  const { installed } = await findRivals(false)
  const script = installed.find(({ rival }) => rival.name === 'pandas script')
  if (script === undefined)
    return ctx.skip('no other tool is installed: npm run bench -- --only rivals installs them')
  const suffered = await suffer(place, async (source, table) =>
    openRival(place, source, table, script),
  )
  const outcomeOf = (start: string): unknown =>
    suffered.moves.find(({ move }) => move.startsWith(start))?.outcome
  expect(outcomeOf('updated, last_updated untouched')).toEqual({ ...NOTHING, stale: 20 })
  expect(outcomeOf('deleted')).toMatchObject({ extra: 20 })
  expect(renderSuffered([suffered]).join('\n')).toContain('**20 extra**')
})
