/** Writing a versioned table's files: they exist only once a manifest names them. */
import { randomBytes } from 'node:crypto'
import type { Engine } from '../columns/engine.ts'
import { writeParquet } from '../columns/parquet.ts'
import { quoteName } from '../columns/sql.ts'
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

/** Writes one Parquet file, durable on return. */
export async function writeRows(zone: Zone, engine: Engine, rows: RowsToWrite): Promise<DataFile> {
  const { chain, table, relation, columns, key, batch, instant, base } = rows
  const objectKey = formatDataKey({ chain, table, instant, part: 0, random: randomBytes(6).toString('hex'), base })
  const stored = await zone.store.writeFile(objectKey, async (path) => engine.run(writeParquet({ relation, columns, key, batch, path })))
  return {
    key: objectKey,
    batch,
    rows: rows.rows,
    deletes: rows.deletes,
    ...stored,
    least: await edgeKey(engine, relation, key, 'asc'),
    greatest: await edgeKey(engine, relation, key, 'desc'),
  }
}

async function edgeKey(engine: Engine, relation: string, key: readonly string[], direction: 'asc' | 'desc'): Promise<string[]> {
  const columns = key.map((name) => `${quoteName(name)}::varchar as ${quoteName(name)}`).join(', ')
  const order = key.map((name) => `${quoteName(name)} ${direction}`).join(', ')
  const [row] = await engine.rows(`select ${columns} from (select * from ${relation} order by ${order} limit 1)`)
  return key.map((name) => String(row?.[name] ?? ''))
}
