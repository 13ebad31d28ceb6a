/**
 * A read-only transaction whose output does not depend on anybody's settings. Everything is
 * `set local`: no session state, so a transaction pooler will do, and a hostile
 * `alter role … set` changes nothing.
 */
import { quoteLiteral } from './identifiers.ts'

export interface SessionLimits {
  readonly lockTimeoutMs: number
  readonly statementTimeoutMs: number
  /** The server's version number, where it is known: a setting that a server does not have cannot be set. */
  readonly version?: number | undefined
}

/** A machine that is gone says no goodbye; a server that asks it notices in two minutes, and not in two hours. */
export const NOTICE_OUR_END: readonly (readonly [string, string])[] = [
  ['tcp_keepalives_idle', '60'],
  ['tcp_keepalives_interval', '10'],
  ['tcp_keepalives_count', '6'],
]

/**
 * The statements that begin it, as one simple query. `repeatable read` takes its snapshot at the
 * first statement that needs one: neither these nor `lock table` do.
 */
export function beginReading(
  isolation: 'repeatable read' | 'read committed',
  limits: SessionLimits,
  access: 'read only' | 'read write' = 'read only',
): string {
  const settings: readonly (readonly [string, string])[] = [
    ['statement_timeout', String(limits.statementTimeoutMs)],
    ['lock_timeout', String(limits.lockTimeoutMs)],
    // Between two reads of one snapshot the engine may work for long, and others load; nobody needs it for an hour.
    ['idle_in_transaction_session_timeout', '3600000'],
    ...NOTICE_OUR_END,
    ['client_encoding', 'UTF8'],
    ['TimeZone', 'UTC'],
    ['DateStyle', 'ISO, YMD'],
    ['IntervalStyle', 'postgres'],
    ['extra_float_digits', '1'],
    ['bytea_output', 'hex'],
    ['xmlbinary', 'base64'],
    ['lc_monetary', 'C'],
    ['search_path', ''],
    ['quote_all_identifiers', 'off'],
    ['standard_conforming_strings', 'on'],
    ['array_nulls', 'on'],
    // Rows hidden by a policy raise an error instead of being missed.
    ['row_security', 'off'],
    ['synchronize_seqscans', 'off'],
    // Rows come in the order in which they lie, and no more of the server's cores are taken than connections.
    ['max_parallel_workers_per_gather', '0'],
    // Of 60 tables' catalogue a stock server compiles for 1.5 s what it reads in 15 ms, and COPY is no faster for it.
    ['jit', 'off'],
    ...((limits.version ?? 0) >= 170_000 ? ([['transaction_timeout', '0']] as const) : []),
  ]
  const pinned = settings.map(([name, value]) => `set local ${name} = ${quoteLiteral(value)}`)
  return [`begin isolation level ${isolation} ${access}`, ...pinned].join('; ')
}
