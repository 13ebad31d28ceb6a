/** docs/operations.md, "Backups": what each restore leads to. Backups are real: pg_dump's equal for databases (a template copy), cp for the lake. */
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { createProject, type TestProject } from '../support/project.ts'
import { testServer } from '../support/postgres.ts'
import { expectRefusal } from '../support/refusal.ts'

const open: TestProject[] = []
const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
  for (const project of open.splice(0)) await project.close()
})

/** A shop with two batches, the backup of one part of it taken between them, and what it looked like at the end. */
async function livedThrough(backUp: (shop: TestProject) => Promise<void>): Promise<{
  shop: TestProject
  warehouse: Record<string, string>
}> {
  const shop = await createProject()
  open.push(shop)
  await shop.good()
  await backUp(shop)
  for (const units of [11, 12]) {
    await shop.source.query(
      `update sale set units = ${units} where sale_id = 8800101; delete from sale where sale_id = ${8800100 + units - 6};
       insert into staff values (${units}, 'New Qx7', 2)`,
    )
    await shop.good()
  }
  return { shop, warehouse: await warehouseOf(shop) }
}

/** Every row of every table, the history and record ids included. */
async function warehouseOf(shop: TestProject): Promise<Record<string, string>> {
  const tables = await shop.warehouse.query(
    `select tablename as name from pg_tables where schemaname = 'public' order by 1`,
  )
  const rows: Record<string, string> = {}
  for (const { name } of tables) {
    const [found] = await shop.warehouse.query(
      `select coalesce(string_agg(t::text, E'\\n' order by t::text), '') as text from "${name}" as t`,
    )
    rows[String(name)] = String(found?.['text'])
  }
  return rows
}

/** Copies a database as it is; returns how to put that state back under the old name. */
async function backUpDatabase(database: { name: string }): Promise<() => Promise<void>> {
  const server = await testServer()
  const admin = await server.createDatabase('backup_admin')
  const backup = `${database.name}_backup`
  const copy = async (from: string, to: string): Promise<void> => {
    await admin.query(`drop database if exists "${to}" with (force)`)
    await admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${from}'`,
    )
    await admin.query(`create database "${to}" template "${from}"`)
    const [owner] = await admin.query(
      `select pg_get_userbyid(datdba) as name from pg_database where datname = '${from}'`,
    )
    await admin.query(`alter database "${to}" owner to "${owner?.['name']}"`)
  }
  await copy(database.name, backup)
  cleanups.push(async () => {
    await admin.query(`drop database if exists "${backup}" with (force)`)
    await admin.drop()
  })
  return async () => copy(backup, database.name)
}

async function backUpLake(shop: TestProject): Promise<() => Promise<void>> {
  const [lake, backup] = [join(shop.folder, 'lake'), join(shop.folder, 'lake-backup')]
  await cp(lake, backup, { recursive: true })
  return async () => {
    await rm(lake, { recursive: true })
    await cp(backup, lake, { recursive: true })
  }
}

test('P4: a warehouse put back catches up from the lake, record ids included', async () => {
  let restore = async (): Promise<void> => undefined
  const { shop, warehouse } = await livedThrough(async (lived) => {
    await lived.warehouse.query('select 1')
    restore = await backUpDatabase(lived.warehouse)
  })
  await restore()
  expect(await warehouseOf(shop)).not.toEqual(warehouse)
  expect((await shop.good()).batches.warehouse?.batch).toBe(3)
  expect(await warehouseOf(shop)).toEqual(warehouse)
})

test('a lake put back alone is refused; with the warehouse of that time, the next batch carries all since', async () => {
  let lake = async (): Promise<void> => undefined
  let database = async (): Promise<void> => undefined
  const { shop } = await livedThrough(async (lived) => {
    lake = await backUpLake(lived)
    database = await backUpDatabase(lived.warehouse)
  })
  await lake()
  await expectRefusal(shop, {
    name: 'LedgerMismatch',
    says: ['stands at batch 3', 'only at 2', 'tote rebuild --accept-lake'],
    moves: 'lake',
  })
  await lake()
  await database()
  const summary = await shop.good()
  expect(summary.batches.warehouse?.batch).toBe(2)
  expect(summary.warehouse.find(({ table }) => table === 'fact_sale')).toMatchObject({
    rowsCurrent: 4,
    rowsDeleted: 2,
  })
})

