/** What is said of enums and composites that have changed, and what becomes of a table whose contract is to freeze. */
import { describe, expect, test } from 'vitest'
import { ToteError } from '../../src/errors.ts'
import { insideChanges } from '../../src/extraction/inside.ts'
import { followShapes } from '../../src/extraction/shapes.ts'
import { continueColumns } from '../../src/lake/column-ids.ts'
import type { CommittedManifest } from '../../src/lake/manifest.ts'
import type { SourceColumn, SourceTable } from '../../src/sources/source.ts'
import type { TypePart } from '../../src/types.ts'

const mood = (...labels: string[]): TypePart[] => [{ type: 'public.mood', labels }]
const size = (...attributes: [string, string][]): TypePart[] => [
  { type: 'public.size', attributes },
]

const CHANGES: readonly (readonly [string, TypePart[], TypePart[], readonly string[]])[] = [
  ['nothing', mood('a', 'b'), mood('a', 'b'), []],
  ['another order', mood('a', 'b'), mood('b', 'a'), []],
  ['a new label', mood('a', 'b'), mood('a', 'x', 'b'), ['label 2 of public.mood is new']],
  [
    'a renamed label',
    mood('a', 'b'),
    mood('a', 'c'),
    ['label 2 of public.mood is called otherwise'],
  ],
  [
    'a renamed label and a new one',
    mood('a', 'b'),
    mood('z', 'b', 'c'),
    ['label 1 of public.mood is called otherwise', 'label 3 of public.mood is new'],
  ],
  [
    'a type made anew with fewer labels',
    mood('a', 'b', 'c'),
    mood('a'),
    ['label 2 of public.mood is no longer there', 'label 3 of public.mood is no longer there'],
  ],
  [
    'attributes',
    size(['wide', 'integer'], ['high', 'integer']),
    size(['wide', 'bigint'], ['deep', 'text']),
    [
      'attribute "high" of public.size is no longer there',
      'attribute "wide" of public.size was integer and is bigint',
      'attribute "deep" of public.size is new (text)',
    ],
  ],
  [
    'a type of the same name and another kind',
    mood('a'),
    [{ type: 'public.mood', attributes: [] }],
    ['public.mood was an enum and is a composite'],
  ],
  ['a type that was not known', [], mood('a'), []],
]

test.each(CHANGES)('%s', (_, before, now, said) => {
  expect(insideChanges(now, before)).toEqual(said)
})

/** A table of one column beside its key. */
function tableOf(column: Partial<SourceColumn>, given: Partial<SourceTable> = {}): SourceTable {
  const base = { carried: 'VARCHAR', notNull: false }
  const id = { name: 'id', type: 'integer', carried: 'INTEGER', notNull: true, attribute: 1 }
  return {
    name: 'thing',
    columns: [id, { ...base, name: 'a', type: 'public.mood', attribute: 2, ...column }],
    key: ['id'],
    shape: 's',
    ...given,
  }
}

function lakeOf({ columns, key, shape }: SourceTable): CommittedManifest {
  const entry = { columns: continueColumns(columns, []), key, shape }
  return { number: 1, tables: { thing: entry } } as unknown as CommittedManifest
}

function refused(table: SourceTable, before: SourceTable): readonly string[] {
  try {
    followShapes([table], lakeOf(before), { source: 'shop', accepts: () => false })
  } catch (error) {
    if (!(error instanceof ToteError)) throw error
    return [
      error.name,
      ...(error.facts.problems ?? []).map(({ where, message }) => `${where} ${message}`),
    ]
  }
  return []
}

describe('a frozen table', () => {
  test.each(CHANGES.filter(([, , , said]) => said.length > 0))(
    'P2: refuses %s, and names it',
    (_, before, now, said) => {
      const then = tableOf({ inside: before })
      expect(refused(tableOf({ inside: now }, { frozen: true }), then)).toEqual([
        'SourceChanged',
        ...said.map((words) => `thing.a ${words}`),
      ])
      // Otherwise it is followed, and said once.
      const follows = (table: SourceTable, lake: CommittedManifest): readonly string[] =>
        followShapes([table], lake, { source: 'shop', accepts: () => false }).notes.map(
          ({ text }) => text,
        )
      expect(follows(tableOf({ inside: now }), lakeOf(then))).toEqual(
        said.map((words) => `thing.a ${words}`),
      )
      expect(follows(tableOf({ inside: now }), lakeOf(tableOf({ inside: now })))).toEqual([])
    },
  )
  test('P2: refuses a domain of the same name that is made of another type', () => {
    const domain = (builtin: string, carried: string): Partial<SourceColumn> => ({
      type: 'public.d',
      builtin,
      carried,
    })
    const before = tableOf(domain('integer', 'INTEGER'))
    expect(refused(tableOf(domain('bigint', 'BIGINT'), { frozen: true }), before)).toEqual([
      'SourceChanged',
      'thing.a was public.d (integer) and is public.d (bigint)',
    ])
    expect(refused(tableOf(domain('bigint', 'BIGINT')), before)).toEqual([])
    // What does not hold the old values is refused by any contract.
    expect(refused(tableOf(domain('text', 'VARCHAR')), before)).toHaveLength(2)
    expect(refused(tableOf({ type: 'public.d', carried: 'BIGINT' }), before)).toEqual([])
  })
})

test('P6: an enum keeps the labels that it had once, in whatever order they went', () => {
  const columnOf = (...labels: string[]): SourceColumn => ({
    name: 'a',
    type: 'public.mood',
    carried: 'VARCHAR',
    notNull: false,
    attribute: 1,
    inside: mood(...labels),
  })
  let columns = continueColumns([columnOf('a', 'b')], [])
  const inside = (): unknown => columns[0]?.inside
  expect(inside()).toEqual(mood('a', 'b'))
  columns = continueColumns([columnOf('a', 'c')], columns)
  expect(inside()).toEqual([{ type: 'public.mood', labels: ['a', 'c'], past: ['b'] }])
  columns = continueColumns([columnOf('d', 'c')], columns)
  expect(inside()).toEqual([{ type: 'public.mood', labels: ['d', 'c'], past: ['a', 'b'] }])
  columns = continueColumns([columnOf('a', 'c')], columns)
  expect(inside()).toEqual([{ type: 'public.mood', labels: ['a', 'c'], past: ['d', 'b'] }])
})
