/** What became of a model at a point. */
import type { EvaluatedModel, ModelToEvaluate, UnsoundModel } from './evaluate-model.ts'

export interface PassedModel extends ModelToEvaluate {
  readonly result:
    | EvaluatedModel
    | UnsoundModel
    | { readonly outcome: 'skipped' }
    | { readonly outcome: 'recorded'; readonly changed: boolean }
}

/** By name. */
export type PassedModels = ReadonlyMap<string, PassedModel>
