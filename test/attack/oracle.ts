/**
 * What each batch must hold, by the journal of the source; and what it holds, by the lake's own files and
 * manifests. The lake is read here a second time, from ARCHITECTURE.md's words, with none of Tote's code.
 */
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type pg from 'pg'
import { TABLES } from './field.ts'

/** The rows of a table by key; each row as text that is equal exactly when its values are. */
export type State = ReadonlyMap<string, Readonly<Record<string, string | null>>>

export interface Batch {
  readonly number: number
  readonly batch: number
  readonly instant: string
  /** The `pg_snapshot` that it was read in. */
  readonly position: string
  readonly files: Readonly<Record<string, readonly string[]>>
}

interface ManifestText {
  readonly number: number
  readonly batch: number
  readonly instant: string
  readonly source: { readonly position: string }
  readonly tables: Readonly<
    Record<
      string,
      { readonly base: readonly { key: string }[]; readonly files: readonly { key: string }[] }
    >
  >
}

/** The manifests of a chain after number `after`, in order. */
export function readBatches(zone: string, chain: string, after: number): Batch[] {
  const batches: Batch[] = []
  for (let number = after + 1; ; number++) {
    const path = join(zone, chain, '_manifests', `${String(number).padStart(10, '0')}.json`)
    if (!existsSync(path)) return batches
    const text = JSON.parse(readFileSync(path, 'utf8')) as ManifestText
    const files = Object.entries(text.tables).map(
      ([name, { base, files: changes }]) =>
        [name, [...base, ...changes].map(({ key }) => join(zone, ...key.split('/')))] as const,
    )
    const { batch, instant, source } = text
    batches.push({
      number,
      batch,
      instant,
      position: source.position,
      files: Object.fromEntries(files),
    })
  }
}

export async function openLake(): Promise<DuckDBConnection> {
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  await connection.run("set threads = 1; set timezone = 'UTC'")
  return connection
}

/** The newest change of each key, when it is no deletion. */
export async function lakeState(
  lake: DuckDBConnection,
  table: string,
  files: readonly string[],
): Promise<State> {
  if (files.length === 0) return new Map()
  const { key = [] } = TABLES[table] ?? {}
  const list = files.map((file) => `'${file}'`).join(', ')
  const result = await lake.run(
    `select columns(*)::varchar from (
       select * from read_parquet([${list}], union_by_name = true)
       qualify row_number() over (partition by ${key.join(', ')} order by _tote_batch desc) = 1)
     where _tote_op = 'u'`,
  )
  const rows = await result.getRowObjectsJson()
  return stateOf(
    rows.map((row) => {
      const { _tote_op: _, _tote_batch: __, ...own } = row as Record<string, string | null>
      return own
    }),
    key,
  )
}

/** An image with every value as text, so that no number passes through a float. */
const TEXTS = '(select jsonb_object_agg(e.key, e.value) from jsonb_each_text(image) e)'

/** What the snapshot saw of a table. */
export async function journalState(
  journal: pg.Client,
  table: string,
  snapshot: string,
): Promise<State> {
  const { rows } = await journal.query<{ image: Record<string, string | null> | null }>(
    `with visible as (
       select seq, key, image from journal.change where tbl = $1 and pg_visible_in_snapshot(xid, $2)
         and seq > coalesce((select max(seq) from journal.change where tbl = $1 and key is null and pg_visible_in_snapshot(xid, $2)), 0))
     select distinct on (key) key, ${TEXTS} as image from visible order by key, seq desc`,
    [table, snapshot],
  )
  const images = rows.flatMap(({ image }) => (image === null ? [] : [image]))
  return stateOf(images, TABLES[table]?.key ?? [])
}

/** Rows as a query gives them, to compare with either. */
export async function queriedState(
  client: pg.Client,
  sql: string,
  key: readonly string[],
): Promise<State> {
  const { rows } = await client.query<{ image: Record<string, string | null> }>(
    `select ${TEXTS} as image from (select to_jsonb(t) as image from (${sql}) t) r`,
  )
  return stateOf(
    rows.map(({ image }) => image),
    key,
  )
}

function stateOf(rows: readonly Record<string, string | null>[], key: readonly string[]): State {
  const state = new Map<string, Record<string, string | null>>()
  for (const row of rows) {
    const own = Object.fromEntries(
      Object.entries(row).map(([name, value]) => [name, value === null ? null : canonical(value)]),
    )
    const id = key.map((name) => own[name]).join('/')
    if (state.has(id)) throw new Error(`two rows with the key ${id}`)
    state.set(id, own)
  }
  return state
}

/** Times and numbers as one server prints them, and as another. */
function canonical(value: string): string {
  if (/^\d{4}-\d\d-\d\d[ T]\d\d:/.test(value))
    return value
      .replace(' ', 'T')
      .replace(/(\.\d*?)0+(?=$|[+-])/, '$1')
      .replace(/\.(?=$|[+-])/, '')
      .replace(/([+-]\d\d):00$/, '$1')
  return value
}

