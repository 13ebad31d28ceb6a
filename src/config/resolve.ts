/**
 * From what a config says to the project that runs: a pure function of the exported object, the
 * environment and the folder. Every problem is found in one go.
 */
import { basename, join, resolve } from 'node:path'
import { giveValues, isPlain, type Lookup } from './environment.ts'
import { environmentNames, variantOf, type Variant } from './environments.ts'
import { describeIssues, type Finding } from './findings.ts'
import type { Path } from './places.ts'
import type { Project, SourceSettings, TableSettings } from './project.ts'
import { placeName } from './report.ts'
import { projectSchema, type CheckedConfig } from './schema.ts'
import { redactText } from '../secrets/secret.ts'
import { isExact, parseTableName, withSchema } from './table-name.ts'

export interface Written {
  /** What tote.config.ts exports. */
  readonly config: unknown
  /** Absolute. */
  readonly configFile: string
  /** Absolute. */
  readonly folder: string
  /** Whether the folder, absolute, is there. */
  hasFolder(path: string): boolean
  /** The text of tote.config.ts, to name the lines of settings that only the source can judge. */
  readonly text: string
  /** The environment that was chosen; it is known to be one of the config. */
  readonly environment: string | null
}

/** The project, or everything that is wrong with it. */
export function resolveProject(written: Written, lookup: Lookup): Project | Finding[] {
  const { config, environment } = written
  const chosen = judge(variantOf(config, environment), written, lookup)
  const others = [null, ...environmentNames(config)]
    .filter((name) => name !== environment)
    .map((name) => judge(variantOf(config, name), written, lookup))
  const all = [
    ...environmentFindings(config),
    ...chosen.findings,
    // Of the others, what is wrong whatever variables are set here, and written there.
    ...others.flatMap(({ findings, variant }) =>
      findings.filter(
        ({ path, variable }) =>
          variable === undefined && variant.name !== null && path[0] === 'environments',
      ),
    ),
    ...sharedFindings(chosen, others, written),
  ]
  return chosen.settings === undefined || all.length > 0 ? all : projectOf(chosen.settings, written)
}

/** The settings of one environment, judged. */
interface Judged {
  readonly variant: Variant
  readonly findings: readonly Finding[]
  /** undefined when something is wrong. */
  readonly settings: CheckedConfig | undefined
}

function judge(variant: Variant, written: Written, lookup: Lookup): Judged {
  const { given, unset } = giveValues(variant.config, lookup)
  // Compiling a parser would cost more than this one parse.
  const checked = projectSchema.safeParse(given, { jitless: true })
  const settings = checked.success ? ownSettings(checked.data, variant) : undefined
  const findings = [
    ...unset.map(({ path, variable }) => ({
      path,
      variable,
      message: `environment variable ${variable} is not set`,
    })),
    ...nameFindings(given),
    ...folderFindings(given, written),
    ...(settings === undefined
      ? describeIssues(checked.error?.issues ?? [], given)
      : [
          ...zoneFindings(settings, written),
          ...schemaFindings(settings),
          ...tableFindings(settings),
        ]),
  ]
  return {
    variant,
    settings: findings.length === 0 ? settings : undefined,
    findings: findings.map((finding) => ({ ...finding, path: variant.written(finding.path) })),
  }
}

/** An environment has its own lake, star and ledger: where it does not name them, its name is added. */
function ownSettings(settings: CheckedConfig, { name, gives }: Variant): CheckedConfig {
  if (name === null) return settings
  const { lake, warehouse } = settings
  const own = (path: Path, value: string, sign: string): string =>
    gives(path) ? value : `${value.replace(/(.)\/+$/, '$1')}${sign}${name}`
  return {
    ...settings,
    lake: {
      ...lake,
      ingestion: own(['lake', 'ingestion'], lake.ingestion, '-'),
      processed: own(['lake', 'processed'], lake.processed, '-'),
    },
    warehouse: {
      ...warehouse,
      schema: own(['warehouse', 'schema'], warehouse.schema, '_'),
      ledger: own(['warehouse', 'ledger'], warehouse.ledger, '_'),
    },
  }
}

function projectOf(config: CheckedConfig, written: Written): Project {
  const { configFile, folder, hasFolder, text, environment } = written
  const { written: placed } = variantOf(written.config, environment)
  const file = { name: basename(configFile), text }
  const seeds = resolve(folder, config.seeds ?? 'seeds')
  const homeFolder = join(folder, '.tote')
  return {
    name: config.name,
    environment,
    folder,
    configFile,
    homeFolder,
    stateFolder: environment === null ? homeFolder : join(homeFolder, 'environments', environment),
    sources: Object.entries(config.sources).map(([name, source]) =>
      sourceOf(name, source, (path) => placeName(file, placed(path))),
    ),
    seeds: hasFolder(seeds) ? seeds : null,
    models: resolve(folder, config.models),
    ...(config.memory === undefined ? {} : { memory: config.memory }),
    maskSecret: config.maskSecret ?? null,
    lake: {
      ...config.lake,
      ingestion: resolve(folder, config.lake.ingestion),
      processed: resolve(folder, config.lake.processed),
    },
    silenceMs: config.silenceTimeout,
    warehouse: {
      database: config.warehouse.url,
      schema: config.warehouse.schema,
      ledger: config.warehouse.ledger,
      readers: config.warehouse.readers,
    },
  }
}

type CheckedSource = CheckedConfig['sources'][string]

