import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test } from 'vitest'
import { fill } from '../../examples/totesys/simulator/fill.ts'
import { netChanges, readJournal, type Journal } from '../../examples/totesys/simulator/journal.ts'
import { openSimulation, type Simulation } from '../../examples/totesys/simulator/live.ts'
import { TABLE_NAMES, keyOf } from '../../examples/totesys/simulator/schema.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
let simulation: Simulation
let folder = ''
let journalPath = ''

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'simulator-'))
})
afterAll(async () => rm(folder, { recursive: true }))

beforeEach(async () => {
  const server = await testServer()
  database = await server.createDatabase('sim')
  await fill(database.url, { years: 1, scale: 0.2, until: '2024-11-28' })
  // Waiting for a lock is a failure here, not patience.
  await database.query(`alter database "${database.name}" set lock_timeout = '5s'`)
  await remember()
  journalPath = join(folder, `${database.name}.jsonl`)
  simulation = await openSimulation(database.url, { journal: journalPath })
})
afterEach(async () => {
  await simulation.close()
  await database.drop()
})

/** Keeps a copy of every table beside it, to compare with later. */
async function remember(): Promise<void> {
  const copies = TABLE_NAMES.map(
    (table) => `create table before."${table}" as table public."${table}"`,
  )
  await database.query(
    `drop schema if exists before cascade; create schema before; ${copies.join(';')}`,
  )
}

/** What differs from the copies, found by PostgreSQL comparing whole rows. */
async function differences(): Promise<string[]> {
  const queries = TABLE_NAMES.map((table) => {
    const key = `"${keyOf(table)}"`
    return `
      select '${table} ' || coalesce(made.key, gone.key) || ' ' || case
        when gone.key is null then 'inserted' when made.key is null then 'deleted' else 'updated' end as change
      from (select ${key} as key from (table public."${table}" except all table before."${table}") n) made
      full join (select ${key} as key from (table before."${table}" except all table public."${table}") o) gone
        on made.key = gone.key`
  })
  const rows = await database.query(queries.join(' union all '))
  return rows.map((row) => row['change'] as string).sort()
}

function journalled(entries: Journal): string[] {
  return netChanges(entries)
    .map(({ table, key, change }) => `${table} ${key} ${change}`)
    .sort()
}

const one = async (sql: string): Promise<string | null | undefined> =>
  Object.values((await database.query(sql))[0] ?? {})[0]

const kindsOf = (entries: Journal): string[] => [...new Set(entries.map(({ kind }) => kind))].sort()

describe('a day', () => {
  test('everything that can happen does, and the journal is exactly what changed', async () => {
    const entries = await simulation.day()
    expect(simulation.today()).toBe('2024-11-29')
    expect(kindsOf(entries)).toEqual([
      'address',
      'deleted',
      'department',
      'design',
      'late',
      'order',
      'paid',
      'silent',
    ])
    const silent = entries.filter(({ kind, columns }) => kind === 'silent' && columns !== undefined)
    expect(silent.map(({ table }) => table).sort()).toEqual([
      'design',
      'purchase_order',
      'sales_order',
      'transaction',
    ])
    expect(journalled(entries)).toEqual(await differences())
    expect(await readJournal(journalPath)).toEqual(entries)
  })

  test('the next one goes on from the data, over the weekend, also in another process', async () => {
    await simulation.day()
    await simulation.close()
    simulation = await openSimulation(database.url, { journal: journalPath })
    expect(simulation.today()).toBe('2024-11-29')
    const entries = await simulation.day()
    expect(simulation.today()).toBe('2024-12-02')
    const stamps = await database.query(
      `select distinct created_at::date::text as date from public.sales_order
       where created_at > '2024-11-29' order by 1`,
    )
    expect(stamps.map(({ date }) => date)).toEqual(['2024-11-29', '2024-12-02'])
    expect(entries.every(({ at }) => at.startsWith('2024-12-02'))).toBe(true)
  })

  test('many, of either pace, and the whole journal is the whole difference', async () => {
    const lived: Journal[] = []
    for (let day = 0; day < 12; day += 1) {
      lived.push(await simulation.day({ pace: day % 3 === 0 ? 'eventful' : 'ordinary' }))
    }
    expect(journalled(lived.flat())).toEqual(await differences())
    expect(await readJournal(journalPath)).toEqual(lived.flat())
  })

  test('an ordinary one has a silent update of a fact, four in a row one of a design', async () => {
    const tables = new Set<string>()
    for (let day = 0; day < 5; day += 1) {
      const entries = await simulation.day({ pace: 'ordinary' })
      const silent = entries.filter(({ kind }) => kind === 'silent').map(({ table }) => table)
      expect(silent.some((table) => table.endsWith('_order'))).toBe(true)
      for (const table of silent) tables.add(table)
    }
    expect(tables).toContain('design')
  })

  test('the same seed and data live the same day, whatever the settings of the session', async () => {
    const first = await simulation.day()
    await simulation.close()
    await database.query('drop schema before cascade')
    await fill(database.url, { years: 1, scale: 0.2, until: '2024-11-28', existing: 'replace' })
    const hostile = '?options=-c%20timezone%3DAsia%2FKathmandu%20-c%20datestyle%3DGerman'
    simulation = await openSimulation(database.url + hostile)
    expect(await simulation.day()).toEqual(first)
  })

  test('only the paid batch moves last_updated', async () => {
    await simulation.day()
    const moved: string[] = []
    for (const table of TABLE_NAMES) {
      const key = keyOf(table)
      const rows = await database.query(
        `select from public."${table}" n join before."${table}" o using ("${key}") where n.last_updated <> o.last_updated`,
      )
      if (rows.length > 0) moved.push(table)
    }
    expect(moved).toEqual(['payment'])
    expect(
      await one(`
        select count(*) from public.payment n join before.payment o using (payment_id)
        where (n.last_updated <> o.last_updated) <> (n.paid and not o.paid)
          or n.paid and not o.paid and (n.payment_date <> '2024-11-29'
            or to_char(n.last_updated, 'yyyy-mm-dd hh24:mi:ss') not between '2024-11-29 07:55:10' and '2024-11-29 07:55:12')`),
    ).toBe('0')
  })
})

