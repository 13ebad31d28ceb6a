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
  expect(parse('postgres://db.example/shop?user=a://b@/c').user).toBe('a://b@/c')
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
  expect(tls('127.10.20.30/shop')).toBe('disable')
  expect(tls('127.0.0.1.example/shop')).toBe('verify-full')
  expect(tls('x127.0.0.1/shop')).toBe('verify-full')
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

test('what is wrong with a URL is said, with the way out', () => {
  const said = (url: string): unknown => {
    try {
      return parse(url)
    } catch (error) {
      const { message, facts } = error as ToteError
      return [message, facts.fix]
    }
  }
  const form = 'postgres://user:password@host:5432/database'
  expect(said('no url')).toEqual(['The URL of sources.shop.url is not a URL.', form])
  expect(said('mysql://h/shop')).toEqual([
    'The URL of sources.shop.url begins with "mysql:".',
    form,
  ])
  expect(said('postgres://h')).toEqual(['The URL of sources.shop.url names no database.', form])
  expect(said('postgres://h/a%zz')).toEqual([
    'The URL of sources.shop.url has a "%" that is not followed by two hexadecimal digits.',
    'write % as %25',
  ])
  expect(said('postgres://h/shop?sslmode=prefer')).toEqual([
    'The URL of sources.shop.url has sslmode "prefer".',
    'sslmode=disable, require, verify-ca or verify-full',
  ])
})

test('P10: an address is shown without its password', () => {
  expect(formatAddress(parse('postgres://me:secret@db.example/shop'))).toBe(
    'me@db.example:5432/shop',
  )
})
