/**
 * Where a setting stands in the text of a config: the line of its key, when the keys that lead to it
 * are written as object literals. A scanner, not a parser: it never fails, it only may not find; what
 * does not end (a string, a comment) ends with its line or with the text.
 */
/** From the project down: setting, source, setting, index. */
export type Path = readonly (string | number)[]

/** Counted from one. `length` is that of the key as written. */
export interface Place {
  readonly line: number
  readonly column: number
  readonly length: number
}

/**
 * The place of the last key of `path`, or undefined. Of two equal keys the last counts, as it does
 * when the file runs.
 */
export function findPlace(text: string, path: Path): Place | undefined {
  const code = maskText(text)
  let opening = rootLiteral(code)
  let found: Entry | undefined
  for (const key of path) {
    if (opening === undefined) return undefined
    found = entriesOf(text, code, opening).findLast((entry) => entry.key === key)
    if (found === undefined) return undefined
    opening = literalIn(code, found)
  }
  return found === undefined ? undefined : placeAt(text, found.start, found.end - found.start)
}

function placeAt(text: string, offset: number, length: number): Place {
  const before = text.slice(0, offset)
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n'), length }
}

/** A member of a literal: its key from `start` to `end`, its value after that, up to `valueEnd`. */
interface Entry {
  readonly key: string | number | undefined
  readonly start: number
  readonly end: number
  readonly valueEnd: number
}

// `defineProject({`, also nested or with type arguments.
const CALLS_OPENING = /\s*(?:[\w$.]+\s*(?:<[^()]*>\s*)?\(\s*|\(\s*)*(?=[{[])/y
const NAME = /\s*(?:[\w$.]+\s*(?:<[^()]*>\s*)?\(\s*)?([\w$]+)/y

/** Where the literal opens that the file exports, directly or as a constant. */
function rootLiteral(code: string): number | undefined {
  const exported = /\bexport\s+default\b|\bmodule\.exports\s*=/.exec(code)
  if (exported === null) return undefined
  const at = exported.index + exported[0].length
  const direct = stickyEnd(CALLS_OPENING, code, at)
  if (direct !== undefined) return direct
  NAME.lastIndex = at
  const name = NAME.exec(code)?.[1]
  if (name === undefined) return undefined
  const declared = new RegExp(
    `\\b(?:const|let|var)\\s+${name.replaceAll('$', '\\$&')}\\b[^=]*=`,
  ).exec(code)
  return declared === null
    ? undefined
    : stickyEnd(CALLS_OPENING, code, declared.index + declared[0].length)
}

/** Where the literal opens that is the entry's value, or the first argument of a call in it. */
function literalIn(code: string, entry: Entry): number | undefined {
  const at = entry.end + (/^\s*:/.exec(code.slice(entry.end, entry.valueEnd))?.[0].length ?? 0)
  const direct = stickyEnd(CALLS_OPENING, code, at)
  if (direct !== undefined && direct < entry.valueEnd) return direct
  const call = /^[^]*?\(\s*(?=\{)/.exec(code.slice(at, entry.valueEnd))?.[0]
  // Beyond an arrow lies the body of a function, which holds no settings.
  return call === undefined || call.includes('=>') ? undefined : at + call.length
}

function entriesOf(text: string, code: string, opening: number): Entry[] {
  const entries: Entry[] = []
  let at = opening + 1
  while (at < code.length) {
    at = stickyEnd(/[\s,]*/y, code, at) ?? at
    if (at >= code.length || '}])'.includes(code[at] ?? '')) break
    const valueEnd = entryEnd(code, at)
    entries.push(
      code[opening] === '['
        ? {
            key: entries.length,
            start: at,
            end: at + code.slice(at, valueEnd).trimEnd().length,
            valueEnd,
          }
        : { ...keyAt(text, code, at), valueEnd },
    )
    at = valueEnd
  }
  return entries
}

/** The offset of the comma or bracket that ends the entry which begins at `start`. */
function entryEnd(code: string, start: number): number {
  let depth = 0
  for (let at = start; at < code.length; at++) {
    const char = code[at] ?? ''
    if ('([{'.includes(char)) depth += 1
    else if (')]}'.includes(char)) depth -= 1
    if (depth < 0 || (depth === 0 && char === ',')) return at
  }
  return code.length
}

function keyAt(
  text: string,
  code: string,
  at: number,
): { key: string | undefined; start: number; end: number } {
  // `async setup() {}` and `get url() {}`: the key is the second word.
  const start = stickyEnd(/(?:async|get|set)\s+(?=[\w$\u0000])/y, code, at) ?? at
  const end = stickyEnd(code[start] === LITERAL ? /\u0000+/y : /[\p{L}\p{N}_$]+/uy, code, start)
  if (end === undefined) return { key: undefined, start, end: start }
  const written = text.slice(start, end)
  const key = code[start] === LITERAL ? written.slice(1, -1).replace(/\\(.)/g, '$1') : written
  return { key, start, end }
}

function stickyEnd(pattern: RegExp, text: string, at: number): number | undefined {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : undefined
}

/** Stands for a character of a literal; not white space, so that a masked string is still seen as a value. */
const LITERAL = '\u0000'

/**
 * A text of the same length and the same lines: comments blanked, each character of a literal, quotes
 * included, replaced by LITERAL.
 */
function maskText(text: string): string {
  let code = ''
  while (code.length < text.length) {
    const at = code.length
    const end = tokenEnd(text, at, code)
    const token = text.slice(at, end)
    const isComment = token.startsWith('//') || token.startsWith('/*')
    code += end === at ? text[at] : token.replace(/[^\r\n]/g, isComment ? ' ' : LITERAL)
  }
  return code
}

/** The end of the comment or literal that begins at `at`, or `at` when none does. `before` is the masked text up to there. */
function tokenEnd(text: string, at: number, before: string): number {
  switch (text[at]) {
    case "'":
      return matchEnd(/'(?:\\[^]|[^'\\\n])*'?/y, text, at)
    case '"':
      return matchEnd(/"(?:\\[^]|[^"\\\n])*"?/y, text, at)
    case '`':
      return templateEnd(text, at)
    case '/':
      break
    default:
      return at
  }
  if (text[at + 1] === '/') return matchEnd(/[^\n]*/y, text, at)
  if (text[at + 1] === '*') return matchEnd(/\/\*(?:[^]*?\*\/|[^]*)/y, text, at)
  if (dividesAfter(before)) return at
  return matchEnd(/\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y, text, at)
}

/** A slash after a value divides; anywhere else it begins a regular expression. */
function dividesAfter(before: string): boolean {
  const tail = before.slice(-200).trimEnd()
  if (
    /(?:^|[^\w$.])(?:return|typeof|case|in|of|void|delete|throw|new|await|yield|else|do)$/.test(
      tail,
    )
  )
    return false
  return /[\w$)\]}\u0000]$/.test(tail)
}

function templateEnd(text: string, start: number): number {
  let at = start + 1
  while (at < text.length) {
    if (text[at] === '`') return at + 1
    if (text[at] === '\\') at += 2
    else if (text.startsWith('${', at)) at = expressionEnd(text, at + 2)
    else at += 1
  }
  return text.length
}

/** Just after the brace that closes the `${` before `start`. */
function expressionEnd(text: string, start: number): number {
  let depth = 1
  let at = start
  while (at < text.length && depth > 0) {
    const end = tokenEnd(text, at, text.slice(start, at))
    if (end === at) {
      if (text[at] === '{') depth += 1
      if (text[at] === '}') depth -= 1
    }
    at = Math.max(end, at + 1)
  }
  return at
}

function matchEnd(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : at
}
