/**
 * A PostgreSQL URL, read by us: what to connect to, whether TLS is checked, and how to name the
 * server to a person without its password.
 */
import { ToteError } from '../errors.ts'

/**
 * `disable`: plain text. `require`: encrypted, not checked. `verify-ca`: the certificate is checked but
 * not the host name in it, as a tunnel needs. `verify-full`: both.
 */
export type TlsMode = 'disable' | 'require' | 'verify-ca' | 'verify-full'

export interface Address {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password: string | undefined
  readonly tls: TlsMode
  /** A file with root certificates (`sslrootcert`). */
  readonly rootCertificate: string | undefined
}

/**
 * Parses `postgres://user:password@host:port/database?sslmode=…&sslrootcert=…`.
 * TLS is verified unless the URL says otherwise; loopback and unix sockets need none (P10).
 * Throws ConfigInvalid, naming `where` and never the URL itself.
 */
export function parseAddress(url: string, where: string): Address {
  let parsed: URL
  try {
    // PostgreSQL allows what URL does not: a user, and the host only among the parameters.
    parsed = new URL(url.replace(/^([a-z]+:\/\/[^/?#@]*@)(?=[/:?#])/i, '$1localhost'))
  } catch {
    throw invalid(where, 'is not a URL', 'postgres://user:password@host:5432/database')
  }
  if (parsed.protocol !== 'postgres:' && parsed.protocol !== 'postgresql:') {
    throw invalid(
      where,
      `begins with "${parsed.protocol}"`,
      'postgres://user:password@host:5432/database',
    )
  }
  const parameters = parsed.searchParams
  const decode = (text: string): string => {
    try {
      return decodeURIComponent(text)
    } catch {
      throw invalid(
        where,
        'has a "%" that is not followed by two hexadecimal digits',
        'write % as %25',
      )
    }
  }
  const host = parameters.get('host') ?? decode(parsed.hostname.replace(/^\[|\]$/g, ''))
  const database = decode(parsed.pathname.slice(1))
  const user = decode(parsed.username)
  if (database === '')
    throw invalid(where, 'names no database', 'postgres://user:password@host:5432/database')
  const address = host === '' ? 'localhost' : host
  return {
    host: address,
    port: parsed.port === '' ? Number(parameters.get('port') ?? 5432) : Number(parsed.port),
    database,
    user: user === '' ? (parameters.get('user') ?? 'postgres') : user,
    password: parsed.password === '' ? undefined : decode(parsed.password),
    tls: tlsMode(parameters.get('sslmode'), address, where),
    rootCertificate: parameters.get('sslrootcert') ?? undefined,
  }
}

/** `user@host:port/database`, without the password. */
export function formatAddress(address: Address): string {
  return `${address.user}@${address.host}:${address.port}/${address.database}`
}

function tlsMode(mode: string | null, host: string, where: string): TlsMode {
  switch (mode) {
    case null:
      return isLocal(host) ? 'disable' : 'verify-full'
    case 'disable':
    case 'require':
    case 'verify-ca':
    case 'verify-full':
      return mode
    default:
      throw invalid(
        where,
        `has sslmode "${mode}"`,
        'sslmode=disable, require, verify-ca or verify-full',
      )
  }
}

function isLocal(host: string): boolean {
  return (
    host.startsWith('/') ||
    host === 'localhost' ||
    host === '::1' ||
    /^127(\.\d{1,3}){3}$/.test(host)
  )
}

function invalid(where: string, what: string, fix: string): ToteError {
  return new ToteError('ConfigInvalid', `The URL of ${where} ${what}.`, { where, fix })
}
