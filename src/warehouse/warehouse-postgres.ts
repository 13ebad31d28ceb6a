/**
 * The warehouse in a PostgreSQL. It connects when first asked, keeps that one connection, and lets
 * go of it when anything fails: the server rolls back, and the next call begins afresh.
 */
import { ToteError } from '../errors.ts'
import { connect, type Connection } from '../postgres/connection.ts'
import { followLabels, tryAlterations } from '../star/alter-star.ts'
import { applyBatch } from './apply.ts'
import type { Site, Surveyed } from './session.ts'
import { readCatalogue, readEmptyTables, readTypes } from '../star/catalogue.ts'
import { loadOrder } from '../star/layout.ts'
import { ledgerIn, readElsewhere, readLast, readLedger } from './ledger.ts'
import { grantReaders, readRights, requireReaders, requireRights } from '../star/rights.ts'
import { readStar } from './reading.ts'
import { rebuildStar } from './rebuild.ts'
import { applyRestatement, repairStar } from './restate.ts'
import { beginLoading, lockPipeline } from './session.ts'
import {
  compareShape,
  incompleteTables,
  needsOf,
  relationNames,
  unknownTypes,
} from '../star/shape.ts'
import type { StarTable } from '../star/star-table.ts'
import type { Warehouse, WholeStar } from './warehouse.ts'
import { beginStar, refuseFilled } from './whole.ts'

export interface PostgresWarehouseOptions {
  /** The URL, or how to get it when a connection is first needed (an embedded server starts then). */
  readonly url: string | (() => Promise<string>)
  /** Where the star lies; created when it is missing and we may. */
  readonly schema: string
  /** The ledger's schema, likewise. */
  readonly ledger: string
  /** Roles that are kept able to read the star. */
  readonly readers: readonly string[]
  /** As of a connection. */
  readonly silenceMs?: number | undefined
  /** Aborting ends the connection at once. */
  readonly signal?: AbortSignal | undefined
}

/** Opens the warehouse without connecting yet. */
export async function openPostgresWarehouse(options: PostgresWarehouseOptions): Promise<Warehouse> {
  const { url, schema, readers, silenceMs, signal } = options
  const ledger = ledgerIn(options.ledger)
  let open: Promise<Connection> | undefined
  const close = async (): Promise<void> => {
    const closing = open
    open = undefined
    await closing?.then(async (connection) => connection.close()).catch(() => undefined)
  }
  /** Runs one piece of work; a failure ends its transaction and the connection with it. */
  const use = async <T>(action: (site: Site) => Promise<T>): Promise<T> => {
    try {
      // Extraction may have taken long since the last call, and servers and proxies end idle sessions.
      await open
        ?.then(async (connection) =>
          connection.query('see whether the connection still stands', 'select'),
        )
        .catch(close)
      open ??= (async () =>
        connect({
          side: 'warehouse',
          name: 'warehouse',
          url: typeof url === 'string' ? url : await url(),
          silenceMs,
          signal,
        }))()
      const connection = await open
      const at = (place: string): Site => ({
        connection,
        schema: place,
        ledger,
        readers,
        survey: async (star, ask) =>
          survey(connection, { schema: place, ledger: ledger.schema, star, ask }),
        at,
      })
      return await action(at(schema))
    } catch (error) {
      await open
        ?.then(async (connection) => connection.query('roll back', 'rollback'))
        .catch(() => undefined)
      await close()
      throw error
    }
  }
  return {
    last: async (pipeline) => use(async (site) => readLast(site, pipeline)),
    check: async (star, live = [], refilled = () => false) =>
      use(async (site) => {
        await site.connection.query('begin', beginLoading('read write'))
        await requireReaders(site.connection, readers)
        if (live.length > 0) await tryAlterations(site, { star: loadOrder(star), live, refilled })
        const { rights, plans } = await site.survey(loadOrder(star), 'incomplete')
        requireRights(rights, needsOf(schema, plans), site.connection.peer.address)
        await site.connection.query('roll back', 'rollback')
      }),
    restate: async (restatement, context) =>
      use(async (site) => {
        await followLabels(site.connection, restatement, context)
        return applyRestatement(site, restatement, context)
      }),
    begin: async (whole, context) =>
      use(async (site) => {
        await followLabels(site.connection, { star: starOf(whole), live: [] }, context)
        return beginStar(site, whole, context)
      }),
    reading: async (work) => use(async (site) => readStar(site, work)),
    repair: async (repair, context) => use(async (site) => repairStar(site, repair, context)),
    rebuild: async (whole, options, context) =>
      use(async (site) => {
        const star = starOf(whole)
        if (!options.dryRun) await followLabels(site.connection, { star, live: [] }, context)
        return rebuildStar(site, whole, options, context)
      }),
    apply: async (batch, context) =>
      use(async (site) => {
        const { live, changes } = batch
        const star = changes.map(({ table }) => table)
        await followLabels(site.connection, { star, live }, context)
        return applyBatch(site, batch, context)
      }),
    probe: async () =>
      use(async ({ connection }) => {
        await connection.query('begin', beginLoading('read only'))
        await requireReaders(connection, readers)
        requireRights(
          await readRights(connection, { schema, ledger: ledger.schema }),
          { schema, creates: true, tables: [], alters: [] },
          connection.peer.address,
        )
        const [row] = await connection.query('identify the server', PLACE)
        await connection.query('roll back', 'rollback')
        return { started: row?.['started'] ?? '', databaseOid: row?.['database_oid'] ?? '' }
      }),
    refuseStrangers: async (pipeline, star) =>
      use(async (site) => {
        await site.connection.query('begin', beginLoading('read write'))
        if ((await readLast(site, pipeline)) === null) {
          const elsewhere = await readElsewhere(site, pipeline)
          const surveyed = await site.survey(loadOrder(star), 'all')
          const { rights, plans } = surveyed
          requireRights(rights, needsOf(schema, plans), site.connection.peer.address)
          refuseFilled(site, { pipeline, batch: 0 }, { ...surveyed, ledger: { elsewhere } })
        }
        await site.connection.query('roll back', 'rollback')
      }),
    missing: async (tables) =>
      use(async ({ connection }) => {
        const rows = await connection.query('look for the tables', MISSING, [
          schema,
          JSON.stringify(tables),
        ])
        return rows.map(({ name }) => name ?? '')
      }),
    upgradeLedger: async (pipeline) =>
      use(async (site) => {
        await site.connection.query('begin', beginLoading('read write'))
        await site.connection.query(
          `wait for another loader of "${pipeline}"`,
          lockPipeline(pipeline, ledger.schema),
        )
        await readLedger(site, { pipeline, batch: 0 })
        await site.connection.query('commit', 'commit')
      }),
    keepReaders: async (star) => {
      if (readers.length === 0) return
      await use(async ({ connection }) => {
        await connection.query('begin', beginLoading('read write'))
        await requireReaders(connection, readers)
        const relations = relationNames(star)
        await grantReaders(connection, { schema, ledger: ledger.schema, readers, relations })
        await connection.query('commit', 'commit')
      })
    },
    close,
  }
}

