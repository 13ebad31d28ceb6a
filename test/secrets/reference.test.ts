import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { embedded, env, isEmbeddedReference, isEnvReference } from '../../src/secrets/reference.ts'

const printed = (value: unknown): string =>
  [
    String(value),
    JSON.stringify(value),
    inspect(value),
    inspect(value, { showHidden: true, customInspect: false }),
  ].join('\n')

test('P10: a reference prints its name, never its fallback', () => {
  const reference = env('TOTESYS_URL', 'postgres://u:S3CR3T@h/db')
  expect(String(reference)).toBe('env(TOTESYS_URL)')
  expect(JSON.stringify({ url: reference })).toBe('{"url":"env(TOTESYS_URL)"}')
  expect(inspect({ url: reference })).toBe('{ url: env(TOTESYS_URL) }')
  expect(printed(reference)).not.toContain('S3CR3T')
})

test('an embedded database prints its name, however wrong its options', () => {
  expect(String(embedded({ database: 'shop', owner: 'o' }))).toBe('embedded(shop)')
  expect(inspect(Reflect.apply(embedded, undefined, []))).toBe('embedded()')
})

test('references of another copy of the package are recognised', () => {
  const other = { name: 'X', fallback: undefined, [Symbol.for('totedata.env')]: true }
  expect([
    isEnvReference(other),
    isEnvReference(env('X')),
    isEnvReference({ name: 'X' }),
    isEnvReference(null),
  ]).toEqual([true, true, false, false])
  const options = { database: 'd', owner: 'o' }
  const database = { options, [Symbol.for('totedata.embedded')]: true }
  expect([
    isEmbeddedReference(database),
    isEmbeddedReference(embedded(options)),
    isEmbeddedReference({ options }),
  ]).toEqual([true, true, false])
})
