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

test('an error that is ours already passes unchanged', () => {
  const ours = new ToteError('RunCancelled', 'stop')
  expect(translateFailure(ours, peer('source'), 'read')).toBe(ours)
})

test('only what a later try can cure is called transient', () => {
  for (const code of ['08000', '53100', '40001', '57P01', '57P02', '57P03', '55P03', '55006'])
    expect(isTransient(code)).toBe(true)
  for (const code of ['22P02', '23505', '28P01', '42501', '57014', 'XX000'])
    expect(isTransient(code)).toBe(false)
})
