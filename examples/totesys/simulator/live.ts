/**
 * The source in use: one business day after another, from where the data in the database ends. Each
 * action is also there by itself. What was committed is in the journal, and nothing else is.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import {
  changeAddress,
  deleteOrder,
  insertDesign,
  insertOrder,
  moveCounterparty,
  moveDepartment,
  moveStaff,
  payDue,
  reinsertOrder,
  updateSilently,
  type DeletedOrder,
  type Scene,
} from './actions.ts'
import { DAY_MS, HOUR_MS, OPENING_MS, formatDate, nextBusinessDay, parseDate } from './calendar.ts'
import { SimulatorError, openDatabase, type Database } from './database.ts'
import { appendJournal, type Journal } from './journal.ts'
import {
  OPENING_HOURS,
  type Hours,
  type OrderTable,
  type SilentTable,
  type World,
} from './orders.ts'
import { namedRandom, type Random } from './random.ts'
import { TABLE_NAMES, existingTables, keyOf, quote, type TableName } from './schema.ts'

export interface SimulationOptions {
  readonly seed?: number
  /** How many times the real number of orders a day brings. */
  readonly scale?: number
  /** A file of JSON Lines to which the journal is appended, right after each commit. */
  readonly journal?: string
}

export interface DayOptions {
  /** `eventful` (the default): everything that can happen does. `ordinary`: things happen as often as in the real source. */
  readonly pace?: 'eventful' | 'ordinary'
}

export interface LiveOptions {
  readonly msPerDay: number
  readonly signal: AbortSignal
  /** Called after each day with its date and what happened. */
  readonly onDay?: (date: string, journal: Journal) => void
}

/** A transaction that has written its rows, stamped this morning, and that nobody else sees yet. */
export interface LateCommit {
  commit(): Promise<Journal>
  rollback(): Promise<void>
}

export interface Simulation {
  /** The simulated date, `yyyy-mm-dd`: at first the last one with data. */
  today(): string
  /** Goes on to the next business day, in which nothing has happened yet, and returns its date. */
  nextDay(): string
  /** Lives the next business day. */
  day(options?: DayOptions): Promise<Journal>
  /** Lives one ordinary day after another until the signal. */
  live(options: LiveOptions): Promise<void>
  /** So many orders arrive today, each in its own transaction. */
  newOrders(count: number): Promise<Journal>
  newDesigns(count: number): Promise<Journal>
  /** Pays what is due today; nothing on the second call. */
  payDue(): Promise<Journal>
  /** Changes one row with its last_updated untouched. */
  silentUpdate(table: SilentTable): Promise<Journal>
  /** Moves a member of staff to another department. */
  moveDepartment(): Promise<Journal>
  /** Moves a department to another place. */
  relocateDepartment(): Promise<Journal>
  /** Changes the address that is a counterparty's legal one. */
  changeAddress(): Promise<Journal>
  /** Gives a counterparty another legal address. */
  moveCounterparty(): Promise<Journal>
  /** Deletes one order of any age; its transaction loses the reference. */
  deleteOrder(table?: OrderTable): Promise<Journal>
  /** Puts back the order that this simulation deleted last, as it was; nothing when there is none. */
  reinsertDeleted(): Promise<Journal>
  /** Writes one order of this morning in a transaction that stays open until it is told. */
  lateCommit(): Promise<LateCommit>
  /** Transactions that are still open are rolled back. */
  close(): Promise<void>
}

