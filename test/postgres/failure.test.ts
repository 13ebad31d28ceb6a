/** Errors of server and driver in our words: the name by SQLSTATE, and never a value (P10). */
import { expect, test } from 'vitest'
import { ToteError } from '../../src/errors.ts'
import { isTransient, translateFailure, type Side } from '../../src/postgres/failure.ts'

const peer = (side: Side): { side: Side; name: string; address: string } => ({
  side,
  name: side === 'source' ? 'shop' : 'warehouse',
  address: 'me@db:5432/shop',
})
const server = (code: string, more: object = {}): object => ({
  severity: 'ERROR',
  code,
  message: 'the server says',
  detail: 'SECRET',
  where: 'SECRET',
  hint: 'SECRET',
  internalQuery: 'SECRET',
  ...more,
})

test.each([
  ['28P01', 'SourceRefused', 'WarehouseRefused', false],
  ['28000', 'SourceRefused', 'WarehouseRefused', false],
  ['3D000', 'SourceRefused', 'WarehouseRefused', false],
  ['42501', 'SourceForbidden', 'WarehouseRefused', false],
  ['42P01', 'SourceRefused', 'WarehouseRefused', false],
  ['55P03', 'SourceBusy', 'WarehouseUnreachable', true],
  ['40001', 'SourceUnreachable', 'WarehouseUnreachable', true],
  ['40P01', 'SourceUnreachable', 'WarehouseUnreachable', true],
  ['53300', 'SourceUnreachable', 'WarehouseUnreachable', true],
  ['57P01', 'SourceUnreachable', 'WarehouseUnreachable', true],
  ['57P03', 'SourceUnreachable', 'WarehouseUnreachable', true],
  ['08006', 'SourceUnreachable', 'WarehouseUnreachable', true],
  ['23505', 'SourceRefused', 'WarehouseRefused', false],
  ['22021', 'ValueNotCarried', 'WarehouseRefused', false],
] as const)(
  'SQLSTATE %s is %s at a source, %s at the warehouse',
  (code, source, warehouse, retry) => {
    for (const [side, name] of [
      ['source', source],
      ['warehouse', warehouse],
    ] as const) {
      const error = translateFailure(server(code), peer(side), 'do it')
      expect(error).toMatchObject({
        name,
        retry,
        facts: { sqlstate: code, where: 'me@db:5432/shop' },
      })
      expect(error.message).toContain(code)
    }
  },
)

test('a server without room for locks is told by the setting that its hint names, whatever its language', () => {
  const full = {
    message: 'Speicher aufgebraucht, SECRET',
    hint: 'Eventuell müssen Sie »max_locks_per_transaction« erhöhen, SECRET.',
  }
  for (const side of ['source', 'warehouse'] as const) {
    const error = translateFailure(server('53200', full), peer(side), 'read table "t"')
    expect(error).toMatchObject({
      name: 'LocksExhausted',
      exit: 3,
      retry: false,
      facts: {
        sqlstate: '53200',
        fix: expect.stringContaining('raise max_locks_per_transaction'),
      },
    })
    expect(error.message).toContain('to read table "t"')
    expect(JSON.stringify(error.toJSON())).not.toContain('SECRET')
    // Memory is another matter, and a later try may find some.
    expect(translateFailure(server('53200'), peer(side), 'read')).toMatchObject({
      name: side === 'source' ? 'SourceUnreachable' : 'WarehouseUnreachable',
      retry: true,
    })
  }
})

test('what a source computes as it is read may fail: where to look is said', () => {
  for (const code of ['22003', '22012']) {
    const { facts } = translateFailure(server(code), peer('source'), 'read table "t"')
    expect(facts.why).toContain('virtual generated column')
    expect(facts.fix).toContain('columns.exclude')
    expect(translateFailure(server(code), peer('warehouse'), 'load').facts.fix).toBeUndefined()
  }
  expect(translateFailure(server('42P01'), peer('source'), 'read').facts.fix).toBeUndefined()
})

