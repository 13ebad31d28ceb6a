/**
 * The things that happen to the source, each one application transaction (or one per order), each
 * returning its journal: one entry per row that changed, cascades included, and none for any other.
 */
import { formatDate, formatInstant } from './calendar.ts'
import { SimulatorError, type Database } from './database.ts'
import type { Journal, JournalEntry, Kind } from './journal.ts'
import {
  PAID_TOGETHER,
  instantWithin,
  newDesign,
  newOrder,
  orderColumn,
  paidBatchAt,
  silentChange,
  type Hours,
  type OrderTable,
  type SilentTable,
  type World,
} from './orders.ts'
import type { Random } from './random.ts'
import { keyOf, quote, type Row, type TableName, type Value } from './schema.ts'
import { LOCATIONS, STREETS } from './words.ts'

/** Where and when an action takes place. */
export interface Scene {
  readonly database: Database
  readonly seed: number
  /** Midnight of the simulated day. */
  readonly date: number
  /** The part of the day that actions fall in. */
  readonly hours: Hours
  readonly world: World
  readonly random: Random
}

/** An order that was deleted, as it was, so that it can come back. */
export interface DeletedOrder {
  readonly table: OrderTable
  readonly key: number
  /** Its row as JSON. */
  readonly row: string
  /** The transaction that lost its order. */
  readonly transactionId: number | undefined
}

/** Inserts one order, its transaction and its payment; does not commit. Kind `order` or `late`. */
export async function insertOrder(scene: Scene, table: OrderTable, kind: Kind): Promise<Journal> {
  const { database, date, hours, world, random } = scene
  const made = newOrder(table, date, hours, world, random)
  const at = formatInstant(made.committedAt)
  const insert = async (into: TableName, row: Row): Promise<JournalEntry> =>
    insertRow(database, { at, kind, table: into }, row)
  const order = await insert(table, made.order)
  const transaction = await insert('transaction', {
    ...made.transaction,
    [orderColumn(table)]: order.key,
  })
  const payment = await insert('payment', { ...made.payment, transaction_id: transaction.key })
  return [order, transaction, payment]
}

/** Inserts one design. */
export async function insertDesign({ database, date, hours, random }: Scene): Promise<Journal> {
  const createdAt = instantWithin(date, hours, random)
  const cause = { at: formatInstant(createdAt), kind: 'design', table: 'design' } as const
  return [await insertRow(database, cause, newDesign(createdAt, random))]
}

/** The morning's batch: what is due today and was made before today is paid. The only thing that moves last_updated. */
export async function payDue({ database, seed, date }: Scene): Promise<Journal> {
  const paidAt = formatInstant(paidBatchAt(seed, date))
  const rows = await database.query(
    `with due as (
       select payment_id, md5(payment::text) as before from public.payment
       where payment_date = $1::text and not paid and created_at < $1::text::timestamp
       order by payment_id for no key update
     ), numbered as (
       select *, (row_number() over (order by payment_id) - 1) / ${PAID_TOGETHER} as part from due
     )
     update public.payment as changed
     set paid = true, last_updated = $2::timestamp(3) + part * interval '1 millisecond'
     from numbered where changed.payment_id = numbered.payment_id
     returning changed.payment_id as key, before, md5(changed::text) as after`,
    [formatDate(date), paidAt],
  )
  const entries = rows.map((row): JournalEntry => {
    const change = {
      action: 'update',
      table: 'payment',
      key: Number(row['key']),
      columns: ['paid', 'last_updated'],
    } as const
    return {
      at: paidAt,
      kind: 'paid',
      ...change,
      before: row['before'] ?? null,
      after: row['after'] ?? null,
    }
  })
  return entries.sort((a, b) => a.key - b.key)
}

/** Another value in one field of a row of any age, last_updated untouched. */
export async function updateSilently(scene: Scene, table: SilentTable): Promise<Journal> {
  const row = await anyRow(scene, table)
  const [column, value] = silentChange(table, row, scene.world, scene.random)
  return [await updateRow(scene, 'silent', table, row, { [column]: value })]
}

