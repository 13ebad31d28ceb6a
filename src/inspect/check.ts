/**
 * `tote check`: the project's config and models; with `live`, also whether source and warehouse can be
 * reached with the rights that a run needs; with `data`, whether the models are functions of the rows in
 * the lake. Starts nothing and writes nothing.
 */
import { writeTableName } from '../config/table-name.ts'
import { proveDeterminism } from '../evaluation/determinism.ts'
import { ToteError, toToteError, type Problem } from '../errors.ts'
import type { Context } from '../events.ts'
import { bindModels } from '../models/bind.ts'
import { describePreview, previewEdits } from '../evaluation/preview.ts'
import type { Model } from '../models/model.ts'
import { followShapes } from '../extraction/shapes.ts'
import type { SourceIdentity, SourceTable } from '../sources/source.ts'
import type { Column } from '../types.ts'
import { refuseForeignLedger } from '../pipeline/load.ts'
import { checkModels } from '../pipeline/load-restated.ts'
import { starOfModels } from '../pipeline/star.ts'
import { editsOf, madeOtherwise, reached, whyEdited } from '../project/edits.ts'
import { newestInputs, refuseForeignInputs, refuseForeignLake } from '../project/inputs.ts'
import { modelFolder, modelTexts } from '../project/bound-models.ts'
import type { Project } from '../project/project.ts'

export interface CheckReport {
  /** When one was chosen. */
  readonly environment?: string
  readonly passed: readonly { readonly what: string; readonly detail: string }[]
  readonly warnings: readonly Problem[]
}

interface KnownTable {
  readonly schema: string
  readonly name: string
  /** As SourceTable has it. */
  readonly origin?: string | undefined
  readonly columns: readonly Column[]
  readonly key: readonly string[]
}

/** Throws the one error there is, or the first with every other as a problem. */
export async function check(
  project: Project,
  options: { readonly live: boolean; readonly data?: boolean | undefined },
  context: Context,
): Promise<CheckReport> {
  // All else that is wrong then may follow from it.
  await refuseForeignLake(project)
  await refuseForeignInputs(project)
  const passed: { what: string; detail: string }[] = [
    { what: 'config', detail: project.settings.configFile },
  ]
  const failures: ToteError[] = []
  const warnings: Problem[] = []
  const attempt = async (what: string, action: () => Promise<string>): Promise<void> => {
    try {
      passed.push({ what, detail: await action() })
    } catch (error) {
      context.signal.throwIfAborted()
      failures.push(toToteError(error))
    }
  }
  const tables: KnownTable[] = []
  const identities = new Map<string, SourceIdentity>()
  for (const { source } of project.sources) {
    const manifest = await project.ingestion.chain(source.name).newest()
    if (options.live) {
      await attempt(`source ${source.name}`, async () => {
        const snapshot = await source.snapshot(context)
        await snapshot.close()
        identities.set(source.name, snapshot.identity)
        for (const { text: message } of snapshot.warnings ?? [])
          warnings.push({ where: `sources.${source.name}`, message })
        const shapes = followShapes(snapshot.tables, manifest, {
          source: source.name,
          accepts: () => false,
        })
        for (const { level, text } of shapes.notes)
          if (level === 'warn') warnings.push({ where: `sources.${source.name}`, message: text })
        tables.push(
          ...shapes.tables.map(({ name, origin, key }) => ({
            schema: source.name,
            name,
            origin,
            columns: shapes.columns.get(name) ?? [],
            key,
          })),
        )
        // Models read on what the source has no more.
        for (const name of shapes.gone) {
          const { columns = [], key = [] } = manifest?.tables[name] ?? {}
          tables.push({ schema: source.name, name, columns, key })
        }
        const { length } = snapshot.tables
        const how = describeStrategies(snapshot.tables)
        return `${length} ${length === 1 ? 'table' : 'tables'} can be read${how}`
      })
    } else {
      for (const [name, entry] of Object.entries(manifest?.tables ?? {}))
        tables.push({ schema: source.name, name, columns: entry.columns, key: entry.key })
    }
  }
  const sourcesKnown =
    failures.length === 0 &&
    project.sources.every(({ source }) => tables.some((table) => table.schema === source.name))
  let models: readonly Model[] | undefined
  await attempt('models', async () => {
    if (!sourcesKnown)
      return `${(await modelTexts(project)).length} headers; their SQL is checked with --live, or after the first run`
    const { texts, unreadable } = await modelFolder(project)
    const engine = await project.engine(context.signal)
    try {
      models = await bindModels(texts, engine, tables, unreadable)
    } finally {
      engine.close()
    }
    return `${texts.length} ${texts.length === 1 ? 'model' : 'models'}`
  })
  if (options.live) {
    await attempt('warehouse', async () => {
      const place = await project.warehouse.probe()
      for (const [source, { started, databaseOid }] of identities)
        if (started === place.started && databaseOid === place.databaseOid)
          warnings.push(...ownTables(project, source, { tables, models: models ?? [] }))
      const newest = await project.processed.chain(project.name).newest()
      await refuseForeignLedger(project, newest, await project.warehouse.last(project.name))
      await project.warehouse.refuseStrangers(project.name, starOfModels(models ?? []))
      if (models !== undefined) await checkModels(project, models)
      return 'can be loaded'
    })
  }
  if (options.data === true && models !== undefined) {
    const bound = models
    await attempt('data', async () => checkData(project, bound, context))
  }
  if (models !== undefined && failures.length === 0)
    warnings.push(...(await editWarnings(project, models, options.data === true, context)))
  throwTogether(failures)
  return {
    ...(project.environment === null ? {} : { environment: project.environment }),
    passed,
    warnings,
  }
}

