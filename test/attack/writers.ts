/**
 * The attackers: sessions that change rows in transactions of random length and end, and one that changes tables
 * under them. Whatever a lock or a constraint forbids is rolled back, and is an attack as well.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { keyArray, KEYS, PURSES, TABLES } from './field.ts'
import type { Random } from './random.ts'

export interface Tally {
  transactions: number
  committed: number
  rolledBack: number
  prepared: number
  /** Savepoints that were rolled back to. */
  savepoints: number
  /** Statements that a lock, a deadlock or a constraint ended. */
  refused: number
  /** The longest transaction, in milliseconds. */
  longestMs: number
  /** How often each change of tables went through. */
  readonly tables: Record<string, number>
}

export function newTally(): Tally {
  const none = { transactions: 0, committed: 0, rolledBack: 0, prepared: 0 }
  return { ...none, savepoints: 0, refused: 0, longestMs: 0, tables: {} }
}

export interface Orders {
  readonly url: string
  readonly random: Random
  /** Of one transaction. */
  readonly longestMs: number
  /** Also moves that change the columns of tables. */
  readonly columns: boolean
  /** Pauses between transactions, in milliseconds, at most. */
  readonly pauseMs: number
  readonly tally: Tally
  readonly stop: AbortSignal
}

/** What another session's lock, a deadlock, a constraint, or a column that is there or is not, may answer; after it the transaction is rolled back. */
const REFUSALS = ['40P01', '55P03', '40001', '55006', '23505', '23503', '23502', '42701', '42703']

async function connect(url: string, lockTimeout: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(`set lock_timeout = '${lockTimeout}'; set deadlock_timeout = '300ms'`)
  return client
}

/** Ties with other rows, a clock that is a day off, or the truth. */
function clock(random: Random): string {
  return random.pick([
    `now()`,
    `'2026-01-01 00:00:00'`,
    `now() - interval '1 day'`,
    `now() + interval '1 day'`,
    `timestamp '2026-01-01 00:00:00' + interval '${random.below(5)} ms'`,
  ])
}

type Move = (random: Random) => string

const key = (random: Random, name: keyof typeof KEYS): number => 1 + random.below(KEYS[name])
const order = (random: Random, id: number): string =>
  `insert into orders select ${id}, item_id, ${random.below(100)}, ${random.below(9999)} / 7.0, 'new', ${clock(random)}, ${clock(random)}
     from item order by item_id offset ${random.below(30)} limit 1`

/** Changes of rows, by name. */
const MOVES: Readonly<Record<string, Move>> = {
  insert: (random) => order(random, key(random, 'order')),
  update: (random) =>
    `update orders set units = ${random.below(100)}, last_updated = ${clock(random)} where order_id = ${key(random, 'order')}`,
  'update that touches no timestamp': (random) =>
    `update orders set note = ${random.pick([`'note ${random.below(9)}'`, 'null'])} where order_id % 50 = ${random.below(50)}`,
  'update that touches no value': (random) =>
    `update orders set units = units where order_id % 40 = ${random.below(40)}`,
  delete: (random) => `delete from orders where order_id = ${key(random, 'order')}`,
  'delete and insert again': (random) => {
    const id = key(random, 'order')
    return `delete from orders where order_id = ${id}; ${order(random, id)}`
  },
  'delete and insert the same': (random) =>
    `with gone as (delete from stock where stock_id = ${key(random, 'stock')} returning *) select pg_sleep(0) from gone;
     insert into stock select ${key(random, 'stock')}, units, note from stock limit 1 on conflict do nothing`,
  'swap of keys': (random) => {
    const [a, b] = [key(random, 'order'), key(random, 'order')]
    return `update orders set order_id = ${a + b} - order_id where order_id in (${a}, ${b}) and ${a} <> ${b}`
  },
  'swap of parts of keys': (random) =>
    `update line set line_no = 3 - line_no where order_no = ${1 + random.below(100)} and line_no in (1, 2)`,
  'another key': (random) =>
    `update orders set order_id = ${key(random, 'order')} where order_id = ${key(random, 'order')}`,
  lines: (random) =>
    random.pick([
      `insert into line values (${1 + random.below(100)}, ${1 + random.below(4)}, 'x ${random.below(9)}')`,
      `delete from line where order_no = ${1 + random.below(100)} and line_no > 1`,
      `update line set label = label || '.' where order_no = ${1 + random.below(100)}`,
    ]),
  'cascaded key': (random) =>
    `update item set item_id = ${key(random, 'item')} where item_id = ${key(random, 'item')}`,
  'cascaded delete': (random) =>
    random.chance(0.2)
      ? `delete from place where place_id = ${key(random, 'place')}`
      : `delete from item where item_id = ${key(random, 'item')}`,
  items: (random) =>
    `insert into place values (${key(random, 'place')}, 'again', (select max(colour) from place), '2021-01-01') on conflict do nothing;
     insert into item select ${key(random, 'item')}, place_id, 'again', ${random.below(999)} / 100.0, colour, ${clock(random)} from place limit 1 on conflict do nothing`,
  'item of another look': (random) =>
    `update item set colour = (enum_range(null::colour))[${1 + random.below(3)}], price = price + 0.01 where item_id % 9 = ${random.below(9)}`,
  'row of another partition': (random) =>
    `update entry set region = ${1 + random.below(4)} where entry_id = ${key(random, 'entry')}`,
  entries: (random) =>
    random.pick([
      `insert into entry values (${1 + random.below(4)}, ${key(random, 'entry')}, ${random.below(999)} / 3.0, ${clock(random)}) on conflict do nothing`,
      `delete from entry where entry_id = ${key(random, 'entry')}`,
      `update entry set value = value + 1 where entry_id % 20 = ${random.below(20)}`,
    ]),
  transfer: (random) => {
    const sum = random.below(100)
    return `update till set amount = amount - ${sum} where till_id = ${1 + random.below(PURSES)};
      update safe set amount = amount + ${sum} where safe_id = ${1 + random.below(PURSES)}`
  },
  stock: (random) =>
    `update stock set units = units + 1, note = note where stock_id % 10 = ${random.below(10)}`,
  twins: (random) =>
    `update ${random.pick(['twin_a', 'twin_b'])} set value = value || '.' where twin_id = ${key(random, 'twin')}`,
}

