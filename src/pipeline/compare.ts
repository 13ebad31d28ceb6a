/**
 * One table as it was read against its versioned table: its difference in the engine, and how its columns
 * are carried. Nothing is written here.
 */
import { csvRelation, uncarriedCounts } from '../columns/csv.ts'
import {
  countChanges,
  countKeyFaults,
  differenceTable,
  insertTable,
} from '../columns/difference.ts'
import { EngineFailure, type Engine } from '../columns/engine.ts'
import { quoteName } from '../columns/sql.ts'
import { ToteError } from '../errors.ts'
import type { Context } from '../events.ts'
import { continueColumns } from '../lake/column-ids.ts'
import type { CommittedManifest } from '../lake/manifest.ts'
import { rowsAsOf } from '../lake/read.ts'
import type { SourceTable } from '../sources/source.ts'
import type { Column } from '../types.ts'
import type { Project } from '../project/project.ts'
import type { ReadTable } from './read-tables.ts'

export const NO_CHANGES = { inserted: 0, updated: 0, deleted: 0 } as const

export interface Compared {
  readonly read: ReadTable
  readonly columns: readonly Column[]
  readonly counts: { readonly inserted: number; readonly updated: number; readonly deleted: number }
  readonly changedRows: number
  /** The difference table in the engine, or null when the table was not compared. */
  readonly relation: string | null
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
  project: Project,
  engine: Engine,
  work: ToCompare,
  context: Context,
): Promise<Compared> {
  const { read, relation } = work
  const { table, entry, pieces } = read
  let columns = continueColumns(table.columns, entry?.columns ?? [])
  if (pieces === null) return { read, columns, counts: NO_CHANGES, changedRows: 0, relation: null }
  const files = await pieces.files()
  try {
    await makeDifference(project, engine, work, { columns, files })
  } catch (error) {
    if (!(error instanceof EngineFailure)) throw error
    columns = await carryAsText(engine, read, { columns, files, cause: error }, context)
    try {
      await makeDifference(project, engine, work, { columns, files })
    } catch (cause) {
      throw cause instanceof EngineFailure ? comparisonFailed(table.name, cause) : cause
    }
  }
  const counts = await countChanges(engine, relation)
  const rows = (entry?.rows ?? 0) + counts.inserted - counts.deleted
  if (rows !== read.rows) {
    throw new ToteError(
      'CountMismatch',
      `Table "${table.name}" has ${read.rows} rows in the source and would have ${rows} in the lake.`,
      {
        why: 'the changes found do not lead from one to the other, so nothing was committed',
      },
    )
  }
  return {
    read,
    columns,
    counts,
    changedRows: counts.inserted + counts.updated + counts.deleted,
    relation,
  }
}

async function makeDifference(
  project: Project,
  engine: Engine,
  { parent, read: { table, entry, pieces }, relation }: ToCompare,
  { columns, files }: { readonly columns: readonly Column[]; readonly files: readonly string[] },
): Promise<void> {
  const arrived =
    files.length === 0
      ? `select ${columns.map((column) => `null::${column.carried} as ${quoteName(column.name)}`).join(', ')} where false`
      : csvRelation(files, columns, pieces?.longestRow ?? 0)
  const previous =
    entry === null || parent === null
      ? null
      : await rowsAsOf(project.ingestion, parent, table.name, parent.batch, columns)
  const next = table.keyGiven === true ? await withTrueKey(engine, table, arrived) : arrived
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

/**
 * The columns, those with values that their DuckDB type cannot hold (`NaN`, the year 294276) as text from
 * now on. Throws when there are none, so that something else went wrong.
 */
async function carryAsText(
  engine: Engine,
  read: ReadTable,
  failed: {
    readonly columns: readonly Column[]
    readonly files: readonly string[]
    readonly cause: EngineFailure
  },
  context: Context,
): Promise<Column[]> {
  const { columns, files, cause } = failed
  const { name } = read.table
  const [counts] = await engine
    .rows(uncarriedCounts(files, columns, read.pieces?.longestRow ?? 0))
    .catch(() => [])
  const values = (column: Column): number => Number(counts?.[column.name] ?? 0)
  if (!columns.some((column) => values(column) > 0)) throw comparisonFailed(name, cause)
  return columns.map((column) => {
    if (values(column) === 0) return column
    context.emit({
      type: 'note',
      level: 'warn',
      text: `column ${name}.${column.name} (${column.type}) is text to models from now on: ${values(column)} of its values do not fit ${column.carried}`,
    })
    return { ...column, carried: 'VARCHAR' }
  })
}

function comparisonFailed(table: string, cause: EngineFailure): ToteError {
  if (!/unicode|utf-?8/i.test(cause.message)) {
    return new ToteError('Bug', `Table "${table}" could not be compared.`, {
      terminal: [cause.message],
      cause,
    })
  }
  return new ToteError(
    'ValueNotCarried',
    `Table "${table}" has text that is not UTF-8: the source does not check its encoding (SQL_ASCII).`,
    {
      where: table,
      why: 'changing it silently is not an option, so nothing was committed',
      fix: 'correct the text at the source, or exclude the table for now',
    },
  )
}