test('P10: detail, context and hint never pass, nor the message where it may quote a value', () => {
  for (const code of ['22P02', '22003', '23505', '23514', 'P0001', '38000', '39000']) {
    const error = translateFailure(
      server(code, {
        message: 'invalid input: "SECRET"',
        table: 't',
        column: 'c',
        constraint: 'k',
      }),
      peer('source'),
      'copy',
    )
    expect(JSON.stringify(error.toJSON())).not.toContain('SECRET')
    expect(error.message).toContain('table "t", column "c", constraint "k"')
  }
  expect(
    JSON.stringify(translateFailure(server('42703'), peer('source'), 'read').toJSON()),
  ).not.toContain('SECRET')
})

test('P10: a driver’s message, which may quote a URL, is not shown', () => {
  const shown = (error: object): string =>
    JSON.stringify(translateFailure(error, peer('source'), 'connect').toJSON())
  expect(shown(new Error('postgres://me:SECRET@db went wrong'))).not.toContain('SECRET')
  expect(shown(Object.assign(new Error('x'), { code: 'ECONNREFUSED' }))).toContain('ECONNREFUSED')
  expect(shown(new Error('Connection terminated unexpectedly'))).toContain('connection lost')
  expect(shown(new Error('timeout expired'))).toContain('timeout')
  expect(
    shown(
      new Error('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a non-empty string'),
    ),
  ).toContain('asks for a password')
  expect(shown(Object.assign(new Error('x'), { code: 'EPIPE' }))).toContain('SourceUnreachable')
})

test('P10: what somebody’s own function raises is not shown, whatever SQLSTATE it gives, nor what a foreign server says', () => {
  const raised = { message: 'no SECRET here', routine: 'exec_stmt_raise' }
  for (const code of ['42501', '55P03', '53400', '42P01', 'XX001', 'MY001']) {
    const error = translateFailure(server(code, raised), peer('source'), 'read')
    expect(JSON.stringify(error.toJSON())).not.toContain('SECRET')
    expect(error.message).toContain(`SQLSTATE ${code}`)
  }
  expect(
    translateFailure(server('HV000', { message: 'SECRET' }), peer('source'), 'read').message,
  ).toBe('The source "shop" at me@db:5432/shop refused to read: SQLSTATE HV000.')
})

const THE_SOURCE = 'The source "shop" at me@db:5432/shop'
const THE_WAREHOUSE = 'The warehouse at me@db:5432/shop'

test.each([
  ['source', '28P01', `${THE_SOURCE} refused the login (SQLSTATE 28P01).`],
  ['source', '28000', `${THE_SOURCE} refused the login (SQLSTATE 28000).`],
  ['warehouse', '3D000', `${THE_WAREHOUSE} has no such database (SQLSTATE 3D000).`],
  ['source', '42501', `${THE_SOURCE} refused permission to read it (SQLSTATE 42501, table "t").`],
  [
    'warehouse',
    '55P03',
    `${THE_WAREHOUSE} is busy: a lock was not given in time to read it (SQLSTATE 55P03, table "t").`,
  ],
  [
    'source',
    '22021',
    `${THE_SOURCE} could not read it: some text is not UTF-8 (SQLSTATE 22021, table "t").`,
  ],
  // Text that comes from the lake is UTF-8.
  ['warehouse', '22021', `${THE_WAREHOUSE} refused to read it: SQLSTATE 22021, table "t".`],
  [
    'warehouse',
    '42P01',
    `${THE_WAREHOUSE} refused to read it: the server says (SQLSTATE 42P01), table "t".`,
  ],
  ['source', '23505', `${THE_SOURCE} refused to read it: SQLSTATE 23505, table "t".`],
] as const)('a %s that fails with SQLSTATE %s is told in one sentence', (side, code, message) => {
  expect(translateFailure(server(code, { table: 't' }), peer(side), 'read it').message).toBe(
    message,
  )
})

