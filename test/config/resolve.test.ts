import { expect, expectTypeOf, test } from 'vitest'
import { formatPath } from '../../src/config/findings.ts'
import { defineProject, type Project } from '../../src/config/project.ts'
import { embedded, env } from '../../src/secrets/reference.ts'
import { resolveProject } from '../../src/config/resolve.ts'
import type { ProjectConfig } from '../../src/config/schema.ts'

const URL = 'postgres://tote@db.internal/shop'
const SOURCE = { type: 'postgres', url: URL } as const
const CONFIG = { name: 'shop', sources: { shop: SOURCE }, warehouse: { url: URL } } as const

interface Given {
  environment?: Record<string, string>
  folders?: string[]
  /** The project's environment. */
  env?: string | null
}

function resolve(
  config: unknown,
  { environment: variables = {}, folders = ['/p/models'], env: environment = null }: Given = {},
): ReturnType<typeof resolveProject> {
  const hasFolder = (path: string): boolean => folders.includes(path)
  return resolveProject(
    { config, configFile: '/p/tote.config.ts', folder: '/p', hasFolder, text: '', environment },
    (name) => variables[name],
  )
}

function project(config: unknown, given?: Given): Project {
  const resolved = resolve(config, given)
  if (Array.isArray(resolved)) throw new Error(problems(config, given).join('\n'))
  return resolved
}

/** Each finding as `path: message`. */
function problems(config: unknown, given?: Given): string[] {
  const resolved = resolve(config, given)
  return Array.isArray(resolved)
    ? resolved.map(
        ({ path, message, notYet }) =>
          `${notYet === true ? '(later) ' : ''}${formatPath(path)}: ${message}`,
      )
    : []
}

test('a small config is a whole project: defaults are filled in, paths are absolute', () => {
  expect(project(CONFIG)).toMatchInlineSnapshot(`
    {
      "configFile": "/p/tote.config.ts",
      "environment": null,
      "folder": "/p",
      "homeFolder": "/p/.tote",
      "lake": {
        "baseAfter": {
          "files": 32,
        },
        "format": "parquet",
        "ingestion": "/p/.tote/lake/ingestion",
        "processed": "/p/.tote/lake/processed",
      },
      "maskSecret": null,
      "models": "/p/models",
      "name": "shop",
      "seeds": null,
      "silenceMs": 30000,
      "sources": [
        {
          "contract": "evolve",
          "database": {
            "type": "url",
            "url": "postgres://tote@db.internal/shop",
            "variable": null,
          },
          "defaultSchema": "public",
          "giveWayAfterMs": 3000,
          "lockTimeoutMs": 5000,
          "name": "shop",
          "partSize": 64,
          "rateLimit": null,
          "readers": 1,
          "shrinkLimit": {
            "fromRows": 1000,
            "share": 0.5,
          },
          "statementTimeoutMs": 1800000,
          "strategy": "auto",
          "table": [],
          "tables": {
            "exclude": [
              "public._prisma_migrations",
            ],
            "include": [
              "public.*",
            ],
          },
          "type": "postgres",
        },
      ],
      "stateFolder": "/p/.tote",
      "warehouse": {
        "database": {
          "type": "url",
          "url": "postgres://tote@db.internal/shop",
          "variable": null,
        },
        "ledger": "tote",
        "readers": [],
        "schema": "public",
      },
    }
  `)
})

