/**
 * What the source's own transactions feel of us: two hundred a second, as pgbench makes them, and the slowest
 * hundredth of them during a first load, beside psql's COPY of the same tables over and over; and with a run every ten
 * seconds, beside as many ten seconds without us, in turn. The warehouse is on a server of its own, whose log of changes is
 * none of the source's. Rows are compared once they rest.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Measured, Sizes } from './benchmark.ts'
import { compareRows } from './equal-rows.ts'
import type { Figure } from './figures.ts'
import { hasCores, keepTo, type Core } from './cores.ts'
import { installFiles, type Installation } from './installation.ts'
import {
  beginTransactions,
  createBank,
  type BankSizes,
  type OwnTransactions,
} from './own-transactions.ts'
import { execute, type Place } from './place.ts'
import { hasPsql, timePsql } from './psql.ts'
import { COLUMNS, createOrders } from './sales-orders.ts'
import { timeProcess } from './timed-process.ts'

const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url))

const CONFIG = `import { defineProject, env } from 'totedata'

export default defineProject({
  name: 'kind',
  sources: { shop: { type: 'postgres', url: env('TOTESYS_URL') } },
  lake: { ingestion: env('TOTE_LAKE_INGESTION'), processed: env('TOTE_LAKE_PROCESSED') },
  warehouse: { url: env('WAREHOUSE_URL') },
})
`
const FILES = {
  'tote.config.ts': CONFIG,
  'models/fact_sales_order.sql': `-- kind: fact\n-- key: sales_order_id\n-- record id: sales_record_id\n-- driven by: shop.sales_order\nselect * from shop.sales_order\n`,
  'models/fact_movement.sql': `-- kind: fact\n-- key: movement_id\n-- record id: movement_record_id\n-- driven by: shop.movement\nselect * from shop.movement\n`,
  'models/dim_account.sql': `-- kind: dimension\n-- key: account_id\n-- driven by: shop.account\nselect account_id, balance from shop.account\n`,
}
const CURRENT = 'where valid_to is null and not is_deleted'
const MOVEMENT = 'movement_id, account_id, teller_id, branch_id, amount, moved_at'
const COMPARED = [
  {
    table: 'fact_sales_order',
    source: `select ${COLUMNS} from sales_order`,
    warehouse: `select ${COLUMNS} from fact_sales_order ${CURRENT}`,
  },
  {
    table: 'fact_movement',
    source: `select ${MOVEMENT} from movement`,
    warehouse: `select ${MOVEMENT} from fact_movement ${CURRENT}`,
  },
  {
    table: 'dim_account',
    source: 'select account_id, balance from account',
    warehouse: 'select account_id, balance from dim_account where not is_deleted',
  },
]
const LARGE = ['sales_order', 'account']

/** How long the runs go on: `runs` of them, one every so many seconds. */
export interface Pace {
  readonly perSecond: number
  readonly everySeconds: number
  readonly runs: number
}
const PACE: Pace = { perSecond: 200, everySeconds: 10, runs: 6 }
/** Milliseconds. */
const SETTLED_AFTER = 1000

/** Servers: the same one may be both. */
export interface Places {
  readonly source: Place
  readonly warehouse: Place
}

/** Milliseconds, of the slowest hundredth; those of ours and those beside them. */
interface Pair {
  readonly ours: number
  readonly beside: number
}

/** Without psql the first load has no limit, and is left out. */
export async function measureTransactions(
  places: Places,
  sizes: Sizes,
  pace: Pace = PACE,
): Promise<Measured> {
  const accounts = Math.min(1_000_000, Math.ceil(sizes.rows / 5))
  const bank = { accounts, tellers: 100, branches: 10 }
  const source = await places.source.createDatabase()
  await execute(source.ownerUrl, createOrders(sizes.rows).join(';'))
  await createBank(source, places.source.reader, bank)
  const firsts: Pair[] = []
  const laters: Pair[] = []
  let installation: Installation | undefined
  const own = await beginTransactions(source.ownerUrl, { perSecond: pace.perSecond, sizes: bank })
  const core = giveCores(places, own)
  try {
    for (let round = 0; round < sizes.rounds; round++) {
      await settle(places)
      installation = await installFiles(places.warehouse, source, FILES)
      if (hasPsql()) firsts.push(await measureFirst({ ...installation, core }, own))
      // The first after a first load finds out where its rows lie; without psql it is the first load.
      await run({ ...installation, core })
      await run({ ...installation, core })
      await settle(places)
      laters.push(await measureLater({ ...installation, core }, own, pace))
    }
  } finally {
    await own.end()
  }
  if (installation === undefined) throw new RangeError('no round')
  await run({ ...installation, core })
  const urls = { source: source.ownerUrl, warehouse: installation.warehouseUrl }
  return {
    figures: figuresOf({ firsts, laters, pace, apart: core !== undefined }, sizes.rows, bank),
    compared: await compareRows(urls, COMPARED),
  }
}

