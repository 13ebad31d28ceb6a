/** URLs of databases: every part read, TLS verified unless the URL says otherwise, the password never shown. */
import { expect, test } from 'vitest'
import { formatAddress, parseAddress, type Address } from '../../src/postgres/address.ts'
import type { ToteError } from '../../src/errors.ts'

const parse = (url: string): Address => parseAddress(url, 'sources.shop.url')

test('every part of a URL is read, percent-encoding included', () => {
  expect(
    parse('postgresql://us%40er:p%3Aa%2Fss@db.example:6543/my%20db?sslrootcert=/ca.pem'),
  ).toEqual({
    host: 'db.example',
    port: 6543,
    database: 'my db',
    user: 'us@er',
    password: 'p:a/ss',
    tls: 'verify-full',
    rootCertificate: '/ca.pem',
  })
  expect(parse('postgres:///shop')).toMatchObject({
    host: 'localhost',
    port: 5432,
    user: 'postgres',
    password: undefined,
    tls: 'disable',
  })
  expect(parse('postgres://me@/shop?host=/var/run/postgresql&port=5433')).toMatchObject({
    host: '/var/run/postgresql',
    port: 5433,
    tls: 'disable',
  })
  expect(parse('postgres://me@[::1]:5433/shop')).toMatchObject({
    host: '::1',
    port: 5433,
    tls: 'disable',
  })
})

test('P10: a remote server’s certificate is checked unless the URL says otherwise; this machine needs none', () => {
  const tls = (rest: string): string => parse(`postgres://me@${rest}`).tls
  expect(tls('db.example/shop')).toBe('verify-full')
  expect(tls('db.example/shop?sslmode=verify-ca')).toBe('verify-ca')
  expect(tls('db.example/shop?sslmode=require')).toBe('require')
  expect(tls('db.example/shop?sslmode=disable')).toBe('disable')
  expect(tls('127.0.0.1/shop')).toBe('disable')
  expect(tls('127.0.0.1.example/shop')).toBe('verify-full')
  expect(tls('localhost/shop?sslmode=verify-full')).toBe('verify-full')
  expect(tls('10.0.0.7/shop')).toBe('verify-full')
})

test('P10: what is wrong with a URL is said without the URL', () => {
  for (const url of [
    'not a url but secret',
    'mysql://me:secret@host/shop',
    'postgres://me:secret@host',
    'postgres://me:secret@host/shop?sslmode=prefer',
    'postgres://me:%secret@host/shop',
    'postgres://me:secret@host:port/shop',
  ]) {
    let thrown: unknown
    try {
      parse(url)
    } catch (error) {
      thrown = error
    }
    expect(thrown, `${url}`).toMatchObject({
      name: 'ConfigInvalid',
      facts: { where: 'sources.shop.url' },
    })
    expect(JSON.stringify((thrown as ToteError).toJSON())).not.toContain('secret')
  }
})

test('P10: an address is shown without its password', () => {
  expect(formatAddress(parse('postgres://me:secret@db.example/shop'))).toBe(
    'me@db.example:5432/shop',
  )
})