test('every setting can be written', () => {
  const setup = async (): Promise<void> => {}
  const config = defineProject({
    name: 'totesys',
    sources: {
      totesys: {
        type: 'postgres',
        url: env(
          'TOTESYS_URL',
          embedded({ database: 'totesys', owner: 'totesys_owner', reader: 'tote_reader', setup }),
        ),
        defaultSchema: 'app',
        tables: { include: ['*', 'audit.log_*'], exclude: ['secrets'] },
        strategy: 'auto',
        shrinkLimit: { share: 0.1, fromRows: 5 },
        lockTimeout: '500ms',
        statementTimeout: 90_000,
        giveWayAfter: '1.5s',
        rateLimit: '1.5MB/s',
      },
    },
    seeds: 'data/seeds',
    models: '../models',
    lake: {
      ingestion: env('IN', '.in'),
      processed: '/abs/out',
      format: 'parquet',
      baseAfter: { files: 4 },
    },
    warehouse: { url: env('W'), schema: 'mart', readers: ['bi'] },
  })
  const environment = { W: 'postgres://u:S3CR3T@h/w', IN: '/env/in' }
  const resolved = project(config, { environment, folders: ['/p/data/seeds', '/models'] })
  expect(resolved).toMatchInlineSnapshot(`
    {
      "configFile": "/p/tote.config.ts",
      "environment": null,
      "folder": "/p",
      "homeFolder": "/p/.tote",
      "lake": {
        "baseAfter": {
          "files": 4,
        },
        "format": "parquet",
        "ingestion": "/env/in",
        "processed": "/abs/out",
      },
      "maskSecret": null,
      "models": "/models",
      "name": "totesys",
      "seeds": "/p/data/seeds",
      "silenceMs": 30000,
      "sources": [
        {
          "contract": "evolve",
          "database": {
            "database": "totesys",
            "owner": "totesys_owner",
            "reader": "tote_reader",
            "setup": [Function],
            "type": "embedded",
          },
          "defaultSchema": "app",
          "giveWayAfterMs": 1500,
          "lockTimeoutMs": 500,
          "name": "totesys",
          "partSize": 64,
          "rateLimit": 1500000,
          "readers": 1,
          "shrinkLimit": {
            "fromRows": 5,
            "share": 0.1,
          },
          "statementTimeoutMs": 90000,
          "strategy": "auto",
          "table": [],
          "tables": {
            "exclude": [
              "app.secrets",
            ],
            "include": [
              "app.*",
              "audit.log_*",
            ],
          },
          "type": "postgres",
        },
      ],
      "stateFolder": "/p/.tote",
      "warehouse": {
        "database": {
          "type": "url",
          "url": "postgres://u:***@h/w",
          "variable": "W",
        },
        "ledger": "tote",
        "readers": [
          "bi",
        ],
        "schema": "mart",
      },
    }
  `)
  expect(resolved.sources[0]?.database).toMatchObject({ type: 'embedded', setup })
  expect(
    resolved.warehouse.database.type === 'url' && resolved.warehouse.database.url.reveal(),
  ).toBe(environment.W)
})

test('a URL in the environment wins over the embedded database', () => {
  const config = {
    ...CONFIG,
    warehouse: { url: env('W', embedded({ database: 'w', owner: 'o' })) },
  }
  expect(project(config).warehouse.database).toMatchObject({
    type: 'embedded',
    database: 'w',
    owner: 'o',
    reader: null,
    setup: null,
  })
  expect(project(config, { environment: { W: URL } }).warehouse.database).toMatchObject({
    type: 'url',
    variable: 'W',
  })
})

test('seeds are found in seeds/ unless another folder is named', () => {
  expect(project(CONFIG, { folders: ['/p/models', '/p/seeds'] }).seeds).toBe('/p/seeds')
  expect(project(CONFIG).seeds).toBeNull()
  expect(problems({ ...CONFIG, seeds: 'sedes' })).toMatchInlineSnapshot(`
    [
      "seeds: seeds names a folder that is not there: "sedes"",
    ]
  `)
})

test('one mistake gives one problem: a misspelt setting is not missing as well', () => {
  expect(problems({ ...CONFIG, sources: { shop: { type: 'postgres', urll: URL } } }))
    .toMatchInlineSnapshot(`
    [
      "sources.shop.urll: "urll" is not a setting of sources.shop. Did you mean "url"?",
    ]
  `)
})

