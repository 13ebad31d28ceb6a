/**
 * One model at one point, the way that costs least: not at all, its query over the changed rows of
 * the table that drives it, or its query over everything.
 *
 * Why the driven way is exact: each row of the model is made of one row of the driving table, whose
 * key it holds (models/driven.ts), and of look-ups, which have not changed. So rows of the model with
 * other keys than the changed ones are what they were, and those with changed keys are what
 * the query yields over the changed rows alone. A deleted row yields nothing, so what it made goes.
 */
import { isAmong, type Among } from '../columns/current.ts'
import { countChanges, differenceTable, insertTable, KIND_COLUMN } from '../columns/difference.ts'
import { EngineFailure, type Engine } from '../columns/engine.ts'
import { placeFailure } from '../columns/engine-failure.ts'
import { OP_COLUMN, quoteName } from '../columns/sql.ts'
import { ToteError } from '../errors.ts'
import type { Way } from '../events.ts'
import { goneColumns, growModel, liveColumns } from '../lake/column-ids.ts'
import type { CommittedManifest, TableEntry } from '../lake/manifest.ts'
import { modelFailed } from '../models/checks.ts'
import { modelQuery, type Driven, type Model, type TableName } from '../models/model.ts'
import type { ChangeCounts, Column } from '../types.ts'
import type { Zone } from '../lake/zone.ts'
import { writeFirstRows } from './first-rows.ts'
import { keepColumns, setAside } from './set-aside.ts'
import type { ReadRows } from '../kept/current-rows.ts'
import { quoteTable, type Relations } from './relations.ts'

/** A model with the lake's state of it before the point. */
export interface ModelToEvaluate {
  readonly model: Model
  readonly before: { readonly manifest: CommittedManifest; readonly entry: TableEntry } | null
}

export interface Place {
  readonly engine: Engine
  readonly relations: Relations
  readonly batch: number
  readonly rows: ReadRows
  /** Its owner removes it. */
  readonly tempFolder: string
  /** The point has very many models: as little of each as may be stays in memory. */
  readonly isOfMany: boolean
}

export interface EvaluatedModel {
  readonly outcome: 'evaluated'
  readonly way: 'full' | 'driven'
  readonly columns: readonly Column[]
  /** The table of its changes. */
  readonly changes: string
  readonly counts: ChangeCounts
  readonly rowsInLake: number
  /** The table of the rows that were evaluated: all, or those made of changed rows. */
  readonly evaluated: string
  /** A temporary file that holds the changes as the lake will keep them. */
  readonly prepared: string | null
}

/** A key of it is null, or there twice. */
export interface UnsoundModel {
  readonly outcome: 'unsound key'
  readonly way: 'full' | 'driven'
  readonly evaluated: string
}

/**
 * What a point asks of a model. Pure. `changed` says of a table whether its rows are others than at
 * the last point: a look-up that changed may change any row.
 */
export function wayOf(
  { reads, driven, columns }: Pick<Model, 'reads' | 'driven' | 'columns'>,
  before: Pick<TableEntry, 'columns'> | null,
  changed: (table: TableName) => boolean,
): Way {
  if (before === null) return 'full'
  if (shapeOf(growModel(columns, before.columns)) !== shapeOf(before.columns)) return 'full'
  const moved = reads.filter(changed)
  if (moved.length === 0) return 'skipped'
  return driven !== null && moved.every((table) => isTable(table, driven.table)) ? 'driven' : 'full'
}

