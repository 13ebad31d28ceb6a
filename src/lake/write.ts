/** Writing a versioned table's files: they exist only once a manifest names them. */
import { randomBytes } from 'node:crypto'
import type { Engine } from '../columns/engine.ts'
import { readParquet, writeParquet } from '../columns/parquet.ts'
import { OP_COLUMN, quoteName, quoteNames } from '../columns/sql.ts'
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
  const [counted] = await engine.rows(
    `select count(*) as n, count(*) filter (where ${quoteName(OP_COLUMN)} = 'd') as deletes from ${written}`,
  )
  const found = { rows: Number(counted?.['n']), deletes: Number(counted?.['deletes']) }
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
    least: await edgeKey(engine, written, key, 'asc'),
    greatest: await edgeKey(engine, written, key, 'desc'),
  }
}

async function edgeKey(
  engine: Engine,
  written: string,
  key: readonly string[],
  direction: 'asc' | 'desc',
): Promise<string[]> {
  const columns = key.map((name) => `${quoteName(name)}::varchar as ${quoteName(name)}`).join(', ')
  const order = key.map((name) => `${quoteName(name)} ${direction}`).join(', ')
  const [row] = await engine.rows(
    `select ${columns} from (select ${quoteNames(key)} from ${written} order by ${order} limit 1)`,
  )
  return key.map((name) => String(row?.[name] ?? ''))
}
