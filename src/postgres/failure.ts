/**
 * The server's and the driver's errors, said in our words, once, at the edge. The server's DETAIL,
 * CONTEXT and HINT are dropped: they carry cell values (P10). SQLSTATE and the names of table,
 * column and constraint are kept.
 */
import { ToteError, type ErrorFacts, type ErrorName } from '../errors.ts'

/** Which database an error is about: it decides the error's name. */
export type Side = 'source' | 'warehouse'

export interface Peer {
  readonly side: Side
  /** The source's name, or `warehouse`. */
  readonly name: string
  /** user@host:port/database */
  readonly address: string
}

interface ServerError {
  readonly code?: unknown
  readonly message?: unknown
  readonly severity?: unknown
  readonly schema?: unknown
  readonly table?: unknown
  readonly column?: unknown
  readonly constraint?: unknown
  /** Read for the name of a setting, and never shown. */
  readonly hint?: unknown
  /** Where in the server's code it was thrown. */
  readonly routine?: unknown
}

const NAMES = {
  source: {
    unreachable: 'SourceUnreachable',
    refused: 'SourceRefused',
    forbidden: 'SourceForbidden',
    busy: 'SourceBusy',
  },
  warehouse: {
    unreachable: 'WarehouseUnreachable',
    refused: 'WarehouseRefused',
    forbidden: 'WarehouseRefused',
    busy: 'WarehouseUnreachable',
  },
} as const satisfies Record<Side, Record<string, ErrorName>>

/** SQLSTATE classes and codes that a later try can cure: connection, resources, shutdown, serialization, locks. */
export function isTransient(sqlstate: string): boolean {
  return (
    /^(08|53|40)/.test(sqlstate) ||
    ['57P01', '57P02', '57P03', '57P05', '55P03', '55006'].includes(sqlstate)
  )
}

/**
 * A thrown driver error as a ToteError about `peer`; a ToteError passes unchanged.
 * `doing` says what was attempted, for example `lock "public.payment"`.
 */
export function translateFailure(thrown: unknown, peer: Peer, doing: string): ToteError {
  if (thrown instanceof ToteError) return thrown
  const names = NAMES[peer.side]
  const who = peer.side === 'source' ? `source "${peer.name}"` : 'warehouse'
  const error = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as ServerError
  const code = typeof error.code === 'string' ? error.code : undefined
  const sqlstate =
    code !== undefined && /^[0-9A-Z]{5}$/.test(code) && error.severity !== undefined
      ? code
      : undefined
  const where = peer.address
  if (sqlstate === undefined) {
    const reason =
      code ?? (typeof error.message === 'string' ? safeReason(error.message) : 'no reason given')
    return new ToteError(
      names.unreachable,
      `The ${who} at ${where} could not be reached (${reason}) while trying to ${doing}.`,
      {
        where,
        ...CONNECT_HINTS[reason],
        cause: thrown,
      },
    )
  }
  const object = objectOf(error)
  const about = object === '' ? '' : `, ${object}`
  const facts = { where, sqlstate, cause: thrown }
  if (sqlstate === '28P01' || sqlstate === '28000' || sqlstate === '3D000') {
    const isUnknown = sqlstate === '3D000'
    return new ToteError(
      names.refused,
      `The ${who} at ${where} ${isUnknown ? 'has no such database' : 'refused the login'} (SQLSTATE ${sqlstate}).`,
      {
        ...facts,
        fix: isUnknown
          ? "is the database's name in the URL right?"
          : 'are user and password in the URL right, and may this user come from here (pg_hba.conf)?',
      },
    )
  }
  if (sqlstate === '42501') {
    return new ToteError(
      names.forbidden,
      `The ${who} at ${where} refused permission to ${doing} (SQLSTATE 42501${about}).`,
      {
        ...facts,
        // A missing grant, or a row security policy that would hide rows from us.
        why: serverWords(error, sqlstate),
      },
    )
  }
  if (sqlstate === '55P03') {
    return new ToteError(
      names.busy,
      `The ${who} at ${where} is busy: a lock was not given in time to ${doing} (SQLSTATE 55P03${about}).`,
      facts,
    )
  }
  if (sqlstate === '22021' && peer.side === 'source') {
    return new ToteError(
      'ValueNotCarried',
      `The ${who} at ${where} could not ${doing}: some text is not UTF-8 (SQLSTATE 22021${about}).`,
      {
        ...facts,
        why: 'the database does not check the encoding of its text (SQL_ASCII)',
        fix: 'correct the text at the source, or leave its column out (columns.exclude)',
      },
    )
  }
  const hints =
    sqlstate.startsWith('22') && peer.side === 'source'
      ? {
          why: 'something that is computed as it is read fails for some row: a view, a virtual generated column, a filter of the config',
          fix: 'mend it, or its rows, at the source, or leave the column out (columns.exclude)',
        }
      : sqlstate === '54011' && peer.side === 'warehouse'
        ? {
            why: 'columns that are gone from the table count among the 1,600 that PostgreSQL allows, until it is made anew',
            fix: 'tote rebuild',
          }
        : {}
  // The message is in the server's language, the setting's name is not.
  if (typeof error.hint === 'string' && error.hint.includes('max_locks_per_transaction')) {
    return new ToteError(
      'LocksExhausted',
      `The ${who} at ${where} has no room left for the locks that it needs to ${doing} (SQLSTATE ${sqlstate}${about}).`,
      { ...facts, ...LOCK_HINTS[peer.side] },
    )
  }
  const name = isTransient(sqlstate) ? names.unreachable : names.refused
  return new ToteError(
    name,
    `The ${who} at ${where} refused to ${doing}: ${serverReason(error, sqlstate)}${about}.`,
    { ...facts, ...hints },
  )
}

