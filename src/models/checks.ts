/**
 * The checks of a model's rows, run in every batch before anything is committed: one query counts
 * the failing rows of all checks, those of references together; only what failed is asked for keys.
 */
import { createHash } from 'node:crypto'
import { EngineFailure, type Engine } from '../columns/engine.ts'
import { quoteName, quoteNames } from '../columns/sql.ts'
import { tryText } from '../columns/text.ts'
import { ToteError, type Problem } from '../errors.ts'
import type { Check, Model } from './model.ts'

export interface CheckResult {
  readonly model: string
  readonly check: Check
  /** Rows that fail; 0 when the check holds. */
  readonly rows: number
  /** The first keys of failing rows, for a person's own terminal only (P10). */
  readonly keys: readonly string[]
}

type ReferenceRule = Extract<Check['rule'], { type: 'references' }>

/** SQL for a relation that holds the rows of a model, to stand after `from`: best a table, it is read more than once. */
export type RelationOf = (model: string) => string

const SAMPLE = 5

/** All checks of a model: of its key, of its columns, of its references, and those of its header. */
export function checksOf(
  model: Pick<Model, 'key' | 'columns' | 'references' | 'checks'>,
  keyOf: (model: string) => string,
): Check[] {
  const error = 'error' as const
  return [
    ...model.columns
      .filter((column) => column.notNull)
      .map(({ name }): Check => ({
        name: `not null(${name})`,
        severity: error,
        rule: { type: 'not null', columns: [name] },
      })),
    {
      name: `unique(${model.key.join(', ')})`,
      severity: error,
      rule: { type: 'unique', columns: model.key },
    },
    ...model.references.map(({ column, model: other }): Check => {
      const rule = { type: 'references', column, model: other, modelColumn: keyOf(other) } as const
      return { name: `references(${column} -> ${other})`, severity: error, rule }
    }),
    ...model.columns.flatMap(lengthCheck),
    ...model.checks,
  ]
}

/** Rows that passed these checks pass them again while this is the same: what the header adds to the definition. */
export function digestOfChecks({ checks }: Pick<Model, 'checks'>): string {
  const said = checks.map(({ name, severity }) => [name, severity])
  return createHash('sha256').update(JSON.stringify(said)).digest('hex')
}

/** What the warehouse would refuse must be known before the commit. */
function lengthCheck({ name, type, carried }: Model['columns'][number]): Check[] {
  const length = /^character(?: varying)?\((\d+)\)$/.exec(type)?.[1]
  if (length === undefined || carried !== 'VARCHAR') return []
  const condition = `length(${quoteName(name)}) <= ${length}`
  return [
    { name: `length(${name}) <= ${length}`, severity: 'error', rule: { type: 'row', condition } },
  ]
}

/** SQL over the rows of a model that fail a check: `count` yields one number, `sample` the first keys. */
export function failingRows(options: {
  readonly check: Check
  readonly relation: string
  /** All rows, where `relation` holds some of them. */
  readonly among?: string
  readonly relationOf: RelationOf
  readonly key: readonly string[]
}): { readonly count: string; readonly sample: string } {
  const { check, relation, among = relation, relationOf, key } = options
  const keys = quoteNames(key)
  const { rule } = check
  if (rule.type === 'unique') {
    const columns = quoteNames(rule.columns)
    const present = rule.columns.map((name) => `${quoteName(name)} is not null`).join(' and ')
    const groups = `select ${columns}, count(*) as _tote_n from ${among} where ${present} group by ${columns} having count(*) > 1`
    return {
      count: `select coalesce(sum(_tote_n), 0) from (${groups})`,
      sample: `select ${columns} from (${groups}) order by ${columns} limit ${SAMPLE}`,
    }
  }
  const failing = `from ${asJudged(rule, relation)} as r where ${failingCondition(rule, relationOf)}`
  return {
    count: `select count(*) ${failing}`,
    sample: `select ${keys} ${failing} order by ${keys} limit ${SAMPLE}`,
  }
}

/**
 * Runs all checks of a model over its evaluated rows. Throws ModelFailed when a condition cannot be
 * evaluated. `models` are all models, for the keys that references point to.
 */
