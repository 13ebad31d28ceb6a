/**
 * A first load, file by file: the rows of a table that the lake does not have yet need no comparison,
 * so each group of them becomes a file of the lake while the next is on its way. Neither the rows of a
 * table nor their pieces are ever there as a whole. The files exist when the batch's manifest names them;
 * until then a draft notes the parts that are finished, with the pairs of their rows.
 */
import { csvRelation } from '../columns/csv.ts'
import { EngineFailure, type Engine } from '../columns/engine.ts'
import { placeFailure } from '../columns/engine-failure.ts'
import { FIRST_GROUP_BYTES, type PieceGroup, type PieceOptions } from '../storage/pieces.ts'
import { OP_COLUMN, quoteName, ROW_COLUMN } from '../columns/sql.ts'
import type { Context } from '../events.ts'
import { recordCarried } from '../lake/carried.ts'
import { continueColumns, liveColumns } from '../lake/column-ids.ts'
import type { DataFile } from '../lake/manifest.ts'
import { writeRows } from '../lake/write.ts'
import type { Zone } from '../lake/zone.ts'
import type { SourcePart, SourceTable } from '../sources/source.ts'
import type { Column, Instant } from '../types.ts'
import type { Draft, DraftFile, DraftPart } from './draft.ts'
import { columnsBeside, pairColumns, pairsOfRows, type Beside } from '../pairs/pairs.ts'
import type { EngineTurns } from './turns.ts'
import { carryAsText, comparisonFailed } from './uncarried.ts'

export interface Landed {
  readonly columns: readonly Column[]
  readonly files: readonly DataFile[]
  /** The pairs of all rows; null where those of some were not written. */
  readonly pairs: readonly DataFile[] | null
}

/** Rows on their way into the lake: a group of pieces, or what a `select` makes of it. */
export interface RowsToLand extends Pick<PieceGroup, 'rows' | 'longestRow' | 'files'> {
  /** Which rows; all of them when not given. `rows` is their number. */
  readonly select?: ((rows: string) => string) | undefined
}

export interface Landing {
  readonly table: SourceTable
  readonly options: LandingOptions
  /** Where the rows of a part go, or of the whole table when it has none. */
  open(part: SourcePart | undefined): PartLanding
  /** What was written; a column that met a value which its type does not hold is text in all of it. */
  landed(): Landed
}

export interface PartLanding {
  /** How its rows are gathered, to be taken while the next arrive. */
  readonly gathering: PieceOptions
  /** Writes rows, each an insert. Throws ValueNotCarried, LakeUnreachable. */
  take(rows: RowsToLand): Promise<void>
  /** Files that an earlier run wrote, carried as `columns` say. */
  adopt(files: readonly DraftFile[], columns: readonly Column[]): void
  /** All rows of the part are there. */
  finish(): Promise<void>
}

