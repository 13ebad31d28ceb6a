/** The locks under which a batch reads: taken before its snapshot, on exactly the tables that it carries. */
import { ToteError } from '../errors.ts'
import { listRelations, serverVersion, type Relation } from '../postgres/catalogue.ts'
import type { Connection } from '../postgres/connection.ts'
import { quoteQualified } from '../postgres/identifiers.ts'
import { beginReading, type SessionLimits } from '../postgres/session.ts'
import { chooseRelations, type RelationChoice } from './tables-postgres.ts'

export interface LockOptions extends RelationChoice {
  readonly limits: SessionLimits
}

/** Less than any server's `deadlock_timeout`: whoever holds one of our tables and waits for another must not be its victim. */
const LOCK_TRY_MS = 500

/** Lists the tables, locks them in a new transaction, and lists again: what was listed is what is locked. */
export async function lockTables(
  options: LockOptions,
  connection: Connection,
): Promise<Relation[]> {
  const { lockTimeoutMs } = options.limits
  for (let attempt = 0, waitedMs = 0; ;) {
    await connection.query('begin', beginReading('read committed', options.limits))
    const version = await serverVersion(connection)
    const listed = chooseRelations(
      options,
      connection.peer.address,
      await listRelations(connection),
    )
    await connection.query('commit', 'commit')
    const tryMs = Math.min(LOCK_TRY_MS, lockTimeoutMs - waitedMs)
    await connection.query(
      'begin',
      beginReading('repeatable read', { ...options.limits, lockTimeoutMs: tryMs, version }),
    )
    if (listed.length === 0) return listed
    const names = listed.map((table) => quoteQualified(table.schema, table.name)).join(', ')
    try {
      await connection.query('lock the tables', `lock table ${names} in access share mode`)
    } catch (error) {
      const sqlstate = error instanceof ToteError ? error.facts.sqlstate : undefined
      if (sqlstate === '55P03') waitedMs += tryMs
      else if (sqlstate === '42P01') attempt += 1
      else throw error
      if (waitedMs >= lockTimeoutMs || attempt > 2) throw error
      await connection.query('roll back', 'rollback')
      continue
    }
    const again = chooseRelations(options, connection.peer.address, await listRelations(connection))
    const signature = (tables: readonly Relation[]): string =>
      tables.map((table) => table.oid).join()
    if (signature(again) === signature(listed)) return again
    await connection.query('roll back', 'rollback')
    attempt += 1
    if (attempt > 2) {
      throw new ToteError(
        'SourceBusy',
        `The tables of source "${options.name}" keep changing while they are being locked.`,
        {
          fix: 'run again when the migration is over',
        },
      )
    }
  }
}