test('settings that are missing, unknown, or of another kind', () => {
  expect(problems({})).toMatchInlineSnapshot(`
    [
      "name: name is missing",
      "sources: sources is missing",
      "warehouse: warehouse is missing",
    ]
  `)
  expect(
    problems({
      ...CONFIG,
      name: 5,
      sources: [],
      seeds: null,
      lake: 'lake',
      models: '',
      pipeline: {},
    }),
  ).toMatchInlineSnapshot(`
    [
      "name: name must be a string, not 5",
      "sources: sources must be an object { … }, not a list",
      "seeds: seeds must be a string, not null",
      "models: models must not be empty",
      "lake: lake must be an object { … }, not a string",
      "pipeline: "pipeline" is not a setting of the project. There is: name, sources, seeds, models, memory, silenceTimeout, maskSecret, lake, warehouse, environments",
    ]
  `)
  expect(
    problems({
      ...CONFIG,
      name: env('N', 'x'),
      sources: {
        'my shop': {
          ...SOURCE,
          tables: { include: ['a', 5, 'a.b.c', ''] },
          lockTimeout: env('L', '5s'),
        },
      },
    }),
  ).toMatchInlineSnapshot(`
    [
      "sources["my shop"]: "my shop" cannot be the name of a source: models use it in SQL, so it may hold a-z, 0-9 and "_" (63 at most) and must not begin with a digit",
      "name: name must be a string, not env(N)",
      "sources["my shop"].tables.include[1]: sources["my shop"].tables.include[1] must be a string, not 5",
      "sources["my shop"].tables.include[2]: sources["my shop"].tables.include[2] must be "table" or "schema.table", where * stands for anything; odd names in quotes as in SQL",
      "sources["my shop"].tables.include[3]: sources["my shop"].tables.include[3] must be "table" or "schema.table", where * stands for anything; odd names in quotes as in SQL",
      "sources["my shop"].lockTimeout: sources["my shop"].lockTimeout must be a duration such as "5s" or "30m"",
    ]
  `)
  expect(
    problems({
      ...CONFIG,
      name: 'my shop',
      sources: {},
      warehouse: { url: 5, schema: '', readers: 'bi' },
    }),
  ).toMatchInlineSnapshot(`
    [
      "sources: sources must name at least one source",
      "name: name must begin with a letter and hold only letters, digits, "_" and "-" (63 at most)",
      "warehouse.url: warehouse.url must be env(…), embedded({ … }) or a URL",
      "warehouse.schema: warehouse.schema must not be empty",
      "warehouse.readers: warehouse.readers must be a list [ … ], not a string",
    ]
  `)
})

test('values out of bounds', () => {
  const source = {
    ...SOURCE,
    strategy: 'cursr',
    shrinkLimit: { share: 50, fromRows: -1 },
    lockTimeout: '5 parsecs',
    statementTimeout: '30d',
    giveWayAfter: 0,
    rateLimit: '20 MB',
    tables: { include: [] },
  }
  expect(problems({ ...CONFIG, sources: { shop: source }, lake: { baseAfter: { files: 0.5 } } }))
    .toMatchInlineSnapshot(`
      [
        "sources.shop.tables.include: sources.shop.tables.include must name at least one table",
        "sources.shop.strategy: sources.shop.strategy cannot be "cursr". Did you mean "cursor"?",
        "sources.shop.shrinkLimit.share: sources.shop.shrinkLimit.share must be between 0 and 1",
        "sources.shop.shrinkLimit.fromRows: sources.shop.shrinkLimit.fromRows must not be below 0",
        "sources.shop.lockTimeout: sources.shop.lockTimeout must be a duration such as "5s" or "30m", above zero and below 25 days, not "5 parsecs"",
        "sources.shop.statementTimeout: sources.shop.statementTimeout must be a duration such as "5s" or "30m", above zero and below 25 days, not "30d"",
        "sources.shop.giveWayAfter: sources.shop.giveWayAfter must be a duration such as "5s" or "30m", above zero and below 25 days, not 0",
        "sources.shop.rateLimit: sources.shop.rateLimit must be a rate such as "500kB/s" or "20MB/s", 1 kB/s at least, not "20 MB"",
        "lake.baseAfter.files: lake.baseAfter.files must be a whole number, not 0.5",
      ]
    `)
})

