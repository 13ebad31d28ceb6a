/** Which way a model goes at a point. */
import { expect, test } from 'vitest'
import { wayOf } from '../../src/evaluation/evaluate-model.ts'
import type { TableName } from '../../src/models/model.ts'
import type { Column } from '../../src/types.ts'

const column: Column = { id: 1, name: 'id', type: 'integer', carried: 'INTEGER', notNull: true }
const sale = { schema: 's', name: 'sale' }
const staff = { schema: 's', name: 'staff' }
const dim = { schema: null, name: 'sale' }
const driven = { table: sale, key: [{ column: 'id', as: 'id' }] }
const reads = [sale, staff, dim]

test.each<[string, TableName[], boolean, string]>([
  ['nothing changed', [], true, 'skipped'],
  ['nothing changed, and nothing drives it', [], false, 'skipped'],
  ['only the driving table', [sale], true, 'driven'],
  ['only that table, which does not drive it', [sale], false, 'full'],
  ['only a look-up', [staff], true, 'full'],
  ['only a model of the same name', [dim], true, 'full'],
  ['both', [sale, staff], true, 'full'],
  ['something that it does not read', [{ schema: 't', name: 'sale' }], true, 'skipped'],
])('P7: %s', (_, changed, isDriven, way) => {
  const model = { reads, columns: [column], driven: isDriven ? driven : null }
  const hasChanged = ({ schema, name }: TableName): boolean =>
    changed.some((table) => table.schema === schema && table.name === name)
  expect(wayOf(model, { columns: [{ ...column, id: 7 }] }, hasChanged)).toBe(way)
})

test('P7: without rows of before, or with other columns than they had, it is evaluated in full', () => {
  const model = { reads, columns: [column], driven }
  expect(wayOf(model, null, () => false)).toBe('full')
  for (const other of [
    [],
    [column, { ...column, name: 'b' }],
    [{ ...column, name: 'b' }],
    [{ ...column, carried: 'BIGINT' }],
    [{ ...column, type: 'bigint' }],
  ])
    expect(wayOf(model, { columns: other }, () => false)).toBe('full')
  // Older rows may be null where new ones may not, after an edit that was carried forward.
  expect(wayOf(model, { columns: [{ ...column, notNull: false }] }, () => false)).toBe('skipped')
})
