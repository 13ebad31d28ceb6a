/**
 * The transaction in which the warehouse is read or written, pinned so that no setting of role or
 * database changes what a value means or how durable it is. All `set local`: a transaction pooler will do.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { ToteError } from '../errors.ts'
import type { Context } from '../events.ts'
import { quoteLiteral } from '../postgres/identifiers.ts'
import { NOTICE_OUR_END } from '../postgres/session.ts'
import type { Connection } from '../postgres/connection.ts'
import type { Run } from '../star/alter-star.ts'
import type { Rights } from '../star/rights.ts'
import type { TablePlan } from '../star/shape.ts'
import type { StarTable } from '../star/star-table.ts'
import type { Ledger } from './ledger.ts'

export interface Surveyed {
  readonly rights: Rights
  readonly plans: readonly TablePlan[]
  /** Tables without a row. */
  readonly empty: ReadonlySet<string>
}

/** Where a load works: inside one transaction of one connection, on one schema and its ledger. */
export interface Site {
  readonly connection: Connection
  readonly schema: string
  readonly ledger: Ledger
  readonly readers: readonly string[]
  /** Reads and compares, inside the open transaction; throws WarehouseShapeMismatch. `ask` for the emptiness of every table there. */
  survey(star: readonly StarTable[], ask: 'all' | 'incomplete'): Promise<Surveyed>
  /** The same in another schema. */
  at(schema: string): Site
}

const SETTINGS: readonly (readonly [string, string])[] = [
  ['client_min_messages', 'warning'],
  ['statement_timeout', '0'],
  // The engine may sort for a while between two statements; a loader that hangs must still let go.
  ['idle_in_transaction_session_timeout', '600000'],
  ...NOTICE_OUR_END,
  ['synchronous_commit', 'on'],
  ['search_path', 'pg_catalog, pg_temp'],
  ['TimeZone', 'UTC'],
  ['DateStyle', 'ISO, YMD'],
  ['IntervalStyle', 'postgres'],
  ['extra_float_digits', '1'],
  ['lc_monetary', 'C'],
  ['standard_conforming_strings', 'on'],
  ['array_nulls', 'on'],
  ['xmloption', 'content'],
  ['row_security', 'off'],
  ['quote_all_identifiers', 'off'],
  ['jit', 'off'],
]

/** How long another loader of the same pipeline is waited for. */
const LOADER_WAIT_MS = 900_000
/** How long a lock on a table is waited for. */
const LOCK_WAIT_MS = 30_000

/**
 * A server that waits, or works, does not look whether we are still there: our locks would outlive us.
 * From PostgreSQL 14 on it can be told to, where its system lets it.
 */
const noticeOurEnd = `select set_config('client_connection_check_interval', '1000', true)
where current_setting('client_connection_check_interval', true) is not null and version() like '%linux%'`

/** Begins the transaction, as one simple query. */
export function beginLoading(access: 'read only' | 'read write'): string {
  const pinned = [...SETTINGS, ['lock_timeout', String(LOCK_WAIT_MS)] as const].map(
    ([name, value]) => setLocal(name, value),
  )
  return [`begin isolation level read committed ${access}`, ...pinned, noticeOurEnd].join('; ')
}

/**
 * Begins a transaction whose every statement sees the same rows, printed the same everywhere. It may write
 * temporary tables.
 */
export function beginComparing(): string {
  const settings = [
    ...SETTINGS,
    ['lock_timeout', String(LOCK_WAIT_MS)],
    ['client_encoding', 'UTF8'],
    ['bytea_output', 'hex'],
    ['xmlbinary', 'base64'],
  ] as const
  const pinned = settings.map(([name, value]) => setLocal(name, value))
  return ['begin isolation level repeatable read read write', ...pinned, noticeOurEnd].join('; ')
}

/** Waits until no other loader of this pipeline is at work on this ledger; released at the end of the transaction. */
export function lockPipeline(pipeline: string, ledger: string): string {
  // Without an environment the name of the lock is that of earlier versions, which may be loading now.
  const name = ledger === 'tote' ? `tote pipeline ${pipeline}` : `${ledger} pipeline ${pipeline}`
  return [
    setLocal('lock_timeout', String(LOADER_WAIT_MS)),
    `select pg_advisory_xact_lock(hashtextextended(${quoteLiteral(name)}, 0))`,
    setLocal('lock_timeout', String(LOCK_WAIT_MS)),
  ].join('; ')
}

/** How long a moment without readers is waited for, all in all, and how long readers are held up at most for that at a time. */
const SWITCH_WAIT_MS = 600_000
// Below the server's deadlock_timeout, so that it is us who give way, and never a reader.
const HOLD_UP_MS = 500

/**
 * Work that needs tables for itself, inside the open transaction: tried again and again, and between the tries
 * nobody is held up.
 */
export async function patiently(
  connection: Connection,
  context: Context,
  work: () => Promise<void>,
): Promise<void> {
  const started = performance.now()
  await connection.query('set a savepoint', 'savepoint tote_switch')
  for (let attempt = 1; ; attempt++) {
    try {
      await connection.query('set the lock timeout', setLocal('lock_timeout', String(HOLD_UP_MS)))
      await work()
      await connection.query('set the lock timeout', setLocal('lock_timeout', String(LOCK_WAIT_MS)))
      return
    } catch (error) {
      const held =
        error instanceof ToteError && ['55P03', '40P01'].includes(error.facts.sqlstate ?? '')
      if (!held || performance.now() - started > SWITCH_WAIT_MS) throw error
      await connection.query('go back to the savepoint', 'rollback to savepoint tote_switch')
      if (attempt === 10)
        context.emit({
          type: 'note',
          level: 'info',
          text: 'the new star waits for a moment in which nobody reads the old one',
        })
      await delay(Math.min(100 * attempt, 1000), undefined, { signal: context.signal })
    }
  }
}

/** Statements inside the open transaction, none of them once the context is aborted. */
export function runIn(
  { connection }: Pick<Site, 'connection'>,
  { signal }: Pick<Context, 'signal'>,
): Run {
  return async (doing, text) => {
    signal.throwIfAborted()
    if (text !== undefined) await connection.query(doing, text)
  }
}

/** Keys of large new tables are sorted in memory; a server that is set to give more keeps that. */
export const moreMemoryForKeys = `select set_config('maintenance_work_mem', '256MB', true)
where pg_size_bytes(current_setting('maintenance_work_mem')) < pg_size_bytes('256MB')`

/** Two stars are joined in memory, as far as this goes; a server that is set to give more keeps that. */
export const moreMemoryForComparing = `select set_config('work_mem', '64MB', true)
where pg_size_bytes(current_setting('work_mem')) < pg_size_bytes('64MB')`

function setLocal(name: string, value: string): string {
  // A list such as search_path must not become one quoted name.
  return `set local ${name} = ${value.includes(',') && name === 'search_path' ? value : quoteLiteral(value)}`
}
