/**
 * One table as it was read against its versioned table: its difference in the engine, and how its columns
 * are carried. Nothing but what has landed already is written.
 */
import { csvRelation } from '../columns/csv.ts'
import {
  countChanges,
  countKeyFaults,
  DIFFERENCE_COLUMNS,
  differenceTable,
  insertTable,
  keepDifference,
} from '../columns/difference.ts'
import { OP_COLUMN, quoteName, quoteNames, quoteText } from '../columns/sql.ts'
import { EngineFailure, type Engine } from '../columns/engine.ts'
import { placeFailure } from '../columns/engine-failure.ts'
import { ToteError } from '../errors.ts'
import type { Context } from '../events.ts'
import type { PieceGroup } from '../storage/pieces.ts'
import { columnsInLake } from '../extraction/landing.ts'
import { changedKeys, columnsBeside, freshPairs, rowsWithPair } from '../pairs/pairs.ts'
import { carryAsText, comparisonFailed, type UnreadRows } from '../extraction/uncarried.ts'
import type { EngineTurns } from '../extraction/turns.ts'
import { emptyRelation } from '../extraction/find-pairs.ts'
import { rowsInRanges } from '../extraction/read-rows.ts'
import type { ReadTable } from '../extraction/read-tables.ts'
import { goneColumns, liveColumns } from '../lake/column-ids.ts'
import type { CommittedManifest, DataFile, TableEntry } from '../lake/manifest.ts'
import { changesIn, rowsAsOf } from '../lake/read.ts'
import type { SourceTable } from '../sources/source.ts'
import type { ChangeCounts, Column } from '../types.ts'
import type { Zone } from '../lake/zone.ts'

export const NO_CHANGES = { inserted: 0, updated: 0, deleted: 0 } as const

export interface Compared {
  readonly read: ReadTable
  readonly columns: readonly Column[]
  readonly counts: { readonly inserted: number; readonly updated: number; readonly deleted: number }
  readonly changedRows: number
  /** The difference table in the engine, or null when the table was not compared. */
  readonly relation: string | null
  /** Of a table that is new: what holds its rows already. */
  readonly files: readonly DataFile[]
  /** Of a table with a cursor: its greatest value, as text. */
  readonly watermark: string | null
}

export interface ToCompare {
  /** The manifest to compare with, or null before the first. */
  readonly parent: CommittedManifest | null
  readonly read: ReadTable
  /** The name of the table to make. */
  readonly relation: string
  /** What the manifest says of how many rows the lake has counts for nothing. */
  readonly recount: boolean
}

/** No more than this is no faster with more cores, compared with no more rows than that. */
const [FEW_BYTES, FEW_ROWS] = [4 << 20, 100_000]

/** Throws CountMismatch, SourceKeyInvalid, ValueNotCarried. */
export async function compareTable(
  zone: Zone,
  { withEngine }: EngineTurns,
  work: ToCompare,
  context: Context,
): Promise<Compared> {
  const { read } = work
  const { table, entry, pieces, land } = read
  if (land !== null) {
    const { columns, files } = await land()
    const inserted = files.reduce((sum, { rows }) => sum + rows, 0)
    refuseOtherCount(read, inserted)
    const counts = { ...NO_CHANGES, inserted }
    const watermark =
      table.cursor === undefined
        ? null
        : await withEngine(async (engine) =>
            greatestValue(engine, `(${await changesIn(zone, { columns }, files)})`, table, columns),
          )
    return { read, columns, counts, changedRows: inserted, relation: null, files, watermark }
  }
  const { columns } = read
  if (pieces !== null)
    return withEngine(
      async (engine) => comparePieces(zone, engine, { ...work, pieces, columns }, context),
      pieces.bytes > FEW_BYTES || (entry?.rows ?? 0) > FEW_ROWS ? 'all' : 'one',
    )
  const watermark = entry === null ? null : watermarkOf(entry)
  const none = { counts: NO_CHANGES, changedRows: 0, relation: null, files: [] }
  return { read, columns, ...none, watermark }
}

interface ComparedPieces extends ToCompare {
  readonly pieces: PieceGroup
  readonly columns: readonly Column[]
}

