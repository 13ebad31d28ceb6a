/**
 * A versioned table's whole history as the rows that a warehouse keeps of it, in one query: what
 * applying batch after batch would have come to. What is sorted is only keys and batches: whole rows
 * stream past them.
 */
import {
  BATCH_COLUMN,
  OP_COLUMN,
  quoteName,
  quoteNames,
  quoteText,
  sortNames,
} from '../columns/sql.ts'

/** Before the table's columns: the version's number, without gaps, in the order of batch and key. */
export const NUMBER_COLUMN = '_tote_number'
/** After them, of versions; of latest rows only the third. */
export const VERSION_COLUMNS = ['valid_from', 'valid_to', 'is_deleted', 'batch'] as const

export interface History {
  readonly columns: readonly { readonly name: string; readonly carried: string }[]
  readonly key: readonly string[]
  /**
   * The first batch's rows, when they are upserts that lie in the order of the key: a relation with the columns
   * and `place`, from 0. They need no sorting.
   */
  readonly bulk: {
    readonly relation: string
    readonly place: string
    readonly batch: number
    readonly rows: number
  } | null
  /** All other changes: a `select` of `_tote_op`, `_tote_batch` and the columns. */
  readonly changes: string
  /** The instant of each batch. */
  readonly instants: ReadonlyMap<number, string>
}

export interface Statements {
  /** To be run first, in the same session; they make temporary tables. */
  readonly prepare: readonly string[]
  /** Then these yield the rows. */
  readonly selects: readonly string[]
}

const STORY = '_tote_story'
const INSTANTS = '_tote_instants'
const [OP, BATCH] = [quoteName(OP_COLUMN), quoteName(BATCH_COLUMN)]

/** Every version of every row. A version ends with the next change of its key; a delete marks it. */
export function versionsOf(history: History): Statements {
  const { columns, key, bulk, changes, instants } = history
  const keys = quoteNames(key)
  const same = (left: string, right: string): string =>
    key.map((name) => `${left}.${quoteName(name)} = ${right}.${quoteName(name)}`).join(' and ')
  const sorted = sortNames(key, columns)
  const times = [...instants].map(([number, instant]) => `(${number}, ${quoteText(instant)})`)
  if (times.length === 0) times.push("(0, '1970-01-01T00:00:00Z')")
  // Of the first batch only what changed later has a story.
  const first =
    bulk === null
      ? ''
      : ` union all select 'u', ${bulk.batch}::bigint, ${quoteNames(key, 'b.')} from ${bulk.relation} b` +
        ` where exists (select 1 from later l where ${same('l', 'b')})`
  const story =
    `with later as materialized (select ${OP}, ${BATCH}, ${keys} from (${changes})),` +
    ` changed as (select * from later${first})` +
    ` select *, lead(${BATCH}) over w as _tote_next, lead(${OP}) over w as _tote_next_op` +
    ` from changed window w as (partition by ${sorted} order by ${BATCH})`
  const names = quoteNames(
    columns.map(({ name }) => name),
    'c.',
  )
  const row = (number: string, batch: string): string =>
    `${number} as ${quoteName(NUMBER_COLUMN)}, ${names}, f.i as valid_from, t.i as valid_to,` +
    ` coalesce(s._tote_next_op = 'd', false) as is_deleted, ${batch} as batch`
  const until = `left join ${INSTANTS} t on t.b = s._tote_next`
  const numbered =
    `select *, ${bulk?.rows ?? 0} + row_number() over (order by ${BATCH}, ${sorted}) as _tote_n` +
    ` from ${STORY} where ${OP} = 'u'${bulk === null ? '' : ` and ${BATCH} > ${bulk.batch}`}`
  return {
    prepare: [
      `create or replace temp table ${INSTANTS} as select b::bigint as b, i::timestamptz as i from (values ${times.join(', ')}) as v(b, i)`,
      `create or replace temp table ${STORY} as ${story}`,
    ],
    selects: [
      ...(bulk === null
        ? []
        : [
            `select ${row(`(c.${quoteName(bulk.place)} + 1)`, `${bulk.batch}::bigint`)} from ${bulk.relation} c` +
              ` left join (select * from ${STORY} where ${BATCH} = ${bulk.batch} and _tote_next is not null) s on ${same('s', 'c')}` +
              ` join ${INSTANTS} f on f.b = ${bulk.batch} ${until}`,
          ]),
      `select ${row('s._tote_n', `c.${BATCH}`)} from (${changes}) c` +
        ` join (${numbered}) s on s.${BATCH} = c.${BATCH} and ${same('s', 'c')}` +
        ` join ${INSTANTS} f on f.b = c.${BATCH} ${until} where c.${OP} = 'u'`,
    ],
  }
}

/**
 * The last values of keys that are deleted, each with the batch that brought them: `changes` are all
 * there were, as `_tote_op`, `_tote_batch` and the columns.
 */
export function deletedRows({
  changes,
  columns,
  key,
}: Pick<History, 'changes' | 'columns' | 'key'>): string {
  const keys = quoteNames(key)
  const ends =
    `select ${keys}, max(${BATCH}) filter (${OP} = 'u') as _tote_upsert, max(${BATCH}) filter (${OP} = 'd') as _tote_delete` +
    ` from (${changes}) where (${keys}) in (select (${keys}) from (${changes}) where ${OP} = 'd') group by ${keys}`
  const same = key.map((name) => `e.${quoteName(name)} = c.${quoteName(name)}`).join(' and ')
  return (
    `select ${quoteNames(
      columns.map(({ name }) => name),
      'c.',
    )}, c.${BATCH} from (${changes}) c join (${ends}) e on ${same} and e._tote_upsert = c.${BATCH}` +
    ` where c.${OP} = 'u' and e._tote_delete > e._tote_upsert`
  )
}
