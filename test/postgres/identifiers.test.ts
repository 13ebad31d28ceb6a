/** Quoting, where it is a matter of text; identifiers.pg.test.ts asks the server. */
import { expect, test } from 'vitest'
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../../src/postgres/identifiers.ts'

test('P10: identifiers and literals are quoted whatever they hold', () => {
  expect(quoteIdentifier('a"; drop table x; --')).toBe('"a""; drop table x; --"')
  expect(quoteQualified('My schema', 'order')).toBe('"My schema"."order"')
  expect(quoteLiteral("it's")).toBe("'it''s'")
  expect(quoteLiteral("\\'; drop")).toBe(" E'\\\\''; drop'")
})

test('P10: a NUL character, which the server would take for the end, is refused', () => {
  expect(() => quoteIdentifier('a\0b')).toThrow(RangeError)
  expect(() => quoteLiteral('a\0b')).toThrow(RangeError)
})
