/** What the warehouse must hold of a model: its query by hand over every batch, and the versions that follow from it. */
import type { TestDatabase } from '../support/postgres.ts'
import { named, thingSelect, type Thing } from './thing.ts'
import { write, type Variant } from './models.ts'

/** A batch of the pipeline, and the batches of the sources that it stands for. */
export interface Point {
  readonly batch: number
  readonly instant: string
  readonly shop: number
  readonly seeds: number
  readonly crm: number
}

/** From that batch on a model read so; null while it had no file. */
export interface Segment {
  readonly from: number
  readonly variant: Variant | null
  /** Batches that a restatement passed over. */
  readonly skips?: ReadonlySet<number>
}

export type Segments = ReadonlyMap<string, readonly Segment[]>

type Row = Readonly<Record<string, unknown>>

export interface Version {
  readonly key: string
  readonly row: Row
  readonly from: string
  readonly batch: number
  to: string | null
  deleted: boolean
}

function isSkipped(segments: Segments, name: string, batch: number): boolean {
  return (
    (segments.get(name) ?? []).findLast(({ from }) => from <= batch)?.skips?.has(batch) === true
  )
}

/** Rows by query and batches, so that a life asks for each once. */
export type Known = Map<string, readonly Row[]>

export function variantAt(segments: Segments, name: string, batch: number): Variant | null {
  return (segments.get(name) ?? []).findLast(({ from }) => from <= batch)?.variant ?? null
}

/** The rows of a model at a point, in the order of its key. */
export async function rowsAt(
  source: TestDatabase,
  segments: Segments,
  of: { name: string; variant: Variant; point: Point; points: readonly Point[]; known: Known },
): Promise<readonly Row[]> {
  const { name, variant, points, known } = of
  const written = write(name, variant)
  // A batch that what it reads has passed over shows what there was before.
  const point =
    written.reads.length === 0
      ? of.point
      : [...points.filter(({ batch }) => batch < of.point.batch), of.point].findLast(
          ({ batch }) => !written.reads.some((read) => isSkipped(segments, read, batch)),
        )
  if (point === undefined) return []
  const others = written.reads.map((read) => {
    const other = variantAt(segments, read, of.point.batch)
    if (other === null) throw new Error(`${name} reads ${read}, which is not there`)
    return `${read} as (${write(read, other).sql})`
  })
  const sql = `${others.length === 0 ? '' : `with ${others.join(', ')} `}${written.sql}`
  const place = `${sql} at ${point.shop} ${point.seeds} ${point.crm}`
  let rows = known.get(place)
  if (rows === undefined) {
    const found = await source.query(
      `set search_path = mirror; set lives.shop = '${point.shop}'; set lives.seeds = '${point.seeds}'; set lives.crm = '${point.crm}';
       select row_to_json(r)::text as row from (${sql}) as r order by ${written.key.map((column) => `r.${column}`).join(', ')}`,
    )
    await source.query('reset search_path')
    rows = found.map(({ row }) => JSON.parse(row ?? '') as Row)
    known.set(place, rows)
  }
  return rows
}

