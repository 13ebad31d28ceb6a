/** `--source` and `--warehouse`: a URL, or `env:NAME` of a variable that holds one. Pure but for the lookup. */
import { ToteError } from '../errors.ts'
import { databaseUrlFault } from '../secrets/secret.ts'
import type { Lookup } from '../config/environment.ts'

export interface Location {
  readonly url: string
  /** The variable that gives it to the project. */
  readonly variable: string
  /** Whether `.env` must say it: it was given as a URL. */
  readonly given: boolean
}

/** Throws UsageInvalid, never with the URL in it. `variable` is used for a URL. */
export function readLocation(
  flag: '--source' | '--warehouse',
  text: string,
  { variable, lookup }: { readonly variable: (url: string) => string; readonly lookup: Lookup },
): Location {
  const name = /^env:(.*)$/s.exec(text)?.[1]
  if (name === undefined) {
    refuse(flag, `The URL of ${flag}`, text)
    return { url: text, variable: variable(text), given: true }
  }
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    throw new ToteError('UsageInvalid', `"${name}" is not the name of a variable`, { where: flag })
  const url = lookup(name)
  if (url === undefined) {
    throw new ToteError('UsageInvalid', `The variable ${name} is not set`, {
      where: flag,
      fix: `${name}=postgres://user:password@host:5432/database, in the environment or in .env of the new project`,
    })
  }
  refuse(flag, `The variable ${name}`, url)
  return { url, variable: name, given: false }
}

function refuse(flag: string, what: string, url: string): void {
  const fault = databaseUrlFault(url)
  if (fault !== undefined) throw new ToteError('UsageInvalid', `${what} ${fault}`, { where: flag })
}

/** The database that a URL names, decoded. */
export function databaseOf(url: string): string {
  return decodeURIComponent(new URL(url).pathname.slice(1))
}

/** What names the warehouse where nothing else is said. */
export const WAREHOUSE_VARIABLE = 'WAREHOUSE_URL'

/** This machine, by whatever name. */
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/

/** Whether two URLs lead to one database, as far as they tell: a server may have several names. */
export function isSameDatabase(a: string, b: string): boolean {
  const place = (text: string): string => {
    const { hostname, port } = new URL(text)
    const host = hostname.toLowerCase()
    return JSON.stringify([
      LOOPBACK.test(host) ? 'localhost' : host,
      port === '' ? '5432' : port,
      databaseOf(text),
    ])
  }
  return place(a) === place(b)
}
