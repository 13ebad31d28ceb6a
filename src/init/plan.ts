/** From what the database's catalogue says to the models of a project: every decision of init. Pure. */
import type { ModelKind } from '../types.ts'
import type { Found, FoundColumn, FoundTable, LeftOut } from './found.ts'
import { hasOwnKey, kindsOf } from './kinds.ts'
import { cutName, isOneLine, openNames, plainName } from './names.ts'
import { linksOf, type Link, type Target } from './references.ts'
import { translateRule, type ColumnLookup, type Sort } from './rules.ts'

export interface PlannedColumn {
  /** As the lake has it. */
  readonly source: string
  /** As the model yields it. */
  readonly name: string
  readonly notNull: boolean
  readonly comment: string | null
}

export interface PlannedModel {
  readonly name: string
  readonly kind: ModelKind
  readonly origin: string
  /** The table in the lake. */
  readonly source: string
  readonly columns: readonly PlannedColumn[]
  readonly key: readonly string[]
  readonly recordId: string | null
  readonly references: readonly { readonly column: string; readonly model: string }[]
  readonly unique: readonly (readonly string[])[]
  /** Conditions in DuckDB's SQL. */
  readonly rules: readonly string[]
  readonly comment: string | null
  /** Sentences: what could not be said, and why. */
  readonly notes: readonly string[]
}

export interface Plan {
  readonly source: string
  readonly models: readonly PlannedModel[]
  /** Tables without a model. */
  readonly leftOut: readonly LeftOut[]
}

/** What the loader and the lake add, in lower case (models/shape.ts). */
const TAKEN = ['valid_from', 'valid_to', 'is_deleted', 'batch']
/** Words that a condition cannot use as a column's name (syntax/references.ts). */
const CLOCK_WORDS =
  /^(user|current_user|session_user|current_role|current_catalog|current_schema|current_date|current_time|current_timestamp|localtime|localtimestamp)$/i

/** The models of a project. `without` are tables that turned out not to make a model, with the reason. */
export function planModels(
  found: Found,
  source: string,
  without: ReadonlyMap<string, string> = new Map(),
): Plan {
  const tables = found.tables.filter(({ origin }) => !without.has(origin))
  const kinds = kindsOf({ tables })
  const nameOf = openNames()
  const targets = new Map<string, Target>(
    tables.map((table): [string, Target] => {
      const kind = kinds.get(table.origin) ?? 'table'
      const schema = table.schema === found.defaultSchema ? '' : `${plainName(table.schema)}_`
      return [
        table.origin,
        { table, kind, model: nameOf(`${PREFIX[kind]}_${schema}${plainName(table.table)}`) },
      ]
    }),
  )
  const links = linksOf(tables, targets)
  const models = [...targets.values()].map((target) =>
    planModel(
      target,
      links.filter(({ from }) => from === target.table),
      targets,
    ),
  )
  return {
    source,
    models: models.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    leftOut: [...found.leftOut, ...[...without].map(([origin, why]) => ({ origin, why }))],
  }
}

const PREFIX: Readonly<Record<ModelKind, string>> = {
  dimension: 'dim',
  fact: 'fact',
  table: 'table',
}

