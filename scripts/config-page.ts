/** docs/config.md, made from the schema of tote.config.ts: every setting with type, default, example and meaning. */
import type { z } from 'zod'
import { embeddedOptions, projectSchema } from '../src/config/schema.ts'

/** One setting. `path` has `NAME` where a user gives the name. */
export interface Setting {
  readonly path: readonly string[]
  readonly type: string
  /** As code; undefined when there is none. */
  readonly standard: string | undefined
  readonly required: boolean
  readonly means: string
  /** As code. */
  readonly example: string
}

/** By path: what a user might write. A test tries each of them. */
const EXAMPLES: Readonly<Record<string, string>> = {
  name: `'shop'`,
  'sources.NAME.type': `'postgres'`,
  'sources.NAME.url': `env('SHOP_URL')`,
  'sources.NAME.defaultSchema': `'app'`,
  'sources.NAME.tables.include': `['*', 'crm."Order Lines"']`,
  'sources.NAME.tables.exclude': `['tmp_*']`,
  'sources.NAME.table.NAME.columns.include': `['sale_id', 'units']`,
  'sources.NAME.table.NAME.columns.exclude': `['internal_note']`,
  'sources.NAME.table.NAME.where': `"country = 'GB'"`,
  'sources.NAME.table.NAME.mask': `{ email: 'hash', phone: 'redact', ssn: 'drop' }`,
  'sources.NAME.table.NAME.key': `['order_id', 'line']`,
  'sources.NAME.table.NAME.strategy': `'cursor'`,
  'sources.NAME.table.NAME.cursor.column': `'last_updated'`,
  'sources.NAME.table.NAME.cursor.lookBack': `'2h'`,
  'sources.NAME.table.NAME.cursor.reconcile': `'7d'`,
  'sources.NAME.strategy': `'xmin'`,
  'sources.NAME.table.NAME.contract': `'freeze'`,
  'sources.NAME.contract': `'freeze'`,
  'sources.NAME.shrinkLimit.share': `0.2`,
  'sources.NAME.shrinkLimit.fromRows': `100`,
  'sources.NAME.lockTimeout': `'10s'`,
  'sources.NAME.statementTimeout': `'2h'`,
  'sources.NAME.giveWayAfter': `'1s'`,
  'sources.NAME.rateLimit': `'20MB/s'`,
  'sources.NAME.readers': `2`,
  'sources.NAME.partSize': `128`,
  seeds: `'seeds'`,
  models: `'models'`,
  memory: `'2GB'`,
  silenceTimeout: `'1m'`,
  maskSecret: `env('MASK_SECRET')`,
  'lake.ingestion': `env('LAKE', '/srv/lake/ingestion')`,
  'lake.processed': `'/srv/lake/processed'`,
  'lake.format': `'csv'`,
  'lake.baseAfter.files': `64`,
  'warehouse.url': `env('WAREHOUSE_URL')`,
  'warehouse.schema': `'mart'`,
  'warehouse.ledger': `'tote'`,
  'warehouse.readers': `['analysts']`,
  environments: `{ dev: { warehouse: { schema: 'mart_dev' } } }`,
  'embedded().database': `'shop'`,
  'embedded().owner': `'shop_owner'`,
  'embedded().reader': `'shop_reader'`,
  'embedded().setup': `async (ownerUrl) => {}`,
}

/** Every setting of the schema, in its order. Throws for one without a description or an example. */
export function settingsOf(): Setting[] {
  const settings = [...walk(projectSchema, []), ...walk(embeddedOptions, ['embedded()'])]
  const paths = settings.map(({ path }) => path.join('.'))
  const stale = Object.keys(EXAMPLES).filter((path) => !paths.includes(path))
  if (stale.length > 0) throw new Error(`examples of no setting: ${stale.join(', ')}`)
  return settings
}

type Schema = z.core.$ZodType

