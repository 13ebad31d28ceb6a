/**
 * Every row of the filled years, as it stands at their end. Pure and lazy: the rows follow from the
 * plan alone, and orders are generated day by day.
 */
import { DAY_MS, HOUR_MS, OPENING_MS, formatDate, formatInstant } from './calendar.ts'
import {
  OPENING_HOURS,
  PAID_TOGETHER,
  SILENT_RATE,
  instantWithin,
  isEverPaid,
  newDesign,
  newOrder,
  orderColumn,
  paidBatchAt,
  silentChange,
  type Order,
  type OrderTable,
  type SilentTable,
  type World,
} from './orders.ts'
import { namedRandom, type Random } from './random.ts'
import { keyOf, type Row, type TableName } from './schema.ts'
import {
  ADDRESSES,
  COUNTERPARTIES,
  CURRENCIES,
  DEPARTMENTS,
  PAYMENT_TYPES,
  STAFF,
} from './words.ts'

export interface Plan {
  readonly seed: number
  readonly scale: number
  /** The days of business. */
  readonly days: readonly number[]
  /** The last day, of business or not. */
  readonly until: number
}

/** The real database's sizes after two years, that is 522 days of business. */
const REAL = { days: 522, sales_order: 11_187, purchase_order: 4_649, design: 468 }
const FIRST_DESIGNS = 5

/** The rows that were there before the first order; most share one last_updated to the millisecond. */
export function fixedRows(plan: Plan): [TableName, Row[]][] {
  const seeded = seededAt(plan)
  const table = <T>(
    name: TableName,
    things: readonly T[],
    row: (thing: T) => Row,
    createdAt = seeded,
  ): [TableName, Row[]] => {
    const stamp = formatInstant(createdAt)
    const rows = things.map((thing, index) => ({
      [keyOf(name)]: index + 1,
      ...row(thing),
      created_at: stamp,
      last_updated: stamp,
    }))
    return [name, rows]
  }
  return [
    table('address', ADDRESSES, ([line1, line2, district, city, postal_code, country, phone]) => ({
      address_line_1: line1,
      address_line_2: line2,
      district,
      city,
      postal_code,
      country,
      phone,
    })),
    table('currency', CURRENCIES, (currency_code) => ({ currency_code })),
    table('department', DEPARTMENTS, ([department_name, location, manager]) => ({
      department_name,
      location,
      manager,
    })),
    table('payment_type', PAYMENT_TYPES, (payment_type_name) => ({ payment_type_name })),
    // These two came with a second script, a moment later.
    table(
      'counterparty',
      COUNTERPARTIES,
      ([counterparty_legal_name, legal_address_id, commercial_contact, delivery_contact]) => ({
        counterparty_legal_name,
        legal_address_id,
        commercial_contact,
        delivery_contact,
      }),
      seeded + 1_601,
    ),
    table(
      'staff',
      STAFF,
      ([first_name, last_name, department_id]) => ({
        first_name,
        last_name,
        department_id,
        email_address: `${first_name}.${last_name}@terrifictotes.com`.toLowerCase(),
      }),
      seeded + 1_601,
    ),
  ]
}

/** Early on the first day of business. */
function seededAt({ days, until }: Plan): number {
  return (days[0] ?? until) + 6 * HOUR_MS + 20 * 60_000 + 49_962
}

/** All designs, in the order in which they were made. */
export function allDesigns(plan: Plan): Row[] {
  const { seed, days } = plan
  const random = namedRandom(seed, 'designs')
  const first = seededAt(plan)
  const perDay = spread(Math.round((REAL.design * days.length) / REAL.days), days.length, random)
  const instants = days.flatMap((date, index) =>
    Array.from({ length: perDay[index] ?? 0 }, () =>
      instantWithin(date, OPENING_HOURS, random),
    ).sort((a, b) => a - b),
  )
  return [...Array.from({ length: FIRST_DESIGNS }, () => first), ...instants].map(
    (createdAt, index) => {
      const design = { design_id: index + 1, ...newDesign(createdAt, random) }
      return withSilentChange('design', design, () => ({ ...FIXED_WORLD, designs: [] }), random)
    },
  )
}