/** With a core for what is not the source's. */
type Placed = Installation & { readonly core: Core | undefined }

/**
 * The source and its own transactions keep to one core, Tote and the warehouse to the other: what is measured then is what
 * reading does to a source, not what sharing its machine does. Undefined where cores cannot be given.
 */
function giveCores({ source, warehouse }: Places, own: OwnTransactions): Core | undefined {
  if (source.pid === null || warehouse.pid === null || source === warehouse || !hasCores())
    return undefined
  keepTo(0, source.pid)
  keepTo(0, own.pid)
  keepTo(1, warehouse.pid)
  return 1
}

/** A first load, and then psql for as long. */
async function measureFirst(installation: Placed, own: OwnTransactions): Promise<Pair> {
  const began = performance.now()
  const ours = await during(own, [run(installation)])
  const took = performance.now() - began
  const beside = await during(own, [copyFor(took, installation)])
  return { ours: slowest(ours), beside: slowest(beside) }
}

async function copyFor(milliseconds: number, { source, core }: Placed): Promise<void> {
  const copies = LARGE.map((table) => `copy ${table} to stdout (format csv)`)
  for (const since = performance.now(); performance.now() - since < milliseconds;)
    await timePsql(source.ownerUrl, copies, { ownSession: true, core })
}

/** Runs, each a process as cron starts it, and between them as long without. */
async function measureLater(
  installation: Placed,
  own: OwnTransactions,
  { everySeconds, runs }: Pace,
): Promise<Pair> {
  const ours: number[] = []
  const beside: number[] = []
  for (let at = 0; at < runs; at++) {
    ours.push(...(await during(own, [run(installation), delay(everySeconds * 1000)])))
    beside.push(...(await during(own, [delay(everySeconds * 1000)])))
  }
  return { ours: slowest(ours), beside: slowest(beside) }
}

async function settle({ source, warehouse }: Places): Promise<void> {
  for (const place of new Set([source, warehouse])) await place.settle()
  await delay(SETTLED_AFTER)
}

async function run({ folder: cwd, env, core }: Placed): Promise<void> {
  await timeProcess(process.execPath, [CLI, 'run'], { cwd, env, ownSession: true, core })
}

/** Milliseconds of each transaction that ended while this went on. */
async function during(
  own: OwnTransactions,
  work: readonly Promise<unknown>[],
): Promise<readonly number[]> {
  await own.take()
  await Promise.all(work)
  return own.take()
}

/** What the slowest hundredth took at least. */
function slowest(took: readonly number[]): number {
  const [at] = took.toSorted((a, b) => a - b).slice(Math.floor(took.length * 0.99))
  if (at === undefined) throw new RangeError('no transaction ended')
  return at
}

function figuresOf(
  {
    firsts,
    laters,
    pace,
    apart,
  }: { firsts: readonly Pair[]; laters: readonly Pair[]; pace: Pace; apart: boolean },
  rows: number,
  { accounts }: BankSizes,
): Figure[] {
  const p99 = `p99 of the source's own transactions, ${pace.perSecond} a second, ${apart ? 'source on a core of its own' : 'on shared cores'},`
  const size = `${rows.toLocaleString('en')} rows and ${accounts.toLocaleString('en')} accounts`
  const figure = (of: {
    readonly name: string
    readonly what: string
    readonly pairs: readonly Pair[]
    readonly beside: string
    readonly bound: number
  }): Figure => ({
    name: of.name,
    what: of.what,
    unit: 'ms',
    samples: of.pairs.map(({ ours }) => ours),
    limit: { what: of.beside, samples: of.pairs.map(({ beside }) => beside), as: 'times' },
    goal: { of: 'ratio', is: 'at most', bound: of.bound },
  })
  return [
    ...(firsts.length === 0
      ? []
      : [
          figure({
            name: 'transactions-first',
            what: `${p99} during a first load of ${size}`,
            pairs: firsts,
            beside: 'during COPY of these tables to csv (psql)',
            bound: 1.2,
          }),
        ]),
    figure({
      name: 'transactions-incremental',
      what: `${p99} with a run every ${pace.everySeconds} s`,
      pairs: laters,
      beside: 'without us',
      bound: 1.1,
    }),
  ]
}