type Names = readonly [string, ...string[]]
const NAMES = Object.keys(MOVES) as unknown as Names
/** What long transactions are made of: they leave alone the tables that are truncated and rewritten most. */
const LONG_MS = 1000
const LONG: Names = [
  'transfer',
  'swap of parts of keys',
  'lines',
  'item of another look',
  'entries',
]

/** Most transactions are short, some are not, a few take as long as they may. */
function lengthOf(random: Random, longestMs: number): number {
  if (random.chance(0.8)) return random.below(Math.min(20, longestMs))
  if (random.chance(0.85)) return random.below(Math.min(400, longestMs))
  return random.below(longestMs)
}

/** One session; resolves when it was told to stop and its last transaction is over. */
export async function writeRows(orders: Orders, session: number): Promise<void> {
  const { random, tally, stop } = orders
  const client = await connect(orders.url, '1s')
  try {
    for (let n = 1; !stop.aborted; n++) {
      await sleep(random.below(orders.pauseMs))
      const startedAt = performance.now()
      await transact(client, `tote ${session} ${n}`, orders)
      tally.longestMs = Math.max(tally.longestMs, performance.now() - startedAt)
    }
  } finally {
    await client.end()
  }
}

async function transact(client: pg.Client, name: string, orders: Orders): Promise<void> {
  const { random, tally } = orders
  const steps = 1 + random.below(5)
  const length = lengthOf(random, orders.longestMs)
  const pause = length / steps
  tally.transactions += 1
  await client.query('begin')
  for (let step = 0; step < steps; step++) {
    const saved = random.chance(0.3)
    if (saved) await client.query(`savepoint s${step}`)
    const move = MOVES[random.pick(length > LONG_MS ? LONG : NAMES)] ?? (() => '')
    const went = await attempt(client, move(random), tally)
    if (!went && !saved) {
      await client.query('rollback')
      tally.rolledBack += 1
      return
    }
    if (saved && (!went || random.chance(0.3))) {
      await client.query(`rollback to savepoint s${step}`)
      tally.savepoints += 1
    }
    // Stopped or not: what is open is ended as it would have been, only sooner.
    if (!orders.stop.aborted) await sleep(pause)
  }
  if (random.chance(0.12)) {
    await client.query('rollback')
    tally.rolledBack += 1
  } else if (random.chance(0.1)) await prepare(client, name, { ...orders, pause })
  else if (await attempt(client, 'commit', tally)) tally.committed += 1
}

async function prepare(
  client: pg.Client,
  name: string,
  { random, tally, pause }: Orders & { readonly pause: number },
): Promise<void> {
  if (!(await attempt(client, `prepare transaction '${name}'`, tally))) return
  tally.prepared += 1
  await sleep(pause)
  const commits = random.chance(0.7)
  await client.query(`${commits ? 'commit' : 'rollback'} prepared '${name}'`)
  tally[commits ? 'committed' : 'rolledBack'] += 1
}

/** False when the server refused for a reason that the attack is made of. */
async function attempt(client: pg.Client, sql: string, tally: Tally): Promise<boolean> {
  try {
    await client.query(sql)
    return true
  } catch (error) {
    const { code = '' } = error as { code?: string }
    if (!REFUSALS.includes(code)) throw new Error(`${sql}: ${String(error)}`, { cause: error })
    tally.refused += 1
    return false
  }
}

const noteAll = (table: string): string =>
  `select journal.note_all('${table}', '${keyArray(TABLES[table]?.key ?? [])}')`