test('names of sources that SQL could not say, or that are taken', () => {
  const sources = {
    'My-Shop': SOURCE,
    '2shop': SOURCE,
    seeds: SOURCE,
    main: SOURCE,
    pg_catalog: SOURCE,
    changes: SOURCE,
    shop_changes: SOURCE,
    _ok2: SOURCE,
  }
  expect(problems({ ...CONFIG, sources })).toMatchInlineSnapshot(`
    [
      "sources["My-Shop"]: "My-Shop" cannot be the name of a source: models use it in SQL, so it may hold a-z, 0-9 and "_" (63 at most) and must not begin with a digit",
      "sources["2shop"]: "2shop" cannot be the name of a source: models use it in SQL, so it may hold a-z, 0-9 and "_" (63 at most) and must not begin with a digit",
      "sources.seeds: "seeds" cannot be the name of a source: it is taken",
      "sources.main: "main" cannot be the name of a source: it is taken",
      "sources.pg_catalog: "pg_catalog" cannot be the name of a source: it is taken",
      "sources.changes: "changes" cannot be the name of a source: it is taken",
      "sources.shop_changes: "shop_changes" cannot be the name of a source: it is taken",
    ]
  `)
})

test('databases: no password in the file, a URL that can be read, the options of embedded()', () => {
  const sources = {
    literal: { ...SOURCE, url: 'postgres://u:S3CR3T@h/db' },
    fallback: { ...SOURCE, url: env('X', 'postgres://u:S3CR3T@h/db') },
    variable: { ...SOURCE, url: env('BAD') },
    mysql: { ...SOURCE, url: 'mysql://h/db' },
    nameless: { ...SOURCE, url: 'postgres://h' },
    options: { ...SOURCE, url: embedded(Object({ databse: 'x', owner: 5, setup: 'no' })) },
    none: { ...SOURCE, url: Reflect.apply(embedded, undefined, []) },
    roles: { ...SOURCE, url: embedded({ database: 'd', owner: 'o', reader: 'o' }) },
  }
  const found = problems(
    { ...CONFIG, sources },
    { environment: { BAD: 'postgres://u:S3CR/3T@h/db' } },
  )
  expect(found).toMatchInlineSnapshot(`
    [
      "sources.literal.url: sources.literal.url holds a password; keep it out of this file: use env(…)",
      "sources.fallback.url: sources.fallback.url holds a password; keep it out of this file: use env(…)",
      "sources.variable.url: sources.variable.url is read from environment variable BAD, which is not a valid URL; special characters of a password must be percent-encoded ("#" is %23, "/" is %2F, "@" is %40)",
      "sources.mysql.url: sources.mysql.url is not a URL of the form postgres://user:password@host:5432/database",
      "sources.nameless.url: sources.nameless.url names no database: postgres://user:password@host:5432/database",
      "sources.options.url.owner: sources.options.url.owner must be a string, not 5",
      "sources.options.url.setup: sources.options.url.setup must be a function",
      "sources.options.url.databse: "databse" is not a setting of sources.options.url. Did you mean "database"?",
      "sources.none.url: sources.none.url must be an object { … }, not embedded()",
      "sources.roles.url: sources.roles.url is embedded() with one role as owner and reader; leave the reader out, or name another",
    ]
  `)
  expect(found.join()).not.toMatch(/S3CR/)
})

test('zones are two folders', () => {
  expect(problems({ ...CONFIG, lake: { ingestion: 'lake', processed: './lake/' } }))
    .toMatchInlineSnapshot(`
    [
      "lake.processed: lake.processed must not be the folder of lake.ingestion",
    ]
  `)
  expect(
    problems({
      ...CONFIG,
      lake: {
        ingestion: embedded({ database: 'd', owner: 'o' }),
        processed: env('P', embedded({ database: 'd', owner: 'o' })),
      },
    }),
  ).toMatchInlineSnapshot(`
    [
      "lake.ingestion: lake.ingestion must be a folder, or env() of one",
      "lake.processed: lake.processed must be a folder; embedded() is a database",
    ]
  `)
})

test('variables that are not set are reported with everything else, misspelt settings included', () => {
  const config = {
    ...CONFIG,
    nme: env('A'),
    sources: { shop: { ...SOURCE, url: env('B') } },
    lake: { ingestion: env('C') },
  }
  expect(problems(config)).toMatchInlineSnapshot(`
    [
      "sources.shop.url: environment variable B is not set",
      "nme: environment variable A is not set",
      "lake.ingestion: environment variable C is not set",
      "nme: "nme" is not a setting of the project. Did you mean "name"?",
    ]
  `)
})

