/** The two ways to find which rows of a table have another pair than the lake knows, within its snapshot. */
import { randomBytes, randomUUID } from 'node:crypto'
import { csvRelation } from '../columns/csv.ts'
import { EngineFailure } from '../columns/engine.ts'
import {
  discardAtFailure,
  openPieceWriter,
  type PieceGroup,
  type Pieces,
} from '../storage/pieces.ts'
import { quoteName, quoteNames } from '../columns/sql.ts'
import type { BasePolicy } from '../lake/base.ts'
import { liveColumns } from '../lake/column-ids.ts'
import type { PairsEntry, TableEntry } from '../lake/manifest.ts'
import type { Zone } from '../lake/zone.ts'
import {
  oneBlock,
  pagesOfBlock,
  sameBlock,
  watchBlocks,
  type Blocks,
  type SeenBlocks,
} from '../pairs/pair-blocks.ts'
import { knownPairs } from '../pairs/pair-files.ts'
import {
  columnsBeside,
  columnsOfPairs,
  columnsOfPlaces,
  countPairs,
  dropPlaces,
  freshPairs,
  freshPlaces,
  pairDifference,
  pairsInBlocks,
  placeDifference,
  placedPairs,
} from '../pairs/pairs.ts'
import type { IdSpan, SourcePairs, SourceSnapshot, SourceTable } from '../sources/source.ts'
import type { Column } from '../types.ts'
import type { EngineTurns } from './turns.ts'

export interface PairReading {
  readonly zone: Zone
  readonly snapshot: SourceSnapshot
  readonly table: SourceTable
  readonly pairs: SourcePairs
  /** What the lake holds of it, or null when it is new. */
  readonly entry: TableEntry | null
  /** As the lake holds them. */
  readonly columns: readonly Column[]
  readonly turns: EngineTurns
  readonly tempFolder: string
  readonly policy: BasePolicy
}

export interface PairsFound {
  /** Rows that the source counted. */
  readonly rows: number
  readonly seen: SeenBlocks | null
  /** null: every pair is known, and where it was. */
  readonly changes: {
    /** The engine's table of them (pairs.ts). */
    readonly relation: string
    readonly count: number
    /** Of keys that are gone. */
    readonly gone: number
    /** Of keys whose pair is new. */
    readonly fresh: number
    /** Their rows, with `xmin` and place. */
    readonly pieces: Pieces
  } | null
}

/** Of a table in which more than this share of rows is new, reading all of it is less work. */
const NEW_SHARE = 0.2
/** Rows asked for in one statement. */
const PLACES_AT_ONCE = 5000
/** Bytes of a line: three numbers of 32 bits and one of 16. */
const LONGEST_PLACE = 40

export interface AllPairs {
  readonly rows: number
  readonly pieces: Pieces
  readonly seen: SeenBlocks | null
}

/** The pairs of all rows, with their places. */
export async function readPairs(reading: PairReading): Promise<AllPairs> {
  const { table, pairs, snapshot, tempFolder } = reading
  const writer = openPieceWriter(tempFolder, randomUUID())
  return discardAtFailure(writer, async () => {
    if (!pairs.inPlace) {
      const rows = await snapshot.copy(table, writer, { columns: 'pairs' })
      const pieces = await writer.finish()
      return { rows, pieces, seen: { blocks: oneBlock(pieces.digest), changed: [] } }
    }
    const watch = watchBlocks({
      pages: pagesOfBlock(pairs.pages, null),
      known: null,
      partitioned: pairs.partitioned,
      reused: null,
      onChanged: () => undefined,
    })
    const row = (csv: Buffer): void => {
      writer.row(csv)
      watch.pair(csv)
    }
    const rows = await snapshot.copy(table, { row, ready: writer.ready }, { columns: 'pairs' })
    return { rows, pieces: await writer.finish(), seen: watch.finish() }
  })
}

/**
 * By the keys of all rows: `known` says what their pairs were, and not where they lie. `before` is the digest of
 * all of them, where there is one. Null where reading the whole table is the way.
 */
