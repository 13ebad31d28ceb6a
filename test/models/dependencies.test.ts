import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ToteError } from '../../src/errors.ts'
import { orderModels } from '../../src/models/dependencies.ts'

function reader(name: string, ...models: string[]) {
  const reads = [
    { schema: 'shop', name: 'order' },
    ...models.map((read) => ({ schema: null, name: read })),
  ]
  return { name, path: `models/${name}.sql`, reads }
}

describe('the order of models', () => {
  test('is that of their dependencies, else of their names', () => {
    const ordered = orderModels([reader('a', 'c'), reader('d'), reader('c', 'b'), reader('b')])
    expect(ordered.map(({ name }) => name)).toEqual(['b', 'c', 'a', 'd'])
  })
  test('does not depend on the order of the files', () => {
    const models = [
      reader('a', 'c', 'd'),
      reader('b', 'd'),
      reader('c'),
      reader('d', 'c'),
      reader('e', 'a'),
    ]
    const expected = orderModels(models).map(({ name }) => name)
    fc.assert(
      fc.property(fc.shuffledSubarray(models, { minLength: models.length }), (shuffled) => {
        expect(orderModels(shuffled).map(({ name }) => name)).toEqual(expected)
      }),
    )
  })
  test('a circle is named, without those that only lead to it', () => {
    const models = [
      reader('a', 'dim_staff'),
      reader('dim_staff', 'dim_department'),
      reader('dim_department', 'dim_staff'),
    ]
    expect(() => orderModels(models)).toThrow(
      'Models refer to each other in a circle: dim_staff → dim_department → dim_staff.',
    )
    try {
      orderModels(models)
    } catch (error) {
      expect(error).toBeInstanceOf(ToteError)
      expect((error as ToteError).name).toBe('ModelCycle')
      expect((error as ToteError).facts.where).toBe(
        'models/dim_staff.sql, models/dim_department.sql',
      )
    }
  })
  test('a model that reads itself', () => {
    expect(() => orderModels([reader('a', 'a')])).toThrow('The model "a" reads itself.')
  })
})
