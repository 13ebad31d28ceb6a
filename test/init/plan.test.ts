import { tmpdir } from 'node:os'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openEngine } from '../../src/columns/engine.ts'
import type { Found, FoundColumn, FoundForeignKey, FoundTable } from '../../src/init/found.ts'
import { modelText } from '../../src/init/model-text.ts'
import { isOneLine } from '../../src/init/names.ts'
import { planModels, type PlannedModel } from '../../src/init/plan.ts'
import { bindModels } from '../../src/models/bind.ts'
import { parseModelText } from '../../src/models/header.ts'
import { loadOrder } from '../../src/star/layout.ts'

const column = (name: string, more: Partial<FoundColumn> = {}): FoundColumn => ({
  name,
  origin: name,
  type: 'integer',
  carried: 'INTEGER',
  notNull: true,
  comment: null,
  labels: null,
  exact: true,
  ...more,
})

const table = (name: string, more: Partial<FoundTable> = {}): FoundTable => ({
  origin: `public.${name}`,
  schema: 'public',
  table: name,
  name,
  columns: [column('id')],
  key: ['id'],
  comment: null,
  foreignKeys: [],
  unique: [],
  rules: [],
  ...more,
})

const to = (target: string, from: string): FoundForeignKey => ({
  columns: [from],
  target: `public.${target}`,
  targetColumns: ['id'],
})

const found = (...tables: readonly FoundTable[]): Found => ({
  database: 'shop',
  tables,
  leftOut: [],
  defaultSchema: 'public',
  include: ['public.*'],
  exclude: [],
})

const plan = (...tables: readonly FoundTable[]): readonly PlannedModel[] =>
  planModels(found(...tables), 'shop').models

const kinds = (...tables: readonly FoundTable[]): Record<string, string> =>
  Object.fromEntries(plan(...tables).map(({ origin, kind }) => [origin.slice(7), kind]))

const moment = column('at', {
  type: 'timestamp with time zone',
  carried: 'TIMESTAMP WITH TIME ZONE',
})

describe('the kind of a table', () => {
  test('two references out, and fewer in: a fact; what is referred to: a dimension', () => {
    const links = [to('a', 'a_id'), to('b', 'b_id')]
    const both = [column('id'), column('a_id'), column('b_id')]
    expect(
      kinds(
        table('a'),
        table('b'),
        table('sale', { columns: both, foreignKeys: links }),
        table('part', {
          columns: [column('id'), column('sale_id')],
          foreignKeys: [to('sale', 'sale_id')],
        }),
      ),
    ).toEqual({ a: 'dimension', b: 'dimension', sale: 'fact', part: 'dimension' })
  })
  test('one reference is enough with a moment or an amount, unless it is the key', () => {
    const one = (more: Partial<FoundTable>): string | undefined =>
      kinds(table('a'), table('x', { foreignKeys: [to('a', 'a_id')], ...more }))['x']
    expect(one({ columns: [column('id'), column('a_id')] })).toBe('dimension')
    expect(one({ columns: [column('id'), column('a_id'), moment] })).toBe('fact')
    expect(one({ columns: [column('id'), column('a_id'), column('n')] })).toBe('fact')
    expect(one({ columns: [column('a_id'), moment], key: ['a_id'] })).toBe('dimension')
  })
  test('a table that refers to itself alone is a dimension', () => {
    const self = { columns: [column('id'), column('up'), moment], foreignKeys: [to('x', 'up')] }
    expect(kinds(table('x', self))).toEqual({ x: 'dimension' })
  })
  test('without a key of its own: a table; without room for the columns of a fact: a dimension', () => {
    const row = column('_tote_row', { type: 'text', carried: 'VARCHAR' })
    const wide = Array.from({ length: 1600 }, (_, index) => column(`c${index}`))
    const [keyless] = plan(table('log', { columns: [moment, row], key: ['_tote_row'] }))
    expect(keyless).toMatchObject({ name: 'table_log', kind: 'table', key: ['row_id'] })
    const links = [to('a', 'c1'), to('a', 'c2')]
    expect(
      kinds(table('a'), table('wide', { columns: wide, key: ['c0'], foreignKeys: links })),
    ).toEqual({ a: 'dimension', wide: 'dimension' })
  })
})

test('whether there is a value is checked of any column but a composite, which is null when all in it is', () => {
  const columns = [
    column('id'),
    column('u', { type: 'uuid', carried: 'UUID' }),
    column('j', { type: 'jsonb', carried: 'VARCHAR' }),
    column('c', { type: 'pair', carried: 'VARCHAR', builtin: 'text' }),
    column('e', {
      type: 'mood',
      carried: 'VARCHAR',
      builtin: 'text',
      labels: ['sad'],
      exact: false,
    }),
  ]
  const rules = ['(num_nonnulls(u, j) = 1)', '(c IS NOT NULL)', '(e IS NOT NULL)', '(u = u)']
  const [model] = plan(table('x', { columns, rules }))
  expect(model?.rules).toEqual([
    '((cast("u" is not null as integer) + cast("j" is not null as integer)) = 1)',
    '("e" is not null)',
  ])
  expect(model?.notes.filter((note) => note.startsWith('A constraint'))).toHaveLength(2)
})

