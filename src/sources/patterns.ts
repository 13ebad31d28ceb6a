/** Which tables a project takes: include and exclude patterns over `schema.table`, `*` for any text. */
import { nearestName, ToteError, type Problem } from '../errors.ts'

export interface TableChoice {
  readonly include: readonly string[]
  readonly exclude: readonly string[]
  /** A pattern without a dot means a table of this schema. */
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
  const names = tables.map((table) => `${table.schema}.${table.name}`)
  const problems: Problem[] = []
  const matcher = (pattern: string, setting: string): ((name: string) => boolean) => {
    const qualified = pattern.includes('.') ? pattern : `${choice.defaultSchema}.${pattern}`
    const regexp = new RegExp(`^${qualified.split('*').map(escapeRegExp).join('.*')}$`, 's')
    if (setting === 'include' && !names.some((name) => regexp.test(name))) {
      const nearest = nearestName(qualified, names)
      problems.push({
        where: `sources.${source}.tables.${setting}`,
        message: `"${pattern}" names no table that the role can see.${nearest === undefined ? '' : ` Did you mean "${nearest}"?`}`,
      })
    }
    return (name) => regexp.test(name)
  }
  const included = choice.include.map((pattern) => matcher(pattern, 'include'))
  const excluded = choice.exclude.map((pattern) => matcher(pattern, 'exclude'))
  if (problems.length > 0) {
    throw new ToteError('SourceTableUnknown', `Source "${source}" has no such table.`, { problems })
  }
  return tables.filter((_, index) => {
    const name = names[index] ?? ''
    return included.some((matches) => matches(name)) && !excluded.some((matches) => matches(name))
  })
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
}
