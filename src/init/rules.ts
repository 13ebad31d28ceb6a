/**
 * Check constraints of PostgreSQL as conditions that DuckDB judges alike. Only what is plain enough is
 * translated: comparisons of columns and constants of one kind, lists, `like`, `length`, `is null`,
 * `and`, `or`, `not`. Anything else is `undefined`, and left out with a comment. Pure.
 */
import { quoteName, quoteText } from '../columns/sql.ts'

/** What a value is, as far as comparing goes; `other` is what DuckDB might compare otherwise: it is null or not, no more. */
export type Sort = 'number' | 'text' | 'boolean' | 'date' | 'timestamp' | 'timestamptz' | 'other'

/** A column that a rule may name; undefined where DuckDB might compare it otherwise. */
export type ColumnLookup = (
  name: string,
) => { readonly name: string; readonly sort: Sort } | undefined

interface Term {
  readonly sql: string
  readonly sort: Sort | 'null'
  /** A text constant may become a date by a cast. */
  readonly constant?: string
}

type Token = {
  readonly kind: 'word' | 'quoted' | 'text' | 'number' | 'sign'
  readonly text: string
}

class NotPlain extends Error {}

/** The condition in DuckDB's SQL, or undefined. */
export function translateRule(expression: string, columns: ColumnLookup): string | undefined {
  try {
    const parser = new RuleParser(tokenize(expression), columns)
    return parser.whole()
  } catch (error) {
    if (error instanceof NotPlain) return undefined
    throw error
  }
}

const TOKENS =
  /\s*(?:([a-z_][a-z0-9_$]*)|"((?:[^"]|"")*)"|'((?:[^']|'')*)'|(\d+(?:\.\d+)?)|(::|<>|<=|>=|~~|!~~|[()[\],=<>.-]))/giy

function tokenize(expression: string): Token[] {
  const tokens: Token[] = []
  TOKENS.lastIndex = 0
  const text = expression.trim()
  while (TOKENS.lastIndex < text.length) {
    const match = TOKENS.exec(text)
    if (match === null) throw new NotPlain()
    const [, word, quoted, literal, number, sign] = match
    if (word !== undefined) tokens.push({ kind: 'word', text: word.toLowerCase() })
    else if (quoted !== undefined)
      tokens.push({ kind: 'quoted', text: quoted.replaceAll('""', '"') })
    else if (literal !== undefined)
      tokens.push({ kind: 'text', text: literal.replaceAll("''", "'") })
    else if (number !== undefined) tokens.push({ kind: 'number', text: number })
    else tokens.push({ kind: 'sign', text: sign ?? '' })
  }
  return tokens
}

class RuleParser {
  readonly #tokens: readonly Token[]
  readonly #columns: ColumnLookup
  #at = 0

  constructor(tokens: readonly Token[], columns: ColumnLookup) {
    this.#tokens = tokens
    this.#columns = columns
  }

  whole(): string {
    const condition = this.#either()
    if (this.#at < this.#tokens.length) throw new NotPlain()
    return boolean(condition).sql
  }

  #either(): Term {
    return this.#joined('or', () => this.#both())
  }

