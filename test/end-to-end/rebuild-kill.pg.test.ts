/**
 * A rebuild, killed with SIGKILL at effects from its first to its last: right after, the warehouse is the old
 * one or the new one to the last cell, and nothing else was left there; run again, it ends as one that was not killed.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { killAt, startRun } from '../support/kill.ts'
import { isDrawn, killEach, openKillWorld, type KillWorld } from '../support/kill-world.ts'
import { everyCell, readContents } from '../support/oracle.ts'

/** Of the effects that decide nothing, one in so many. */
const SHARE = 25

let world: KillWorld

beforeAll(async () => {
  world = await openKillWorld(0.02)
  await world.run()
  await world.source.query(
    'update sales_order set units_sold = units_sold + 1; update staff set first_name = upper(first_name)',
  )
  await world.run()
  await world.warehouse.query('create view busy as select staff_id, count(*) as n from fact_sales_order_current join dim_staff on staff_id = sales_staff_id group by 1') // prettier-ignore
}, 120_000)

afterAll(async () => world.end())

/** A star that is not what the lake says, whether it is the old one or a rebuilt one. */
const DAMAGE =
  "update fact_sales_order set units_sold = 0; update dim_staff set first_name = 'x'; delete from tote.ledger where batch = 1"

/** Beside the star, the ledger and all that lies in the database. */
const REST = {
  ledger: 'select batch, manifest_sha256 from tote.ledger',
  busy: 'select * from busy',
  relations: `select n.nspname, c.relname, c.relkind from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname !~ '^(pg_|information_schema)'`,
  schemas: "select nspname from pg_namespace where nspname !~ '^pg_(toast_)?temp'",
}

test(
  'P4, P5, P7: a rebuild killed at any moment leaves the old star or the new one, and nothing else',
  { timeout: 540_000 },
  async () => {
    const isCommit = (effect: string): boolean => effect.startsWith('pg.query commit')
    const { killed } = await killEach([world], {
      name: 'rebuild',
      command: 'rebuild',
      reset: async ({ warehouse }) => void (await warehouse.query(DAMAGE)),
      whole: async ({ warehouse }) =>
        new Map([...(await everyCell(warehouse)), ...(await readContents(warehouse, REST))]),
      points: (effects) => {
        expect(effects.filter(({ effect }) => isCommit(effect)).length).toBe(1)
        return effects.flatMap(({ n, effect }) => {
          if (isCommit(effect)) return [killAt(n, 'before'), killAt(n, 'after')]
          const decides =
            /^pg\.\w+ (savepoint|lock table|drop|delete from "tote"|insert into "tote")/.test(
              effect,
            )
          return decides || isDrawn(n, SHARE) || n === effects.length ? [killAt(n, 'before')] : []
        })
      },
    })
    expect(killed.length).toBeGreaterThan(10)
    expect(await startRun(world.site).ended).toMatchObject({ exit: 0 })
  },
)
