/**
 * Whether models are functions of their rows: each is run three times over the same rows, in the order
 * of their keys by one thread, then backwards and shuffled by many. What differs hangs on the order,
 * which nobody promises: `sum` of floats, ties of `row_number()`, `any_value`.
 */
import { openEngine, EngineFailure, type Engine } from '../columns/engine.ts'
import { quoteName, quoteNames } from '../columns/sql.ts'
import { ToteError, type Problem } from '../errors.ts'
import type { CommittedManifest } from '../lake/manifest.ts'
import { rowsAsOf } from '../lake/read.ts'
import type { Zone } from '../lake/zone.ts'
import { modelFailed } from '../models/checks.ts'
import { modelQuery, type Model, type TableName } from '../models/model.ts'
import { quoteTable } from './relations.ts'

export interface DeterminismQuestion {
  readonly ingestion: Zone
  /** The newest manifest of every source. */
  readonly inputs: ReadonlyMap<string, CommittedManifest>
  /** In the order of their dependencies. */
  readonly models: readonly Model[]
  readonly tempFolder: string
  readonly signal: AbortSignal
}

const MANY = 4

interface Order {
  readonly threads: number
  /** SQL to stand after `order by`, for rows of this key. */
  readonly by: (key: readonly string[]) => string
}

const ORDERS: readonly Order[] = [
  { threads: 1, by: quoteNames },
  { threads: MANY, by: (key) => key.map((name) => `${quoteName(name)} desc`).join(', ') },
  { threads: MANY, by: (key) => `hash(${quoteNames(key)}, 'shuffled')` },
]

/** Throws ModelNotDeterministic with every model that differs, or ModelFailed. */
export async function proveDeterminism(question: DeterminismQuestion): Promise<void> {
  const { models, tempFolder, signal } = question
  const engine = await openEngine({ tempFolder, signal })
  try {
    const problems: Problem[] = []
    const [row] = await engine.rows('select current_database() as name')
    const runs = [String(row?.['name']), 'backwards', 'shuffled']
    for (const run of runs.slice(1)) await engine.run(`attach ':memory:' as ${quoteName(run)}`)
    await copyInputs(engine, question, runs)
    for (const model of models) {
      const upstream = model.reads.filter(({ schema }) => schema === null)
      const differing = new Map<string, number>()
      for (const [index, run] of runs.entries()) {
        const order = ORDERS[index] ?? { threads: 1, by: quoteNames }
        await engine.run(`use ${quoteName(run)}; set threads = ${order.threads}`)
        // Every run reads what the first one made of the models below, so that a difference is a model's own.
        if (index > 0)
          for (const table of upstream)
            await copyOrdered(engine, table, keyOf(models, table), runs, index)
        await evaluate(engine, model)
        if (index > 0) await compare(engine, model, runs[0] ?? '', run, differing)
      }
      if (differing.size > 0)
        problems.push({ where: model.path, message: describe(model, differing) })
    }
    if (problems.length > 0) throw notDeterministic(problems)
  } finally {
    engine.close()
  }
}

/** Every table that models read, once in each order. */
async function copyInputs(
  engine: Engine,
  { ingestion, inputs, models }: DeterminismQuestion,
  runs: readonly string[],
): Promise<void> {
  const read = new Map(
    models.flatMap((model) => model.reads.map((table) => [quoteTable(table), table] as const)),
  )
  for (const table of read.values()) {
    const manifest = table.schema === null ? undefined : inputs.get(table.schema)
    const entry = manifest?.tables[table.name]
    if (table.schema === null || manifest === undefined || entry === undefined) continue
    const rows = await rowsAsOf(ingestion, manifest, table.name, manifest.batch)
    for (const [index, run] of runs.entries()) {
      const order = ORDERS[index]?.by(orderable(entry.key, entry.columns)) ?? ''
      await engine.run(
        `create schema if not exists ${quoteName(run)}.${quoteName(table.schema)};` +
          ` create or replace table ${quoteName(run)}.${quoteTable(table)} as select * from (${rows}) order by ${order}`,
      )
    }
  }
}

function orderable(
  key: readonly string[],
  columns: readonly { readonly name: string }[],
): readonly string[] {
  return key.length > 0 ? key : columns.map(({ name }) => name)
}

async function copyOrdered(
  engine: Engine,
  table: TableName,
  key: readonly string[],
  runs: readonly string[],
  index: number,
): Promise<void> {
  const [first = ''] = runs
  const name = quoteTable(table)
  await engine.run(
    `create or replace table ${name} as select * from ${quoteName(first)}.main.${name} order by ${ORDERS[index]?.by(key) ?? ''}`,
  )
}

async function evaluate(engine: Engine, model: Model): Promise<void> {
  try {
    await engine.run(`create or replace table ${quoteName(model.name)} as ${modelQuery(model)}`)
  } catch (error) {
    if (!(error instanceof EngineFailure)) throw error
    throw modelFailed(model, error)
  }
}

/** Adds, by column, how many rows differ; rows that only one run has count for the key. */
async function compare(
  engine: Engine,
  { name, key, columns }: Model,
  first: string,
  second: string,
  differing: Map<string, number>,
): Promise<void> {
  const [a, b] = [first, second].map((run) => `${quoteName(run)}.main.${quoteName(name)}`)
  const other = `(select count(*) from (from ${a} except all from ${b}))`
  const [different] = await engine.rows(`select ${other} as n`)
  if (Number(different?.['n']) === 0) return
  const on = key.map((column) => `a.${quoteName(column)} = b.${quoteName(column)}`).join(' and ')
  const values = columns.filter((column) => !key.includes(column.name))
  const counts = values.map(
    (column, index) =>
      `count(*) filter (where a.${quoteName(column.name)} is distinct from b.${quoteName(column.name)}) as c${index}`,
  )
  const keys = quoteNames(key)
  const alone = `(select count(*) from (select ${keys} from ${a} except all select ${keys} from ${b})) as alone`
  const [row] = await engine.rows(
    `select ${[alone, ...counts].join(', ')} from ${a} a join ${b} b on ${on}`,
  )
  const add = (column: string, rows: number): void => {
    if (rows > 0) differing.set(column, Math.max(rows, differing.get(column) ?? 0))
  }
  for (const column of key) add(column, Number(row?.['alone']))
  values.forEach((column, index) => add(column.name, Number(row?.[`c${index}`])))
}

function keyOf(models: readonly Model[], { name }: TableName): readonly string[] {
  return models.find((model) => model.name === name)?.key ?? []
}

function describe(model: Model, differing: ReadonlyMap<string, number>): string {
  const columns = [...differing].map(
    ([column, rows]) => `"${column}" (${rows} ${rows === 1 ? 'row' : 'rows'})`,
  )
  return `"${model.name}" yields other values when the rows that it reads come in another order: ${columns.join(', ')}`
}

function notDeterministic(problems: readonly Problem[]): ToteError {
  const [only, ...more] = problems
  return new ToteError(
    'ModelNotDeterministic',
    more.length === 0
      ? `A model is not a function of its rows: ${only?.message}.`
      : `${problems.length} models are not functions of their rows.`,
    {
      ...(more.length === 0 ? { where: only?.where } : { problems }),
      why: 'such a model changes rows in batches in which nothing changed, and a rebuild would differ',
      fix: 'give row_number(), first(), list(), string_agg() and limit a full order; use min or max for any_value; sum decimals, not floats',
    },
  )
}