describe('references', () => {
  const referring = (
    key: FoundForeignKey,
    target: FoundTable,
    from = column('x_id'),
  ): PlannedModel => {
    const [, model] = plan(
      target,
      table('z', { columns: [column('id'), from], foreignKeys: [key] }),
    )
    if (model === undefined) throw new Error('no model')
    return model
  }
  test('to the key of a dimension', () => {
    expect(referring(to('x', 'x_id'), table('x'))).toMatchObject({
      references: [{ column: 'x_id', model: 'dim_x' }],
      notes: [],
    })
  })
  test.each([
    ['another type', to('x', 'x_id'), table('x'), column('x_id', { carried: 'BIGINT' })],
    [
      'another column',
      { ...to('x', 'x_id'), targetColumns: ['code'] },
      table('x', { columns: [column('id'), column('code')] }),
    ],
    [
      'two columns',
      { ...to('x', 'x_id'), columns: ['x_id', 'id'], targetColumns: ['id', 'b'] },
      table('x'),
    ],
    [
      'a longer key',
      to('x', 'x_id'),
      table('x', { columns: [column('id'), column('b')], key: ['id', 'b'] }),
    ],
    ['a table that is not carried', to('gone', 'x_id'), table('x')],
    ['inexact values', to('x', 'x_id'), table('x', { columns: [column('id', { exact: false })] })],
  ] as const)('not to %s, and the model says why', (_, key, target, from?: FoundColumn) => {
    const { references, notes } = referring(key, target, from)
    expect({ references, notes: notes.length }).toEqual({ references: [], notes: 1 })
  })
  test('circles are opened where a reference may be null; a table may refer to itself', () => {
    const up = column('up', { notNull: false })
    const models = plan(
      table('a', { columns: [column('id'), column('b_id')], foreignKeys: [to('b', 'b_id')] }),
      table('b', { columns: [column('id'), up], foreignKeys: [to('a', 'up')] }),
      table('s', { columns: [column('id'), up], foreignKeys: [to('s', 'up')] }),
    )
    expect(models.map(({ name, references }) => [name, references.length])).toEqual([
      ['dim_a', 1],
      ['dim_b', 0],
      ['dim_s', 1],
    ])
    expect(models[1]?.notes[0]).toMatch(/because dim_a leads back to this table/)
  })
})

const name = fc.oneof(
  fc.constantFrom(
    'select',
    'user',
    'order',
    'all',
    'none',
    'valid_from',
    'is_deleted',
    'batch',
    'Camel Case',
    'a->b',
    'with, comma',
    'quo"te',
    'new\nline',
    '_tote_row',
    'kind: fact',
    '--',
    "it's",
    'ünï',
    'id',
    'current_date',
    '()',
    ';',
    'source_batch',
    '%',
    '*',
    'li\u2028ne',
  ),
  fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
    .filter((text) => !text.includes('\0') && Buffer.byteLength(text) <= 63),
)

const distinct = (names: readonly string[]): string[] => {
  const seen = new Set<string>()
  return names.filter((text) => !seen.has(text.toLowerCase()) && seen.add(text.toLowerCase()))
}

const anyTable = fc.record({
  name,
  columns: fc.array(fc.record({ name, notNull: fc.boolean(), comment: fc.option(fc.string()) }), {
    minLength: 1,
    maxLength: 5,
  }),
  comment: fc.option(fc.string({ unit: 'grapheme' })),
  labels: fc.option(fc.array(fc.string(), { minLength: 1, maxLength: 3 })),
  links: fc.array(fc.nat(5), { maxLength: 3 }),
})

test('whatever a database is called, its models parse, bind, and can be loaded in an order', async () => {
  const engine = await openEngine({ tempFolder: tmpdir() })
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(anyTable, { minLength: 1, maxLength: 5 }), async (drawn) => {
        const named = distinct(drawn.map((one) => one.name))
        const tables = named.map((tableName): FoundTable => {
          const made = drawn.find((one) => one.name === tableName)
          const names = distinct((made?.columns ?? []).map((one) => one.name))
          const columns = names.map((columnName) => {
            const facts = made?.columns.find((one) => one.name === columnName)
            return column(columnName, {
              notNull: facts?.notNull ?? true,
              comment: facts?.comment ?? null,
            })
          })
          return table(tableName, {
            columns,
            key: names.slice(0, 1),
            comment: made?.comment ?? null,
            unique: [names.slice(0, 2)],
            rules: [`("${(names[0] ?? '').replaceAll('"', '""')}" > 0)`],
          })
        })
        const linked = tables.map((one, index): FoundTable => ({
          ...one,
          foreignKeys: (drawn[index]?.links ?? []).flatMap((target, nth): FoundForeignKey[] => {
            const other = tables[target % tables.length]
            const from = one.columns[nth % one.columns.length]?.name ?? ''
            return other === undefined
              ? []
              : [{ columns: [from], target: other.origin, targetColumns: [other.key[0] ?? ''] }]
          }),
        }))
        const { models } = planModels(found(...linked), 'shop')
        const texts = models.flatMap((model) => {
          const parsed = parseModelText(model.name, model.name, modelText(model, 'shop'))
          expect(parsed.problems).toEqual([])
          return parsed.model ?? []
        })
        const bound = await bindModels(
          texts,
          engine,
          linked.map(({ name: own, columns, key }) => ({
            schema: 'shop',
            name: own,
            key,
            columns: columns.map((one, index) => ({ ...one, id: index + 1 })),
          })),
        )
        expect(bound.length).toBe(linked.length)
        // The plan keeps the order of its tables, and not every name goes into a header.
        const driven = models.filter(({ source }) => isOneLine(source)).map(({ name }) => name)
        expect(new Set(bound.filter((one) => one.driven !== null).map((one) => one.name))).toEqual(
          new Set(driven),
        )
        expect(loadOrder(bound).length).toBe(linked.length)
      }),
      { numRuns: 60 },
    )
  } finally {
    engine.close()
  }
})
