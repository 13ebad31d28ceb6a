/**
 * The first rows of a model, written straight into the file that the lake will keep: every row is an
 * insert, so there is no difference to compute, and the rows never stand in memory. Checks and other
 * models read the file. Until a manifest names a copy in the lake, it is a temporary one.
 *
 * The file is in the order of the key. Where the rows come in that order already, because a table lies in it
 * and passes the query row by row, they are written as they come: to sort five million takes as long as to
 * write them, and most of the memory. What has been written is looked at in any case: where each key is
 * greater than the one before it, they are in order, and no key is there twice.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { KIND_COLUMN } from '../columns/difference.ts'
import type { Engine } from '../columns/engine.ts'
import { readFiles, writeFile } from '../columns/files.ts'
import { countOrder, isStreamed } from './order.ts'
import { OP_COLUMN, quoteName, quoteNames } from '../columns/sql.ts'
import type { Column } from '../types.ts'

export interface FirstRows {
  readonly path: string
  /** How many; null when a key is not whole, or there twice. */
  readonly rows: number | null
}

export interface FirstRowsOptions {
  readonly tempFolder: string
  readonly query: string
  readonly columns: readonly Column[]
  readonly key: readonly string[]
  readonly batch: number
  /** Names of views to make: `rows` of the rows, and `changes` of the same as changes. */
  readonly rows: string
  readonly changes: string
}

/** Throws EngineFailure, which may be the query's. */
export async function writeFirstRows(
  engine: Engine,
  options: FirstRowsOptions,
): Promise<FirstRows> {
  const { tempFolder, query, columns, key, batch, rows, changes } = options
  await mkdir(tempFolder, { recursive: true })
  const newPath = (): string => join(tempFolder, `${randomUUID()}.parquet`)
  const into = { columns, batch, key }
  const readBack = (path: string): string =>
    readFiles([{ path, format: 'parquet', longest: 0, carried: {} }], columns)
  // The line break ends a comment in the query.
  const relation = `(select 'u' as ${quoteName(OP_COLUMN)}, * from (${query}\n))`
  const keepsOrder =
    (await isStreamed(engine, query)) &&
    (await countOrder(engine, `(${query}\n)`, key)).misplaced === 0
  let path = newPath()
  const write = async (from: string): Promise<void> =>
    engine.run(writeFile('parquet', { relation: from, ...into, keepsOrder, path }))
  await (keepsOrder ? write(relation) : engine.sorting(async () => write(relation)))
  let seen = await countOrder(engine, readBack(path), key)
  if (keepsOrder && seen.misplaced > 0) {
    const unsorted = path
    path = newPath()
    const sorted = writeFile('parquet', { relation: readBack(unsorted), ...into, path })
    await engine.sorting(async () => engine.run(sorted))
    await unlink(unsorted)
    seen = await countOrder(engine, readBack(path), key)
  }
  const names = quoteNames(columns.map(({ name }) => name))
  const written = readBack(path)
  await engine.run(
    `create or replace view ${quoteName(rows)} as select ${names} from ${written};` +
      ` create or replace view ${quoteName(changes)} as select 'u' as ${quoteName(OP_COLUMN)}, 'i' as ${quoteName(KIND_COLUMN)}, ${names} from ${written}`,
  )
  return { path, rows: seen.misplaced + seen.withoutKey === 0 ? seen.rows : null }
}
