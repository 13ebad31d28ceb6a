/**
 * A problem of a model with its place: the file's line and column, and for a person's own terminal
 * the line with a caret under it.
 */
import { nearestName, ToteError, type Problem } from '../errors.ts'
import type { ModelText } from './model.ts'

export interface Finding extends Problem {
  /** The source line and a caret. */
  readonly terminal?: readonly string[]
}

/** A problem of the model's SQL; `position` is a byte offset into it, as DuckDB gives it, or null for none. */
export function sqlFinding(model: ModelText, position: number | null, message: string): Finding {
  if (position === null) return { where: `${model.path}:${model.sqlLine}`, message }
  const before = Buffer.from(model.sql).subarray(0, position).toString().split('\n')
  const line = model.sqlLine + before.length - 1
  const column = Array.from(before.at(-1) ?? '').length
  const where = `${model.path}:${line}:${column + 1}`
  const text = (model.sql.split('\n')[before.length - 1] ?? '').replaceAll('\t', ' ')
  const gutter = String(line)
  return {
    where,
    message,
    terminal: [
      where,
      `${gutter} | ${text}`,
      `${' '.repeat(gutter.length)} | ${' '.repeat(column)}^`,
    ],
  }
}

/** A problem of a header entry, by its name in `lines`; without a line, of the file. */
export function headerFinding(model: ModelText, entry: string, message: string): Finding {
  const line = model.lines[entry]
  return { where: line === undefined ? model.path : `${model.path}:${line}`, message }
}

/** What a mistyped name may have meant: the nearest, else all while they are few. */
export function meant(typed: string, known: readonly string[]): string {
  const nearest = nearestName(typed, known)
  if (nearest !== undefined) return `. Did you mean "${nearest}"?`
  return known.length === 0 || known.length > 12 ? '' : `. There is: ${known.join(', ')}`
}

/** ModelInvalid with all findings at once. */
export function invalid(findings: readonly Finding[]): ToteError {
  const files = new Set(findings.map(({ where }) => where.replace(/(:\d+)+$/, '')))
  const count = findings.length === 1 ? 'a problem' : `${findings.length} problems`
  const message =
    files.size === 1
      ? `The model ${[...files][0]} has ${count}.`
      : `${files.size} models have ${count}.`
  const terminal = findings.flatMap((finding) => finding.terminal ?? [])
  return new ToteError('ModelInvalid', message, {
    problems: findings.map(({ where, message: text }) => ({ where, message: text })),
    ...(terminal.length === 0 ? {} : { terminal }),
  })
}