test('what is not there yet is said so, and a source of a later kind is not judged further', () => {
  const sources = {
    shop: { ...SOURCE, strategy: 'log' },
    events: { type: 'dynamodb', table: 'events' },
    other: { type: 'mysql' },
  }
  expect(
    problems(
      { ...CONFIG, sources, lake: { ingestion: env('L'), format: 'orc' } },
      { environment: { L: 's3://bucket/prefix' } },
    ),
  ).toMatchInlineSnapshot(`
    [
      "(later) sources.shop.strategy: sources.shop.strategy cannot be "log" yet; for now: "auto", "compare", "xmin"",
      "(later) sources.events.type: sources.events.type cannot be "dynamodb" yet; for now: "postgres"",
      "sources.other.type: sources.other.type cannot be "mysql". There is: postgres, dynamodb, http, files",
      "sources.other.url: sources.other.url is missing",
      "(later) lake.ingestion: lake.ingestion is an S3 bucket, which is not there yet; for now: a folder",
      "lake.format: lake.format cannot be "orc". There is: parquet, csv, json",
    ]
  `)
})

test('an editor knows the settings', () => {
  expectTypeOf(CONFIG).toExtend<ProjectConfig>()
  expectTypeOf<{ name: string }>().not.toExtend<ProjectConfig>()
  expectTypeOf<ProjectConfig['sources'][string]['strategy']>().toEqualTypeOf<
    'compare' | 'auto' | 'xmin' | 'cursor' | 'log' | undefined
  >()
  expectTypeOf<'5 parsecs'>().not.toExtend<ProjectConfig['sources'][string]['lockTimeout']>()
  expectTypeOf<keyof ProjectConfig>().toEqualTypeOf<
    | 'name'
    | 'sources'
    | 'seeds'
    | 'models'
    | 'maskSecret'
    | 'memory'
    | 'silenceTimeout'
    | 'lake'
    | 'warehouse'
    | 'environments'
  >()
})

const SHOP_TABLES = {
  sale: {
    columns: { include: ['sale_id', 'email', 'note'], exclude: ['note'] },
    where: "country = 'GB'",
    mask: { email: 'hash' },
    key: ['sale_id'],
    contract: 'freeze',
  },
  'crm."Odd.Name"': { mask: { phone: 'drop', fax: 'redact' } },
}

test('settings of single tables, by a name as SQL quotes it; a table is known by its schema', () => {
  const { sources, maskSecret } = project(
    {
      ...CONFIG,
      maskSecret: env('MASK'),
      sources: { shop: { ...SOURCE, table: SHOP_TABLES } },
    },
    { environment: { MASK: 'sixteen-letters!' } },
  )
  expect(String(maskSecret)).toBe('***')
  expect(maskSecret?.reveal()).toBe('sixteen-letters!')
  expect(sources[0]?.table.map(({ place, ...table }) => [place('where'), table])).toEqual([
    [
      'sources.shop.table.sale.where',
      { table: 'public.sale', ...SHOP_TABLES.sale, strategy: null, cursor: null },
    ],
    [
      'sources.shop.table["crm.\\"Odd.Name\\""].where',
      {
        table: 'crm."Odd.Name"',
        columns: { include: null, exclude: [] },
        where: null,
        mask: { phone: 'drop', fax: 'redact' },
        key: null,
        strategy: null,
        cursor: null,
        contract: null,
      },
    ],
  ])
})