test('P7: a lake put back alone: a rebuild that accepts it has what that lake has, and runs go on from there', async () => {
  let lake = async (): Promise<void> => undefined
  const { shop, warehouse } = await livedThrough(async (lived) => {
    lake = await backUpLake(lived)
  })
  await lake()
  await expectRefusal(shop, {
    name: 'LedgerMismatch',
    says: ['stands at batch 3', 'tote rebuild --accept-lake'],
    args: ['rebuild'],
  })
  expect((await shop.tote('rebuild', '--dry-run')).exit).toBe(0)
  expect((await shop.tote('rebuild', '--accept-lake')).exit).toBe(0)
  expect(await shop.warehouse.query('select batch from tote.ledger')).toEqual([{ batch: '1' }])
  expect(await warehouseOf(shop)).not.toEqual(warehouse)
  expect((await shop.good()).batches.warehouse?.batch).toBe(2)
  expect((await shop.tote('rebuild', '--dry-run')).exit).toBe(0)
})

test('P7: tables without their ledger, and another lake altogether, are accepted by a rebuild alone', async () => {
  const { shop, warehouse } = await livedThrough(async () => undefined)
  await shop.warehouse.query('drop schema tote cascade')
  await expectRefusal(shop, {
    name: 'LedgerMismatch',
    says: ['already holds rows', 'tote rebuild --accept-lake'],
    moves: 'lake',
  })
  await expectRefusal(shop, {
    name: 'LedgerMismatch',
    says: ['already holds rows'],
    args: ['rebuild'],
  })
  expect((await shop.tote('rebuild', '--accept-lake')).exit).toBe(0)
  expect(await warehouseOf(shop)).toEqual(warehouse)
  await rm(join(shop.folder, 'lake'), { recursive: true })
  await expectRefusal(shop, {
    name: 'LedgerMismatch',
    says: ['--accept-lake'],
    moves: 'lake',
  })
  expect((await shop.tote('rebuild', '--accept-lake')).exit).toBe(0)
  expect((await shop.good()).outcome).toBe('nothing to do')
  expect((await shop.tote('rebuild', '--dry-run')).exit).toBe(0)
})

test('a source put back on another server is refused until accepted; what it lost stays as history', async () => {
  let older = ''
  const { shop } = await livedThrough(async (lived) => {
    await backUpDatabase(lived.source)
    const url = new URL(lived.urls.source)
    url.pathname = `${url.pathname}_backup`
    older = url.href
  })
  await shop.environment({ SHOP_URL: older })
  await expectRefusal(shop, { name: 'SourceReplaced', says: ['--accept-source'] })
  expect((await shop.tote('run', '--accept-source')).exit).toBe(0)
  expect(
    await shop.warehouse.query(
      `select count(*) filter (where valid_to is null and not is_deleted) as current, count(*) as versions
       from fact_sale where sale_id in (8800101, 8800105, 8800106)`,
    ),
  ).toEqual([{ current: '3', versions: '8' }])
})