async function comparePieces(
  zone: Zone,
  engine: Engine,
  { pieces, ...work }: ComparedPieces,
  context: Context,
): Promise<Compared> {
  const { read } = work
  const { table } = read
  let { columns } = work
  const apart = await differApart(engine, work, columns)
  if (apart !== null) return judge(zone, engine, { ...work, columns, counts: apart })
  const { longestRow } = pieces
  const files = await pieces.files()
  try {
    await makeDifference(zone, engine, work, { columns, files, longestRow })
  } catch (error) {
    if (!(error instanceof EngineFailure)) throw placeFailure(error, `table "${table.name}"`)
    const inPieces = [...liveColumns(columns), ...columnsBeside(read.beside, table)]
    const failed = { table: table.name, columns: inPieces, files, longestRow, cause: error }
    columns = columnsInLake(await carryAsText(engine, failed, context), columns)
    try {
      await makeDifference(zone, engine, work, { columns, files, longestRow })
    } catch (cause) {
      throw cause instanceof EngineFailure ? comparisonFailed(table.name, cause) : cause
    }
  }
  const counts = await countChanges(engine, work.relation)
  return judge(zone, engine, { ...work, columns, counts })
}

/** The difference as it was found on the way; null when all rows must be looked at. */
async function differApart(
  engine: Engine,
  { read: { apart }, relation }: ToCompare,
  columns: readonly Column[],
): Promise<ChangeCounts | null> {
  if (apart === null) return null
  const { changes, counts } = apart
  const paths = await changes.files()
  const read = [...DIFFERENCE_COLUMNS, ...liveColumns(columns)]
  const rows =
    paths.length === 0 ? emptyRelation(read) : csvRelation(paths, read, changes.longestRow)
  try {
    await engine.run(keepDifference({ into: relation, rows, gone: goneColumns(columns) }))
    return counts
  } catch (error) {
    // A value that its type does not hold makes its column text, in all rows.
    if (error instanceof EngineFailure) return null
    throw error
  }
}

async function judge(
  zone: Zone,
  engine: Engine,
  work: ToCompare & { readonly columns: readonly Column[]; readonly counts: ChangeCounts },
): Promise<Compared> {
  const { read, relation, columns, counts } = work
  if (!read.partial) {
    const before = await rowsBefore(zone, engine, work)
    refuseOtherCount(read, before + counts.inserted - counts.deleted)
  }
  return {
    read,
    columns,
    counts,
    changedRows: counts.inserted + counts.updated + counts.deleted,
    relation,
    files: [],
    watermark: await newWatermark(zone, engine, work, columns),
  }
}

/** How many rows the lake has; of what it was found to hold otherwise, what it says of itself may be wrong, too. */
async function rowsBefore(
  zone: Zone,
  engine: Engine,
  { parent, read: { entry, doubt, table, pairs }, recount }: ToCompare,
): Promise<number> {
  if (doubt !== null) return doubt.rowsInLake
  // By pairs only some rows were compared, and to these the manifest's number belongs.
  const byPairs = pairs !== null && pairs.changes !== null
  if (parent === null || entry === null || !recount || byPairs) return entry?.rows ?? 0
  const rows = await rowsAsOf(zone, parent, table.name, parent.batch)
  const [counted] = await engine.rows(`select count(*) as n from (${rows})`)
  return Number(counted?.['n'])
}

/**
 * The greatest value of the cursor: of a table that was read in part, of what it was and what has changed; else of all
 * rows as they are now, so that one which was wrongly far ahead counts no longer.
 */
async function newWatermark(
  zone: Zone,
  engine: Engine,
  { parent, read, relation }: ToCompare,
  columns: readonly Column[],
): Promise<string | null> {
  const { table, entry, partial } = read
  const { cursor, key } = table
  if (cursor === undefined) return null
  const names = quoteNames([...key, cursor.column])
  const changed = `select ${names} from ${quoteName(relation)} where ${quoteName(OP_COLUMN)} = 'u'`
  if (partial || entry === null || parent === null) {
    const before = partial && entry !== null ? watermarkOf(entry) : null
    return greatestValue(engine, `(${changed})`, table, columns, before)
  }
  const all = await rowsAsOf(zone, parent, table.name, parent.batch, columns)
  const same = key.map((name) => `c.${quoteName(name)} = o.${quoteName(name)}`).join(' and ')
  const left = `select ${names} from (${all}) o where not exists (select 1 from ${quoteName(relation)} c where ${same})`
  return greatestValue(engine, `(${left} union all ${changed})`, table, columns)
}

