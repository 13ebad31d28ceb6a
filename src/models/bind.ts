/**
 * Models against the tables they read: parsed, judged, ordered and bound on empty tables of the
 * sources' types, so that every mistake is known before a row is read. All problems of all models
 * are reported at once.
 */
import { EngineFailure, type Engine } from '../columns/engine.ts'
import { quoteName } from '../columns/sql.ts'
import { carriedType } from '../postgres/carried.ts'
import { keepsVersions, type Column } from '../types.ts'
import { notDriven, readDriven, type ReadableName } from './driven.ts'
import { headerFinding, invalid, meant, sqlFinding, type Finding } from './finding.ts'
import {
  orderable,
  orderModels,
  resolveTables,
  sameName,
  type ReadableTable,
} from './dependencies.ts'
import { outputOrigins, type Origin, type TableLookup } from '../syntax/inheritance.ts'
import { lookupOf, tablesOf } from './lookup.ts'
import type { Check, Model, ModelText, TableName } from './model.ts'
import type { Unreadable } from './read-models.ts'
import { namedColumns, readReferences } from '../syntax/references.ts'
import { referenceFindings, shapeOf } from './shape.ts'
import {
  asNode,
  children,
  describeSql,
  fingerprint,
  parseSql,
  type Complaint,
  type OutputColumn,
  type TreeNode,
} from '../syntax/syntax-tree.ts'

interface ParsedModel extends ModelText {
  readonly tree: TreeNode
  readonly reads: readonly TableName[]
}

/** A database of its own, so that no relation of the engine's is seen or touched. */
const SCRATCH = '_tote_bind'

/** What DuckDB says of any other statement. */
const NO_SELECT = /^Only SELECT statements/
const NO_CONDITION = 'is not one condition on the columns of the model'

/**
 * The models in the order in which they can be evaluated, with what they read and yield. Reads no
 * row. Throws ModelInvalid with all problems, those of unreadable headers included, ModelCycle, or ModelNotDriven.
 */
export async function bindModels(
  texts: readonly ModelText[],
  engine: Engine,
  sources: readonly ReadableTable[],
  unreadable: Unreadable = { names: [], problems: [] },
): Promise<Model[]> {
  const clashing = [...sameNames(texts), ...viewNames(texts)]
  if (clashing.length > 0) throw invalid([...unreadable.problems, ...clashing])
  const findings: Finding[] = [...unreadable.problems]
  const parsed: ParsedModel[] = []
  const broken = unreadable.names.map((name) => ({ name }))
  const [named, tableIn] = [lookupOf([...texts, ...broken]), tablesOf(sources)]
  const find = (schema: string | null, name: string): TableName | undefined => {
    if (schema !== null) return tableIn(schema, name)
    const text = named.find(name)
    return text === undefined ? undefined : { schema: null, name: text.name }
  }
  for (const text of texts) {
    const tree = await parseModel(text, engine, findings)
    if (tree === undefined) continue
    const { tables, refusals } = readReferences(tree)
    for (const { message, position } of refusals) findings.push(sqlFinding(text, position, message))
    const reads = resolveTables(text, tables, { texts, sources, find, findings })
    if (reads !== undefined && refusals.length === 0) parsed.push({ ...text, tree, reads })
  }
  const ordered = findings.length === 0 ? orderModels(parsed) : orderable(parsed)
  const undriven: Finding[] = []
  const models = await inScratch(engine, async () => {
    const unusable = await createTables(engine, ordered, sources)
    if (unusable.length > 0) throw invalid([...unusable, ...findings])
    return bindOrdered(ordered, { engine, findings, undriven, tableIn })
  })
  const byName = new Map(models.map((model) => [model.name, model]))
  const all = [...texts.map((text) => text.name), ...unreadable.names]
  for (const model of models) findings.push(...referenceFindings(model, byName, all))
  if (findings.length > 0) throw invalid([...findings, ...undriven].toSorted(byPlace))
  if (undriven.length > 0) throw notDriven(undriven.toSorted(byPlace))
  return models
}

interface Work {
  readonly engine: Engine
  readonly findings: Finding[]
}

/** A model's select as a tree, or undefined with findings. */
async function parseModel(
  model: ModelText,
  engine: Engine,
  findings: Finding[],
): Promise<TreeNode | undefined> {
  const parsed = await parseSql(engine, model.sql)
  if ('complaint' in parsed) {
    const { message, position } = parsed.complaint
    findings.push(
      sqlFinding(
        model,
        position,
        NO_SELECT.test(message)
          ? 'is not a select that can be read; a model is one select (and "pivot" is not supported)'
          : message,
      ),
    )
    return undefined
  }
  const [tree, ...more] = parsed.statements
  if (tree === undefined || more.length > 0) {
    findings.push(
      sqlFinding(
        model,
        null,
        tree === undefined
          ? 'has no select'
          : `has ${more.length + 1} statements; a model is one select`,
      ),
    )
    return undefined
  }
  return tree
}