function sourceOf(
  name: string,
  source: CheckedSource,
  place: (path: Path) => string,
): SourceSettings {
  const { url, lockTimeout, statementTimeout, giveWayAfter, rateLimit, ...rest } = source
  const qualified = (pattern: string): string => withSchema(pattern, source.defaultSchema)
  return {
    ...rest,
    name,
    database: url,
    tables: {
      include: source.tables.include.map(qualified),
      exclude: source.tables.exclude.map(qualified),
    },
    table: Object.entries(source.table).map(
      ([table, { columns, where, mask, key, strategy, cursor, contract }]): TableSettings => ({
        table: qualified(table),
        columns: { include: columns.include ?? null, exclude: columns.exclude },
        where: where ?? null,
        mask,
        key: key ?? null,
        strategy: cursor === undefined ? (strategy ?? null) : 'cursor',
        cursor:
          cursor === undefined
            ? null
            : {
                column: cursor.column,
                lookBack: cursor.lookBack ?? null,
                reconcileMs: cursor.reconcile,
              },
        contract: contract ?? null,
        place: (...path) => place(['sources', name, 'table', table, ...path]),
      }),
    ),
    lockTimeoutMs: lockTimeout,
    statementTimeoutMs: statementTimeout,
    giveWayAfterMs: giveWayAfter,
    rateLimit: rateLimit ?? null,
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

function environmentFindings(config: unknown): Finding[] {
  const environments = isPlain(config) ? config['environments'] : undefined
  if (environments === undefined) return []
  const path = ['environments']
  if (!isPlain(environments))
    return [{ path, message: 'environments must be an object { … }, by name' }]
  return Object.entries(environments).flatMap(([name, own]): Finding[] => {
    const here = [...path, name]
    if (!/^[a-z][a-z0-9_]{0,30}$/.test(name))
      return [
        {
          path: here,
          message: `"${name}" cannot be the name of an environment: schemas and folders are called by it, so it may hold a-z, 0-9 and "_" (31 at most) and must begin with a letter`,
        },
      ]
    if (!isPlain(own))
      return [{ path: here, message: `environments.${name} must be an object { … } of settings` }]
    return ['name', 'environments']
      .filter((key) => Object.hasOwn(own, key))
      .map((key) => ({
        path: [...here, key],
        message: `${key} is the same in every environment`,
      }))
  })
}

/** Two environments on one zone would write into each other's history. */
function sharedFindings(chosen: Judged, others: readonly Judged[], { folder }: Written): Finding[] {
  return (['ingestion', 'processed'] as const).flatMap((zone) => {
    const path = ['lake', zone]
    const other = others.find(
      ({ settings }) =>
        settings !== undefined &&
        chosen.settings !== undefined &&
        resolve(folder, settings.lake[zone]) === resolve(folder, chosen.settings.lake[zone]),
    )
    if (other === undefined) return []
    const whose =
      other.variant.name === null
        ? 'the folder without an environment'
        : `the folder of environment "${other.variant.name}"`
    return [{ path: chosen.variant.written(path), message: `lake.${zone} is ${whose}, too` }]
  })
}

function schemaFindings({ warehouse: { schema, ledger } }: CheckedConfig): Finding[] {
  const long = Object.entries({ schema, ledger }).filter(([, name]) => name.length > 63)
  return [
    ...(schema === ledger
      ? [
          {
            path: ['warehouse', 'schema'],
            message: `warehouse.schema must not be "${ledger}", where the ledger lies`,
          },
        ]
      : []),
    ...long.map(([setting, name]) => ({
      path: ['warehouse', setting],
      message: `warehouse.${setting} is "${name}", and must have at most 63 characters`,
    })),
  ]
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

/** What the settings of single tables contradict in each other; the rest only the source can judge. */
function tableFindings(config: CheckedConfig): Finding[] {
  return Object.entries(config.sources).flatMap(([source, { table: tables, defaultSchema }]) => {
    const seen = new Map<string, string>()
    return Object.entries(tables).flatMap(([table, settings]): Finding[] => {
      const { columns, mask, key, strategy, cursor } = settings
      const path = ['sources', source, 'table', table]
      const written = parseTableName(table)
      if (written === undefined || !isExact(written))
        return [
          {
            path,
            message: `"${table}" must be one table: "table" or "schema.table", odd names in quotes as in SQL`,
          },
        ]
      const full = JSON.stringify([written.schema?.text ?? defaultSchema, written.name.text])
      const twice = seen.get(full)
      seen.set(full, table)
      return [
        ...(twice === undefined
          ? []
          : [{ path, message: `"${table}" is the same table as "${twice}"` }]),
        ...(cursor === undefined && strategy === 'cursor'
          ? [
              {
                path: [...path, 'strategy'],
                message: 'a cursor needs its column: cursor: { column }',
              },
            ]
          : []),
        ...(cursor !== undefined && strategy !== undefined && strategy !== 'cursor'
          ? [{ path: [...path, 'cursor'], message: `the strategy "${strategy}" has no cursor` }]
          : []),
        ...Object.entries(mask).flatMap(([column, how]): Finding[] => [
          ...(how === 'hash' && config.maskSecret === undefined
            ? [
                {
                  path: [...path, 'mask', column],
                  message: 'hash needs a key: maskSecret, beside sources',
                },
              ]
            : []),
          ...(columns.exclude.includes(column)
            ? [
                {
                  path: [...path, 'mask', column],
                  message: `column "${column}" is left out by columns.exclude; it needs no mask`,
                },
              ]
            : []),
        ]),
        ...(key ?? []).flatMap((column, index): Finding[] => {
          const how = columns.exclude.includes(column) ? 'columns.exclude' : mask[column]
          return how === undefined || how === 'hash'
            ? []
            : [
                {
                  path: [...path, 'key', index],
                  message: `the key needs column "${column}", which ${how === 'columns.exclude' ? how : 'mask'} takes away`,
                },
              ]
        }),
      ]
    })
  })
}
