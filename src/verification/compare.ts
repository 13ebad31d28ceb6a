/** Two sides of one table at one instant: by ranges, and where those differ row by row. */
import type { Engine } from '../columns/engine.ts'
import { TerminalOnly, type VerifiedTable } from '../events.ts'
import type { KeySpans } from '../ranges/key-spans.ts'
import {
  addRows,
  addSums,
  createRows,
  createSums,
  differingRanges,
  differingRows,
  insertSums,
  sumAll,
  totalSums,
  type RangeSum,
  type Shape,
} from './ranges.ts'
import type { Side } from './sides.ts'

export interface TwoSides {
  /** Of each column its name, in the order of both sides. */
  readonly columns: readonly string[]
  /** Those that tell rows apart; all of them where none do, and equal rows count. */
  readonly key: readonly string[]
  /** Ranges of the key's first column; asked for only where these tell more than whether anything differs. */
  readonly spans?: (() => Promise<KeySpans | undefined>) | undefined
  readonly expected: Side
  /** What the ranges of `expected` are known to hold, so that it is gone through only for those that differ. */
  readonly sums?: readonly RangeSum[] | undefined
  readonly found: Side
  /** One of them waits for a server, so that the other can be summed meanwhile. */
  readonly together?: true
  /** The same rows as whole lines: cheaper, and where they agree, nothing differs. Null where they cannot be had. */
  readonly lines?: Pick<TwoSides, 'expected' | 'found'> | null
}

/** What is said of a comparison, whatever was compared. */
export type Findings = Omit<VerifiedTable, 'what' | 'source' | 'table' | 'repaired'>

export interface RangesCompared {
  readonly rowsExpected: number
  readonly rowsFound: number
  /** Ascending. */
  readonly differ: readonly number[]
  /** Of what was expected; not known where nothing differs. */
  readonly sums: readonly RangeSum[] | undefined
}

export interface SidesCompared {
  readonly findings: Findings
  readonly ranges: RangesCompared
}

/** Keys that are named, of all rows that differ. */
export const NAMED_KEYS = 10

export async function compareSides(engine: Engine, sides: TwoSides): Promise<SidesCompared> {
  const ranges = await compareRanges(engine, sides)
  const { rowsExpected, rowsFound, differ } = ranges
  const counts = { rowsExpected, rowsFound, rangesDiffer: differ.length }
  const rows = differ.length === 0 ? NOTHING_DIFFERS : await compareRows(engine, sides, differ)
  return { findings: { ...counts, ...rows }, ranges }
}

const NOTHING_DIFFERS = {
  missing: 0,
  extra: 0,
  different: 0,
  columns: {},
  keys: new TerminalOnly<readonly string[]>([]),
} as const

/**
 * Counts of both sides; which ranges of keys differ. Most tables are equal, so that both are first summed as a whole: a
 * statement for each, where ranges take a dozen.
 */
export async function compareRanges(engine: Engine, sides: TwoSides): Promise<RangesCompared> {
  if (sides.sums === undefined) {
    const whole = await compareWhole(engine, sides)
    if (whole !== null) return { ...whole, differ: [], sums: undefined }
  }
  return compareSums(engine, sides)
}

/** How many rows both sides have where they are equal; else null. */
async function compareWhole(
  engine: Engine,
  { lines = null, expected, found, columns, together }: TwoSides,
): Promise<Pick<RangesCompared, 'rowsExpected' | 'rowsFound'> | null> {
  const width = lines === null ? columns.length : 1
  const [theirs, ours] = await bothSides(engine, together, {
    expected: async (by) => totalOf(by, (lines ?? { expected }).expected, width),
    found: async (by) => totalOf(by, (lines ?? { found }).found, width),
  })
  if (theirs.rows !== ours.rows || theirs.sum !== ours.sum) return null
  return { rowsExpected: Number(theirs.rows), rowsFound: Number(ours.rows) }
}

async function totalOf(
  engine: Engine,
  side: Side,
  width: number,
): Promise<{ readonly rows: bigint; readonly sum: bigint }> {
  let [rows, sum] = [0n, 0n]
  await side.pass(async (relation) => {
    const [row] = await engine.rows(sumAll(relation, width))
    rows += BigInt(row?.['rows'] ?? 0)
    sum += BigInt(row?.['sum'] ?? 0)
  })
  return { rows, sum }
}

