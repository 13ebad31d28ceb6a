/**
 * A run that restates edited models, killed with SIGKILL at every effect that decides, and at a share of
 * the others; run again, it must end where one ends that was not killed. Right after the kill, the
 * warehouse is at the old generation or at the new one, in every table.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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
import { lakeProblems, WAREHOUSE_TABLES } from '../support/oracle.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'

/** Of the effects that are not decisive, one in so many. */
const SHARE = 40

let root = ''
let site: Site
let source: TestDatabase
let warehouse: TestDatabase

beforeAll(async () => {
  buildCli()
  root = mkdtempSync(join(tmpdir(), 'tote-restate-kill-'))
  const server = await testServer()
  source = await server.createDatabase('kill_source')
  warehouse = await server.createDatabase('kill_warehouse')
  await fill(source.url, { scale: 0.02, years: 1 })
  site = checkOut(root, root, { source: source.url, warehouse: warehouse.url })
  expect(await startRun(site).ended).toMatchObject({ exit: 0 })
  await source.query(
    'update sales_order set units_sold = units_sold + 1; update staff set first_name = upper(first_name)',
  )
  expect(await startRun(site).ended).toMatchObject({ exit: 0 })
  cpSync(join(root, 'lake'), join(root, 'kept'), { recursive: true })
  const kept = ['tote.ledger', ...WAREHOUSE_TABLES.map((table) => `public.${table}`)]
  await warehouse.query(
    `create schema kept; ${kept.map((table) => `create table kept.${table.split('.')[1]} as table ${table}`).join('; ')}`,
  )
  // No column comes or goes, so that the warehouse can be put back with its tables in place.
  for (const [name, from, to] of [
    ['fact_sales_order', 'units_sold', 'units_sold // 2 as units_sold'],
    ['dim_staff', 'first_name', 'lower(first_name) as first_name'],
  ] as const) {
    const path = join(root, 'models', `${name}.sql`)
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

afterAll(async () => {
  await source.drop()
  await warehouse.drop()
  rmSync(root, { recursive: true, force: true })
})

async function reset(): Promise<void> {
  rmSync(join(root, 'lake'), { recursive: true, force: true })
  rmSync(join(root, '.tote', 'run.lock'), { recursive: true, force: true })
  cpSync(join(root, 'kept'), join(root, 'lake'), { recursive: true })
  const tables = WAREHOUSE_TABLES.toReversed()
  await warehouse.query(
    `begin; truncate tote.ledger, ${tables.map((table) => `public.${table}`).join(', ')}; insert into tote.ledger table kept.ledger;
     ${tables.map((table) => `insert into public.${table} table kept.${table}`).join('; ')}; commit`,
  )
}

/** Every cell of the star, history included. */
async function whole(): Promise<string> {
  const tables = WAREHOUSE_TABLES.map(
    (table) => `select '${table}' as name, to_jsonb(t)::text as row from public.${table} as t`,
  )
  const rows = await warehouse.query(`${tables.join(' union all ')} order by 1, 2`)
  return rows.map(({ name, row }) => `${name} ${row}`).join('\n')
}

test(
  'P3, P4, P5: a restatement killed at any moment, run again, ends as one that was not',
  { timeout: 540_000 },
  async () => {
    await reset()
    const before = await whole()
    const untouched = await runWithSwitch(site, { at: NEVER })
    expect(untouched.ended).toMatchObject({ exit: 0, summary: { outcome: 'succeeded' } })
    const after = await whole()
    expect(after).not.toBe(before)

    const decides = (effect: string): boolean =>
      /^(fs\.link|pg\.query (begin|commit)|pg\.parse insert into "tote")/.test(effect)
    const later = untouched.effects.filter(({ stage }) => stage !== 'extract' && stage !== 'start')
    const chosen = later.filter(({ n, effect }) => decides(effect) || n % SHARE === 0)
    expect(chosen.length).toBeGreaterThan(10)
    const problems: string[] = []
    for (const { n, effect, stage } of chosen) {
      for (const when of decides(effect) ? (['before', 'after'] as const) : (['before'] as const)) {
        const place = `${when} ${stage} ${n} ${effect}`
        await reset()
        const killed = await runWithSwitch(site, { at: killAt(n, when) })
        if (killed.point === undefined) continue
        const halfway = await whole()
        if (halfway !== before && halfway !== after) problems.push(`${place}: half a star`)
        const again = await startRun(site).ended
        if (again.exit !== 0) problems.push(`${place}: exit ${again.exit} ${again.stderr}`)
        else if ((await whole()) !== after) problems.push(`${place}: ends otherwise`)
        problems.push(
          ...(await lakeProblems(site.lake, warehouse)).map((problem) => `${place}: ${problem}`),
        )
      }
    }
    expect(problems).toEqual([])
  },
)
