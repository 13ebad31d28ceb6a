/** Values that their columns' types do not hold, met while rows are read from pieces. */
import { uncarriedCounts } from '../columns/csv.ts'
import type { Engine, EngineFailure } from '../columns/engine.ts'
import { ToteError } from '../errors.ts'
import type { Context } from '../events.ts'
import type { Column } from '../types.ts'

/** Rows in their pieces, and the columns that they were to be read as. */
export interface UnreadRows {
  readonly table: string
  readonly columns: readonly Column[]
  readonly files: readonly string[]
  readonly longestRow: number
}

/**
 * The columns, those with values that their DuckDB type cannot hold (`NaN`, the year 294276) as text from
 * now on. Throws when there are none, so that something else went wrong.
 */
export async function carryAsText(
  engine: Engine,
  {
    table: name,
    columns,
    files,
    longestRow,
    cause,
  }: UnreadRows & { readonly cause: EngineFailure },
  context: Context,
): Promise<Column[]> {
  const [counts] = await engine.rows(uncarriedCounts(files, columns, longestRow)).catch(() => [])
  const values = (column: Column): number => Number(counts?.[column.name] ?? 0)
  if (!columns.some((column) => values(column) > 0)) throw comparisonFailed(name, cause)
  return columns.map((column) => {
    if (values(column) === 0) return column
    context.emit({
      type: 'note',
      level: 'warn',
      text: `column ${name}.${column.name} (${column.type}) is text to models from now on: ${values(column)} of its values do not fit ${column.carried}`,
    })
    return { ...column, carried: 'VARCHAR' }
  })
}

/** What a failure to read rows from their pieces means for the user. */
export function comparisonFailed(table: string, cause: EngineFailure): ToteError {
  if (!/unicode|utf-?8/i.test(cause.message)) {
    return new ToteError('Bug', `Table "${table}" could not be compared.`, {
      terminal: [cause.message],
      cause,
    })
  }
  return new ToteError(
    'ValueNotCarried',
    `Table "${table}" has text that is not UTF-8: the source does not check its encoding (SQL_ASCII).`,
    {
      where: table,
      why: 'changing it silently is not an option, so nothing was committed',
      fix: 'correct the text at the source, or exclude the table for now',
    },
  )
}
