import { format, inspect } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { databaseUrlFault, hasPassword, redactText, Secret } from '../../src/secrets/secret.ts'

/** Every way in which a value may reach a log by accident. */
function printed(value: unknown): string {
  return [
    String(value),
    JSON.stringify({ value }),
    inspect(value),
    inspect({ deep: { value } }, { showHidden: true, depth: 9, customInspect: true }),
    inspect(value, { showHidden: true, customInspect: false }),
    format('%s %o %O %j', value, value, value, value),
    Object.entries(Object(value)).join(),
    JSON.stringify(structuredClone({ ...Object(value) })),
  ].join('\n')
}

// A planted mark, with everything around it that a careless person leaves unescaped.
const password = fc.string({ maxLength: 6 }).map((noise) => `${noise}S3CR3T${noise}`)

test('P10: a password in a URL is printed in no way, escaped or not', () => {
  fc.assert(
    fc.property(
      password,
      fc.constantFrom('', 'user', 'o%27keefe'),
      fc.constantFrom('h', 'h:5432', '[::1]:1', 'a:1,b:2'),
      (secret, user, host) => {
        for (const text of [secret, encodeURIComponent(secret)]) {
          const url = `postgres://${user}:${text}@${host}/db?sslmode=require`
          expect(printed(new Secret(url))).not.toContain('S3CR3T')
          expect(new Secret(url).reveal()).toBe(url)
        }
      },
    ),
  )
})

test('P10: a password given as a parameter is not printed', () => {
  expect(String(new Secret('postgres://h/db?user=u&password=S3CR3T&sslpassword=S3CR3T#x'))).toBe(
    'postgres://h/db?user=u&password=***&sslpassword=***#x',
  )
})

test('what is not a URL is hidden whole', () => {
  expect(String(new Secret('host=h password=S3CR3T'))).toBe('***')
  expect(String(new Secret('S3CR3T'))).toBe('***')
  expect(String(new Secret('my postgres://S3CR3T:S3CR3T@h/db'))).toBe('***')
})

test('all but the password stays readable', () => {
  expect(inspect(new Secret('postgres://user:pw@host:5432/db?sslmode=require'))).toBe(
    'postgres://user:***@host:5432/db?sslmode=require',
  )
  expect(JSON.stringify([new Secret('postgres://user:pw@host:5432/db')])).toBe(
    '["postgres://user:***@host:5432/db"]',
  )
  expect(inspect(new Secret('postgres://user@host:5432/db'))).toBe('postgres://user@host:5432/db')
  expect(inspect(new Secret('postgres://user@host/db'))).toBe('postgres://user@host/db')
  expect(inspect(new Secret('postgres:///db?host=/run/postgresql'))).toBe(
    'postgres:///db?host=/run/postgresql',
  )
})

test('P10: a line of a file is shown without the passwords of its URLs, quotes and blanks in them included', () => {
  expect(redactText("url: 'postgres://u:pa ss'\"w@rd@h/db', // note")).toBe(
    "url: 'postgres://u:***@h/db', // note",
  )
  expect(redactText("url: 'postgres://u:p#w/rd?x@h/db?password=p' }")).toBe(
    "url: 'postgres://u:***@h/db?password=***' }",
  )
  expect(redactText("url: env('X', 'postgres://h:5432/db')")).toBe(
    "url: env('X', 'postgres://h:5432/db')",
  )
  expect(redactText('postgres://u:p@h/d')).toBe('postgres://u:***@h/d')
  expect(redactText('a\nb postgres://u:p@h/d\nc')).toBe('a\nb postgres://u:***@h/d\nc')
})

test.each([
  ['postgres://user:pa%23ss@host:5432/db?sslmode=require', undefined],
  ['postgresql:///db?host=/run/postgresql', undefined],
  ['mysql://host/db', 'is not a URL of the form'],
  ['my-postgres://host/db', 'is not a URL of the form'],
  ['host=h dbname=d', 'is not a URL of the form'],
  ['postgres://user:pa/ss@host/db', 'is not a valid URL'],
  ['postgres://user:1/ss@host/db', 'is not a valid URL'],
  ['postgres://user:1#ss@host/db', 'is not a valid URL'],
  ['postgres://user:1%zz@host/db', 'is not a valid URL'],
  ['postgres://host:port/db', 'is not a valid URL'],
  ['postgres://host', 'names no database'],
  ['postgres://host/', 'names no database'],
])('%s: %s', (url, fault) => {
  const found = databaseUrlFault(url)
  if (fault === undefined) expect(found).toBeUndefined()
  else expect(found).toContain(fault)
})

test('a password is found wherever a URL can hold it', () => {
  expect(
    ['postgres://u:p@h/d', 'postgres://h/d?password=p', 'postgres://h/d?sslpassword=p'].map(
      hasPassword,
    ),
  ).toEqual([true, true, true])
  expect(['postgres://u@h/d', 'postgres://h:1/d?user=u', 'no url'].map(hasPassword)).toEqual([
    false,
    false,
    false,
  ])
})
