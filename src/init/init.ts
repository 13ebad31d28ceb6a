/**
 * A project from any PostgreSQL's catalogue. What is written has been tried: every model was bound to
 * the tables that the source says it has; one that cannot be is left out, with the reason.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEngine } from '../columns/engine.ts'
import { ToteError } from '../errors.ts'
import type { Context } from '../events.ts'
import { bindModels } from '../models/bind.ts'
import type { ReadableTable } from '../models/dependencies.ts'
import { parseModelText } from '../models/header.ts'
import { LEDGER, readDatabase, type ReadOptions } from './database.ts'
import type { Found, FoundTable } from './found.ts'
import { databaseOf, isSameDatabase, type Location } from './location.ts'
import { modelText } from './model-text.ts'
import { sourceName } from './names.ts'
import { refuseExisting, writeNewFiles } from './new-files.ts'
import { planModels, type Plan } from './plan.ts'
import { projectFiles, type NewFile } from './project-text.ts'

export interface InitOptions {
  /** Absolute; made when it is not there. */
  readonly folder: string
  readonly source: Location
  /** null: the embedded server. */
  readonly warehouse: Location | null
  readonly schemas: readonly string[]
  readonly tables: readonly string[]
  readonly dependencies: Readonly<Record<string, string>>
}

export interface Initialized {
  readonly project: string
  readonly source: string
  readonly found: Found
  readonly plan: Plan
  readonly files: readonly NewFile[]
}

/** Writes the project. Throws UsageInvalid when a file of it is there, SourceTableUnknown when there is nothing to carry. */
export async function init(options: InitOptions, context: Context): Promise<Initialized> {
  const { folder, source, warehouse } = options
  // Before the database is asked: who made a mistake should not wait for it.
  await refuseExisting(folder, [
    'tote.config.ts',
    '.gitignore',
    '.env.example',
    ...(source.given || warehouse?.given === true ? ['.env'] : []),
    'package.json',
    'README.md',
  ])
  const name = sourceName(databaseOf(source.url))
  const shares = warehouse !== null && isSameDatabase(source.url, warehouse.url)
  const reading: ReadOptions = {
    source: name,
    url: source.url,
    schemas: options.schemas,
    tables: options.tables,
    ownSchemas: shares ? [LEDGER, SHARED_SCHEMA] : [],
  }
  const found = await readDatabase(reading, context)
  const plan = await planSound(found, name, context)
  const files = projectFiles({
    name,
    source,
    warehouse,
    warehouseSchema: shares ? SHARED_SCHEMA : 'public',
    found,
    plan,
    dependencies: options.dependencies,
  })
  await writeNewFiles(folder, files, context.run)
  return { project: name, source: name, found, plan, files }
}

/** The star's schema where source and warehouse are one database. */
const SHARED_SCHEMA = 'warehouse'

/** Plans, binds, and plans again without what cannot be bound. */
async function planSound(found: Found, source: string, context: Context): Promise<Plan> {
  const tempFolder = await mkdtemp(join(tmpdir(), 'tote-init-'))
  const engine = await openEngine({ tempFolder, signal: context.signal })
  const tables = found.tables.map((table) => readable(table, source))
  const without = new Map<string, string>()
  try {
    for (;;) {
      const plan = planModels(found, source, without)
      const parsed = plan.models.map((model) =>
        parseModelText(model.name, model.name, modelText(model, source)),
      )
      const problems = parsed.flatMap((one) => one.problems)
      const texts = parsed.flatMap(({ model }) => model ?? [])
      const refused = problems.length > 0 ? problems : await bindingProblems(texts, engine, tables)
      const unsound = plan.models.filter(
        (model) =>
          refused.some(({ where }) => where.replace(/(:\d+)+$/, '') === model.name) ||
          refused.some(({ where }) => where === `${source}.${model.source}`),
      )
      if (refused.length === 0) return plan
      if (unsound.length === 0)
        throw new ToteError('Bug', 'The generated models cannot be bound.', { problems: refused })
      for (const { origin, name, source: table } of unsound) {
        const why = refused.find(
          ({ where }) => where.replace(/(:\d+)+$/, '') === name || where === `${source}.${table}`,
        )
        without.set(origin, `is carried into the lake, but has no model: ${why?.message ?? ''}`)
      }
    }
  } finally {
    engine.close()
    await rm(tempFolder, { recursive: true, force: true })
  }
}

async function bindingProblems(
  ...given: Parameters<typeof bindModels>
): Promise<readonly { where: string; message: string }[]> {
  try {
    await bindModels(...given)
    return []
  } catch (error) {
    if (error instanceof ToteError && error.name === 'ModelInvalid' && error.facts.problems)
      return error.facts.problems
    throw error
  }
}

function readable({ name, key, columns }: FoundTable, schema: string): ReadableTable {
  return {
    schema,
    name,
    key,
    columns: columns.map(({ name: column, type, carried, notNull }, index) => ({
      id: index + 1,
      name: column,
      type,
      carried,
      notNull,
    })),
  }
}
