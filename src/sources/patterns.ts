/** Which tables a project takes: include and exclude patterns over schema and table, `*` for any text. */
import {
  isExact,
  meansTable,
  parseTableName,
  writeTableName,
  type TableName,
} from '../config/table-name.ts'
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
  const known = new Set(tables.map(identityOf))
  const problems = choice.include
    .filter((pattern) => {
      const written = parseTableName(pattern)
      if (written === undefined) return true
      return isExact(written)
        ? !known.has(identityOf(tableOf(written, choice)))
        : !tables.some((table) => meansTable(written, table, choice.defaultSchema))
    })
    .map((pattern, index): Problem => ({
      where: `sources.${source}.tables.include`,
      message: namesNothing(pattern, index < HINTS ? tables : [], choice),
    }))
  if (problems.length > 0) {
    throw new ToteError('SourceTableUnknown', `Source "${source}" has no such table.`, { problems })
  }
  const [isIncluded, isExcluded] = [
    meaningOf(choice.include, choice),
    meaningOf(choice.exclude, choice),
  ]
  return tables.filter((table) => isIncluded(table) && !isExcluded(table))
}

/** Of so many names that mean nothing, each is compared with every table's for the nearest. */
const HINTS = 20

type InSchema = Pick<TableChoice, 'defaultSchema'>

/**
 * Whether one of the patterns means a table. Names without a star are looked up, so that thousands of them cost
 * no more than one.
 */
export function meaningOf(
  patterns: readonly string[],
  choice: InSchema,
): (table: Named) => boolean {
  const written = patterns.flatMap((pattern) => parseTableName(pattern) ?? [])
  const exact = new Set(written.filter(isExact).map((one) => identityOf(tableOf(one, choice))))
  const starred = written.filter((one) => !isExact(one))
  return (table) =>
    exact.has(identityOf(table)) ||
    starred.some((one) => meansTable(one, table, choice.defaultSchema))
}

/** The names among these patterns that have no star: each means one table. */
export function exactNames(patterns: readonly string[]): string[] {
  return patterns.filter((pattern) => {
    const written = parseTableName(pattern)
    return written !== undefined && isExact(written)
  })
}

/** What an exact name means. */
export function tableOf({ schema, name }: TableName, { defaultSchema }: InSchema): Named {
  return { schema: schema?.text ?? defaultSchema, name: name.text }
}

/** The same for the same table alone: no name holds a zero byte. */
export function identityOf({ schema, name }: Named): string {
  return `${schema}\0${name}`
}

/** What is said of a name, or a pattern, that no table has. */
export function namesNothing(
  written: string,
  tables: readonly Named[],
  { defaultSchema }: InSchema,
  such = 'that the role can see',
): string {
  const names = tables.map(({ schema, name }) => writeTableName(schema, name))
  const name = parseTableName(written)
  const qualified = name?.schema === null ? `${defaultSchema}.${written}` : written
  // The same name in other schemas is nearer than one that is written alike.
  const elsewhere = tables.flatMap((table) =>
    name?.schema === null && table.name === name.name.text
      ? writeTableName(table.schema, table.name)
      : [],
  )
  const near = elsewhere.length > 0 ? elsewhere : [nearestName(qualified, names) ?? []].flat()
  const hint =
    near.length === 0 ? '' : ` Did you mean ${near.slice(0, 3).map(quoteOnce).join(' or ')}?`
  return `${quoteOnce(written)} names no table ${such}.${hint}`
}

/** In quotes, unless it brings its own. */
function quoteOnce(written: string): string {
  return written.includes('"') ? written : `"${written}"`
}
