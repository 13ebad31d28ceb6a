/**
 * The project's models: as they are written, and bound to what the sources look like now. Binding reads no row, so the same texts on the same
 * columns give the same models: a project that stays open binds them once, not in every run.
 */
import { relative } from 'node:path'
import { bindModels } from '../models/bind.ts'
import type { Model, ModelText } from '../models/model.ts'
import type { ReadableTable } from '../models/dependencies.ts'
import { readFolder, readModels } from '../models/read-models.ts'
import type { Context } from '../events.ts'
import type { CommittedManifest } from '../lake/manifest.ts'
import type { Project } from './project.ts'

/** The project's models as they are written. Throws ModelInvalid with every problem of every header. */
export async function modelTexts({ folder, settings }: Project): Promise<ModelText[]> {
  return readModels(settings.models, relative(folder, settings.models) || '.')
}

/** The same, with what cannot be read beside them. Throws ModelInvalid when there is no folder. */
export async function modelFolder({ folder, settings }: Project): ReturnType<typeof readFolder> {
  return readFolder(settings.models, relative(folder, settings.models) || '.')
}

/** The same; where a header cannot be read, ModelInvalid names what is wrong with the SQL of the other models, too. */
export async function readableTexts(
  project: Project,
  inputs: ReadonlyMap<string, CommittedManifest>,
  context: Context,
): Promise<ModelText[]> {
  const { texts, unreadable } = await modelFolder(project)
  if (unreadable.names.length === 0) return texts
  const engine = await project.engine(context.signal)
  try {
    await bindModels(texts, engine, readableTables(inputs), unreadable)
  } finally {
    engine.close()
  }
  return texts
}

function readableTables(inputs: ReadonlyMap<string, CommittedManifest>): ReadableTable[] {
  return [...inputs].flatMap(([schema, manifest]) =>
    Object.entries(manifest.tables).map(([name, { columns, key }]) => ({
      schema,
      name,
      columns,
      key,
    })),
  )
}

const known = new WeakMap<Project, { readonly of: string; readonly models: readonly Model[] }>()

/** In the order in which they can be evaluated. Throws ModelInvalid with all problems, ModelCycle, or ModelNotDriven. */
export async function boundModels(
  project: Project,
  texts: readonly ModelText[],
  inputs: ReadonlyMap<string, CommittedManifest>,
  context: Context,
): Promise<readonly Model[]> {
  const sources = readableTables(inputs)
  const of = JSON.stringify([texts, sources])
  const before = known.get(project)
  if (before?.of === of) return before.models
  const engine = await project.engine(context.signal)
  try {
    const models = await bindModels(texts, engine, sources)
    known.set(project, { of, models })
    return models
  } finally {
    engine.close()
  }
}
