/**
 * P4, P7: `warehouse.schema` is changed while a project lives. Each schema has a star and a story of its own in the
 * ledger: a new one gets the whole history, one that was left catches up.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { createProject, type TestProject } from '../support/project.ts'
import { expectRefusal } from '../support/refusal.ts'

const open: TestProject[] = []
afterEach(async () => {
  for (const project of open.splice(0)) await project.close()
})

/** A shop whose star is in schema dw, at batch 2. */
async function shopIn(schema: string): Promise<TestProject> {
  const shop = await createProject({ warehouse: `schema: '${schema}'` })
  open.push(shop)
  await shop.good()
  await sell(shop, 11)
  return shop
}

/** Changes no number of rows. */
async function change(shop: TestProject, units: number): Promise<void> {
  await shop.source.query(`update sale set units = ${units} where sale_id = 8800101`)
}

/** As a batch of its own. */
async function sell(shop: TestProject, units: number): Promise<void> {
  await change(shop, units)
  await shop.good()
}

async function schemaIs(shop: TestProject, schema: string, more = ''): Promise<void> {
  await shop.configure({ warehouse: `schema: '${schema}', ${more}` })
}

/** Every row of every table, the history and record ids included. */
async function starIn(shop: TestProject, schema: string): Promise<Record<string, string>> {
  const tables = await shop.warehouse.query(
    `select tablename as name from pg_tables where schemaname = '${schema}' order by 1`,
  )
  const rows: Record<string, string> = {}
  for (const { name } of tables) {
    const [found] = await shop.warehouse.query(
      `select coalesce(string_agg(t::text, E'\\n' order by t::text), '') as text from "${schema}"."${name}" as t`,
    )
    rows[String(name)] = String(found?.['text'])
  }
  return rows
}

/** What the ledger says, the moment of loading left out. */
async function ledger(shop: TestProject): Promise<string[]> {
  const rows = await shop.warehouse.query(
    `select schema || ' ' || generation || '.' || batch as text from tote.ledger order by schema, generation, batch`,
  )
  return rows.map(({ text }) => text ?? '')
}

/** Columns and key of the ledger. */
async function ledgerShape(shop: TestProject): Promise<unknown> {
  return shop.warehouse.query(
    `select (select string_agg(attname || ' ' || attnotnull || ' ' || atthasdef, ', ' order by attname)
      from pg_attribute where attrelid = 'tote.ledger'::regclass and attnum > 0) as columns,
      (select string_agg(pg_get_constraintdef(oid), '; ') from pg_constraint where conrelid = 'tote.ledger'::regclass) as key`,
  )
}

/** The ledger as the version before made it, which did not say where the star is. */
async function asBefore(shop: TestProject): Promise<void> {
  const owner = `set role "${shop.loader}";`
  await shop.warehouse.query(`${owner} alter table tote.ledger rename to newer;
    alter index tote.ledger_pkey rename to newer_pkey;
    create table if not exists "tote"."ledger" (
  pipeline text not null,
  batch bigint not null,
  generation integer not null default 1,
  chain text not null,
  manifest bigint not null,
  manifest_sha256 text not null,
  instant timestamptz not null,
  run text not null,
  loaded_at timestamptz not null default clock_timestamp(),
  tables jsonb not null,
  primary key (pipeline, generation, batch)
);
    insert into tote.ledger select pipeline, batch, generation, chain, manifest, manifest_sha256, instant, run, loaded_at, tables from tote.newer;
    drop table tote.newer; reset role`)
}

test('P4: another schema gets a whole star; one that was left catches up, its rows no other than those of the new one', async () => {
  const shop = await shopIn('dw')
  await schemaIs(shop, 'dw2')
  const { events } = await shop.run()
  expect(events).toContainEqual(
    expect.objectContaining({ type: 'note', level: 'warn', text: expect.stringMatching(/"dw2".*"dw"/) }), // prettier-ignore
  )
  const left = await starIn(shop, 'dw')
  expect(await starIn(shop, 'dw2')).toEqual(left)
  await sell(shop, 12)
  expect(await starIn(shop, 'dw'), 'the one that was left').toEqual(left)
  await sell(shop, 13)
  await schemaIs(shop, 'dw')
  expect((await shop.good()).batches.warehouse?.batch).toBe(4)
  expect(await starIn(shop, 'dw')).toEqual(await starIn(shop, 'dw2'))
  expect(await ledger(shop)).toEqual(
    ['dw', 'dw2'].flatMap((schema) => [1, 2, 3, 4].map((batch) => `${schema} 1.${batch}`)),
  )
  expect((await shop.tote('verify')).exit).toBe(0)
  await schemaIs(shop, 'dw2')
  expect((await shop.good()).outcome).toBe('nothing to do')
  expect((await shop.tote('verify')).exit).toBe(0)
})

test('P7: a star that was left catches up over edited and added models, too', async () => {
  const shop = await shopIn('dw')
  await schemaIs(shop, 'dw2')
  await shop.write(
    'models/dim_payment_type.sql',
    '-- kind: dimension\n-- key: payment_type_id\nselect payment_type_id, lower(cast(payment_type_name as varchar)) as payment_type_name from shop.payment_type',
  )
  await sell(shop, 12)
  await shop.write('models/units.sql', '-- kind: table\n-- key: sale_id\nselect sale_id, units from shop.sale') // prettier-ignore
  await sell(shop, 13)
  await schemaIs(shop, 'dw')
  await shop.good()
  expect(await starIn(shop, 'dw')).toEqual(await starIn(shop, 'dw2'))
  expect((await shop.tote('rebuild', '--dry-run')).exit).toBe(0)
})

