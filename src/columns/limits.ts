/**
 * What all engines of one DuckDB instance may use of the machine together, changed with the next statement, as it costs some
 * milliseconds; and what of its memory goes back.
 */
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { availableParallelism, totalmem } from 'node:os'

/** Of few rows `one` is a third cheaper: DuckDB's other threads spin while they wait. Engines side by side have one each. */
export type Cores = 'one' | 'all'

export interface Limits {
  cores: Cores
  /** How many works sort just now. */
  sorting: number
  /** Before a statement. */
  apply(connection: DuckDBConnection): Promise<void>
  /** For a statement that ran out of memory and may be tried again; false when it gets no more. */
  giveMore(connection: DuckDBConnection): Promise<boolean>
}

export interface LimitsGiven {
  readonly threads?: number | undefined
  /** As DuckDB takes it; ours, and to be raised, when not given. */
  readonly memoryLimit?: string | undefined
}

/** Every thread holds buffers of its own, of which the process needs half as much again besides. */
export function memoryOf({ memoryLimit, threads = availableParallelism() }: LimitsGiven): string {
  return memoryLimit ?? `${Math.max(300, 150 * threads)}MB`
}

/**
 * While DuckDB sorts, the process holds half as much again as DuckDB counts, so that it then counts less. (3,000,000 rows of 12
 * columns in no order, limit 300 MB: a peak of 646 MB with all of it and of 463 MB so, in 3 % more time.)
 */
const SORTING = 2 / 3

/** MB. */
const MOST_MEMORY = 4096

export async function openLimits(
  connection: DuckDBConnection,
  { threads, memoryLimit }: LimitsGiven,
): Promise<Limits> {
  const reader = await connection.runAndReadAll("select current_setting('memory_limit') as text")
  let memory = megabytes(String(reader.getRows()[0]?.[0]))
  let used: { cores: Cores; memory: number } = { cores: 'all', memory }
  /** What sorts needs more than its share. */
  let isShort = false
  const remember = async (connected: DuckDBConnection, amount: number): Promise<boolean> => {
    used = { ...used, memory: amount }
    return connected.run(`set memory_limit = '${amount.toFixed(3)}MB'`).then(
      () => true,
      // Less than is in use, or of an engine that is confined: it keeps what it has.
      () => false,
    )
  }
  const limits: Limits = {
    cores: 'all',
    sorting: 0,
    apply: async (connected) => {
      if (limits.cores !== used.cores) {
        used = { ...used, cores: limits.cores }
        const all = threads === undefined ? 'reset threads' : `set threads = ${threads}`
        await connected.run(used.cores === 'one' ? 'set threads = 1' : all)
      }
      if (limits.sorting === 0) isShort = false
      const wanted = limits.sorting > 0 && !isShort ? memory * SORTING : memory
      if (!Object.is(wanted, used.memory)) await remember(connected, wanted)
    },
    /**
     * First all of it. What is sorted or joined spills to disk, but a table of a thousand columns has a buffer for each: where
     * the limit is ours it is doubled then, up to half of the machine's memory.
     */
    giveMore: async (connected) => {
      if (used.memory < memory) {
        isShort = true
        return remember(connected, memory)
      }
      const most = Math.min(MOST_MEMORY, Math.floor(totalmem() / 2 / 1_000_000))
      if (memoryLimit !== undefined || !(memory < most)) return false
      const more = Math.min(2 * memory, most)
      if (!(await remember(connected, more))) return false
      memory = more
      return true
    },
  }
  return limits
}

/** Of `286.1 MiB`, as DuckDB says its limit, cut off after the tenth. */
function megabytes(text: string): number {
  const [, number, unit] = /^([\d.]+) (Ki|Mi|Gi|Ti)B$/.exec(text) ?? []
  const power = ['Ki', 'Mi', 'Gi', 'Ti'].indexOf(unit ?? '') + 1
  return power === 0 ? Number.NaN : ((Number(number) + 0.05) * 1024 ** power) / 1_000_000
}

/** What a process that carries little never comes to. Bytes. */
const FLOOR = 280_000_000
/** By so much it must have grown since: to look for what is free takes some hundredths of a second. Bytes. */
const GROWN = 48_000_000
const EVERY_MS = 50
/** Of a DuckDB that holds nothing. */
const LIMIT = '1MB'

/**
 * Gives memory that was freed back to the system, until it is closed. glibc keeps it for whoever asks next, scattered among what
 * is in use, so that the process would come to hold what each of its works needs at another time. A DuckDB that is told its
 * memory limit has the C library give back what is free (`malloc_trim`, in all of the process; nothing happens where there is
 * none): one that holds nothing is told it while the process grows. `create` opens it when it is first needed.
 */
export function giveBackFreed(
  create: (options: Record<string, string>) => Promise<DuckDBInstance>,
): { close(): void } {
  let held = FLOOR
  let giving: Promise<void> | undefined
  let instance: Promise<DuckDBInstance> | undefined
  const open = async (): Promise<DuckDBInstance> => create({ threads: '1', memory_limit: LIMIT })
  const giveBack = async (): Promise<void> => {
    const connection = await (await (instance ??= open())).connect()
    await connection.run(`set memory_limit = '${LIMIT}'`)
    connection.closeSync()
    held = process.memoryUsage.rss()
  }
  const timer = setInterval(() => {
    const rss = process.memoryUsage.rss()
    held = Math.max(FLOOR, Math.min(held, rss))
    if (giving !== undefined || rss < held + GROWN) return
    // Nobody waits for it, and without it all goes on.
    giving = giveBack()
      .catch(() => undefined)
      .finally(() => (giving = undefined))
  }, EVERY_MS)
  timer.unref()
  return {
    close: () => {
      clearInterval(timer)
      void Promise.resolve(giving)
        .then(async () => (await instance)?.closeSync())
        .catch(() => undefined)
    },
  }
}
