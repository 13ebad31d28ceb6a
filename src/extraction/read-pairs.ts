/**
 * How the changes of a table are found by its pairs (DESIGN.md 4): the key and the `xmin` of every row are
 * read, those in blocks that are not as they were are compared with the pairs that the lake keeps, and then,
 * in the same snapshot, only the rows whose pair is new are read, by their places.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { csvRelation } from '../columns/csv.ts'
import { EngineFailure, type Engine } from '../columns/engine.ts'
import { openPieceWriter, type Pieces } from '../columns/pieces.ts'
import { quoteName } from '../columns/sql.ts'
import type { BasePolicy } from '../lake/base.ts'
import type { DataFile, PairsEntry } from '../lake/manifest.ts'
import type { Zone } from '../lake/zone.ts'
import type { IdSpan, SourcePairs, SourceSnapshot, SourceTable } from '../sources/source.ts'
import type { Column } from '../types.ts'
import { pagesOfBlock, watchBlocks, type Blocks, type SeenBlocks } from './pair-blocks.ts'
import {
  knownPairs,
  readBlocks,
  writeBlocks,
  writePairChanges,
  writePairsBase,
  type PairsPlace,
} from './pair-files.ts'
import {
  changesOfPairs,
  columnsOfPairs,
  countPairs,
  freshPlaces,
  pairColumns,
  pairDifference,
  pairsInBlocks,
  placedPairs,
} from './pairs.ts'
import type { EngineTurns } from './turns.ts'

export interface PairReading {
  readonly zone: Zone
  readonly snapshot: SourceSnapshot
  readonly table: SourceTable
  readonly pairs: SourcePairs
  /** As the lake holds them. */
  readonly columns: readonly Column[]
  readonly turns: EngineTurns
  readonly tempFolder: string
  readonly policy: BasePolicy
}

/** What is to become of the pairs that the lake keeps. */
export interface PairsUpdate {
  /** The engine's table of them, where only the rows that they name were read; null where all were. */
  readonly changes: string | null
  /** Writes it; what the next manifest is to say. Null when they are not those of the table's `rows` rows. */
  write(
    engine: Engine,
    place: PairsPlace,
    now: { readonly columns: readonly Column[]; readonly rows: number },
  ): Promise<PairsEntry | null>
  /** Of what waits in files. */
  readonly bytes: number
  discard(): Promise<void>
}

export interface ReadByPairs {
  /** Pairs that passed: the table's rows. */
  readonly rows: number
  /** The rows whose pair is new, with their `xmin`; null when there are none and no key is gone. */
  readonly pieces: Pieces | null
  /** null: every pair is known, and where it was. */
  readonly update: PairsUpdate | null
}

/** How a table's pairs are read; null where its changes are not to be found by them. */
export function pairReading(
  snapshot: SourceSnapshot,
  table: SourceTable,
  columns: readonly Column[],
  options: Pick<PairReading, 'zone' | 'turns' | 'tempFolder' | 'policy'>,
): PairReading | null {
  const { pairs } = table
  if (pairs === undefined || snapshot.position === null) return null
  return { ...options, snapshot, table, pairs, columns }
}

/** Of a table in which more than this share of rows is new, reading all of it is less work. */
const NEW_SHARE = 0.2
/** Rows asked for in one statement. */
const PLACES_AT_ONCE = 5000

/** The pairs that a first load has left beside its rows: where these lie the next reading of pairs will tell. */
export function landedPairs(
  reading: PairReading,
  landed: () => { readonly pairs: readonly DataFile[] | null },
): PairsUpdate {
  return {
    changes: null,
    bytes: 0,
    discard: async () => undefined,
    write: async (_engine, place, now) => {
      const base = landed().pairs
      if (base === null || base.reduce((sum, { rows }) => sum + rows, 0) !== now.rows) return null
      const columns = pairColumns(reading.table, now.columns)
      return { ...(await entryOf(reading, place, null)), columns, base, files: [] }
    },
  }
}

/** All pairs of a table that is read whole, to begin with. */
export async function readAllPairs(reading: PairReading): Promise<PairsUpdate> {
  const { table } = reading
  const { pieces, seen, rows } = await readBlockwise(reading, null, null)
  return {
    changes: null,
    bytes: pieces.bytes,
    discard: async () => pieces.discard(),
    write: async (engine, place, now) => {
      if (now.rows !== rows) return null
      const read = columnsOfPairs(table, now.columns)
      const relation =
        rows === 0
          ? emptyRelation(pairColumns(table, now.columns))
          : placedPairs(csvRelation(await pieces.files(), read, pieces.longestRow))
      const columns = pairColumns(table, now.columns)
      const files = await writePairsBase(place, engine, { relation, columns, rows })
      return { ...(await entryOf(reading, place, seen)), columns, ...files }
    },
  }
}

/**
 * The changes since `known`, which still counts. Null where reading the whole table is the way, because
 * most rows are new or a key does not fit the type that it had.
 */
