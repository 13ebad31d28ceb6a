/** Who a PostgreSQL is, and whether what it shows may follow what the last batch saw. */
import { ToteError } from '../errors.ts'
import type { LogPosition } from '../postgres/catalogue.ts'
import { reachesAtLeast, seesAtLeast } from '../postgres/snapshot.ts'
import type { SourceMemory, SourceSnapshot } from './source.ts'

/** Another system or database is SourceReplaced; the same one in an older state is SourceBehind. */
export function followDatabase(
  source: string,
  snapshot: SourceSnapshot,
  memory: SourceMemory,
): void {
  // A right granted or lost since makes the system unknown on one side, not another.
  const known = (part: string): boolean =>
    snapshot.identity[part] !== null && memory.identity[part] !== null
  const changed = (['system', 'database'] as const).filter(
    (part) => known(part) && snapshot.identity[part] !== memory.identity[part],
  )
  if (changed.length > 0) {
    const what = changed
      .map((part) => (part === 'system' ? 'system identifier' : 'database name'))
      .join(' and ')
    throw new ToteError(
      'SourceReplaced',
      `Source "${source}" is another database than the last batch saw: its ${what} differs.`,
      {
        why: 'its rows may be others under the same keys; taking them for changes must be a decision',
        fix: 'tote run --accept-source',
      },
    )
  }
  if (!isBehind(snapshot, memory)) return
  const standby = snapshot.standby === true
  throw new ToteError(
    'SourceBehind',
    `Source "${source}" shows an older state than the last batch saw.`,
    {
      why: `${standby ? 'a standby that lags' : 'a server put back to an earlier state'} would look like deletions`,
      fix: standby
        ? 'run again when it has caught up'
        : 'when it was put back on purpose: tote run --accept-source',
      details: { standby },
    },
  )
}

/** A later timeline is another history, however far it goes: a standby that was promoted may never have seen what its primary had. */
function isBehind(snapshot: SourceSnapshot, memory: SourceMemory): boolean {
  const [now, before] = [snapshot, memory].map(({ identity }) => Number(identity['timeline'] ?? 0))
  if (now !== undefined && before !== undefined && now !== 0 && before !== 0) {
    if (now > before) return false
    // A standby may learn late which timeline it follows; the positions below tell.
    if (now < before && snapshot.standby !== true) return true
  }
  const { position, reach } = snapshot
  if (position !== null && memory.position !== null && !seesAtLeast(position, memory.position))
    return true
  // On a standby the snapshot's list of transactions in progress is empty, whatever is in progress.
  if (snapshot.standby !== true || memory.reached === undefined) return false
  return reach !== null && reach !== undefined && !reachesAtLeast(reach.least, memory.reached)
}

/** Through a pooler the two may be of different servers: then nothing is known to be seen. */
export function reachOf(before: LogPosition, after: LogPosition): SourceSnapshot['reach'] {
  if (before.lsn === null || after.lsn === null) return null
  return { least: before.started === after.started ? before.lsn : '0/0', most: after.lsn }
}
