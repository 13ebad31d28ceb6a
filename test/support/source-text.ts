/**
 * Reads TypeScript just far enough for the rules of architecture.ts: which characters are code,
 * which are comment, and which modules are imported how. No parser: it knows strings, templates,
 * comments and, by what stands before the slash, regular expressions.
 */

export interface SourceFile {
  /** From the repository's root, with forward slashes. */
  readonly path: string
  readonly text: string
}

export interface SplitText {
  /** The text with comments and the insides of strings and regular expressions blanked; same length. */
  readonly code: string
  /** The text with everything but comments blanked; same length. */
  readonly comments: string
}

export interface Import {
  readonly specifier: string
  /** `type` leaves no trace at run time, `lazy` loads when the line is reached, `value` at start. */
  readonly kind: 'type' | 'lazy' | 'value'
  readonly line: number
}

export function splitText(text: string): SplitText {
  const code = text.split('')
  const comments = code.map((character): string => (character === '\n' ? '\n' : ' '))
  const blank = (from: number, to: number): void => {
    for (let i = from; i < to; i++) if (code[i] !== '\n') code[i] = ' '
  }
  /** One entry for each `${` that is open: how many braces are open inside it. */
  const substitutions: number[] = []
  let at = 0

  while (at < text.length) {
    const two = text.slice(at, at + 2)
    const character = text.charAt(at)
    if (two === '//' || two === '/*') {
      const end = two === '//' ? endOf(text, '\n', at) : endOf(text, '*/', at + 2) + 2
      for (let i = at; i < Math.min(end, text.length); i++) comments[i] = text.charAt(i)
      blank(at, Math.min(end, text.length))
      at = end
    } else if (character === "'" || character === '"') {
      const end = endOfQuoted(text, at)
      blank(at + 1, end - 1)
      at = end
    } else if (character === '`') {
      at = skipTemplate(at + 1)
    } else if (character === '/' && startsRegex(code, at)) {
      const end = endOfRegex(text, at)
      blank(at + 1, end - 1)
      at = end
    } else {
      const open = substitutions.at(-1)
      if (open !== undefined && character === '{')
        substitutions[substitutions.length - 1] = open + 1
      if (open !== undefined && character === '}') {
        if (open === 0) {
          substitutions.pop()
          at = skipTemplate(at + 1)
          continue
        }
        substitutions[substitutions.length - 1] = open - 1
      }
      at++
    }
  }
  return { code: code.join(''), comments: comments.join('') }

  /** Blanks a template's text up to its end or to the next `${`, and returns where code goes on. */
  function skipTemplate(from: number): number {
    let i = from
    while (i < text.length) {
      if (text[i] === '\\') i += 2
      else if (text[i] === '`') {
        blank(from, i)
        return i + 1
      } else if (text.startsWith('${', i)) {
        blank(from, i)
        substitutions.push(0)
        return i + 2
      } else i++
    }
    return i
  }
}

/** Every `import`, `export … from`, `import()` and `require()` of a file. */
export function importsOf(file: SourceFile): Import[] {
  const { code } = splitText(file.text)
  const found: Import[] = []
  const add = (quoteAt: number, kind: Import['kind']): void => {
    const specifier = file.text.slice(quoteAt + 1, endOfQuoted(file.text, quoteAt) - 1)
    found.push({ specifier, kind, line: lineAt(file.text, quoteAt) })
  }
  const statement =
    /(?:^|[\n;])\s*(?:import|export)\s+(type\s+)?(?:[\w$*{},\s]+?\s+from\s+|[{][\w$,\s]*[}]\s*from\s*)?(['"])/g
  for (const match of code.matchAll(statement)) {
    add(match.index + match[0].length - 1, match[1] === undefined ? 'value' : 'type')
  }
  for (const match of code.matchAll(/\bimport\s*\(\s*(['"])/g)) {
    const quoteAt = match.index + match[0].length - 1
    const after = code.slice(endOfQuoted(file.text, quoteAt))
    const before = code.slice(0, match.index)
    const isType =
      /\btypeof\s+$/.test(before) ||
      (/^\s*\)\s*\.\s*[A-Z]/.test(after) && !/\bawait\s+$/.test(before))
    add(quoteAt, isType ? 'type' : 'lazy')
  }
  // `createRequire(import.meta.url)('x')`, or a `load` that it made.
  for (const match of code.matchAll(/(?:\bcreateRequire\s*\([^)]*\)|\bload)\s*\(\s*(['"])/g))
    add(match.index + match[0].length - 1, 'lazy')
  return found
}

export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length
}

function endOf(text: string, mark: string, from: number): number {
  const index = text.indexOf(mark, from)
  return index === -1 ? text.length : index
}

/** Just after the closing quote. */
function endOfQuoted(text: string, from: number): number {
  const quote = text.charAt(from)
  let i = from + 1
  while (i < text.length && text[i] !== quote && text[i] !== '\n') i += text[i] === '\\' ? 2 : 1
  return i + 1
}

function endOfRegex(text: string, from: number): number {
  let i = from + 1
  let inClass = false
  while (i < text.length && text[i] !== '\n' && (inClass || text[i] !== '/')) {
    if (text[i] === '\\') i++
    else if (text[i] === '[') inClass = true
    else if (text[i] === ']') inClass = false
    i++
  }
  return i + 1
}

/** A slash begins a regular expression unless a value stands before it. */
function startsRegex(code: readonly string[], at: number): boolean {
  let i = at - 1
  while (i >= 0 && /\s/.test(code[i] ?? '')) i--
  const before = code.slice(Math.max(0, i - 10), i + 1).join('')
  return /(?:^|[(,=:[!&|?{};+*%<>~^-]|\b(?:return|typeof|case|in|of|await|void|delete))$/.test(
    before,
  )
}
