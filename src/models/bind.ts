/**
 * Models against the tables they read: parsed, judged, ordered and bound on empty tables of the
 * sources' types, so that every mistake is known before a row is read. All problems of all models
 * are reported at once.
 */
import type { Engine } from '../columns/engine.ts'
import { quoteName } from '../columns/sql.ts'
import type { Column } from '../types.ts'
import { headerFinding, invalid, meant, sqlFinding, type Finding } from './finding.ts'
import { orderModels } from './graph.ts'
import { outputOrigins, type Origin, type TableLookup } from './inheritance.ts'
import type { Model, ModelText, TableName } from './model.ts'
import { forbiddenFunctions, readReferences, type ForbiddenFunctions, type TableMention } from './references.ts'
import { referenceFindings, shapeOf } from './shape.ts'
import { asNode, children, describeSql, parseSql, type Complaint, type OutputColumn, type TreeNode } from './syntax-tree.ts'

/** A table that models may name as `schema.name`: of a source, or of the seeds. */
export interface ReadableTable extends TableName {
  readonly schema: string
  readonly columns: readonly Column[]
}

interface ParsedModel extends ModelText {
  readonly tree: TreeNode
  readonly mentions: readonly TableMention[]
  readonly reads: readonly TableName[]
}

/** A database of its own, so that no relation of the engine's is seen or touched. */
const SCRATCH = '_tote_bind'

/**
 * The models in the order in which they can be evaluated, with what they read and yield. Reads no
 * row. Throws ModelInvalid with all problems, or ModelCycle.
 */
export async function bindModels(texts: readonly ModelText[], engine: Engine, sources: readonly ReadableTable[]): Promise<Model[]> {
  const findings: Finding[] = sameNames(texts)
  const forbidden = await forbiddenFunctions(engine)
  const parsed: ParsedModel[] = []
  for (const text of texts) {
    const tree = await parseModel(text, { engine, forbidden, findings })
    if (tree === undefined) continue
    const { tables: mentions } = readReferences(tree, forbidden)
    const reads = resolveTables(text, mentions, { texts, sources, findings })
    if (reads !== undefined) parsed.push({ ...text, tree, mentions, reads })
  }
  if (findings.length > 0 && parsed.length === 0) throw invalid(findings)
  const ordered = findings.length === 0 ? orderModels(parsed) : orderable(parsed)
  const models = await inScratch(engine, async () => {
    await createTables(engine, ordered, sources)
    return bindOrdered(ordered, { engine, forbidden, findings, sources })
  })
  const byName = new Map(models.map((model) => [model.name, model]))
  const all = texts.map((text) => text.name)
  for (const model of models) findings.push(...referenceFindings(model, byName, all))
  if (findings.length > 0) throw invalid(findings.toSorted(byPlace))
  return models
}

interface Work {
  readonly engine: Engine
  readonly forbidden: ForbiddenFunctions
  readonly findings: Finding[]
}

/** A model's select as a tree, or undefined with findings. */
async function parseModel(model: ModelText, { engine, forbidden, findings }: Work): Promise<TreeNode | undefined> {
  const parsed = await parseSql(engine, model.sql)
  if ('complaint' in parsed) {
    const { message, position } = parsed.complaint
    const isNoSelect = message.startsWith('Only SELECT statements')
    findings.push(sqlFinding(model, position, isNoSelect ? 'is not a select that can be read; a model is one select (and "pivot" is not supported)' : message))
    return undefined
  }
  const [tree, ...more] = parsed.statements
  if (tree === undefined || more.length > 0) {
    findings.push(sqlFinding(model, null, tree === undefined ? 'has no select' : `has ${more.length + 1} statements; a model is one select`))
    return undefined
  }
  const { refusals } = readReferences(tree, forbidden)
  for (const { message, position } of refusals) findings.push(sqlFinding(model, position, message))
  return refusals.length > 0 ? undefined : tree
}

