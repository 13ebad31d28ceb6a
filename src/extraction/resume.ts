/**
 * A finished part of an earlier, unfinished first load, brought to what the snapshot sees now (P1): the
 * pairs of all rows that lie in the part now are read, and compared with those that were noted. Rows
 * with a known pair are in the lake already; those with a new one are read; what is noted and has no
 * pair any more is left out. Every row of the snapshot lies in exactly one part, so parts need not know
 * of each other: a row that moved is new here and gone there.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { csvRelation } from '../columns/csv.ts'
import type { Engine } from '../columns/engine.ts'
import { readParquet } from '../columns/file-parquet.ts'
import {
  columnsOfPairs,
  newPairs,
  PLACE_COLUMN,
  rowsWithKey,
  rowsWithPair,
} from '../pairs/pairs.ts'
import { discardAtFailure, openPieceWriter, type Pieces } from '../storage/pieces.ts'
import { quoteName } from '../columns/sql.ts'
import { ToteError } from '../errors.ts'
import { changesIn } from '../lake/read.ts'
import { writeRows } from '../lake/write.ts'
import type { SourcePart, SourceReading, SourceSnapshot } from '../sources/source.ts'
import type { Column } from '../types.ts'
import type { Draft, DraftFile, DraftPart } from './draft.ts'
import { dataKeyOf, writePairs, type Landing, type PartLanding } from './landing.ts'
import { emptyRelation } from './find-pairs.ts'
import type { EngineTurns } from './turns.ts'

export interface ResumeOptions {
  readonly landing: Landing
  readonly draft: Draft
  readonly part: SourcePart
  readonly into: PartLanding
  readonly snapshot: SourceSnapshot
  readonly turns: EngineTurns
  readonly tempFolder: string
}

/** Of a part in which more than this share of rows is new, reading all of it is less work. */
const NEW_SHARE = 0.2
/** Rows asked for in one statement. */
const PLACES_AT_ONCE = 5000

/** Lands the part with what the draft has of it. Null, having done nothing, when it must be read anew; else its rows. */
export async function resumePart(options: ResumeOptions): Promise<number | null> {
  const { landing, draft, part, into } = options
  const { table } = landing
  const noted = draft.find(table, part)
  if (noted === undefined || !sameKey(noted.columns, landing.landed().columns, table.key))
    return null
  const files = await soundFiles(landing, noted)
  if (files === null) return null
  const found = await findPairs(options, files)
  try {
    if (found === null) return null
    const { rows, fresh, names } = found
    const kept = await options.turns.withEngine(async (engine) =>
      keepFiles(engine, options, { noted, files, names }),
    )
    const keptRows = kept.reduce((sum, { data }) => sum + data.rows, 0)
    // Not what pairs are known for; all of the part is read instead.
    if (keptRows + fresh !== rows) return null
    into.adopt(kept, noted.columns)
    if (fresh > 0) await landFresh(options, found)
    const changed =
      fresh > 0 || kept.length < files.length || kept.some((file, n) => file !== files[n])
    if (changed) await into.finish()
    return rows
  } finally {
    await options.turns.withEngine(async (engine) => dropTables(engine, found))
  }
}

function sameKey(
  noted: readonly Column[],
  columns: readonly Column[],
  key: readonly string[],
): boolean {
  const carriedIn = (all: readonly Column[], name: string): string | undefined =>
    all.find((column) => column.name === name)?.carried
  return key.every((name) => carriedIn(noted, name) === carriedIn(columns, name))
}

/** The noted files, or null when one is not what was noted: a draft that was touched is no corrupt lake. */
async function soundFiles(
  landing: Landing,
  noted: DraftPart,
): Promise<readonly DraftFile[] | null> {
  const { store } = landing.options.zone
  try {
    for (const { data, pairs } of noted.files) {
      await store.localPath(data.key, data)
      await store.localPath(pairs.key, pairs)
    }
    return noted.files
  } catch (error) {
    if (error instanceof ToteError && error.name === 'LakeCorrupt') return null
    throw error
  }
}

interface Names {
  /** Pairs of the rows that lie in the part now. */
  readonly now: string
  /** Those of them that were not noted. */
  readonly fresh: string
}

interface FoundPairs {
  readonly rows: number
  readonly fresh: number
  readonly places: readonly string[]
  readonly names: Names
}