export async function runChecks(options: {
  readonly model: Model
  readonly models: readonly Model[]
  readonly relationOf: RelationOf
  readonly engine: Engine
  /** Every key is known to be whole and there once: it need not be counted again. */
  readonly soundKey?: boolean
  /** The rows to check, where they are not all: SQL like that of `relationOf`. What must be unique is so among all. */
  readonly rows?: string
}): Promise<CheckResult[]> {
  const { model, models, relationOf, engine, soundKey = false } = options
  const keyOf = (name: string): string =>
    models.find((candidate) => candidate.name === name)?.key[0] ?? ''
  const relation = options.rows ?? relationOf(model.name)
  const among = soundKey ? relationOf(model.name) : relation
  const checks = checksOf(model, keyOf).filter(
    ({ rule }) => !(soundKey && isUniqueKey(rule, model)),
  )
  try {
    const [counts = {}] = await engine.rows(
      countAll(checks, { relation, among, relationOf, key: model.key }),
    )
    const isDangling = Number(counts['dangling'] ?? 0) > 0
    const results: CheckResult[] = []
    for (const [index, check] of checks.entries()) {
      const { count, sample } = failingRows({ check, relation, among, relationOf, key: model.key })
      const isReference = check.rule.type === 'references'
      const rows =
        isReference && isDangling
          ? await countRows(engine, count)
          : Number(counts[`c${index}`] ?? 0)
      const keys =
        rows === 0 ? [] : (await engine.rows(sample)).map((row) => formatKey(Object.values(row)))
      results.push({ model: model.name, check, rows, keys })
    }
    return results
  } catch (error) {
    if (!(error instanceof EngineFailure)) throw error
    throw modelFailed(model, error)
  }
}

/** The number that `count` of failingRows yields. */
export async function countRows(engine: Engine, count: string): Promise<number> {
  const [row] = await engine.rows(`select (${count}) as n`)
  return Number(row?.['n'])
}

function isUniqueKey(rule: Check['rule'], { key }: Pick<Model, 'key'>): boolean {
  return rule.type === 'unique' && JSON.stringify(rule.columns) === JSON.stringify(key)
}

/**
 * One query with the failing rows of every check as `c0`, `c1`, …, all but those of uniqueness in one pass; of references there is
 * only their sum, `dangling`: one join for each model that they point to is planned and done in half the time of one for each column.
 */
export function countAll(
  checks: readonly Check[],
  options: {
    readonly relation: string
    readonly among?: string
    readonly relationOf: RelationOf
    readonly key: readonly string[]
  },
): string {
  const { relation, relationOf } = options
  const columns = checks.flatMap((check, index) => {
    const { rule } = check
    if (rule.type === 'references') return []
    if (rule.type === 'unique' || isJudgedApart(rule))
      return [`(${failingRows({ check, ...options }).count}) as c${index}`]
    return [`count(*) filter (where ${failingCondition(rule, relationOf)}) as c${index}`]
  })
  const references = checks.flatMap(({ rule }) => (rule.type === 'references' ? [rule] : []))
  if (references.length > 0)
    columns.push(`(${countDangling(references, relation, relationOf)}) as dangling`)
  return `select ${columns.join(', ')} from ${relation} as r`
}

function isJudgedApart(
  rule: Check['rule'],
): rule is { type: 'row'; condition: string; judgedAs: Readonly<Record<string, string>> } {
  return rule.type === 'row' && rule.judgedAs !== undefined
}

/** The rows that a condition on one of them can be told of. */
function asJudged(rule: Check['rule'], relation: string): string {
  if (!isJudgedApart(rule)) return relation
  const columns = Object.entries(rule.judgedAs).map(([name, type]) => {
    const text = quoteName(name)
    return { text, value: tryText(text, type) }
  })
  const values = columns.map(({ text, value }) => `${value} as ${text}`).join(', ')
  const fit = columns.map(({ text, value }) => `(${text} is null or ${value} is not null)`)
  return `(select * replace (${values}) from ${relation} where ${fit.join(' and ')})`
}