test('without a table, a column or a constraint nothing is said of them, and a message may be missing', () => {
  const told = (code: string, more: object): string =>
    translateFailure(server(code, more), peer('source'), 'read').message
  expect(told('42501', {})).toBe(`${THE_SOURCE} refused permission to read (SQLSTATE 42501).`)
  expect(told('42703', { column: 'c' })).toBe(
    `${THE_SOURCE} refused to read: the server says (SQLSTATE 42703), column "c".`,
  )
  expect(told('42704', { constraint: 'k', message: undefined, hint: undefined })).toBe(
    `${THE_SOURCE} refused to read: SQLSTATE 42704, constraint "k".`,
  )
})

test('why, and what to do, where something is known', () => {
  const hints = (side: Side, code: string, more: object = {}): unknown => {
    const { why, fix } = translateFailure(server(code, more), peer(side), 'read').facts
    return [why, fix]
  }
  expect(hints('source', '42501')).toEqual(['the server says', undefined])
  for (const code of ['28P01', '28000'])
    expect(hints('warehouse', code)).toEqual([
      undefined,
      expect.stringContaining('user and password'),
    ])
  expect(hints('source', '3D000')).toEqual([undefined, "is the database's name in the URL right?"])
  expect(hints('source', '42501', { message: 7 })).toEqual([undefined, undefined])
  expect(hints('source', '22021')).toEqual([
    'the database does not check the encoding of its text (SQL_ASCII)',
    'correct the text at the source, or leave its column out (columns.exclude)',
  ])
  expect(hints('source', '22P02')).toEqual([
    'something that is computed as it is read fails for some row: a view, a virtual generated column, a filter of the config',
    'mend it, or its rows, at the source, or leave the column out (columns.exclude)',
  ])
  expect(hints('warehouse', '54011')).toEqual([
    'columns that are gone from the table count among the 1,600 that PostgreSQL allows, until it is made anew',
    'tote rebuild',
  ])
  expect(hints('source', '54011')).toEqual([undefined, undefined])
  // A class is what a SQLSTATE begins with.
  for (const code of ['42P22', '42622'])
    expect(hints('source', code)).toEqual([undefined, undefined])
  expect(hints('source', '53200', { hint: 'max_locks_per_transaction' })).toEqual([
    'until it ends, a batch holds a lock on every table, partition and index that it reads, since all are read at one instant',
    'raise max_locks_per_transaction at the server (64 unless it was set; it takes a restart; docs/operations.md says how far), or leave tables out (tables.exclude)',
  ])
  expect(hints('warehouse', '53200', { hint: 'max_locks_per_transaction' })).toEqual([
    'a load is one transaction, and holds a lock on every table and index that it makes or changes',
    'raise max_locks_per_transaction at the server (64 unless it was set; it takes a restart; docs/operations.md says how far)',
  ])
})

test('a code is a SQLSTATE only if a server gave it, and it is five letters and digits', () => {
  for (const thrown of [
    { code: 'EPIPE' },
    server('ABCDEF'),
    server('XABCDE'),
    server('28p01'),
    server('2801'),
    { severity: 'FATAL', code: 28000 },
    { severity: 'FATAL' },
  ])
    expect(translateFailure(thrown, peer('source'), 'connect')).toMatchObject({
      name: 'SourceUnreachable',
      facts: { where: 'me@db:5432/shop', cause: thrown },
    })
})

test('the cause is kept for a terminal', () => {
  for (const code of ['28P01', '42501', '55P03', '22021', '42P01']) {
    const thrown = server(code)
    expect(translateFailure(thrown, peer('source'), 'read').facts.cause).toBe(thrown)
  }
})

test('whatever was thrown, and however little it says, is a database out of reach', () => {
  const reason = (thrown: unknown): string =>
    /\((.*)\) while trying to connect\.$/.exec(
      translateFailure(thrown, peer('warehouse'), 'connect').message,
    )?.[1] ?? 'not said'
  for (const thrown of [undefined, null, 'text', 7, {}, { message: 7 }])
    expect(reason(thrown)).toBe('no reason given')
  expect(reason({ message: 'any' })).toBe('connection failed')
  expect(reason({ message: 'any', code: 'ECONNRESET' })).toBe('ECONNRESET')
})

