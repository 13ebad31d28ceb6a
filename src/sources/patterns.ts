/** Which tables a project takes: include and exclude patterns over schema and table, `*` for any text. */
import { isExact, meansTable, parseTableName, writeTableName } from '../config/table-name.ts'
import { nearestName, ToteError, type Problem } from '../errors.ts'

export interface TableChoice {
  readonly include: readonly string[]
  readonly exclude: readonly string[]
  /** A pattern without a schema means a table of this one. */
  readonly defaultSchema: string
}

interface Named {
  readonly schema: string
  readonly name: string
}

/**
 * The tables that some include pattern names and no exclude pattern does, in their given order.
 * Throws SourceTableUnknown with every pattern that names nothing at all, and the nearest name.
 */
export function chooseTables<T extends Named>(
  source: string,
  tables: readonly T[],
  choice: TableChoice,
): T[] {
  const problems: Problem[] = []
  const matcher = (pattern: string, setting: string): ((table: Named) => boolean) => {
    const matches = matcherOf(pattern, choice)
    if (setting === 'include' && !tables.some(matches))
      problems.push({
        where: `sources.${source}.tables.${setting}`,
        message: namesNothing(pattern, tables, choice),
      })
    return matches
  }
  const included = choice.include.map((pattern) => matcher(pattern, 'include'))
  const excluded = choice.exclude.map((pattern) => matcher(pattern, 'exclude'))
  if (problems.length > 0) {
    throw new ToteError('SourceTableUnknown', `Source "${source}" has no such table.`, { problems })
  }
  return tables.filter(
    (table) =>
      included.some((matches) => matches(table)) && !excluded.some((matches) => matches(table)),
  )
}

/** Whether some include pattern names this very table, without a star. */
export function isNamed(table: Named, choice: TableChoice): boolean {
  return choice.include.some((pattern) => {
    const written = parseTableName(pattern)
    return (
      written !== undefined && isExact(written) && meansTable(written, table, choice.defaultSchema)
    )
  })
}

/** What is said of a name, or a pattern, that no table has. */
export function namesNothing(
  written: string,
  tables: readonly Named[],
  { defaultSchema }: Pick<TableChoice, 'defaultSchema'>,
  such = 'that the role can see',
): string {
  const names = tables.map(({ schema, name }) => writeTableName(schema, name))
  const qualified =
    parseTableName(written)?.schema === null ? `${defaultSchema}.${written}` : written
  const nearest = nearestName(qualified, names)
  const hint = nearest === undefined ? '' : ` Did you mean ${quoteOnce(nearest)}?`
  return `${quoteOnce(written)} names no table ${such}.${hint}`
}

function matcherOf(pattern: string, choice: TableChoice): (table: Named) => boolean {
  const written = parseTableName(pattern)
  return (table) => written !== undefined && meansTable(written, table, choice.defaultSchema)
}

/** In quotes, unless it brings its own. */
function quoteOnce(written: string): string {
  return written.includes('"') ? written : `"${written}"`
}
