/** Which tables patterns take, and what is said of a pattern that names none. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isExact, meansTable, parseTableName } from '../../src/config/table-name.ts'
import { ToteError } from '../../src/errors.ts'
import { chooseTables, exactNames, meaningOf, namesNothing } from '../../src/sources/patterns.ts'

const TABLES = [
  'public.address',
  'public.sales_order',
  'public._prisma_migrations',
  'audit.log',
  'audit.log_old',
  'public.a+b',
].map((full) => {
  const [schema = '', name = ''] = full.split('.')
  return { schema, name }
})
const choose = (include: string[], exclude: string[] = []): string[] =>
  chooseTables('shop', TABLES, { include, exclude, defaultSchema: 'public' }).map(
    ({ schema, name }) => `${schema}.${name}`,
  )

test('patterns without a dot mean the default schema; * is any text; excluding wins', () => {
  expect(choose(['*'])).toEqual([
    'public.address',
    'public.sales_order',
    'public._prisma_migrations',
    'public.a+b',
  ])
  expect(choose(['*'], ['_prisma_migrations'])).toEqual([
    'public.address',
    'public.sales_order',
    'public.a+b',
  ])
  expect(choose(['audit.*', 'address'])).toEqual(['public.address', 'audit.log', 'audit.log_old'])
  expect(choose(['*.*'], ['public.*'])).toEqual(['audit.log', 'audit.log_old'])
  expect(choose(['*'], ['not_there'])).toHaveLength(4)
})

test('a pattern is matched whole and literally', () => {
  expect(choose(['audit.log'])).toEqual(['audit.log'])
  expect(choose(['a+b'])).toEqual(['public.a+b'])
  expect(() => choose(['sales.order'])).toThrow('no such table')
  expect(() => choose(['o.*'])).toThrow('no such table')
})

test('every pattern that names nothing is said at once, with the nearest name', () => {
  expect(() => choose(['adress', 'sales_orders', 'nothing_like_it', 'audit.log'])).toThrow(
    expect.objectContaining({
      name: 'SourceTableUnknown',
      facts: {
        problems: [
          {
            where: 'sources.shop.tables.include',
            message:
              '"adress" names no table that the role can see. Did you mean "public.address"?',
          },
          {
            where: 'sources.shop.tables.include',
            message:
              '"sales_orders" names no table that the role can see. Did you mean "public.sales_order"?',
          },
          {
            where: 'sources.shop.tables.include',
            message: '"nothing_like_it" names no table that the role can see.',
          },
        ],
      },
    }) as Error,
  )
})

test('a table of that name in other schemas is named before any that is written alike', () => {
  const tables = ['sales.order', 'logs.order', 'public.orders'].map((written) => {
    const [schema = '', name = ''] = written.split('.')
    return { schema, name }
  })
  expect(() =>
    chooseTables('shop', tables, { include: ['order'], exclude: [], defaultSchema: 'public' }),
  ).toThrow(
    expect.objectContaining({
      facts: {
        problems: [
          {
            where: 'sources.shop.tables.include',
            message:
              '"order" names no table that the role can see. Did you mean "sales.order" or "logs.order"?',
          },
        ],
      },
    }) as Error,
  )
})

test('what is no name names nothing, and the nearest is looked for in the schema that was named', () => {
  expect(() => choose(['address', 'a b'])).toThrow('no such table')
  const said = (written: string): string =>
    namesNothing(written, TABLES, { defaultSchema: 'public' }, 'here')
  expect(said('a b')).toBe('"a b" names no table here.')
  expect(said('audit.lgo')).toBe('"audit.lgo" names no table here. Did you mean "audit.log"?')
  expect(said('"adress"')).toBe('"adress" names no table here. Did you mean "public.address"?')
})

const part = fc.constantFrom('a', 'b', 'A', '*', 'a*', '"a"', '"a*"', '"a.b"', 'a+b', 'public', '')
const pattern = fc.oneof(
  part,
  fc.tuple(part, part).map((parts) => parts.join('.')),
)
const name = fc.constantFrom('a', 'b', 'A', 'ab', 'a*', 'a.b', 'a+b', 'public', 'a\nb')

test('patterns that are looked up take what each of them alone means', () => {
  fc.assert(
    fc.property(
      fc.array(pattern, { maxLength: 6 }),
      fc.record({ schema: name, name }),
      (patterns, table) => {
        const alone = (of: readonly string[]): boolean =>
          of.some((one) => {
            const written = parseTableName(one)
            return written !== undefined && meansTable(written, table, 'public')
          })
        expect(meaningOf(patterns, { defaultSchema: 'public' })(table)).toBe(alone(patterns))
        const named = patterns.filter((one) => {
          const written = parseTableName(one)
          return written !== undefined && isExact(written)
        })
        expect(exactNames(patterns)).toEqual(named)
      },
    ),
    { numRuns: 2000 },
  )
})

test('of thousands of names that mean nothing each is said, and the first few with the nearest', () => {
  const wrong = Array.from({ length: 3000 }, (_, index) => `adres${index}`)
  const refused = ((): unknown => {
    try {
      return choose(wrong)
    } catch (error) {
      return error
    }
  })()
  const problems = refused instanceof ToteError ? (refused.facts.problems ?? []) : []
  expect(problems).toHaveLength(wrong.length)
  expect(problems.filter(({ message }) => message.includes('Did you mean'))).toHaveLength(20)
})
