/**
 * What is wrong with a config, by setting, in words for people: one mistake gives one finding. Values
 * that a person wrote may be shown, values of the environment never (P10).
 */
import type { z } from 'zod'
import { nearestName } from '../errors.ts'
import { Given } from './environment.ts'
import type { Path } from './places.ts'
import { isEmbeddedReference } from '../secrets/reference.ts'
import { redactText } from '../secrets/secret.ts'

export interface Finding {
  /** The setting, from the project down. */
  readonly path: Path
  /** A full sentence without its full stop. */
  readonly message: string
  /** What is asked for is right, but this version cannot do it. */
  readonly notYet?: boolean
  /** The setting is not written at all. */
  readonly missing?: boolean
  /** The environment variable that is not set. */
  readonly variable?: string
}

/** A path as people write it: `sources.shop.tables.include[0]`. */
export function formatPath(path: Path): string {
  return path
    .map((key, index) => {
      if (typeof key === 'number') return `[${key}]`
      if (!/^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key)) return `[${JSON.stringify(key)}]`
      return index === 0 ? key : `.${key}`
    })
    .join('')
}

/** What the schema's issues say. `config` is what was judged. */
export function describeIssues(issues: readonly z.core.$ZodIssue[], config: unknown): Finding[] {
  const findings = issues.flatMap((issue) => describeIssue(issue, config))
  const unknown = issues.filter((issue) => issue.code === 'unrecognized_keys')
  const meant = unknown.flatMap((issue) =>
    issue.keys.map((key) =>
      formatPath([...pathOf(issue), nearestName(key, issue.message.split(' ')) ?? key]),
    ),
  )
  const laterTypes = findings.filter(
    ({ path, notYet }) => notYet === true && path.at(-1) === 'type',
  )
  return findings.filter(
    (finding) =>
      // A misspelt setting is not missing as well,
      !(finding.missing === true && meant.includes(formatPath(finding.path))) &&
      // and a kind of source that is not there yet has settings that are not known yet.
      !laterTypes.some(
        (later) => later !== finding && startsWith(finding.path, later.path.slice(0, -1)),
      ),
  )
}

function describeIssue(issue: z.core.$ZodIssue, config: unknown): Finding[] {
  const path = pathOf(issue)
  const subject = path.length === 0 ? 'the project' : formatPath(path)
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: [...path, key],
      message: `"${key}" is not a setting of ${subject}. ${suggestion(key, issue.message.split(' '))}`,
    }))
  }
  const value = valueAt(config, path)
  if (value === undefined) return [{ path, message: `${subject} is missing`, missing: true }]
  if (issue.code === 'invalid_type') {
    return [
      {
        path,
        message: `${subject} must be ${EXPECTED[issue.expected] ?? issue.expected}, not ${kindOf(value)}`,
      },
    ]
  }
  if (issue.code === 'invalid_value') {
    const words = issue.values.map(String)
    const word = typeof value === 'string' ? redactText(value) : ''
    const seen = typeof value === 'string' ? `"${word}"` : kindOf(value)
    return [{ path, message: `${subject} cannot be ${seen}. ${suggestion(word, words)}` }]
  }
  const notYet = issue.code === 'custom' && issue.params?.['notYet'] === true
  return [{ path, message: `${subject} ${issue.message}`, ...(notYet ? { notYet } : {}) }]
}

const EXPECTED: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  array: 'a list [ … ]',
  object: 'an object { … }',
  record: 'an object { … }',
}

function suggestion(typed: string, names: readonly string[]): string {
  const nearest = nearestName(typed, names)
  return nearest === undefined ? `There is: ${names.join(', ')}` : `Did you mean "${nearest}"?`
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'number') return String(value)
  if (value instanceof Given) return `env(${value.variable})`
  if (isEmbeddedReference(value)) return String(value)
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

function pathOf(issue: z.core.$ZodIssue): Path {
  return issue.path.map((key) => (typeof key === 'number' ? key : String(key)))
}

function valueAt(config: unknown, path: Path): unknown {
  return path.reduce<unknown>((parent, key) => {
    const value = parent instanceof Given ? parent.value : parent
    const object = isEmbeddedReference(value) ? value.options : value
    return typeof object === 'object' && object !== null ? Reflect.get(object, key) : undefined
  }, config)
}

function startsWith(path: Path, start: Path): boolean {
  return start.every((key, index) => path[index] === key)
}
