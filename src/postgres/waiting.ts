/**
 * Whether another session waits for a table lock that ours holds: a migration of the application,
 * and behind it every query that comes after. Any role may read `pg_locks`.
 */
import { setTimeout } from 'node:timers/promises'
import { toToteError, ToteError } from '../errors.ts'
import { connect, type ConnectOptions } from './connection.ts'

const POLL_MS = 500

export interface WaitTold {
  /** Called once, with SourceBusy, when some session has waited too long. */
  onBusy(error: ToteError): void
  /** Called once when the watch itself cannot go on; the batch does. */
  onBlind(error: ToteError): void
}

export interface WaitWatch {
  stop(): Promise<void>
}

/**
 * Looks every half second, from `afterMs` on (a quick batch never opens this second connection), for
 * sessions that have waited for `afterMs`.
 */
export function watchWaiting(
  options: ConnectOptions & { readonly pid: number; readonly afterMs: number },
  tell: WaitTold,
): WaitWatch {
  const stopping = new AbortController()
  const watching = watch(options, tell, stopping.signal).catch((error: unknown) => {
    if (!stopping.signal.aborted) tell.onBlind(toToteError(error))
  })
  return {
    stop: async () => {
      stopping.abort()
      await watching
    },
  }
}

async function watch(
  options: ConnectOptions & { readonly pid: number; readonly afterMs: number },
  { onBusy }: WaitTold,
  stop: AbortSignal,
): Promise<void> {
  await pause(Math.max(0, options.afterMs - POLL_MS), stop)
  if (stop.aborted) return
  const connection = await connect({ ...options, signal: stop })
  try {
    // Only ACCESS EXCLUSIVE waits for a reader; whoever waits in another mode waits for somebody else.
    // pg_locks.waitstart exists from PostgreSQL 14 on; counting our own looks works on 13, too.
    let waited = 0
    while (!stop.aborted) {
      const [row] = await connection.query(
        'look for sessions that wait',
        `select count(*)::text as waiting from pg_catalog.pg_locks w
           join pg_catalog.pg_locks h on h.pid = $1::int and h.granted and h.locktype = 'relation'
             and h.database = w.database and h.relation = w.relation
         where not w.granted and w.locktype = 'relation' and w.pid <> h.pid
           and w.mode = 'AccessExclusiveLock'`,
        [String(options.pid)],
      )
      waited = row?.['waiting'] === '0' ? 0 : waited + POLL_MS
      if (waited >= options.afterMs) {
        onBusy(
          new ToteError(
            'SourceBusy',
            `Another session waits for a table of source "${options.name}" that this batch reads, so the batch gave way.`,
            {
              why: 'a migration of the application must never be held up, nor the queue behind it',
              fix: 'run again; the next batch picks up everything',
            },
          ),
        )
        return
      }
      await pause(POLL_MS, stop)
    }
  } finally {
    await connection.close()
  }
}

/** Resolves at an abort, too; its listener goes with it, since a long read looks very often. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal }).catch(() => undefined)
}