/** Every version that batch after batch came to, in the order of record ids. */
export async function versionsOf(
  source: TestDatabase,
  segments: Segments,
  { name, points, known }: { name: string; points: readonly Point[]; known: Known },
): Promise<{ readonly versions: readonly Version[]; readonly columns: readonly string[] }> {
  let versions: Version[] = []
  let columns: readonly string[] = []
  const open = new Map<string, Version>()
  // Those that went on with --forward: new columns are null in what was, old ones are gone, batch or no batch.
  const ahead = [...(segments.get(name) ?? [])]
  const goOn = (until: number): void => {
    for (let next = ahead[0]; next !== undefined && next.from <= until; next = ahead[0]) {
      ahead.shift()
      if (next.variant === null) continue
      columns = write(name, next.variant).columns
      const move = (version: Version): Version => ({
        ...version,
        row: Object.fromEntries(columns.map((column) => [column, version.row[column] ?? null])),
      })
      const moved = new Map(versions.map((version) => [version, move(version)]))
      versions = [...moved.values()]
      for (const [key, version] of open) open.set(key, moved.get(version) ?? version)
    }
  }
  for (const point of points) {
    goOn(point.batch)
    const variant = variantAt(segments, name, point.batch)
    if (variant === null || isSkipped(segments, name, point.batch)) continue
    const written = write(name, variant)
    const rows = await rowsAt(source, segments, { name, variant, point, points, known })
    const keyOf = (row: Row): string => written.keyOf('lake', row)
    const present = new Set(rows.map(keyOf))
    for (const [k, version] of open)
      if (!present.has(k)) {
        version.to = point.instant
        version.deleted = true
        open.delete(k)
      }
    for (const row of rows) {
      const k = keyOf(row)
      const before = open.get(k)
      if (before !== undefined && JSON.stringify(before.row) === JSON.stringify(row)) continue
      if (before !== undefined) before.to = point.instant
      const version: Version = {
        key: k,
        row,
        from: point.instant,
        batch: point.batch,
        to: null,
        deleted: false,
      }
      versions.push(version)
      open.set(k, version)
    }
  }
  goOn(Infinity)
  return { versions, columns }
}

/** The table as the warehouse must show it: every row as text, in order. */
export async function tableOf(
  source: TestDatabase,
  segments: Segments,
  of: { name: string; variant: Variant; points: readonly Point[]; known: Known; thing: Thing },
): Promise<string[]> {
  const { versions, columns } = await versionsOf(source, segments, of)
  const { kind } = of.variant
  const { whole, recordId, keyOf } = write(of.name, of.variant)
  const texts = (row: Row): readonly string[] =>
    columns.map((column) => {
      const value = row[column] ?? null
      return `${column}: ${JSON.stringify(whole && column === 'row' ? named(value, of.thing) : value)}`
    })
  const line = (row: Row, more: readonly string[]): string => [...texts(row), ...more].join(', ')
  if (kind === 'table')
    return versions
      .filter(({ to }) => to === null)
      .map(({ row }) => line(row, []))
      .toSorted()
  if (kind === 'dimension') {
    const latest = new Map(versions.map((version) => [keyOf('star', version.row), version]))
    return [...latest.values()]
      .map(({ row, deleted }) => line(row, [`is_deleted: ${deleted}`]))
      .toSorted()
  }
  return versions
    .map(({ row, from, to, batch, deleted }, index) =>
      line(row, [
        `${recordId}: ${index + 1}`,
        `valid_from: ${JSON.stringify(from)}`,
        `valid_to: ${JSON.stringify(to)}`,
        `batch: ${batch}`,
        `is_deleted: ${deleted}`,
      ]),
    )
    .toSorted()
}

/** The same of the warehouse's table, as it stands. */
export async function tableIn(
  warehouse: TestDatabase,
  {
    name,
    variant,
    schema,
    thing,
  }: { name: string; variant: Variant; schema: string; thing: Thing },
): Promise<string[]> {
  const { columns, whole, recordId, shown } = write(name, variant)
  const list = whole
    ? await thingSelect(warehouse, `${schema}.${name}`, thing)
    : columns.map((column) => `${shown('star', column)} as ${column}`).join(', ')
  const instant = (column: string): string =>
    `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as ${column}`
  const system =
    variant.kind === 'table'
      ? []
      : variant.kind === 'dimension'
        ? ['is_deleted']
        : [recordId ?? '', instant('valid_from'), instant('valid_to'), 'batch', 'is_deleted']
  const rows = await warehouse.query(
    `select row_to_json(r)::text as row from (select ${[list, ...system].join(', ')} from ${schema}.${name} as t) as r`,
  )
  return rows
    .map(({ row }) =>
      Object.entries(JSON.parse(row ?? '') as Row)
        .map(([column, value]) => `${column}: ${JSON.stringify(value)}`)
        .join(', '),
    )
    .toSorted()
}
