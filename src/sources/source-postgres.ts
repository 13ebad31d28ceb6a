/**
 * A PostgreSQL as a source (DESIGN.md 4): one read-only snapshot over all tables.
 *
 * Order matters: first the tables are locked (`access share`, partitions included), and only then
 * comes the snapshot. TRUNCATE and rewriting DDL are not MVCC-safe: a table truncated between an
 * older snapshot and its read would look empty. The catalogue is read after the lock, too, so what
 * it says holds until the end.
 */
import type { Context } from '../events.ts'
import { describeRelations, identifyServer } from '../postgres/catalogue.ts'
import { connect } from '../postgres/connection.ts'
import { quoteIdentifier } from '../postgres/identifiers.ts'
import type { SessionLimits } from '../postgres/session.ts'
import type { Secret } from '../secrets/secret.ts'
import { measureTables, type TableSize } from '../postgres/sizes.ts'
import { watchWaiting, type WaitWatch } from '../postgres/waiting.ts'
import { lockTables, type LockedTables } from './locks-postgres.ts'
import { dividePages, inPart, type PagePart } from './parts.ts'
import type { TableChoice } from './patterns.ts'
import { followDatabase } from './identity-postgres.ts'
import type { RowSink, Source, SourceSnapshot, SourceTable } from './source.ts'
import { checkFilters, whereClause } from './filter-postgres.ts'
import { maskRows } from './masking.ts'
import { readingsOf, type Reading, type SettingsOf } from './table-settings.ts'
import { describeTables, type PostgresTable } from './tables-postgres.ts'

export interface PostgresSourceOptions extends SettingsOf {
  readonly name: string
  /** Called when a connection is needed; an embedded server starts here. */
  readonly url: () => Promise<string>
  readonly tables: TableChoice
  readonly limits: SessionLimits
  /** How long another session may wait for one of our locks. */
  readonly giveWayAfterMs: number
}

/** Opens nothing yet: the first snapshot connects. */
export function openPostgresSource(options: PostgresSourceOptions): Source {
  return {
    name: options.name,
    snapshot: async (context) => takeSnapshot(options, context),
    follow: (snapshot, memory) => followDatabase(options.name, snapshot, memory),
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
    const { tables, all } = await lockTables(options, connection)
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
    const readings = readingsOf(options, tables, details)
    const described = describeReadings(options, { tables, all }, readings)
    await checkFilters(connection, described)
    const sizes = await measureTables(
      connection,
      tables.map((table) => table.oid),
    )
    return {
      identity: {
        ...server.identity,
        tables: Object.fromEntries(
          tables.map(({ schema, name, oid, partitions }) => [
            `${schema}.${name}`,
            partitions === null ? oid : `${oid}/${partitions}`,
          ]),
        ),
      },
      position: server.position,
      instant: server.instant,
      warnings: server.encoding === 'SQL_ASCII' ? [UNCHECKED] : [],
      tables: described.map((table, index) => ({
        ...table,
        ...extentOf(sizes.get(tables[index]?.oid ?? ''), server.identity.version),
      })),
      copy: async (table, sink, part) => {
        const read = table as ReadTable
        return connection.copyOut(
          `read table "${table.name}"`,
          copyStatement(read, part as PagePart | undefined),
          hashing(read, options.maskSecret, sink),
        )
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

const UNCHECKED =
  'the database does not check the encoding of its text (SQL_ASCII): text that is not UTF-8 will stop a batch, and must be corrected or its column left out (columns.exclude)'

interface ReadTable extends PostgresTable, Pick<Reading, 'expressions' | 'hashed' | 'where'> {}

/** The tables as their settings let them be read. */
function describeReadings(
  options: PostgresSourceOptions,
  locked: LockedTables,
  readings: ReadonlyMap<string, Reading>,
): ReadTable[] {
  const details = new Map([...readings].map(([oid, { detail }]) => [oid, detail]))
  return describeTables(options, locked, details).map((table, index): ReadTable => {
    const reading = readings.get(locked.tables[index]?.oid ?? '')
    if (reading === undefined) throw new RangeError(`table "${table.name}" was not described`)
    const { expressions, hashed, where, keyGiven, omitted, shape } = reading
    return {
      ...table,
      expressions,
      hashed,
      where,
      ...(keyGiven ? { keyGiven } : {}),
      ...(omitted.size > 0 ? { omitted } : {}),
      shape: [table.shape, ...(shape === '' ? [] : [shape])].join('; '),
    }
  })
}

/**
 * In parts a table comes as it lies: an order by key would have a large one sorted, or read by an index,
 * page after page at random.
 */
function copyStatement(table: ReadTable, part?: PagePart): string {
  const { columns, key, relation, expressions } = table
  const own = columns.flatMap(({ source }) => source ?? [])
  const selected = own.map((name) => expressions.get(name) ?? quoteIdentifier(name))
  const order = key.flatMap((name) => columns.find((column) => column.name === name)?.source ?? [])
  const sorted = order.length === 0 ? '' : ` order by ${order.map(quoteIdentifier).join(', ')}`
  const which =
    part === undefined ? sorted : ` ${table.where === null ? 'where' : 'and'} ${inPart(part)}`
  return `copy (select ${selected.join(', ')} from ${relation}${whereClause(table)}${which}) to stdout (format csv)`
}

/** Before PostgreSQL 14 each range would read the whole table. */
function extentOf(
  size: TableSize | undefined,
  version: string,
): Pick<SourceTable, 'parts' | 'expectedRows'> {
  const divided = size?.heap === true && Number.parseInt(version, 10) >= 14
  return {
    parts: divided ? dividePages(size.pages) : [],
    expectedRows: size?.rows ?? undefined,
  }
}

/** Values that the config hashes are hashed before the sink sees them. */
function hashing(
  { name, columns, hashed }: ReadTable,
  secret: Secret | null,
  sink: RowSink,
): RowSink {
  if (hashed.size === 0) return sink
  if (secret === null) throw new RangeError(`table "${name}" is masked without a secret`)
  const positions = columns.flatMap(({ source }, index) =>
    source !== null && hashed.has(source) ? [index] : [],
  )
  return maskRows(sink, new Set(positions), secret)
}