export interface LandingOptions {
  readonly zone: Zone
  readonly chain: string
  readonly batch: number
  readonly instant: Instant
  readonly draft: Draft | null
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
  { withEngine, prepare }: EngineTurns,
  context: Context,
): Landing {
  let columns: readonly Column[] = continueColumns(table.columns, [])
  const parts: Written[][] = []

  const widen = (wider: readonly Column[]): void => {
    for (const files of parts)
      for (const [index, { data, pairs }] of files.entries())
        files[index] = {
          data: recordCarried([data], columns, wider)[0] ?? data,
          pairs: pairs === null ? null : (recordCarried([pairs], columns, wider)[0] ?? pairs),
        }
    columns = wider
  }
  const write = async (engine: Engine, rows: RowsToLand, draft: Draft | null): Promise<Written> => {
    const paths = await rows.files()
    const read = columnsInPieces(table, columns)
    const relation = csvRelation(paths, read, rows.longestRow)
    const chosen = rows.select?.(`(${relation})`) ?? relation
    const data = await writeRows(options.zone, engine, {
      ...dataKeyOf(options),
      table: table.name,
      relation: `(select 'u' as ${quoteName(OP_COLUMN)}, * from (${chosen}))`,
      columns,
      key: table.key,
      base: false,
      rows: rows.rows,
      deletes: 0,
      // A large table mostly lies in the order of its key: a model that shows it row by row need not sort it then.
      ...((table.parts ?? []).length > 0 ? { order: 'as they lie' as const } : {}),
    })
    const pairs =
      draft === null
        ? null
        : await writePairs(
            engine,
            { ...options, draft },
            { relation: `(${chosen})`, table, columns, rows: rows.rows },
          )
    return { data, pairs }
  }
  const land = async (engine: Engine, rows: RowsToLand, draft: Draft | null): Promise<Written> => {
    try {
      return await write(engine, rows, draft)
    } catch (error) {
      if (!(error instanceof EngineFailure)) throw placeFailure(error, `table "${table.name}"`)
      const read = columnsInPieces(table, columns)
      const files = await rows.files()
      const { longestRow } = rows
      const failed = { table: table.name, columns: read, files, longestRow, cause: error }
      const wider = await carryAsText(engine, failed, context)
      widen(columnsInLake(wider, columns))
      try {
        return await write(engine, rows, draft)
      } catch (cause) {
        throw cause instanceof EngineFailure ? comparisonFailed(table.name, cause) : cause
      }
    }
  }
  return {
    table,
    options,
    open: (part) => {
      const draft = part === undefined ? null : options.draft
      const files: Written[] = []
      parts.push(files)
      // Loading DuckDB takes as long as reading many rows.
      prepare()
      const take: PartLanding['take'] = async (rows) => {
        if (rows.rows === 0) return
        const file = await withEngine(async (engine) => land(engine, rows, draft))
        files.push(file)
        const { key, rows: written, bytes } = file.data
        const { chain } = options
        context.emit({
          type: 'file.written',
          chain,
          table: table.name,
          key,
          rows: written,
          bytes,
        })
      }
      return {
        gathering: { take, ...(part === undefined ? { firstGroupBytes: FIRST_GROUP_BYTES } : {}) },
        take,
        adopt: (adopted, carried) => {
          const wider = asText(columns, carried)
          widen(wider)
          for (const { data, pairs } of adopted)
            files.push({
              data: recordCarried([data], carried, wider)[0] ?? data,
              pairs: recordCarried([pairs], carried, wider)[0] ?? pairs,
            })
        },
        finish: async () => {
          if (part === undefined || draft === null) return
          const noted = files.flatMap(({ data, pairs }) =>
            pairs === null ? [] : [{ data, pairs }],
          )
          const finished: DraftPart = { columns, files: noted }
          await draft.note(table, part, finished)
        },
      }
    },
    landed: () => {
      const files = parts.flat()
      const pairs = files.flatMap((file) => file.pairs ?? [])
      return {
        columns,
        files: files.map(({ data }) => data),
        pairs: pairs.length < files.length || files.length === 0 ? null : pairs,
      }
    },
  }
}

interface Written {
  readonly data: DataFile
  readonly pairs: DraftFile['pairs'] | null
}

/** The columns as a table's pieces hold them: those of one that is read in parts have `xmin` at the end. */
function columnsInPieces(table: SourceTable, columns: readonly Column[]): readonly Column[] {
  return [...liveColumns(columns), ...columnsBeside(besideRows(table), table)]
}

/** What a table's rows are read with, where all are. */
export function besideRows({ parts = [] }: SourceTable): Beside {
  return parts.length > 0 ? 'xmin' : 'nothing'
}

/** The inverse of columnsInPieces; `columns` are the lake's as they were. */
export function columnsInLake(
  inPieces: readonly Column[],
  columns: readonly Column[],
): readonly Column[] {
  const byId = new Map(inPieces.map((column) => [column.id, column]))
  return columns.map((column) => byId.get(column.id) ?? column)
}

/** What names a file of the batch. */
export function dataKeyOf({ chain, batch, instant }: LandingOptions): {
  readonly chain: string
  readonly batch: number
  readonly instant: Instant
} {
  return { chain, batch, instant }
}

/** Writes the pairs of the rows of `relation`, which have their `xmin`, durable on return. */
export async function writePairs(
  engine: Engine,
  { zone, chain, instant, draft }: LandingOptions & { readonly draft: Draft },
  of: {
    readonly relation: string
    readonly table: SourceTable
    readonly columns: readonly Column[]
    readonly rows: number
  },
): Promise<DataFile> {
  const { relation, table, columns, rows } = of
  return writeRows(zone, engine, {
    chain,
    table: table.name,
    key: table.key,
    batch: draft.manifest,
    instant,
    relation: `(${pairsOfRows(relation, table)})`,
    columns: pairColumns(table, columns),
    base: true,
    pairs: true,
    rows,
    deletes: 0,
    order: 'as they come',
  })
}

/** Columns, those as text that are it on either side. */
function asText(columns: readonly Column[], others: readonly Column[]): Column[] {
  const text = new Set(
    others.filter(({ carried }) => carried === 'VARCHAR').map(({ name }) => name),
  )
  return columns.map((column) =>
    text.has(column.name) ? { ...column, carried: 'VARCHAR' } : column,
  )
}