function walk(schema: Schema, path: readonly string[]): Setting[] {
  const { inner, standard, optional } = unwrap(schema)
  const { def } = inner._zod
  if (isDef(def, 'object'))
    return Object.entries(def.shape).flatMap(([key, value]) => walk(value, [...path, key]))
  if (isDef(def, 'record') && unwrap(def.valueType).inner._zod.def.type === 'object')
    return walk(def.valueType, [...path, 'NAME'])
  const name = path.join('.')
  const means = metaOf(schema)['description']
  const example = EXAMPLES[name]
  if (typeof means !== 'string') throw new Error(`${name} has no description`)
  if (example === undefined) throw new Error(`${name} has no example in scripts/config-page.ts`)
  return [
    {
      path,
      type: typeOf(schema),
      standard: standard === undefined ? undefined : codeOf(standard),
      required: standard === undefined && !optional,
      means,
      example,
    },
  ]
}

/** What lies behind defaults and transforms. */
function unwrap(schema: Schema): { inner: Schema; standard: unknown; optional: boolean } {
  const { def } = schema._zod
  if (isDef(def, 'default') || isDef(def, 'prefault'))
    return { ...unwrap(def.innerType), standard: def.defaultValue }
  if (isDef(def, 'optional')) return { ...unwrap(def.innerType), optional: true }
  if (isDef(def, 'pipe')) return unwrap(def.in)
  return { inner: schema, standard: undefined, optional: false }
}

function typeOf(schema: Schema): string {
  const { inner } = unwrap(schema)
  const { title } = metaOf(inner)
  if (typeof title === 'string') return title
  const { def } = inner._zod
  if (isDef(def, 'array')) return `list of ${typeOf(def.element)}`
  if (isDef(def, 'record')) return `${typeOf(def.valueType)}, by column`
  if (isDef(def, 'enum')) {
    // Words that the schema knows and does not take yet are left out.
    const parse = (schema as z.ZodType).safeParse.bind(schema)
    const words = Object.values(def.entries).filter((word) => parse(word).success)
    return words.map((word) => codeOf(word)).join(' or ')
  }
  if (isDef(def, 'number')) return 'number'
  if (isDef(def, 'string')) return 'text'
  throw new Error(`settings of type ${def.type} have no name in scripts/config-page.ts`)
}

interface Defs {
  object: z.core.$ZodObjectDef
  record: z.core.$ZodRecordDef
  default: z.core.$ZodDefaultDef
  prefault: z.core.$ZodPrefaultDef
  optional: z.core.$ZodOptionalDef
  pipe: z.core.$ZodPipeDef
  array: z.core.$ZodArrayDef
  enum: z.core.$ZodEnumDef
  number: z.core.$ZodNumberDef
  string: z.core.$ZodStringDef
}

function isDef<T extends keyof Defs>(def: z.core.$ZodTypeDef, type: T): def is Defs[T] {
  return def.type === type
}

function metaOf(schema: Schema): Record<string, unknown> {
  return (schema as z.ZodType).meta() ?? {}
}

function codeOf(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`
  if (Array.isArray(value)) return `[${value.map(codeOf).join(', ')}]`
  return JSON.stringify(value)
}

const SECTIONS: readonly { title: string; text: string; prefix: string }[] = [
  {
    title: 'The project',
    text: '',
    prefix: '',
  },
  {
    title: 'Sources',
    text: `\`NAME\` is the source's name: models read \`NAME.table\`. In patterns \`*\` stands for any text; a name with blanks, dots, quotes
or stars is quoted as in SQL: \`crm."Order Lines"\`. Capitals count, quoted or not. Views, materialized views and foreign tables are carried
when they are named without \`*\`.`,
    prefix: 'sources.NAME.',
  },
  {
    title: 'Single tables',
    text: `\`sources.NAME.table\` has settings of single tables, by name (\`'sale'\`, \`'crm.sale'\`, \`'"Odd Name"'\`). What they do not fit is said by
\`tote check --live\`, with the line.

**Columns.** A column that is left out is never selected. One that the lake has already stays there as a dropped one does: rows keep
what they had until they change, and it comes back as the same column ([schema-changes.md](schema-changes.md)).

**Row filter.** One condition on the table's columns, in the SQL of the source; names of anything else need their schema. A row that leaves
it is a deletion, one that enters it an insert.

**Masks.** What is dropped or redacted is never selected, so it does not leave the source. What is hashed is read, and replaced in
memory before a row is kept anywhere: no file, temporary ones included, no log, no lake and no warehouse holds the value.
A hash is HMAC-SHA-256 of the text that PostgreSQL prints, keyed with \`maskSecret\`, as 64 hexadecimal digits
(\`encode(hmac(value, secret, 'sha256'), 'hex')\` in pgcrypto); NULL stays NULL. Equal texts have equal hashes under one secret: a masked
key still joins, also across tables and sources, and who holds the secret can try values. The lake keeps a fingerprint of the secret,
not the secret; under another one every hash is another value. A mask works from the next batch on: earlier batches, and the
history of facts, keep what they have. The run warns of it; begin a new lake where that must not be. The name of a column and the number of its rows stay visible.

**Key.** It must be unique and never NULL among the rows that are carried, or the batch is refused (\`SourceKeyInvalid\`).`,
    prefix: 'sources.NAME.table.NAME.',
  },
  { title: 'Lake', text: '', prefix: 'lake.' },
  { title: 'Warehouse', text: '', prefix: 'warehouse.' },
  {
    title: 'embedded()',
    text: "A database on the PostgreSQL that comes along, wherever a database is asked for: `url: embedded({ … })`, or `env('SHOP_URL', embedded({ … }))` where a URL in the environment wins.",
    prefix: 'embedded().',
  },
]

