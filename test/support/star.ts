/**
 * A star by hand: batches of a lake that was never written, as relations of an engine, so that the
 * warehouse can be tested alone. Rows are SQL literals in the order of the columns.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import type { RowReader } from '../../src/warehouse/warehouse.ts'
import { quoteName } from '../../src/columns/sql.ts'
import type { Context, NewEvent } from '../../src/events.ts'
import type { Column } from '../../src/types.ts'
import type { LedgerEntry, StarBatch, StarChanges } from '../../src/warehouse/warehouse.ts'
import type { StarTable } from '../../src/star/star-table.ts'

/** `name type carried`, with `?` after the name when it may be null. */
export type ColumnText = readonly [name: string, type: string, carried: string]

export function columns(...texts: readonly ColumnText[]): readonly Column[] {
  return texts.map(([name, type, carried], index) => ({
    id: index + 1,
    name: name.replace(/\?$/, ''),
    type,
    carried,
    notNull: !name.endsWith('?'),
  }))
}

export function starTable(
  table: Pick<StarTable, 'name' | 'kind' | 'columns' | 'key'> & Partial<StarTable>,
): StarTable {
  return { recordId: null, references: [], comment: null, ...table }
}

export interface TableChanges {
  readonly upserts?: readonly (readonly string[])[]
  /** Keys. */
  readonly deletes?: readonly (readonly string[])[]
  /** Instead of `upserts`: a select of the columns. */
  readonly select?: string
  /** What the manifest says, when it is to be wrong. */
  readonly rowsInLake?: number
}

export interface HandMadeLake {
  readonly engine: Engine
  /** The next batch, or that of `number` once more; instants are one minute apart. */
  batch(
    changes: Readonly<Record<string, TableChanges>>,
    options?: Partial<LedgerEntry>,
  ): Promise<StarBatch>
  close(): Promise<void>
}

export function instantOf(batch: number): string {
  return new Date(Date.UTC(2026, 10, 20, 9, batch)).toISOString().replace('Z', '456Z')
}

export async function openHandMadeLake(star: readonly StarTable[]): Promise<HandMadeLake> {
  const folder = await mkdtemp(join(tmpdir(), 'tote-star-'))
  const engine = await openEngine({ tempFolder: folder })
  const keys = new Map(star.map(({ name }) => [name, new Set<string>()]))
  let number = 0
  return {
    engine,
    batch: async (changes, options = {}) => {
      number += 1
      const batch = options.batch ?? number
      const made: StarChanges[] = []
      for (const table of star)
        made.push(
          await makeChanges(engine, {
            table,
            keys,
            changes: changes[table.name] ?? {},
            batch,
            number,
          }),
        )
      const entry: LedgerEntry = {
        pipeline: 'star',
        chain: 'chain-a',
        generation: 1,
        batch,
        manifest: batch,
        manifestSha256: `sha256-${batch}`,
        instant: instantOf(batch),
        run: `run-${batch}`,
        ...options,
      }
      return { entry, changes: made, live: [] }
    },
    close: async () => {
      engine.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

interface Making {
  readonly table: StarTable
  readonly keys: Map<string, Set<string>>
  readonly changes: TableChanges
  readonly batch: number
  readonly number: number
}

async function makeChanges(
  engine: Engine,
  { table, keys, changes, batch, number }: Making,
): Promise<StarChanges> {
  const relation = quoteName(`batch ${number} of ${table.name}`)
  const typed = table.columns.map(({ name, carried }) => `${quoteName(name)} ${carried}`).join(', ')
  await engine.run(`create table ${relation} (_tote_op varchar, _tote_batch bigint, ${typed})`)
  const present = keys.get(table.name) ?? new Set()
  const keyOf = (row: readonly string[]): string =>
    table.key
      .map((name) => row[table.columns.findIndex((column) => column.name === name)])
      .join('|')
  const rows = [
    ...(changes.deletes ?? []).map((key) => `('d', ${batch}, ${keyRow(table, key).join(', ')})`),
    ...(changes.upserts ?? []).map((row) => `('u', ${batch}, ${row.join(', ')})`),
  ]
  if (rows.length > 0) await engine.run(`insert into ${relation} values ${rows.join(', ')}`)
  for (const key of changes.deletes ?? []) present.delete(keyOf(keyRow(table, key)))
  for (const row of changes.upserts ?? []) present.add(keyOf(row))
  if (changes.select !== undefined) {
    await engine.run(`insert into ${relation} select 'u', ${batch}, * from (${changes.select})`)
    const names = table.key.map((name) => quoteName(name)).join(` || '|' || `)
    for (const row of await engine.rows(
      `select ${names} as k from ${relation} where _tote_op = 'u'`,
    ))
      present.add(String(row['k']))
  }
  const [counts] = await engine.rows(
    `select count(*) filter (where _tote_op = 'u')::integer u, count(*) filter (where _tote_op = 'd')::integer d from ${relation}`,
  )
  return {
    table,
    upserts: Number(counts?.['u']),
    deletes: Number(counts?.['d']),
    rowsInLake: changes.rowsInLake ?? present.size,
    rows: { chunks: (select) => engine.chunks(select(relation, null)) },
  }
}

function keyRow(table: StarTable, key: readonly string[]): readonly string[] {
  return table.columns.map(({ name }) => key[table.key.indexOf(name)] ?? 'null')
}

/** The same rows, with `before` awaited ahead of the first chunk, and `between` ahead of each further one. */
export function interrupted(rows: RowReader, before: () => Promise<void>): RowReader {
  return {
    chunks: async function* (select) {
      await before()
      yield* rows.chunks(select)
    },
  }
}

export interface TestContext extends Context {
  readonly events: NewEvent[]
}

export function testContext(signal: AbortSignal = new AbortController().signal): TestContext {
  const events: NewEvent[] = []
  return {
    run: 'test',
    signal,
    now: () => new Date(0),
    emit: (event) => void events.push(event),
    events,
  }
}
