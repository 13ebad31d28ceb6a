/**
 * The project's models: as they are written, and bound to what the sources look like now. Binding reads no row, so the same texts on the same
 * columns give the same models: a project that stays open binds them once, not in every run.
 */
import { relative } from 'node:path'
import { bindModels } from '../models/bind.ts'
import type { Model, ModelText } from '../models/model.ts'
import { readModels } from '../models/read-models.ts'
import type { Context } from '../events.ts'
import type { CommittedManifest } from '../lake/manifest.ts'
import type { Project } from './project.ts'

/** The project's models as they are written. Throws ModelInvalid with every problem of every header. */
export async function modelTexts({ folder, settings }: Project): Promise<ModelText[]> {
  return readModels(settings.models, relative(folder, settings.models) || '.')
}

const known = new WeakMap<Project, { readonly of: string; readonly models: readonly Model[] }>()

/** In the order in which they can be evaluated. Throws ModelInvalid with all problems, ModelCycle, or ModelNotDriven. */
export async function boundModels(
  project: Project,
  texts: readonly ModelText[],
  inputs: ReadonlyMap<string, CommittedManifest>,
  context: Context,
): Promise<readonly Model[]> {
  const sources = [...inputs].flatMap(([schema, manifest]) =>
    Object.entries(manifest.tables).map(([name, { columns, key }]) => ({
      schema,
      name,
      columns,
      key,
    })),
  )
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
