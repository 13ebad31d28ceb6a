/**
 * How a large table is divided: into ranges of pages, which the server can read by themselves without
 * an index, in the order in which they lie (TID range scans, PostgreSQL 14). A range is the same in
 * every snapshot, whatever has been written since. Before PostgreSQL 14 each such range would read the whole table:
 * there a table that lies in the order of a whole number that its key begins with is divided by that.
 */
import { quoteIdentifier, quoteLiteral } from '../postgres/identifiers.ts'
import { numbersOf, WHOLE } from '../ranges/key-numbers.ts'
import { inRange, inRanges, type KeyRange, type RangedBy } from '../ranges/key-range.ts'
import { placeRow, type SourcePart, type SourceReading, type SourceTable } from './source.ts'
import type { PostgresTable } from './tables-postgres.ts'

/** 64 MB of a table. */
const PART_PAGES = 8192

export interface PagePart extends SourcePart {
  readonly from: number
  /** Not included. */
  readonly to: number
}

/** A range of the whole numbers that a key begins with. */
export interface KeyPart extends SourcePart, KeyRange {
  /** The database's own name of the column. */
  readonly column: string
}

export type TablePart = PagePart | KeyPart

/** Ranges that cover all pages; none for a table that is not worth dividing. */
export function dividePages(pages: number, pagesEach: number = PART_PAGES): PagePart[] {
  if (pages <= pagesEach) return []
  return Array.from({ length: Math.ceil(pages / pagesEach) }, (_, index) => {
    const from = index * pagesEach
    const to = from + pagesEach
    return { id: `pages ${from} to ${to - 1}`, from, to }
  })
}

/** What the whole numbers that a table's key begins with go from and to. */
export interface KeySpan {
  readonly column: string
  readonly least: bigint
  readonly greatest: bigint
}

/**
 * Ranges that cover all keys, each about as large as a part of pages where keys are spread evenly. They begin at
 * multiples of a power of two, so that most of them are the same when the table has grown.
 */
export function divideKeys(
  { column, least, greatest }: KeySpan,
  pages: number,
  pagesEach: number = PART_PAGES,
): KeyPart[] {
  if (pages <= pagesEach) return []
  const wanted = BigInt(Math.ceil(pages / pagesEach))
  let width = 1n
  while (width * wanted < greatest - least + 1n) width *= 2n
  // Rounded down, below zero too.
  const first = ((least < 0n ? least - width + 1n : least) / width) * width
  const bounds: (bigint | null)[] = [null]
  for (let bound = first + width; bound <= greatest; bound += width) bounds.push(bound)
  if (bounds.length === 1) return []
  return bounds.map((from, index) => {
    const below = bounds[index + 1] ?? null
    const id = `keys ${from === null ? '' : `from ${from} `}${below === null ? 'on' : `below ${below}`}`
    return { id, column, least: from, below }
  })
}

/** The condition under which a row lies in the part. */
export function inPart(part: TablePart): string {
  if (!('column' in part)) {
    const { from, to } = part
    return `ctid >= '(${from},0)'::pg_catalog.tid and ctid < '(${to},0)'::pg_catalog.tid`
  }
  return inRange({ column: part.column, numbers: WHOLE }, part)
}

/**
 * By what a table's rows can be asked for in ranges: the first column of its key, if its values, or those that its domain is over, stand for numbers. A key that
 * the config gives may be NULL somewhere; what is masked is another value than the table's own.
 */
export function rangedBy(
  { columns, key }: Pick<PostgresTable, 'columns' | 'key'>,
  reading: {
    readonly keyGiven: boolean
    readonly expressions: ReadonlyMap<string, string>
    readonly hashed: ReadonlySet<string>
  },
): RangedBy | undefined {
  const first = columns.find(({ name }) => name === key[0])
  const numbers = numbersOf(first?.builtin ?? first?.type ?? '')
  if (first === undefined || numbers === undefined || reading.keyGiven) return undefined
  const own = first.source ?? ''
  const isMasked = reading.expressions.has(own) || reading.hashed.has(own)
  return isMasked ? undefined : { column: first.name, numbers }
}

/** The condition under which a row of the table lies in one of the ranges. */
export function inOwnRanges(
  { name, columns, rangedBy: by }: Pick<PostgresTable, 'name' | 'columns' | 'rangedBy'>,
  ranges: readonly KeyRange[],
): string {
  const column = columns.find((one) => one.name === by?.column)?.source
  if (by === undefined || typeof column !== 'string')
    throw new RangeError(`table "${name}" has no ranges`)
  return inRanges({ ...by, column }, ranges)
}

/** Whether the rows of a part come in the order in which they lie. */
export function comesAsItLies(part: TablePart): boolean {
  return !('column' in part)
}

/** The condition under which a row lies at one of the places, which the server itself has told. */
export function atPlaces(places: readonly string[]): string {
  const odd = places.find((place) => !/^\(\d{1,10},\d{1,5}\)$/.test(place))
  if (odd !== undefined) throw new RangeError('not a place in a table')
  return `ctid = any ('{${places.map((place) => `"${place}"`).join(',')}}'::pg_catalog.tid[])`
}

/** The condition under which a row lies in one of the tables that make up a partitioned one. */
export function inLeaf(oid: string): string {
  if (!/^\d{1,10}$/.test(oid)) throw new RangeError('not the oid of a table')
  return `tableoid = '${oid}'::pg_catalog.oid`
}

/** What is selected before and after a table's own columns; and how long each row is, where all are of one length and come in binary. */
export function selectedBeside(
  { pairs }: Pick<SourceTable, 'pairs'>,
  { columns = 'rows' }: SourceReading,
): {
  readonly before: readonly string[]
  readonly after: readonly string[]
  readonly binaryRow: number | undefined
} {
  const leaf = pairs?.partitioned === true ? ['tableoid'] : []
  const pair = [...leaf, 'xmin', 'ctid']
  const [before, after] = {
    rows: [[], []],
    'rows with xmin': [[], ['xmin']],
    'rows with place': [[], ['xmin', 'ctid', ...leaf]],
    pairs: [pair, []],
    places: [pair, []],
  }[columns] as [string[], string[]]
  const binaryRow = columns === 'places' ? placeRow(leaf.length > 0).bytes : undefined
  return { before, after, binaryRow }
}

/** What a value of a cursor may look like, as DuckDB prints it: it comes from the lake, and stands in SQL. */
const VALUE = /^-?\d{1,40}(\.\d{1,40})?$|^\d{4,6}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d{1,6})?(\+00)?)?$/

/** The condition under which a row's cursor is not further behind `value` than the look-back. */
export function sinceValue({ type, source, lookBack }: CursorPlace, value: string): string {
  if (!VALUE.test(value)) throw new RangeError('not a value of a cursor')
  const back = /^\d+$/.test(lookBack) ? lookBack : `${quoteLiteral(lookBack)}::pg_catalog.interval`
  return `${quoteIdentifier(source)} >= ${quoteLiteral(value)}::${type} - ${back}`
}

export interface CursorPlace {
  /** Of the column, in the database. */
  readonly source: string
  /** As PostgreSQL's catalogue prints it. */
  readonly type: string
  /** A number, or an interval. */
  readonly lookBack: string
}