const RAISE =
  'raise max_locks_per_transaction at the server (64 unless it was set; it takes a restart; docs/operations.md says how far)'

/** All sessions of a server share one table of locks. */
const LOCK_HINTS: Readonly<Record<Side, Pick<ErrorFacts, 'why' | 'fix'>>> = {
  source: {
    why: 'until it ends, a batch holds a lock on every table, partition and index that it reads, since all are read at one instant',
    fix: `${RAISE}, or leave tables out (tables.exclude)`,
  },
  warehouse: {
    why: 'a load is one transaction, and holds a lock on every table and index that it makes or changes',
    fix: RAISE,
  },
}

const ROOT =
  'add &sslrootcert=/path/to/root.pem to the URL, with the root certificate of whoever runs it'
const UNKNOWN_ROOT = {
  why: 'nobody that this machine trusts vouches for its certificate',
  fix: ROOT,
}

/** What may be wrong, and what to try, by the code of a failure to connect. */
const CONNECT_HINTS: Readonly<Record<string, Pick<ErrorFacts, 'why' | 'fix'>>> = {
  ECONNREFUSED: { fix: 'is a server listening there, and may this machine reach it?' },
  timeout: {
    why: 'nothing answered in ten seconds',
    fix: 'does a firewall let this machine through, and has the server room for another session? run again',
  },
  'it fell silent': {
    why: 'nothing came, and asked on another connection it was not at work for us, or did not answer',
    fix: 'run again; does something between cut off connections that are idle, or old?',
  },
  ENOTFOUND: { why: 'no such host is known', fix: 'is the host name in the URL right?' },
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_ROOT,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_ROOT,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_ROOT,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_ROOT,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_ROOT,
  CERT_HAS_EXPIRED: { why: 'its certificate has expired' },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    why: 'its certificate was made for another host name',
    fix: 'use that name in the URL; through a tunnel, sslmode=verify-ca checks all but the name',
  },
}

/** PL/pgSQL's `raise`, which may give any SQLSTATE, that of a missing grant too. */
const RAISED = 'exec_stmt_raise'

/**
 * The server's primary message, which quotes names and never values; undefined where data, somebody's own
 * function or a foreign server speaks.
 */
function serverWords({ message, routine }: ServerError, sqlstate: string): string | undefined {
  if (routine === RAISED || /^(22|23|38|39|HV|P0)/.test(sqlstate)) return undefined
  return typeof message === 'string' ? message : undefined
}

function serverReason(error: ServerError, sqlstate: string): string {
  const words = serverWords(error, sqlstate)
  return words === undefined ? `SQLSTATE ${sqlstate}` : `${words} (SQLSTATE ${sqlstate})`
}

function objectOf(error: ServerError): string {
  const parts: string[] = []
  if (typeof error.table === 'string') parts.push(`table "${error.table}"`)
  if (typeof error.column === 'string') parts.push(`column "${error.column}"`)
  if (typeof error.constraint === 'string') parts.push(`constraint "${error.constraint}"`)
  return parts.join(', ')
}

/** Driver messages may quote a URL; only known harmless ones are shown. */
function safeReason(message: string): string {
  if (/terminated unexpectedly|Connection terminated|ended by the server/i.test(message))
    return 'connection lost'
  if (message.startsWith('fell silent')) return 'it fell silent'
  if (/timeout/i.test(message)) return 'timeout'
  if (/SSL|TLS|certificate|self.signed/i.test(message))
    return 'TLS was refused or its certificate is not trusted'
  if (/password must be/i.test(message))
    return 'the server asks for a password and the URL has none'
  if (/broke the protocol/.test(message)) return 'what it sent is no protocol of PostgreSQL'
  if (/^COPY (sent|ended)/.test(message)) return 'a COPY was cut short'
  return 'connection failed'
}
