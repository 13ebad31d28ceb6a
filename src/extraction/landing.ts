/**
 * A first load, file by file: the rows of a table that the lake does not have yet need no comparison,
 * so each group of them becomes a file of the lake while the next is on its way. Memory and temporary
 * disk stay the same whatever the table's size. The files exist when the batch's manifest names them.
 */
import { csvRelation } from '../columns/csv.ts'
import { EngineFailure, type Engine } from '../columns/engine.ts'
import type { PieceGroup } from '../columns/pieces.ts'
import { OP_COLUMN, quoteName, ROW_COLUMN } from '../columns/sql.ts'
import type { Context } from '../events.ts'
import { recordCarried } from '../lake/carried.ts'
import { continueColumns } from '../lake/column-ids.ts'
import type { DataFile } from '../lake/manifest.ts'
import { writeRows } from '../lake/write.ts'
import type { Zone } from '../lake/zone.ts'
import type { SourceTable } from '../sources/source.ts'
import type { Column, Instant } from '../types.ts'
import type { EngineTurns } from './turns.ts'
import { carryAsText, comparisonFailed } from './uncarried.ts'

export interface Landed {
  readonly columns: readonly Column[]
  readonly files: readonly DataFile[]
}

export interface Landing {
  /** Writes the group's rows, each an insert. Throws ValueNotCarried, LakeUnreachable. */
  take(group: PieceGroup): Promise<void>
  /** What was written; a column that met a value which its type does not hold is text in all of it. */
  landed(): Landed
}

export interface LandingOptions {
  readonly zone: Zone
  readonly chain: string
  readonly batch: number
  readonly instant: Instant
}

/**
 * Whether a row tells its key by itself: a key that the config gives is verified over all rows first,
 * and that of a table without one counts its equals.
 */
export function mayLand(table: SourceTable): boolean {
  return table.keyGiven !== true && !table.key.includes(ROW_COLUMN)
}

export function openLanding(
  table: SourceTable,
  options: LandingOptions,
  { withEngine }: EngineTurns,
  context: Context,
): Landing {
  let columns: readonly Column[] = continueColumns(table.columns, [])
  let files: readonly DataFile[] = []
  const write = async (engine: Engine, group: PieceGroup): Promise<void> => {
    const paths = await group.files()
    let file: DataFile
    try {
      file = await writeGroup(engine, table, { ...options, group, paths, columns })
    } catch (error) {
      if (!(error instanceof EngineFailure)) throw error
      const { longestRow } = group
      const failed = { table: table.name, columns, files: paths, longestRow, cause: error }
      const wider = await carryAsText(engine, failed, context)
      files = recordCarried(files, columns, wider)
      columns = wider
      try {
        file = await writeGroup(engine, table, { ...options, group, paths, columns })
      } catch (cause) {
        throw cause instanceof EngineFailure ? comparisonFailed(table.name, cause) : cause
      }
    }
    files = [...files, file]
    const { key, rows, bytes } = file
    const { chain } = options
    context.emit({ type: 'file.written', chain, table: table.name, key, rows, bytes })
  }
  return {
    take: async (group) => {
      if (group.rows > 0) await withEngine(async (engine) => write(engine, group))
    },
    landed: () => ({ columns, files }),
  }
}

async function writeGroup(
  engine: Engine,
  table: SourceTable,
  work: LandingOptions & {
    readonly group: PieceGroup
    readonly paths: readonly string[]
    readonly columns: readonly Column[]
  },
): Promise<DataFile> {
  const { zone, group, paths, columns, ...file } = work
  const rows = csvRelation(paths, columns, group.longestRow)
  return writeRows(zone, engine, {
    ...file,
    table: table.name,
    relation: `(select 'u' as ${quoteName(OP_COLUMN)}, * from (${rows}))`,
    columns,
    key: table.key,
    base: false,
    rows: group.rows,
    deletes: 0,
    // A part of a large table comes as it lies, and needs no sorting for this.
    ...((table.parts ?? []).length > 0 ? { order: 'as they come' as const } : {}),
  })
}