/**
 * How two states differ, first rows first; nothing when they do not. Labels of the enum carry how often they were
 * renamed: a rename shows at once, in every snapshot, so a label may be newer than the snapshot, never older.
 */
export function differences(
  expected: State,
  found: State,
  generations: ReadonlyMap<string, number>,
): string[] {
  const problems: string[] = []
  for (const [id, row] of expected) {
    const other = found.get(id)
    if (other === undefined) problems.push(`${id} is missing`)
    else if (!sameRow(row, other, generations))
      problems.push(`${id} is ${JSON.stringify(other)} and not ${JSON.stringify(row)}`)
  }
  for (const id of found.keys()) if (!expected.has(id)) problems.push(`${id} is too many`)
  return problems.length > 3 ? [...problems.slice(0, 3), `… ${problems.length} in all`] : problems
}

function sameRow(
  expected: Readonly<Record<string, string | null>>,
  found: Readonly<Record<string, string | null>>,
  generations: ReadonlyMap<string, number>,
): boolean {
  // The lake keeps columns that the table no longer has.
  return Object.keys(expected).every((name) => {
    const [one, other] = [expected[name] ?? null, found[name] ?? null]
    if (name !== 'colour' || one === null || other === null) return one === other
    const [colour = '', generation = ''] = other.split('_')
    return one.startsWith(`${colour}_`) && Number(generation) >= (generations.get(colour) ?? 0)
  })
}

export async function labelsAt(journal: pg.Client, snapshot: string): Promise<Map<string, number>> {
  const { rows } = await journal.query<{ colour: string; generation: number }>(
    'select colour, max(generation) as generation from journal.label where pg_visible_in_snapshot(xid, $1) group by colour',
    [snapshot],
  )
  return new Map(rows.map(({ colour, generation }) => [colour, generation]))
}

/** One version of a fact, as the batches saw it. */
export interface Version {
  readonly image: Readonly<Record<string, string | null>>
  readonly from: string
  to: string | null
  deleted: boolean
}

/** The versions that a fact's table must hold after each batch. */
export class Versions {
  readonly all: Version[] = []
  private readonly open = new Map<string, Version>()

  private readonly columns: readonly string[]
  constructor(columns: readonly string[]) {
    this.columns = columns
  }

  /** Takes the state that the next batch holds. */
  take(rows: State, instant: string): void {
    const own = (row: Readonly<Record<string, string | null>>): Record<string, string | null> =>
      Object.fromEntries(this.columns.map((name) => [name, row[name] ?? null]))
    const state = new Map([...rows].map(([id, row]) => [id, own(row)]))
    for (const [id, version] of this.open) {
      const now = state.get(id)
      if (now !== undefined && JSON.stringify(now) === JSON.stringify(version.image)) continue
      version.to = instant
      version.deleted = now === undefined
      this.open.delete(id)
    }
    for (const [id, image] of state) {
      if (this.open.has(id)) continue
      const version: Version = { image, from: instant, to: null, deleted: false }
      this.open.set(id, version)
      this.all.push(version)
    }
  }
}

/** What differs between the versions expected and those of the warehouse. */
export async function versionProblems(
  warehouse: pg.Client,
  table: string,
  versions: Versions,
): Promise<string[]> {
  const model = TABLES[table]?.model ?? ''
  const { rows } = await warehouse.query<{
    image: Record<string, string | null>
    from: string
    to: string | null
    deleted: boolean
  }>(
    `select ${TEXTS} as image, ${utc('valid_from')} as from, ${utc('valid_to')} as to, is_deleted as deleted
     from (select to_jsonb(t) - '${table}_record_id' - 'valid_from' - 'valid_to' - 'is_deleted' - 'batch' as image, valid_from, valid_to, is_deleted from ${model} t) r`,
  )
  const text = (image: object, from: string, to: string | null, deleted: boolean): string =>
    JSON.stringify([
      Object.entries(image).toSorted(([a], [b]) => (a < b ? -1 : 1)),
      from,
      to,
      deleted,
    ])
  const expected = versions.all.map(({ image, from, to, deleted }) =>
    text(image, from, to, deleted),
  )
  const found = rows.map(({ image, from, to, deleted }) =>
    text(
      Object.fromEntries(
        Object.entries(image).map(([name, value]) => [
          name,
          value === null ? null : canonical(value),
        ]),
      ),
      from,
      to,
      deleted,
    ),
  )
  const [missing, extra] = [without(expected, found), without(found, expected)]
  return [
    ...(missing.length === 0
      ? []
      : [`${model}: ${missing.length} versions are missing, as ${missing[0]}`]),
    ...(extra.length === 0 ? [] : [`${model}: ${extra.length} versions too many, as ${extra[0]}`]),
  ]
}

const utc = (column: string): string =>
  `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`

function without(rows: readonly string[], others: readonly string[]): string[] {
  const left = new Map<string, number>()
  for (const row of others) left.set(row, (left.get(row) ?? 0) + 1)
  return rows.filter((row) => {
    const count = left.get(row) ?? 0
    left.set(row, count - 1)
    return count <= 0
  })
}
