import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  isBookkeeping,
  mainSchema,
  openNames,
  plainName,
  sourceName,
} from '../../src/init/names.ts'

test.each([
  ['OrderItem', 'order_item'],
  ['order item', 'order_item'],
  ['HTTPRequest2Log', 'http_request2_log'],
  ['_UserToAccount', 'user_to_account'],
  ['tbl Customers (old)', 'tbl_customers_old'],
  ['Ünïcode ß', 'ünïcode_ß'],
  ['…', 'unnamed'],
])('%s is called %s', (written, plain) => {
  expect(plainName(written)).toBe(plain)
})

test.each([
  ['shop', 'shop'],
  ['My-Shop', 'my_shop'],
  ['2024', 'db_2024'],
  ['main', 'main_db'],
  ['shop_changes', 'shop_changes_db'],
  ['ünïcode', '_n_code'],
  // Words of SQL, and what would be called WAREHOUSE_URL.
  ['order', 'order_db'],
  ['Select', 'select_db'],
  ['warehouse', 'warehouse_db'],
])('the source of database %s is %s', (database, source) => {
  expect(sourceName(database)).toBe(source)
})

test('names are distinct, fit, and meet no view of current rows', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.constantFrom('fact_x', 'Fact_X', 'fact_x_current', 'fact_x_2'),
          fc.string({ unit: 'grapheme', minLength: 1, maxLength: 80 }),
          fc.constant('a'.repeat(70)),
        ),
        { maxLength: 12 },
      ),
      (wanted) => {
        const nameOf = openNames()
        const names = wanted.map(nameOf)
        const relations = names.flatMap((name) => [name, `${name}_current`])
        expect(new Set(relations.map((name) => name.toLowerCase())).size).toBe(relations.length)
        for (const name of relations) expect(Buffer.byteLength(name)).toBeLessThanOrEqual(63)
      },
    ),
  )
})

test.each([
  ['public, however few', ['app', 'app', 'app', 'public'], 'public'],
  ['the one with more than half', ['art', 'music', 'music', 'stats', 'music'], 'music'],
  ['the only one', ['app'], 'app'],
  ['none of several alike', ['person', 'sales', 'sales', 'person'], 'public'],
  ['none of no tables', [], 'public'],
])('tables go by their names alone in %s', (_, schemas, main) => {
  expect(mainSchema(schemas)).toBe(main)
})

test('the books of migration tools are known by their names', () => {
  const tables = [
    '_prisma_migrations',
    '__EFMigrationsHistory',
    '__diesel_schema_migrations',
    'migrations',
    'order',
  ]
  expect(tables.filter(isBookkeeping)).toEqual(tables.slice(0, 3))
})
