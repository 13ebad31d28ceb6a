/** Names are found as DuckDB finds them, of any number of tables. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { byNameIn, orderable, sameName, type ReadableTable } from '../../src/models/dependencies.ts'
import { lookupOf, tablesOf } from '../../src/models/lookup.ts'

const name = fc.constantFrom('a', 'A', 'b', 'B', 'ab', 'aB', 'İ', 'i̇')
const table = fc.record({ schema: name, name })

test('a name that is looked up is the one that is found by going through all', () => {
  fc.assert(
    fc.property(fc.array(table), name, name, (given, schema, wanted) => {
      const tables = given.map((one): ReadableTable => ({ ...one, columns: [], key: [] }))
      expect(lookupOf(tables).find(wanted)).toBe(byNameIn(tables, wanted))
      const inSchema = tables.filter((one) => sameName(one.schema, schema))
      expect(tablesOf(tables)(schema, wanted)).toBe(byNameIn(inSchema, wanted))
    }),
  )
})

test('what was added is gone through once, however often it is asked for', () => {
  let reads = 0
  const items = Array.from({ length: 100 }, (_, index) => ({
    get name(): string {
      reads += 1
      return `t${index}`
    },
  }))
  const lookup = lookupOf(items)
  const before = reads
  for (let index = 0; index < 1000; index++) expect(lookup.find(`T${index % 100}`)).toBeDefined()
  expect(reads).toBe(before)
})

test('models that can be ordered stand after what they read; those in circles, or after one, are left out', () => {
  const reader = (of: string, ...reads: string[]): Parameters<typeof orderable>[0][number] => ({
    name: of,
    path: of,
    reads: reads.map((read) => ({ schema: read.startsWith('s.') ? 's' : null, name: read })),
  })
  const models = [
    reader('d', 'c', 'a'),
    reader('c', 'b'),
    reader('b', 's.t'),
    reader('a'),
    reader('x', 'y'),
    reader('y', 'x'),
    reader('z', 'y', 'a'),
    reader('lost', 'not there'),
  ]
  const ordered = orderable(models).map((one) => one.name)
  expect(ordered.toSorted()).toEqual(['a', 'b', 'c', 'd'])
  const place = (of: string): number => ordered.indexOf(of)
  expect(place('d')).toBeGreaterThan(Math.max(place('c'), place('a')))
  expect(place('c')).toBeGreaterThan(place('b'))
})
