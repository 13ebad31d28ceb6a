/**
 * Everything that a user may write in tote.config.ts: one schema, each setting described and with its
 * default. It judges settings one by one, after `giveValues`; its messages go on from the setting's name.
 */
import { z } from 'zod'
import { parseDuration, parseRate, type Duration, type Rate } from './duration.ts'
import { Given } from './environment.ts'
import {
  isEmbeddedReference,
  type Database,
  type EmbeddedReference,
  type EnvReference,
} from '../secrets/reference.ts'
import { databaseUrlFault, hasPassword, redactText, Secret } from '../secrets/secret.ts'
import { parseTableName } from './table-name.ts'

/** What a user writes: the argument of `defineProject`. */
export type ProjectConfig = Settings & {
  /** What each environment changes of the settings, by its name; chosen with `-e` or TOTE_ENV. */
  environments?: Record<string, Overrides<Omit<Settings, 'name'>>>
}
type Settings = Omit<z.input<typeof projectSchema>, 'environments'>
/** The settings of one environment, with defaults filled in and values judged; `resolve.ts` makes the project of it. */
export type CheckedConfig = z.output<typeof projectSchema>

/** Any part of the settings; lists and references are given whole. */
type Overrides<T> = T extends readonly unknown[] | EnvReference | EmbeddedReference
  ? T
  : T extends object
    ? { [K in keyof T]?: Overrides<T[K]> }
    : T

type Issues = Pick<z.core.$RefinementCtx, 'addIssue' | 'issues'>

const name = z.string().min(1, 'must not be empty').max(63, 'must have at most 63 characters')
const isFunction = (value: unknown): boolean => typeof value === 'function'
const isText = (value: unknown): boolean => typeof value === 'string' || value instanceof Given
const CONTRACT = z.enum(['evolve', 'freeze'])
const folder = z.string().min(1, 'must not be empty').meta({ title: 'folder' })

export const embeddedOptions = settings({
  database: name.describe('Name of the database; created when it is not there.'),
  owner: name.describe('The role that owns the database.'),
  reader: name.optional().describe('A role that may only SELECT, and as which Tote connects.'),
  setup: z
    .custom<(ownerUrl: string) => Promise<void> | void>(isFunction, 'must be a function')
    .meta({ title: 'function' })
    .optional()
    .describe("Runs once, after the database was created, with its owner's URL."),
})

const tableSchema = settings({
  columns: settings({
    include: z
      .array(name)
      .min(1, 'must name at least one column')
      .optional()
      .describe('The columns to carry; all when not given.'),
    exclude: z.array(name).default([]).describe('Columns to leave out, of those included.'),
  }).prefault({}),
  where: z
    .string()
    .regex(/\S/, 'must not be empty')
    .optional()
    .describe(
      'The rows to carry: a condition in the SQL of the source. A row that leaves it is deleted.',
    ),
  mask: z
    .record(z.string(), z.enum(['drop', 'redact', 'hash']))
    .default({})
    .describe(
      'Columns whose values must not reach the lake: `drop` leaves the column out, `redact` makes every text `redacted` and any other value NULL, `hash` makes it a keyed hash.',
    ),
  key: z
    .array(name)
    .min(1, 'must name at least one column')
    .optional()
    .describe(
      'The columns that tell rows apart, in place of the primary key; verified in every batch.',
    ),
  strategy: choice(['auto', 'compare', 'xmin', 'cursor'], ['log'])
    .optional()
    .describe('How differences of this table are found, in place of what the source says.'),
  cursor: settings({
    column: name.describe('A column whose values only grow: numbers, dates or times.'),
    lookBack: z
      .custom<Duration>(
        (value) => parseDuration(value as Duration) !== undefined,
        'must be a duration such as "1h", or for a column of numbers a number above zero',
      )
      .meta({ title: 'duration or number' })
      .optional()
      .describe(
        'How far behind the greatest value that was seen rows are read again; "1h" of times, 10,000 of numbers when not given.',
      ),
    reconcile: duration('24h').describe('How often the table is compared in full, all the same.'),
  })
    .optional()
    .describe('Of strategy `cursor`: where it looks.'),
  contract: CONTRACT.optional().describe("In place of the source's."),
})

