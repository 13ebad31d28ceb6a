/** What the settings of single tables make of what the catalogue says. */
import { expect, test } from 'vitest'
import type { TableSettings } from '../../src/config/project.ts'
import { ToteError } from '../../src/errors.ts'
import { Secret } from '../../src/secrets/secret.ts'
import { readingsOf, type Reading } from '../../src/sources/table-settings.ts'

const column = (name: string, type: string, attribute: number) => ({
  name,
  type,
  notNull: true,
  attribute,
  comment: undefined,
  shape: `${attribute} ${name}`,
})
const SALE = {
  oid: '7',
  schema: 'public',
  name: 'sale',
  kind: 'r',
  parents: [],
  partitions: null,
  populated: true,
  readable: true,
  filtered: false,
}
const DETAIL = {
  oid: '7',
  key: ['id'],
  columns: [
    column('id', 'integer', 1),
    column('email', 'character varying(80)', 2),
    column('born', 'date', 3),
    column('note', 'text', 4),
  ],
}

type Given = Partial<Omit<TableSettings, 'place'>>

function settings(given: Given = {}): TableSettings {
  return {
    table: 'public.sale',
    columns: { include: null, exclude: [] },
    where: null,
    mask: {},
    contract: null,
    key: null,
    strategy: null,
    cursor: null,
    place: (...path) => ['sale', ...path].join('.'),
    ...given,
  }
}

function reading(given: Given, secret = 'a secret of tests'): Reading {
  const found = readingsOf(
    {
      name: 'shop',
      tables: { defaultSchema: 'public' },
      table: [settings(given)],
      maskSecret: new Secret(secret),
    },
    [SALE],
    new Map([['7', DETAIL]]),
  ).get('7')
  if (found === undefined) throw new Error('no reading')
  return found
}

function problems(given: Given): { name: string; problems: string[] } {
  try {
    reading(given)
  } catch (error) {
    if (error instanceof ToteError)
      return {
        name: error.name,
        problems: (error.facts.problems ?? []).map(({ where, message }) => `${where}: ${message}`),
      }
    throw error
  }
  return { name: 'none', problems: [] }
}

const names = ({ detail }: Reading): string[] => detail.columns.map(({ name }) => name)

test('without a setting a table is read as it is, and its shape is as ever', () => {
  expect(reading({})).toEqual({
    detail: DETAIL,
    expressions: new Map(),
    frozen: false,
    hashed: new Set(),
    where: null,
    keyGiven: false,
    strategy: 'compare',
    strategyPlace: null,
    cursor: null,
    omitted: new Map(),
    masks: [],
    shape: '',
  })
})

test('columns are included, excluded and dropped, and it is known by what', () => {
  const read = reading({
    columns: { include: ['id', 'email', 'born'], exclude: ['email'] },
    mask: { born: 'drop' },
  })
  expect(names(read)).toEqual(['id'])
  expect([...read.omitted]).toEqual([
    ['email', 'columns.exclude'],
    ['born', 'mask'],
    ['note', 'columns.include'],
  ])
})

test('P10: what is redacted is never selected: text becomes a word, all else NULL; a hash is text', () => {
  const read = reading({ mask: { email: 'redact', born: 'redact', note: 'hash' } })
  expect([...read.expressions]).toEqual([
    ['email', `case when "email" is not null then 'redacted' end as "email"`],
    ['born', 'null as "born"'],
  ])
  expect([...read.hashed]).toEqual(['note'])
  expect(read.detail.columns.map(({ type, notNull }) => [type, notNull])).toEqual([
    ['integer', true],
    ['text', true],
    ['date', false],
    ['text', true],
  ])
})

test('a hashed key is a key still; another key replaces the primary one and must be verified', () => {
  const hashed = reading({ mask: { id: 'hash' } })
  expect([hashed.detail.key, hashed.keyGiven]).toEqual([['id'], false])
  const given = reading({ key: ['email', 'born'], columns: { include: null, exclude: ['id'] } })
  expect([given.detail.key, given.keyGiven]).toEqual([['email', 'born'], true])
})

test('the shape changes with filter, masks and secret, and gives none of them away', () => {
  const secret = 'another secret of tests'
  const where = "email = 'someone@example.org'"
  const shapes = [
    reading({}).shape,
    reading({ where }).shape,
    reading({ where: 'true' }).shape,
    reading({ mask: { email: 'redact' } }).shape,
    reading({ mask: { note: 'redact' } }).shape,
    reading({ mask: { note: 'hash' } }).shape,
    reading({ mask: { note: 'hash' } }, secret).shape,
  ]
  expect(new Set(shapes).size).toBe(shapes.length)
  expect(shapes.join()).not.toMatch(/someone|secret of tests/)
  expect(reading({ mask: { note: 'redact' } }, secret).shape).toBe(shapes[4])
})

test('every setting that does not fit its table is said at once, where it stands', () => {
  expect(
    problems({
      columns: { include: ['id', 'emial'], exclude: ['nothing'] },
      mask: { nota: 'hash', id: 'redact' },
      key: ['id', 'borne'],
    }),
  ).toEqual({
    name: 'ConfigInvalid',
    problems: [
      'sale.columns.include.1: public.sale has no column "emial". Did you mean "email"?',
      'sale.columns.exclude.0: public.sale has no column "nothing".',
      'sale.mask.nota: public.sale has no column "nota". Did you mean "note"?',
      'sale.key.1: public.sale has no column "borne". Did you mean "born"?',
      'sale.mask: column "id" is part of the key, and mask takes it away; name another key, or hash it',
    ],
  })
  expect(problems({ columns: { include: ['email'], exclude: [] } }).problems).toEqual([
    'sale.columns.include: column "id" is part of the key, and columns.include takes it away; name another key, or hash it',
  ])
})

test('settings of a table that is not carried are refused with the nearest name', () => {
  expect(problems({ table: 'public.sales' })).toEqual({
    name: 'SourceTableUnknown',
    problems: ['sale: "public.sales" names no table that is carried. Did you mean "public.sale"?'],
  })
})