  #both(): Term {
    return this.#joined('and', () => this.#negation())
  }

  #joined(word: 'and' | 'or', next: () => Term): Term {
    const first = next()
    if (!this.#sees(word)) return first
    const parts = [boolean(first).sql]
    while (this.#takes(word)) parts.push(boolean(next()).sql)
    return { sql: `(${parts.join(` ${word} `)})`, sort: 'boolean' }
  }

  #negation(): Term {
    if (!this.#takes('not')) return this.#comparison()
    return { sql: `not ${boolean(this.#negation()).sql}`, sort: 'boolean' }
  }

  #comparison(): Term {
    const left = this.#value()
    if (this.#takes('is')) {
      const not = this.#takes('not') ? 'not ' : ''
      const what = this.#next()
      if (what.text !== 'null' && !(left.sort === 'boolean' && /^(true|false)$/.test(what.text)))
        throw new NotPlain()
      return { sql: `(${left.sql} is ${not}${what.text})`, sort: 'boolean' }
    }
    const sign = this.#peek()
    if (sign?.kind !== 'sign' || !/^(=|<>|<|<=|>|>=|~~|!~~)$/.test(sign.text)) return left
    this.#at += 1
    if (this.#sees('any') || this.#sees('all')) return this.#list(left, sign.text)
    const right = this.#value()
    if (sign.text === '~~' || sign.text === '!~~') return like(left, right, sign.text)
    const [a, b] = alike(left, right)
    // Collations order text; equality is bytes on both sides.
    if (a.sort === 'text' && sign.text !== '=' && sign.text !== '<>') throw new NotPlain()
    return { sql: `(${a.sql} ${sign.text} ${b.sql})`, sort: 'boolean' }
  }

  /** `= any (array[…])` and `<> all (array[…])`, with the casts that PostgreSQL prints around them. */
  #list(left: Term, sign: string): Term {
    const word = this.#next().text
    if (!((sign === '=' && word === 'any') || (sign === '<>' && word === 'all')))
      throw new NotPlain()
    this.#expect('(')
    let depth = 0
    while (this.#takes('(')) depth += 1
    if (!this.#takes('array')) throw new NotPlain()
    this.#expect('[')
    const items: Term[] = []
    do items.push(this.#value())
    while (this.#takes(','))
    this.#expect(']')
    this.#arrayCasts()
    for (; depth > 0; depth--) {
      this.#expect(')')
      this.#arrayCasts()
    }
    this.#expect(')')
    const values = items.map((item) => {
      if (item.sort === 'null') throw new NotPlain()
      return alike(left, item)[1].sql
    })
    const not = word === 'all' ? 'not ' : ''
    return { sql: `(${left.sql} ${not}in (${values.join(', ')}))`, sort: 'boolean' }
  }

  #arrayCasts(): void {
    while (this.#takes('::')) {
      this.#typeName()
      this.#expect('[')
      this.#expect(']')
    }
  }

  #value(): Term {
    let term = this.#primary()
    while (this.#takes('::')) term = cast(term, this.#typeName())
    return term
  }

  #primary(): Term {
    const token = this.#next()
    if (token.kind === 'sign' && token.text === '(') {
      const inner = this.#either()
      this.#expect(')')
      return inner
    }
    if (token.kind === 'sign' && token.text === '-') {
      const number = this.#next()
      if (number.kind !== 'number') throw new NotPlain()
      return { sql: `-${number.text}`, sort: 'number' }
    }
    if (token.kind === 'number') return { sql: token.text, sort: 'number' }
    if (token.kind === 'text')
      return { sql: quoteText(token.text), sort: 'text', constant: token.text }
    if (token.kind === 'word' && /^(true|false)$/.test(token.text))
      return { sql: token.text, sort: 'boolean' }
    if (token.kind === 'word' && token.text === 'null') return { sql: 'null', sort: 'null' }
    if (token.kind === 'word' && this.#sees('(')) return this.#call(token.text)
    if (token.kind !== 'word' && token.kind !== 'quoted') throw new NotPlain()
    const column = this.#columns(token.text)
    if (column === undefined || this.#sees('.')) throw new NotPlain()
    return { sql: quoteName(column.name), sort: column.sort }
  }

  #call(name: string): Term {
    if (/^num_(non)?nulls$/.test(name))
      return this.#countNulls(name === 'num_nulls' ? 'is null' : 'is not null')
    if (!/^(length|char_length|character_length)$/.test(name)) throw new NotPlain()
    this.#expect('(')
    const argument = this.#value()
    this.#expect(')')
    if (argument.sort !== 'text') throw new NotPlain()
    return { sql: `length(${argument.sql})`, sort: 'number' }
  }

  /** How many of several columns are null, or are not. */
  #countNulls(test: string): Term {
    this.#expect('(')
    const counts: string[] = []
    do counts.push(`cast(${this.#value().sql} ${test} as integer)`)
    while (this.#takes(','))
    this.#expect(')')
    return { sql: `(${counts.join(' + ')})`, sort: 'number' }
  }

  /** A type as `format_type` prints it, without the brackets of an array. */
  #typeName(): string {
    const words = [this.#next().text]
    while (this.#takes('.')) words[0] = this.#next().text
    if (words[0] === 'character' && this.#takes('varying')) words.push('varying')
    if (words[0] === 'double' && this.#takes('precision')) words.push('precision')
    if (this.#takes('(')) while (!this.#takes(')')) this.#next()
    if (this.#takes('with') || this.#takes('without')) {
      words.push(this.#tokens[this.#at - 1]?.text ?? '')
      this.#expect('time')
      this.#expect('zone')
    }
    return words.join(' ')
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#at]
  }

  #next(): Token {
    const token = this.#tokens[this.#at]
    if (token === undefined) throw new NotPlain()
    this.#at += 1
    return token
  }

  #sees(text: string): boolean {
    const token = this.#peek()
    return (token?.kind === 'word' || token?.kind === 'sign') && token.text === text
  }

  #takes(text: string): boolean {
    if (!this.#sees(text)) return false
    this.#at += 1
    return true
  }

  #expect(text: string): void {
    if (!this.#takes(text)) throw new NotPlain()
  }
}

function boolean(term: Term): Term {
  if (term.sort !== 'boolean' && term.sort !== 'null') throw new NotPlain()
  return term
}

const SORTS: readonly (readonly [RegExp, Sort])[] = [
  [/^(smallint|integer|bigint|numeric)$/, 'number'],
  [/^(text|character varying)$/, 'text'],
  [/^date$/, 'date'],
  [/^timestamp without$/, 'timestamp'],
  [/^timestamp with$/, 'timestamptz'],
]

/** A cast that changes no value for the comparison, or a constant's. */
function cast(term: Term, type: string): Term {
  const sort = SORTS.find(([pattern]) => pattern.test(type))?.[1]
  const { constant } = term
  if (constant !== undefined && sort !== undefined) {
    if (sort === 'text') return term
    if (sort === 'number') {
      if (!/^-?\d+(\.\d+)?$/.test(constant)) throw new NotPlain()
      return { sql: constant, sort }
    }
    if (!/^\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d+)?(\+00)?)?$/.test(constant)) throw new NotPlain()
    return { sql: `${sort} ${quoteText(constant)}`, sort }
  }
  // A type of the database's own: an enum's label, compared with a column of that type.
  if (constant !== undefined && sort === undefined && !/^(real|double|bpchar|char)/.test(type))
    return term
  // A whole number is the same in any type of numbers.
  if (/^(real|double precision)$/.test(type) && /^-?\d{1,6}$/.test(term.sql)) return term
  if (sort === undefined || sort !== term.sort) throw new NotPlain()
  return term
}

function alike(left: Term, right: Term): [Term, Term] {
  if (left.sort !== right.sort || left.sort === 'null' || left.sort === 'other')
    throw new NotPlain()
  return [left, right]
}

function like(left: Term, right: Term, sign: string): Term {
  const pattern = right.constant
  // PostgreSQL escapes with a backslash, DuckDB with nothing.
  if (left.sort !== 'text' || pattern === undefined || pattern.includes('\\')) throw new NotPlain()
  return { sql: `(${left.sql} ${sign === '~~' ? '' : 'not '}like ${right.sql})`, sort: 'boolean' }
}