const sourceSchema = settings({
  type: choice(['postgres'], ['dynamodb', 'http', 'files']).describe('What kind of source it is.'),
  url: databaseUrl().describe(
    'Where the database is: env(), embedded(), or a URL without a password.',
  ),
  defaultSchema: name.default('public').describe('Tables of this schema are named without it.'),
  tables: settings({
    include: z
      .array(pattern())
      .min(1, 'must name at least one table')
      .default(['*'])
      .describe('Tables to carry: `table`, `schema.table`, with `*`.'),
    exclude: z
      .array(pattern())
      .default(['_prisma_migrations'])
      .describe('Tables to leave out, of those included.'),
  }).prefault({}),
  table: z
    .record(z.string(), tableSchema)
    .default({})
    .describe('Settings of single tables, by name: `table`, `schema.table`, `"Odd Name"`.'),
  strategy: choice(['auto', 'compare', 'xmin'], ['cursor', 'log'])
    .default('auto')
    .describe(
      'How differences are found: `compare` reads every row, `xmin` a few bytes of every row and then the rows that are new, where a table allows it; `auto` is `xmin` for tables above 64 MB.',
    ),
  contract: CONTRACT.default('evolve').describe('Whether a changed schema is followed.'),
  shrinkLimit: settings({
    share: z
      .number()
      .min(0, 'must be between 0 and 1')
      .max(1, 'must be between 0 and 1')
      .default(0.5)
      .describe('A batch that deletes more of a table than this share is refused.'),
    fromRows: z
      .int()
      .min(0, 'must not be below 0')
      .default(1000)
      .describe('Smaller tables have no limit.'),
  }).prefault({}),
  lockTimeout: duration('5s').describe('How long to wait for a lock on a source table.'),
  statementTimeout: duration('30m').describe('How long one statement may take at the source.'),
  giveWayAfter: duration('3s').describe(
    'A batch ends when another session has waited this long for its locks.',
  ),
  rateLimit: rate()
    .optional()
    .describe('How many bytes of rows a second to read at most; no limit when not given.'),
  readers: z
    .int()
    .min(1, 'must be at least 1')
    .max(16, 'must be at most 16')
    .default(1)
    .describe(
      'Connections that read a large table together, in one snapshot; it helps where both sides have cores to spare.',
    ),
  partSize: z
    .int()
    .min(1, 'must be at least 1')
    .max(4096, 'must be at most 4096')
    .default(64)
    .describe(
      'Megabytes of a table that are read at once: about one file of the lake, and what a kill costs at most.',
    ),
})

export const projectSchema = settings({
  name: z
    .string()
    .regex(
      /^[A-Za-z][A-Za-z0-9_-]{0,62}$/,
      'must begin with a letter and hold only letters, digits, "_" and "-" (63 at most)',
    )
    .describe("The project's name; its pipeline is called the same."),
  sources: z.record(z.string(), sourceSchema).describe('The databases to read, by name.'),
  seeds: folder
    .optional()
    .describe('A folder of .csv files, read as a source named "seeds"; `seeds/` when it exists.'),
  models: folder.default('models').describe('The folder of .sql models.'),
  memory: z
    .string()
    .regex(/^[1-9]\d*(MB|GB)$/, 'must be a size such as "500MB" or "2GB"')
    .optional()
    .describe(
      "How much memory DuckDB may use. Not given, it begins with 150 MB a core (300 MB at least), and a statement that needs more gets it, up to half of the machine's and 4 GB.",
    ),
  silenceTimeout: duration('30s').describe(
    'How long a database may be silent in a statement before it is asked, on another connection, whether it is at work.',
  ),
  maskSecret: maskSecret()
    .optional()
    .describe('The key of the hashes of `mask`, 16 characters at least; env() only.'),
  lake: settings({
    ingestion: zone('.tote/lake/ingestion').describe(
      'Folder of the ingestion zone; in an environment its name follows, as `ingestion-dev`.',
    ),
    processed: zone('.tote/lake/processed').describe(
      'Folder of the processed zone, of one project alone; in an environment its name follows, as `processed-dev`.',
    ),
    format: z
      .enum(['parquet', 'csv', 'json'])
      .default('parquet')
      .describe('How the ingestion zone keeps rows.'),
    baseAfter: settings({
      files: z
        .int()
        .min(1, 'must be at least 1')
        .default(32)
        .describe(
          'A table with more change files than this since its base gets a new base, or merged files.',
        ),
    }).prefault({}),
  }).prefault({}),
  warehouse: settings({
    url: databaseUrl().describe(
      'Where the database is: env(), embedded(), or a URL without a password.',
    ),
    schema: name
      .default('public')
      .describe(
        'The schema of the star tables; in an environment its name follows, as `public_dev`.',
      ),
    ledger: name
      .default('tote')
      .describe('The schema of the ledger; in an environment its name follows, as `tote_dev`.'),
    readers: z
      .array(name)
      .default([])
      .describe('Roles that are granted SELECT on the star tables.'),
  }),
  // Settings are judged an environment at a time, with what it changes already in them.
  environments: z
    .never()
    .meta({ title: 'settings, by environment' })
    .optional()
    .describe('What each environment changes of the settings, by its name; chosen with -e.'),
})

/** An object that refuses other settings; the message of that issue lists the names there are. */
function settings<T extends z.core.$ZodShape>(shape: T): z.ZodObject<T, z.core.$strict> {
  const names = Object.keys(shape).join(' ')
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? names : undefined),
  })
}

