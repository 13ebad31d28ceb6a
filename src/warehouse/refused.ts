/** Which columns of a table do not take what they are to hold: a server that refuses a value does not say. */
import type { DuckDBDataChunk } from '@duckdb/node-api'
import { ToteError } from '../errors.ts'
import type { Connection } from '../postgres/connection.ts'
import type { CarriedColumn } from '../star/merge.ts'
import { encodeBinary } from '../vectors/copy-binary.ts'
import { MAKE_FIT, type BinaryColumn } from '../vectors/copy-encoders.ts'
import { quoteName } from '../columns/sql.ts'
import { beginLoading } from './session.ts'
import type { RowReader } from './warehouse.ts'

/** What a table is to hold, to be asked for again. */
export interface ValuesToLoad {
  readonly connection: Connection
  readonly table: string
  readonly columns: readonly CarriedColumn[]
  /** Of one column. */
  readonly chunks: (column: string) => AsyncIterable<DuckDBDataChunk>
}

/** All rows that a reader gives. */
export function sentValues(
  connection: Connection,
  table: string,
  columns: readonly CarriedColumn[],
  rows: RowReader,
): ValuesToLoad {
  const chunks: ValuesToLoad['chunks'] = (column) =>
    rows.chunks((relation) => `select ${quoteName(column)} from ${relation}`)
  return { connection, table, columns, chunks }
}

/** What says nothing of values: connection, rights, resources, locks, cancellation, keys. */
const NO_VALUES = /^(08|23503|23505|25|28|3D|40|42501|53|55|57|58)/

/**
 * Waits for `work`. Where it ends with a server's refusal, which says of most values neither what they are nor where, each
 * column is sent by itself, and the error names those that are refused. The transaction is over then.
 */
export async function namingColumns<T>(values: ValuesToLoad, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    const sqlstate = error instanceof ToteError ? error.facts.sqlstate : undefined
    if (!(error instanceof ToteError) || sqlstate === undefined || NO_VALUES.test(sqlstate))
      throw error
    const refused = await refusedColumns(values).catch(() => [])
    throw refused.length === 0 ? error : refusal(values, refused, error)
  }
}

interface RefusedColumn {
  readonly column: CarriedColumn
  readonly sqlstate: string
}

async function refusedColumns({
  connection,
  table,
  columns,
  chunks,
}: ValuesToLoad): Promise<readonly RefusedColumn[]> {
  const refused: RefusedColumn[] = []
  const ask = async (text: string): Promise<unknown> =>
    connection.query(`find what "${table}" does not take`, text)
  await ask('rollback')
  await ask(beginLoading('read write'))
  for (const column of columns) {
    const { name, sentAs, keptAs, castTo } = column
    const value = castTo === null ? 'value' : `value::${castTo}`
    await ask(
      `savepoint tote_column; create temp table tote_sent (value ${sentAs}); create temp table tote_kept (value ${keptAs})`,
    )
    try {
      await connection.copyIn(
        `load "${table}"`,
        'copy pg_temp.tote_sent from stdin (format binary)',
        encodeBinary({ table, columns: [binaryColumn(column)], chunks: chunks(name) }),
      )
      await ask(`insert into pg_temp.tote_kept select ${value} from pg_temp.tote_sent`)
    } catch (error) {
      const sqlstate = error instanceof ToteError ? error.facts.sqlstate : undefined
      if (sqlstate === undefined || NO_VALUES.test(sqlstate)) throw error
      refused.push({ column, sqlstate })
    }
    await ask('rollback to savepoint tote_column')
  }
  await ask('rollback')
  return refused
}

function refusal(
  { connection, table }: ValuesToLoad,
  refused: readonly RefusedColumn[],
  { name, facts }: ToteError,
): ToteError {
  const problems = refused.map(({ column, sqlstate }) => ({
    where: `${table}.${column.name}`,
    message: `${column.keptAs} does not take all of its values (SQLSTATE ${sqlstate})`,
  }))
  const [first] = refused
  const what =
    refused.length === 1 && first !== undefined
      ? `column "${first.column.name}", ${first.column.keptAs}, does not take all of its values (SQLSTATE ${first.sqlstate})`
      : `${refused.length} columns do not take all of their values`
  return new ToteError(
    name,
    `The warehouse at ${connection.peer.address} refused to load "${table}": ${what}.`,
    {
      ...facts,
      ...(refused.length === 1 ? { where: problems[0]?.where } : { problems }),
      fix: MAKE_FIT,
      details: { table, columns: refused.map(({ column }) => column.name).join(', ') },
    },
  )
}

export function binaryColumn({ name, duckdbType, sentAs }: CarriedColumn): BinaryColumn {
  return { name, duckdbType, postgresType: sentAs }
}
