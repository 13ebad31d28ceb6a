import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  businessDays,
  dateOf,
  firstDay,
  formatDate,
  formatInstant,
  nextBusinessDay,
  parseDate,
} from '../../examples/totesys/simulator/calendar.ts'
import { copyText, openDatabase } from '../../examples/totesys/simulator/database.ts'
import { fill } from '../../examples/totesys/simulator/fill.ts'
import {
  appendJournal,
  netChanges,
  readJournal,
  type JournalEntry,
} from '../../examples/totesys/simulator/journal.ts'
import {
  OPENING_HOURS,
  SILENT_COLUMNS,
  isEverPaid,
  newDesign,
  newOrder,
  paidBatchAt,
  silentChange,
  type SilentTable,
  type World,
} from '../../examples/totesys/simulator/orders.ts'
import { namedRandom } from '../../examples/totesys/simulator/random.ts'
import type { Row } from '../../examples/totesys/simulator/schema.ts'

const date = (text: string): number => {
  const midnight = parseDate(text)
  if (midnight === undefined) throw new Error(`${text} is not a date`)
  return midnight
}
const WORLD: World = {
  staff: [1, 2, 3],
  counterparties: [1, 2],
  addresses: [1, 2, 3],
  currencies: [1, 2, 3],
  designs: [1, 2, 3, 4],
}

describe('calendar', () => {
  test('formats without a zone, to the millisecond', () => {
    expect(formatInstant(date('2024-03-31') + 5_400_007)).toBe('2024-03-31 01:30:00.007')
    expect(formatDate(dateOf(date('2024-02-29') + 86_399_999))).toBe('2024-02-29')
  })

  test.each(['2024-02-30', '2024-2-3', '2024-02-29 ', 'soon', ''])('"%s" is not a date', (text) => {
    expect(parseDate(text)).toBeUndefined()
  })

  test('counts business days, both ends included, and skips weekends', () => {
    expect(firstDay(date('2024-12-31'), 2)).toBe(date('2023-01-01'))
    expect(businessDays(date('2024-11-29'), date('2024-12-02')).map(formatDate)).toEqual([
      '2024-11-29',
      '2024-12-02',
    ])
    expect(formatDate(nextBusinessDay(date('2024-11-29')))).toBe('2024-12-02')
  })
})

