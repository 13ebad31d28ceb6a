/** Names of the generated project: short, plain, distinct whatever the database is called. Pure. */
import { createHash } from 'node:crypto'

/** PostgreSQL's limit, less `_current`, the view that every fact gets. */
const MAX_BYTES = 63 - '_current'.length

/** Words that DuckDB does not take for a name everywhere. */
export const RESERVED: ReadonlySet<string> = new Set(
  (
    'all analyse analyze and anti any array as asc asof asymmetric at authorization between binary both by case cast ' +
    'check collate collation column concurrently constraint create cross default deferrable desc describe ' +
    'distinct do else end except exists extract false fetch filter for foreign freeze from full generated glob grant ' +
    'group having if ilike in initially inner intersect into is isnull join lambda lateral leading left like ' +
    'limit map natural not notnull null offset on only or order outer overlaps pivot pivot_longer pivot_wider ' +
    'placing positional primary qualify references returning right row rows select semi show similar some ' +
    'summarize struct symmetric table tablesample then to trailing true try_cast union unique unpivot using values ' +
    'variadic verbose when where window with within'
  ).split(' '),
)

/**
 * A source's name: a schema in the SQL of models, so some words are taken (config/resolve.ts and DuckDB), and the begin of a
 * variable's name, so that `warehouse` would have the warehouse's.
 */
export function sourceName(database: string): string {
  const name = plainName(database).replaceAll(/[^a-z0-9_]/g, '_')
  const begun = /^[a-z_]/.test(name) ? name : `db_${name}`
  const taken =
    RESERVED.has(begun) ||
    /^(seeds|changes|main|tote|temp|memory|system|warehouse|information_schema|pg_.*)$|_changes$/.test(
      begun,
    )
  return (taken ? `${begun}_db` : begun).slice(0, 48)
}

/**
 * The schema whose tables go by their names alone, given that of every table: `public` where it has one, else
 * the one that has more than half. Of several alike none is the first, and every table is named with its schema.
 */
export function mainSchema(schemas: readonly string[]): string {
  if (schemas.includes('public')) return 'public'
  const most = new Map<string, number>()
  for (const schema of schemas) most.set(schema, (most.get(schema) ?? 0) + 1)
  const [main] = [...most].find(([, count]) => count * 2 > schemas.length) ?? ['public']
  return main
}

/** Whether a table is one in which a tool keeps the books of its migrations. */
export function isBookkeeping(table: string): boolean {
  return BOOKKEEPING.has(table.toLowerCase())
}

const BOOKKEEPING: ReadonlySet<string> = new Set(
  (
    '_prisma_migrations schema_migrations ar_internal_metadata django_migrations flyway_schema_history alembic_version ' +
    'knex_migrations knex_migrations_lock __drizzle_migrations databasechangelog databasechangeloglock ' +
    '__diesel_schema_migrations _sqlx_migrations refinery_schema_history goose_db_version __efmigrationshistory ' +
    'sequelizemeta doctrine_migration_versions phinxlog pgmigrations kysely_migration kysely_migration_lock ' +
    'mikro_orm_migrations typeorm_metadata'
  ).split(' '),
)

/** An environment variable for the source's URL. */
export function variableName(source: string): string {
  return `${source.toUpperCase()}_URL`
}

/**
 * `OrderItem`, `order item` and `order-item` as `order_item`: lower case, words apart, letters of any
 * script kept.
 */
export function plainName(name: string): string {
  const words = name
    .normalize('NFC')
    .replaceAll(/(\p{Ll}|\p{N})(\p{Lu})/gu, '$1_$2')
    .replaceAll(/(\p{Lu})(\p{Lu}\p{Ll})/gu, '$1_$2')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{M}\p{N}]+/gu, '_')
    .replaceAll(/^_+|_+$/g, '')
  return words === '' ? 'unnamed' : words
}

/** Hands out names, each once; a second claimant gets a number, a long one is cut and marked. */
export function openNames(taken: Iterable<string> = []): (wanted: string) => string {
  const used = new Set([...taken].map((name) => name.toLowerCase()))
  return (wanted) => {
    for (let count = 1; ; count++) {
      const name = fit(count === 1 ? wanted : `${wanted}_${count}`, wanted)
      const folded = name.toLowerCase()
      // The view of a fact's current rows must not meet a model's name either.
      const clashes = [folded, `${folded}_current`, folded.replace(/_current$/, '')]
      if (clashes.some((each) => used.has(each))) continue
      used.add(folded)
      return name
    }
  }
}

function fit(name: string, whole: string): string {
  if (Buffer.byteLength(name) <= MAX_BYTES) return name
  const mark = `_${createHash('sha256').update(`${whole}\0${name}`).digest('hex').slice(0, 8)}`
  return cutName(name, MAX_BYTES - mark.length) + mark
}

/** Whether a line of a header can hold it. */
export function isOneLine(text: string): boolean {
  return !/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text)
}

/** The first letters, as many as fit. */
export function cutName(name: string, bytes: number): string {
  let kept = ''
  for (const letter of name) {
    if (Buffer.byteLength(kept + letter) > bytes) break
    kept += letter
  }
  return kept
}
