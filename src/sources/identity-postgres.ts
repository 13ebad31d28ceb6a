/** Who a PostgreSQL is, and whether what it shows may follow what the last batch saw. */
import { ToteError } from '../errors.ts'
import { seesAtLeast } from '../postgres/snapshot.ts'
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
  const comparable =
    snapshot.position !== null &&
    memory.position !== null &&
    snapshot.identity['timeline'] === memory.identity['timeline']
  if (comparable && !seesAtLeast(snapshot.position ?? '', memory.position ?? '')) {
    throw new ToteError(
      'SourceBehind',
      `Source "${source}" shows an older state than the last batch saw.`,
      {
        why: 'a standby that lags, or a server put back to an earlier state, would look like deletions',
        fix: 'run again when it has caught up',
      },
    )
  }
}