/** A member of staff moves to another department, never to Sales. */
export async function moveStaff(scene: Scene): Promise<Journal> {
  const row = await anyRow(scene, 'staff')
  const departments = await scene.database.query(
    `select department_id from public.department
     where department_name <> 'Sales' and department_id <> $1 order by department_id`,
    [row['department_id'] ?? null],
  )
  const department_id = Number(scene.random.pick(departments)['department_id'])
  return [await updateRow(scene, 'department', 'staff', row, { department_id })]
}

/** A department that has staff moves: every one of them has another location, and no row of staff changes. */
export async function moveDepartment(scene: Scene): Promise<Journal> {
  const { department_id } = await anyRow(scene, 'staff')
  const row = await rowOf(scene.database, 'department', Number(department_id))
  const location = scene.random.pick(LOCATIONS.filter((place) => place !== row['location']))
  return [await updateRow(scene, 'department', 'department', row, { location })]
}

/** A counterparty's legal address gets another street and phone; all who share it move. */
export async function changeAddress(scene: Scene): Promise<Journal> {
  const { legal_address_id } = await anyRow(scene, 'counterparty')
  const row = await rowOf(scene.database, 'address', Number(legal_address_id))
  const { random } = scene
  const street = random.pick(STREETS.filter((name) => !row['address_line_1']?.endsWith(name)))
  const address_line_1 = `0${random.int(100, 999)} ${street}`
  return [await updateRow(scene, 'address', 'address', row, { address_line_1 })]
}

/** A counterparty takes another of the addresses for its legal one. */
export async function moveCounterparty(scene: Scene): Promise<Journal> {
  const row = await anyRow(scene, 'counterparty')
  const others = scene.world.addresses.filter((key) => String(key) !== row['legal_address_id'])
  return [
    await updateRow(scene, 'address', 'counterparty', row, {
      legal_address_id: scene.random.pick(others),
    }),
  ]
}

/** Deletes an order of any age; its transaction silently loses the reference, by the foreign key's action. */
export async function deleteOrder(
  scene: Scene,
  table: OrderTable,
): Promise<readonly [Journal, DeletedOrder]> {
  const { database } = scene
  const key = Number((await anyRow(scene, table))[keyOf(table)])
  const name = quote(keyOf(table))
  const [transaction] = await database.query(
    `select transaction_id, md5(transaction::text) as digest from public.transaction where ${name} = $1 for no key update`,
    [key],
  )
  const [deleted] = await database.query(
    `delete from public.${quote(table)} as gone where ${name} = $1
     returning md5(gone::text) as digest, row_to_json(gone)::text as row`,
    [key],
  )
  if (deleted === undefined)
    throw new SimulatorError(`Someone else has just deleted ${table} ${key}.`)
  const at = instantOf(scene)
  const kind = 'deleted'
  const before = deleted['digest'] ?? null
  const entries: JournalEntry[] = [{ at, kind, action: 'delete', table, key, before, after: null }]
  const transactionId =
    transaction === undefined ? undefined : Number(transaction['transaction_id'])
  if (transaction !== undefined && transactionId !== undefined) {
    const after = await digestOf(database, 'transaction', transactionId)
    const change = {
      action: 'update',
      table: 'transaction',
      key: transactionId,
      columns: [keyOf(table)],
    } as const
    entries.push({ at, kind: 'silent', ...change, before: transaction['digest'] ?? null, after })
  }
  return [entries, { table, key, row: deleted['row'] as string, transactionId }]
}