async function bindOrdered(
  ordered: readonly ParsedModel[],
  work: Work & { tableIn: ReturnType<typeof tablesOf>; undriven: Finding[] },
): Promise<Model[]> {
  const { engine, findings, undriven, tableIn } = work
  const bound = lookupOf<Model>()
  const models: Model[] = []
  const tableNamed = ({ schema, name }: TableName): ReadableName | undefined => {
    if (schema !== null) return tableIn(schema, name)
    const model = bound.find(name)
    return model === undefined ? undefined : { ...model, schema: null }
  }
  const lookup: TableLookup = (schema, name) => {
    const table = tableNamed({ schema, name })
    return table?.columns.map((column) => ({
      name: column.name,
      origin: schema === null ? column : { ...column, source: `${schema}.${name}#${column.id}` },
    }))
  }
  for (const model of ordered) {
    // What a broken model yields is not known: those that read it are judged when it is mended.
    if (model.reads.some((read) => read.schema === null && bound.find(read.name) === undefined))
      continue
    const outputs = await describeSql(engine, model.sql)
    if ('message' in outputs) {
      findings.push(sqlFinding(model, outputs.position, complaintText(outputs, model, lookup)))
      continue
    }
    const { columns, findings: wrong } = shapeOf(model, outputs, originsOf(model, outputs, lookup))
    findings.push(...wrong)
    if (wrong.length > 0) continue
    await engine.run(`create table ${quoteName(model.name)} (${columnList(columns)})`)
    const checks = await bindConditions(model, columns, work)
    const { driven, findings: reasons } = await readDriven({
      model,
      outputs,
      tableNamed,
      engine,
    })
    undriven.push(...reasons)
    const { tree, ...rest } = model
    const one = { ...rest, checks, columns, driven, syntax: fingerprint(tree) }
    bound.add(one)
    models.push(one)
  }
  return models
}

/** Where the outputs come from, in order; nowhere known when our reading of the tree and DuckDB's differ in a name. */
function originsOf(
  model: ParsedModel,
  outputs: readonly OutputColumn[],
  lookup: TableLookup,
): readonly (Origin | null)[] {
  const origins = outputOrigins(model.tree, lookup) ?? []
  const agrees =
    origins.length === outputs.length &&
    origins.every(
      ({ name, origin }, index) => origin === null || sameName(name, outputs[index]?.name ?? ''),
    )
  return outputs.map((_, index) => (agrees ? (origins[index]?.origin ?? null) : null))
}

/** The header's checks, with findings where a condition is none on one row of the model. */
async function bindConditions(
  model: ModelText,
  columns: readonly Column[],
  { engine, findings }: Work,
): Promise<readonly Check[]> {
  const checks: Check[] = []
  for (const [index, check] of model.checks.entries()) {
    checks.push(check)
    const { rule } = check
    if (rule.type !== 'row') continue
    const say = (message: string): void =>
      void findings.push(headerFinding(model, `check ${index}`, message))
    const parsed = await parseSql(engine, `select (${rule.condition}\n)`)
    if ('complaint' in parsed) {
      say(NO_SELECT.test(parsed.complaint.message) ? NO_CONDITION : parsed.complaint.message)
      continue
    }
    const [tree, ...more] = parsed.statements
    const isOne =
      more.length === 0 &&
      children(tree?.['select_list']).length === 1 &&
      asNode(tree?.['from_table'])?.['type'] === 'EMPTY'
    const read = tree === undefined || !isOne ? undefined : readReferences(tree)
    if (tree === undefined || read === undefined || read.tables.length > 0) {
      say(NO_CONDITION)
      continue
    }
    if (read.refusals.length > 0) {
      for (const { message } of read.refusals) say(message)
      continue
    }
    const judgedAs = plainTypes(columns, namedColumns(tree))
    if (
      judgedAs !== undefined &&
      (await isJudgeable(rule.condition, { columns, judgedAs, engine }))
    ) {
      checks[index] = { ...check, rule: { ...rule, judgedAs } }
      continue
    }
    const described = await describeSql(
      engine,
      `select (${rule.condition}\n) as condition from ${quoteName(model.name)}`,
    )
    if ('message' in described) say(described.message)
    else if (described[0]?.duckdbType !== 'BOOLEAN')
      say(`is ${described[0]?.duckdbType}, not a condition`)
  }
  return checks
}

