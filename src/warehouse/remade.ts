/**
 * The rows of a table whose history was made anew, inside the restatement's transaction: sent whole to
 * a stage table, and compared there with what is kept, so that only rows that differ are written.
 */
import type { BinaryColumn } from '../vectors/copy-encoders.ts'
import { NUMBER_COLUMN, VERSION_COLUMNS } from '../star/versions.ts'
import { BATCH_COLUMN, quoteName } from '../columns/sql.ts'
import type { Context } from '../events.ts'
import { quoteIdentifier, quoteQualified } from '../postgres/identifiers.ts'
import type { Catalogue, FoundColumn } from '../star/catalogue.ts'
import { dependents, isNeeded } from '../star/dependents.ts'
import { allColumns, layoutOf, type Layout } from '../star/layout.ts'
import { inRanges } from '../ranges/key-range.ts'
import type { Column } from '../types.ts'
import { copyRows } from './load.ts'
import { binaryColumn, namingColumns, sentValues, type ValuesToLoad } from './refused.ts'
import type { Site } from './session.ts'
import { carriedColumn, isCurrent, sameValue, type CarriedColumn } from '../star/merge.ts'
import type { RemadeTable, RowsDiffer, Within } from './warehouse.ts'

export interface Remade {
  readonly layout: Layout
  readonly stage: string
  readonly sent: ValuesToLoad
  /** Of all others nothing is known: they are neither compared nor deleted. */
  readonly within: Within | undefined
  /** Every column of the stage, as the table names it, and the expression that gives its value. */
  readonly values: readonly { readonly name: string; readonly value: string }[]
}

const SYSTEM: Readonly<Record<string, readonly [duckdb: string, postgres: string]>> = {
  valid_from: ['TIMESTAMP WITH TIME ZONE', 'timestamp with time zone'],
  valid_to: ['TIMESTAMP WITH TIME ZONE', 'timestamp with time zone'],
  is_deleted: ['BOOLEAN', 'boolean'],
  batch: ['BIGINT', 'bigint'],
}

interface SystemColumn extends BinaryColumn {
  readonly name: (typeof VERSION_COLUMNS)[number]
}

/** Those of Tote's own columns that the rows of a table bring along, after its own. */
export function systemColumns(layout: Layout): SystemColumn[] {
  return VERSION_COLUMNS.filter((name) => layout.system.some((column) => column.name === name)).map(
    (name) => {
      const [duckdbType = '', postgresType = ''] = SYSTEM[name] ?? []
      return { name, duckdbType, postgresType }
    },
  )
}

export interface RowsToStage {
  readonly remade: RemadeTable
  readonly index: number
  /** A column's type in the warehouse, as `format_type` prints it. */
  readonly keptAs: (column: Column) => string
}

/** Sends the history. */
export async function stageRows(
  { connection }: Pick<Site, 'connection'>,
  { remade, index, keptAs }: RowsToStage,
  context: Context,
): Promise<Remade> {
  const { table, rows, within } = remade
  const layout = layoutOf(table)
  const stage = `pg_temp.tote_remade_${index}`
  const own = table.columns.map((column) =>
    carriedColumn(column.name, column.carried, keptAs(column)),
  )
  const system = systemColumns(layout)
  const key = own.filter(({ name }) => table.key.includes(name))
  // 1.0 and 1.00 are two texts in the lake, and one key here.
  const respelt =
    table.kind === 'dimension' &&
    layout.recordId === null &&
    key.some(({ castTo }) => castTo !== null)
  const columns: BinaryColumn[] = [
    ...(layout.recordId === null
      ? []
      : [{ name: NUMBER_COLUMN, duckdbType: 'BIGINT', postgresType: 'bigint' }]),
    ...own.map(binaryColumn),
    ...system,
    ...(respelt ? [{ name: BATCH_COLUMN, duckdbType: 'BIGINT', postgresType: 'bigint' }] : []),
  ]
  await connection.query(
    'create a stage table',
    `create temp table ${stage} (${columns
      .map(({ name, postgresType }) => `${quoteIdentifier(name)} ${postgresType}`)
      .join(', ')}) on commit drop`,
  )
  const list = columns.map(({ name }) => quoteName(name)).join(', ')
  const chunks = rows.chunks((relation) => `select ${list} from ${relation}`)
  const sent = sentValues(connection, table.name, own, rows)
  const copied = copyRows(connection, { table: table.name, into: stage, columns, chunks }, context)
  await namingColumns(sent, copied)
  if (respelt) {
    // A partition is what the type's own index takes for one key; an operator of an extension's type would be looked for in the search path.
    const same = `partition by ${key.map(valueOf).join(', ')} order by ${quoteIdentifier(BATCH_COLUMN)} desc`
    const older = connection.query(
      `load "${table.name}"`,
      `delete from ${stage} as s using (select s.ctid as place, rank() over (${same}) as age from ${stage} as s) as o` +
        ` where s.ctid = o.place and o.age > 1`,
    )
    await namingColumns(sent, older)
  }
  await connection.query('analyze a stage table', `analyze ${stage}`)
  const staged = (name: string): string => `s.${quoteIdentifier(name)}`
  return {
    layout,
    stage,
    sent,
    within,
    values: [
      ...(layout.recordId === null
        ? []
        : [{ name: layout.recordId.name, value: staged(NUMBER_COLUMN) }]),
      ...own.map((column) => ({ name: column.name, value: valueOf(column) })),
      ...system.map(({ name }) => ({ name, value: staged(name) })),
    ],
  }
}

