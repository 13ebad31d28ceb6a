/** Names of tables as a config writes them: what is read back is what was written. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  isExact,
  meansTable,
  parseTableName,
  withSchema,
  writeTableName,
} from '../../src/config/table-name.ts'

const part = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
  .filter((text) => !text.includes('\0'))

test('any schema and table, written and read, mean that table and no other', () => {
  fc.assert(
    fc.property(part, part, part, part, (schema, name, otherSchema, otherName) => {
      const written = parseTableName(writeTableName(schema, name))
      if (written === undefined) throw new Error('not read back')
      expect(isExact(written)).toBe(true)
      expect(meansTable(written, { schema, name }, 'public')).toBe(true)
      expect(meansTable(written, { schema: otherSchema, name: otherName }, 'public')).toBe(
        otherSchema === schema && otherName === name,
      )
    }),
    { examples: [['a.b', 'c', 'a', 'b.c']] },
  )
})

test('a name without a schema means the default one, which may need quotes', () => {
  const means = (text: string, schema: string, name: string): boolean => {
    const written = parseTableName(withSchema(text, 'My Shop'))
    return written !== undefined && meansTable(written, { schema, name }, 'other')
  }
  expect(withSchema('sale', 'My Shop')).toBe('"My Shop".sale')
  expect(withSchema('crm.sale', 'My Shop')).toBe('crm.sale')
  expect(means('sale', 'My Shop', 'sale')).toBe(true)
  expect(means('"Sale.Line"', 'My Shop', 'Sale.Line')).toBe(true)
  expect(means('crm.sale', 'crm', 'sale')).toBe(true)
})

test('names are quoted where they must be, and what is no name stays as it was', () => {
  expect(writeTableName('public', 'sale_line')).toBe('public.sale_line')
  expect(writeTableName('My Shop', 'a.b')).toBe('"My Shop"."a.b"')
  expect(writeTableName('a"b', 'all*')).toBe('"a""b"."all*"')
  expect(withSchema('a b', 'public')).toBe('a b')
})

test('a name without a schema means no table of another', () => {
  const written = parseTableName('sale') ?? fail('sale')
  expect(meansTable(written, { schema: 'public', name: 'sale' }, 'public')).toBe(true)
  expect(meansTable(written, { schema: 'crm', name: 'sale' }, 'public')).toBe(false)
})

test('a star is any text, unless it is quoted', () => {
  const exact = (text: string): boolean => isExact(parseTableName(text) ?? fail(text))
  const means = (text: string, name: string): boolean =>
    meansTable(parseTableName(text) ?? fail(text), { schema: 'public', name }, 'public')
  expect([exact('sale*'), exact('*.sale'), exact('"sale*"'), exact('sale')]).toEqual([
    false,
    false,
    true,
    true,
  ])
  expect(means('sale*', 'sale line\n2')).toBe(true)
  expect(means('"sale*"', 'sales')).toBe(false)
  expect(means('"sale*"', 'sale*')).toBe(true)
})

test.each(['', ' ', 'a b', 'a.b.c', 'a.', '.a', '"a', 'a"', '""', '"a"b', 'a"b"', '"a".'])(
  '%j is no name',
  (text) => expect(parseTableName(text)).toBeUndefined(),
)

function fail(text: string): never {
  throw new Error(`${text} is no name`)
}