/** CheckFailed with every check of severity error that failed, or undefined when none did. */
export function checkFailure(results: readonly CheckResult[]): ToteError | undefined {
  const failed = results.filter(({ check, rows }) => check.severity === 'error' && rows > 0)
  if (failed.length === 0) return undefined
  const problems: Problem[] = failed.map(({ model, check, rows }) => ({
    where: model,
    message: `${check.name}: ${rowCount(rows)}`,
  }))
  const [first] = problems
  const message =
    failed.length === 1
      ? `Check ${failed[0]?.check.name} failed on ${first?.where}: ${rowCount(failed[0]?.rows ?? 0)}.`
      : `${failed.length} checks failed.`
  return new ToteError('CheckFailed', `${message} Nothing was committed.`, {
    fix: 'Correct the rows at the source, or the model; the next run goes on from there.',
    ...(failed.length === 1 ? { where: first?.where } : { problems }),
    terminal: failed.map(
      ({ model, check, keys }) => `${model} ${check.name}, first keys: ${keys.join(', ')}`,
    ),
  })
}

/** Whether a header asks for more than its own key to be unique: that is known of all rows only. */
export function hasUniqueColumns(model: Pick<Model, 'key' | 'checks'>): boolean {
  return model.checks.some(({ rule }) => rule.type === 'unique' && !isUniqueKey(rule, model))
}

/** What evaluating a model, or its checks, failed with: DuckDB's text may hold values, so only the terminal sees it. */
export function modelFailed(
  model: Pick<Model, 'name' | 'path'>,
  failure: EngineFailure,
): ToteError {
  return new ToteError(
    'ModelFailed',
    `The model "${model.name}" could not be evaluated: ${failureKind(failure.message)}.`,
    {
      where: model.path,
      fix: 'Correct the value at the source, or let the model say what it becomes.',
      terminal: failure.message.split('\n'),
    },
  )
}

/** DuckDB's first words name the kind of error, and never a value: `Conversion Error`. */
function failureKind(message: string): string {
  const kind = /^([A-Z][A-Za-z-]+(?: [A-Za-z-]+)?) Error/.exec(message)?.[1]
  return kind === undefined ? 'DuckDB refused it' : `${kind.toLowerCase()} error`
}

/** How many values are no key of the model that their column refers to, by the rule of failingCondition. */
function countDangling(
  references: readonly ReferenceRule[],
  relation: string,
  relationOf: RelationOf,
): string {
  const keys = new Map(references.map(({ model, modelColumn }) => [model, modelColumn]))
  const dangling = [...keys].map(([model, key]) => {
    // They have one type, that of the key (referenceFindings).
    const values = references
      .filter((reference) => reference.model === model)
      .map(({ column }) => `select ${quoteName(column)} as v from ${relation}`)
    return (
      `select 1 from (${values.join(' union all ')}) as r anti join ${relationOf(model)} as o` +
      ` on r.v = o.${quoteName(key)} where r.v is not null`
    )
  })
  return `select count(*) from (${dangling.join(' union all ')})`
}

function failingCondition(
  rule: Exclude<Check['rule'], { type: 'unique' }>,
  relationOf: RelationOf,
): string {
  switch (rule.type) {
    case 'not null':
      return rule.columns.map((name) => `r.${quoteName(name)} is null`).join(' or ')
    case 'row':
      // The line break ends a comment in the condition.
      return `not coalesce((${rule.condition}\n), true)`
    case 'references': {
      const column = `r.${quoteName(rule.column)}`
      return (
        `${column} is not null and not exists (select 1 from ${relationOf(rule.model)} as o` +
        ` where o.${quoteName(rule.modelColumn)} = ${column})`
      )
    }
  }
}

function formatKey(values: readonly unknown[]): string {
  const texts = values.map(String)
  return texts.length === 1 ? (texts[0] ?? '') : `(${texts.join(', ')})`
}

function rowCount(rows: number): string {
  return `${rows.toLocaleString('en-US')} ${rows === 1 ? 'row' : 'rows'}`
}