test('what the settings of a table contradict is said before anything connects', () => {
  const shop = {
    ...SOURCE,
    table: {
      sale: { mask: { email: 'hash', note: 'shred' }, where: ' ' },
      customer: {
        columns: { exclude: ['id', 'phone'] },
        mask: { phone: 'redact', code: 'drop' },
        key: ['id', 'code', 'email'],
      },
      'public.customer': {},
      'sal*': {},
      'a b': {},
    },
  }
  const config = { ...CONFIG, sources: { shop } }
  expect(problems(config)).toEqual([
    'sources.shop.table.sale.where: sources.shop.table.sale.where must not be empty',
    'sources.shop.table.sale.mask.note: sources.shop.table.sale.mask.note cannot be "shred". There is: drop, redact, hash',
  ])
  const { sale: _, ...others } = shop.table
  const table = { ...others, sale: { mask: { email: 'hash' } } }
  expect(problems({ ...config, sources: { shop: { ...shop, table } } })).toEqual([
    'sources.shop.table.customer.mask.phone: column "phone" is left out by columns.exclude; it needs no mask',
    'sources.shop.table.customer.key[0]: the key needs column "id", which columns.exclude takes away',
    'sources.shop.table.customer.key[1]: the key needs column "code", which mask takes away',
    'sources.shop.table["public.customer"]: "public.customer" is the same table as "customer"',
    'sources.shop.table["sal*"]: "sal*" must be one table: "table" or "schema.table", odd names in quotes as in SQL',
    'sources.shop.table["a b"]: "a b" must be one table: "table" or "schema.table", odd names in quotes as in SQL',
    'sources.shop.table.sale.mask.email: hash needs a key: maskSecret, beside sources',
  ])
})

test('P10: a mask secret comes from the environment, and is long enough', () => {
  const secret = (maskSecret: unknown, MASK?: string): string[] =>
    problems({ ...CONFIG, maskSecret }, MASK === undefined ? {} : { environment: { MASK } })
  expect(secret('sixteen-letters!')).toEqual([
    'maskSecret: maskSecret must be env(…): it is a secret',
  ])
  expect(secret(env('MASK', 'sixteen-letters!'))).toEqual([
    'maskSecret: maskSecret must be env(…) without a fallback: it is a secret',
  ])
  expect(secret(env('MASK'), 'short')).toEqual([
    'maskSecret: maskSecret is read from environment variable MASK, which has fewer than 16 characters',
  ])
  expect(secret(env('MASK'))).toEqual(['maskSecret: environment variable MASK is not set'])
})

const ENVIRONMENTS = {
  ...CONFIG,
  sources: { shop: { ...SOURCE, url: env('SHOP_URL') } },
  environments: {
    dev: { sources: { shop: { lockTimeout: '1s' } } },
    prod: {
      lake: { ingestion: '/srv/lake/in', processed: '/srv/lake/out' },
      warehouse: { schema: 'mart', ledger: 'tote' },
    },
  },
} as const satisfies ProjectConfig

/** What one environment does not share with another. */
function own(config: unknown, name: string | null): unknown {
  const { lake, warehouse, stateFolder, homeFolder, sources, environment } = project(config, {
    env: name,
    environment: { SHOP_URL: URL },
  })
  const { ingestion, processed } = lake
  const { schema, ledger } = warehouse
  const lockTimeoutMs = sources[0]?.lockTimeoutMs
  return {
    environment,
    ingestion,
    processed,
    schema,
    ledger,
    stateFolder,
    homeFolder,
    lockTimeoutMs,
  }
}

test('an environment changes settings, and has a lake, a star, a ledger and a state of its own', () => {
  const home = { homeFolder: '/p/.tote' }
  expect(own(ENVIRONMENTS, null)).toEqual({
    ...home,
    environment: null,
    ingestion: '/p/.tote/lake/ingestion',
    processed: '/p/.tote/lake/processed',
    schema: 'public',
    ledger: 'tote',
    stateFolder: '/p/.tote',
    lockTimeoutMs: 5000,
  })
  expect(own(ENVIRONMENTS, 'dev')).toEqual({
    ...home,
    environment: 'dev',
    ingestion: '/p/.tote/lake/ingestion-dev',
    processed: '/p/.tote/lake/processed-dev',
    schema: 'public_dev',
    ledger: 'tote_dev',
    stateFolder: '/p/.tote/environments/dev',
    lockTimeoutMs: 1000,
  })
  expect(own(ENVIRONMENTS, 'prod')).toEqual({
    ...home,
    environment: 'prod',
    ingestion: '/srv/lake/in',
    processed: '/srv/lake/out',
    schema: 'mart',
    ledger: 'tote',
    stateFolder: '/p/.tote/environments/prod',
    lockTimeoutMs: 5000,
  })
})

