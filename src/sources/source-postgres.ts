/**
 * A PostgreSQL as a source (DESIGN.md 4): one read-only snapshot over all tables.
 *
 * Order matters: first the tables are locked (`access share`, partitions included), and only then
 * comes the snapshot. TRUNCATE and rewriting DDL are not MVCC-safe: a table truncated between an
 * older snapshot and its read would look empty. The catalogue is read after the lock, too, so what
 * it says holds until the end.
 */
import { ToteError } from '../errors.ts'
import type { Context } from '../events.ts'
import { carriedType } from '../postgres/carried.ts'
import {
  describeRelations,
  identifyServer,
  listRelations,
  serverVersion,
  type Relation,
  type RelationDetail,
} from '../postgres/catalogue.ts'
import { connect, type Connection } from '../postgres/connection.ts'
import { quoteIdentifier, quoteQualified } from '../postgres/identifiers.ts'
import { beginReading, type SessionLimits } from '../postgres/session.ts'
import { seesAtLeast } from '../postgres/snapshot.ts'
import { watchWaiting, type WaitWatch } from '../postgres/waiting.ts'
import { chooseTables, type TableChoice } from './patterns.ts'
import type { Source, SourceMemory, SourceSnapshot, SourceTable } from './source.ts'

export interface PostgresSourceOptions {
  readonly name: string
  /** Called when a connection is needed; an embedded server starts here. */
  readonly url: () => Promise<string>
  readonly tables: TableChoice
  readonly limits: SessionLimits
  /** How long another session may wait for one of our locks. */
  readonly giveWayAfterMs: number
}

interface LockedTable extends SourceTable {
  readonly schema: string
  readonly relation: string
}

/** Opens nothing yet: the first snapshot connects. */
export function openPostgresSource(options: PostgresSourceOptions): Source {
  return {
    name: options.name,
    snapshot: async (context) => takeSnapshot(options, context),
    follow: (snapshot, memory) => follow(options.name, snapshot, memory),
    close: async () => undefined,
  }
}

