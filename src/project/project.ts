/**
 * A project, opened: the one place that turns settings into sources, zones and a warehouse. Nothing
 * connects until it is needed.
 */
import { join } from 'node:path'
import { openEngineHome, type Engine } from '../columns/engine.ts'
import { loadProject } from '../config/load.ts'
import type { Project as Settings, SourceSettings } from '../config/project.ts'
import { openDatabaseUrls } from '../embedded/database-url.ts'
import { openZone, type Zone } from '../lake/zone.ts'
import type { EmbeddedDatabase } from '../embedded/database.ts'
import { openPostgresSource } from '../sources/source-postgres.ts'
import { openSeedsSource } from '../sources/source-seeds.ts'
import type { Source } from '../sources/source.ts'
import { openStore } from '../storage/open-store.ts'
import { openTempFolder } from '../storage/temp-folder.ts'
import { openPostgresWarehouse } from '../warehouse/warehouse-postgres.ts'
import type { Warehouse } from '../warehouse/warehouse.ts'

/** The chain and the schema under which seeds are known. */
export const SEEDS = 'seeds'

export interface ProjectSource {
  readonly source: Source
  /** null for seeds: a file may shrink as its owner likes. */
  readonly shrinkLimit: SourceSettings['shrinkLimit'] | null
  /** Tables of this schema are also known with it before their name. */
  readonly defaultSchema: string | null
}

export interface Project {
  readonly name: string
  /** The environment that was chosen, or null. */
  readonly environment: string | null
  readonly folder: string
  readonly stateFolder: string
  readonly settings: Settings
  readonly sources: readonly ProjectSource[]
  readonly ingestion: Zone
  readonly processed: Zone
  readonly warehouse: Warehouse
  /** Where pieces and DuckDB's spills go: this opening's own, removed by `close`. */
  readonly tempFolder: string
  /** The warehouse's URL, for reading queries. */
  warehouseUrl(): Promise<string>
  /** The embedded database of that name, its owner's URL included; null when a URL was given instead. */
  embedded(database: string): Promise<EmbeddedDatabase | null>
  /** A DuckDB with a database of its own; the caller closes it. It must not be confined. */
  engine(signal?: AbortSignal): Promise<Engine>
  /** Ends connections, stops the embedded server if nobody else uses it, removes temporary files. */
  close(): Promise<void>
}

export interface OpenOptions {
  readonly cwd: string
  readonly configFile?: string | undefined
  /** The environment, such as `dev`; else what TOTE_ENV says, else none. */
  readonly env?: string | undefined
  /** Aborting ends the warehouse's connection at once. */
  readonly signal?: AbortSignal | undefined
  /** Told of slow things that happen before a run, for example filling an embedded database. */
  readonly log?: ((text: string) => void) | undefined
}

/** Loads tote.config.ts and opens the project. Throws ConfigNotFound, ConfigInvalid, NotSupportedYet. */
export async function openProject(options: OpenOptions): Promise<Project> {
  const settings = await loadProject({
    cwd: options.cwd,
    ...(options.configFile === undefined ? {} : { configFile: options.configFile }),
    ...(options.env === undefined ? {} : { env: options.env }),
  })
  const urls = openDatabaseUrls(settings.homeFolder, options.log ?? (() => undefined))
  const temp = await openTempFolder(join(settings.stateFolder, 'tmp'))
  const tempFolder = temp.path
  const engines = openEngineHome({ tempFolder, memoryLimit: settings.memory })
  const postgres = settings.sources.map((source): ProjectSource => ({
    shrinkLimit: source.shrinkLimit,
    defaultSchema: source.defaultSchema,
    source: openPostgresSource({
      name: source.name,
      url: async () => urls.urlOf(source.database),
      tables: { ...source.tables, defaultSchema: source.defaultSchema },
      table: source.table,
      strategy: source.strategy,
      contract: source.contract,
      maskSecret: settings.maskSecret,
      limits: source,
      silenceMs: settings.silenceMs,
      giveWayAfterMs: source.giveWayAfterMs,
      rateLimit: source.rateLimit,
      readers: source.readers,
      // A page has 8 kB, unless the server was built otherwise.
      partPages: 128 * source.partSize,
    }),
  }))
  const seeds: ProjectSource[] =
    settings.seeds === null
      ? []
      : [
          {
            shrinkLimit: null,
            defaultSchema: null,
            source: openSeedsSource({ name: SEEDS, folder: settings.seeds, tempFolder }),
          },
        ]
  const sources = [...postgres, ...seeds]
  const warehouseUrl = async (): Promise<string> => urls.urlOf(settings.warehouse.database)
  const warehouse = await openPostgresWarehouse({
    url: warehouseUrl,
    schema: settings.warehouse.schema,
    ledger: settings.warehouse.ledger,
    readers: settings.warehouse.readers,
    silenceMs: settings.silenceMs,
    signal: options.signal,
  })
  return {
    name: settings.name,
    environment: settings.environment,
    folder: settings.folder,
    stateFolder: settings.stateFolder,
    settings,
    sources,
    ingestion: openZone(openStore(settings.lake.ingestion), settings.lake.format),
    processed: openZone(openStore(settings.lake.processed)),
    warehouse,
    tempFolder,
    warehouseUrl,
    embedded: async (name) => {
      const databases = [
        ...settings.sources.map((source) => source.database),
        settings.warehouse.database,
      ]
      const found = databases.find(
        (database) => database.type === 'embedded' && database.database === name,
      )
      return found === undefined ? null : urls.embeddedOf(found)
    },
    engine: engines.engine,
    close: async () => {
      await Promise.allSettled([
        ...sources.map(async ({ source }) => source.close()),
        warehouse.close(),
        engines.close(),
      ])
      await urls.close()
      await temp.remove()
    },
  }
}
