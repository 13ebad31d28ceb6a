/** Which models a person means, and which others those cannot do without. */
import type { Engine } from '../columns/engine.ts'
import { nearestName, ToteError } from '../errors.ts'
import { readReferences } from '../syntax/references.ts'
import { parseSql } from '../syntax/syntax-tree.ts'
import { byNameIn } from './dependencies.ts'
import type { ModelText } from './model.ts'

export interface Selection {
  /** Names, or patterns with `*`; all models when not given. */
  readonly select?: readonly string[] | undefined
  readonly exclude?: readonly string[] | undefined
}

export function isSelective({ select, exclude }: Selection): boolean {
  return select !== undefined || exclude !== undefined
}

/** The names that are meant. Throws UsageInvalid when a pattern is no model's, or none is left. */
export function selectNames(
  names: readonly string[],
  { select = ['*'], exclude = [] }: Selection,
): readonly string[] {
  const matching = (pattern: string): readonly string[] => {
    const text = pattern.split('*').map((part) => part.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&'))
    const whole = new RegExp(`^${text.join('.*')}$`, 'su')
    const found = names.filter((name) => whole.test(name))
    if (found.length > 0) return found
    const nearest = nearestName(pattern, names)
    throw new ToteError('UsageInvalid', `No model is named "${pattern}"`, {
      fix: nearest === undefined ? 'tote list' : `did you mean "${nearest}"?`,
    })
  }
  const without = new Set(exclude.flatMap(matching))
  const chosen = new Set(select.flatMap(matching))
  const left = names.filter((name) => chosen.has(name) && !without.has(name))
  if (left.length > 0) return left
  throw new ToteError('UsageInvalid', 'No model is left of those that were selected')
}

/** The named models and, however far, those that they read or refer to. What cannot be parsed reads nothing. */
export async function closureOf(
  names: readonly string[],
  texts: readonly ModelText[],
  engine: Engine,
): Promise<readonly ModelText[]> {
  const needed = new Set(texts.filter(({ name }) => names.includes(name)))
  // A set yields what is added while it is walked.
  for (const { sql, references } of needed) {
    const parsed = await parseSql(engine, sql)
    const [tree] = 'statements' in parsed ? parsed.statements : []
    const read = tree === undefined ? [] : readReferences(tree).tables
    const own = read.filter(({ schema }) => schema === null).map(({ name }) => name)
    for (const name of [...own, ...references.map(({ model }) => model)]) {
      const text = byNameIn(texts, name)
      if (text !== undefined) needed.add(text)
    }
  }
  return texts.filter((text) => needed.has(text))
}
