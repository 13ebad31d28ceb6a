/**
 * `pg_snapshot` texts: `xmin:xmax:xip,xip,…`, 64-bit transaction ids that never wrap.
 * https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
 */
import { ToteError } from '../errors.ts'
import type { Connection, TextRow } from './connection.ts'
import { quoteLiteral } from './identifiers.ts'
import { beginReading, type SessionLimits } from './session.ts'

/** A snapshot as its transaction shows it, for another connection to read in. */
export interface SharedSnapshot {
  /** As `pg_export_snapshot` names it. */
  readonly id: string
  /** The server's `pg_postmaster_start_time`. */
  readonly started: string
  readonly position: string
}

/**
 * Begins a transaction in a snapshot that another connection has exported. The same name can exist on
 * another server, to which a pooler may have led us, so both must show the same. Throws SnapshotNotShared.
 */
export async function importSnapshot(
  connection: Connection,
  { id, started, position }: SharedSnapshot,
  limits: SessionLimits,
): Promise<void> {
  await connection.query('begin', beginReading('repeatable read', limits))
  let seen: TextRow | undefined
  try {
    await connection.query('share the snapshot', `set transaction snapshot ${quoteLiteral(id)}`)
    const text =
      'select pg_postmaster_start_time()::text as started, pg_current_snapshot()::text as position'
    seen = (await connection.query('share the snapshot', text))[0]
  } catch (error) {
    // 22023 no such snapshot, 42704 from 17 on, 0A000 another database.
    const { sqlstate } = error instanceof ToteError ? error.facts : {}
    if (sqlstate === undefined || !['22023', '42704', '0A000'].includes(sqlstate)) throw error
  }
  if (seen?.['started'] === started && seen['position'] === position) return
  const { side, name, address } = connection.peer
  throw new ToteError(
    'SnapshotNotShared',
    `The connections to ${side} "${name}" do not see one snapshot, so they cannot read it together.`,
    {
      where: address,
      why: 'a pooler or a load balancer led them to different servers, and all rows of a batch are of one instant',
      fix: `sources.${name}.readers: 1, or the server's own address`,
    },
  )
}

/** Transaction ids that rows carry have 32 bits: half of them lie before any other. */
const COMPARABLE_IDS = 2n ** 31n

/**
 * Whether an `xmin` read in `earlier` is the same transaction where it is read in `later`, which must see
 * no less. Throws RangeError on another spelling.
 */
export function pairsMeanTheSame(later: string, earlier: string): boolean {
  const apart = parseSnapshot(later).xmax - parseSnapshot(earlier).xmin
  return apart < COMPARABLE_IDS && seesAtLeast(later, earlier)
}

/** What a page of the log begins with; that of a file's first page is longer. A file is a power of two, 1 MB at least. */
const LOG_PAGE = 8192n
const [PAGE_HEADER, FILE_HEADER] = [24n, 40n]

/**
 * Whether a log position (`pg_lsn`, such as `16/B374D848`) is not before another. A primary counts the header of a page that
 * it has not begun, and a standby that has replayed everything does not. Throws RangeError on another spelling.
 */
export function reachesAtLeast(later: string, earlier: string): boolean {
  return parseLogPosition(later) >= parseLogPosition(earlier)
}

function parseLogPosition(text: string): bigint {
  const match = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text)
  if (match === null) throw new RangeError(`not a position of the log: ${text}`)
  const at = (BigInt(`0x${match[1]}`) << 32n) + BigInt(`0x${match[2]}`)
  const page = at - (at % LOG_PAGE)
  const header = page % (1n << 20n) === 0n ? FILE_HEADER : PAGE_HEADER
  return at - page <= header ? page : at
}

/** Ids of 32 bits there are. */
const ALL_IDS = 2n ** 32n

/** No transaction has a lower id. */
const FIRST_ID = 3n

/**
 * The 32-bit ids of transactions that `earlier` did not see and `later` does, where an older transaction
 * may have had the same: a row that shows such an `xmin` in both may be another version. Null as long as
 * no id was given twice. Transactions in progress count from the oldest on, since a snapshot does not
 * tell their savepoints.
 */
export function reusedIds(
  later: string,
  earlier: string,
): { readonly first: number; readonly count: number } | null {
  const from = parseSnapshot(earlier).xmin
  const to = parseSnapshot(later).xmax
  const second = ALL_IDS + FIRST_ID
  const first = from > second ? from : second
  return to <= first ? null : { first: Number(first % ALL_IDS), count: Number(to - first) }
}

interface Snapshot {
  /** Transactions below were complete. */
  readonly xmin: bigint
  /** Transactions at or above were not yet complete. */
  readonly xmax: bigint
  /** In progress, below xmax. */
  readonly inProgress: ReadonlySet<bigint>
}

/** Whether `later` sees every transaction that `earlier` saw as committed. Throws RangeError on another spelling. */
export function seesAtLeast(later: string, earlier: string): boolean {
  const before = parseSnapshot(earlier)
  const after = parseSnapshot(later)
  if (after.xmax < before.xmax) {
    // Ids between were all in progress for the earlier one, or it saw one that the later does not.
    if (before.xmax - after.xmax > BigInt(before.inProgress.size)) return false
    for (let xid = after.xmax; xid < before.xmax; xid++)
      if (!before.inProgress.has(xid)) return false
  }
  for (const xid of after.inProgress)
    if (xid < before.xmax && !before.inProgress.has(xid)) return false
  return true
}

function parseSnapshot(text: string): Snapshot {
  const match = /^(\d+):(\d+):([\d,]*)$/.exec(text)
  if (match === null) throw new RangeError(`not a snapshot: ${text}`)
  const list = match[3] ?? ''
  return {
    xmin: BigInt(match[1] ?? 0),
    xmax: BigInt(match[2] ?? 0),
    inProgress: new Set(list === '' ? [] : list.split(',').map(BigInt)),
  }
}
