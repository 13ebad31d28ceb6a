/**
 * One table as it was read against its versioned table: its difference in the engine, and how its columns
 * are carried. Nothing but what has landed already is written.
 */
import { csvRelation } from '../columns/csv.ts'
import {
  countChanges,
  countKeyFaults,
  differenceTable,
  insertTable,
} from '../columns/difference.ts'
import { EngineFailure, placeFailure, type Engine } from '../columns/engine.ts'
import { ToteError } from '../errors.ts'
import type { Context } from '../events.ts'
import type { PieceGroup } from '../columns/pieces.ts'
import { columnsInLake, withXmin } from '../extraction/landing.ts'
import { changedKeys, freshPairs, rowsWithPair } from '../extraction/pairs.ts'
import { carryAsText, comparisonFailed, type UnreadRows } from '../extraction/uncarried.ts'
import type { EngineTurns } from '../extraction/turns.ts'
import { emptyRelation } from '../extraction/read-pairs.ts'
import type { ReadTable } from '../extraction/read-tables.ts'
import { continueColumns } from '../lake/column-ids.ts'
import type { CommittedManifest, DataFile } from '../lake/manifest.ts'
import { rowsAsOf } from '../lake/read.ts'
import type { SourceTable } from '../sources/source.ts'
import type { Column } from '../types.ts'
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
}

export interface ToCompare {
  /** The manifest to compare with, or null before the first. */
  readonly parent: CommittedManifest | null
  readonly read: ReadTable
  /** The name of the table to make. */
  readonly relation: string
}

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
    return { read, columns, counts, changedRows: inserted, relation: null, files }
  }
  const columns = continueColumns(table.columns, entry?.columns ?? [])
  if (pieces !== null)
    return withEngine(async (engine) =>
      comparePieces(zone, engine, { ...work, pieces, columns }, context),
    )
  return { read, columns, counts: NO_CHANGES, changedRows: 0, relation: null, files: [] }
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
  const { read, relation } = work
  const { table, entry } = read
  let { columns } = work
  const { longestRow } = pieces
  const files = await pieces.files()
  try {
    await makeDifference(zone, engine, work, { columns, files, longestRow })
  } catch (error) {
    if (!(error instanceof EngineFailure)) throw placeFailure(error, `table "${table.name}"`)
    const inPieces = read.withXmin ? withXmin(columns) : columns
    const failed = { table: table.name, columns: inPieces, files, longestRow, cause: error }
    columns = columnsInLake(await carryAsText(engine, failed, context))
    try {
      await makeDifference(zone, engine, work, { columns, files, longestRow })
    } catch (cause) {
      throw cause instanceof EngineFailure ? comparisonFailed(table.name, cause) : cause
    }
  }
  const counts = await countChanges(engine, relation)
  refuseOtherCount(read, (entry?.rows ?? 0) + counts.inserted - counts.deleted)
  return {
    read,
    columns,
    counts,
    changedRows: counts.inserted + counts.updated + counts.deleted,
    relation,
    files: [],
  }
}

function refuseOtherCount({ table, rows }: ReadTable, inLake: number): void {
  if (rows === inLake) return
  throw new ToteError(
    'CountMismatch',
    `Table "${table.name}" has ${rows} rows in the source and would have ${inLake} in the lake.`,
    { why: 'the changes found do not lead from one to the other, so nothing was committed' },
  )
}

async function makeDifference(
  zone: Zone,
  engine: Engine,
  { parent, read, relation }: ToCompare,
  { columns, files, longestRow }: Omit<UnreadRows, 'table'>,
): Promise<void> {
  const { table, entry, pairs } = read
  const inPieces = read.withXmin ? withXmin(columns) : columns
  const arrived =
    files.length === 0 ? emptyRelation(inPieces) : csvRelation(files, inPieces, longestRow)
  const changes = pairs?.changes ?? null
  const among =
    changes === null
      ? null
      : {
          relation: changedKeys(changes),
          on: table.key.map((column) => ({ column, as: column })),
        }
  const previous =
    entry === null || parent === null
      ? null
      : await rowsAsOf(zone, parent, table.name, parent.batch, columns, among)
  const next =
    changes !== null
      ? rowsWithPair(`(${arrived})`, freshPairs(changes), table.key)
      : table.keyGiven === true
        ? await withTrueKey(engine, table, arrived)
        : arrived
  await engine.run(
    previous === null
      ? insertTable({ into: relation, next, columns })
      : differenceTable({ into: relation, previous, next, columns, key: table.key }),
  )
  if (table.keyGiven === true) await engine.run(`drop table ${ARRIVED}`)
}

/** A key that no catalogue vouches for is verified before rows are compared by it. */
async function withTrueKey(engine: Engine, table: SourceTable, rows: string): Promise<string> {
  await engine.run(`create or replace temp table ${ARRIVED} as ${rows}`)
  const { withoutKey, doubled } = await countKeyFaults(engine, ARRIVED, table.key)
  if (withoutKey === 0 && doubled === 0) return `select * from ${ARRIVED}`
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
