/** The locks under which a batch reads: taken before its snapshot, on exactly the tables that it carries. */
import { ToteError } from '../errors.ts'
import {
  listRelations,
  readLogPosition,
  serverVersion,
  type LogPosition,
  type Relation,
} from '../postgres/catalogue.ts'
import type { Connection } from '../postgres/connection.ts'
import { beginReading, type SessionLimits } from '../postgres/session.ts'
import { chooseRelations, nameRelation, type RelationChoice } from './tables-postgres.ts'

export interface LockOptions extends RelationChoice {
  readonly limits: SessionLimits
}

export interface LockedTables {
  readonly tables: readonly Relation[]
  /** Every relation that the snapshot shows, chosen or not. */
  readonly all: readonly Relation[]
  /** Where the log stood before the snapshot was taken. */
  readonly logBefore: LogPosition
}

/** Less than any server's `deadlock_timeout`: whoever holds one of our tables and waits for another must not be its victim. */
const LOCK_TRY_MS = 500

/** How often what was locked may turn out to be something else. */
const ATTEMPTS = 3

/**
 * Lists the tables, locks them in a new transaction, and lists again, in its snapshot: what was listed
 * is what is locked, with all its partitions. Throws SourceBusy when that never is so.
 */
export async function lockTables(
  options: LockOptions,
  connection: Connection,
): Promise<LockedTables> {
  const { lockTimeoutMs } = options.limits
  const choose = (all: readonly Relation[], logBefore: LogPosition): LockedTables => ({
    tables: chooseRelations(options, connection.peer.address, all),
    all,
    logBefore,
  })
  for (let changes = 0, waitedMs = 0; ;) {
    await connection.query('begin', beginReading('read committed', options.limits))
    const version = await serverVersion(connection)
    const logBefore = await readLogPosition(connection)
    const listed = choose(await listRelations(connection), logBefore)
    await connection.query('commit', 'commit')
    const tryMs = Math.min(LOCK_TRY_MS, lockTimeoutMs - waitedMs)
    await connection.query(
      'begin',
      beginReading('repeatable read', { ...options.limits, lockTimeoutMs: tryMs, version }),
    )
    if (listed.tables.length === 0) return listed
    try {
      await lockNow(connection, listed.tables)
      const again = choose(await listRelations(connection), logBefore)
      const isLocked = signature(again) === signature(listed)
      if (isLocked && (await lockLate(connection, again.tables))) return again
      changes += 1
    } catch (error) {
      const sqlstate = error instanceof ToteError ? error.facts.sqlstate : undefined
      if (sqlstate === '55P03') waitedMs += tryMs
      else if (sqlstate === '42P01') changes += 1
      else throw error
      if (waitedMs >= lockTimeoutMs || changes === ATTEMPTS) throw error
    }
    await connection.query('roll back', 'rollback')
    if (changes === ATTEMPTS) {
      throw new ToteError(
        'SourceBusy',
        `The tables of source "${options.name}" keep changing while they are being locked.`,
        { fix: 'run again when the migration is over' },
      )
    }
  }
}

/** Before the snapshot, which `lock table` does not take. A view's tables are locked with it. */
async function lockNow(connection: Connection, tables: readonly Relation[]): Promise<void> {
  const lockable = tables.filter(({ kind }) => ['r', 'p', 'v'].includes(kind))
  if (lockable.length === 0) return
  const names = lockable.map(nameRelation).join(', ')
  await connection.query('lock the tables', `lock table ${names} in access share mode`)
}

/**
 * Materialized and foreign tables cannot be locked but by reading them, when the snapshot is already
 * taken. A refresh that came between is seen afterwards: it gave the relation another file than the
 * one that the snapshot's catalogue names, and the rows in it are visible to every snapshot, however
 * old. Returns whether none did.
 */
async function lockLate(connection: Connection, tables: readonly Relation[]): Promise<boolean> {
  const indirect = tables.filter(({ kind, populated }) => !['r', 'p'].includes(kind) && populated)
  if (indirect.length === 0) return true
  await connection.query(
    'lock the views',
    indirect.map((table) => `select from ${nameRelation(table)} limit 0`).join('; '),
  )
  const [row] = await connection.query(
    'look for refreshed views',
    `select count(*)::text as refreshed from pg_catalog.pg_locks l join pg_catalog.pg_class c on c.oid = l.relation
     where l.pid = pg_backend_pid() and l.locktype = 'relation' and l.granted
       and c.relkind in ('r', 'm') and c.relfilenode <> 0 and c.relfilenode <> pg_relation_filenode(c.oid)`,
  )
  return row?.['refreshed'] === '0'
}

/** What must be the same before and after locking: a partition attached meanwhile is not locked. */
function signature({ tables }: LockedTables): string {
  return tables.map(({ oid, kind, partitions }) => `${oid}${kind}${partitions}`).join()
}

/** So few tables, none of them in partitions, leave room enough on any server. */
const FEW_TABLES = 500

/** Where a batch takes more than half of what the server keeps room for, the application may find none. */
export async function lockWarnings(
  connection: Connection,
  tables: readonly Relation[],
): Promise<string[]> {
  if (tables.length <= FEW_TABLES && tables.every(({ kind }) => kind !== 'p')) return []
  const [row] = await connection.query('count the locks of the batch', LOCKS, [
    `{${tables.map(({ oid }) => oid).join(',')}}`,
  ])
  const [needed, room] = [Number(row?.['needed']), Number(row?.['room'])]
  if (2 * needed <= room) return []
  return [
    `a batch holds ${needed} locks, and the server keeps room for ${room}, its other sessions' included: raise max_locks_per_transaction there, or leave tables out (docs/operations.md, "Many tables")`,
  ]
}

/** One on each table, partition and index, until the transaction ends. */
const LOCKS = `with recursive tree(oid) as (
    select o from unnest($1::oid[]) as o
    union
    select i.inhrelid from tree t
      join pg_catalog.pg_class p on p.oid = t.oid and p.relkind = 'p'
      join pg_catalog.pg_inherits i on i.inhparent = t.oid
  )
  select (count(*) + sum((select count(*) from pg_catalog.pg_index i where i.indrelid = t.oid)))::text as needed,
    (current_setting('max_locks_per_transaction')::bigint
      * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint))::text as room
  from tree t`
