/**
 * A versioned table's whole history as the rows that a warehouse keeps of it, in one query: what
 * applying batch after batch would have come to.
 */
import { BATCH_COLUMN, OP_COLUMN, quoteName, quoteNames, quoteText } from '../columns/sql.ts'

/** Before the table's columns: the version's number, without gaps, in the order of batch and key. */
export const NUMBER_COLUMN = '_tote_number'
/** After them, of versions; of latest rows only the second. */
export const VERSION_COLUMNS = ['valid_from', 'valid_to', 'is_deleted', 'batch'] as const

export interface History {
  /** A relation with `_tote_op`, `_tote_batch` and the columns: every change there was. */
  readonly changes: string
  readonly columns: readonly string[]
  readonly key: readonly string[]
  /** The instant of each batch that the changes name. */
  readonly instants: ReadonlyMap<number, string>
}

/** Every version of every row. A version ends with the next change of its key; a delete marks it. */
export function versionsOf({ changes, columns, key, instants }: History): string {
  const [op, batch, keys] = [quoteName(OP_COLUMN), quoteName(BATCH_COLUMN), quoteNames(key)]
  const times = [...instants].map(([number, instant]) => `(${number}, ${quoteText(instant)})`)
  if (times.length === 0) times.push("(0, '1970-01-01T00:00:00Z')")
  return (
    `with instants as materialized (select b::bigint as b, i::timestamptz as i from (values ${times.join(', ')}) as t(b, i)), ` +
    `changed as (select *, lead(${batch}) over w as _tote_next, lead(${op}) over w as _tote_next_op` +
    ` from (${changes}) window w as (partition by ${keys} order by ${batch})) ` +
    `select row_number() over (order by c.${batch}, ${key.map((name) => `c.${quoteName(name)}`).join(', ')}) as ${quoteName(NUMBER_COLUMN)},` +
    ` ${columns.map((name) => `c.${quoteName(name)}`).join(', ')}, f.i as valid_from, t.i as valid_to,` +
    ` coalesce(c._tote_next_op = 'd', false) as is_deleted, c.${batch} as batch` +
    ` from changed c join instants f on f.b = c.${batch} left join instants t on t.b = c._tote_next where c.${op} = 'u'`
  )
}

/** The latest values of every key, and whether it is deleted; without those that are when `gone` is false. */
export function latestRows({ changes, columns, key }: History, gone: boolean): string {
  const [op, batch] = [quoteName(OP_COLUMN), quoteName(BATCH_COLUMN)]
  const over = `over (partition by ${quoteNames(key)})`
  const last =
    `select *, max(${batch}) ${over} as _tote_last,` +
    ` max(case when ${op} = 'u' then ${batch} end) ${over} as _tote_upsert from (${changes})`
  const deleted = '_tote_last > _tote_upsert'
  return (
    `select ${quoteNames(columns)}${gone ? `, ${deleted} as is_deleted` : ''} from (${last})` +
    ` where ${op} = 'u' and ${batch} = _tote_upsert${gone ? '' : ` and not ${deleted}`}`
  )
}