export async function findByKey(
  reading: PairReading,
  of: {
    readonly known: PairsEntry
    readonly before: Blocks | null
    readonly reused: IdSpan | null
  },
): Promise<PairsFound | null> {
  const { table, columns } = reading
  const { known, before, reused } = of
  const { pieces, seen, rows } = await readPairs(reading)
  try {
    if (reused === null && sameBlock(before, seen?.blocks)) return { rows, seen, changes: null }
    const pairs = await knownPairs(reading.zone, known, table.key)
    const now = placedPairs(await relationOf(pieces, columnsOfPairs(table, columns)))
    const relation = nameAnew('pair_changes')
    const difference = pairDifference({ into: relation, known: pairs, now, table, reused })
    const found = await findChanges(reading, relation, difference)
    if (found === null || tooMany(found.fresh, rows)) return null
    const fresh = await readFresh(reading, freshPairs(relation))
    return { rows, seen, changes: { relation, ...found, pieces: fresh } }
  } finally {
    await pieces.discard()
  }
}

/** By their places, which `known` tells, in the blocks that are not as they were `before`; otherwise as findByKey. */
export async function findByPlace(
  reading: PairReading,
  of: {
    readonly known: PairsEntry
    readonly before: Blocks
    readonly reused: IdSpan | null
  },
): Promise<PairsFound | null> {
  const { table, turns } = reading
  const { known, before, reused } = of
  // Takes a while, in which the server goes on sending. What fails is heard below.
  const prepare = (): void => {
    void turns.withEngine(async () => undefined).catch(() => undefined)
    void checkFiles(reading, known).catch(() => undefined)
  }
  const { pieces, seen, rows } = await readPlaces(reading, { before, reused, prepare })
  try {
    if (seen === null) return null
    if (seen.changed.length === 0) return { rows, seen, changes: null }
    const all = await knownPairs(reading.zone, known, table.key)
    const inBlocks = pairsInBlocks(all, table, { pages: before.pages, names: seen.changed })
    const now = await relationOf(pieces, columnsOfPlaces(table))
    const changes = await changesAtPlaces(reading, { known: inBlocks, now, table, reused }, rows)
    return changes === null ? null : { rows, seen, changes }
  } finally {
    await pieces.discard()
  }
}

async function changesAtPlaces(
  reading: PairReading,
  places: Parameters<typeof placeDifference>[1],
  rows: number,
): Promise<PairsFound['changes']> {
  const { turns } = reading
  const names = { fresh: nameAnew('pairs_fresh'), lost: nameAnew('pairs_lost') }
  const [fresh, lost] = [names.fresh, names.lost].map(quoteName) as [string, string]
  try {
    const count = await turns.withEngine(async (engine) => {
      await engine.run(placeDifference(names, places))
      const [counted] = await engine.rows(`select count(*) as n from ${fresh}`)
      return Number(counted?.['n'])
    })
    if (tooMany(count, rows)) return null
    const pieces = await readFresh(reading, fresh)
    const found = await discardAtFailure(pieces, async () =>
      findMoved(reading, { fresh: pieces, lost, reused: places.reused }),
    )
    if (found?.fresh === count) return { ...found, pieces }
    // A place that yielded no row, or a row that was there before.
    await pieces.discard()
    return null
  } finally {
    await turns.withEngine(async (engine) => engine.run(dropPlaces(names)))
  }
}

/** The places of rows in blocks that are not as they were; `prepare` is called at the first of these. */
async function readPlaces(
  { table, pairs, snapshot, tempFolder }: PairReading,
  of: { readonly before: Blocks; readonly reused: IdSpan | null; readonly prepare: () => void },
): Promise<AllPairs> {
  const { before, reused, prepare } = of
  const writer = openPieceWriter(tempFolder, randomUUID())
  let begun = false
  const watch = watchBlocks({
    pages: before.pages,
    known: before,
    partitioned: pairs.partitioned,
    reused,
    onChanged: (rows) => {
      const bytes = Buffer.from(rows)
      writer.many({ bytes, count: 1, longest: LONGEST_PLACE, ends: [bytes.length] })
      if (!begun) prepare()
      begun = true
    },
  })
  return discardAtFailure(writer, async () => {
    const rows = await snapshot.copy(
      table,
      { row: watch.places, many: ({ bytes }) => watch.places(bytes), ready: writer.ready },
      { columns: 'places' },
    )
    const seen = watch.finish()
    return { rows, pieces: await writer.finish(), seen }
  })
}

