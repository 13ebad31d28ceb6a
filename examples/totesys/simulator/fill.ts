/**
 * Creates the source and fills it with years of business, all in one transaction. The rows follow from
 * the options alone: the same seed gives the same tables on any server, in any time zone, on any day.
 */
import { businessDays, firstDay, formatDate, parseDate } from './calendar.ts'
import { SimulatorError, openDatabase, type Database } from './database.ts'
import { allDesigns, allOrders, fixedRows, type Plan } from './history.ts'
import type { OrderTable } from './orders.ts'
import {
  TABLE_NAMES,
  addKeys,
  columnsOf,
  createTables,
  dropTables,
  existingTables,
  grantReader,
  quote,
  type Row,
  type TableName,
} from './schema.ts'

export interface FillOptions {
  readonly seed?: number
  /** How many times the real number of orders. */
  readonly scale?: number
  readonly years?: number
  /** The last day of business, `yyyy-mm-dd`. */
  readonly until?: string
  /** An existing role that may then read the tables. */
  readonly reader?: string
  /** What to do with tables that are there already: `refuse` is the default. */
  readonly existing?: 'refuse' | 'replace'
}

export interface Filled {
  readonly from: string
  readonly until: string
  readonly rows: Readonly<Record<TableName, number>>
}

/** Orders held in memory at once. */
const CHUNK = 2_000

/** Creates the schema as the connection's role and fills it. Throws SimulatorError for options or a database that cannot be used. */
export async function fill(ownerUrl: string, options: FillOptions = {}): Promise<Filled> {
  const { seed = 42, scale = 1, years = 2, until: untilText = '2024-12-31' } = options
  const until = parseDate(untilText)
  const wrong = [
    ...(Number.isSafeInteger(seed) ? [] : [`seed is a whole number, not ${seed}`]),
    ...(scale > 0 && scale <= 10_000 ? [] : [`scale is above 0 and at most 10000, not ${scale}`]),
    ...(Number.isInteger(years) && years > 0 && years <= 50
      ? []
      : [`years is a whole number from 1 to 50, not ${years}`]),
    ...(until === undefined ? [`until is a date such as 2024-12-31, not "${untilText}"`] : []),
  ]
  if (until === undefined || wrong.length > 0)
    throw new SimulatorError(`Cannot fill: ${wrong.join('; ')}.`)

  const from = firstDay(until, years)
  const days = businessDays(from, until)
  const database = await openDatabase(ownerUrl)
  try {
    const rows = await database.transaction(async () => {
      await makeRoom(database, options.existing ?? 'refuse')
      await createTables(database)
      const counts = await copyAll(database, { seed, scale, days, until })
      await addKeys(database)
      if (options.reader !== undefined) await grantReader(database, options.reader)
      await database.run(
        `analyze ${TABLE_NAMES.map((table) => `public.${quote(table)}`).join(', ')}`,
      )
      return counts
    })
    return { from: formatDate(from), until: untilText, rows }
  } finally {
    await database.close()
  }
}

async function makeRoom(database: Database, existing: 'refuse' | 'replace'): Promise<void> {
  if (existing === 'replace') return dropTables(database)
  const tables = await existingTables(database)
  if (tables.length === 0) return
  throw new SimulatorError(
    `The database already has ${tables.map((table) => `"${table}"`).join(', ')}. ` +
      'Use an empty database, or have them dropped and filled anew with --replace.',
  )
}

async function copyAll(database: Database, plan: Plan): Promise<Record<TableName, number>> {
  const counts = Object.fromEntries(TABLE_NAMES.map((table) => [table, 0])) as Record<
    TableName,
    number
  >
  const copy = async (table: TableName, rows: Iterable<Row>): Promise<void> => {
    counts[table] += await database.copy(`public.${quote(table)}`, columnsOf(table), rows)
  }
  for (const [table, rows] of fixedRows(plan)) await copy(table, rows)
  const designs = allDesigns(plan)
  await copy('design', designs)
  for (const chunk of chunks(allOrders(plan, designs), CHUNK)) {
    const part = (table: OrderTable): Row[] =>
      chunk.filter((order) => order.table === table).map((order) => order.order)
    await copy('sales_order', part('sales_order'))
    await copy('purchase_order', part('purchase_order'))
    await copy(
      'transaction',
      chunk.map((order) => order.transaction),
    )
    await copy(
      'payment',
      chunk.map((order) => order.payment),
    )
  }
  return counts
}

function* chunks<T>(things: Iterable<T>, size: number): Generator<T[]> {
  let chunk: T[] = []
  for (const thing of things) {
    chunk.push(thing)
    if (chunk.length < size) continue
    yield chunk
    chunk = []
  }
  if (chunk.length > 0) yield chunk
}
