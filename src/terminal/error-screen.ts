/**
 * An error as a person reads it: what happened, where, why, what to do, and what to type next. A stack
 * is shown only for a bug of ours, or when it was asked for twice. Keys of failing rows and other
 * `terminal` lines only on a person's own terminal (P10).
 */
import { redactText } from '../secrets/secret.ts'
import { ERRORS, ToteError } from '../errors.ts'
import { MARKS, printable, type Style } from './style.ts'
import { FIXES } from './fixes.ts'

export interface ErrorScreenOptions {
  readonly style: Style
  /** Whether the lines go to a person's own terminal. */
  readonly ownTerminal: boolean
  /** 1 adds the chain of causes, 2 the stacks. */
  readonly verbosity: number
  /** What starts another command: `tote`. */
  readonly tote: string
  /** The command line to type again, where that can help. */
  readonly again?: string
  /** Versions, for the report of a bug. */
  readonly about: string
}

/** The lines of the screen. */
export function renderError(error: ToteError, options: ErrorScreenOptions): string[] {
  const { style, ownTerminal, tote, again } = options
  const { where, why, fix, problems = [] } = error.facts
  const excerpt = ownTerminal ? (error.facts.terminal ?? []) : []
  // A source line with the message under it says more than the message alone.
  const unsaid = problems.filter(({ message }) => !excerpt.some((line) => line.includes(message)))
  const isBug = error.name === 'Bug'
  const [first = '', ...rest] = clean(error.message)
  return [
    `${style.red(MARKS.failed)} ${style.bold(style.red(error.name))}  ${first}`,
    ...rest.map((line) => `  ${line}`),
    ...block([
      ...fact('where', where, style),
      ...fact('why', why, style),
      ...fact('fix', fix, style),
    ]),
    ...block(unsaid.flatMap((problem) => renderProblem(problem.where, problem.message, style))),
    ...block(renderExcerpt(excerpt)),
    ...block(causes(error, options).map((line) => style.dim(line))),
    ...block(
      isBug
        ? [
            `  This is a fault of Tote itself. Please report it with the lines above and: ${options.about}`,
          ]
        : [
            // What a usage error means is plain from its first line.
            ...(error.name === 'UsageInvalid'
              ? []
              : fact('more', `${tote} explain ${error.name}`, style)),
            ...(error.retry && again !== undefined ? fact('again', again, style) : []),
          ],
    ),
  ]
}

/** The bare facts of `tote explain`: what the name means, what a script sees, whether to try again. */
export function explainError(name: keyof typeof ERRORS): string[] {
  const { means, exit, retry } = ERRORS[name]
  return [
    means,
    FIXES[name],
    `exit ${exit}: ${EXITS[exit]}`,
    retry ? 'Running again can help.' : 'Running again without a change does not help.',
  ]
}

/** What each exit code says, the same for every command. */
const EXITS: Readonly<Record<(typeof ERRORS)[keyof typeof ERRORS]['exit'], string>> = {
  1: 'it ran, and something failed',
  2: 'usage or project: nothing was started',
  3: 'something outside could not be reached, or refused us',
  4: 'another run holds the lock',
  5: 'a difference was found',
  70: 'a bug of ours',
  130: 'interrupted; the state is consistent',
}

function renderProblem(where: string, message: string, style: Style): string[] {
  const [first = '', ...rest] = clean(message)
  return [`  ${style.bold(printable(where))}  ${first}`, ...rest.map((line) => `    ${line}`)]
}

/** Kept as it was laid out: a caret under a source line must stay where it points. */
function renderExcerpt(lines: readonly string[]): string[] {
  const indent = lines.every((line) => line.startsWith('  ')) ? '' : '  '
  return lines.map((line) => indent + redactText(line).split('\t').map(printable).join('\t'))
}

function fact(label: string, text: string | undefined, style: Style): string[] {
  if (text === undefined || text === '') return []
  const [first = '', ...rest] = clean(text)
  return [`  ${style.dim(label.padEnd(6))}  ${first}`, ...rest.map((line) => `          ${line}`)]
}

function causes(error: ToteError, { verbosity, ownTerminal }: ErrorScreenOptions): string[] {
  const isBug = error.name === 'Bug'
  const stacks = isBug || verbosity > 1
  // A bug that wraps what was thrown has nothing to add to it.
  const lines = stacks && !(isBug && error.facts.cause instanceof Error) ? stackOf(error) : []
  if (!stacks && verbosity === 0) return []
  let cause: unknown = error.facts.cause
  // A chain that leads back to itself must not be followed for ever.
  for (let depth = 0; cause !== undefined && depth < 10; depth++) {
    const [first = '', ...rest] = clean(describeCause(cause, ownTerminal))
    lines.push(`  cause   ${first}`, ...rest.map((line) => `          ${line}`))
    if (stacks && cause instanceof Error) lines.push(...stackOf(cause))
    cause = cause instanceof Error ? cause.cause : undefined
  }
  return lines
}

/** What others say may quote a value: as with `terminal`, only a person's own terminal shows it (P10). */
function describeCause(cause: unknown, ownTerminal: boolean): string {
  if (!(cause instanceof Error)) {
    return ownTerminal && typeof cause === 'string' ? cause : `a thrown ${typeof cause}`
  }
  const isShown = ownTerminal || cause instanceof ToteError
  return isShown
    ? `${cause.name}: ${cause.message}`
    : `${cause.name}, whose message a terminal shows`
}

function stackOf(error: Error): string[] {
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line))
  return frames.map((line) => `    ${redactText(line.trim())}`)
}

function clean(text: string): string[] {
  return text.split('\n').map((line) => printable(redactText(line)))
}

function block(lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', ...lines]
}