test.each([
  ['nothing', [1, 2]],
  ['a batch', [1, 2, 3]],
])(
  'P4: the ledger of the version before is told where the star is by the first run, with %s to load',
  async (what, batches) => {
    const shop = await shopIn('dw')
    const shape = await ledgerShape(shop)
    await asBefore(shop)
    // Of another project nobody knows where it loads; its own first run says so.
    await shop.warehouse.query(
      `insert into tote.ledger select 'another', batch, generation, chain, manifest, manifest_sha256, instant, run, loaded_at, tables from tote.ledger`,
    )
    const { warehouse } = await shop.standing()
    for (const args of [['status'], ['run', '--dry-run'], ['check', '--live']])
      expect((await shop.tote(...args)).exit, `tote ${args.join(' ')}`).toBe(0)
    expect((await shop.standing()).warehouse, 'who only looks changes nothing').toEqual(warehouse)
    if (what === 'a batch') await change(shop, 12)
    const { events, error } = await shop.run()
    expect(error).toBeUndefined()
    expect(JSON.stringify(events)).toContain('did not note where')
    expect(await ledgerShape(shop)).toEqual(shape)
    const told = [' 1.1', ' 1.2', ...batches.map((batch) => `dw 1.${batch}`)]
    expect(await ledger(shop)).toEqual(told)
    await expect(
      shop.warehouse.query(
        `insert into tote.ledger (pipeline, chain, batch, manifest, manifest_sha256, instant, run, tables, generation)
       select pipeline, chain, batch + 9, manifest, manifest_sha256, instant, run, tables, generation from tote.ledger`,
      ),
      'as the version before would go on, which knows one star alone',
    ).rejects.toThrow('null value in column "schema"')
    expect(JSON.stringify((await shop.run()).events)).not.toContain('did not note where')
    await schemaIs(shop, 'dw2')
    await shop.good()
    expect(await starIn(shop, 'dw2')).toEqual(await starIn(shop, 'dw'))
  },
)

test('P4: a ledger of the version before does not count for a schema that has none of the tables', async () => {
  const shop = await shopIn('dw')
  await asBefore(shop)
  await schemaIs(shop, 'dw2')
  await expectRefusal(shop, {
    name: 'LedgerMismatch',
    says: ['5 tables are not in schema "dw2"', 'set warehouse.schema back', 'tote rebuild'],
  })
  await schemaIs(shop, 'dw')
  await shop.good()
  await schemaIs(shop, 'dw2')
  await shop.good()
  expect(await starIn(shop, 'dw2')).toEqual(await starIn(shop, 'dw'))
})

test('P4: a schema that was renamed is not filled again: the ledger is told', async () => {
  const shop = await shopIn('dw')
  await shop.warehouse.query('alter schema dw rename to mart')
  await schemaIs(shop, 'mart')
  const told = await expectRefusal(shop, {
    name: 'LedgerMismatch',
    says: ['of schema "mart" already holds rows', 'only in schema "dw"', 'rebuild --accept-lake'],
  })
  const statement = /update "?tote"?\.[^;]*/.exec(told.stderr.replaceAll(/\s+/g, ' '))?.[0] ?? ''
  await shop.warehouse.query(statement)
  expect((await shop.good()).outcome).toBe('nothing to do')
  await sell(shop, 12)
  expect((await shop.tote('verify')).exit).toBe(0)
})

test('P4: a rebuild from another lake forgets what the ledger said of its own schema alone', async () => {
  const shop = await shopIn('dw')
  await schemaIs(shop, 'dw2')
  await shop.good()
  await rm(join(shop.folder, 'lake'), { recursive: true })
  await expectRefusal(shop, { name: 'LedgerMismatch', says: ['--accept-lake'], moves: 'lake' })
  expect((await shop.tote('rebuild', '--accept-lake')).exit).toBe(0)
  expect(await ledger(shop)).toEqual(['dw 1.1', 'dw 1.2', 'dw2 1.1'])
  expect((await shop.good()).outcome).toBe('nothing to do')
  await schemaIs(shop, 'dw')
  await expectRefusal(shop, { name: 'LedgerMismatch', says: ['tote rebuild --accept-lake'] })
})

test('environments that share a ledger have a star each', async () => {
  const shop = await createProject({
    warehouse: `schema: 'dw'`,
    project: `environments: { dev: { warehouse: { schema: 'dw_dev', ledger: 'tote' } } },`,
  })
  open.push(shop)
  for (const units of [11, 12]) {
    for (const args of [['run'], ['run', '-e', 'dev']])
      expect((await shop.tote(...args)).exit, `tote ${args.join(' ')}`).toBe(0)
    await change(shop, units)
  }
  expect(await ledger(shop)).toEqual(['dw 1.1', 'dw 1.2', 'dw_dev 1.1', 'dw_dev 1.2'])
})

test('P7: a star that a rebuild made beside is gone on with; without its story it is refused, and no other is offered', async () => {
  const shop = await shopIn('dw')
  expect((await shop.tote('rebuild', '--into', 'beside')).exit).toBe(0)
  await sell(shop, 12)
  expect((await shop.tote('rebuild', '--into', 'beside')).exit).toBe(0)
  await sell(shop, 13)
  await schemaIs(shop, 'beside')
  expect((await shop.good()).batches.warehouse?.batch).toBe(4)
  expect(await starIn(shop, 'beside')).toEqual(await starIn(shop, 'dw'))
  expect((await shop.tote('verify')).exit).toBe(0)
  await shop.warehouse.query(`delete from tote.ledger where schema = 'beside'`)
  const told = await expectRefusal(shop, {
    name: 'LedgerMismatch',
    says: ['of schema "beside" already holds rows', 'set warehouse.schema back', 'rebuild --accept-lake'], // prettier-ignore
  })
  expect(told.stderr).not.toContain('update')
})