/** Inserts what is missing and updates what differs, to the byte; returns how many rows that were. */
export async function putRows(
  site: Pick<Site, 'connection' | 'schema'>,
  remade: Remade,
  how: { readonly kept: Catalogue; readonly empty: boolean },
): Promise<number> {
  return namingColumns(remade.sent, changeRows(site, remade, how))
}

async function changeRows(
  site: Pick<Site, 'connection' | 'schema'>,
  remade: Remade,
  { kept, empty }: { readonly kept: Catalogue; readonly empty: boolean },
): Promise<number> {
  const { connection, schema } = site
  const { layout, stage, values } = remade
  const table = quoteQualified(schema, layout.table.name)
  const doing = `load "${layout.table.name}"`
  const names = values.map(({ name }) => quoteIdentifier(name)).join(', ')
  const all = values.map(({ value }) => value).join(', ')
  const insert = `insert into ${table} (${names}) overriding system value select ${all} from ${stage} as s`
  const count = async (text: string): Promise<number> => {
    const [row] = await connection.query(
      doing,
      `with changed as (${text} returning 1) select count(*) as n from changed`,
    )
    return Number(row?.['n'])
  }
  if (empty) return count(insert)
  // Facts: numbers may now be other rows'. What else refers to a dimension may still need what is gone.
  if (layout.recordId !== null) await deleteAbsent(site, remade)
  const sets = values.map(({ name, value }) => `${quoteIdentifier(name)} = ${value}`).join(', ')
  const there = values.map(({ name }) => `t.${quoteIdentifier(name)}`).join(', ')
  const updated = await count(
    `update ${table} as t set ${sets} from ${stage} as s where ${sameKey(remade)} and record_image_ne(row(${there}), row(${asKept(remade, kept)}))`,
  )
  const inserted = await count(
    `${insert} where not exists (select from ${table} as t where ${sameKey(remade)})`,
  )
  return updated + inserted
}

/** Deletes what the new history never had. Throws WarehouseDependents where something still refers to it. */
export async function deleteAbsent(
  { connection, schema }: Pick<Site, 'connection' | 'schema'>,
  remade: Remade,
): Promise<number> {
  const { layout, stage } = remade
  const { name } = layout.table
  try {
    const [row] = await connection.query(
      `load "${name}"`,
      `with gone as (delete from ${quoteQualified(schema, name)} as t
         where ${isWithin(remade)} and not exists (select from ${stage} as s where ${sameKey(remade)}) returning 1)
       select count(*) as n from gone`,
    )
    return Number(row?.['n'])
  } catch (error) {
    if (!isNeeded(error)) throw error
    const message = 'rows that the edited model no longer has are referred to by another table'
    throw dependents(name, [{ where: name, message }], error)
  }
}

