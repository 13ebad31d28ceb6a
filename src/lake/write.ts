/** Writing a versioned table's files: they exist only once a manifest names them. */
import { randomBytes } from 'node:crypto'
import type { Engine } from '../columns/engine.ts'
import { readParquet, writeParquet } from '../columns/parquet.ts'
import { OP_COLUMN, quoteName } from '../columns/sql.ts'
import { ToteError } from '../errors.ts'
import type { Column, Instant } from '../types.ts'
import { formatDataKey } from './keys.ts'
import type { DataFile } from './manifest.ts'
import type { Zone } from './zone.ts'

export interface RowsToWrite {
  readonly chain: string
  readonly table: string
  /** A relation with `_tote_op` and the columns, each key once. */
  readonly relation: string
  readonly columns: readonly Column[]
  readonly key: readonly string[]
  readonly batch: number
  readonly instant: Instant
  readonly base: boolean
  readonly rows: number
  readonly deletes: number
}

/**
 * Writes one Parquet file, durable on return. What the manifest will say of it is read back from the
 * file: a count that is not the expected one is a Bug, and nothing is committed.
 */
export async function writeRows(zone: Zone, engine: Engine, rows: RowsToWrite): Promise<DataFile> {
  const { chain, table, relation, columns, key, batch, instant, base } = rows
  const objectKey = formatDataKey({
    chain,
    table,
    instant,
    part: 0,
    random: randomBytes(6).toString('hex'),
    base,
  })
  const stored = await zone.store.writeFile(objectKey, async (path) =>
    engine.run(writeParquet({ relation, columns, key, batch, path })),
  )
  const written = readParquet([await zone.store.localPath(objectKey, stored)], columns)
  const edges = [edgeKey(key, 'min'), edgeKey(key, 'max')]
  const [seen] = await engine.rows(
    `select count(*) as n, count(*) filter (where ${quoteName(OP_COLUMN)} = 'd') as deletes, ${edges.join(', ')} from ${written}`,
  )
  const found = { rows: Number(seen?.['n']), deletes: Number(seen?.['deletes']) }
  if (found.rows !== rows.rows || found.deletes !== rows.deletes) {
    throw new ToteError(
      'Bug',
      `The file of table "${table}" holds ${found.rows} rows where ${rows.rows} were to be written.`,
      { where: objectKey },
    )
  }
  return {
    key: objectKey,
    batch,
    ...found,
    ...stored,
    least: key.map((_, index) => String(seen?.[`min_${index}`] ?? '')),
    greatest: key.map((_, index) => String(seen?.[`max_${index}`] ?? '')),
  }
}

/** The first or the last key as columns `min_0`, `min_1`, …; a key of one column is in the file's statistics. */
function edgeKey(key: readonly string[], edge: 'min' | 'max'): string {
  const [first, ...more] = key.map(quoteName)
  if (first === undefined || more.length === 0)
    return `${edge}(${first ?? 'null'})::varchar as ${edge}_0`
  const parts = [first, ...more].map((name, index) => `'k${index}': ${name}`)
  const whole = `${edge}({${parts.join(', ')}})`
  return key.map((_, index) => `(${whole}).k${index}::varchar as ${edge}_${index}`).join(', ')
}
