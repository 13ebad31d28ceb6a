/**
 * What the application would write: orders with their transactions and payments, designs, and the
 * fields that change without last_updated moving. Pure: random numbers in, rows out.
 */
import {
  CLOSING_MS,
  DAY_MS,
  HOUR_MS,
  OPENING_MS,
  dateOf,
  formatDate,
  formatInstant,
  isBusinessDay,
  parseDate,
} from './calendar.ts'
import { namedRandom, type Random } from './random.ts'
import { PAYMENT_TYPES, DESIGN_NAMES, FILE_LOCATIONS } from './words.ts'
import type { Row, Value } from './schema.ts'

/** The rows that an order may refer to, by key. */
export interface World {
  readonly staff: readonly number[]
  readonly counterparties: readonly number[]
  readonly addresses: readonly number[]
  readonly currencies: readonly number[]
  readonly designs: readonly number[]
}

export type OrderTable = 'sales_order' | 'purchase_order'
export type SilentTable = OrderTable | 'design'

/** One application transaction: three rows but for the keys, which the database or the filler gives. */
export interface Order {
  readonly table: OrderTable
  readonly createdAt: number
  /** When it becomes visible, and so its place in the sequence of keys. */
  readonly committedAt: number
  readonly paymentDate: number
  readonly order: Row
  readonly transaction: Row
  readonly payment: Row
}

/** At the real rates: of 5,099, 2,247 and 249 rows, so many changed silently in a year. */
export const SILENT_RATE: Readonly<Record<SilentTable, number>> = {
  sales_order: 87 / 5_099,
  purchase_order: 83 / 2_247,
  design: 64 / 249,
}

/** The columns that change with last_updated untouched. */
export const SILENT_COLUMNS: Readonly<Record<SilentTable, readonly string[]>> = {
  sales_order: ['design_id', 'staff_id', 'agreed_delivery_date', 'agreed_delivery_location_id'],
  purchase_order: ['staff_id', 'item_code', 'agreed_delivery_date', 'agreed_delivery_location_id'],
  design: ['file_location'],
}

/** No more payments than this were ever seen to share one last_updated. */
export const PAID_TOGETHER = 37

/** Part of a day, in milliseconds after midnight: from the first up to, not including, the second. */
export type Hours = readonly [number, number]

export const OPENING_HOURS: Hours = [OPENING_MS, CLOSING_MS]

/** An instant of `date` within `hours`. */
export function instantWithin(date: number, hours: Hours, random: Random): number {
  return date + Math.floor(hours[0] + random.next() * (hours[1] - hours[0]))
}

/** A new order that arrives on `date` within `hours`. */
export function newOrder(
  table: OrderTable,
  date: number,
  hours: Hours,
  world: World,
  random: Random,
): Order {
  const committedAt = instantWithin(date, hours, random)
  // Some transactions take long: their stamp is old when their key is given, so that created_at is not monotone in the key.
  const tookMs = random.chance(0.05) ? random.int(0, 0.75 * HOUR_MS) : random.int(3, 300)
  const createdAt = Math.max(date + OPENING_MS, committedAt - tookMs)
  const deliveryDate = date + random.int(0, 7) * DAY_MS
  const paymentDate = date + random.int(0, 6) * DAY_MS
  const sale = table === 'sales_order'
  const quantity = sale ? random.int(1_001, 99_973) : random.int(1, 999)
  const cents = sale ? random.int(200, 400) : random.int(332, 99_907)
  const stamp = formatInstant(createdAt)
  const staff_id = random.pick(world.staff)
  const counterparty_id = random.pick(world.counterparties)
  const currency_id = random.pick(world.currencies)
  const agreed_delivery_date = formatDate(deliveryDate)
  const agreed_payment_date = formatDate(paymentDate)
  const agreed_delivery_location_id = random.pick(world.addresses)
  // Written out, not spread: millions of these are made, and spreading takes twice the time.
  return {
    table,
    createdAt,
    committedAt,
    paymentDate,
    order: sale
      ? {
          created_at: stamp,
          last_updated: stamp,
          design_id: random.pick(world.designs),
          staff_id,
          counterparty_id,
          units_sold: quantity,
          unit_price: formatCents(cents),
          currency_id,
          agreed_delivery_date,
          agreed_payment_date,
          agreed_delivery_location_id,
        }
      : {
          created_at: stamp,
          last_updated: stamp,
          staff_id,
          counterparty_id,
          item_code: itemCode(random),
          item_quantity: quantity,
          item_unit_price: formatCents(cents),
          currency_id,
          agreed_delivery_date,
          agreed_payment_date,
          agreed_delivery_location_id,
        },
    transaction: {
      created_at: stamp,
      last_updated: stamp,
      transaction_type: sale ? 'SALE' : 'PURCHASE',
      sales_order_id: null,
      purchase_order_id: null,
    },
    payment: {
      created_at: stamp,
      last_updated: stamp,
      counterparty_id,
      payment_amount: formatCents(quantity * cents),
      currency_id,
      payment_type_id: PAYMENT_TYPES.indexOf(sale ? 'SALES_RECEIPT' : 'PURCHASE_PAYMENT') + 1,
      paid: false,
      payment_date: agreed_payment_date,
      company_ac_number: random.int(10_000_000, 99_999_999),
      counterparty_ac_number: random.int(10_000_000, 99_999_999),
    },
  }
}