test('P7: a rebuild from a lake that was put back may find other keys and references than the live tables have', async () => {
  let lake = async (): Promise<void> => undefined
  const { shop } = await livedThrough(async (lived) => {
    lake = await backUpLake(lived)
  })
  await shop.warehouse.query('create index mine on fact_payment (amount) where valid_to is null')
  await shop.write(
    'models/dim_payment_type.sql',
    '-- kind: dimension\n-- key: kind_id\nselect payment_type_id + 1 as kind_id from shop.payment_type\n',
  )
  await shop.write(
    'models/fact_payment.sql',
    '-- kind: fact\n-- key: payment\n-- record id: payment_record_id\n-- references: kind_id -> dim_payment_type\n' +
      'select payment_id * 2 as payment, payment_type_id + 1 as kind_id, amount from shop.payment\n',
  )
  await shop.good()
  await lake()
  const told = await shop.tote('rebuild', '--accept-lake')
  expect(told).toMatchObject({ exit: 0 })
  const indexes = await shop.warehouse.query(
    `select pg_get_indexdef(indexrelid) as text from pg_index where indrelid = 'fact_payment'::regclass`,
  )
  const over = indexes.map(({ text }) => String(text).replace(/^.* USING /, ''))
  expect(over.toSorted()).toEqual([
    'btree (amount) WHERE (valid_to IS NULL)',
    'btree (payment_id) WHERE (valid_to IS NULL)',
    'btree (payment_record_id)',
  ])
  const keys = await shop.warehouse.query(
    `select pg_get_constraintdef(oid) as text from pg_constraint where conrelid = 'fact_payment'::regclass and contype = 'f'`,
  )
  expect(keys).toEqual([
    { text: 'FOREIGN KEY (payment_type_id) REFERENCES dim_payment_type(payment_type_id)' },
  ])
})

test('a model that is younger than the lake that was put back finds its table, and a rebuild makes it anew', async () => {
  let lake = async (): Promise<void> => undefined
  const { shop } = await livedThrough(async (lived) => {
    lake = await backUpLake(lived)
  })
  await shop.write(
    'models/young.sql',
    '-- kind: fact\n-- key: staff_id\n-- record id: young_id\nselect staff_id, last_name from shop.staff\n',
  )
  await shop.good()
  await lake()
  expect(await shop.tote('rebuild', '--accept-lake')).toMatchObject({ exit: 0 })
  const { error } = await shop.run()
  expect(error).toMatchObject({
    name: 'LedgerMismatch',
    message:
      'Table "young" already holds rows, which no batch of pipeline "shop" in the ledger has brought.',
  })
  expect(await shop.tote('rebuild', '--accept-lake')).toMatchObject({ exit: 0 })
  expect((await shop.good()).outcome).toBe('nothing to do')
  expect(await shop.tote('verify')).toMatchObject({ exit: 0 })
})

test('P4: a ledger behind its star has nothing loaded twice: LedgerMismatch, and a rebuild or a repair is a way on', async () => {
  const { shop, warehouse } = await livedThrough(async () => undefined)
  for (const [lost, way] of [
    ['batch = 3', ['rebuild']],
    ['batch > 1', ['rebuild', '--accept-lake']],
    ['batch > 1', ['verify', '--repair']],
  ] as const) {
    await shop.warehouse.query(`delete from tote.ledger where ${lost}`)
    await expectRefusal(shop, {
      name: 'LedgerMismatch',
      says: [
        /Table "fact_sale" has versions of batch 3, and the ledger says that batch [12] was loaded last/,
        'tote rebuild',
      ],
    })
    await shop.tote(...way)
    await shop.good()
    expect(await warehouseOf(shop)).toEqual(warehouse)
  }
})

test('P4: a star behind its ledger gets no further batch: LedgerMismatch, and a repair is a way on', async () => {
  let database = async (): Promise<void> => undefined
  const { shop, warehouse } = await livedThrough(async (lived) => {
    database = await backUpDatabase(lived.warehouse)
  })
  const ledger = await shop.warehouse.query('select l::text as row from tote.ledger as l')
  await database()
  await shop.warehouse.query(
    `delete from tote.ledger; insert into tote.ledger select (r::text::tote.ledger).* from (values ${ledger
      .map(({ row }) => `($row$${row}$row$)`)
      .join(', ')}) as v(r)`,
  )
  await shop.source.query('update sale set units = 40 where sale_id = 8800102')
  await expectRefusal(shop, {
    name: 'LedgerMismatch',
    says: [
      'Table "fact_sale" has no version of batch 3, though the ledger says that it was loaded',
      'tote verify --repair, and then tote run',
    ],
    moves: 'lake',
  })
  // Its own load is refused, too; what it repairs, the next one goes on from.
  expect((await shop.tote('verify', '--repair')).exit).toBe(1)
  await shop.good()
  expect(await warehouseOf(shop)).not.toEqual(warehouse)
  expect((await shop.tote('rebuild', '--dry-run')).exit).toBe(0)
})