async function compareSums(engine: Engine, sides: TwoSides): Promise<RangesCompared> {
  const shape = await shapeOf(sides)
  const sum = async (by: Engine, table: string, side: Side | null): Promise<number> => {
    await by.run(createSums(table))
    if (side === null) await by.run(insertSums(table, sides.sums ?? []))
    else await side.pass(async (relation) => by.run(addSums(table, relation, shape)))
    const [row] = await by.rows(`select coalesce(sum(rows), 0)::bigint as n from ${table}`)
    return Number(row?.['n'])
  }
  const [rowsExpected, rowsFound] = await bothSides(engine, sides.together, {
    expected: async (by) =>
      sum(by, 'sums_expected', sides.sums === undefined ? sides.expected : null),
    found: async (by) => sum(by, 'sums_found', sides.found),
  })
  const differ = await engine.rows(differingRanges('sums_expected', 'sums_found'))
  const sums = await engine.rows(totalSums('sums_expected'))
  await engine.run('drop table sums_expected; drop table sums_found')
  return {
    rowsExpected,
    rowsFound,
    differ: differ.map(({ range }) => Number(range)),
    sums: sums.map(({ range, rows, sum: total }) => ({
      range: Number(range),
      rows: BigInt(rows ?? 0),
      sum: BigInt(total ?? 0),
    })),
  }
}

async function bothSides<T>(
  engine: Engine,
  together: TwoSides['together'],
  work: Readonly<Record<'expected' | 'found', (by: Engine) => Promise<T>>>,
): Promise<readonly [T, T]> {
  const beside = together === true ? await engine.beside() : null
  const expected = work.expected(engine)
  if (beside === null) await expected
  const found = work.found(beside ?? engine)
  // Whoever closes an engine must not find it at work.
  await Promise.allSettled([expected, found])
  beside?.close()
  return Promise.all([expected, found])
}

/** The rows of ranges that differ, compared by key. */
async function compareRows(
  engine: Engine,
  sides: TwoSides,
  ranges: readonly number[],
): Promise<Omit<Findings, 'rowsExpected' | 'rowsFound' | 'rangesDiffer'>> {
  const shape = await shapeOf(sides)
  const gather = async (table: string, side: Side): Promise<void> => {
    await engine.run(createRows(table, shape))
    await side.pass(
      async (relation) => engine.run(addRows(table, relation, { shape, ranges })),
      ranges,
    )
  }
  await gather('rows_expected', sides.expected)
  await gather('rows_found', sides.found)
  const differing = { shape, expected: 'rows_expected', found: 'rows_found' }
  await engine.run(differingRows('rows_differing', differing))
  const kinds = await engine.rows(
    'select kind, sum(rows)::bigint as n from rows_differing group by kind',
  )
  const count = (kind: string): number =>
    Number(kinds.find((one) => one['kind'] === kind)?.['n'] ?? 0)
  const findings = {
    missing: count('missing'),
    extra: count('extra'),
    different: count('different'),
    columns: await columnsThatDiffer(engine, sides),
    keys: new TerminalOnly(await firstKeys(engine, sides)),
  }
  await engine.run('drop table rows_expected; drop table rows_found; drop table rows_differing')
  return findings
}

async function columnsThatDiffer(
  engine: Engine,
  { columns }: TwoSides,
): Promise<Record<string, number>> {
  if (columns.length === 0) return {}
  const counts = columns.map((_, index) => `count(*) filter (where c${index}) as c${index}`)
  const [row] = await engine.rows(
    `select ${counts.join(', ')} from rows_differing where kind = 'different'`,
  )
  return Object.fromEntries(
    columns
      .map((name, index) => [name, Number(row?.[`c${index}`] ?? 0)] as const)
      .filter(([, rows]) => rows > 0),
  )
}

const KINDS: Readonly<Record<string, string>> = {
  missing: 'missing',
  extra: 'too many',
  different: 'different',
}

async function firstKeys(engine: Engine, { key, columns }: TwoSides): Promise<string[]> {
  const names = key.length === 0 ? columns : key
  const list = names.map((_, index) => `k${index}`)
  const rows = await engine.rows(
    `select ${['kind', ...list].join(', ')} from rows_differing order by ${['kind', ...list].join(', ')} limit ${NAMED_KEYS}`,
  )
  return rows.map((row) =>
    describeKey(
      String(row['kind']),
      names.map((name, index) => [name, row[`k${index}`] as string | null]),
    ),
  )
}

/** `sale_id 17 (missing)`; for a person's own terminal only. */
export function describeKey(
  kind: string,
  parts: readonly (readonly [name: string, value: string | null])[],
): string {
  const text = parts.map(([name, value]) => `${name} ${value ?? 'NULL'}`).join(', ')
  const cut = text.length > 100 ? `${text.slice(0, 99)}…` : text
  return `${cut} (${KINDS[kind] ?? kind})`
}

async function shapeOf({
  columns,
  key,
  spans,
}: Pick<TwoSides, 'columns' | 'key' | 'spans'>): Promise<Shape> {
  const own = key.length === 0 ? columns : key
  return {
    width: columns.length,
    key: own.map((name) => columns.indexOf(name)),
    spans: await spans?.(),
  }
}