export async function readByPairs(
  reading: PairReading,
  known: PairsEntry,
  reused: IdSpan | null,
): Promise<ReadByPairs | null> {
  const { zone, turns, table, pairs } = reading
  const pages = pairs.inPlace ? pagesOfBlock(pairs.pages, known.blocks?.pages ?? null) : 0
  const before = known.blocks?.pages === pages ? await readBlocks(zone, known.blocks) : null
  const { pieces, seen, rows } = await readBlockwise(reading, before, reused)
  try {
    if (before !== null && seen === null) return null
    if (before !== null && seen?.changed.length === 0) return { rows, pieces: null, update: null }
    const changes = `pair_changes_${randomBytes(4).toString('hex')}`
    const found = await turns.withEngine(async (engine) => {
      const all = await knownPairs(zone, known, table.key)
      const names = before === null ? null : (seen?.changed ?? [])
      return findChanges(engine, {
        changes,
        table,
        reused,
        known: names === null || pages === 0 ? all : pairsInBlocks(all, table, { pages, names }),
        now: nowPairs(reading, pieces.rows === 0 ? [] : await pieces.files(), pieces.longestRow),
      })
    })
    if (found === null || found.fresh > Math.max(1000, NEW_SHARE * rows)) return null
    const update: PairsUpdate = {
      changes,
      bytes: 0,
      discard: async () => undefined,
      write: async (engine, place, now) => {
        const after = await writePairChanges(place, engine, known, {
          relation: `(${changesOfPairs(changes)})`,
          rows: found.changes,
          deletes: found.gone,
          pairs: now.rows,
          policy: reading.policy,
        })
        await engine.run(`drop table ${quoteName(changes)}`)
        return { ...(await entryOf(reading, place, seen)), columns: known.columns, ...after }
      },
    }
    if (found.fresh + found.gone === 0) return { rows, pieces: null, update }
    return { rows, pieces: await readRows(reading, changes), update }
  } finally {
    await pieces.discard()
  }
}

interface Blockwise {
  readonly rows: number
  /** The pairs of blocks that are not as they were before. */
  readonly pieces: Pieces
  readonly seen: SeenBlocks | null
}

async function readBlockwise(
  reading: PairReading,
  before: Blocks | null,
  reused: IdSpan | null,
): Promise<Blockwise> {
  const { table, pairs, snapshot, tempFolder } = reading
  const writer = openPieceWriter(tempFolder, randomUUID())
  try {
    if (!pairs.inPlace) {
      const rows = await snapshot.copy(table, writer, { columns: 'pairs' })
      const pieces = await writer.finish()
      const same = reused === null && before?.digests.get(0)?.get(0) === pieces.digest
      const digests = new Map([[0, new Map([[0, pieces.digest]])]])
      return {
        rows,
        pieces,
        seen: { blocks: { pages: 0, digests }, changed: same ? [] : [[0, 0]] },
      }
    }
    const watch = watchBlocks({
      pages: before?.pages ?? pagesOfBlock(pairs.pages, null),
      known: before,
      partitioned: pairs.partitioned,
      reused,
      writer,
    })
    const rows = await snapshot.copy(table, watch, { columns: 'pairs' })
    const seen = watch.finish()
    return { rows, pieces: await writer.finish(), seen }
  } catch (error) {
    await writer.discard()
    throw error
  }
}

function nowPairs(
  { table, columns }: PairReading,
  files: readonly string[],
  longestRow: number,
): string {
  const read = columnsOfPairs(table, columns)
  return placedPairs(
    files.length === 0 ? emptyRelation(read) : csvRelation(files, read, longestRow),
  )
}

export function emptyRelation(
  columns: readonly { readonly name: string; readonly carried: string }[],
): string {
  const nulls = columns.map(({ name, carried }) => `null::${carried} as ${quoteName(name)}`)
  return `select ${nulls.join(', ')} where false`
}

interface FoundPairs {
  readonly fresh: number
  readonly gone: number
  readonly changes: number
}

/** Null for a key that does not fit the type that the lake carries it as. */
async function findChanges(
  engine: Engine,
  options: {
    readonly changes: string
    readonly table: SourceTable
    readonly reused: IdSpan | null
    readonly known: string
    readonly now: string
  },
): Promise<FoundPairs | null> {
  const { changes, ...difference } = options
  try {
    await engine.run(pairDifference({ into: changes, ...difference }))
  } catch (error) {
    if (error instanceof EngineFailure) return null
    throw error
  }
  const [counted] = await engine.rows(countPairs(changes))
  return {
    fresh: Number(counted?.['fresh']),
    gone: Number(counted?.['gone']),
    changes: Number(counted?.['changes']),
  }
}

/** Rows of other tables at the same places come with them, and are left aside later. */
async function readRows(reading: PairReading, changes: string): Promise<Pieces> {
  const { table, turns, snapshot, tempFolder } = reading
  const parts = await turns.withEngine(async (engine) =>
    engine.rows(freshPlaces(changes, table, PLACES_AT_ONCE)),
  )
  const writer = openPieceWriter(tempFolder, randomUUID())
  try {
    for (const { leaf, places } of parts)
      await snapshot.copy(table, writer, {
        places: String(places).split(' '),
        leaf: leaf === null || leaf === undefined ? undefined : String(leaf),
        columns: 'rows with xmin',
      })
    return await writer.finish()
  } catch (error) {
    await writer.discard()
    throw error
  }
}

async function entryOf(
  { snapshot, pairs }: PairReading,
  place: PairsPlace,
  seen: SeenBlocks | null,
): Promise<Pick<PairsEntry, 'origin' | 'leaves' | 'position' | 'blocks'>> {
  return {
    origin: pairs.origin,
    leaves: pairs.leaves,
    position: snapshot.position ?? '',
    blocks: seen === null ? null : await writeBlocks(place, seen.blocks),
  }
}