/** Changes of tables, by name: statements that are one transaction, or run alone. */
const TABLE_MOVES: Readonly<Record<string, Move>> = {
  truncate: (random) =>
    `truncate ${random.pick(['orders', 'orders', 'stock', 'line', 'entry', 'item cascade'])}`,
  'truncate and fill': () =>
    `create temp table kept on commit drop as select * from orders; truncate orders;
     insert into orders select order_id, item_id, units + 1, amount, note, ordered_at, last_updated from kept where order_id % 2 = 0`,
  'rewrite to other values': () =>
    `alter table stock alter column note type text using left(note, 20) || '~'; ${noteAll('stock')}`,
  'rewrite to the same values': (random) =>
    random.pick([
      `alter table stock alter column note type text using note || ''`,
      `alter table twin_a alter column value type text using value || ''`,
    ]),
  'swap by rename': (random) =>
    `lock table stock; create table stock_next (like stock including all);
     insert into stock_next select stock_id, units ${random.pick(['+ 1', '', '- 1'])}, note from stock where stock_id % 9 <> ${random.below(9)};
     select journal.watch('stock_next', '{stock_id}');
     alter table stock rename to stock_last; alter table stock_next rename to stock; drop table stock_last; ${noteAll('stock')}`,
  // Both were filled by one transaction: equal pairs, other values.
  'swap of twins': () =>
    `lock table twin_a, twin_b; alter table twin_a rename to twin_c; alter table twin_b rename to twin_a; alter table twin_c rename to twin_b;
     ${noteAll('twin_a')}; ${noteAll('twin_b')}`,
  'twins filled by one transaction': () =>
    `truncate twin_a, twin_b;
     insert into twin_a select n, 'a ' || n from generate_series(1, ${KEYS.twin}) n; insert into twin_b select n, 'b ' || n from generate_series(1, ${KEYS.twin}) n`,
  'detach and attach': () =>
    `alter table entry detach partition entry_2; alter table entry attach partition entry_2 for values in (2)`,
}

/** Types of the columns that come and go: another type under an old name would stop the batch, as it should. */
const EXTRAS = ['text', 'integer', 'numeric(8,2)'] as const

/** Changes of a table's columns, which touch no row's `xmin`, by name. */
const COLUMN_MOVES: Readonly<Record<string, Move>> = {
  'added column': (random) => {
    const n = random.below(EXTRAS.length)
    return `alter table stock add column extra_${n} ${EXTRAS[n]} not null default ${random.below(9)}; ${noteAll('stock')}`
  },
  'added column without a value': (random) => {
    const n = random.below(EXTRAS.length)
    return `alter table stock add column extra_${n} ${EXTRAS[n]}; ${noteAll('stock')}`
  },
  'dropped column': (random) =>
    `alter table stock drop column extra_${random.below(EXTRAS.length)}; ${noteAll('stock')}`,
  'column added again': (random) => {
    const n = random.below(EXTRAS.length)
    return `alter table stock drop column extra_${n}; alter table stock add column extra_${n} ${EXTRAS[n]} default ${random.below(9)}; ${noteAll('stock')}`
  },
}

const LABELS = `select colour, max(generation) as generation from journal.label group by colour`

/** One session that changes tables; resolves when it was told to stop. */
export async function changeTables(orders: Orders): Promise<void> {
  const { random, tally, stop } = orders
  const client = await connect(orders.url, '4s')
  const done = (name: string): void => void (tally.tables[name] = (tally.tables[name] ?? 0) + 1)
  try {
    while (!stop.aborted) {
      await sleep(random.below(500))
      const kind = random.below(10)
      if (kind < 2 && orders.columns) await changeTable(client, COLUMN_MOVES, orders, done)
      else if (kind < 3) {
        const table = random.pick(['orders', 'item', 'entry', 'stock', 'till', 'twin_a', 'line'])
        const how = random.pick(['vacuum freeze', 'vacuum full', 'vacuum', 'vacuum full freeze'])
        if (await attempt(client, `${how} ${table}`, tally)) done(how)
      } else if (kind < 5) await renameLabel(client, random, tally, done)
      else await changeTable(client, TABLE_MOVES, orders, done)
    }
  } finally {
    await client.end()
  }
}

/** No lock keeps a reader away from it: what a row reads as changes at once, in every snapshot. */
async function renameLabel(
  client: pg.Client,
  random: Random,
  tally: Tally,
  done: (name: string) => void,
): Promise<void> {
  const { rows } = await client.query<{ colour: string; generation: number }>(LABELS)
  const { colour, generation } = rows[random.below(rows.length)] ?? { colour: 'red', generation: 0 }
  const sql = `alter type colour rename value '${colour}_${generation}' to '${colour}_${generation + 1}';
    insert into journal.label values ('${colour}', ${generation + 1})`
  if (await attempt(client, sql, tally)) done('rename of a label')
}

async function changeTable(
  client: pg.Client,
  moves: Readonly<Record<string, Move>>,
  { random, tally }: Orders,
  done: (name: string) => void,
): Promise<void> {
  const name = random.pick(Object.keys(moves) as [string, ...string[]])
  await client.query('begin')
  const went = await attempt(client, moves[name]?.(random) ?? '', tally)
  const kept = went && random.chance(0.85)
  await client.query(kept ? 'commit' : 'rollback')
  if (kept) done(name)
}
