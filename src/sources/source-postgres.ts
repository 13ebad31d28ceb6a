/**
 * A PostgreSQL as a source (DESIGN.md 4): one read-only snapshot over all tables.
 *
 * Order matters: first the tables are locked (`access share`, partitions included), and only then
 * comes the snapshot. TRUNCATE and rewriting DDL are not MVCC-safe: a table truncated between an
 * older snapshot and its read would look empty. The catalogue is read after the lock, too, so what
 * it says holds until the end.
 */
import { writeTableName } from '../config/table-name.ts'
import { ToteError } from '../errors.ts'
import type { Context } from '../events.ts'
import { openBucket } from '../pace/bucket.ts'
import { paceRows } from '../pace/paced-rows.ts'
import {
  describeRelations,
  identifyServer,
  type Relation,
  type ServerIdentity,
} from '../postgres/catalogue.ts'
import { connect, openReaders, type Connection } from '../postgres/connection.ts'
import { quoteIdentifier } from '../postgres/identifiers.ts'
import { keepConnection, type KeptConnection } from '../postgres/kept-connection.ts'
import type { SessionLimits } from '../postgres/session.ts'
import type { Secret } from '../secrets/secret.ts'
import {
  measureKeys,
  measureTables,
  readIndexedColumns,
  type TableSize,
} from '../postgres/sizes.ts'
import { importSnapshot, pairsMeanTheSame, reusedIds } from '../postgres/snapshot.ts'
import { watchWaiting, type WaitWatch } from '../postgres/waiting.ts'
import { lockTables, lockWarnings, type LockedTables } from './locks-postgres.ts'
import {
  atPlaces,
  comesAsItLies,
  divideKeys,
  dividePages,
  inLeaf,
  inOwnRanges,
  inPart,
  rangedBy,
  selectedBeside,
  sinceValue,
  type CursorPlace,
  type TablePart,
} from './parts.ts'
import type { TableChoice } from './patterns.ts'
import { findPairs, followDatabase, reachOf } from './identity-postgres.ts'
import type { RowSink, Source, SourceCursor, SourceReading, SourceSnapshot } from './source.ts'
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
  /** As of a connection. */
  readonly silenceMs?: number | undefined
  /** How long another session may wait for one of our locks. */
  readonly giveWayAfterMs: number
  /** Bytes of rows a second, for all connections together; no limit when null or not given. */
  readonly rateLimit?: number | null | undefined
  /** Connections that read one table together; 1 when not given. */
  readonly readers?: number | undefined
  /** Pages of a table that are read at once; 64 MB when not given. */
  readonly partPages?: number | undefined
  /** For tests: large tables are divided as before PostgreSQL 14. */
  readonly byKeys?: boolean | undefined
}

/** Opens nothing yet: the first snapshot connects. */
export function openPostgresSource(options: PostgresSourceOptions): Source {
  const kept = keepConnection()
  return {
    name: options.name,
    snapshot: async (context) => takeSnapshot(options, kept, context),
    follow: (snapshot, memory) => followDatabase(options.name, snapshot, memory),
    close: async () => kept.close(),
  }
}

