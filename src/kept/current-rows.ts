/**
 * Rows of small tables, kept in DuckDB's memory from one point to the next, so that a small batch does
 * not read all files of all tables again. What is kept is known by the very query over files that it
 * was made by, and files never change: whatever else happens to a table (another process commits, a
 * compaction, a restatement, a column more) asks another query, and the rows are read from the lake.
 */
import { isAmong, type Among } from '../columns/current.ts'
import type { Engine } from '../columns/engine.ts'
import { isFloat, OP_COLUMN, quoteName, quoteNames } from '../columns/sql.ts'
import type { CommittedManifest, DataFile } from '../lake/manifest.ts'
import { filesAsOf, newestSince, rowsIn, type RowFiles } from '../lake/read.ts'
import type { Zone } from '../lake/zone.ts'
import type { Column } from '../types.ts'

/** As rowsAsOf: a `select` of a table's rows as of a batch. */
export type ReadRows = (
  zone: Zone,
  manifest: CommittedManifest,
  table: string,
  batch: number,
  columns?: readonly Column[],
  among?: Among | null,
) => Promise<string>

/** Of one table, and of its files. */
const MOST_ROWS = 100_000
const MOST_BYTES = 4 << 20
/** What all tables may have of memory. */
const MOST_MEMORY = 64 << 20
/** DuckDB's memory for a column of few rows (195 kB of ten columns); of more it has whole blocks (of ten: 2.8 MB of 10,000, 10.7 of 100,000). */
const COLUMN_BYTES = 20_000
const FEW_ROWS = 2048
const BLOCK_BYTES = 1 << 18
const VALUE_BYTES = 8

const DATABASE = quoteName('_tote_kept')

interface Kept {
  /** The table in DATABASE. */
  readonly relation: string
  readonly batch: number
  /** The query that yields the same rows from files. */
  readonly query: string
  /** Files after the bulk that it reads. */
  readonly since: number
  /** Bytes, about. */
  readonly memory: number
}

const homes = new WeakMap<object, Map<string, Kept>>()

/** Rows for one point, from memory where they are kept. Views may stand on them until the next point. */
export interface KeptRows {
  /** A reader that works on this engine. */
  on(engine: Engine): ReadRows
}

/** Opens what the engine's home keeps. */
export async function openKeptRows({ home, run }: Engine): Promise<KeptRows> {
  const kept = (home === null ? undefined : homes.get(home)) ?? new Map<string, Kept>()
  if (home !== null && !homes.has(home)) {
    await run(`attach if not exists ':memory:' as ${DATABASE}`)
    homes.set(home, kept)
  }
  /** What this point was handed; it must not change under its views. */
  const handed = new Map<string, Kept>()
  return {
    on:
      (engine) =>
      async (
        zone,
        manifest,
        table,
        batch,
        columns = manifest.tables[table]?.columns ?? [],
        among = null,
      ) => {
        const files = await filesAsOf(zone, manifest, table, batch)
        const id = JSON.stringify([zone.store.url, manifest.name, table])
        const asked: Asked = { engine, zone, files, columns, batch, id }
        const before = handed.get(id)
        const found =
          before === undefined ? await bring(kept, asked) : await standing(before, asked)
        if (found === null) return rowsIn(zone, files, columns, among)
        handed.set(id, found)
        const where = among === null ? '' : ` where ${isAmong(among)}`
        return `select ${namesOf(columns)} from ${found.relation}${where}`
      },
  }
}

interface Asked {
  readonly engine: Engine
  readonly zone: Zone
  readonly files: RowFiles
  readonly columns: readonly Column[]
  readonly batch: number
  readonly id: string
}

/** What was handed out before, if it is what is asked for. */
async function standing(found: Kept, { zone, files, columns }: Asked): Promise<Kept | null> {
  return (await rowsIn(zone, files, columns)) === found.query ? found : null
}

/** The rows in memory, made or brought to what is asked for; null when they are not to be kept. */
async function bring(kept: Map<string, Kept>, asked: Asked): Promise<Kept | null> {
  const { engine, zone, files, columns, batch, id } = asked
  const before = kept.get(id)
  // Whoever looks back is not followed: the next will not.
  if (engine.home === null || (before !== undefined && batch < before.batch)) return null
  // Whatever fails on the way, nothing is left that could be taken for what it is not.
  kept.delete(id)
  const relation = `${DATABASE}.main.${quoteName(id)}`
  const bytes = sizeOf([...files.bulk, ...files.since])
  const memory = bytes + columns.length * columnMemory(files.entry.rows)
  const others = [...kept.values()].reduce((sum, one) => sum + one.memory, 0)
  const isSmall = files.entry.rows <= MOST_ROWS && bytes <= MOST_BYTES
  if (!isSmall || others + memory > MOST_MEMORY) {
    if (before !== undefined) await engine.run(`drop table if exists ${relation}`)
    return null
  }
  const query = await rowsIn(zone, files, columns)
  if (query !== before?.query) {
    const changes = before === undefined ? null : await changesSince(before, asked)
    const made =
      changes === null
        ? `create or replace table ${relation} as ${query}`
        : applyChanges(relation, changes, { key: files.entry.key, columns })
    try {
      await engine.run(made)
    } catch {
      // Whoever reads the files, then, says what is wrong with them.
      return null
    }
  }
  const found = { relation, batch, query, since: files.since.length, memory }
  kept.set(id, found)
  return found
}

/** A `select` of the changes between what was kept and what is asked for; null when one does not follow from the other. */
async function changesSince(before: Kept, { zone, files, columns }: Asked): Promise<string | null> {
  const known = { ...files, since: files.since.slice(0, before.since) }
  if ((await rowsIn(zone, known, columns)) !== before.query) return null
  const since = files.since.slice(before.since)
  return newestSince(zone, { entry: files.entry, since }, columns)
}

/** One statement, so that it has effect whole or not at all. */
function applyChanges(
  relation: string,
  changes: string,
  { key, columns }: { readonly key: readonly string[]; readonly columns: readonly Column[] },
): string {
  const on = key.map((name) => `k.${quoteName(name)} = c.${quoteName(name)}`).join(' and ')
  const names = columns.map(({ name }) => quoteName(name))
  // An update leaves a 0 where it is to write -0, since the two are equal.
  if (columns.some(({ carried }) => isFloat(carried))) {
    const list = names.join(', ')
    return (
      `create or replace table ${relation} as with changes as materialized (${changes}) ` +
      `select ${list} from ${relation} as k where not exists (select 1 from changes as c where ${on}) ` +
      `union all select ${list} from changes where ${quoteName(OP_COLUMN)} = 'u'`
    )
  }
  // The key, too: 1.0 and 1.000 may be one key in two spellings.
  const sets = names.map((name) => `${name} = c.${name}`).join(', ')
  const isDelete = `c.${quoteName(OP_COLUMN)} = 'd'`
  return (
    `merge into ${relation} as k using (${changes}) as c on ${on}` +
    ` when matched and ${isDelete} then delete when matched then update set ${sets}` +
    ` when not matched and not ${isDelete} then insert (${names.join(', ')}) values (${names.map((name) => `c.${name}`).join(', ')})`
  )
}

function columnMemory(rows: number): number {
  return rows <= FEW_ROWS
    ? COLUMN_BYTES
    : BLOCK_BYTES * Math.ceil((rows * VALUE_BYTES) / BLOCK_BYTES)
}

function sizeOf(files: readonly DataFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0)
}

function namesOf(columns: readonly Column[]): string {
  return quoteNames(columns.map(({ name }) => name))
}
