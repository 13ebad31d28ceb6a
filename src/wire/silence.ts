/**
 * A connection that neither closes nor says anything: a firewall has forgotten it, a proxy hangs. TCP need not notice,
 * since whoever stands between may answer for the server; so the server is asked, on another connection, whether it is
 * still at work for the one that is silent.
 */
import type { Client } from 'pg'

/** What another connection says of ours. */
export type Heard =
  /** Or nobody can tell: behind a pooler nobody knows whose session is whose. */
  | 'at work'
  /** Its session is gone, has answered, or waits for us. */
  | 'not at work'
  /** There is no other connection to be had. */
  | 'unreachable'

export interface Silence {
  /** Watches while `action` waits for the server. */
  during<T>(action: () => Promise<T>): Promise<T>
  /** What the server has to wait for is no silence of its own. */
  excuse<T>(wait: Promise<T>): Promise<T>
  stop(): void
}

export interface SilenceOptions {
  /** How long nothing may pass before the server is asked. */
  readonly ms: number
  /** Bytes that have passed on the connection, either way. */
  readonly bytes: () => number
  /** `twice` when it said so before, and nothing passed since. */
  readonly ask: (twice: boolean) => Promise<Heard>
  /** Called once: the server was asked twice, and nothing passed between. */
  readonly onStalled: (heard: Heard) => void
}

export function watchSilence({ ms, bytes, ask, onStalled }: SilenceOptions): Silence {
  let waiting = 0
  let excused = 0
  let seen = -1
  let quietSince = 0
  let suspected = false
  let asking = false
  let timer: NodeJS.Timeout | undefined
  const hear = (): void => {
    seen = bytes()
    quietSince = performance.now()
    suspected = false
  }
  const judge = (heard: Heard): void => {
    if (heard === 'at work' || bytes() !== seen || waiting === 0) return hear()
    if (!suspected) {
      suspected = true
      // An answer may be on its way.
      quietSince = performance.now() - ms * 0.75
      return
    }
    stop()
    onStalled(heard)
  }
  const look = (): void => {
    if (asking) return
    if (waiting === 0 || excused > 0 || bytes() !== seen) return hear()
    if (performance.now() - quietSince < ms) return
    asking = true
    void ask(suspected)
      .then(judge)
      .finally(() => (asking = false))
  }
  const stop = (): void => clearInterval(timer)
  return {
    during: async (action) => {
      if (waiting === 0) hear()
      timer ??= setInterval(look, Math.min(1000, ms / 8)).unref()
      waiting += 1
      try {
        return await action()
      } finally {
        waiting -= 1
      }
    },
    excuse: async (wait) => {
      excused += 1
      try {
        return await wait
      } finally {
        excused -= 1
        hear()
      }
    },
    stop,
  }
}

/** The session of that number, in words of the server: one row. */
const SESSION = `select pg_catalog.pg_backend_pid()::text as me, a.pid is not null as there, a.state,
  a.wait_event_type = 'Client' and a.wait_event in ('ClientRead', 'ClientWrite') as waits
from (select $1::int as pid) asked left join pg_catalog.pg_stat_activity a using (pid)`

/** Its number may be another's by now. */
const END = `select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity
where pid = $1::int and application_name = 'tote' and usename = current_user`

/**
 * Asks on `other` whether the session of `pid` is at work. One that is not may be ended, so that it holds no snapshot
 * and no lock for somebody who is gone.
 */
export async function askOther(other: Client, pid: number, mayEnd: boolean): Promise<Heard> {
  const { rows } = await other.query(SESSION, [String(pid)])
  const found = rows[0] as Record<string, string | null> | undefined
  // A pooler gives its clients numbers of its own.
  if (found === undefined || found['me'] !== String(sessionOf(other))) return 'at work'
  const isOver = found['there'] === 'f' || found['state']?.startsWith('idle') === true
  if (!isOver && found['waits'] !== 't') return 'at work'
  if (mayEnd) await other.query(END, [String(pid)])
  return 'not at work'
}

/** As the server told it when the connection began. */
export function sessionOf(client: Client): number {
  return (client as Client & { processID: number }).processID
}