/** A source in the warehouse's own database must not carry the star. */
function ownTables(
  { settings }: Pick<Project, 'settings'>,
  source: string,
  known: { readonly tables: readonly KnownTable[]; readonly models: readonly Model[] },
): Problem[] {
  const star = new Set(
    known.models.map(({ name }) => writeTableName(settings.warehouse.schema, name)),
  )
  const own = known.tables.flatMap((table) =>
    table.schema === source && star.has(table.origin ?? '') ? [table.origin ?? ''] : [],
  )
  if (own.length === 0) return []
  const some = own.slice(0, 3).join(', ')
  return [
    {
      where: `sources.${source}.tables`,
      message: `this is the warehouse's database, too, and ${own.length === 1 ? 'a table' : `${own.length} tables`} of the star would be read again with every batch (${own.length > 3 ? `${some}, …` : some}): exclude the star, or give it a schema of its own`,
    },
  ]
}

/** How the changes of tables are found, where not by comparing all of their rows. */
function describeStrategies(tables: readonly SourceTable[]): string {
  const byPairs = tables.filter(({ pairs }) => pairs !== undefined).length
  return byPairs === 0 ? '' : `, ${byPairs} by xmin`
}

/** Runs the models on the rows of the newest batches. */
async function checkData(
  project: Project,
  models: readonly Model[],
  context: Context,
): Promise<string> {
  const inputs = await newestInputs(project)
  if (inputs === null) return 'the lake has no rows yet; after the first run'
  await proveDeterminism({ ...project, inputs, models, signal: context.signal })
  return `${models.length} models yield the same whatever the order of rows`
}

/** What the next run will do about edited models; with `data`, to how many rows. */
async function editWarnings(
  project: Project,
  models: readonly Model[],
  data: boolean,
  context: Context,
): Promise<Problem[]> {
  const newest = await project.processed.chain(project.name).newest()
  if (newest === null) return []
  const edits = editsOf(newest, models)
  const edited = reached(edits, models)
  const previews = new Map<string, string>()
  const inputs = data && edited.size > 0 ? await newestInputs(project) : null
  if (inputs !== null) {
    const engine = await project.engine(context.signal)
    try {
      for (const preview of await previewEdits({
        ...project,
        engine,
        newest,
        inputs,
        models,
        edited,
      }))
        previews.set(preview.model, `: ${describePreview(preview)}`)
    } finally {
      engine.close()
    }
  }
  return [
    ...models
      .filter(({ name }) => edited.has(name))
      .map(({ name, path }) => ({
        where: path,
        message: `${whyEdited(name, edits)}${previews.get(name) ?? ''}; the next run restates it, or with --forward begins it now`,
      })),
    ...models.flatMap((model) => {
      const entry = newest.tables[model.name]
      const made =
        entry === undefined || edits.added.has(model.name) ? null : madeOtherwise(model, entry)
      return made === null ? [] : [{ where: model.path, message: `was edited: ${made.text}` }]
    }),
    ...[...edits.removed].map((name) => ({
      where: `${name}.sql`,
      message:
        'is no longer there: its rows stay in lake and warehouse, and are not loaded any more',
    })),
  ]
}

function throwTogether(failures: readonly ToteError[]): void {
  const [first, ...others] = failures
  if (first === undefined) return
  if (others.length === 0) throw first
  throw new ToteError(first.name, `${failures.length} things are wrong.`, {
    problems: failures.flatMap((failure) => [
      { where: failure.facts.where ?? failure.name, message: failure.message },
      ...(failure.facts.problems ?? []),
    ]),
    terminal: failures.flatMap((failure) => failure.facts.terminal ?? []),
    cause: first,
  })
}
