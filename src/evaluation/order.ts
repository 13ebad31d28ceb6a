/** The order in which rows lie, or pass. */
import type { Engine } from '../columns/engine.ts'
import { quoteName } from '../columns/sql.ts'

export interface Order {
  readonly rows: number
  /** Rows whose key is not whole. */
  readonly withoutKey: number
  /** Rows whose key is not greater than that of the row before. With none, every whole key is there once. */
  readonly misplaced: number
}

/**
 * Whether the rows of a relation lie in the order of a key, found in one pass that keeps one row: DuckDB
 * looks at the row before while rows stream by (`lag` over an empty window), on one thread and in their order.
 */
export async function countOrder(
  engine: Engine,
  relation: string,
  key: readonly string[],
): Promise<Order> {
  const columns = key.map(
    (name, index) =>
      `${quoteName(name)} as k${index}, lag(${quoteName(name)}) over () as b${index}`,
  )
  const missing = key.map((_, index) => `k${index} is null`).join(' or ')
  const [row] = await engine.rows(
    `select count(*) as n, count(*) filter (where ${missing}) as missing,` +
      ` count(*) filter (where not (${isGreater(key.length)})) as misplaced` +
      ` from (select ${columns.join(', ')} from ${relation})`,
  )
  return {
    rows: Number(row?.['n']),
    withoutKey: Number(row?.['missing']),
    misplaced: Number(row?.['misplaced']),
  }
}

/** Null for the first row, and beside a key that is not whole. */
function isGreater(width: number, at = 0): string {
  const greater = `b${at} < k${at}`
  return at + 1 >= width
    ? greater
    : `(${greater} or (b${at} = k${at} and ${isGreater(width, at + 1)}))`
}

/** What hands rows on as they come; of a join, those of its first input. */
const STREAMS = [
  'PROJECTION',
  'FILTER',
  'HASH_JOIN',
  'READ_PARQUET',
  'COLUMN_DATA_SCAN',
  'SEQ_SCAN',
]

interface PlanNode {
  readonly name: string
  readonly children: readonly PlanNode[]
}

/** Whether the rows of a query come as those of one table lie: nothing on their way collects them (DuckDB's plan). */
export async function isStreamed(engine: Engine, query: string): Promise<boolean> {
  const [row] = await engine.rows(`explain (format json) ${query}`)
  const [plan] = JSON.parse(String(row?.['explain_value'])) as PlanNode[]
  for (let node = plan; node !== undefined; node = node.children[0])
    if (!STREAMS.includes(node.name)) return false
  return true
}
