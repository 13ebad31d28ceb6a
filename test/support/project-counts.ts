/**
 * What a batch did to the shop, counted by the test itself in source, lake and warehouse, with SQL that
 * shares nothing with Tote's own: what the summary must say (P12), and what the star must hold (P7).
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openEngine } from '../../src/columns/engine.ts'
import type { RunSummary } from '../../src/events.ts'
import { ORACLE, TABLES } from './project-shop.ts'
import type { TestDatabase } from './postgres.ts'
import type { TestProject } from './project.ts'

type Counts = Readonly<Record<string, Readonly<Record<string, number>>>>

/** Keeps a copy of every source table, out of Tote's sight, for the next `changesSince`. */
export async function remember(source: TestDatabase): Promise<void> {
  const copies = Object.keys(TABLES).map(
    (table) => `create table before.${table} as table public.${table}`,
  )
  await source.query(
    `drop schema if exists before cascade; create schema before; ${copies.join(';')}`,
  )
}

/** By table: rows, and what changed since `remember`, found by whole rows as text. */
async function countSource(source: TestDatabase): Promise<Counts> {
  const parts = Object.entries(TABLES).map(
    ([table, key]) => `select '${table}' as name,
      (select count(*) from public.${table}) as "rowsInSource",
      count(*) filter (where b is null) as inserted, count(*) filter (where n is null) as deleted,
      count(*) filter (where b::text <> n::text) as updated
    from before.${table} b full join public.${table} n on n.${key} = b.${key}`,
  )
  return byName(await source.query(parts.join(' union all ')))
}

/** By table of both zones: current rows, from the files that the newest manifests name. */
async function countLake(folder: string): Promise<Counts> {
  const engine = await openEngine({ tempFolder: folder, threads: 1 })
  const counts: Record<string, Record<string, number>> = {}
  try {
    for (const zone of ['ingestion', 'processed']) {
      const manifests = join(folder, 'lake', zone, 'shop/_manifests')
      const newest = (await readdir(manifests)).toSorted().at(-1) ?? ''
      const { tables } = JSON.parse(await readFile(join(manifests, newest), 'utf8')) as {
        tables: Record<string, { key: string[]; base: { key: string }[]; files: { key: string }[] }>
      }
      for (const [table, { key, base, files }] of Object.entries(tables)) {
        const paths = [...base, ...files].map((file) => `'${join(folder, 'lake', zone, file.key)}'`)
        const [row] = await engine.rows(
          `select count(*) as n from (select _tote_op, row_number() over (partition by ${key.join()} order by _tote_batch desc) as place
           from read_parquet([${paths.join()}], union_by_name = true)) where place = 1 and _tote_op = 'u'`,
        )
        counts[table] = { rowsInLake: Number(row?.['n']) }
      }
    }
  } finally {
    engine.close()
  }
  return counts
}

/** By table of the star: what a batch brought, and what there is. */
async function countWarehouse(warehouse: TestDatabase, batch: number): Promise<Counts> {
  const parts = Object.keys(ORACLE).map((table) =>
    table.startsWith('fact')
      ? `select '${table}' as name, count(*) filter (where valid_to is null) as "rowsCurrent",
          count(*) filter (where batch = ${batch}) as "rowsLoaded",
          count(*) filter (where is_deleted and valid_to = (select instant from tote.ledger where batch = ${batch})) as "rowsDeleted"
        from ${table}`
      : `select '${table}', count(*) filter (where not is_deleted), null::bigint, null::bigint from ${table}`,
  )
  return byName(await warehouse.query(parts.join(' union all ')))
}

/** What the summary says that the test's own counts do not; empty when it tells the truth. */
export async function untruths(project: TestProject, summary: RunSummary): Promise<string[]> {
  const source = await countSource(project.source)
  const lake = await countLake(project.folder)
  const star = await countWarehouse(project.warehouse, summary.batches.warehouse?.batch ?? 0)
  const claims = [
    ...summary.tables.map((claim) => ({
      ...claim,
      name: claim.table,
      counts: { ...source[claim.table], ...lake[claim.table] },
    })),
    ...summary.models.map((claim) => ({
      ...claim,
      name: claim.model,
      counts: lake[claim.model] ?? {},
    })),
    ...summary.warehouse.map((claim) => ({
      ...claim,
      name: claim.table,
      counts: star[claim.table] ?? {},
    })),
  ]
  const lies = claims.flatMap(({ name, counts, ...claim }) =>
    Object.entries(counts)
      .filter(([what, count]) => (claim as Record<string, unknown>)[what] !== count)
      .map(
        ([what, count]) =>
          `${name}.${what}: ${String((claim as Record<string, unknown>)[what])}, counted ${count}`,
      ),
  )
  const silent = Object.keys(TABLES).filter((table) => !claims.some(({ name }) => name === table))
  return [...lies, ...silent.map((table) => `${table}: not in the summary`)]
}

/** What the star's current rows have that the oracle over the source has not, and the other way round. */
export async function starDifferences({ source, warehouse }: TestProject): Promise<string[]> {
  const found: string[] = []
  for (const [model, sql] of Object.entries(ORACLE)) {
    const expected = await rowsOf(source, sql)
    const columns = Object.keys(expected[0] ?? { '*': '' }).join(', ')
    const current = model.startsWith('fact') ? 'valid_to is null' : 'not is_deleted'
    const actual = await rowsOf(warehouse, `select ${columns} from ${model} where ${current}`)
    const [wanted, got] = [expected, actual].map((rows) =>
      rows.map((row) => JSON.stringify(row)).toSorted(),
    )
    found.push(
      ...(wanted ?? []).filter((row) => !got?.includes(row)).map((row) => `${model} lacks ${row}`),
    )
    found.push(
      ...(got ?? []).filter((row) => !wanted?.includes(row)).map((row) => `${model} has ${row}`),
    )
    if (wanted?.length !== got?.length)
      found.push(`${model}: ${got?.length} rows, not ${wanted?.length}`)
  }
  return found
}

async function rowsOf(
  database: TestDatabase,
  sql: string,
): Promise<Record<string, string | null>[]> {
  return database.query(sql)
}

function byName(rows: readonly Record<string, string | null>[]): Counts {
  return Object.fromEntries(
    rows.map(({ name, ...counts }) => [
      name ?? '',
      Object.fromEntries(
        Object.entries(counts).flatMap(([what, count]) =>
          count === null ? [] : [[what, Number(count)]],
        ),
      ),
    ]),
  )
}
