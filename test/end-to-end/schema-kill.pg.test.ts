/**
 * A run that follows a changed schema, killed with SIGKILL at every effect that decides and at each that
 * alters a table of the warehouse; run again, it must end where one ends that was not killed. Right after
 * the kill the warehouse has the old columns and rows, or the new ones.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { killAt } from '../support/kill.ts'
import { killEach, openKillWorld, type KillWorld } from '../support/kill-world.ts'
import { lakeProblems, readContents, WAREHOUSE_TABLES } from '../support/oracle.ts'

const TABLES = [...WAREHOUSE_TABLES, 'fact_payment_kind']

let world: KillWorld

beforeAll(async () => {
  world = await openKillWorld(0.01)
  const { folder, source } = world
  // A model that takes all columns, and has versions.
  writeFileSync(
    join(folder, 'models', 'fact_payment_kind.sql'),
    `-- kind: fact\n-- key: payment_type_id\n-- record id: kind_record_id\n-- nullable: all\nselect * from totesys.payment_type\n`,
  )
  await source.query('alter table payment_type alter column payment_type_name type varchar(40)')
  await world.run()
  await world.keep(TABLES)
  await source.query(
    `alter table payment_type add column nick text default 'n', alter column payment_type_name type text`,
  )
}, 120_000)

afterAll(async () => world.end())

const BACK = `drop view fact_payment_kind_current;
  alter table fact_payment_kind drop column if exists nick, alter column payment_type_name type varchar(40);
  create view fact_payment_kind_current as select * from fact_payment_kind where valid_to is null`

/** Every cell of the star but the clock's, which versions are current, and the types of the columns. */
const WHOLE = {
  ...Object.fromEntries(
    TABLES.map((table) => [
      table,
      `select to_jsonb(t) - 'valid_from' - 'valid_to' as row, to_jsonb(t)->>'valid_to' is null as current from public.${table} as t`,
    ]),
  ),
  types: `select attname || ' ' || format_type(atttypid, atttypmod) as type from pg_attribute
    where attrelid = 'fact_payment_kind'::regclass and attnum > 0 and not attisdropped`,
}

test(
  'P3, P4, P5: a changed schema whose run is killed at any moment, run again, ends as one that was not',
  { timeout: 540_000 },
  async () => {
    const { after, killed } = await killEach([world], {
      name: 'changed schema',
      reset: async ({ reset }) => reset(BACK),
      whole: async ({ warehouse }) => readContents(warehouse, WHOLE),
      points: (effects) =>
        effects.flatMap(({ n, effect }) => {
          // What is before one effect is after the one before it; a commit may be answered to nobody.
          if (effect.startsWith('pg.query commit')) return [killAt(n, 'before'), killAt(n, 'after')]
          const decides =
            /^(fs\.link|pg\.\w+ (alter (table|view)|create or replace view|insert into "tote"))/
          return decides.test(effect) ? [killAt(n, 'before')] : []
        }),
      problems: async ({ site, warehouse }) => lakeProblems(site.lake, warehouse),
    })
    const types = after.get('types')
    expect(types).toContain('{"type":"nick text"}')
    expect(types).toContain('{"type":"payment_type_name text"}')
    expect(killed.some(({ effect }) => effect.includes('alter table'))).toBe(true)
  },
)