type Action = readonly [name: string, kind: string, tables: string[], act: () => Promise<Journal>]

const ACTIONS: readonly Action[] = [
  ['newDesigns', 'design', ['design'], async () => simulation.newDesigns(2)],
  ['moveDepartment', 'department', ['staff'], async () => simulation.moveDepartment()],
  ['relocateDepartment', 'department', ['department'], async () => simulation.relocateDepartment()],
  ['changeAddress', 'address', ['address'], async () => simulation.changeAddress()],
  ['moveCounterparty', 'address', ['counterparty'], async () => simulation.moveCounterparty()],
  ['payDue', 'paid', ['payment'], async () => (simulation.nextDay(), simulation.payDue())],
  [
    'silentUpdate of a sale',
    'silent',
    ['sales_order'],
    async () => simulation.silentUpdate('sales_order'),
  ],
  [
    'silentUpdate of a purchase',
    'silent',
    ['purchase_order'],
    async () => simulation.silentUpdate('purchase_order'),
  ],
  ['silentUpdate of a design', 'silent', ['design'], async () => simulation.silentUpdate('design')],
  ['deleteOrder', 'deleted', ['sales_order', 'transaction'], async () => simulation.deleteOrder()],
  [
    'deleteOrder of a purchase',
    'deleted',
    ['purchase_order', 'transaction'],
    async () => simulation.deleteOrder('purchase_order'),
  ],
]

describe('an action', () => {
  test.each(ACTIONS)(
    '%s writes to the journal what it changed, and nothing else',
    async (_, kind, tables, act) => {
      const entries = await act()
      expect(entries[0]?.kind).toBe(kind)
      expect([...new Set(entries.map(({ table }) => table))].sort()).toEqual(tables)
      expect(journalled(entries)).toEqual(await differences())
      expect(await readJournal(journalPath)).toEqual(entries)
    },
  )

  test('newOrders: order, transaction and payment, one transaction each, of today', async () => {
    const entries = await simulation.newOrders(40)
    expect(entries).toHaveLength(120)
    expect(journalled(entries)).toEqual(await differences())
    expect(
      await one(
        `select count(distinct xmin::text) from public.payment where payment_id > (select max(payment_id) from before.payment)`,
      ),
    ).toBe('40')
    expect(new Set(entries.map(({ table }) => table))).toEqual(
      new Set(['sales_order', 'purchase_order', 'transaction', 'payment']),
    )
    expect(simulation.today()).toBe('2024-11-28')
  })

  test('payDue leaves unpaid what was made today and is due today', async () => {
    simulation.nextDay()
    await simulation.newOrders(60)
    const due = `payment_date = '2024-11-29' and created_at >= '2024-11-29'`
    expect(Number(await one(`select count(*) from public.payment where ${due}`))).toBeGreaterThan(0)
    expect((await simulation.payDue()).length).toBeGreaterThan(0)
    expect(await one(`select count(*) from public.payment where ${due} and paid`)).toBe('0')
  })

  test('payDue lets no more than 37 payments share a last_updated', async () => {
    await simulation.newOrders(400)
    simulation.nextDay()
    const paid = await simulation.payDue()
    expect(paid.length).toBeGreaterThan(37)
    expect(
      await one(`
        select max(together) from (
          select count(*) as together from public.payment where paid group by last_updated) batch`),
    ).toBe('37')
  })

  test('payDue pays nothing twice', async () => {
    simulation.nextDay()
    expect((await simulation.payDue()).length).toBeGreaterThan(0)
    expect(await simulation.payDue()).toEqual([])
  })

  test('deleteOrder leaves the transaction, without its order', async () => {
    const [deleted, cascaded] = await simulation.deleteOrder()
    expect(deleted).toMatchObject({ action: 'delete', table: 'sales_order', kind: 'deleted' })
    expect(cascaded).toMatchObject({
      action: 'update',
      kind: 'silent',
      columns: ['sales_order_id'],
    })
    expect(
      await one(
        `select count(*) from public.transaction where num_nonnulls(sales_order_id, purchase_order_id) = 0`,
      ),
    ).toBe('1')
  })

  test('reinsertDeleted puts the order back as it was: changed in between, and not in the end', async () => {
    expect(await simulation.reinsertDeleted()).toEqual([])
    const gone = await simulation.deleteOrder()
    const back = await simulation.reinsertDeleted()
    expect(journalled(gone)).toHaveLength(2)
    expect(journalled(back)).toHaveLength(2)
    expect(journalled([...gone, ...back])).toEqual([])
    expect(await differences()).toEqual([])
    expect(await simulation.reinsertDeleted()).toEqual([])
  })

  test('moveDepartment never moves anyone to Sales', async () => {
    for (let time = 0; time < 40; time += 1) await simulation.moveDepartment()
    expect(await one(`select count(*) from public.staff where department_id = 1`)).toBe('0')
  })

  test('silent updates there and back are not counted', async () => {
    const entries: Journal[] = []
    for (let time = 0; time < 150; time += 1) entries.push(await simulation.silentUpdate('design'))
    expect(journalled(entries.flat())).toEqual(await differences())
  })
})