/** What rows will be compared with, as its manifest says; a file that was found so once need not be read again. */
async function checkFiles({ zone, entry }: PairReading, known: PairsEntry): Promise<void> {
  const { base = [], files = [] } = entry ?? {}
  for (const file of [...known.base, ...known.files, ...base, ...files])
    await zone.store.localPath(file.key, file)
}

/** Which of the rows that were read are new, and which of the pairs that are no more where they were are gone. */
async function findMoved(
  reading: PairReading,
  {
    fresh,
    lost,
    reused,
  }: { readonly fresh: Pieces; readonly lost: string; readonly reused: IdSpan | null },
): Promise<(ChangesFound & { readonly relation: string }) | null> {
  const { table, columns } = reading
  const beside = columnsBeside('place', table)
  const rows = await relationOf(fresh, [...liveColumns(columns), ...beside])
  const names = quoteNames([...table.key, ...beside.map(({ name }) => name)])
  const now = placedPairs(`select ${names} from (${rows})`)
  const relation = nameAnew('pair_changes')
  const known = `from ${lost}`
  const difference = pairDifference({ into: relation, known, now, table, reused })
  const found = await findChanges(reading, relation, difference)
  return found === null ? null : { ...found, relation }
}

interface ChangesFound {
  readonly fresh: number
  readonly gone: number
  readonly count: number
}

/** Makes the table of changes; null for a key that does not fit the type that the lake carries it as. */
async function findChanges(
  { turns }: PairReading,
  relation: string,
  difference: string,
): Promise<ChangesFound | null> {
  return turns.withEngine(async (engine) => {
    try {
      await engine.run(difference)
    } catch (error) {
      if (error instanceof EngineFailure) return null
      throw error
    }
    const [counted] = await engine.rows(countPairs(relation))
    return {
      fresh: Number(counted?.['fresh']),
      gone: Number(counted?.['gone']),
      count: Number(counted?.['changes']),
    }
  })
}

/** Rows of other tables at the same places come with them, and are left aside later. */
async function readFresh(reading: PairReading, fresh: string): Promise<Pieces> {
  const { table, turns, snapshot, tempFolder } = reading
  const parts = await turns.withEngine(async (engine) =>
    engine.rows(freshPlaces(fresh, table, PLACES_AT_ONCE)),
  )
  const writer = openPieceWriter(tempFolder, randomUUID())
  return discardAtFailure(writer, async () => {
    for (const { leaf, places } of parts)
      await snapshot.copy(table, writer, {
        places: String(places).split(' '),
        leaf: leaf === null || leaf === undefined ? undefined : String(leaf),
        columns: 'rows with place',
      })
    return writer.finish()
  })
}

function tooMany(fresh: number, rows: number): boolean {
  return fresh > Math.max(1000, NEW_SHARE * rows)
}

async function relationOf(
  pieces: Pick<PieceGroup, 'rows' | 'files' | 'longestRow'>,
  columns: readonly { readonly name: string; readonly carried: string }[],
): Promise<string> {
  return pieces.rows === 0
    ? emptyRelation(columns)
    : csvRelation(await pieces.files(), columns, pieces.longestRow)
}

export function emptyRelation(
  columns: readonly { readonly name: string; readonly carried: string }[],
): string {
  const nulls = columns.map(({ name, carried }) => `null::${carried} as ${quoteName(name)}`)
  return `select ${nulls.join(', ')} where false`
}

function nameAnew(name: string): string {
  return `${name}_${randomBytes(4).toString('hex')}`
}