/** The tables behind the names, each once; undefined with findings when one is unknown. */
function resolveTables(
  model: ModelText,
  mentions: readonly TableMention[],
  { texts, sources, findings }: { texts: readonly ModelText[]; sources: readonly ReadableTable[]; findings: Finding[] },
): TableName[] | undefined {
  const reads = new Map<string, TableName>()
  let complete = true
  for (const { schema, name, position } of mentions) {
    const among: readonly TableName[] =
      schema === null ? texts.map((text) => ({ schema: null, name: text.name })) : sources.filter((table) => sameName(table.schema, schema))
    const found = among.find((table) => table.name === name) ?? among.find((table) => sameName(table.name, name))
    if (found === undefined) {
      complete = false
      findings.push(sqlFinding(model, position, unknownTable(schema, name, texts, sources)))
    } else {
      reads.set(JSON.stringify([found.schema, found.name]), { schema: found.schema, name: found.name })
    }
  }
  return complete ? [...reads.values()] : undefined
}

function unknownTable(schema: string | null, name: string, texts: readonly ModelText[], sources: readonly ReadableTable[]): string {
  if (schema === null) {
    const table = sources.find((source) => sameName(source.name, name))
    if (table !== undefined) return `there is no model "${name}"; the table of the source is "${table.schema}.${table.name}"`
    if (/[./*]/.test(name)) return `reads the file "${name}"; a model reads tables of sources, seeds and models only`
    return `there is no model "${name}"${meant(name, texts.map((text) => text.name))}`
  }
  const schemas = [...new Set(sources.map((source) => source.schema))]
  const tables = sources.filter((source) => sameName(source.schema, schema)).map((source) => source.name)
  if (tables.length > 0) return `there is no table "${name}" in "${schema}"${meant(name, tables)}`
  return `there is no source "${schema}"${meant(schema, schemas)}`
}

async function bindOrdered(ordered: readonly ParsedModel[], work: Work & { sources: readonly ReadableTable[] }): Promise<Model[]> {
  const { engine, findings, sources } = work
  const bound = new Map<string, Model>()
  const lookup: TableLookup = (schema, name) => {
    const table = schema === null ? byNameIn([...bound.values()], name) : byNameIn(sources.filter((source) => sameName(source.schema, schema)), name)
    return table?.columns.map((column) => ({ name: column.name, origin: column }))
  }
  for (const model of ordered) {
    // What a broken model yields is not known: those that read it are judged when it is mended.
    if (model.reads.some((read) => read.schema === null && !bound.has(read.name))) continue
    const outputs = await describeSql(engine, model.sql)
    if ('message' in outputs) {
      findings.push(sqlFinding(model, outputs.position, complaintText(outputs, model, lookup)))
      continue
    }
    const { columns, findings: wrong } = shapeOf(model, outputs, originsOf(model, outputs, lookup))
    findings.push(...wrong)
    if (wrong.length > 0) continue
    await engine.run(`create table ${quoteName(model.name)} (${columnList(columns)})`)
    const conditions = await conditionFindings(model, work)
    findings.push(...conditions)
    const { tree: _tree, mentions: _mentions, ...rest } = model
    bound.set(model.name, { ...rest, columns })
  }
  return [...bound.values()]
}

/** Where the outputs come from, in order; nowhere known when our reading of the tree and DuckDB's differ in a name. */
function originsOf(model: ParsedModel, outputs: readonly OutputColumn[], lookup: TableLookup): readonly (Origin | null)[] {
  const origins = outputOrigins(model.tree, lookup) ?? []
  const agrees =
    origins.length === outputs.length &&
    origins.every(({ name, origin }, index) => origin === null || sameName(name, outputs[index]?.name ?? ''))
  return outputs.map((_, index) => (agrees ? (origins[index]?.origin ?? null) : null))
}

/** Whether the header's conditions are conditions on one row of the model. */
async function conditionFindings(model: ModelText, { engine, forbidden }: Work): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const [index, { rule }] of model.checks.entries()) {
    if (rule.type !== 'row') continue
    const say = (message: string): void => void findings.push(headerFinding(model, `check ${index}`, message))
    const parsed = await parseSql(engine, `select (${rule.condition}\n)`)
    if ('complaint' in parsed) {
      say(parsed.complaint.message)
      continue
    }
    const [tree, ...more] = parsed.statements
    const isOne = more.length === 0 && children(tree?.['select_list']).length === 1 && asNode(tree?.['from_table'])?.['type'] === 'EMPTY'
    const read = tree === undefined || !isOne ? undefined : readReferences(tree, forbidden)
    if (read === undefined || read.tables.length > 0) {
      say('is not one condition on the columns of the model')
      continue
    }
    if (read.refusals.length > 0) {
      for (const { message } of read.refusals) say(message)
      continue
    }
    const described = await describeSql(engine, `select (${rule.condition}\n) as condition from ${quoteName(model.name)}`)
    if ('message' in described) say(described.message)
    else if (described[0]?.duckdbType !== 'BOOLEAN') say(`is ${described[0]?.duckdbType}, not a condition`)
  }
  return findings
}

/** DuckDB's words, with the nearest column that the model could have meant. */
function complaintText({ message, name }: Complaint, model: ParsedModel, lookup: TableLookup): string {
  if (name === undefined || !/not found in FROM clause|does not have a column/.test(message)) return message
  const known = model.reads.flatMap((read) => lookup(read.schema, read.name) ?? []).map((column) => column.name)
  return `there is no column "${name}"${meant(name, known)}`
}

async function inScratch<T>(engine: Engine, action: () => Promise<T>): Promise<T> {
  const [before] = await engine.rows('select current_database() as db, current_schema() as schema')
  await engine.run(`attach ':memory:' as ${quoteName(SCRATCH)}`)
  try {
    await engine.run(`use ${quoteName(SCRATCH)}`)
    return await action()
  } finally {
    await engine.run(`use ${quoteName(String(before?.['db']))}.${quoteName(String(before?.['schema']))}`)
    await engine.run(`detach ${quoteName(SCRATCH)}`)
  }
}

async function createTables(engine: Engine, models: readonly ParsedModel[], sources: readonly ReadableTable[]): Promise<void> {
  const read = models.flatMap((model) => model.reads)
  for (const schema of new Set(read.flatMap((table) => table.schema ?? []))) {
    await engine.run(`create schema if not exists ${quoteName(schema)}`)
  }
  for (const table of sources) {
    if (!read.some((name) => name.schema === table.schema && name.name === table.name)) continue
    await engine.run(`create table ${quoteName(table.schema)}.${quoteName(table.name)} (${columnList(table.columns)})`)
  }
}

function columnList(columns: readonly Column[]): string {
  return columns.map(({ name, carried }) => `${quoteName(name)} ${carried}`).join(', ')
}

/** Models whose names DuckDB could not tell apart. */
function sameNames(texts: readonly ModelText[]): Finding[] {
  return texts.flatMap((text, index) => {
    const other = texts.slice(0, index).find((earlier) => sameName(earlier.name, text.name))
    return other === undefined ? [] : [{ where: text.path, message: `has the name of ${other.path}; upper and lower case do not tell names apart` }]
  })
}

/** Without those that stand in a circle or read something broken: the circle is named once the rest is right. */
function orderable(parsed: readonly ParsedModel[]): ParsedModel[] {
  const ordered: ParsedModel[] = []
  for (;;) {
    const next = parsed.find(
      (model) =>
        !ordered.includes(model) &&
        model.reads.every((read) => read.schema !== null || ordered.some((earlier) => earlier.name === read.name)),
    )
    if (next === undefined) return ordered
    ordered.push(next)
  }
}

function byNameIn<T extends { readonly name: string }>(items: readonly T[], name: string): T | undefined {
  return items.find((item) => item.name === name) ?? items.find((item) => sameName(item.name, name))
}

function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

function byPlace(a: Finding, b: Finding): number {
  return a.where.localeCompare(b.where, 'en', { numeric: true })
}
