/** The checks of a point's models: only of rows that can be others than those that passed before. */
import type { Engine } from '../columns/engine.ts'
import { quoteName } from '../columns/sql.ts'
import { TerminalOnly, type Context } from '../events.ts'
import {
  checkFailure,
  countRows,
  digestOfChecks,
  failingRows,
  hasUniqueColumns,
  runChecks,
  type CheckResult,
} from '../models/checks.ts'
import type { CommittedManifest } from '../lake/manifest.ts'
import { changesIn, filesBetween } from '../lake/read.ts'
import type { Zone } from '../lake/zone.ts'
import type { Model } from '../models/model.ts'
import type { PassedModel, PassedModels } from './passed-model.ts'
import type { Relations } from './relations.ts'
import { sideBySide } from './side-by-side.ts'

export interface PointToCheck {
  readonly engines: readonly Engine[]
  readonly models: readonly Model[]
  readonly relations: Relations
  readonly passed: PassedModels
  /** Where the models' rows of earlier batches are. */
  readonly processed: Zone
  readonly inputs: ReadonlyMap<string, CommittedManifest>
}

/** Runs the checks that rows may fail now, says which failed, and throws CheckFailed when one of severity error did. */
export async function checkModels(
  results: readonly PassedModel[],
  point: PointToCheck,
  context: Context,
): Promise<void> {
  const { engines, models, relations, passed } = point
  const checked = await sideBySide(results, engines, async (one, engine) => {
    const { model: whole, before, result } = one
    const isRecorded = result.outcome === 'recorded'
    const model = isRecorded ? withoutDemands(whole, passed) : whole
    if (isRecorded && model.references.length === 0) return []
    const isUnsound = result.outcome === 'unsound key'
    // Rows that were there before passed these checks, unless a row that they refer to has gone.
    const passedBefore = before?.entry.position['checks'] === digestOfChecks(model)
    const only =
      !isRecorded && passedBefore && !refersToLost(model, passed) ? changedRows(result) : 'all'
    if (only === 'none') return []
    const { need } = relations.on(engine)
    await need(model.references.map(({ model: name }) => ({ schema: null, name })))
    if ((only === 'all' || hasUniqueColumns(model)) && !isUnsound)
      await need([{ schema: null, name: model.name }])
    const rows =
      'evaluated' in result && (only !== 'all' || isUnsound)
        ? { rows: quoteName(result.evaluated) }
        : {}
    const relationOf = quoteName
    const checks = { model, models, relationOf, engine, soundKey: !isUnsound, ...rows }
    const found = await runChecks(checks)
    const readsGone = found.some(mayBeOfGone) && readsTableThatIsGone(whole, point)
    return readsGone ? Promise.all(found.map(async (one) => judgeGone(one, checks, point))) : found
  })
  const found: readonly CheckResult[] = checked.flat()
  for (const { model, check: failed, rows, keys } of found.filter((result) => result.rows > 0)) {
    context.emit({
      type: 'check.failed',
      model,
      check: failed.name,
      severity: failed.severity,
      rows,
      keys: new TerminalOnly(keys),
    })
  }
  const failure = checkFailure(found)
  if (failure !== undefined) throw failure
}

/** A reference that points at nothing. */
function mayBeOfGone({ check, rows }: CheckResult): boolean {
  return check.rule.type === 'references' && check.severity === 'error' && rows > 0
}

/** Also by way of other models. */
function readsTableThatIsGone(
  model: Model,
  { models, inputs }: Pick<PointToCheck, 'models' | 'inputs'>,
): boolean {
  return model.reads.some(({ schema, name }) => {
    if (schema !== null) return inputs.get(schema)?.tables[name]?.gone === true
    const other = models.find((candidate) => candidate.name === name)
    return other !== undefined && readsTableThatIsGone(other, { models, inputs })
  })
}

/**
 * Rows of a table that is gone are history that stays, and what they refer to goes on living: that it has gone since is no
 * fault that anybody could mend, and the warehouse keeps it, marked. What was never there stays an error.
 */
async function judgeGone(
  result: CheckResult,
  { model, engine, rows }: Pick<Parameters<typeof runChecks>[0], 'model' | 'engine' | 'rows'>,
  { passed, processed }: PointToCheck,
): Promise<CheckResult> {
  const { check } = result
  if (!mayBeOfGone(result) || check.rule.type !== 'references') return result
  const { model: target, modelColumn } = check.rule
  const before = passed.get(target)?.before ?? null
  if (before === null) return result
  const { manifest, entry } = before
  const files = await filesBetween(processed, manifest, target, 0, manifest.batch)
  if (files.length === 0) return result
  const key = quoteName(modelColumn)
  const ever = `(select ${key} from ${quoteName(target)} union all select ${key} from (${await changesIn(processed, entry, files)}))`
  const relation = rows ?? quoteName(model.name)
  const { count } = failingRows({ check, relation, relationOf: () => ever, key: model.key })
  if ((await countRows(engine, count)) !== 0) return result
  const name = `${check.name} of a table that is gone`
  return { ...result, check: { ...check, name, severity: 'warn' } }
}

/** Which rows of a model can be others than those that were checked before. */
function changedRows(result: PassedModel['result']): 'all' | 'evaluated' | 'none' {
  if (!('way' in result)) return 'none'
  if (result.outcome === 'unsound key') return 'all'
  const { inserted, updated, deleted } = result.counts
  if (inserted + updated + deleted === 0) return 'none'
  return result.way === 'driven' ? 'evaluated' : 'all'
}

/** Of a model of record only what it refers to in models that are not: the rest held when it was recorded. */
function withoutDemands(model: Model, passed: PassedModels): Model {
  return {
    ...model,
    checks: [],
    columns: model.columns.map((column) => ({ ...column, notNull: false })),
    references: model.references.filter(
      (reference) => passed.get(reference.model)?.result.outcome !== 'recorded',
    ),
  }
}

function refersToLost(model: Model, passed: PassedModels): boolean {
  return model.references.some(({ model: target }) => {
    const result = passed.get(target)?.result
    return (
      result?.outcome === 'unsound key' ||
      (result?.outcome === 'recorded' && result.changed) ||
      (result?.outcome === 'evaluated' && result.counts.deleted > 0)
    )
  })
}
