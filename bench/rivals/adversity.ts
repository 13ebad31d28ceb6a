/**
 * What each of them misses: small moves of an application between two loads, the kind that every busy
 * database makes, and after the last load the rows that are missing, stale, doubled or there no more.
 */
import { connect } from '../../src/postgres/connection.ts'
import { execute, type BenchDatabase, type Place } from '../place.ts'
import type { Carrier, Table } from './carrier.ts'

const ACCOUNT: Table = { name: 'account', key: 'account_id', cursor: 'last_updated' }

/** Each move touches keys of its own, so that what becomes of it can be told. */
interface Move {
  readonly name: string
  /** The first of its hundred keys. */
  readonly from: number
  /** Before the load. */
  readonly before: string
  /** Committed after the load, begun before it; what a transaction does that is still open then. */
  readonly open?: string
}

const row = (key: number, name: string, updated: string): string =>
  `insert into account values (${key}, '${name}', ${key}, ${updated})`

const MOVES: readonly Move[] = [
  { name: 'updated, and last_updated moved', from: 100, before: touch(100, 'moved') },
  {
    name: 'updated, last_updated untouched',
    from: 200,
    before: `update account set name = 'silent' where account_id between 200 and 219`,
  },
  {
    name: 'deleted',
    from: 300,
    before: 'delete from account where account_id between 300 and 319',
  },
  {
    name: 'inserted in a transaction that committed after the load',
    from: 1000,
    before: '',
    open: insert(1000, 'clock_timestamp()'),
  },
  {
    name: 'inserted with the time of the newest row that was loaded',
    from: 1100,
    before: insert(1100, '(select tied from moment)'),
  },
  {
    name: 'inserted by an application whose clock is an hour behind',
    from: 1200,
    before: insert(1200, "clock_timestamp() - interval '1 hour'"),
  },
  {
    name: 'inserted without a time',
    from: 1300,
    before: insert(1300, 'null'),
  },
  {
    name: 'deleted and inserted again, as it was an hour ago',
    from: 400,
    before: `delete from account where account_id between 400 and 419;
      insert into account select n, 'again', n, timestamp '2026-01-01' from generate_series(400, 419) as n`,
  },
  {
    name: 'key changed',
    from: 500,
    before: 'update account set account_id = account_id + 50 where account_id between 500 and 519',
  },
  {
    name: 'updated and rolled back',
    from: 600,
    before: `begin; ${touch(600, 'never')}; rollback`,
  },
]

function touch(from: number, name: string): string {
  return `update account set name = '${name}', last_updated = clock_timestamp() where account_id between ${from} and ${from + 19}`
}

function insert(from: number, updated: string): string {
  return `insert into account select n, 'new', n, ${updated} from generate_series(${from}, ${from + 19}) as n`
}

const SETUP = `create table account (account_id integer primary key, name text not null, amount numeric(10,2), last_updated timestamp(3));
  insert into account select n, 'first', n, timestamp '2026-01-01' from generate_series(100, 900) as n where n % 100 < 20;
  create table moment as select null::timestamp(3) as tied`

/** Of twenty rows that a move touched. */
export interface Outcome {
  readonly missing: number
  readonly stale: number
  readonly extra: number
  readonly doubled: number
}

export interface Suffered {
  readonly name: string
  readonly settings: string
  readonly moves: readonly { readonly move: string; readonly outcome: Outcome }[]
}

/** Loads, moves, loads while a transaction is open, ends that, loads, and loads once more. */
export async function suffer(
  place: Place,
  open: (source: BenchDatabase, table: Table) => Promise<Carrier>,
): Promise<Suffered> {
  const source = await place.createDatabase()
  await execute(source.ownerUrl, SETUP)
  await execute(source.ownerUrl, `grant select on account to ${place.reader}`)
  const carrier = await open(source, ACCOUNT)
  const application = await connect({ side: 'source', name: 'application', url: source.ownerUrl })
  try {
    await carrier.carry('incremental')
    // The newest row of all, and a load of it: others may bear the same time afterwards.
    await execute(source.ownerUrl, row(950, 'newest', 'clock_timestamp()'))
    await execute(
      source.ownerUrl,
      'update moment set tied = (select last_updated from account where account_id = 950)',
    )
    await carrier.carry('incremental')
    await application.query('move', 'begin')
    for (const { open: text } of MOVES)
      if (text !== undefined) await application.query('move', text)
    for (const { before } of MOVES) if (before !== '') await execute(source.ownerUrl, before)
    await carrier.carry('incremental')
    await application.query('move', 'commit')
    await execute(source.ownerUrl, touch(700, 'later'))
    await carrier.carry('incremental')
    await carrier.carry('incremental')
    const moves = []
    for (const { name, from } of MOVES)
      moves.push({ move: name, outcome: await outcomeOf(source, carrier, from) })
    return { name: carrier.name, settings: carrier.settings, moves }
  } finally {
    await application.close()
    await carrier.close()
  }
}

type Rows = ReadonlyMap<string, readonly string[]>

async function outcomeOf(source: BenchDatabase, carrier: Carrier, from: number): Promise<Outcome> {
  const between = `account_id between ${from} and ${from + 99}`
  const select = (table: string, where: string): string =>
    `select account_id::text as key, concat_ws('|', name, amount::numeric(10,2), coalesce(last_updated::timestamp(3)::text, 'null')) as content
     from ${table} where ${between} and ${where}`
  const there = await rowsOf(source.ownerUrl, select('account', 'true'))
  const here = await rowsOf(carrier.warehouseUrl, select(carrier.table, carrier.current))
  const count = (keys: Iterable<string>, of: (key: string) => boolean): number =>
    [...keys].filter(of).length
  return {
    missing: count(there.keys(), (key) => !here.has(key)),
    stale: count(
      there.keys(),
      (key) => here.has(key) && here.get(key)?.includes(there.get(key)?.[0] ?? '') === false,
    ),
    extra: count(here.keys(), (key) => !there.has(key)),
    doubled: count(here.keys(), (key) => (here.get(key)?.length ?? 0) > 1),
  }
}

async function rowsOf(url: string, text: string): Promise<Rows> {
  const rows = new Map<string, string[]>()
  for (const { key, content } of await execute(url, text))
    rows.set(key ?? '', [...(rows.get(key ?? '') ?? []), content ?? ''])
  return rows
}
