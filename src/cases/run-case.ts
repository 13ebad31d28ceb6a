/** Runs a test of a model: its query over the given rows, by the engine that models run on, and nothing else. */
import { EngineFailure, type Engine } from '../columns/engine.ts'
import { quoteName, quoteText } from '../columns/sql.ts'
import type { ReadableTable } from '../models/dependencies.ts'
import { modelQuery, type Model } from '../models/model.ts'
import type { Column } from '../types.ts'
import type { Case, Cell, GivenTable } from './case.ts'
import { testInvalid } from './read-cases.ts'

export interface CaseResult {
  readonly model: string
  readonly title: string
  readonly where: string
  readonly outcome: 'passed' | 'failed'
  /** The columns that the test looks at. */
  readonly columns: readonly string[]
  /** Rows that were expected and are not there, and the other way round, as text. */
  readonly missing: readonly (readonly Cell[])[]
  readonly unexpected: readonly (readonly Cell[])[]
  /** What the query failed with. */
  readonly error?: string
}

export interface CaseWorld {
  readonly engine: Engine
  readonly sources: readonly ReadableTable[]
  /** All that the test's model needs, in the order of their dependencies. */
  readonly models: readonly Model[]
}

/** Throws TestInvalid when the test names what is not there, or a cell is no value of its column. */
export async function runCase(
  test: Case,
  { engine, sources, models }: CaseWorld,
): Promise<CaseResult> {
  const model = models.find(({ name }) => name === test.model)
  if (model === undefined) throw new RangeError(`model "${test.model}" is not bound`)
  const compared = test.expected.columns.map(({ name }) =>
    columnNamed(model.columns, name, `"${model.name}"`, test.expected.where),
  )
  await fill(engine, test, { sources, models })
  const columns = compared.map(({ name }) => name)
  const base = { model: model.name, title: test.title, where: test.where, columns }
  const isGiven = ({ name }: Model): boolean =>
    test.given.some(({ table }) => table.schema === null && table.name === name)
  try {
    for (const each of models.filter((candidate) => !isGiven(candidate)))
      await engine.run(`create table ${quoteName(each.name)} as ${modelQuery(each)}`)
  } catch (error) {
    if (!(error instanceof EngineFailure)) throw error
    return { ...base, outcome: 'failed', missing: [], unexpected: [], error: error.message }
  }
  const expected = `(${rowsOf(compared, columns, test.expected.rows)})`
  const actual = `(select ${columns.map(quoteName).join(', ')} from ${quoteName(model.name)})`
  const missing = await onlyIn(engine, expected, actual, columns, test.expected.where)
  const unexpected = await onlyIn(engine, actual, expected, columns, test.expected.where)
  const outcome = missing.length + unexpected.length === 0 ? 'passed' : 'failed'
  return { ...base, outcome, missing, unexpected }
}

/** Every table of the sources, empty but for what is given; given models stand for their queries. */
async function fill(
  engine: Engine,
  test: Case,
  { sources, models }: Pick<CaseWorld, 'sources' | 'models'>,
): Promise<void> {
  const filled = new Set<unknown>()
  for (const given of test.given) {
    const { schema, name } = given.table
    const table: Pick<ReadableTable, 'columns'> | undefined =
      schema === null
        ? models.find((model) => model.name === name)
        : sources.find((source) => source.schema === schema && source.name === name)
    if (table === undefined) {
      const what = schema === null ? `the model "${name}"` : `"${schema}.${name}"`
      throw testInvalid([{ where: given.where, message: `"${test.model}" does not read ${what}` }])
    }
    if (filled.has(table))
      throw testInvalid([{ where: given.where, message: `"${name}" is given twice` }])
    filled.add(table)
    await create(engine, given, table.columns)
  }
  for (const table of sources.filter((source) => !filled.has(source))) {
    const { schema, name } = table
    const none = { table: { schema, name }, columns: [], rows: [], where: test.where }
    await create(engine, none, table.columns)
  }
}

async function create(
  engine: Engine,
  { table, columns, rows, where }: GivenTable,
  known: readonly Column[],
): Promise<void> {
  for (const { name } of columns) columnNamed(known, name, `"${table.name}"`, where)
  const name = quoteName(table.name)
  const into = table.schema === null ? name : `${quoteName(table.schema)}.${name}`
  const schema =
    table.schema === null ? '' : `create schema if not exists ${quoteName(table.schema)};`
  const given = columns.map((column) => column.name)
  await attempt(where, async () =>
    engine.run(`${schema} create table ${into} as ${rowsOf(known, given, rows)}`),
  )
}

/** A `select` of rows whose cells are in the order of `given`; columns that are not given are null. */
function rowsOf(
  columns: readonly Column[],
  given: readonly string[],
  rows: readonly (readonly Cell[])[],
): string {
  const list = columns.map(({ name, carried }) => {
    const index = given.indexOf(name)
    return `cast(${index === -1 ? 'null' : `v.c${index}`} as ${carried}) as ${quoteName(name)}`
  })
  if (rows.length === 0 || given.length === 0)
    return `select ${columns.map(({ name, carried }) => `cast(null as ${carried}) as ${quoteName(name)}`).join(', ')} where false`
  const values = rows.map(
    (row) =>
      `(${row.map((cell) => (cell === null ? 'null::varchar' : quoteText(cell))).join(', ')})`,
  )
  return `select ${list.join(', ')} from (values ${values.join(', ')}) v(${given.map((_, index) => `c${index}`).join(', ')})`
}

async function onlyIn(
  engine: Engine,
  one: string,
  other: string,
  columns: readonly string[],
  where: string,
): Promise<Cell[][]> {
  const texts = columns.map((name) => `cast(${quoteName(name)} as varchar) as ${quoteName(name)}`)
  const rows = await attempt(where, async () =>
    engine.rows(
      `select ${texts.join(', ')} from (from ${one} except all from ${other}) order by all`,
    ),
  )
  return rows.map((row) => columns.map((name) => (row[name] === null ? null : String(row[name]))))
}

async function attempt<T>(where: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    if (!(error instanceof EngineFailure)) throw error
    throw testInvalid([{ where, message: error.message.split('\n')[0] ?? '' }])
  }
}

function columnNamed(columns: readonly Column[], name: string, of: string, where: string): Column {
  const found = columns.find((column) => column.name === name)
  if (found !== undefined) return found
  const known = columns.map((column) => column.name).join(', ')
  throw testInvalid([{ where, message: `${of} has no column "${name}". There is: ${known}` }])
}
