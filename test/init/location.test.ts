import { expect, test } from 'vitest'
import { isSameDatabase } from '../../src/init/location.ts'

test.each([
  [
    'postgres://a@db.example.com/shop',
    'postgres://b@DB.example.com:5432/shop?sslmode=require',
    true,
  ],
  ['postgres://a@localhost/shop', 'postgresql://b:x@127.0.0.1:5432/shop', true],
  ['postgres://a@[::1]:5433/shop', 'postgres://a@localhost:5433/shop', true],
  ['postgres://a@localhost/a%20b', 'postgres://a@localhost/a b', true],
  ['postgres://a@localhost/shop', 'postgres://a@localhost/Shop', false],
  ['postgres://a@localhost/shop', 'postgres://a@localhost:5433/shop', false],
  ['postgres://a@127.example.com/shop', 'postgres://a@localhost/shop', false],
])('%s and %s are one database: %s', (a, b, same) => {
  expect(isSameDatabase(a, b)).toBe(same)
  expect(isSameDatabase(b, a)).toBe(same)
})
