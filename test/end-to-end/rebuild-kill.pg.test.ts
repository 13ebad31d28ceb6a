/**
 * A rebuild, killed with SIGKILL at effects from its first to its last: right after, the warehouse is the old
 * one or the new one to the last cell, and nothing else was left there; run again, it ends as one that was not killed.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fill } from '../../examples/totesys/simulator/fill.ts'
import {
  buildCli,
  checkOut,
  killAt,
  NEVER,
  runWithSwitch,
  startRun,
  type Site,
} from '../support/kill.ts'
import { WAREHOUSE_TABLES } from '../support/oracle.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'

/** Of the effects that decide nothing, one in so many. */
const SHARE = 25

let root = ''
let site: Site
let source: TestDatabase
let warehouse: TestDatabase

beforeAll(async () => {
  buildCli()
  root = mkdtempSync(join(tmpdir(), 'tote-rebuild-kill-'))
  const server = await testServer()
  source = await server.createDatabase('kill_source')
  warehouse = await server.createDatabase('kill_warehouse')
  await fill(source.url, { scale: 0.02, years: 1 })
  site = checkOut(root, root, { source: source.url, warehouse: warehouse.url })
  for (const change of [
    'select 1',
    'update sales_order set units_sold = units_sold + 1; update staff set first_name = upper(first_name)',
  ]) {
    // prettier-ignore
    await source.query(change)
    expect(await startRun(site).ended).toMatchObject({ exit: 0 })
  }
  await warehouse.query('create view busy as select staff_id, count(*) as n from fact_sales_order_current join dim_staff on staff_id = sales_staff_id group by 1') // prettier-ignore
}, 120_000)

afterAll(async () => {
  await source.drop()
  await warehouse.drop()
  rmSync(root, { recursive: true, force: true })
})

/** A star that is not what the lake says, whether it is the old one or a rebuilt one. */
async function damage(): Promise<void> {
  await warehouse.query(
    "update fact_sales_order set units_sold = 0; update dim_staff set first_name = 'x'; delete from tote.ledger where batch = 1",
  )
}

/** Every cell of the star, history included, the ledger, and all that lies in the database. */
async function whole(): Promise<string> {
  const tables = WAREHOUSE_TABLES.map(
    (table) => `select '${table}' as name, to_jsonb(t)::text as row from public.${table} as t`,
  )
  const rows = await warehouse.query(
    `${tables.join(' union all ')} union all select 'ledger', concat_ws(' ', batch, manifest_sha256) from tote.ledger
     union all select 'busy', b::text from busy as b
     union all select 'relation', n.nspname || '.' || c.relname || c.relkind::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname !~ '^(pg_|information_schema)'
     union all select 'schema', nspname from pg_namespace where nspname !~ '^pg_(toast_)?temp'
     order by 1, 2`,
  )
  return rows.map(({ name, row }) => `${name} ${row}`).join('\n')
}

test(
  'P4, P5, P7: a rebuild killed at any moment leaves the old star or the new one, and nothing else',
  { timeout: 540_000 },
  async () => {
    await damage()
    const before = await whole()
    const untouched = await runWithSwitch(site, { at: NEVER }, 'rebuild')
    expect(untouched.ended).toMatchObject({ exit: 0, summary: { outcome: 'succeeded' } })
    const after = await whole()
    expect(after).not.toBe(before)

    const commits = (effect: string): boolean => effect.startsWith('pg.query commit')
    const decides = (effect: string): boolean =>
      commits(effect) || /^pg\.\w+ (savepoint|lock table|drop|delete from "tote"|insert into "tote")/.test(effect) // prettier-ignore
    const chosen = untouched.effects.filter(
      ({ n, effect }) => decides(effect) || n % SHARE === 0 || n === untouched.effects.length,
    )
    expect(chosen.filter(({ effect }) => commits(effect)).length).toBe(1)
    expect(chosen.length).toBeGreaterThan(10)
    const problems: string[] = []
    for (const { n, effect } of chosen) {
      for (const when of commits(effect) ? (['before', 'after'] as const) : (['before'] as const)) {
        await damage()
        const killed = await runWithSwitch(site, { at: killAt(n, when) }, 'rebuild')
        if (killed.point === undefined) continue
        const left = await whole()
        if (left !== before && left !== after) problems.push(`${when} ${n} ${effect}`)
      }
    }
    expect(problems).toEqual([])
    await damage()
    expect(await startRun(site, undefined, 'rebuild').ended).toMatchObject({ exit: 0 })
    expect(await whole()).toBe(after)
    expect(await startRun(site).ended).toMatchObject({ exit: 0 })
  },
)
