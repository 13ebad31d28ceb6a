/** `tote explain`: the table of errors, offline. */
import { type ErrorName, ERRORS, nearestName, ToteError } from '../errors.ts'
import { explainError } from '../terminal/error-screen.ts'
import type { Style } from '../terminal/style.ts'
import { renderTable } from '../terminal/table.ts'
import { FIXES } from '../terminal/fixes.ts'
import { answer, toteFrom } from '../cli/answer.ts'
import type { Invocation } from '../cli/context.ts'

export function commandExplain(invocation: Invocation, typed: string | undefined): number {
  const { surface, flags } = invocation
  const names = Object.keys(ERRORS) as ErrorName[]
  if (typed === undefined) {
    const tote = toteFrom(surface.env, flags)
    answer(invocation, {
      data: names.map(facts),
      lines: (style) => renderNames(names, tote, style),
      warnings: [],
    })
    return 0
  }
  const name = names.find((known) => known.toLowerCase() === typed.toLowerCase())
  if (name === undefined) throw unknownName(typed, names)
  answer(invocation, {
    data: facts(name),
    lines: (style) => [style.bold(name), ...explainError(name).map((line) => `  ${line}`)],
    warnings: [],
  })
  return 0
}

function renderNames(names: readonly ErrorName[], tote: string, style: Style): string[] {
  const rows = names.map((name) => [
    name,
    String(ERRORS[name].exit),
    ERRORS[name].retry ? 'retry' : '',
    ERRORS[name].means,
  ])
  const columns = [
    { title: 'Name', align: 'left' },
    { title: 'exit', align: 'right' },
    { title: '', align: 'left' },
    { title: 'means', align: 'left' },
  ] as const
  return [
    ...renderTable(columns, rows, { title: style.dim }),
    '',
    `One of them: ${tote} explain ${names[0] ?? 'NAME'}`,
  ]
}

function facts(name: ErrorName): Record<string, string | number | boolean> {
  return { name, ...ERRORS[name], fix: FIXES[name] }
}

function unknownName(typed: string, names: readonly ErrorName[]): ToteError {
  const nearest = nearestName(typed, names)
  const suggestion = nearest === undefined ? '' : `. Did you mean ${nearest}?`
  return new ToteError('UsageInvalid', `There is no error named "${typed}"${suggestion}`, {
    fix: nearest === undefined ? 'tote explain' : `tote explain ${nearest}`,
  })
}
