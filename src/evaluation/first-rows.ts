/**
 * The first rows of a model, written straight into the file that the lake will keep: every row is an
 * insert, so there is no difference to compute, and the rows never stand in memory. Checks and other
 * models read the file. Until a manifest names a copy in the lake, it is a temporary one.
 */
import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { KIND_COLUMN } from '../columns/difference.ts'
import { readFiles, writeFile } from '../columns/files.ts'
import { OP_COLUMN, quoteName, quoteNames } from '../columns/sql.ts'
import type { Column } from '../types.ts'

export interface FirstRows {
  /** The statement that writes the rows of a query. */
  readonly write: string
  /** Views: `rows` of the rows, and `changes` of the same as changes. */
  readonly views: string
  readonly path: string
}

export async function prepareFirstRows(options: {
  readonly tempFolder: string
  readonly query: string
  readonly columns: readonly Column[]
  readonly key: readonly string[]
  readonly batch: number
  readonly rows: string
  readonly changes: string
}): Promise<FirstRows> {
  const { tempFolder, query, columns, key, batch, rows, changes } = options
  await mkdir(tempFolder, { recursive: true })
  const path = join(tempFolder, `${randomUUID()}.parquet`)
  // The line break ends a comment in the query.
  const relation = `(select 'u' as ${quoteName(OP_COLUMN)}, * from (${query}\n))`
  const names = quoteNames(columns.map(({ name }) => name))
  const written = readFiles([{ path, format: 'parquet', longest: 0, carried: {} }], columns)
  return {
    path,
    write: writeFile('parquet', { relation, columns, key, batch, path }),
    views:
      `create view ${quoteName(rows)} as select ${names} from ${written};` +
      ` create temp view ${quoteName(changes)} as select 'u' as ${quoteName(OP_COLUMN)}, 'i' as ${quoteName(KIND_COLUMN)}, ${names} from ${written}`,
  }
}