async function takeSnapshot(
  options: PostgresSourceOptions,
  kept: KeptConnection,
  context: Context,
): Promise<SourceSnapshot> {
  const busy = new AbortController()
  const url = await options.url()
  const { silenceMs } = options
  const target = { side: 'source', name: options.name, url, silenceMs } as const
  const signal = AbortSignal.any([context.signal, busy.signal])
  const connection = await kept.take({ ...target, signal })
  const { rateLimit } = options
  const bucket = typeof rateLimit === 'number' ? openBucket(rateLimit) : null
  let watch: WaitWatch | undefined
  const readers = openReaders(connection, options.readers ?? 1)
  const close = async (): Promise<void> => {
    await watch?.stop()
    await readers.close()
  }
  try {
    const { tables, all, logBefore } = await lockTables(options, connection)
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
    const oids = tables.map(({ oid }) => oid)
    const details = await describeRelations(connection, oids)
    const readings = readingsOf(options, tables, details)
    const described = describeReadings(options, { tables, all, logBefore }, readings)
    await checkFilters(connection, described)
    const sizes = await measureTables(connection, oids)
    const pairs = await findPairs(options, connection, {
      tables,
      described,
      sizes,
      identity: server.identity,
    })
    const parts = await divide(options, connection, {
      tables,
      described,
      sizes,
      version: server.identity.version,
    })
    const [shared] =
      readers.most === 1
        ? []
        : await connection.query('share the snapshot', 'select pg_export_snapshot() as id')
    const join = async (): Promise<Connection> => {
      const joined = await connect({ ...target, signal })
      try {
        const { started } = server.identity
        const snapshot = { id: shared?.['id'] ?? '', started, position: server.position }
        await importSnapshot(joined, snapshot, options.limits)
        return joined
      } catch (error) {
        await joined.close()
        throw error
      }
    }
    return {
      readers: readers.most,
      identity: {
        ...server.identity,
        tables: Object.fromEntries(
          tables.map(({ schema, name, oid, partitions }) => [
            writeTableName(schema, name),
            partitions === null ? oid : `${oid}/${partitions}`,
          ]),
        ),
      },
      position: server.position,
      reach: reachOf(logBefore, server.log),
      standby: server.standby,
      instant: server.instant,
      warnings: [
        ...(server.encoding === 'SQL_ASCII' ? [UNCHECKED] : []),
        ...(await cursorWarnings(connection, tables, described)),
      ]
        .map((text) => ({ text, standing: true }))
        // The application pays for it, and tables and partitions come by themselves.
        .concat(
          (await lockWarnings(connection, tables)).map((text) => ({ text, standing: false })),
        ),
      tables: described.map((table, index) => ({
        ...table,
        origin: writeTableName(tables[index]?.schema ?? '', tables[index]?.name ?? ''),
        relationId: relationIdOf(server.identity, tables[index]?.oid ?? ''),
        parts: parts.get(table) ?? [],
        // What is hashed here is found by parting the rows.
        inLines: table.hashed.size === 0,
        expectedRows: sizes.get(tables[index]?.oid ?? '')?.rows ?? undefined,
        ...pairs.get(table),
      })),
      copy: async (table, sink, reading = {}) => {
        const read = table as ReadTable
        return readers.use(join, async (reader) =>
          reader.copyOut(
            `read table "${table.name}"`,
            copyStatement(read, reading),
            paceRows(hashing(read, reading, options.maskSecret, sink), bucket, signal),
            {
              limit: { bytes: MAX_ROW_BYTES, error: () => rowTooLarge(table.name) },
              binaryRow: selectedBeside(read, reading).binaryRow,
            },
          ),
        )
      },
      comparable: (position) => pairsMeanTheSame(server.position, position),
      reusedIds: (position) => reusedIds(server.position, position),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Where a system cannot be asked who it is, it is known for as long as it runs. */
function relationIdOf({ system, started, databaseOid }: ServerIdentity, oid: string): string {
  return [system ?? `started ${started}`, databaseOid, oid].join('/')
}

const UNCHECKED =
  'the database does not check the encoding of its text (SQL_ASCII): text that is not UTF-8 will stop a batch, and must be corrected or its column left out (columns.exclude)'

/** Of a row's text; what a run needs for one is a multiple of it (docs/tables.md). */
const MAX_ROW_BYTES = 64_000_000

function rowTooLarge(table: string): ToteError {
  return new ToteError('RowTooLarge', `Table "${table}" has a row of more than 64 MB of text.`, {
    where: table,
    why: 'a row is held in memory several times over on its way; nothing was committed',
    fix: 'leave the large column out: table: { …: { columns: { exclude: […] } } }, or filter the row out with where',
  })
}

interface ReadTable
  extends
    PostgresTable,
    Pick<Reading, 'expressions' | 'hashed' | 'where' | 'strategy' | 'strategyPlace'> {
  readonly cursor?: (SourceCursor & CursorPlace) | undefined
}

/** What the cursors of tables may miss, or cost, that others of their kind do not. */
async function cursorWarnings(
  connection: Connection,
  relations: readonly Relation[],
  tables: readonly ReadTable[],
): Promise<string[]> {
  if (tables.every(({ cursor }) => cursor === undefined)) return []
  const indexed = await readIndexedColumns(
    connection,
    relations.map(({ oid }) => oid),
  )
  return tables.flatMap(({ name, cursor, columns }, index) => {
    if (cursor === undefined) return []
    const { oid = '' } = relations[index] ?? {}
    const column = columns.find((candidate) => candidate.name === cursor.column)
    return [
      ...(indexed.get(oid)?.includes(cursor.source) === true
        ? []
        : [
            `table "${name}": no index begins with the cursor "${cursor.source}", so that every run reads the whole table to find new rows`,
          ]),
      ...(column?.notNull === false
        ? [
            `table "${name}": rows whose cursor "${cursor.source}" is NULL are seen only when the table is compared in full`,
          ]
        : []),
    ]
  })
}

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
    const { expressions, hashed, where, keyGiven, frozen, omitted, masks, shape } = reading
    const { strategy, strategyPlace, cursor } = reading
    const place = table.columns.find(({ source }) => source === cursor?.column)
    return {
      ...table,
      expressions,
      hashed,
      where,
      strategy,
      strategyPlace,
      cursor:
        cursor === null || place === undefined
          ? undefined
          : { ...cursor, column: place.name, source: cursor.column },
      ...(keyGiven ? { keyGiven } : {}),
      ...(frozen ? { frozen } : {}),
      ...(omitted.size > 0 ? { omitted } : {}),
      ...(masks.length > 0 ? { masks } : {}),
      rangedBy: rangedBy(table, reading),
      shape: [table.shape, ...(shape === '' ? [] : [shape])].join('; '),
    }
  })
}

