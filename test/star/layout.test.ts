import { expect, test } from 'vitest'
import {
  allColumns,
  layoutOf,
  LEDGER_TABLE,
  loadOrder,
  rebuildSchema,
  reservedNames,
} from '../../src/star/layout.ts'
import type { StarTable } from '../../src/star/star-table.ts'
import { columns, starTable } from '../support/star.ts'

function table(name: string, kind: StarTable['kind'], ...models: readonly string[]): StarTable {
  return starTable({
    name,
    kind,
    columns: columns(['id', 'integer', 'INTEGER']),
    key: ['id'],
    references: models.map((model) => ({ column: 'id', model })),
  })
}

test('whatever is referred to comes first, facts come last', () => {
  const star = [
    table('fact_a', 'fact', 'dim_b', 'dim_d'),
    table('dim_b', 'dimension', 'dim_c'),
    table('list', 'table'),
    table('dim_c', 'dimension', 'dim_c', 'not in the star'),
    table('dim_d', 'dimension'),
  ]
  expect(loadOrder(star).map(({ name }) => name)).toEqual([
    'dim_c',
    'dim_b',
    'list',
    'dim_d',
    'fact_a',
  ])
})

test('a circle is named', () => {
  expect(() =>
    loadOrder([
      table('a', 'dimension', 'b'),
      table('b', 'dimension', 'c'),
      table('c', 'table', 'b'),
    ]),
  ).toThrow(
    expect.objectContaining({
      name: 'ModelCycle',
      message: 'Tables refer to each other in a circle: b → c → b.',
      facts: { fix: 'take one of the references out of the models' },
    }) as Error,
  )
})

test('names that a model may not use', () => {
  expect(reservedNames(table('a', 'table'))).toEqual(['_tote_op', '_tote_batch', '_tote_number'])
  expect(reservedNames(table('a', 'dimension'))).toContain('is_deleted')
  expect(reservedNames(table('a', 'fact'))).toEqual(
    expect.arrayContaining(['record_id', 'valid_from', 'valid_to', 'is_deleted', 'batch']),
  )
})

test('P6: every column of a star table, as it is made and as it may have been made', () => {
  const made = (kind: StarTable['kind'], recordId: string | null = null): unknown[] => {
    const layout = layoutOf({
      ...starTable({
        name: 'sale',
        kind,
        columns: columns(['id?', 'integer', 'INTEGER'], ['note?', 'text', 'VARCHAR']),
        key: ['id'],
      }),
      recordId,
    })
    const each = allColumns(layout).map(({ name, definition, notNull, types }) => [
      name,
      definition,
      notNull,
      types.join(),
    ])
    return [layout.view, layout.primaryKey.join(), ...each]
  }
  const key = ['id', 'integer not null', true, 'integer']
  const free = ['id', 'integer', false, 'integer']
  const note = ['note', 'text', false, 'text']
  const isDeleted = ['is_deleted', 'boolean not null default false', true, 'boolean']
  const moment = 'timestamp with time zone'
  expect(made('table')).toEqual([null, 'id', key, note])
  expect(made('dimension')).toEqual([null, 'id', key, note, isDeleted])
  const versions = [
    free,
    note,
    ['valid_from', 'timestamptz not null', true, moment],
    ['valid_to', 'timestamptz', false, moment],
    isDeleted,
    ['batch', 'bigint not null', true, 'bigint'],
  ]
  const numbered = (name: string, type: string): unknown[] => [
    name,
    `${type} not null`,
    true,
    'integer,bigint',
  ]
  expect(made('fact')).toEqual([
    'sale_current',
    'record_id',
    numbered('record_id', 'bigserial'),
    ...versions,
  ])
  expect(made('fact', 'sale_number')).toEqual([
    'sale_current',
    'sale_number',
    numbered('sale_number', 'serial'),
    ...versions,
  ])
})

test('each column that Tote adds tells what it means', () => {
  const comments = (kind: StarTable['kind']): unknown =>
    Object.fromEntries(
      allColumns(layoutOf(table('a', kind))).flatMap(({ name, comment }) =>
        comment === undefined ? [] : [[name, comment]],
      ),
    )
  expect(comments('dimension')).toEqual({
    is_deleted:
      'True when the row is gone from the lake; it stays because versions of facts refer to it.',
  })
  expect(comments('fact')).toEqual({
    record_id:
      'Numbered by the loader, without gaps, in the order of the key within each batch; its sequence is not used.',
    valid_from: 'The instant of the batch that brought this version.',
    valid_to: 'The instant of the batch that replaced or deleted it; null while it is current.',
    is_deleted: 'True on the last version of a row that was deleted; a deletion adds no row.',
    batch: 'The batch that brought this version; tote.ledger says when.',
  })
})

test('what stands beside the star is called as it was, and no name is longer than PostgreSQL takes', () => {
  expect(LEDGER_TABLE).toBe('ledger')
  expect(rebuildSchema('star')).toBe('star_rebuild')
  const long = 'é'.repeat(31)
  expect(rebuildSchema(long)).toBe(`${'é'.repeat(27)}_rebuild`)
  expect(Buffer.byteLength(rebuildSchema('x'.repeat(63)))).toBe(63)
  expect(rebuildSchema('a\uFFFDb')).toBe('a\uFFFDb_rebuild')
})