describe('random', () => {
  test('the same name gives the same numbers, another name others', () => {
    const numbers = (...name: (string | number)[]): number[] => {
      const random = namedRandom(...name)
      return Array.from({ length: 5 }, () => random.int(1, 1_000_000))
    }
    expect(numbers(42, 'a')).toEqual(numbers(42, 'a'))
    expect(numbers(42, 'a')).not.toEqual(numbers(43, 'a'))
    expect(numbers(42, 'a')).not.toEqual(numbers(42, 'b'))
  })

  test('is even, and reaches both ends', () => {
    const random = namedRandom('even')
    const counts = new Map<number, number>()
    for (let time = 0; time < 10_000; time += 1) {
      const value = random.int(1, 10)
      counts.set(value, (counts.get(value) ?? 0) + 1)
    }
    expect([...counts.keys()].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(150)
    expect(new Set(random.shuffle([1, 2, 3]))).toEqual(new Set([1, 2, 3]))
    expect(() => random.pick([])).toThrow(RangeError)
  })
})

describe('orders', () => {
  test('an order, its transaction and its payment agree, to the penny and the millisecond', () => {
    const random = namedRandom('orders')
    const day = date('2024-12-02')
    for (let time = 0; time < 2_000; time += 1) {
      const table = time % 2 === 0 ? 'sales_order' : 'purchase_order'
      const { order, transaction, payment } = newOrder(table, day, OPENING_HOURS, WORLD, random)
      const stamps = [order, transaction, payment].flatMap((row) => [
        row['created_at'],
        row['last_updated'],
      ])
      expect(new Set(stamps).size).toBe(1)
      expect(String(stamps[0])).toMatch(/^2024-12-02 (0[89]|1[0-8]):\d\d:\d\d\.\d{3}$/)
      const [quantity, price] =
        table === 'sales_order'
          ? [order['units_sold'], order['unit_price']]
          : [order['item_quantity'], order['item_unit_price']]
      const pence = (money: unknown): bigint => BigInt(String(money).replace('.', ''))
      expect(String(price)).toMatch(/^\d+\.\d\d$/)
      expect(pence(payment['payment_amount'])).toBe(BigInt(Number(quantity)) * pence(price))
      expect(payment['payment_date']).toBe(order['agreed_payment_date'])
    }
  })

  test('a silent change gives one of the known columns another value', () => {
    const random = namedRandom('silent')
    const day = date('2024-12-02')
    const rows: Readonly<Record<SilentTable, Row>> = {
      sales_order: newOrder('sales_order', day, OPENING_HOURS, WORLD, random).order,
      purchase_order: newOrder('purchase_order', day, OPENING_HOURS, WORLD, random).order,
      design: newDesign(day, random),
    }
    for (const table of Object.keys(rows) as SilentTable[]) {
      const seen = new Set<string>()
      for (let time = 0; time < 200; time += 1) {
        const [column, value] = silentChange(table, rows[table], WORLD, random)
        expect(String(value)).not.toBe(String(rows[table][column]))
        seen.add(column)
      }
      expect([...seen].sort()).toEqual([...SILENT_COLUMNS[table]].sort())
    }
  })

  test('a payment due on a weekend or on the day it was made is never paid', () => {
    const friday = date('2024-11-29')
    const made = friday + 10 * 3_600_000
    expect(isEverPaid(made, friday)).toBe(false)
    expect(isEverPaid(made, date('2024-11-30'))).toBe(false)
    expect(isEverPaid(made, date('2024-12-02'))).toBe(true)
    for (let seed = 0; seed < 50; seed += 1) {
      expect(formatInstant(paidBatchAt(seed, friday))).toMatch(/^2024-11-29 07:55:1[0-2]\.\d{3}$/)
    }
  })
})

describe('copyText', () => {
  test('escapes what COPY would take for its own, and nothing else', () => {
    const rows = [
      { a: 'tab\there', b: 'line\nbreak\r', c: 'back\\slash', d: null, e: '', f: "O'K" },
    ]
    const text = Buffer.concat([...copyText(['f', 'e', 'd', 'c', 'b', 'a'], rows)]).toString()
    expect(text).toBe("O'K\t\t\\N\tback\\\\slash\tline\\nbreak\\r\ttab\\there\n")
  })

  test('takes rows only as pieces are asked for, so that memory is bounded', () => {
    let taken = 0
    const rows = (function* () {
      for (;;) yield { a: taken++ }
    })()
    const pieces = copyText(['a'], rows)
    const first = pieces.next().value as Buffer
    expect(first.length).toBeLessThan(70_000)
    expect(taken).toBeLessThan(20_000)
  })

  test('refuses a row that lacks a column', () => {
    expect(() => [...copyText(['b'], [{ a: 1 }])]).toThrow('a row lacks a column')
  })
})

describe('netChanges', () => {
  const entry = (
    action: JournalEntry['action'],
    before: string | null,
    after: string | null,
    kind: JournalEntry['kind'] = 'silent',
  ): JournalEntry => ({ at: '', kind, action, table: 'design', key: 7, before, after })
  const net = (...entries: JournalEntry[]): unknown =>
    netChanges(entries).map(({ change }) => change)

  test('insert and update is inserted, insert and delete is nothing', () => {
    expect(net(entry('insert', null, 'a'), entry('update', 'a', 'b'))).toEqual(['inserted'])
    expect(net(entry('insert', null, 'a'), entry('delete', 'a', null))).toEqual([])
  })

  test('update there and back is nothing, there and on is updated', () => {
    expect(net(entry('update', 'a', 'b'), entry('update', 'b', 'a'))).toEqual([])
    expect(net(entry('update', 'a', 'b'), entry('update', 'b', 'c'))).toEqual(['updated'])
  })

  test('delete and insert is updated, or nothing when the row is as it was', () => {
    expect(net(entry('update', 'a', 'b'), entry('delete', 'b', null))).toEqual(['deleted'])
    expect(net(entry('delete', 'a', null), entry('insert', null, 'b'))).toEqual(['updated'])
    expect(net(entry('delete', 'a', null), entry('insert', null, 'a'))).toEqual([])
  })

  test('keeps every reason, and orders by table and key', () => {
    const changes = netChanges([
      { ...entry('insert', null, 'x', 'order'), table: 'payment', key: 10 },
      { ...entry('insert', null, 'x', 'late'), table: 'payment', key: 9 },
      entry('update', 'a', 'b', 'silent'),
      { ...entry('update', 'x', 'y', 'paid'), table: 'payment', key: 10 },
    ])
    expect(changes).toEqual([
      { table: 'design', key: 7, change: 'updated', kinds: ['silent'] },
      { table: 'payment', key: 9, change: 'inserted', kinds: ['late'] },
      { table: 'payment', key: 10, change: 'inserted', kinds: ['order', 'paid'] },
    ])
  })
})

describe('the journal file', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'simulator-'))
  })
  afterAll(async () => rm(folder, { recursive: true }))

  test('is read as it was written; a missing one is empty', async () => {
    const path = join(folder, 'deep', 'journal.jsonl')
    const entry: JournalEntry = {
      at: '2024-12-31 08:00:00.000',
      kind: 'order',
      action: 'insert',
      table: 'sales_order',
      key: 1,
      before: null,
      after: 'x',
    }
    expect(await readJournal(path)).toEqual([])
    await appendJournal(path, [entry, { ...entry, key: 2 }])
    await appendJournal(path, [{ ...entry, key: 3 }])
    expect((await readJournal(path)).map(({ key }) => key)).toEqual([1, 2, 3])
    expect((await readJournal(path))[0]).toEqual(entry)
    expect((await readFile(path, 'utf8')).split('\n')).toHaveLength(4)
  })

  test('names the line that is torn', async () => {
    const path = join(folder, 'torn.jsonl')
    await writeFile(path, '{"key":1}\n{"key":')
    await expect(readJournal(path)).rejects.toThrow('Line 2 of the journal')
  })
})

describe('bad input', () => {
  test('all wrong options are named at once', async () => {
    const options = { seed: 0.5, scale: 0, years: 1.5, until: '2024-02-31' }
    await expect(fill('postgres://x', options)).rejects.toThrow(
      'Cannot fill: seed is a whole number, not 0.5; scale is above 0 and at most 10000, not 0; ' +
        'years is a whole number from 1 to 50, not 1.5; until is a date such as 2024-12-31, not "2024-02-31".',
    )
  })

  test('P10: neither a bad URL nor a dead server makes it print the password', async () => {
    const failures = ['postgre://me:sesame@host/x', 'postgres://me:sesame@127.0.0.1:1/x'].map(
      async (url) =>
        openDatabase(url).then(
          () => 'connected',
          (error: Error) => error.message,
        ),
    )
    const messages = await Promise.all(failures)
    expect(messages[0]).toMatch(/^The URL of the database is not one like/)
    expect(messages[1]).toMatch(/^Cannot connect to database "x" at 127.0.0.1:1 as "me": .*REFUSED/)
    expect(messages.join('\n')).not.toContain('sesame')
  })
})
