/**
 * From what a config says to the project that runs: a pure function of the exported object, the
 * environment and the folder. Every problem is found in one go.
 */
import { join, resolve } from 'node:path'
import { giveValues, isPlain, type Lookup } from './environment.ts'
import { describeIssues, type Finding } from './findings.ts'
import type { Project, SourceSettings } from './project.ts'
import { projectSchema, type CheckedConfig } from './schema.ts'
import { redactText } from '../secrets/secret.ts'

export interface Written {
  /** What tote.config.ts exports. */
  readonly config: unknown
  /** Absolute. */
  readonly configFile: string
  /** Absolute. */
  readonly folder: string
  /** Whether the folder, absolute, is there. */
  hasFolder(path: string): boolean
}

/** The project, or everything that is wrong with it. */
export function resolveProject(written: Written, lookup: Lookup): Project | Finding[] {
  const { given, unset } = giveValues(written.config, lookup)
  // Compiling a parser would cost more than this one parse.
  const checked = projectSchema.safeParse(given, { jitless: true })
  const all = [
    ...unset.map(({ path, variable }) => ({
      path,
      variable,
      message: `environment variable ${variable} is not set`,
    })),
    ...nameFindings(given),
    ...folderFindings(given, written),
    ...(checked.success
      ? zoneFindings(checked.data, written)
      : describeIssues(checked.error.issues, given)),
  ]
  return checked.success && all.length === 0 ? projectOf(checked.data, written) : all
}

function projectOf(config: CheckedConfig, { configFile, folder, hasFolder }: Written): Project {
  const seeds = resolve(folder, config.seeds ?? 'seeds')
  return {
    name: config.name,
    folder,
    configFile,
    stateFolder: join(folder, '.tote'),
    sources: Object.entries(config.sources).map(([name, source]) => sourceOf(name, source)),
    seeds: hasFolder(seeds) ? seeds : null,
    models: resolve(folder, config.models),
    lake: {
      ...config.lake,
      ingestion: resolve(folder, config.lake.ingestion),
      processed: resolve(folder, config.lake.processed),
    },
    warehouse: {
      database: config.warehouse.url,
      schema: config.warehouse.schema,
      readers: config.warehouse.readers,
    },
  }
}

function sourceOf(name: string, source: CheckedConfig['sources'][string]): SourceSettings {
  const { url, strategy: _, lockTimeout, statementTimeout, giveWayAfter, ...rest } = source
  const qualified = (pattern: string): string =>
    pattern.includes('.') ? pattern : `${source.defaultSchema}.${pattern}`
  return {
    ...rest,
    name,
    database: url,
    tables: {
      include: source.tables.include.map(qualified),
      exclude: source.tables.exclude.map(qualified),
    },
    strategy: 'compare',
    lockTimeoutMs: lockTimeout,
    statementTimeoutMs: statementTimeout,
    giveWayAfterMs: giveWayAfter,
  }
}

// A source's name is a schema in the SQL of models: DuckDB's own and ours are taken.
const RESERVED = ['seeds', 'changes', 'main', 'tote', 'temp', 'information_schema', 'pg_catalog']

function nameFindings(config: unknown): Finding[] {
  const sources = isPlain(config) ? config['sources'] : undefined
  if (!isPlain(sources)) return []
  const names = Object.keys(sources)
  if (names.length === 0)
    return [{ path: ['sources'], message: 'sources must name at least one source' }]
  return names.flatMap((name) => {
    const path = ['sources', name]
    if (RESERVED.includes(name) || name.endsWith('_changes'))
      return [{ path, message: `"${name}" cannot be the name of a source: it is taken` }]
    if (/^[a-z_][a-z0-9_]{0,62}$/.test(name)) return []
    return [
      {
        path,
        message: `"${name}" cannot be the name of a source: models use it in SQL, so it may hold a-z, 0-9 and "_" (63 at most) and must not begin with a digit`,
      },
    ]
  })
}

function folderFindings(config: unknown, { folder, hasFolder }: Written): Finding[] {
  const settings = isPlain(config)
    ? { models: config['models'] ?? 'models', seeds: config['seeds'] }
    : {}
  return Object.entries(settings).flatMap(([name, path]) =>
    typeof path !== 'string' || path === '' || hasFolder(resolve(folder, path))
      ? []
      : [
          {
            path: [name],
            message: `${name} names a folder that is not there: "${redactText(path)}"`,
          },
        ],
  )
}

function zoneFindings({ lake }: CheckedConfig, { folder }: Written): Finding[] {
  return resolve(folder, lake.ingestion) === resolve(folder, lake.processed)
    ? [
        {
          path: ['lake', 'processed'],
          message: 'lake.processed must not be the folder of lake.ingestion',
        },
      ]
    : []
}
