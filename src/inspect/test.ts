/**
 * `tote test`: the tests of models, run on given rows. Needs no database and no lake: where the lake
 * does not say the columns of a table, the tests do. Writes nothing.
 */
import { join } from 'node:path'
import type { Case, KnownColumns } from '../cases/case.ts'
import { readCases, testInvalid, type Cases } from '../cases/read-cases.ts'
import { runCase, type CaseResult } from '../cases/run-case.ts'
import type { Engine } from '../columns/engine.ts'
import { quoteName } from '../columns/sql.ts'
import { nearestName, ToteError, type Problem } from '../errors.ts'
import type { Context } from '../events.ts'
import { bindModels } from '../models/bind.ts'
import { sameName, type ReadableTable } from '../models/dependencies.ts'
import type { ModelText } from '../models/model.ts'
import { canonicalPostgresType } from '../models/types.ts'
import { carriedType } from '../postgres/carried.ts'
import { modelTexts } from '../project/bound-models.ts'
import type { Project } from '../project/project.ts'
import { readReferences } from '../syntax/references.ts'
import { parseSql } from '../syntax/syntax-tree.ts'

export interface TestReport {
  readonly tests: readonly CaseResult[]
}

/** The folder beside the models, in every project. */
const FOLDER = 'tests'

/** Runs the tests of one model, or of all. Throws TestInvalid, ModelInvalid, UsageInvalid. */
export async function test(
  project: Project,
  options: { readonly model?: string | undefined },
  context: Context,
): Promise<TestReport> {
  const all = await readCases(join(project.folder, FOLDER), FOLDER)
  const texts = await modelTexts(project)
  const cases = chosen(all.cases, options.model)
  refuseUnknown(cases, texts)
  if (cases.length === 0) return { tests: [] }
  const engine = await project.engine(context.signal)
  try {
    const reading = await readingOf(texts, engine)
    const needed = withUpstream(
      cases.map(({ model }) => model),
      reading,
    )
    const sources = await columnsOf(
      project,
      all,
      needed.flatMap((name) => reading.get(name) ?? []),
    )
    const bare = texts
      .filter(({ name }) => needed.includes(name))
      .map((text): ModelText => ({ ...text, references: [], drivenBy: null }))
    const models = await bindModels(bare, engine, sources)
    const tests: CaseResult[] = []
    const [row] = await engine.rows('select current_database() as name')
    const home = String(row?.['name'])
    for (const each of cases) {
      const upstream = withUpstream([each.model], reading)
      const mine = models.filter(({ name }) => upstream.includes(name))
      const read = new Set(upstream.flatMap((name) => (reading.get(name) ?? []).map(keyOf)))
      const world = {
        engine,
        models: mine,
        sources: sources.filter((table) => read.has(keyOf(table))),
      }
      tests.push(await apart(engine, home, async () => runCase(each, world)))
    }
    return { tests }
  } finally {
    engine.close()
  }
}

interface Read {
  readonly schema: string | null
  readonly name: string
}

function chosen(cases: readonly Case[], model: string | undefined): readonly Case[] {
  if (model === undefined) return cases
  const found = cases.filter((one) => one.model === model)
  if (found.length > 0) return found
  const names = [...new Set(cases.map((one) => one.model))]
  const nearest = nearestName(model, names)
  const hint = nearest === undefined ? '' : ` Did you mean "${nearest}"?`
  throw new ToteError('UsageInvalid', `No test is of a model "${model}".${hint}`, {
    fix: names.length === 0 ? `write tests/${model}.md` : `there are tests of: ${names.join(', ')}`,
  })
}

function refuseUnknown(cases: readonly Case[], texts: readonly ModelText[]): void {
  const names = texts.map(({ name }) => name)
  const problems = cases
    .filter(({ model }) => !names.includes(model))
    .map(({ model, where }): Problem => {
      const nearest = nearestName(model, names)
      const hint = nearest === undefined ? '' : `. Did you mean "${nearest}"?`
      return { where, message: `there is no model "${model}"${hint}` }
    })
  if (problems.length > 0) throw testInvalid(problems)
}

