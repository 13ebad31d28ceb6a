/**
 * URLs that hold passwords: however a Secret is printed, its password is not in it, and what is said
 * about a URL never repeats it (P10).
 */
import { inspect } from 'node:util'

/** A URL whose password is hidden from every way of printing; `reveal()` gives it to a driver. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** The value itself. Only for the call that opens the connection. */
  reveal(): string {
    return this.#value
  }

  toString(): string {
    return redactUrl(this.#value)
  }

  toJSON(): string {
    return this.toString()
  }

  [inspect.custom](): string {
    return this.toString()
  }
}

/**
 * A URL with its password replaced: `postgres://user:***@host/database`. What is not a URL is
 * hidden whole; where the password's end is in doubt, too much is hidden rather than too little.
 */
function redactUrl(url: string): string {
  const match = /^([a-z][a-z0-9+.-]*:\/\/)(.*)$/is.exec(url)
  if (match === null) return '***'
  const [, scheme = '', rest = ''] = match
  return scheme + redactParameters(redactUserInfo(rest))
}

/** A text of several lines that we did not write, with the passwords of its URLs hidden likewise. */
export function redactText(text: string): string {
  // To the end of the line: a password may hold quotes and blanks, and must not end at them.
  const hide = (_: string, rest: string): string => `://${redactUserInfo(rest)}`
  return redactParameters(text.replace(/:\/\/(.*)/g, hide))
}

function redactUserInfo(rest: string): string {
  // An unescaped "@" in the password: up to the last one, so that no part of it stays.
  const end = rest.lastIndexOf('@')
  const colon = rest.indexOf(':')
  return colon < 0 || colon > end ? rest : `${rest.slice(0, colon)}:***${rest.slice(end)}`
}

function redactParameters(text: string): string {
  return text.replace(/([?&](?:ssl)?password=)[^&#\s'"`]*/gi, '$1***')
}

/** What is wrong with a PostgreSQL URL, as a predicate, or undefined. */
export function databaseUrlFault(url: string): string | undefined {
  if (!/^postgres(ql)?:\/\//.test(url))
    return 'is not a URL of the form postgres://user:password@host:5432/database'
  const parsed = parseUrl(url)
  // "/", "#", "?" or "@" in a password end the host's part too early.
  if (parsed === undefined || parsed.hash !== '' || parsed.pathname.includes('@')) {
    return 'is not a valid URL; special characters of a password must be percent-encoded ("#" is %23, "/" is %2F, "@" is %40)'
  }
  return /^\/?$/.test(parsed.pathname)
    ? 'names no database: postgres://user:password@host:5432/database'
    : undefined
}

/** Whether a URL holds a password, also one given as a parameter. */
export function hasPassword(url: string): boolean {
  const parsed = parseUrl(url)
  return (
    parsed !== undefined &&
    (parsed.password !== '' ||
      parsed.searchParams.has('password') ||
      parsed.searchParams.has('sslpassword'))
  )
}

function parseUrl(url: string): URL | undefined {
  try {
    decodeURIComponent(url)
    return new URL(url)
  } catch {
    return undefined
  }
}
