/** Who a PostgreSQL is, whether what it shows may follow what the last batch saw, and what its pairs hang on. */
import { ROW_COLUMN } from '../columns/sql.ts'
import type { Strategy } from '../config/project.ts'
import { ToteError, type Problem } from '../errors.ts'
import type { LogPosition, Relation, ServerIdentity } from '../postgres/catalogue.ts'
import type { Connection } from '../postgres/connection.ts'
import { readPairFacts, type TableSize } from '../postgres/sizes.ts'
import { reachesAtLeast, seesAtLeast } from '../postgres/snapshot.ts'
import type { SourceMemory, SourcePairs, SourceSnapshot, SourceTable } from './source.ts'

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
  const timelineOf = ({ identity }: Pick<SourceMemory, 'identity'>): number =>
    Number(identity['timeline'] ?? 0)
  const [now, before] = [timelineOf(snapshot), timelineOf(memory)]
  if (now !== 0 && before !== 0) {
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

/** A table, and how its differences are to be found. */
export interface TableToFind extends Pick<SourceTable, 'name' | 'key' | 'keyGiven'> {
  readonly strategy: Strategy
  /** Where the table itself asks for it; null when it does not. */
  readonly strategyPlace: string | null
  readonly where: unknown
}

/** A table of 64 MB is read whole in less time than it takes to look twice. */
const LARGE_PAGES = 8192

/** A table whose changes are to be found by pairs. */
export interface PairCandidate<T> {
  readonly table: T
  readonly relation: Pick<Relation, 'oid' | 'kind'>
  readonly size: TableSize
}

/** The pairs of the tables whose changes are to be found by them, where they can be. Throws as `pairsOf`. */
export async function findPairs<T extends TableToFind>(
  source: { readonly name: string },
  connection: Connection,
  found: {
    readonly tables: readonly Relation[]
    /** In the same order. */
    readonly described: readonly T[]
    readonly sizes: ReadonlyMap<string, TableSize>
    readonly identity: ServerIdentity
  },
): Promise<ReadonlyMap<T, { readonly pairs: SourcePairs }>> {
  const candidates = found.described.flatMap((table, index) => {
    const relation = found.tables[index]
    const size = found.sizes.get(relation?.oid ?? '')
    return relation !== undefined && size !== undefined && wantsPairs(table, size)
      ? [{ table, relation, size }]
      : []
  })
  if (candidates.length === 0) return new Map()
  const oids = candidates.map(({ relation }) => relation.oid)
  return pairsOf(source, candidates, found.identity, await readPairFacts(connection, oids))
}

export function wantsPairs({ strategy }: TableToFind, { allPages }: TableSize): boolean {
  return strategy === 'xmin' || (strategy === 'auto' && allPages > LARGE_PAGES)
}

/** Throws ConfigInvalid for every table that asks for `xmin` itself and has no pairs. */
export function pairsOf<T extends TableToFind>(
  source: { readonly name: string },
  candidates: readonly PairCandidate<T>[],
  { system, timeline, started, counting, databaseOid }: ServerIdentity,
  facts: Awaited<ReturnType<typeof readPairFacts>>,
): ReadonlyMap<T, { readonly pairs: SourcePairs }> {
  const pairs = new Map<T, { readonly pairs: SourcePairs }>()
  const problems: Problem[] = []
  for (const { table, relation, size } of candidates) {
    const fact = size.heap ? facts.get(relation.oid) : undefined
    const why =
      fact === undefined ? 'is no table whose rows have an xmin' : (keyFault(table) ?? fact.fault)
    if (fact === undefined || why !== null) {
      if (table.strategyPlace !== null)
        problems.push({
          where: table.strategyPlace,
          message: `table "${table.name}" ${why}, so its changes cannot be found by xmin`,
        })
      continue
    }
    const { leaves, files, types } = fact
    pairs.set(table, {
      pairs: {
        origin: { system, timeline, started, counting, databaseOid, table: relation.oid, types },
        leaves,
        partitioned: relation.kind === 'p',
        pages: size.allPages,
        inPlace: table.where === null,
        files,
      },
    })
  }
  if (problems.length > 0)
    throw new ToteError(
      'ConfigInvalid',
      `The strategy that is asked for does not fit the tables of source "${source.name}".`,
      { where: problems[0]?.where, problems, fix: "strategy: 'auto', or 'compare'" },
    )
  return pairs
}

function keyFault({ key, keyGiven }: TableToFind): string | null {
  if (key.includes(ROW_COLUMN)) return 'has no key'
  // It must be verified over all rows in every batch.
  return keyGiven === true ? 'has a key that the config gives' : null
}