/** What each model names; nothing for a select that cannot be read, which binding then says. */
async function readingOf(
  texts: readonly ModelText[],
  engine: Engine,
): Promise<ReadonlyMap<string, readonly Read[]>> {
  const reading = new Map<string, readonly Read[]>()
  for (const { name, sql } of texts) {
    const parsed = await parseSql(engine, sql)
    const [tree] = 'complaint' in parsed ? [] : parsed.statements
    const tables = tree === undefined ? [] : readReferences(tree).tables
    reading.set(
      name,
      tables.map((table) => ({
        schema: table.schema,
        name:
          table.schema === null
            ? (texts.find((text) => sameName(text.name, table.name))?.name ?? table.name)
            : table.name,
      })),
    )
  }
  return reading
}

function withUpstream(
  names: readonly string[],
  reading: ReadonlyMap<string, readonly Read[]>,
): string[] {
  const found = new Set<string>()
  const visit = (name: string): void => {
    if (found.has(name) || !reading.has(name)) return
    found.add(name)
    for (const read of reading.get(name) ?? []) if (read.schema === null) visit(read.name)
  }
  for (const name of names) visit(name)
  return [...found]
}

/** The columns of the tables that are read: those of the lake, else what the tests say. Throws TestInvalid. */
async function columnsOf(
  project: Project,
  { cases, known }: Cases,
  reads: readonly Read[],
): Promise<ReadableTable[]> {
  const said = [...known, ...cases.flatMap(({ given }) => given.map(typedColumns))]
  const problems: Problem[] = []
  const tables = new Map<string, ReadableTable>()
  for (const read of reads) {
    const { schema, name } = read
    if (schema === null || tables.has(keyOf(read))) continue
    const manifest = await project.ingestion.chain(schema).newest()
    const entry = Object.entries(manifest?.tables ?? {}).find(([table]) => sameName(table, name))
    const columns = new Map(
      (entry?.[1].columns ?? []).map((column) => [column.name, column] as const),
    )
    for (const { table, columns: typed, where } of said) {
      if (!sameName(table.schema ?? '', schema) || !sameName(table.name, name)) continue
      for (const { name: column, type: written } of typed) {
        const type = canonicalPostgresType(written) ?? written
        const before = columns.get(column)
        if (before === undefined)
          columns.set(column, {
            id: columns.size + 1,
            name: column,
            type,
            carried: carriedType(type),
            notNull: false,
          })
        else if (before.type !== type)
          problems.push({
            where,
            message: `"${column}" is ${type} here, and ${before.type} elsewhere`,
          })
      }
    }
    if (columns.size === 0) {
      problems.push({
        where: `${schema}.${name}`,
        message: `its columns are not known; write "columns ${schema}.${name}" with a table | column | type |, or run once`,
      })
    }
    const key = entry?.[1].key ?? []
    tables.set(keyOf(read), { schema, name, columns: [...columns.values()], key })
  }
  if (problems.length > 0) throw testInvalid(problems)
  return [...tables.values()]
}

/** The columns whose type stands behind their name. */
function typedColumns({ table, columns, where }: Case['given'][number]): KnownColumns {
  const typed = columns.flatMap(({ name, type }) => (type === null ? [] : [{ name, type }]))
  return { table, columns: typed, where }
}

async function apart<T>(engine: Engine, home: string, action: () => Promise<T>): Promise<T> {
  const database = quoteName(`test in ${home}`)
  await engine.run(`attach if not exists ':memory:' as ${database}; use ${database}`)
  try {
    return await action()
  } finally {
    await engine.run(`use ${quoteName(home)}; detach ${database}`)
  }
}

function keyOf({ schema, name }: Read): string {
  return `${schema ?? ''}.${name}`.toLowerCase()
}
