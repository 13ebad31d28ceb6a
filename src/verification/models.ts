/**
 * Models against the lake: each query, run afresh over the rows that the newest processed batch stands for,
 * must yield the rows that were kept of it difference by difference (P7). What a model reads of other
 * models are their kept rows, so that a difference is told of the model that made it.
 */
import { relative } from 'node:path'
import { EngineFailure, type Engine } from '../columns/engine.ts'
import { isFloat, quoteName } from '../columns/sql.ts'
import { toText } from '../columns/text.ts'
import type { Context, VerifiedTable } from '../events.ts'
import { openRelations } from '../evaluation/relations.ts'
import { continueModel } from '../lake/column-ids.ts'
import type { CommittedManifest } from '../lake/manifest.ts'
import { rowsAsOf } from '../lake/read.ts'
import { modelFailed } from '../models/checks.ts'
import { modelQuery, type Model } from '../models/model.ts'
import { readModels } from '../models/read-models.ts'
import { boundModels } from '../project/bound-models.ts'
import { newestInputs } from '../project/inputs.ts'
import type { Project } from '../project/project.ts'
import type { Column } from '../types.ts'
import { compareSides, type Findings } from './compare.ts'
import { queriedSide, type Side } from './sides.ts'

export interface ModelsToVerify {
  readonly manifest: CommittedManifest
  readonly wanted: (table: string) => boolean
}

/** Emits `table.verified` for each model. Throws ModelInvalid, ModelFailed. */
export async function verifyModels(
  project: Project,
  { manifest, wanted }: ModelsToVerify,
  context: Context,
): Promise<VerifiedTable[]> {
  const inputs = await newestInputs(project)
  if (inputs === null) return []
  const shownAs = relative(project.folder, project.settings.models) || '.'
  const texts = await readModels(project.settings.models, shownAs)
  const models = await boundModels(project, texts, inputs, context)
  const kept = models.filter(({ name }) => manifest.tables[name] !== undefined)
  const batches = Object.fromEntries(
    Object.entries(manifest.inputs ?? {}).map(([source, { batch }]) => [source, batch]),
  )
  const engine = await project.engine(context.signal)
  const verified: VerifiedTable[] = []
  try {
    const reads = kept.flatMap((model) => model.reads)
    const relations = await openRelations(project.ingestion, {
      engine,
      inputs,
      batches,
      parent: null,
      reads,
    })
    for (const model of kept)
      relations.define(model.name, false, async () => {
        const rows = await rowsAsOf(project.processed, manifest, model.name, manifest.batch)
        return `create view ${quoteName(model.name)} as ${rows}`
      })
    for (const model of kept.filter(({ name }) => wanted(name))) {
      const startedAt = context.now().getTime()
      await relations.need(model.reads)
      const findings = await verifyModel(project, engine, { model, manifest })
      const found = { what: 'model' as const, table: model.name, ...findings, repaired: false }
      context.emit({ type: 'table.verified', ms: context.now().getTime() - startedAt, ...found })
      verified.push(found)
    }
  } finally {
    engine.close()
  }
  return verified
}

async function verifyModel(
  project: Project,
  engine: Engine,
  { model, manifest }: { readonly model: Model; readonly manifest: CommittedManifest },
): Promise<Findings> {
  const { name } = model
  const columns = continueModel(model.columns, manifest.tables[name]?.columns ?? [])
  const rows = await rowsAsOf(project.processed, manifest, name, manifest.batch, columns)
  const side = (query: string): Side => queriedSide(query, columns.map(exact))
  try {
    const { findings } = await compareSides(engine, {
      columns: columns.map((column) => column.name),
      key: model.key,
      expected: side(modelQuery(model)),
      found: side(rows),
    })
    return findings
  } catch (error) {
    if (!(error instanceof EngineFailure)) throw error
    throw modelFailed(model, error)
  }
}

/** Both sides are of one type; 0 and -0 have one hash, and two texts. */
function exact({ name, carried }: Column): string {
  const value = `r.${quoteName(name)}`
  return isFloat(carried) ? toText(value, carried) : value
}
