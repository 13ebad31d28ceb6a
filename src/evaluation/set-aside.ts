/**
 * What a point with very many models does not keep in memory: DuckDB has 20 kB at least for each column of a table, so
 * that three tables of ten columns for each of a thousand models come to more than half a gigabyte.
 */
import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { KIND_COLUMN } from '../columns/difference.ts'
import type { Engine } from '../columns/engine.ts'
import { readFiles, writeFile } from '../columns/files.ts'
import { OP_COLUMN, quoteName, quoteNames } from '../columns/sql.ts'
import type { Column } from '../types.ts'

/** Of so many models before it in a point, one is evaluated so. */
export const MANY_MODELS = 100

export interface ChangesToSetAside {
  /** A difference table, whose counts are taken. A view of its changes has its name afterwards, without their kinds. */
  readonly changes: string
  readonly columns: readonly Column[]
  readonly key: readonly string[]
  readonly batch: number
  /** Its owner removes it. */
  readonly tempFolder: string
}

/** Writes a model's changes as the lake would keep them as Parquet; returns the path. Throws EngineFailure. */
export async function setAside(
  engine: Engine,
  { changes, columns, key, batch, tempFolder }: ChangesToSetAside,
): Promise<string> {
  await mkdir(tempFolder, { recursive: true })
  const path = join(tempFolder, `${randomUUID()}.parquet`)
  const relation = quoteName(changes)
  await engine.run(writeFile('parquet', { relation, columns, key, batch, path }))
  const names = quoteNames([OP_COLUMN, ...columns.map(({ name }) => name)])
  const written = readFiles([{ path, format: 'parquet', longest: 0, carried: {} }], columns)
  await engine.run(`drop table if exists ${relation}`)
  await engine.run(
    `create view ${relation} as select ${names}, null::varchar as ${quoteName(KIND_COLUMN)} from ${written}`,
  )
  return path
}

/** Leaves a table only these columns. */
export async function keepColumns(
  engine: Engine,
  table: string,
  columns: readonly string[],
): Promise<void> {
  const relation = quoteName(table)
  await engine.run(
    `create or replace table ${relation} as select ${quoteNames(columns)} from ${relation}`,
  )
}