/** A new design, drawn on `createdAt`. */
export function newDesign(createdAt: number, random: Random): Row {
  const name = random.pick(DESIGN_NAMES)
  const drawn = formatDate(createdAt - random.int(0, 700) * DAY_MS).replaceAll('-', '')
  return {
    created_at: formatInstant(createdAt),
    last_updated: formatInstant(createdAt),
    design_name: name,
    file_location: random.pick(FILE_LOCATIONS),
    file_name: `${name.toLowerCase()}-${drawn}-${letters(random, 'abcdefghijklmnopqrstuvwxyz0123456789', 4)}.json`,
  }
}

/** One field of `row`, as `SILENT_COLUMNS`, with another value than it has. */
export function silentChange(
  table: SilentTable,
  row: Row,
  world: World,
  random: Random,
): readonly [column: string, value: Value] {
  const column = random.pick(SILENT_COLUMNS[table])
  // Rows read back from the database hold text throughout.
  const before = String(row[column])
  for (;;) {
    const value = silentValue(column, row, world, random)
    if (String(value) !== before) return [column, value]
  }
}

function silentValue(column: string, row: Row, world: World, random: Random): Value {
  switch (column) {
    case 'design_id':
      return random.pick(world.designs)
    case 'staff_id':
      return random.pick(world.staff)
    case 'agreed_delivery_location_id':
      return random.pick(world.addresses)
    case 'agreed_delivery_date': {
      const created = parseDate(String(row['created_at']).slice(0, 10)) ?? 0
      return formatDate(created + random.int(0, 7) * DAY_MS)
    }
    case 'item_code':
      return itemCode(random)
    default:
      return random.pick(FILE_LOCATIONS)
  }
}

/** Whether the batch of the due day ever finds this payment: not on a weekend, nor on the day it was made. */
export function isEverPaid(createdAt: number, paymentDate: number): boolean {
  return isBusinessDay(paymentDate) && dateOf(createdAt) < paymentDate
}

/** When the paid batch of `date` begins: 07:55:10 to 07:55:12. */
export function paidBatchAt(seed: number, date: number): number {
  const start = date + 7 * HOUR_MS + 55 * 60_000 + 10_000
  return start + namedRandom(seed, 'paid', formatDate(date)).int(0, 2_400)
}

/** The column of a transaction that names its order. */
export function orderColumn(table: OrderTable): `${OrderTable}_id` {
  return `${table}_id`
}

/** 1234 → '12.34' */
function formatCents(cents: number): string {
  return `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`
}

function itemCode(random: Random): string {
  return letters(random, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789', 7)
}

function letters(random: Random, alphabet: string, count: number): string {
  return Array.from({ length: count }, () => alphabet[random.int(0, alphabet.length - 1)]).join('')
}
