/**
 * The awkward schemas of test/schemas, and a comparison of a generated project's warehouse with its
 * source inside PostgreSQL, that knows nothing of how the models were written: columns by position,
 * values as the server prints them, `except all` in both directions.
 */
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { connect, type Connection } from '../../src/postgres/connection.ts'
import { quoteIdentifier } from '../../src/postgres/identifiers.ts'
import type { TestServer } from './postgres.ts'

/** Those that come with changes. */
export async function schemaNames(): Promise<readonly string[]> {
  const files = await readdir(fileURLToPath(new URL('../schemas', import.meta.url)))
  return files.flatMap((file) => /^(.*)-changes\.sql$/.exec(file)?.[1] ?? [])
}

/** The SQL of `test/schemas/<name>.sql`. */
export async function schemaSql(name: string): Promise<string> {
  return readFile(fileURLToPath(new URL(`../schemas/${name}.sql`, import.meta.url)), 'utf8')
}

/** Why a server cannot take a schema, if it cannot: some types are younger than the oldest server. */
export async function whyNot(name: string, server: TestServer): Promise<string | undefined> {
  if (name !== 'types') return undefined
  const database = await server.createDatabase('version')
  try {
    const [row] = await database.query(
      "select current_setting('server_version_num')::integer >= 150000 as young, version()",
    )
    return row?.['young'] === 't'
      ? undefined
      : `${row?.['version']?.split(' on ')[0]} has no numeric(5,-2) and perhaps no multiranges`
  } finally {
    await database.drop()
  }
}

/** A model and its table, as `tote init --json` lists them. */
export interface MadeModel {
  readonly name: string
  readonly kind: string
  /** As a config writes it, which is also SQL but for unquoted upper case. */
  readonly table: string
}

export interface Compared {
  readonly model: string
  readonly rows: number
  /** Rows of the source that the warehouse lacks, and the other way round. */
  readonly missing: number
  readonly extra: number
  /** Built-in types that are not the same on both sides. */
  readonly types: readonly string[]
}

const SESSION =
  "set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set extra_float_digits = 1; set bytea_output = 'hex'; set lc_monetary = 'C'; set search_path = ''"

/** Compares every model's current rows with its table. */
export async function compareAll(
  models: readonly MadeModel[],
  urls: { readonly source: string; readonly warehouse: string; readonly schema?: string },
): Promise<Compared[]> {
  const source = await connect({ side: 'source', name: 'compare', url: urls.source })
  const warehouse = await connect({ side: 'warehouse', name: 'compare', url: urls.warehouse })
  try {
    for (const connection of [source, warehouse]) await connection.query('set', SESSION)
    const compared: Compared[] = []
    for (const model of models)
      compared.push(await compare(model, { source, warehouse, schema: urls.schema ?? 'public' }))
    return compared
  } finally {
    await source.close()
    await warehouse.close()
  }
}

interface Sides {
  readonly source: Connection
  readonly warehouse: Connection
  readonly schema: string
}

/** Types whose values name objects of their own server: text elsewhere. */
const OF_ITS_SERVER = /^(reg[a-z]+|aclitem)(\[\])?$/

const SYSTEM: Readonly<Record<string, number>> = { fact: 4, dimension: 1, table: 0 }
const CURRENT: Readonly<Record<string, string>> = {
  fact: 'where valid_to is null',
  dimension: 'where not is_deleted',
  table: '',
}

async function compare(
  { name, kind, table }: MadeModel,
  { source, warehouse, schema }: Sides,
): Promise<Compared> {
  const origin = parts(table).map(quoteIdentifier).join('.')
  const target = `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`
  const from = await columnsOf(source, origin)
  const all = await columnsOf(warehouse, target)
  const own = all.slice(kind === 'fact' ? 1 : 0, all.length - (SYSTEM[kind] ?? 0))
  const to = own.slice(0, from.length)
  const keyless = own.length - from.length
  if (keyless !== 0 && keyless !== 1)
    throw new Error(`${name} has ${own.length} columns of its own, ${table} ${from.length}`)

  // Both sides as the output functions print them: a cast to text keeps a prolog of xml that no output has.
  const stage = async (
    connection: Connection,
    { columns, relation }: { columns: typeof from; relation: string },
  ): Promise<string> => {
    const into = `pg_temp.${quoteIdentifier(`${name} of ${connection.peer.side}`)}`
    const texts = columns.map((_, index) => `c${index} text`).join(', ')
    await warehouse.query('stage', `create table ${into} (${texts})`)
    const list = columns.map((column) => quoteIdentifier(column.name)).join(', ')
    const rows: Buffer[] = []
    const copy = `copy (select ${list} from ${relation}) to stdout (format csv)`
    await connection.copyOut('read', copy, {
      row: (csv) => void rows.push(Buffer.from(csv)),
      ready: () => undefined,
    })
    await warehouse.copyIn('stage', `copy ${into} from stdin (format csv)`, chunks(rows))
    return `select * from ${into}`
  }
  // A table that others inherit from is itself alone; their rows are theirs.
  const [row] = await source.query(
    'look',
    'select relkind::text from pg_class where oid = $1::regclass',
    [origin],
  )
  const alone = row?.['relkind'] === 'r' ? `only ${origin}` : origin
  const given = await stage(source, { columns: from, relation: alone })
  const kept = await stage(warehouse, { columns: to, relation: `${target} ${CURRENT[kind] ?? ''}` })
  const count = async (sql: string): Promise<number> => {
    const [row] = await warehouse.query('compare', `select count(*)::text as n from (${sql}) as d`)
    return Number(row?.['n'])
  }
  return {
    model: name,
    rows: await count(given),
    missing: await count(`${given} except all ${kept}`),
    extra: await count(`${kept} except all ${given}`),
    types: from.flatMap(({ name: column, type, builtIn }, index) =>
      !builtIn || OF_ITS_SERVER.test(type) || to[index]?.type === type
        ? []
        : [`${column}: ${type} became ${to[index]?.type}`],
    ),
  }
}

async function* chunks(rows: readonly Buffer[]): AsyncIterable<Uint8Array> {
  if (rows.length > 0) yield Buffer.concat(rows)
}

async function columnsOf(
  connection: Connection,
  relation: string,
): Promise<{ name: string; type: string; builtIn: boolean }[]> {
  const rows = await connection.query(
    'describe',
    `select a.attname, format_type(a.atttypid, a.atttypmod) as type, e.typnamespace = 'pg_catalog'::regnamespace as own
     from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
     join pg_catalog.pg_type e on e.oid = case when t.typcategory = 'A' and t.typelem <> 0 then t.typelem else t.oid end
     where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum`,
    [relation],
  )
  return rows.map((row) => ({
    name: row['attname'] ?? '',
    type: row['type'] ?? '',
    builtIn: row['own'] === 't',
  }))
}

/** `schema.name` as a config writes it. */
function parts(table: string): string[] {
  return [...table.matchAll(/"((?:[^"]|"")*)"|([^."]+)/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
  )
}
