/**
 * `pg_snapshot` texts: `xmin:xmax:xip,xip,…`, 64-bit transaction ids that never wrap.
 * https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
 */

interface Snapshot {
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
    xmax: BigInt(match[2] ?? 0),
    inProgress: new Set(list === '' ? [] : list.split(',').map(BigInt)),
  }
}