async function takeSnapshot(
  options: PostgresSourceOptions,
  context: Context,
): Promise<SourceSnapshot> {
  const busy = new AbortController()
  const url = await options.url()
  const target = { side: 'source', name: options.name, url } as const
  const connection = await connect({
    ...target,
    signal: AbortSignal.any([context.signal, busy.signal]),
  })
  let watch: WaitWatch | undefined
  const close = async (): Promise<void> => {
    await watch?.stop()
    await connection.close()
  }
  try {
    const tables = await lockTables(options, connection)
    const server = await identifyServer(connection)
    watch = watchWaiting(
      { ...target, pid: server.pid, afterMs: options.giveWayAfterMs },
      {
        onBusy: (error) => busy.abort(error),
        onBlind: (error) =>
          context.emit({
            type: 'note',
            level: 'warn',
            text: `whether others wait for the tables of "${options.name}" cannot be seen: ${error.message}`,
          }),
      },
    )
    const details = await describeRelations(
      connection,
      tables.map((table) => table.oid),
    )
    const described = describeTables(options, tables, details)
    return {
      identity: {
        ...server.identity,
        tables: Object.fromEntries(
          tables.map((table) => [`${table.schema}.${table.name}`, table.oid]),
        ),
      },
      position: server.position,
      instant: server.instant,
      tables: described,
      copy: async (table, sink) => {
        const { relation } = table as LockedTable
        const columns = table.columns.map((column) => quoteIdentifier(column.name)).join(', ')
        const order = table.key.map(quoteIdentifier).join(', ')
        return connection.copyOut(
          `read table "${table.name}"`,
          `copy (select ${columns} from ${relation} order by ${order}) to stdout (format csv)`,
          sink,
        )
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Less than any server's `deadlock_timeout`: whoever holds one of our tables and waits for another must not be its victim. */
const LOCK_TRY_MS = 500

/** Lists the tables, locks them in a new transaction, and lists again: what was listed is what is locked. */
async function lockTables(
  options: PostgresSourceOptions,
  connection: Connection,
): Promise<Relation[]> {
  const { lockTimeoutMs } = options.limits
  for (let attempt = 0, waitedMs = 0; ;) {
    await connection.query('begin', beginReading('read committed', options.limits))
    const version = await serverVersion(connection)
    const listed = chosen(options, connection.peer.address, await listRelations(connection))
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
    const again = chosen(options, connection.peer.address, await listRelations(connection))
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

function chosen(
  options: PostgresSourceOptions,
  address: string,
  relations: readonly Relation[],
): Relation[] {
  const literal = new Set(options.tables.include.filter((pattern) => !pattern.includes('*')))
  const tables = chooseTables(options.name, relations, options.tables).filter(
    (relation) =>
      isTable(relation) ||
      literal.has(relation.name) ||
      literal.has(`${relation.schema}.${relation.name}`),
  )
  const forbidden = tables.filter((table) => !table.readable)
  if (forbidden.length > 0) {
    const names = forbidden.map((table) => `"${table.schema}.${table.name}"`)
    const role = quoteIdentifier(address.slice(0, address.lastIndexOf('@')))
    throw new ToteError(
      'SourceForbidden',
      `Source "${options.name}" does not let us read ${names.join(', ')}.`,
      {
        where: address,
        why: 'the role has no SELECT on the table, or no USAGE on its schema',
        fix: forbidden
          .map((table) => `grant select on ${quoteQualified(table.schema, table.name)} to ${role};`)
          .join(' '),
        problems: forbidden.map((table) => ({
          where: `${table.schema}.${table.name}`,
          message: 'SELECT is missing',
        })),
      },
    )
  }
  return tables
}

function isTable(relation: Relation): boolean {
  return relation.kind === 'r' || relation.kind === 'p'
}

function describeTables(
  options: PostgresSourceOptions,
  relations: readonly Relation[],
  details: ReadonlyMap<string, RelationDetail>,
): LockedTable[] {
  const unsupported: { where: string; message: string }[] = []
  const names = new Map<string, string>()
  const tables = relations.map((relation): LockedTable => {
    const detail = details.get(relation.oid) ?? { oid: relation.oid, key: [], columns: [] }
    const where = `${relation.schema}.${relation.name}`
    if (!isTable(relation)) unsupported.push({ where, message: 'is not a table' })
    else if (detail.key.length === 0) unsupported.push({ where, message: 'has no primary key' })
    else unsupported.push(...oddities(relation, detail).map((message) => ({ where, message })))
    const name =
      relation.schema === options.tables.defaultSchema
        ? relation.name
        : `${relation.schema}.${relation.name}`
    // DuckDB, where models read them, does not tell upper from lower case in names.
    if (names.has(name.toLowerCase()))
      unsupported.push({
        where,
        message: `has the name of another table, "${names.get(name.toLowerCase())}", but for case or dots`,
      })
    names.set(name.toLowerCase(), where)
    return {
      name,
      schema: relation.schema,
      relation: quoteQualified(relation.schema, relation.name),
      key: detail.key,
      columns: detail.columns.map((column) => ({ ...column, carried: carriedType(column.type) })),
      shape: detail.columns.map((column) => column.shape).join('; '),
    }
  })
  if (unsupported.length > 0) {
    const where = [...new Set(unsupported.map((problem) => problem.where))]
    throw new ToteError(
      'NotSupportedYet',
      `Source "${options.name}" has ${where.length === 1 ? 'a table' : `${where.length} tables`} that cannot be carried so far.`,
      {
        problems: unsupported,
        fix: `sources.${options.name}.tables.exclude: [${where.map((name) => `'${name}'`).join(', ')}]`,
      },
    )
  }
  return tables
}

/** What a table with a key has that would go wrong later on. */
function oddities(relation: Relation, { columns }: RelationDetail): string[] {
  const found = relation.inherited
    ? ['has tables that inherit from it, so its key does not tell its rows apart']
    : []
  const seen = new Map<string, string>()
  for (const { name } of columns) {
    const other = seen.get(name.toLowerCase())
    if (other !== undefined)
      found.push(`has columns that differ only in case, "${other}" and "${name}"`)
    if (name.toLowerCase().startsWith('_tote_'))
      found.push(`has a column named "${name}", which Tote keeps for itself`)
    seen.set(name.toLowerCase(), name)
  }
  return found
}

/** Another system or database is SourceReplaced; the same one in an older state is SourceBehind. */
function follow(source: string, snapshot: SourceSnapshot, memory: SourceMemory): void {
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