/** Puts a deleted order back under its key, as it was, and gives it back to its transaction. */
export async function reinsertOrder(
  scene: Scene,
  { table, key, row, transactionId }: DeletedOrder,
): Promise<Journal> {
  const { database } = scene
  const [inserted] = await database.query(
    `insert into public.${quote(table)} as back
     select * from json_populate_record(null::public.${quote(table)}, $1::json)
     returning md5(back::text) as digest`,
    [row],
  )
  const after = inserted?.['digest'] ?? null
  const entry: JournalEntry = {
    at: instantOf(scene),
    kind: 'reinserted',
    action: 'insert',
    table,
    key,
    before: null,
    after,
  }
  if (transactionId === undefined) return [entry]
  const transaction = await rowOf(database, 'transaction', transactionId)
  return [
    entry,
    await updateRow(scene, 'reinserted', 'transaction', transaction, { [keyOf(table)]: key }),
  ]
}

function instantOf({ date, hours, random }: Scene): string {
  return formatInstant(instantWithin(date, hours, random))
}

type StoredRow = Readonly<Record<string, string | null>>

/** A row picked evenly from the keys there are, gaps aside. */
async function anyRow({ database, random }: Scene, table: TableName): Promise<StoredRow> {
  const [name, key] = [`public.${quote(table)}`, quote(keyOf(table))]
  const [range] = await database.query(
    `select min(${key}) as least, max(${key}) as most from ${name}`,
  )
  const { least, most } = { least: range?.['least'], most: range?.['most'] }
  if (typeof least !== 'string' || typeof most !== 'string')
    throw new SimulatorError(`Table "${table}" is empty. Fill the database first.`)
  const from = random.int(Number(least), Number(most))
  const [row] = await database.query(
    `select * from ${name} where ${key} >= $1 order by ${key} limit 1 for no key update`,
    [from],
  )
  if (row === undefined) throw new SimulatorError(`Someone else is deleting from "${table}".`)
  return row
}

async function rowOf(database: Database, table: TableName, key: number): Promise<StoredRow> {
  const text = `select * from public.${quote(table)} where ${quote(keyOf(table))} = $1 for no key update`
  const [row] = await database.query(text, [key])
  if (row === undefined) throw new SimulatorError(`Someone else has just deleted ${table} ${key}.`)
  return row
}

async function digestOf(database: Database, table: TableName, key: number): Promise<string | null> {
  const text = `select md5(t::text) as digest from public.${quote(table)} as t where ${quote(keyOf(table))} = $1`
  const [row] = await database.query(text, [key])
  return row?.['digest'] ?? null
}

type Cause = Pick<JournalEntry, 'at' | 'kind' | 'table'>

async function insertRow(database: Database, cause: Cause, row: Row): Promise<JournalEntry> {
  const columns = Object.keys(row)
  const [inserted] = await database.query(
    `insert into public.${quote(cause.table)} as made (${columns.map(quote).join(', ')})
     values (${columns.map((_, index) => `$${index + 1}`).join(', ')})
     returning ${quote(keyOf(cause.table))} as key, md5(made::text) as digest`,
    Object.values(row),
  )
  return {
    ...cause,
    action: 'insert',
    key: Number(inserted?.['key']),
    before: null,
    after: inserted?.['digest'] ?? null,
  }
}

/** Updates a row that this transaction has locked. The values must differ from those it has. */
async function updateRow(
  scene: Scene,
  kind: Kind,
  table: TableName,
  row: StoredRow,
  values: Readonly<Record<string, Value>>,
): Promise<JournalEntry> {
  const { database } = scene
  const key = Number(row[keyOf(table)])
  const columns = Object.keys(values)
  const before = await digestOf(database, table, key)
  const [updated] = await database.query(
    `update public.${quote(table)} as changed
     set ${columns.map((column, index) => `${quote(column)} = $${index + 2}`).join(', ')}
     where ${quote(keyOf(table))} = $1 returning md5(changed::text) as digest`,
    [key, ...Object.values(values)],
  )
  const after = updated?.['digest'] ?? null
  if (before === after)
    throw new Error(`an update of ${table} ${key} (${columns.join(', ')}) changed no value`)
  return { at: instantOf(scene), kind, action: 'update', table, key, columns, before, after }
}