/** Opens a filled source to live in. Throws SimulatorError when it cannot be reached or is not filled. */
export async function openSimulation(
  ownerUrl: string,
  options: SimulationOptions = {},
): Promise<Simulation> {
  const { seed = 42, scale = 1, journal } = options
  if (!(scale > 0)) throw new SimulatorError(`scale is above 0, not ${scale}.`)
  // A journal that cannot be written must be known before something is done that belongs in it.
  if (journal !== undefined) await appendJournal(journal, [])
  const database = await openDatabase(ownerUrl)
  const start = await readStart(database).catch(async (error: unknown) => {
    await database.close()
    throw error
  })

  let { date, world } = start
  let random = namedRandom(seed, 'live', formatDate(date))
  let hours: Hours = OPENING_HOURS
  const deleted: DeletedOrder[] = []
  const open = new Set<LateCommit>()
  /** Those of them that an ordinary day opened and left to the next. */
  const leftOpen: LateCommit[] = []

  const scene = (overrides: Partial<Scene> = {}): Scene => ({
    database,
    seed,
    date,
    hours,
    world,
    random,
    ...overrides,
  })
  const record = async (entries: Journal): Promise<Journal> => {
    if (journal !== undefined) await appendJournal(journal, entries)
    return entries
  }
  const commit = async (action: () => Promise<Journal>): Promise<Journal> =>
    record(await database.transaction(action))
  const repeat = async (count: number, action: () => Promise<Journal>): Promise<Journal> => {
    const entries: Journal[] = []
    for (let time = 0; time < count; time += 1) entries.push(await action())
    return entries.flat()
  }

  const simulation: Simulation = {
    today: () => formatDate(date),
    nextDay: () => {
      date = nextBusinessDay(date)
      random = namedRandom(seed, 'live', formatDate(date))
      return formatDate(date)
    },
    newOrders: async (count) =>
      repeat(count, async () =>
        commit(async () => insertOrder(scene(), orderTable(random), 'order')),
      ),
    newDesigns: async (count) =>
      repeat(count, async () => {
        const entries = await commit(async () => insertDesign(scene()))
        world = { ...world, designs: [...world.designs, ...entries.map((entry) => entry.key)] }
        return entries
      }),
    payDue: async () => commit(async () => payDue(scene())),
    silentUpdate: async (table) => commit(async () => updateSilently(scene(), table)),
    moveDepartment: async () => commit(async () => moveStaff(scene())),
    relocateDepartment: async () => commit(async () => moveDepartment(scene())),
    changeAddress: async () => commit(async () => changeAddress(scene())),
    moveCounterparty: async () => commit(async () => moveCounterparty(scene())),
    deleteOrder: async (table = 'sales_order') => {
      const [entries, order] = await database.transaction(async () => deleteOrder(scene(), table))
      deleted.push(order)
      return record(entries)
    },
    reinsertDeleted: async () => {
      const order = deleted.at(-1)
      if (order === undefined) return []
      const entries = await commit(async () => reinsertOrder(scene(), order))
      deleted.pop()
      return entries
    },
    lateCommit: async () => {
      const morning: Hours = [OPENING_MS, OPENING_MS + HOUR_MS]
      const own = await openDatabase(ownerUrl)
      let entries: Journal = []
      const late: LateCommit = {
        commit: async () => {
          await own.run('commit')
          await late.rollback()
          return record(entries)
        },
        // Closing the connection is enough: the server rolls back what was not committed.
        rollback: async () => {
          open.delete(late)
          await own.close()
        },
      }
      open.add(late)
      try {
        await own.run('begin')
        entries = await insertOrder(
          scene({ database: own, hours: morning }),
          orderTable(random),
          'late',
        )
      } catch (error) {
        await late.rollback()
        throw error
      }
      return late
    },
    day: async ({ pace = 'eventful' } = {}) => lived(pace, async () => true),
    live: async ({ msPerDay, signal, onDay }) => {
      const wait = async (share: number): Promise<boolean> =>
        sleep(msPerDay * share, true, { signal }).catch(() => false)
      while (!signal.aborted) {
        const entries = await lived('ordinary', wait)
        onDay?.(simulation.today(), entries)
      }
    },
    close: async () => {
      for (const late of open) await late.rollback()
      await database.close()
    },
  }

  /** Lives the next day, step by step; after each, `goOn` is told which share of the day it took. */
  async function lived(
    pace: 'eventful' | 'ordinary',
    goOn: (share: number) => Promise<boolean>,
  ): Promise<Journal> {
    simulation.nextDay()
    const plan = { pace, scale, date, random, leftOpen }
    const steps = daySteps(simulation, plan)
    const entries: Journal[] = []
    const [opening, closing] = OPENING_HOURS
    const part = (closing - opening) / steps.length
    try {
      for (const [index, step] of steps.entries()) {
        hours = [opening + part * index, opening + part * (index + 1)]
        entries.push(await step())
        if (!(await goOn(1 / steps.length))) break
      }
    } finally {
      hours = OPENING_HOURS
    }
    return entries.flat()
  }

  return simulation
}