test('lists and references are replaced whole, objects setting by setting; a source may be added', () => {
  const config = {
    ...CONFIG,
    sources: { shop: { ...SOURCE, tables: { include: ['a', 'b'], exclude: ['c'] } } },
    environments: {
      dev: {
        sources: {
          shop: { url: env('DEV_URL'), tables: { include: ['d'] } },
          more: SOURCE,
        },
      },
    },
  }
  const { sources } = project(config, { env: 'dev', environment: { DEV_URL: URL } })
  expect(sources.map(({ name, tables }) => [name, tables])).toEqual([
    ['shop', { include: ['public.d'], exclude: ['public.c'] }],
    ['more', { include: ['public.*'], exclude: ['public._prisma_migrations'] }],
  ])
  // What the environment replaces need not be set.
  expect(
    problems(
      { ...config, sources: { shop: { ...SOURCE, url: env('UNSET') } } },
      {
        env: 'dev',
        environment: { DEV_URL: URL },
      },
    ),
  ).toEqual([])
})

test('what is wrong in any environment is said where it is written; variables count for the chosen one', () => {
  const config = {
    ...CONFIG,
    environments: {
      dev: {
        warehouse: { url: env('UNSET'), schemas: 'x' },
        sources: { shop: { lockTimeout: 5 } },
        name: 'other',
      },
      prod: { sources: { shop: { tables: { include: [] } } } },
      'pre prod': {},
      none: 5,
    },
  }
  const elsewhere = [
    'environments["pre prod"]: "pre prod" cannot be the name of an environment: schemas and folders are called by it, so it may hold a-z, 0-9 and "_" (31 at most) and must begin with a letter',
    'environments.none: environments.none must be an object { … } of settings',
    'environments.dev.name: name is the same in every environment',
    'environments.dev.warehouse.schemas: "schemas" is not a setting of warehouse. Did you mean "schema"?',
    'environments.prod.sources.shop.tables.include: sources.shop.tables.include must name at least one table',
  ]
  expect(new Set(problems(config))).toEqual(new Set(elsewhere))
  expect(new Set(problems(config, { env: 'dev' }))).toEqual(
    new Set([
      'environments.dev.warehouse.url: environment variable UNSET is not set',
      ...elsewhere,
    ]),
  )
  expect(problems({ ...CONFIG, environments: [] })).toEqual([
    'environments: environments must be an object { … }, by name',
  ])
  expect(problems({ ...CONFIG, environment: {} })).toEqual([
    'environment: "environment" is not a setting of the project. Did you mean "environments"?',
  ])
})

test('two environments never share a zone; a star never lies with a ledger', () => {
  const dev = {
    lake: { ingestion: '.tote/../.tote/lake/ingestion' },
    warehouse: { schema: 'x', ledger: 'x' },
  }
  expect(problems({ ...CONFIG, environments: { dev } }, { env: 'dev' })).toEqual([
    'environments.dev.warehouse.schema: warehouse.schema must not be "x", where the ledger lies',
  ])
  const shared = { ...dev, warehouse: {} }
  expect(problems({ ...CONFIG, environments: { dev: shared } }, { env: 'dev' })).toEqual([
    'environments.dev.lake.ingestion: lake.ingestion is the folder without an environment, too',
  ])
  expect(problems({ ...CONFIG, environments: { dev: shared } })).toEqual([
    'lake.ingestion: lake.ingestion is the folder of environment "dev", too',
  ])
  expect(problems({ ...CONFIG, warehouse: { url: URL, schema: 'tote' } })).toEqual([
    'warehouse.schema: warehouse.schema must not be "tote", where the ledger lies',
  ])
})

test("DuckDB's memory is a size, and left to Tote when it is not given", () => {
  expect(project({ ...CONFIG, memory: '2GB' })).toMatchObject({ memory: '2GB' })
  expect(project(CONFIG)).not.toHaveProperty('memory')
  expect(problems({ ...CONFIG, memory: 'much' })).toEqual([
    'memory: memory must be a size such as "500MB" or "2GB"',
  ])
})