/** The page as it is to be. */
export function renderConfig(): string {
  const settings = settingsOf()
  return [
    '# tote.config.ts',
    '',
    'Made from `src/config/schema.ts` by `npm run docs`. `tote check` says everything that is wrong with a config at once, each problem with its line.',
    '',
    "A duration is `'30s'`, `'5m'`, `'2h'` or milliseconds. A folder is relative to the config's. `env('NAME')` is a variable of the process, else of `.env.local` or `.env` beside",
    "the config; `env('NAME', 'fallback')` needs none. A URL in the config must not hold a password.",
    '',
    '```ts',
    ...wholeConfig(settings),
    '```',
    '',
    ...SECTIONS.flatMap(({ title, text, prefix }) => [
      `## ${title}`,
      '',
      ...(text === '' ? [] : [text, '']),
      '| setting | type | default | example | means |',
      '|---|---|---|---|---|',
      ...settings
        .filter(({ path }) => prefix === sectionOf(path))
        .map((setting) => row(setting, prefix)),
      '',
    ]),
    '## Environments',
    '',
    'See [operations](operations.md#environments).',
    '',
  ].join('\n')
}

/** The longest prefix of a section that the path has. */
function sectionOf(path: readonly string[]): string | undefined {
  const name = path.join('.')
  return SECTIONS.map(({ prefix }) => prefix)
    .filter((prefix) => name.startsWith(prefix))
    .toSorted((a, b) => b.length - a.length)[0]
}

function row({ path, type, standard, required, means, example }: Setting, prefix: string): string {
  const short = path.join('.').slice(prefix.length)
  const cells = [
    code(short),
    type,
    standard === undefined ? (required ? 'required' : '–') : code(standard),
    code(example),
    means,
  ]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function code(text: string): string {
  return `\`${text}\``
}

/** All examples as one config. */
function wholeConfig(settings: readonly Setting[]): string[] {
  const tree: Record<string, unknown> = {}
  for (const { path, example } of settings) {
    if (path[0] === 'embedded()') continue
    const keys = path.map((key, index) =>
      key !== 'NAME' ? key : path[index - 1] === 'table' ? 'sale' : 'shop',
    )
    let at = tree
    for (const key of keys.slice(0, -1)) at = (at[key] ??= {}) as Record<string, unknown>
    at[keys.at(-1) ?? ''] = example
  }
  return [
    "import { defineProject, env } from 'totedata'",
    '',
    'export default defineProject({',
    ...linesOf(tree, '  '),
    '})',
  ]
}

function linesOf(tree: Readonly<Record<string, unknown>>, indent: string): string[] {
  return Object.entries(tree).flatMap(([key, value]) =>
    typeof value === 'string'
      ? [`${indent}${key}: ${value},`]
      : [
          `${indent}${key}: {`,
          ...linesOf(value as Readonly<Record<string, unknown>>, `${indent}  `),
          `${indent}},`,
        ],
  )
}