type Step = () => Promise<Journal>

interface DayPlan {
  readonly pace: 'eventful' | 'ordinary'
  readonly scale: number
  readonly date: number
  readonly random: Random
  /** Long transactions that the day before left open; they commit today, and today's go here. */
  readonly leftOpen: LateCommit[]
}

/** What happens on a day, from the paid batch of the morning to the last order. */
function daySteps(
  simulation: Simulation,
  { pace, scale, date, random, leftOpen }: DayPlan,
): Step[] {
  const orders = Math.max(1, Math.round(30.3 * scale * (0.6 + 0.8 * random.next())))
  const steps: Step[] = Array.from({ length: orders }, () => async () => simulation.newOrders(1))
  steps.push(...leftOpen.splice(0).map((late) => async () => late.commit()))
  const evening: Step[] = []
  const morning: Step[] = [
    async () => simulation.payDue(),
    async () => {
      leftOpen.push(await simulation.lateCommit())
      return []
    },
  ]
  if (pace === 'eventful') {
    steps.push(
      async () => simulation.newDesigns(1),
      async () => simulation.silentUpdate('sales_order'),
      async () => simulation.silentUpdate('purchase_order'),
      async () => simulation.silentUpdate('design'),
      async () => simulation.moveDepartment(),
      async () => simulation.relocateDepartment(),
      async () => simulation.changeAddress(),
      async () => simulation.moveCounterparty(),
      async () => simulation.deleteOrder(),
    )
    evening.push(async () => (await leftOpen.pop()?.commit()) ?? [])
  } else {
    // Every day a silent update of one fact or the other, and at least once in five one of a design.
    const number = date / DAY_MS
    steps.push(async () =>
      simulation.silentUpdate(number % 2 === 0 ? 'sales_order' : 'purchase_order'),
    )
    if (number % 4 === 0) steps.push(async () => simulation.silentUpdate('design'))
    const rates: readonly [number, Step][] = [
      [0.9, async () => simulation.newDesigns(1)],
      [0.05, async () => simulation.moveDepartment()],
      [0.02, async () => simulation.relocateDepartment()],
      [0.05, async () => simulation.changeAddress()],
      [0.05, async () => simulation.moveCounterparty()],
      [0.1, async () => simulation.deleteOrder()],
      [0.05, async () => simulation.deleteOrder('purchase_order')],
      [0.05, async () => simulation.reinsertDeleted()],
    ]
    for (const [chance, step] of rates) if (random.chance(chance)) steps.push(step)
  }
  return [...morning, ...random.shuffle(steps), ...evening]
}

/** Sales and purchase orders arrive as 21 to 8.8. */
function orderTable(random: Random): OrderTable {
  return random.chance(21.4 / 30.3) ? 'sales_order' : 'purchase_order'
}

/** The last date with data, and the keys that orders may refer to. */
async function readStart(database: Database): Promise<{ date: number; world: World }> {
  const present = await existingTables(database)
  const missing = TABLE_NAMES.filter((table) => !present.includes(table))
  if (missing.length > 0) {
    throw new SimulatorError(
      `The database has no table ${missing.map((table) => `"${table}"`).join(', ')}. Fill it first.`,
    )
  }
  const [row] = await database.query(`
    select greatest(
      (select max(created_at) from public.sales_order), (select max(created_at) from public.purchase_order),
      (select max(created_at) from public.design), (select max(last_updated) from public.payment)
    )::date as last`)
  const last = parseDate(row?.['last'] ?? '')
  if (last === undefined)
    throw new SimulatorError('The tables are empty. Fill them first, with --replace.')
  const keys = async (table: TableName): Promise<number[]> => {
    const rows = await database.query(
      `select ${quote(keyOf(table))} as key from public.${quote(table)} order by 1`,
    )
    return rows.map(({ key }) => Number(key))
  }
  const world = {
    staff: await keys('staff'),
    counterparties: await keys('counterparty'),
    addresses: await keys('address'),
    currencies: await keys('currency'),
    designs: await keys('design'),
  }
  return { date: last, world }
}