async function findPairs(
  options: ResumeOptions,
  files: readonly DraftFile[],
): Promise<FoundPairs | null> {
  const { landing, part, turns } = options
  const { key } = landing.table
  const pieces = await readPieces(options, [{ part, columns: 'pairs' }])
  try {
    const suffix = randomBytes(4).toString('hex')
    const names = { now: `pairs_now_${suffix}`, fresh: `pairs_fresh_${suffix}` }
    return await turns.withEngine(async (engine) => {
      const inOrder = columnsOfPairs(landing.table, landing.landed().columns)
      const now =
        pieces.rows === 0
          ? emptyRelation(inOrder)
          : csvRelation(await pieces.files(), inOrder, pieces.longestRow)
      await engine.run(`create temp table ${quoteName(names.now)} as ${now}`)
      const known = await pairsIn(landing, files)
      await engine.run(
        `create temp table ${quoteName(names.fresh)} as ${newPairs(quoteName(names.now), known ?? `(${emptyRelation(inOrder)})`, key)}`,
      )
      const places = await engine.rows(
        `select ${quoteName(PLACE_COLUMN)} as p from ${quoteName(names.fresh)}`,
      )
      if (places.length > Math.max(1000, NEW_SHARE * pieces.rows)) {
        await dropTables(engine, { names })
        return null
      }
      return {
        rows: pieces.rows,
        fresh: places.length,
        places: places.map((row) => String(row['p'])),
        names,
      }
    })
  } finally {
    await pieces.discard()
  }
}

async function pairsIn(landing: Landing, files: readonly DraftFile[]): Promise<string | null> {
  if (files.length === 0) return null
  const { store } = landing.options.zone
  return readParquet(
    await Promise.all(files.map(async ({ pairs }) => store.localPath(pairs.key, pairs))),
  )
}

async function readPieces(
  { landing, snapshot, tempFolder }: ResumeOptions,
  readings: readonly SourceReading[],
): Promise<Pieces> {
  const writer = openPieceWriter(tempFolder, randomUUID())
  return discardAtFailure(writer, async () => {
    for (const reading of readings) await snapshot.copy(landing.table, writer, reading)
    return writer.finish()
  })
}

/** The files as they are where every row's pair is there still; else written anew without the others. */
async function keepFiles(
  engine: Engine,
  options: ResumeOptions,
  { noted, files, names }: { noted: DraftPart; files: readonly DraftFile[]; names: Names },
): Promise<DraftFile[]> {
  const { landing, draft } = options
  const { table, options: landingOptions } = landing
  const { zone } = landingOptions
  const kept: DraftFile[] = []
  for (const file of files) {
    const pairs = await pairsIn(landing, [file])
    const sound = `(${rowsWithPair(pairs ?? '', quoteName(names.now), table.key)})`
    const [counted] = await engine.rows(`select count(*) as n from ${sound} as s`)
    const rows = Number(counted?.['n'])
    if (rows === file.data.rows) kept.push(file)
    if (rows === file.data.rows || rows === 0) continue
    const all = await changesIn(zone, noted, [file.data])
    const data = await writeRows(zone, engine, {
      ...dataKeyOf(landingOptions),
      table: table.name,
      relation: `(${rowsWithKey(`(${all})`, sound, table.key)})`,
      columns: noted.columns,
      key: table.key,
      base: false,
      rows,
      deletes: 0,
      order: 'as they come',
    })
    const left = await writePairs(
      engine,
      { ...landingOptions, draft },
      { relation: sound, table, columns: noted.columns, rows },
    )
    kept.push({ data, pairs: left })
  }
  return kept
}

/** Reads the rows whose pair is new. Those of other files of the table at the same places are left aside. */
async function landFresh(
  options: ResumeOptions,
  { fresh, places, names }: FoundPairs,
): Promise<void> {
  const { landing, part, into } = options
  const { key } = landing.table
  const readings: SourceReading[] = []
  for (let at = 0; at < places.length; at += PLACES_AT_ONCE)
    readings.push({
      part,
      places: places.slice(at, at + PLACES_AT_ONCE),
      columns: 'rows with xmin',
    })
  const pieces = await readPieces(options, readings)
  try {
    await into.take({
      rows: fresh,
      longestRow: pieces.longestRow,
      files: pieces.files,
      select: (rows) => rowsWithPair(rows, quoteName(names.fresh), key),
    })
  } finally {
    await pieces.discard()
  }
}

async function dropTables(engine: Engine, found: { readonly names: Names } | null): Promise<void> {
  if (found === null) return
  for (const name of [found.names.now, found.names.fresh])
    await engine.run(`drop table if exists ${quoteName(name)}`)
}
