/** A planned model as the text of its `.sql` file (grammar in docs/models.md). Pure. */
import { quoteName } from '../columns/sql.ts'
import { isOneLine, RESERVED } from './names.ts'
import type { PlannedColumn, PlannedModel } from './plan.ts'

const WIDTH = 96

/** The whole file. `source` is the name of the source in the config. */
export function modelText(model: PlannedModel, source: string): string {
  const { kind, key, recordId, columns, references, unique, rules, comment, notes } = model
  const nullable = columns.filter(({ notNull }) => !notNull).map(({ name }) => name)
  return `${[
    `-- kind: ${kind}`,
    ...list('key', key.map(word)),
    ...drivenBy(model, source),
    ...(recordId === null ? [] : [`-- record id: ${word(recordId)}`]),
    ...list('nullable', nullable.map(word)),
    ...list(
      'references',
      references.map((one) => `${word(one.column)} -> ${word(one.model)}`),
    ),
    ...unique.flatMap((names) => list('unique', names.map(word))),
    ...rules.map((rule) => `-- check warn: ${withoutBrackets(rule)}`),
    ...(oneLine(comment) === '' ? [] : [`-- comment: ${oneLine(comment)}`]),
    ...notes.flatMap((note) => ['--', ...wrap(oneLine(note))]),
    'select',
    ...columns.map((column, index) => columnLine(column, index === columns.length - 1)),
    `from ${source}.${name(model.source)} as t`,
  ].join('\n')}\n`
}

/** Each row of the model is one row of its table: no batch need look at the others. */
function drivenBy({ source: table }: PlannedModel, source: string): string[] {
  return !isOneLine(table) ? [] : [`-- driven by: ${source}.${word(table)}`]
}

function columnLine({ source, name: output, comment }: PlannedColumn, isLast: boolean): string {
  const renamed = source === output ? '' : ` as ${name(output)}`
  const said = oneLine(comment)
  return `  t.${name(source)}${renamed}${isLast ? '' : ','}${said === '' ? '' : ` -- ${said}`}`
}

/** An identifier; after a point, and as a label, any word in lower case is one. */
function name(text: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(text) && !RESERVED.has(text) ? text : quoteName(text)
}

/** A name as a header line takes it. */
function word(text: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(text) && text !== 'all' && text !== 'none'
    ? text
    : quoteName(text)
}

/** One header line; a long one goes on after a comma. */
function list(header: string, items: readonly string[]): string[] {
  if (items.length === 0) return []
  const lines = [`-- ${header}:`]
  items.forEach((item, index) => {
    const text = ` ${item}${index === items.length - 1 ? '' : ','}`
    const last = lines.length - 1
    if (index > 0 && (lines[last] ?? '').length + text.length > WIDTH) lines.push(`--  ${text}`)
    else lines[last] += text
  })
  return lines
}

function wrap(text: string): string[] {
  const lines: string[] = []
  for (const part of text.split(' ')) {
    const last = lines.at(-1)
    if (last === undefined || last.length + part.length >= WIDTH) lines.push(`-- ${part}`)
    else lines[lines.length - 1] = `${last} ${part}`
  }
  return lines
}

function withoutBrackets(rule: string): string {
  const isWhole = /^\((?:[^()']|'(?:[^']|'')*'|\([^()]*\))*\)$/.test(rule)
  return isWhole ? rule.slice(1, -1) : rule
}

/** What people wrote may hold anything; a comment of ours is one line. */
function oneLine(text: string | null): string {
  return (text ?? '').replaceAll(/[\s\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').trim()
}
