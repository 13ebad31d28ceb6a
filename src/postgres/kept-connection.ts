/**
 * One connection that is kept from one piece of work to the next. To connect, and to look into a catalogue that
 * this session has not looked into before, is most of what a batch of few rows costs its source.
 */
import { connect, type Connection, type ConnectOptions } from './connection.ts'

/**
 * An older one is neither kept nor handed out: a name may lead to another server by then, and whoever comes every
 * few minutes should hold none of the server's sessions in between.
 */
const KEPT_MS = 60_000

export interface KeptConnection {
  /**
   * The connection that is kept, or a new one. Its `close` rolls back and keeps it for the next, unless a statement
   * failed or is under way, or `signal` has ended it. Throws as `connect`.
   */
  take(options: ConnectOptions): Promise<Connection>
  /** Closes what is kept, and keeps nothing any more. */
  close(): Promise<void>
}

interface Session {
  readonly connection: Connection
  readonly url: string
  readonly since: number
  /** Ends the connection at once. */
  readonly end: AbortController
}

/** Keeps one, once there is one. */
export function keepConnection(keptMs = KEPT_MS): KeptConnection {
  let kept: Session | undefined
  let timer: NodeJS.Timeout | undefined
  let isOver = false
  const takeKept = (): Session | undefined => {
    const found = kept
    kept = undefined
    clearTimeout(timer)
    return found
  }
  const mayKeep = (session: Session): boolean =>
    !isOver && kept === undefined && !session.end.signal.aborted && ageOf(session) < keptMs
  const keep = (session: Session): void => {
    kept = session
    timer = setTimeout(() => void takeKept()?.connection.close(), keptMs - ageOf(session)).unref()
  }
  return {
    take: async ({ signal, ...target }) => {
      signal?.throwIfAborted()
      const found = takeKept()
      const stands = found?.url === target.url && (await isThere(found))
      if (!stands) await found?.connection.close()
      const session = found !== undefined && stands ? found : await open(target, signal)
      const abort = (): void => session.end.abort(signal?.reason)
      signal?.addEventListener('abort', abort, { once: true })
      // It may have come while the session was looked for.
      if (signal?.aborted === true) abort()
      const { lent, isWhole } = lend(session.connection)
      let closing: Promise<void> | undefined
      const giveBack = async (): Promise<void> => {
        signal?.removeEventListener('abort', abort)
        const ended =
          isWhole() &&
          mayKeep(session) &&
          (await session.connection.query('roll back', 'rollback').then(
            () => true,
            () => false,
          ))
        if (ended && mayKeep(session)) keep(session)
        else await session.connection.close()
      }
      return { ...lent, close: async () => (closing ??= giveBack()) }
    },
    close: async () => {
      isOver = true
      await takeKept()?.connection.close()
    },
  }
}

function ageOf({ since }: Session): number {
  return performance.now() - since
}

/** Servers and proxies end idle sessions. */
async function isThere({ connection }: Session): Promise<boolean> {
  return connection.query('see whether the connection still stands', 'select').then(
    () => true,
    () => false,
  )
}

async function open(
  target: Omit<ConnectOptions, 'signal'>,
  signal: AbortSignal | undefined,
): Promise<Session> {
  const end = new AbortController()
  const abort = (): void => end.abort(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
  try {
    const connection = await connect({ ...target, signal: end.signal })
    return { connection, url: target.url, since: performance.now(), end }
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

/** The connection, watched by whoever must know whether all went well that was begun on it. */
function lend(connection: Connection): {
  readonly lent: Connection
  readonly isWhole: () => boolean
} {
  let [underWay, failed] = [0, false]
  const during = async <T>(work: Promise<T>): Promise<T> => {
    underWay += 1
    try {
      return await work
    } catch (error) {
      failed = true
      throw error
    } finally {
      underWay -= 1
    }
  }
  return {
    lent: {
      ...connection,
      query: async (...given) => during(connection.query(...given)),
      queryAll: async (...given) => during(connection.queryAll(...given)),
      read: async (...given) => during(connection.read(...given)),
      copyOut: async (...given) => during(connection.copyOut(...given)),
      copyIn: async (...given) => during(connection.copyIn(...given)),
    },
    isWhole: () => underWay === 0 && !failed,
  }
}
