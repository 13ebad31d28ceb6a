/**
 * What the simulator did against what Tote found: the journal's net changes, row by row, beside the
 * changes of the lake's batches.
 */
import type { Project } from 'totedata'
import type { NetChange } from '../simulator/journal.ts'
import { KEYS } from './tables.ts'

export interface FoundChange {
  readonly table: string
  readonly key: number
  readonly change: 'inserted' | 'updated' | 'deleted'
}

export interface Comparison {
  /** Both the simulator and Tote know of them. */
  readonly agreed: readonly NetChange[]
  /** They happened and were not found. */
  readonly missing: readonly NetChange[]
  /** They were found and did not happen. */
  readonly extra: readonly FoundChange[]
}

/** The net changes of all source tables in the batches after `from`, up to `to`, read from the lake. */
export async function foundChanges(
  project: Project,
  batches: { readonly from: number; readonly to: number },
): Promise<FoundChange[]> {
  const perTable = Object.entries(KEYS).map(
    ([table, key]) =>
      `select '${table}' as name, ${key} as key,
         arg_max(_tote_op, _tote_batch) filter (where _tote_batch <= ${batches.from}) as before,
         arg_max(_tote_op, _tote_batch) filter (where _tote_batch > ${batches.from} and _tote_batch <= ${batches.to}) as after
       from totesys_changes."${table}" group by ${key}`,
  )
  const sql = `select name, key, before, after from (${perTable.join(' union all ')}) where after is not null order by name, key`
  const { rows } = await project.query(sql, { limit: 1_000_000 })
  return rows.flatMap(([table, key, before, after]): FoundChange[] => {
    const change = after === 'd' ? 'deleted' : before === 'u' ? 'updated' : 'inserted'
    return change === 'deleted' && before !== 'u'
      ? []
      : [{ table: String(table), key: Number(key), change }]
  })
}

export function compareWithJournal(
  happened: readonly NetChange[],
  found: readonly FoundChange[],
): Comparison {
  const id = (change: FoundChange | NetChange): string =>
    `${change.table}/${change.key}/${change.change}`
  const foundIds = new Set(found.map(id))
  const happenedIds = new Set(happened.map(id))
  return {
    agreed: happened.filter((change) => foundIds.has(id(change))),
    missing: happened.filter((change) => !foundIds.has(id(change))),
    extra: found.filter((change) => !happenedIds.has(id(change))),
  }
}