function watermarkOf({ position }: TableEntry): string | null {
  const { watermark } = position
  return typeof watermark === 'string' ? watermark : null
}

/** Null where there is none that rows can be asked for by: nothing but infinity, a year before our era, or a type that text stands for. */
async function greatestValue(
  engine: Engine,
  rows: string,
  { cursor }: SourceTable,
  columns: readonly Column[],
  before: string | null = null,
): Promise<string | null> {
  const column = columns.find(({ name }) => name === cursor?.column)
  if (column === undefined || column.carried === 'VARCHAR') return null
  const name = quoteName(column.name)
  const finite = /^(DATE|TIMESTAMP)/.test(column.carried) ? ` filter (where isfinite(${name}))` : ''
  const greatest = `max(${name})${finite}`
  const value =
    before === null ? greatest : `greatest(${greatest}, ${quoteText(before)}::${column.carried})`
  const [row] = await engine.rows(`select (${value})::varchar as value from ${rows}`)
  const text = row?.['value']
  return typeof text === 'string' && !text.includes('BC') ? text : null
}

function refuseOtherCount({ table, rows }: ReadTable, inLake: number): void {
  if (rows === inLake) return
  throw new ToteError(
    'CountMismatch',
    `Table "${table.name}" has ${rows} rows in the source and would have ${inLake} in the lake.`,
    {
      why: 'the changes found do not lead from one to the other, so nothing was committed',
      fix: 'tote verify --repair, which counts anew what the lake has',
    },
  )
}

async function makeDifference(
  zone: Zone,
  engine: Engine,
  { parent, read, relation }: ToCompare,
  { columns, files, longestRow }: Omit<UnreadRows, 'table'>,
): Promise<void> {
  const live = liveColumns(columns)
  const { table, entry, pairs } = read
  const inPieces = [...live, ...columnsBeside(read.beside, table)]
  const arrived =
    files.length === 0 ? emptyRelation(inPieces) : csvRelation(files, inPieces, longestRow)
  const changes = pairs?.changes ?? null
  const materialized = table.keyGiven === true || read.partial
  if (materialized) await engine.run(`create or replace temp table ${ARRIVED} as ${arrived}`)
  if (table.keyGiven === true) await refuseFalseKey(engine, table)
  const keys = changes !== null ? changedKeys(changes) : read.partial ? ARRIVED : null
  const among =
    keys === null
      ? null
      : { relation: keys, on: table.key.map((column) => ({ column, as: column })) }
  const kept =
    entry === null || parent === null
      ? null
      : await rowsAsOf(zone, parent, table.name, parent.batch, columns, among)
  const ranges = read.doubt?.ranges ?? null
  const previous =
    kept === null || ranges === null ? kept : rowsInRanges(kept, table, columns, ranges)
  const next =
    changes !== null
      ? rowsWithPair(`(${arrived})`, freshPairs(changes), table.key)
      : materialized
        ? `select * from ${ARRIVED}`
        : arrived
  await engine.run(
    previous === null
      ? insertTable({ into: relation, next, columns: live })
      : differenceTable({
          into: relation,
          previous,
          next,
          columns: live,
          gone: goneColumns(columns),
          key: table.key,
        }),
  )
  if (materialized) await engine.run(`drop table ${ARRIVED}`)
}

/** A key that no catalogue vouches for is verified before rows are compared by it. */
async function refuseFalseKey(engine: Engine, table: SourceTable): Promise<void> {
  const { withoutKey, doubled } = await countKeyFaults(engine, ARRIVED, table.key)
  if (withoutKey === 0 && doubled === 0) return
  const key = `(${table.key.join(', ')})`
  throw new ToteError(
    'SourceKeyInvalid',
    `The key ${key} that the config gives to table "${table.name}" does not tell its rows apart.`,
    {
      problems: [
        ...(withoutKey === 0
          ? []
          : [{ where: table.name, message: `${withoutKey} rows have NULL in it` }]),
        ...(doubled === 0
          ? []
          : [{ where: table.name, message: `${doubled} rows share it with another` }]),
      ],
      why: 'rows are compared by their key, so nothing was committed',
      fix: 'name further columns in the key, filter the rows out with where, or correct them at the source',
    },
  )
}

const ARRIVED = '_tote_arrived'
