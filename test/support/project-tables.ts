/**
 * The tables of a project's source beside what lake and warehouse hold of them now, by name and value:
 * what a changed schema must come to. Both sides' values are the text that PostgreSQL prints.
 */
import { quoteName, quoteText } from '../../src/columns/sql.ts'
import { toText } from '../../src/columns/text.ts'
import { liveColumns } from '../../src/lake/column-ids.ts'
import { rowsAsOf } from '../../src/lake/read.ts'
import { quoteIdentifier } from '../../src/postgres/identifiers.ts'
import type { TestDatabase } from './postgres.ts'
import type { TestProject } from './project.ts'

/** One text a row, in order; columns by name, those of `without` left out. */
export type Rows = readonly string[]

/** The rows of a table, or of those that fulfil a condition. */
export async function rowsIn(
  database: TestDatabase,
  table: string,
  { where = 'true', only }: { readonly where?: string; readonly only?: readonly string[] } = {},
): Promise<Rows> {
  const columns = await database.query(
    `select attname as name from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped order by 1`,
    [quoteIdentifier(table)],
  )
  const names = columns.map(({ name }) => name ?? '').filter((name) => only?.includes(name) ?? true)
  const pairs = names.map(
    (name) =>
      `${quoteText(name)}, case when num_nulls(${quoteIdentifier(name)}) = 0 then format('%s', ${quoteIdentifier(name)}) end`,
  )
  const rows = await database.query(
    `select json_build_array(${pairs.join(', ')})::text as row from ${quoteIdentifier(table)} where ${where}`,
  )
  return rows.map(({ row }) => JSON.stringify(JSON.parse(row ?? ''))).toSorted()
}

/** The current rows of a source's table in the lake; columns that the source has no more are left out. */
export async function rowsInLake(project: TestProject, table: string): Promise<Rows> {
  return project.opened(async ({ ingestion, engine: openEngine }) => {
    const manifest = await ingestion.chain('shop').newest()
    const columns = liveColumns(manifest?.tables[table]?.columns ?? [])
      .filter(({ name }) => name !== '_tote_row')
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    if (manifest === null) throw new Error('no manifest')
    const engine = await openEngine()
    try {
      const pairs = columns.map(
        ({ name, carried }) => `${quoteText(name)}, ${toText(quoteName(name), carried)}`,
      )
      const from = await rowsAsOf(ingestion, manifest, table, manifest.batch)
      const rows = await engine.rows(
        `select json_array(${pairs.join(', ')})::varchar as row from (${from})`,
      )
      return rows.map(({ row }) => JSON.stringify(JSON.parse(String(row)))).toSorted()
    } finally {
      engine.close()
    }
  })
}

/** The columns of a table in the lake, as `name type`, with `gone` behind those that the source has no more. */
export async function columnsInLake(project: TestProject, table: string): Promise<string[]> {
  return project.opened(async ({ ingestion }) => {
    const manifest = await ingestion.chain('shop').newest()
    return (manifest?.tables[table]?.columns ?? []).map(
      ({ id, name, type, gone }) => `${id} ${name} ${type}${gone === true ? ' gone' : ''}`,
    )
  })
}