/** How what is kept differs from the stage. */
export async function compareRows(
  { connection, schema }: Pick<Site, 'connection' | 'schema'>,
  remade: Remade,
  { kept, namedKeys }: { readonly kept: Catalogue; readonly namedKeys: number },
): Promise<RowsDiffer> {
  const { layout, stage, values } = remade
  const doing = `compare "${layout.table.name}"`
  const table = quoteQualified(schema, layout.table.name)
  const there = values.map(({ name }) => `t.${quoteIdentifier(name)}`)
  const wanted = keptValues(remade, kept)
  const differs = `record_image_ne(row(${there.join(', ')}), row(${wanted.join(', ')}))`
  const columns = values.map(
    (_, index) =>
      `count(*) filter (where record_image_ne(row(${there[index]}), row(${wanted[index]}))) as c${index}`,
  )
  const absent = (from: string, other: string): string =>
    `from ${from} where not exists (select from ${other} where ${sameKey(remade)})`
  const extra = `${absent(`${table} as t`, `${stage} as s`)} and ${isWithin(remade)}`
  const [counts] = await connection.query(
    doing,
    `select (select count(*) ${absent(`${stage} as s`, `${table} as t`)}) as missing,
       (select count(*) from ${table} where ${isWithin(remade)}) - (select count(*) from ${stage}) as more, d.*
     from (select count(*) as different${columns.map((column) => `, ${column}`).join('')}
       from ${table} as t join ${stage} as s on ${sameKey(remade)} where ${differs}) as d`,
  )
  const count = (name: string): number => Number(counts?.[name] ?? 0)
  const key = [...new Set([...layout.primaryKey, ...layout.table.key])]
  const keys: RowsDiffer['keys'][number][] = []
  const first = async (kind: 'missing' | 'extra' | 'different', text: string): Promise<void> => {
    if (keys.length >= namedKeys) return
    const rows = await connection.query(doing, `${text} limit ${namedKeys - keys.length}`)
    for (const row of rows)
      keys.push({ kind, parts: key.map((name, index) => [name, row[`k${index}`] ?? null]) })
  }
  const list = (expression: (name: string) => string): string =>
    key.map((name, index) => `(${expression(name)})::text as k${index}`).join(', ')
  const staged = (name: string): string =>
    values.find((column) => column.name === name)?.value ?? 'null'
  const inTable = (name: string): string => `t.${quoteIdentifier(name)}`
  await first('missing', `select ${list(staged)} ${absent(`${stage} as s`, `${table} as t`)}`)
  await first('extra', `select ${list(inTable)} ${extra}`)
  await first(
    'different',
    `select ${list(inTable)} from ${table} as t join ${stage} as s on ${sameKey(remade)} where ${differs}`,
  )
  return {
    missing: count('missing'),
    // Whatever is there beyond the rows that are matched, twice the same key included.
    extra: count('more') + count('missing'),
    different: count('different'),
    columns: Object.fromEntries(
      values
        .map(({ name }, index) => [name, count(`c${index}`)] as const)
        .filter(([, rows]) => rows > 0),
    ),
    keys,
  }
}

/** Whether a row of the table may be compared with those that were sent. */
function isWithin({ within }: Remade): string {
  return within === undefined ? 'true' : inRanges(within.by, within.ranges)
}

function sameKey({ layout, values }: Remade): string {
  return layout.primaryKey
    .map((name) => {
      const value = values.find((column) => column.name === name)?.value ?? 'null'
      return sameValue(layout.table, name, `t.${quoteIdentifier(name)}`, value)
    })
    .join(' and ')
}

/** The values as the table's columns hold them: images of rows compare within one type only. */
function asKept(remade: Remade, kept: Catalogue): string {
  return keptValues(remade, kept).join(', ')
}

function keptValues({ layout, values }: Remade, kept: Catalogue): string[] {
  const types = new Map(kept.get(layout.table.name)?.columns.map(({ name, type }) => [name, type]))
  return values.map(({ name, value }) => `(${value})::${types.get(name) ?? 'text'}`)
}

function valueOf({ name, castTo }: CarriedColumn): string {
  return `s.${quoteIdentifier(name)}${castTo === null ? '' : `::${castTo}`}`
}

/**
 * Makes the rows of live tables those of the ones beside them, which go. Rows that are the same are not touched. `layouts` are in the
 * order in which they refer to each other.
 */
export async function takeRows(
  { connection, schema }: Pick<Site, 'connection' | 'schema'>,
  beside: string,
  layouts: readonly Layout[],
): Promise<void> {
  const statements = layouts.map((layout) => {
    const { name } = layout.table
    const [live, fresh] = [quoteQualified(schema, name), quoteQualified(beside, name)]
    const names = allColumns(layout).map((column) => quoteIdentifier(column.name))
    const list = names.join(', ')
    const all = (side: string): string => `row(${names.map((own) => `${side}.${own}`).join(', ')})`
    const same = layout.primaryKey
      .map((column) => {
        const own = quoteIdentifier(column)
        return sameValue(layout.table, column, `l.${own}`, `n.${own}`)
      })
      .join(' and ')
    return {
      name,
      update: `update ${live} as l set (${list}) = ${all('n')} from ${fresh} as n where ${same} and not record_image_eq(${all('l')}, ${all('n')})`,
      insert: `insert into ${live} (${list}) select ${list} from ${fresh} as n where not exists (select from ${live} as l where ${same})`,
      delete: `delete from ${live} as l where not exists (select from ${fresh} as n where ${same})`,
      // With it go its view, and keys of others beside it, which are made again on the live one.
      drop: `drop table ${fresh} cascade`,
    }
  })
  for (const { name, update, insert } of statements) {
    await connection.query(`update what differs in "${name}"`, update)
    await connection.query(`insert into "${name}"`, insert)
  }
  for (const one of statements.toReversed())
    await connection.query(`delete what is too much from "${one.name}"`, one.delete)
  for (const { name, drop } of statements) await connection.query(`drop "${name}" beside`, drop)
}