/** All orders, by transaction key. */
export function* allOrders(
  { seed, scale, days, until }: Plan,
  designs: readonly Row[],
): Generator<Order> {
  const share = (real: number): number => Math.round((real * scale * days.length) / REAL.days)
  const sales = spread(share(REAL.sales_order), days.length, namedRandom(seed, 'sales'))
  const purchases = spread(share(REAL.purchase_order), days.length, namedRandom(seed, 'purchases'))
  const designedAt = designs.map((design) => String(design['created_at']))
  const designKeys = keys(designs.length)
  const worldAt = (instant: number): World => ({
    ...FIXED_WORLD,
    designs: designKeys.slice(0, countBefore(designedAt, formatInstant(instant))),
  })
  const next = { sales_order: 1, purchase_order: 1, transaction: 1 }
  const due = new Map<number, number>()
  for (const [index, date] of days.entries()) {
    const random = namedRandom(seed, 'orders', formatDate(date))
    const today = worldAt(date + OPENING_MS)
    const arrive = (table: OrderTable, count: number): Order[] =>
      Array.from({ length: count }, () => newOrder(table, date, OPENING_HOURS, today, random))
    const orders = [
      ...arrive('sales_order', sales[index] ?? 0),
      ...arrive('purchase_order', purchases[index] ?? 0),
    ]
    for (const made of orders.sort((a, b) => a.committedAt - b.committedAt)) {
      const { table } = made
      const key = next[table]++
      const transactionId = next.transaction++
      // Changed at any age, so perhaps to a design of any later day.
      const later = (): World =>
        worldAt(instantWithin(date, [DAY_MS, until + DAY_MS - date], random))
      yield {
        ...made,
        order: withSilentChange(table, { ...made.order, [keyOf(table)]: key }, later, random),
        transaction: {
          ...made.transaction,
          transaction_id: transactionId,
          [orderColumn(table)]: key,
        },
        payment: settled(
          { ...made.payment, payment_id: transactionId, transaction_id: transactionId },
          made,
        ),
      }
    }
  }

  function settled(payment: Row, { createdAt, paymentDate }: Order): Row {
    if (!isEverPaid(createdAt, paymentDate) || paymentDate > until) return payment
    const earlier = due.get(paymentDate) ?? 0
    due.set(paymentDate, earlier + 1)
    const paidAt = paidBatchAt(seed, paymentDate) + Math.floor(earlier / PAID_TOGETHER)
    return { ...payment, paid: true, last_updated: formatInstant(paidAt) }
  }
}

const FIXED_WORLD = {
  staff: keys(STAFF.length),
  counterparties: keys(COUNTERPARTIES.length),
  addresses: keys(ADDRESSES.length),
  currencies: keys(CURRENCIES.length),
}

/** The row as it stands at the end: some have changed since, and nothing shows it. */
function withSilentChange(table: SilentTable, row: Row, world: () => World, random: Random): Row {
  if (!random.chance(SILENT_RATE[table])) return row
  const [column, value] = silentChange(table, row, world(), random)
  return { ...row, [column]: value }
}

/** `total` things over `days` days, more on some than on others, none lost to rounding. */
function spread(total: number, days: number, random: Random): number[] {
  const weights = Array.from({ length: days }, () => 0.6 + 0.8 * random.next())
  const sum = weights.reduce((left, right) => left + right, 0)
  let weight = 0
  let given = 0
  return weights.map((own) => {
    weight += own
    const upToNow = Math.round((total * weight) / sum)
    const count = upToNow - given
    given = upToNow
    return count
  })
}

/** How many of the ascending `instants` lie before `instant`. */
function countBefore(instants: readonly string[], instant: string): number {
  let low = 0
  let high = instants.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((instants[middle] as string) < instant) low = middle + 1
    else high = middle
  }
  return low
}

function keys(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1)
}