const MISSING = `select t.name from pg_catalog.jsonb_array_elements_text($2::jsonb) as t(name) where not exists (
  select from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where n.nspname = $1 and c.relname = t.name and c.relkind in ('r', 'p')) order by 1`

const PLACE = `select pg_postmaster_start_time()::text as started,
  (select oid from pg_catalog.pg_database where datname = current_database())::text as database_oid`

const starOf = ({ tables }: WholeStar): StarTable[] => tables.map(({ table }) => table)

/** What is there, compared with what the star needs. Throws WarehouseShapeMismatch with every difference. */
async function survey(
  connection: Connection,
  {
    schema,
    ledger,
    star,
    ask,
  }: {
    readonly schema: string
    readonly ledger: string
    readonly star: readonly StarTable[]
    readonly ask: 'all' | 'incomplete'
  },
): Promise<Surveyed> {
  const rights = await readRights(connection, { schema, ledger })
  const catalogue = await readCatalogue(connection, schema, relationNames(star))
  const types = rights.databaseTemp
    ? await readTypes(connection, unknownTypes(star, catalogue))
    : new Map<string, string | null>()
  const tables = star
    .map(({ name }) => name)
    .filter((name) => ['r', 'p'].includes(catalogue.get(name)?.kind ?? ''))
  const asked = (ask === 'all' ? tables : incompleteTables(star, catalogue)).filter(
    (name) => rights.schemaUsage && catalogue.get(name)?.rights.includes('select') === true,
  )
  const empty = await readEmptyTables(connection, schema, asked)
  const { plans, problems } = compareShape(star, { schema, catalogue, types, empty })
  if (problems.length > 0) {
    throw new ToteError(
      'WarehouseShapeMismatch',
      problems.length === 1
        ? 'A warehouse table is not what its model needs.'
        : `The warehouse's tables differ from their models in ${problems.length} places.`,
      {
        where: connection.peer.address,
        problems,
        details: { schema, differences: problems.length },
      },
    )
  }
  return { rights, plans, empty }
}
