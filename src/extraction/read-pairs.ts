/**
 * How the changes of a table are found by its pairs (DESIGN.md 4). Where the lake knows in which places its pairs lie,
 * places and `xmin` of all rows are read, and those in blocks that are not as they were are compared with it; else
 * keys, places and `xmin`. Then, in the same snapshot, only the rows whose pair is new are read, by their places.
 */
import { csvRelation } from '../columns/csv.ts'
import type { Engine } from '../columns/engine.ts'
import type { Pieces } from '../storage/pieces.ts'
import { quoteName } from '../columns/sql.ts'
import type { DataFile, PairsEntry } from '../lake/manifest.ts'
import { pagesOfBlock, type SeenBlocks } from '../pairs/pair-blocks.ts'
import {
  readBlocks,
  writeBlocks,
  writePairChanges,
  writePairsBase,
  type PairsPlace,
} from '../pairs/pair-files.ts'
import { changesOfPairs, columnsOfPairs, pairColumns, placedPairs } from '../pairs/pairs.ts'
import { placesThatCount } from '../pairs/positions.ts'
import type { IdSpan, SourceSnapshot } from '../sources/source.ts'
import type { Column } from '../types.ts'
import { emptyRelation, findByKey, findByPlace, readPairs, type PairReading } from './find-pairs.ts'

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
  /** The rows whose pair is new, with their `xmin` and place; null when there are none and no key is gone. */
  readonly pieces: Pieces | null
  /** null: every pair is known, and where it was. */
  readonly update: PairsUpdate | null
}

/** How a table's pairs are read; null where its changes are not to be found by them. */
export function pairReading(
  snapshot: SourceSnapshot,
  known: Pick<PairReading, 'table' | 'entry' | 'columns'>,
  options: Pick<PairReading, 'zone' | 'turns' | 'tempFolder' | 'policy'>,
): PairReading | null {
  const { table, entry, columns } = known
  const { pairs } = table
  if (pairs === undefined || snapshot.position === null) return null
  return { ...options, snapshot, table, entry, pairs, columns }
}

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
  const { pieces, seen, rows } = await readPairs(reading)
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
  const { zone, pairs } = reading
  const pages = pairs.inPlace ? pagesOfBlock(pairs.pages, known.blocks?.pages ?? null) : 0
  const counts = known.blocks?.pages === pages && (!pairs.inPlace || placesThatCount(known, pairs))
  const before = counts ? await readBlocks(zone, known.blocks) : null
  const found =
    before !== null && pairs.inPlace
      ? await findByPlace(reading, { known, before, reused })
      : await findByKey(reading, { known, before, reused })
  if (found === null) return null
  const { rows, seen, changes } = found
  if (changes === null) return { rows, pieces: null, update: null }
  const { relation, count, fresh, gone, pieces } = changes
  const update: PairsUpdate = {
    changes: relation,
    bytes: 0,
    discard: async () => undefined,
    write: async (engine, place, now) => {
      const after = await writePairChanges(place, engine, known, {
        relation: `(${changesOfPairs(relation)})`,
        rows: count,
        deletes: gone,
        pairs: now.rows,
        policy: reading.policy,
      })
      await engine.run(`drop table ${quoteName(relation)}`)
      return { ...(await entryOf(reading, place, seen)), columns: known.columns, ...after }
    },
  }
  if (fresh + gone > 0) return { rows, pieces, update }
  await pieces.discard()
  return { rows, pieces: null, update }
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
    blocks:
      seen === null
        ? null
        : await writeBlocks(place, seen.blocks, pairs.inPlace ? pairs.files : undefined),
  }
}