test.each([
  ['Connection terminated', 'connection lost'],
  ['the connection was terminated unexpectedly', 'connection lost'],
  ['connection ended by the server', 'connection lost'],
  ['fell silent: 60 s', 'it fell silent'],
  ['it fell silent', 'connection failed'],
  ['Timeout expired', 'timeout'],
  [
    'The server does not support SSL connections',
    'TLS was refused or its certificate is not trusted',
  ],
  ['no tls', 'TLS was refused or its certificate is not trusted'],
  ['bad Certificate', 'TLS was refused or its certificate is not trusted'],
  ['self-signed', 'TLS was refused or its certificate is not trusted'],
  ['client Password must be a string', 'the server asks for a password and the URL has none'],
  ['the server broke the protocol: x', 'what it sent is no protocol of PostgreSQL'],
  ['COPY sent 5 rows and announced none', 'a COPY was cut short'],
  ['COPY ended and announced no rows', 'a COPY was cut short'],
  ['a COPY sent nothing', 'connection failed'],
  ['ECONNREFUSED', 'connection failed'],
])('a driver that says "%s" means: %s', (message, reason) => {
  expect(translateFailure(new Error(message), peer('source'), 'read').message).toBe(
    `${THE_SOURCE} could not be reached (${reason}) while trying to read.`,
  )
})

test('a connection that nobody answers says what may be wrong', () => {
  const thrown = new Error('timeout expired')
  expect(translateFailure(thrown, peer('source'), 'connect').facts).toMatchObject({
    why: 'nothing answered in ten seconds',
    fix: expect.stringContaining('firewall') as string,
  })
})

const UNTRUSTED = {
  why: 'nobody that this machine trusts vouches for its certificate',
  fix: 'add &sslrootcert=/path/to/root.pem to the URL, with the root certificate of whoever runs it',
}

test.each([
  ['ECONNREFUSED', { fix: 'is a server listening there, and may this machine reach it?' }],
  ['ENOTFOUND', { why: 'no such host is known', fix: 'is the host name in the URL right?' }],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', UNTRUSTED],
  ['SELF_SIGNED_CERT_IN_CHAIN', UNTRUSTED],
  ['UNABLE_TO_GET_ISSUER_CERT', UNTRUSTED],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', UNTRUSTED],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', UNTRUSTED],
  ['CERT_HAS_EXPIRED', { why: 'its certificate has expired' }],
  [
    'ERR_TLS_CERT_ALTNAME_INVALID',
    {
      why: 'its certificate was made for another host name',
      fix: 'use that name in the URL; through a tunnel, sslmode=verify-ca checks all but the name',
    },
  ],
  ['EHOSTUNREACH', {}],
])('a connection that fails with %s says what may be wrong', (code, hints) => {
  const thrown = Object.assign(new Error('x'), { code })
  expect(translateFailure(thrown, peer('source'), 'connect').facts).toEqual({
    where: 'me@db:5432/shop',
    cause: thrown,
    ...hints,
  })
})

test('a server that fell silent may have been cut off', () => {
  expect(translateFailure(new Error('fell silent'), peer('source'), 'read').facts).toMatchObject({
    why: 'nothing came, and asked on another connection it was not at work for us, or did not answer',
    fix: 'run again; does something between cut off connections that are idle, or old?',
  })
})

test('an error that is ours already passes unchanged', () => {
  const ours = new ToteError('RunCancelled', 'stop')
  expect(translateFailure(ours, peer('source'), 'read')).toBe(ours)
})

test('only what a later try can cure is called transient', () => {
  for (const code of '08000 53100 40001 57P01 57P02 57P03 57P05 55P03 55006'.split(' '))
    expect(isTransient(code), `${code}`).toBe(true)
  for (const code of '22P02 23505 28P01 42501 57014 XX000 22P08 42P53 XX400 0A008'.split(' '))
    expect(isTransient(code), `${code}`).toBe(false)
})