/** The types that the named columns would have, had no value come that does not fit: one `NaN` undoes no check. */
function plainTypes(
  columns: readonly Column[],
  named: ReadonlySet<string>,
): Readonly<Record<string, string>> | undefined {
  const types = columns.flatMap(({ name, type, builtin, carried, source }) => {
    const plain = carriedType(builtin ?? type)
    const isText = source !== undefined && carried === 'VARCHAR' && plain !== carried
    return isText && named.has(name.toLowerCase()) ? [[name, plain]] : []
  })
  return types.length === 0 ? undefined : Object.fromEntries(types)
}

/** Whether a condition can be told of columns of these types; one that asks for `'NaN'` of a number is meant for their text. */
async function isJudgeable(
  condition: string,
  how: {
    readonly columns: readonly Column[]
    readonly judgedAs: Readonly<Record<string, string>>
    readonly engine: Engine
  },
): Promise<boolean> {
  const row = how.columns.map(
    ({ name, carried }) => `cast(null as ${how.judgedAs[name] ?? carried}) as ${quoteName(name)}`,
  )
  const sql = `select (${condition}\n) as condition from (select ${row.join(', ')})`
  const described = await describeSql(how.engine, sql)
  if ('message' in described || described[0]?.duckdbType !== 'BOOLEAN') return false
  try {
    await how.engine.run(sql)
    return true
  } catch (error) {
    if (error instanceof EngineFailure) return false
    throw error
  }
}

/** DuckDB's words, with the nearest column that the model could have meant. */
function complaintText(
  { message, name }: Complaint,
  model: ParsedModel,
  lookup: TableLookup,
): string {
  if (name === undefined || !/not found in FROM clause|does not have a column/.test(message))
    return message
  const known = model.reads.flatMap((read) => lookup(read.schema, read.name) ?? [])
  const renamed = known.find(({ origin }) => origin?.formerly?.includes(name) === true)
  const names = known.map((column) => column.name)
  return renamed === undefined
    ? `there is no column "${name}"${meant(name, names)}`
    : `there is no column "${name}": the source calls it "${renamed.name}" now`
}

async function inScratch<T>(engine: Engine, action: () => Promise<T>): Promise<T> {
  const [before] = await engine.rows('select current_database() as db, current_schema() as schema')
  // Engines may share a DuckDB, in which databases are known by name.
  const scratch = quoteName(`${SCRATCH}_of_${String(before?.['db'])}`)
  await engine.run(`attach ':memory:' as ${scratch}`)
  try {
    await engine.run(`use ${scratch}`)
    return await action()
  } finally {
    await engine.run(
      `use ${quoteName(String(before?.['db']))}.${quoteName(String(before?.['schema']))}`,
    )
    await engine.run(`detach ${scratch}`)
  }
}

/** Creates what the models read; DuckDB cannot hold names that differ only in case. */
async function createTables(
  engine: Engine,
  models: readonly ParsedModel[],
  sources: readonly ReadableTable[],
): Promise<Finding[]> {
  const findings: Finding[] = []
  const read = models.flatMap((model) => model.reads)
  const isRead = new Set(read.map(({ schema, name }) => JSON.stringify([schema, name])))
  for (const schema of new Set(read.flatMap((table) => table.schema ?? []))) {
    await engine.run(`create schema if not exists ${quoteName(schema)}`)
  }
  for (const table of sources) {
    if (!isRead.has(JSON.stringify([table.schema, table.name]))) continue
    try {
      await engine.run(
        `create table ${quoteName(table.schema)}.${quoteName(table.name)} (${columnList(table.columns)})`,
      )
    } catch (error) {
      if (!(error instanceof EngineFailure)) throw error
      findings.push({
        where: `${table.schema}.${table.name}`,
        message: `models cannot read this table: ${error.message}`,
      })
    }
  }
  return findings
}

function columnList(columns: readonly Column[]): string {
  return columns.map(({ name, carried }) => `${quoteName(name)} ${carried}`).join(', ')
}

/** Models whose names DuckDB could not tell apart. */
function sameNames(texts: readonly ModelText[]): Finding[] {
  const first = new Map<string, ModelText>()
  return texts.flatMap((text) => {
    const name = text.name.toLowerCase()
    const other = first.get(name)
    if (other === undefined) {
      first.set(name, text)
      return []
    }
    const message = `has the name of ${other.path}; upper and lower case do not tell names apart`
    return [{ where: text.path, message }]
  })
}

/** Every fact gets a view of its current rows, whose name no model may have. */
function viewNames(texts: readonly ModelText[]): Finding[] {
  const facts = lookupOf(
    texts.filter(keepsVersions).map(({ name, path }) => ({ name: `${name}_current`, path })),
  )
  return texts.flatMap((text) => {
    const fact = facts.find(text.name)
    if (fact === undefined) return []
    const message = `has the name of the view of the current rows of ${fact.path}`
    return [{ where: text.path, message }]
  })
}

function byPlace(a: Finding, b: Finding): number {
  return a.where.localeCompare(b.where, 'en', { numeric: true })
}
