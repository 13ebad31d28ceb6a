/** What the tests of the PostgreSQL source share: a source on a test database, and its rows as text. */
import type { Context } from '../../src/events.ts'
import {
  openPostgresSource,
  type PostgresSourceOptions,
} from '../../src/sources/source-postgres.ts'
import type { Source, SourceSnapshot, SourceTable } from '../../src/sources/source.ts'

export function contextOf(signal: AbortSignal = new AbortController().signal): Context {
  return {
    run: 'run',
    signal,
    now: () => new Date('2026-11-20T09:30:00.000Z'),
    emit: () => undefined,
  }
}

/** A source that is closed with each of its snapshots. */
export function sourceOn(url: string, options: Partial<PostgresSourceOptions> = {}): Source {
  const source = keptSourceOn(url, options)
  const snapshot = async (context: Context): Promise<SourceSnapshot> => {
    const { close, ...taken } = await source.snapshot(context).catch(async (error: unknown) => {
      await source.close()
      throw error
    })
    const closeBoth = async (): Promise<void> => {
      await close()
      await source.close()
    }
    return { ...taken, close: closeBoth }
  }
  return { ...source, snapshot }
}

/** A source that whoever opens it closes. */
export function keptSourceOn(url: string, options: Partial<PostgresSourceOptions> = {}): Source {
  return openPostgresSource({
    name: 'shop',
    url: async () => url,
    tables: { include: ['*'], exclude: [], defaultSchema: 'public' },
    table: [],
    maskSecret: null,
    limits: { lockTimeoutMs: 2_000, statementTimeoutMs: 60_000 },
    giveWayAfterMs: 60_000,
    ...options,
  })
}

/** Opens a snapshot, hands it over, and closes it whatever happens. */
export async function withSnapshot<T>(
  source: Source,
  action: (snapshot: SourceSnapshot) => Promise<T>,
  context = contextOf(),
): Promise<T> {
  const snapshot = await source.snapshot(context)
  try {
    return await action(snapshot)
  } finally {
    await snapshot.close()
  }
}

export function tableOf(snapshot: SourceSnapshot, name: string): SourceTable {
  const table = snapshot.tables.find((candidate) => candidate.name === name)
  if (table === undefined)
    throw new Error(`no table ${name} among ${snapshot.tables.map((one) => one.name).join(', ')}`)
  return table
}

/** A table's rows as the source wrote them. */
export async function rowsOf(snapshot: SourceSnapshot, name: string): Promise<string[]> {
  const rows: string[] = []
  const count = await snapshot.copy(tableOf(snapshot, name), {
    row: (csv) => rows.push(csv.toString()),
    ready: () => undefined,
  })
  if (count !== rows.length) throw new Error(`${count} rows announced, ${rows.length} received`)
  return rows
}

export const pause = async (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms))
