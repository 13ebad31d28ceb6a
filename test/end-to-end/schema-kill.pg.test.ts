/**
 * A run that follows a changed schema, killed with SIGKILL at every effect that decides and at each that
 * alters a table of the warehouse; run again, it must end where one ends that was not killed. Right after
 * the kill the warehouse has the old columns and rows, or the new ones.
 */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
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

const TABLES = [...WAREHOUSE_TABLES, 'fact_payment_kind']

let root = ''
let site: Site
let source: TestDatabase
let warehouse: TestDatabase

beforeAll(async () => {
  buildCli()
  root = mkdtempSync(join(tmpdir(), 'tote-schema-kill-'))
  const server = await testServer()
  source = await server.createDatabase('kill_source')
  warehouse = await server.createDatabase('kill_warehouse')
  await fill(source.url, { scale: 0.01, years: 1 })
  site = checkOut(root, root, { source: source.url, warehouse: warehouse.url })
  // A model that takes all columns, and has versions.
  writeFileSync(
    join(root, 'models', 'fact_payment_kind.sql'),
    `-- kind: fact\n-- key: payment_type_id\n-- record id: kind_record_id\n-- nullable: all\nselect * from totesys.payment_type\n`,
  )
  await source.query('alter table payment_type alter column payment_type_name type varchar(40)')
  expect(await startRun(site).ended).toMatchObject({ exit: 0 })
  cpSync(join(root, 'lake'), join(root, 'kept'), { recursive: true })
  const kept = ['tote.ledger', ...TABLES.map((table) => `public.${table}`)]
  await warehouse.query(
    `create schema kept; ${kept.map((table) => `create table kept.${table.split('.')[1]} as table ${table}`).join('; ')}`,
  )
  await source.query(
    `alter table payment_type add column nick text default 'n', alter column payment_type_name type text`,
  )
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
  const tables = TABLES.toReversed()
  await warehouse.query(
    `begin; drop view fact_payment_kind_current; alter table fact_payment_kind drop column if exists nick, alter column payment_type_name type varchar(40);
     create view fact_payment_kind_current as select * from fact_payment_kind where valid_to is null;
     truncate tote.ledger, ${tables.map((table) => `public.${table}`).join(', ')}; insert into tote.ledger table kept.ledger;
     ${tables.map((table) => `insert into public.${table} table kept.${table}`).join('; ')}; commit`,
  )
}

/** Every cell of the star but the clock's, history and column types included. */
async function whole(): Promise<string> {
  const tables = TABLES.map(
    (table) =>
      `select '${table}' as name, (to_jsonb(t) - 'valid_from' - 'valid_to' || jsonb_build_object('current', to_jsonb(t)->>'valid_to' is null))::text as row from public.${table} as t`,
  )
  const rows = await warehouse.query(
    `${tables.join(' union all ')} union all
     select 'type', attname || ' ' || format_type(atttypid, atttypmod) from pg_attribute
     where attrelid = 'fact_payment_kind'::regclass and attnum > 0 and not attisdropped order by 1, 2`,
  )
  return rows.map(({ name, row }) => `${name} ${row}`).join('\n')
}

test(
  'P3, P4, P5: a changed schema whose run is killed at any moment, run again, ends as one that was not',
  { timeout: 540_000 },
  async () => {
    await reset()
    const before = await whole()
    const untouched = await runWithSwitch(site, { at: NEVER })
    expect(untouched.ended).toMatchObject({ exit: 0, summary: { outcome: 'succeeded' } })
    const after = await whole()
    expect(after).toMatch(/type nick text\n/)
    expect(after).toMatch(/type payment_type_name text\n/)

    const decides = (effect: string): boolean =>
      /^(fs\.link|pg\.query commit|pg\.\w+ (alter (table|view)|create or replace view|insert into "tote"))/.test(
        effect,
      )
    const chosen = untouched.effects.filter(({ effect }) => decides(effect))
    expect(chosen.filter(({ effect }) => effect.includes('alter table')).length).toBeGreaterThan(0)
    const problems: string[] = []
    for (const { n, effect, stage } of chosen)
      // What is before one effect is after the one before it; a commit may be answered to nobody.
      for (const when of effect.includes('commit')
        ? (['before', 'after'] as const)
        : (['before'] as const)) {
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
    expect(problems).toEqual([])
  },
)
