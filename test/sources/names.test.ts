import fc from 'fast-check'
import { expect, test } from 'vitest'
import { distinctNames } from '../../src/sources/names.ts'

test('names that differ only in case are told apart by a mark before each upper-case letter', () => {
  expect(distinctNames(['id', 'Id', 'ID', 'Name'])).toEqual(['id', '^Id', '^I^D', 'Name'])
  expect(distinctNames(['Order', 'ORDER'])).toEqual(['^Order', '^O^R^D^E^R'])
  expect(distinctNames(['Straße', 'STRAßE', 'É', 'é'])).toEqual([
    '^Straße',
    '^S^T^R^AßE'.replace('ßE', 'ß^E'),
    '^É',
    'é',
  ])
})

test('names that clash even so, or are equal, have none', () => {
  expect(distinctNames(['id', 'Id', '^Id'])).toEqual(['id', undefined, undefined])
  expect(distinctNames(['a.b', 'a.b', 'c'])).toEqual([undefined, undefined, 'c'])
})

test('P2: whatever the names, no two are one to DuckDB, and one that is alone stays as it is', () => {
  const letter = fc.constantFrom('a', 'A', 'b', 'B', '^', 'é', 'É')
  const name = fc.string({ unit: letter, minLength: 1, maxLength: 3 })
  fc.assert(
    fc.property(fc.uniqueArray(name, { maxLength: 8 }), (names) => {
      const distinct = distinctNames(names)
      const given = distinct.flatMap((one) => one?.toLowerCase() ?? [])
      expect(new Set(given).size).toBe(given.length)
      names.forEach((one, index) => {
        const others = names.filter((other) => other.toLowerCase() === one.toLowerCase())
        const isLower = one === one.toLowerCase()
        if (others.length === 1 && !distinct.includes(undefined)) expect(distinct[index]).toBe(one)
        if (isLower && distinct[index] !== undefined) expect(distinct[index]).toBe(one)
      })
      // Their order decides nothing.
      const turned = distinctNames(names.toReversed()).toReversed()
      expect(turned).toEqual(distinct)
    }),
    { numRuns: 500 },
  )
})