export interface RowsToCompare {
  readonly schema: string
  /** The other schema. */
  readonly beside: string
  readonly layout: Pick<Layout, 'table' | 'recordId' | 'primaryKey'>
  readonly columns: readonly Pick<FoundColumn, 'name' | 'type'>[]
  /** About how many there are. */
  readonly rows: number
}

/**
 * A `select` of how many rows a table has in one schema (`live`) and in the other (`rebuilt`, of which `current` ones), and
 * how many are the same (`equal`). Parts of many rows are joined in the order of their record ids, side by side; one join of all would spill to the server's disk.
 */
export function countSame({ schema, beside, layout, columns, rows }: RowsToCompare): string {
  const [first = ''] = layout.primaryKey.map(quoteIdentifier)
  const { name } = layout.table
  const on = layout.primaryKey
    .map((column) => {
      const own = quoteIdentifier(column)
      return sameValue(layout.table, column, `l.${own}`, `n.${own}`)
    })
    .join(' and ')
  const both = `l.${first} is not null and n.${first} is not null`
  const current = isCurrent(layout.table, 'n.')
  const filter = current === null ? '' : ` filter (where ${current})`
  const parts = partsOf(layout, rows).map((part) => {
    const of = (side: string): string =>
      `(select * from ${quoteQualified(side, name)} where ${part})`
    return `select count(l.${first}) as live, count(n.${first}) as rebuilt, count(n.${first})${filter} as current,
  count(*) filter (where ${both} and ${sameBytes(columns)}) as equal
from ${of(schema)} as l full join ${of(beside)} as n on ${on}`
  })
  return `select sum(live) as live, sum(rebuilt) as rebuilt, sum(current) as current, sum(equal) as equal from (${parts.join(' union all ')}) as parts`
}

const PARTS = 8
const MANY_ROWS = 10_000

/** Conditions, of which each row meets one. Record ids begin with 1 and have no gap; but who knows what somebody added. */
function partsOf({ recordId }: RowsToCompare['layout'], rows: number): readonly string[] {
  if (recordId === null || rows < MANY_ROWS) return ['true']
  const id = quoteIdentifier(recordId.name)
  const end = (part: number): number => Math.round((rows * part) / PARTS)
  return Array.from({ length: PARTS }, (_, part) =>
    [
      ...(part === 0 ? [] : [`${id} > ${end(part)}`]),
      ...(part === PARTS - 1 ? [] : [`${id} <= ${end(part + 1)}`]),
    ].join(' and '),
  )
}

/** Types of which equal values have equal bytes; others, as 1.0 and 1.00, are compared as images of rows, which takes longer. */
const PLAIN =
  /^(smallint|integer|bigint|boolean|date|uuid|timestamp(\(\d\))? with(out)? time zone)$/
const TEXT = /^(text|character varying(\(\d+\))?)$/

function sameBytes(columns: RowsToCompare['columns']): string {
  const isPlain = (type: string): boolean => PLAIN.test(type) || TEXT.test(type)
  const plain = columns.filter(({ type }) => isPlain(type))
  const others = columns.filter(({ type }) => !isPlain(type))
  const image = (side: string): string =>
    `row(${others.map(({ name }) => `${side}.${quoteIdentifier(name)}`).join(', ')})`
  return [
    ...plain.map(({ name, type }) => {
      const collate = TEXT.test(type) ? ' collate "C"' : ''
      const of = (side: string): string => `${side}.${quoteIdentifier(name)}${collate}`
      return `${of('l')} is not distinct from ${of('n')}`
    }),
    ...(others.length === 0 ? [] : [`record_image_eq(${image('l')}, ${image('n')})`]),
  ].join(' and ')
}