/** Evaluates and compares; a null or double key makes the comparison itself wrong, and the checks name it. */
export async function evaluateModel(
  processed: Zone,
  { engine, relations, batch, rows: readRows, tempFolder, isOfMany }: Place,
  { model, before }: ModelToEvaluate,
  way: 'full' | 'driven',
): Promise<EvaluatedModel | UnsoundModel> {
  const evaluated = `rows of ${model.name}`
  const changes = `changes of ${model.name}`
  const held = quoteName(`before ${model.name}`)
  const columns = growModel(model.columns, before?.entry.columns ?? [])
  const isFirst = before === null || !hasFiles(before.entry)
  const driven = way === 'driven' && !isFirst ? model.driven : null
  let prepared: string | null = null
  let rows: number | 'unsound key'
  if (isFirst && processed.format === 'parquet') {
    await relations.need(model.reads)
    const of = { query: withNulls(modelQuery(model), columns), columns, key: model.key, batch }
    const first = await makeRows(model, async () =>
      writeFirstRows(engine, { ...of, tempFolder, rows: evaluated, changes }),
    )
    prepared = first.path
    rows = first.rows ?? 'unsound key'
  } else if (driven === null) {
    await relations.need(model.reads)
    const make = `create or replace table ${quoteName(evaluated)} as ${modelQuery(model)}`
    rows = await makeRows(model, async () => soundRows(engine, evaluated, model.key, make))
  } else {
    rows = await evaluateApart(engine, relations, model, driven, evaluated)
    const held = driven.key.map(({ column }) => column)
    if (isOfMany) await keepColumns(engine, `driving ${model.name}`, held)
  }
  const among: Among | null =
    driven === null ? null : { relation: quoteName(`driving ${model.name}`), on: driven.key }
  const asOf = async (keys: Among | null): Promise<string> =>
    before === null
      ? 'select'
      : readRows(
          processed,
          before.manifest,
          model.name,
          before.manifest.batch,
          liveColumns(columns),
          keys,
        )
  const define = (changed: boolean): void => {
    relations.define(model.name, changed, async () => {
      const rows =
        among === null
          ? ''
          : `select * from (${await asOf(null)}) where not ${isAmong(among)} union all `
      return `create view ${quoteName(model.name)} as ${rows}from ${quoteName(evaluated)}`
    })
  }
  if (rows === 'unsound key') {
    define(true)
    return { outcome: 'unsound key', way, evaluated }
  }
  const next = `from ${quoteName(evaluated)}`
  let had = before?.entry.rows ?? 0
  let make: string | null = null
  if (isFirst) {
    if (prepared === null) {
      const all = withNulls(`select * ${next}`, columns)
      make = insertTable({ into: changes, next: all, columns })
    }
  } else {
    let previous = await asOf(among)
    if (among !== null) {
      const [counted] = await engine.rows(
        `create or replace table ${held} as ${previous};\nselect count(*) as n from ${held}`,
      )
      previous = `from ${held}`
      had = Number(counted?.['n'])
    }
    make = differenceTable({
      into: changes,
      previous,
      next,
      columns: liveColumns(columns),
      gone: goneColumns(columns),
      key: model.key,
    })
  }
  const counts =
    make === null
      ? { inserted: rows, updated: 0, deleted: 0 }
      : await countChanges(engine, changes, make)
  // Of thousands of models each would have it until the point ends, 20 kB of each column at least.
  if (among !== null) await engine.run(`drop table if exists ${held}`)
  if (isOfMany && make !== null) {
    const path = await setAside(engine, { changes, columns, key: model.key, batch, tempFolder })
    if (processed.format === 'parquet') prepared = path
  }
  const gained = counts.inserted - counts.deleted
  if (rows !== had + gained) {
    throw new ToteError(
      'CountMismatch',
      `Model "${model.name}" yields ${rows} rows, which its changes do not lead to.`,
    )
  }
  define(before === null || counts.inserted + counts.updated + counts.deleted > 0)
  const rowsInLake = (before?.entry.rows ?? 0) + gained
  return { outcome: 'evaluated', way, evaluated, columns, changes, counts, rowsInLake, prepared }
}

/** The query, with nulls for what it yields no more. */
function withNulls(query: string, columns: readonly Column[]): string {
  const gone = goneColumns(columns)
  const nulls = gone.map(({ name, carried }) => `, null::${carried} as ${quoteName(name)}`)
  return gone.length === 0 ? query : `select *${nulls.join('')} from (${query}\n)`
}