function planModel(
  { table, kind, model }: Target,
  links: readonly Link[],
  targets: ReadonlyMap<string, Target>,
): PlannedModel {
  const columns = planColumns(table)
  const outputOf = new Map(
    table.columns.map((column, index) => [column.origin, columns[index]?.name ?? '']),
  )
  const output = (origin: string): string => outputOf.get(origin) ?? origin
  const lookup: ColumnLookup = (origin) => {
    const column = table.columns.find((one) => one.origin === origin)
    const sort = column === undefined ? undefined : sortOf(column)
    const name = output(origin)
    return sort === undefined || CLOCK_WORDS.test(name) ? undefined : { name, sort }
  }
  const writable = (rule: string | undefined): string | undefined =>
    rule === undefined || !isOneLine(rule) ? undefined : rule
  const rules = table.rules.map((rule) => writable(translateRule(rule, lookup)))
  const labelled = table.columns.filter(
    ({ labels, builtin }) => labels !== null && builtin === 'text',
  )
  return {
    name: model,
    kind,
    origin: table.origin,
    source: table.name,
    columns,
    key: table.key.map((name) => columns.find((column) => column.source === name)?.name ?? name),
    recordId: kind === 'fact' ? recordId(model, columns) : null,
    references: links
      .filter(({ why }) => why === undefined)
      .map(({ key }) => ({
        column: output(key.columns[0] ?? ''),
        model: targets.get(key.target)?.model ?? '',
      })),
    unique: table.unique.map((names) => names.map(output)),
    rules: [
      ...new Set([
        ...labelled.flatMap(({ origin, labels }) => {
          const column = lookup(origin)
          return column?.sort !== 'text'
            ? []
            : (writable(acceptedValues(column.name, labels ?? [])) ?? [])
        }),
        ...rules.flatMap((rule) => rule ?? []),
      ]),
    ],
    comment: table.comment,
    notes: [
      ...(hasOwnKey(table) ? [] : ['The table has no key, so its whole rows are compared.']),
      ...links.flatMap(({ key, why }) =>
        why === undefined
          ? []
          : [`No reference from (${key.columns.join(', ')}) to ${key.target}, because ${why}.`],
      ),
      ...table.rules.flatMap((rule, index) =>
        rules[index] === undefined
          ? [`A constraint of the source that is not checked here is ${rule}.`]
          : [],
      ),
    ],
  }
}

function planColumns(table: FoundTable): readonly PlannedColumn[] {
  // A name that stays as it is comes first, so that a renamed one does not take it.
  const isOdd = ({ name }: FoundColumn): boolean =>
    TAKEN.includes(name.toLowerCase()) ||
    name.toLowerCase().startsWith('_tote_') ||
    !isOneLine(name) ||
    name.includes('->')
  const used = new Set(
    table.columns.filter((column) => !isOdd(column)).map(({ name }) => name.toLowerCase()),
  )
  return table.columns.map((column) => {
    const { name, notNull, comment } = column
    return {
      source: name,
      name: isOdd(column) ? otherName(column, used) : name,
      notNull: notNull || table.key.includes(name),
      comment,
    }
  })
}

function otherName({ name }: FoundColumn, used: Set<string>): string {
  const wanted = name.toLowerCase().startsWith('_tote_row')
    ? 'row_id'
    : cutName(`source_${plainName(name)}`, 55)
  let free = wanted
  for (let count = 2; used.has(free); count++) free = `${wanted}_${count}`
  used.add(free)
  return free
}

function recordId(model: string, columns: readonly PlannedColumn[]): string {
  const stem = model.replace(/^fact_/, '')
  const used = new Set(columns.map(({ name }) => name.toLowerCase()))
  for (let count = 1; ; count++) {
    const suffix = count === 1 ? '_record_id' : `_record_id_${count}`
    const name = (Buffer.byteLength(stem + suffix) > 63 ? 'fact' : stem) + suffix
    if (!used.has(name.toLowerCase())) return name
  }
}

function acceptedValues(column: string, labels: readonly string[]): string {
  const values = labels.map((label) => `'${label.replaceAll("'", "''")}'`).join(', ')
  return `("${column.replaceAll('"', '""')}" in (${values}))`
}

function sortOf({ type, carried, labels, exact, builtin }: FoundColumn): Sort | undefined {
  // A whole number beside a DECIMAL of more places would not fit into DuckDB's widest.
  const places = Number(/^DECIMAL\(\d+,(\d+)\)$/.exec(carried)?.[1] ?? 0)
  if (/^(SMALLINT|INTEGER|BIGINT|FLOAT|DOUBLE|DECIMAL.*)$/.test(carried))
    return places > 18 ? 'other' : 'number'
  if (carried === 'BOOLEAN') return 'boolean'
  if (carried === 'DATE') return 'date'
  if (carried === 'TIMESTAMP') return 'timestamp'
  if (carried === 'TIMESTAMP WITH TIME ZONE') return 'timestamptz'
  const isText = labels !== null || /^(text|character varying(\(\d+\))?)$/.test(type)
  if (carried === 'VARCHAR' && isText && exact) return 'text'
  // PostgreSQL calls a composite null when all in it is, and not null when nothing in it is.
  return builtin === 'text' && labels === null ? undefined : 'other'
}