/**
 * In parts a table comes as it lies: an order by key would have a large one sorted, or read by an index,
 * page after page at random.
 */
function copyStatement(table: ReadTable, reading: SourceReading): string {
  const { relation, expressions } = table
  const selected = columnsRead(table, reading).map(
    (name) => expressions.get(name) ?? quoteIdentifier(name),
  )
  const { before, after, binaryRow } = selectedBeside(table, reading)
  selected.unshift(...before)
  selected.push(...after)
  const { part, places, leaf, since, ranges } = reading
  const which = [
    ...(part === undefined ? [] : [inPart(part as TablePart)]),
    ...(places === undefined ? [] : [atPlaces(places)]),
    ...(leaf === undefined ? [] : [inLeaf(leaf)]),
    ...(ranges === undefined ? [] : [inOwnRanges(table, ranges)]),
  ]
  const inPlace =
    before.length > 0 || (part === undefined ? which.length > 0 : comesAsItLies(part as TablePart))
  if (since !== undefined && table.cursor !== undefined) which.push(sinceValue(table.cursor, since))
  const order = inPlace ? [] : ownColumns(table, table.key).map(quoteIdentifier)
  const from = [
    `${relation}${whereClause(table)}`,
    ...(which.length === 0
      ? []
      : [`${table.where === null ? 'where' : 'and'} ${which.join(' and ')}`]),
    ...(order.length === 0 ? [] : [`order by ${order.join(', ')}`]),
  ]
  const format = binaryRow === undefined ? (reading.format === 'lines' ? 'text' : 'csv') : 'binary'
  return `copy (select ${selected.join(', ')} from ${from.join(' ')}) to stdout (format ${format})`
}

/** The database's own names of what is selected, in its order. */
function columnsRead(table: ReadTable, { columns }: SourceReading): string[] {
  if (columns === 'places') return []
  const names = columns === 'pairs' ? table.key : table.columns.map(({ name }) => name)
  return ownColumns(table, names)
}

function ownColumns({ columns }: ReadTable, names: readonly string[]): string[] {
  return names.flatMap((name) => columns.find((column) => column.name === name)?.source ?? [])
}

/** How large tables are read in parts: by their pages, or before PostgreSQL 14 by their keys. */
async function divide(
  { partPages, byKeys }: PostgresSourceOptions,
  connection: Connection,
  found: {
    readonly tables: readonly Relation[]
    /** In the same order. */
    readonly described: readonly ReadTable[]
    readonly sizes: ReadonlyMap<string, TableSize>
    readonly version: string
  },
): Promise<ReadonlyMap<ReadTable, readonly TablePart[]>> {
  const candidates = found.described.flatMap((table, index) => {
    const { oid = '' } = found.tables[index] ?? {}
    const size = found.sizes.get(oid)
    if (size?.heap !== true) return []
    const pages = dividePages(size.pages, partPages)
    return pages.length === 0 ? [] : [{ table, oid, size, pages }]
  })
  if (Number.parseInt(found.version, 10) >= 14 && byKeys !== true)
    return new Map(candidates.map(({ table, pages }) => [table, pages]))
  const keyed = candidates.flatMap(({ table, oid, size }) => {
    // What is masked is named nowhere, and parts are named by their bounds.
    const isMasked = table.key.some((name) => table.expressions.has(name) || table.hashed.has(name))
    const [column] = isMasked ? [] : ownColumns(table, table.key)
    return column === undefined ? [] : [{ table, oid, size, column, relation: table.relation }]
  })
  const spans = keyed.length === 0 ? new Map<string, never>() : await measureKeys(connection, keyed)
  return new Map(
    keyed.flatMap(({ table, oid, size, column }) => {
      const span = spans.get(oid)
      return span === undefined
        ? []
        : [[table, divideKeys({ column, ...span }, size.pages, partPages)] as const]
    }),
  )
}

/** Values that the config hashes are hashed before the sink sees them. */
function hashing(
  table: ReadTable,
  reading: SourceReading,
  secret: Secret | null,
  sink: RowSink,
): RowSink {
  const names = columnsRead(table, reading)
  const first = selectedBeside(table, reading).before.length
  const positions = names.flatMap((name, index) => (table.hashed.has(name) ? [first + index] : []))
  if (positions.length === 0) return sink
  if (secret === null) throw new RangeError(`table "${table.name}" is masked without a secret`)
  return maskRows(sink, new Set(positions), secret)
}