/** A model that is restated begins without a row, and yet with columns. */
function hasFiles({ base, files }: TableEntry): boolean {
  return base.length + files.length > 0
}

/** A model that is what it was. */
export function keepModel(
  processed: Zone,
  { relations, rows: readRows }: Pick<Place, 'relations' | 'rows'>,
  { model, before }: ModelToEvaluate,
): void {
  relations.define(model.name, false, async () => {
    if (before === null) throw new RangeError(`no manifest holds model "${model.name}"`)
    const { manifest, entry } = before
    const columns = liveColumns(entry.columns)
    const rows = await readRows(processed, manifest, model.name, manifest.batch, columns)
    return `create view ${quoteName(model.name)} as ${rows}`
  })
}

/**
 * The model's own query, in a database apart where the driving table has only its changed rows. They
 * are a view, like all that a query reads, so that no query sees more of them than of all rows.
 */
async function evaluateApart(
  engine: Engine,
  relations: Relations,
  model: Model,
  { table }: Driven,
  into: string,
): Promise<number | 'unsound key'> {
  const driving = quoteName(`driving ${model.name}`)
  const lookups = model.reads.filter((read) => !isTable(read, table))
  await relations.need(lookups)
  const changes =
    table.schema === null
      ? `select * exclude (${quoteName(KIND_COLUMN)}) from ${quoteName(`changes of ${table.name}`)}`
      : await relations.changesOf(table)
  await engine.run(`create table ${driving} as ${changes}`)
  const home = quoteName(relations.database)
  const apart = quoteName(`${relations.database} apart for ${model.name}`)
  const schemas = new Set(model.reads.flatMap(({ schema }) => schema ?? []))
  const statements = [
    `attach if not exists ':memory:' as ${apart}`,
    ...[...schemas].map((schema) => `create schema if not exists ${apart}.${quoteName(schema)}`),
    `create or replace view ${within(apart, table)} as select * exclude (${quoteName(OP_COLUMN)}) from ${home}.main.${driving} where ${quoteName(OP_COLUMN)} = 'u'`,
    ...lookups.map(
      (read) => `create or replace view ${within(apart, read)} as from ${within(home, read)}`,
    ),
    `use ${apart}`,
    `create or replace table ${home}.main.${quoteName(into)} as ${modelQuery(model)}`,
  ]
  const back = `use ${home}; detach database if exists ${apart}`
  const make = [...statements, back].join(';\n')
  try {
    return await makeRows(model, async () => soundRows(engine, into, model.key, make))
  } catch (error) {
    await engine.run(back)
    throw error
  }
}

function within(database: string, table: TableName): string {
  return `${database}.${table.schema === null ? 'main.' : ''}${quoteTable(table)}`
}

async function makeRows<T>(model: Model, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof EngineFailure)) throw placeFailure(error, `model "${model.name}"`)
    throw modelFailed(model, error)
  }
}

/** How many rows there are once they are made, when every key is whole and there once. */
async function soundRows(
  engine: Engine,
  relation: string,
  key: readonly string[],
  make: string,
): Promise<number | 'unsound key'> {
  const names = key.map(quoteName)
  const present = names.map((column) => `${column} is not null`).join(' and ')
  const [row] = await engine.rows(
    `${make};\nselect count(*) as n, count(distinct case when ${present} then (${names.join(', ')}) end) as keys from ${quoteName(relation)}`,
  )
  return row?.['n'] === row?.['keys'] ? Number(row?.['n']) : 'unsound key'
}

/** What a model's rows are cast to: another shape makes other rows of the same query. */
function shapeOf(columns: readonly Column[]): string {
  return JSON.stringify(
    columns.map(({ name, type, carried, notNull }) => [name, type, carried, notNull]),
  )
}

function isTable(a: TableName, b: TableName): boolean {
  return a.schema === b.schema && a.name === b.name
}