/** One of several words; those of `later` are known, and answered with NotSupportedYet. */
function choice<const Now extends string, const Later extends string>(
  now: readonly Now[],
  later: readonly Later[],
) {
  return z.enum([...now, ...later]).transform((word, context): Now => {
    const found = now.find((candidate) => candidate === word)
    if (found !== undefined) return found
    return notYet(
      context,
      `cannot be "${word}" yet; for now: ${now.map((each) => `"${each}"`).join(', ')}`,
    )
  })
}

function duration(standard: Duration) {
  return z
    .custom<Duration>(
      (value) => typeof value === 'string' || typeof value === 'number',
      'must be a duration such as "5s" or "30m"',
    )
    .meta({ title: 'duration' })
    .transform((value, context): number => {
      const ms = parseDuration(value)
      // PostgreSQL keeps its timeouts as 32-bit milliseconds.
      if (ms !== undefined && ms < 2 ** 31) return ms
      return invalid(
        context,
        `must be a duration such as "5s" or "30m", above zero and below 25 days, not ${redactText(JSON.stringify(value))}`,
      )
    })
    .prefault(standard)
}

function rate() {
  return z
    .custom<Rate>((value) => typeof value === 'string', 'must be a rate such as "20MB/s"')
    .meta({ title: 'rate' })
    .transform((value, context): number => {
      const bytes = parseRate(value)
      if (bytes !== undefined) return bytes
      return invalid(
        context,
        `must be a rate such as "500kB/s" or "20MB/s", 1 kB/s at least, not ${redactText(JSON.stringify(value))}`,
      )
    })
}

function pattern() {
  return z
    .string()
    .refine(
      (text) => parseTableName(text) !== undefined,
      'must be "table" or "schema.table", where * stands for anything; odd names in quotes as in SQL',
    )
    .meta({ title: 'table pattern' })
}

function maskSecret() {
  return z
    .custom<EnvReference>((value) => value instanceof Given, 'must be env(…): it is a secret')
    .meta({ title: 'env()' })
    .transform((value: unknown, context): Secret => {
      if (!(value instanceof Given) || value.value === undefined) return z.NEVER
      if (value.isFallback || typeof value.value !== 'string')
        return invalid(context, 'must be env(…) without a fallback: it is a secret')
      if (value.value.length < 16)
        return invalid(
          context,
          `is read from environment variable ${value.variable}, which has fewer than 16 characters`,
        )
      return new Secret(value.value)
    })
}

function zone(standard: string) {
  return z
    .custom<string | EnvReference>(isText, 'must be a folder, or env() of one')
    .meta({ title: 'folder, or env() of one' })
    .transform((value: unknown, context): string => {
      if (isUnset(value)) return z.NEVER
      const given = value instanceof Given ? value.value : value
      if (typeof given !== 'string')
        return invalid(context, 'must be a folder; embedded() is a database')
      if (given === '') return invalid(context, 'must not be empty')
      if (given.startsWith('s3://'))
        return notYet(context, 'is an S3 bucket, which is not there yet; for now: a folder')
      return given
    })
    .prefault(standard)
}

function databaseUrl() {
  return z
    .custom<string | EnvReference | EmbeddedReference>(
      (value) => isText(value) || isEmbeddedReference(value),
      'must be env(…), embedded({ … }) or a URL',
    )
    .meta({ title: 'database' })
    .transform((value: unknown, context): Database => {
      if (isUnset(value)) return z.NEVER
      const given = value instanceof Given ? value.value : value
      if (isEmbeddedReference(given)) return embeddedDatabase(given, context)
      const written = value instanceof Given && !value.isFallback ? null : 'here'
      const variable = value instanceof Given ? value.variable : null
      const url = String(given)
      const fault = databaseUrlFault(url)
      if (fault !== undefined) {
        return invalid(
          context,
          written === null
            ? `is read from environment variable ${variable}, which ${fault}`
            : fault,
        )
      }
      if (written !== null && hasPassword(url)) {
        return invalid(context, 'holds a password; keep it out of this file: use env(…)')
      }
      return { type: 'url', url: new Secret(url), variable: written === null ? variable : null }
    })
}

function embeddedDatabase(reference: EmbeddedReference, context: Issues): Database {
  const checked = embeddedOptions.safeParse(reference.options)
  if (checked.success) {
    const { database, owner, reader, setup } = checked.data
    if (reader === owner)
      return invalid(
        context,
        'is embedded() with one role as owner and reader; leave the reader out, or name another',
      )
    return { type: 'embedded', database, owner, reader: reader ?? null, setup: setup ?? null }
  }
  context.issues.push(...checked.error.issues.map((issue) => ({ ...issue, input: undefined })))
  return z.NEVER
}

/** Whether the variable is not set: `giveValues` has told, and no project is made. */
function isUnset(value: unknown): boolean {
  return value instanceof Given && value.value === undefined
}

function invalid(context: Issues, message: string): never {
  context.addIssue({ code: 'custom', message })
  return z.NEVER
}

function notYet(context: Issues, message: string): never {
  context.addIssue({ code: 'custom', message, params: { notYet: true } })
  return z.NEVER
}
