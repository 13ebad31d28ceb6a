/** Row filters are SQL that a user wrote: the server says whether they are one condition, before rows are read. */
import { ToteError, type Problem } from '../errors.ts'
import type { Connection } from '../postgres/connection.ts'

export interface FilteredTable {
  readonly name: string
  /** Quoted, with its schema. */
  readonly relation: string
  readonly where: { readonly sql: string; readonly place: string } | null
}

/** The condition as it stands in a select; the line ends keep a comment of the user's from reaching further. */
export function whereClause(table: Pick<FilteredTable, 'where'>): string {
  return table.where === null ? '' : ` where (\n${table.where.sql}\n)`
}

/**
 * Throws ConfigInvalid with the first filter that is not a single condition on its table. The text must
 * parse in two places that no text but a single expression fits. Needs an open transaction, which a
 * wrong filter ends.
 */
export async function checkFilters(
  connection: Connection,
  tables: readonly FilteredTable[],
): Promise<void> {
  for (const { name, relation, where } of tables) {
    if (where === null) continue
    const forms = [
      `select from ${relation} where (\n${where.sql}\n) limit $1::bigint`,
      `select case when\n${where.sql}\nthen true end from ${relation} limit $1::bigint`,
    ]
    for (const text of forms) {
      try {
        // A parameter, because statements that have one are sent alone.
        await connection.query(`check the row filter of "${name}"`, text, ['0'])
      } catch (error) {
        throw translate(error, name, where.place)
      }
    }
  }
}

/** The server's message about the text that the user wrote; anything that is not about it passes unchanged. */
function translate(error: unknown, table: string, place: string): unknown {
  if (!(error instanceof ToteError) || !/^(42|22|0A)/.test(error.facts.sqlstate ?? '')) return error
  // No right on what the filter reads.
  if (error.facts.sqlstate === '42501') return error
  const said = /refused to .*?: ([^]*) \(SQLSTATE/.exec(error.message)?.[1]?.replaceAll(/\s+/g, ' ')
  const reason = said ?? `SQLSTATE ${error.facts.sqlstate ?? ''}`
  const problem: Problem = {
    where: place,
    message: `the row filter of "${table}" is not one condition in the source's SQL: ${reason}`,
  }
  return new ToteError('ConfigInvalid', `A row filter cannot be used: ${reason}.`, {
    where: place,
    problems: [problem],
    fix: `write one condition on the table's columns, for example where: "country = 'GB'"`,
    cause: error,
  })
}