describe('a long transaction', () => {
  test('holds rows of this morning that nobody sees until it commits after newer ones', async () => {
    const late = await simulation.lateCommit()
    expect(await differences()).toEqual([])
    expect(await readJournal(journalPath)).toEqual([])
    const orders = await simulation.newOrders(5)
    const seen = await differences()
    expect(seen).toEqual(journalled(orders))
    const mark = await one('select max(last_updated) from public.payment')

    const entries = await late.commit()
    expect(kindsOf(entries)).toEqual(['late'])
    expect(journalled([...orders, ...entries])).toEqual(await differences())
    expect(await readJournal(journalPath)).toEqual([...orders, ...entries])
    const [payment] = entries.filter(({ table }) => table === 'payment')
    const stamp = await one(
      `select last_updated from public.payment where payment_id = ${payment?.key}`,
    )
    // A watermark on last_updated is past it already, and so is one on the key.
    expect(String(stamp) < String(mark)).toBe(true)
    expect(await one(`select max(payment_id) > ${payment?.key} from public.payment`)).toBe('t')
  })

  test('that is left open is rolled back at the end, and is not in the journal', async () => {
    await simulation.lateCommit()
    await simulation.close()
    expect(await differences()).toEqual([])
    expect(await readJournal(journalPath)).toEqual([])
  })

  test('blocks none of the other actions, and commits when told, not when a day ends', async () => {
    const open = []
    for (let time = 0; time < 30; time += 1) open.push(await simulation.lateCommit())
    const lived: Journal[] = []
    for (const pace of ['eventful', 'ordinary', 'eventful'] as const) {
      lived.push(await simulation.day({ pace }))
    }
    expect(journalled(lived.flat())).toEqual(await differences())
    for (const late of open) lived.push(await late.commit())
    expect(journalled(lived.flat())).toEqual(await differences())
  })
})

describe('living on', () => {
  test('goes from day to day until the signal, late transactions committing a day later', async () => {
    const stop = new AbortController()
    const days: [string, Journal][] = []
    await simulation.live({
      msPerDay: 1,
      signal: stop.signal,
      onDay: (date, journal) => {
        days.push([date, journal])
        if (days.length === 3) stop.abort()
      },
    })
    expect(days.map(([date]) => date)).toEqual(['2024-11-29', '2024-12-02', '2024-12-03'])
    const late = days.map(([, journal]) => journal.filter(({ kind }) => kind === 'late').length)
    expect(late).toEqual([0, 3, 3])
    expect(journalled(days.flatMap(([, journal]) => journal))).toEqual(await differences())
  })

  test('stops in the middle of a day', async () => {
    await simulation.live({ msPerDay: 60_000, signal: AbortSignal.timeout(200) })
    const entries = await readJournal(journalPath)
    expect(entries.filter(({ kind }) => kind === 'paid').length).toBeGreaterThan(0)
    expect(entries.length).toBeLessThan(30)
  })
})

describe('bad input', () => {
  test('a database that is not filled says so', async () => {
    const server = await testServer()
    const empty = await server.createDatabase('sim')
    try {
      await expect(openSimulation(empty.url)).rejects.toThrow(
        /^The database has no table "address", .* Fill it first\.$/,
      )
    } finally {
      await empty.drop()
    }
  })
})
