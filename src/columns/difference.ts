/**
 * The one operation everything rests on: the difference between what a table was and what it is.
 * Whole columns decide, by a full join on the key (`except all` is four times slower).
 */
import type { ChangeCounts } from '../types.ts'
import type { Engine } from './engine.ts'
import { isFloat, OP_COLUMN, quoteName, quoteNames } from './sql.ts'

export interface DifferenceColumn {
  readonly name: string
  readonly carried: string
}

/** What a difference table says besides the operation: 'i', 'u', 'd'. */
export const KIND_COLUMN = '_tote_kind'

/**
 * Creates table `into` with `_tote_op`, `_tote_kind` ('i', 'u', 'd') and the columns: one row per key
 * whose row in `next` is not its row in `previous`. Deletes have only their keys.
 * Both relations must hold each key once and never null.
 */
export function differenceTable(options: {
  readonly into: string
  readonly previous: string
  readonly next: string
  readonly columns: readonly DifferenceColumn[]
  /** Columns that `next` does not have: they are null in changed rows, and alone change none. */
  readonly gone?: readonly DifferenceColumn[]
  readonly key: readonly string[]
}): string {
  const { into, previous, next, columns, gone = [], key } = options
  const first = quoteName(key[0] ?? '')
  const isKey = new Set(key)
  const values = columns.map(({ name }) => {
    const quoted = quoteName(name)
    return isKey.has(name) ? `coalesce(n.${quoted}, o.${quoted}) as ${quoted}` : `n.${quoted}`
  })
  const absent = gone.map(({ name, carried }) => `null::${carried} as ${quoteName(name)}`)
  const differs = columns
    // 0 and -0 join as one key; their texts tell them apart.
    .filter(({ name, carried }) => !isKey.has(name) || isFloat(carried))
    .map(
      ({ name, carried }) =>
        `${exact(`o.${quoteName(name)}`, carried)} is distinct from ${exact(`n.${quoteName(name)}`, carried)}`,
    )
  const on = key.map((name) => `o.${quoteName(name)} = n.${quoteName(name)}`).join(' and ')
  const where = [`o.${first} is null`, `n.${first} is null`, ...differs].join(' or ')
  return (
    `create or replace table ${quoteName(into)} as select` +
    ` case when n.${first} is null then 'd' else 'u' end as ${quoteName(OP_COLUMN)},` +
    ` case when o.${first} is null then 'i' when n.${first} is null then 'd' else 'u' end as ${quoteName(KIND_COLUMN)},` +
    ` ${[...values, ...absent].join(', ')}` +
    ` from (${previous}) o full join (${next}) n on ${on} where ${where}`
  )
}

/** Creates table `into` as differenceTable does when there was nothing before: every row is an insert. */
export function insertTable(options: {
  readonly into: string
  readonly next: string
  readonly columns: readonly DifferenceColumn[]
}): string {
  const { into, next, columns } = options
  return (
    `create or replace table ${quoteName(into)} as select 'u' as ${quoteName(OP_COLUMN)}, 'i' as ${quoteName(KIND_COLUMN)},` +
    ` ${quoteNames(columns.map((column) => column.name))} from (${next})`
  )
}

/** What a difference table has before the columns. */
export const DIFFERENCE_COLUMNS: readonly DifferenceColumn[] = [
  { name: OP_COLUMN, carried: 'VARCHAR' },
  { name: KIND_COLUMN, carried: 'VARCHAR' },
]

/** Creates table `into` as differenceTable does, from rows that say themselves what became of them. */
export function keepDifference({
  into,
  rows,
  gone,
}: {
  readonly into: string
  /** A `select` of DIFFERENCE_COLUMNS and the columns. */
  readonly rows: string
  readonly gone: readonly DifferenceColumn[]
}): string {
  const absent = gone.map(({ name, carried }) => `, null::${carried} as ${quoteName(name)}`)
  return `create or replace table ${quoteName(into)} as select *${absent.join('')} from (${rows})`
}

/** How many rows have no key, or one that another row has, too. */
export async function countKeyFaults(
  engine: Engine,
  relation: string,
  key: readonly string[],
): Promise<{ readonly withoutKey: number; readonly doubled: number }> {
  const missing = key.map((name) => `${quoteName(name)} is null`).join(' or ')
  const [row] = await engine.rows(
    `select (select count(*) from ${relation} where ${missing}) as missing,` +
      ` (select coalesce(sum(n), 0) from (select count(*) as n from ${relation} where not (${missing})` +
      ` group by ${quoteNames(key)} having count(*) > 1)) as doubled`,
  )
  return { withoutKey: Number(row?.['missing']), doubled: Number(row?.['doubled']) }
}

/** How many rows of each kind a difference table holds; `make`, when given, makes it first. */
export async function countChanges(
  engine: Engine,
  table: string,
  make?: string,
): Promise<ChangeCounts> {
  const kind = quoteName(KIND_COLUMN)
  const [row] = await engine.rows(
    `${make === undefined ? '' : `${make};\n`}select count(*) filter (where ${kind} = 'i') as inserted, count(*) filter (where ${kind} = 'u') as updated,` +
      ` count(*) filter (where ${kind} = 'd') as deleted from ${quoteName(table)}`,
  )
  return {
    inserted: Number(row?.['inserted']),
    updated: Number(row?.['updated']),
    deleted: Number(row?.['deleted']),
  }
}

/** Floats compare as text: 0 equals -0 otherwise, and a changed sign would be missed. */
function exact(column: string, carried: string): string {
  return isFloat(carried) ? `cast(${column} as varchar)` : column
}
