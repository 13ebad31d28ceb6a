/**
 * P2, P8: what a table's shape has become is followed, or refused by name: docs/schema-changes.md as a table of truth,
 * each change with what people are told of it; and, for any sequence of changes, what must hold of the columns.
 */
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { ROW_COLUMN } from '../../src/columns/sql.ts'
import { ToteError } from '../../src/errors.ts'
import { followShapes, lateMasks, type FollowedShapes } from '../../src/extraction/shapes.ts'
import { tableEntries, type CommittedManifest, type TableEntry } from '../../src/lake/manifest.ts'
import { carriedType } from '../../src/postgres/carried.ts'
import type { SourceColumn, SourceTable } from '../../src/sources/source.ts'

const NEVER = { source: 'shop', accepts: () => false }
const ALWAYS = { source: 'shop', accepts: () => true }

/** `name type`, with the attribute number that it has by its place, or `name type #number`. */
function columnsOf(...texts: readonly string[]): SourceColumn[] {
  return texts.map((text, index) => {
    const [, name = '', type = '', attribute] = /^(\S+) (.+?)(?: #(\d+))?$/.exec(text) ?? []
    return {
      name,
      type,
      carried: carriedType(type),
      notNull: false,
      attribute: Number(attribute ?? index + 1),
    }
  })
}

function tableOf(
  columns: readonly SourceColumn[],
  given: Partial<SourceTable> = {},
): SourceTable & { readonly relationId: string } {
  return { name: 'thing', columns, key: ['id'], shape: 's', relationId: '1.5', ...given } as never
}

/** The lake after one batch of these tables. */
function lakeOf(
  tables: readonly SourceTable[],
  parent: CommittedManifest | null = null,
  options = NEVER,
): CommittedManifest {
  const followed = followShapes(tables, parent, options)
  const entries = followed.tables.map((table): [string, TableEntry] => [
    table.name,
    {
      columns: followed.columns.get(table.name) ?? [],
      key: table.key,
      shape: table.shape,
      ...(table.relationId === undefined ? {} : { relationId: table.relationId }),
      ...(table.sourceKey === undefined ? {} : { sourceKey: table.sourceKey }),
      position: {},
      rows: 1,
      base: [],
      files: [],
      previous: null,
    },
  ])
  const gone = followed.gone.map((name): [string, TableEntry] => {
    const entry = parent?.tables[name]
    if (entry === undefined) throw new Error(`${name} was never there`)
    return [name, { ...entry, gone: true }]
  })
  return { number: 1, tables: tableEntries([...entries, ...gone]) } as unknown as CommittedManifest
}

const asText = (followed: FollowedShapes, table = 'thing'): string[] =>
  (followed.columns.get(table) ?? []).map(
    ({ id, name, type, gone, partial }) =>
      `${id} ${name} ${type}${gone === true ? ' gone' : partial === true ? ' partial' : ''}`,
  )

/** The error, for people. */
function refusal(action: () => unknown): readonly string[] {
  try {
    action()
  } catch (error) {
    if (!(error instanceof ToteError) || error.name !== 'SourceChanged') throw error
    expect(error.message).toBe('The tables of source "shop" have another shape than the lake\'s.')
    expect(error.facts.why).toContain('refused before anything was written')
    return [
      ...(error.facts.problems ?? []).map(({ where, message }) => `${where} ${message}`),
      error.facts.fix ?? '',
    ]
  }
  throw new Error('nothing was refused')
}

const BEFORE = columnsOf('id integer', 'a text', 'b numeric(10,2)')
const fixFor = (table: string): string =>
  `tote run --accept-change ${table}; or undo the change, or leave the tables or columns out in the config`

interface Change {
  readonly what: string
  readonly now: readonly string[]
  readonly given?: Partial<SourceTable>
  readonly columns: readonly string[]
  readonly notes: readonly string[]
}

const FOLLOWED: readonly Change[] = [
  {
    what: 'nothing',
    now: ['id integer', 'a text', 'b numeric(10,2)'],
    columns: ['1 id integer', '2 a text', '3 b numeric(10,2)'],
    notes: [],
  },
  {
    what: 'a new column',
    now: ['id integer', 'a text', 'b numeric(10,2)', 'c date'],
    columns: ['1 id integer', '2 a text', '3 b numeric(10,2)', '4 c date partial'],
    notes: [
      'info: thing.c is new (date): models that list their columns have it once they name it',
    ],
  },
  {
    what: 'a dropped column',
    now: ['id integer', 'b numeric(10,2) #3'],
    columns: ['1 id integer', '3 b numeric(10,2)', '2 a text gone'],
    notes: ['warn: thing.a is no longer there: rows keep what they had until they change'],
  },
  {
    what: 'a column dropped and added again',
    now: ['id integer', 'b numeric(10,2) #3', 'a text #4'],
    columns: ['1 id integer', '3 b numeric(10,2)', '4 a text partial', '2 a_dropped_2 text gone'],
    notes: [
      'info: thing.a is new (text): models that list their columns have it once they name it',
      'warn: thing.a is no longer there: rows keep what they had until they change, and is called "a_dropped_2" from now on',
    ],
  },
  {
    what: 'a renamed column',
    now: ['id integer', 'z text', 'b numeric(10,2)'],
    columns: ['1 id integer', '2 z text', '3 b numeric(10,2)'],
    notes: ['warn: thing.a is called "z" now: models that name it must follow'],
  },
  {
    what: 'wider types',
    now: ['id bigint', 'a text', 'b numeric(12,3)'],
    columns: ['1 id bigint', '2 a text', '3 b numeric(12,3)'],
    notes: [
      'info: thing.id was integer and is bigint',
      'info: thing.b was numeric(10,2) and is numeric(12,3)',
    ],
  },
  {
    what: 'a column that the config leaves out',
    now: ['id integer', 'b numeric(10,2) #3'],
    given: { omitted: new Map([['a', 'columns.exclude']]) },
    columns: ['1 id integer', '3 b numeric(10,2)', '2 a text gone'],
    notes: [
      'warn: thing.a is in the lake, and left out by columns.exclude of the config: rows keep what they had until they change',
    ],
  },
]

describe('a change that fits the old values is followed, and said once', () => {
  test.each(FOLLOWED)('P2: $what', ({ now, given, columns, notes }) => {
    const lake = lakeOf([tableOf(BEFORE)])
    const table = tableOf(columnsOf(...now), given)
    const followed = followShapes([table], lake, NEVER)
    expect(asText(followed)).toEqual(columns)
    expect(followed.notes.map(({ level, text }) => `${level}: ${text}`)).toEqual(notes)
    expect(followed.gone).toEqual([])
    expect(followed.tables).toEqual([{ ...table, key: ['id'] }])
    // Once followed it is no change any more.
    expect(followShapes([table], lakeOf([table], lake), NEVER).notes).toEqual([])
  })

  test('NOT NULL that goes is said once, since models may still demand a value; it stops nothing under freeze', () => {
    const [id, a] = columnsOf('id integer', 'a text')
    if (id === undefined || a === undefined) throw new Error('no columns')
    const lake = lakeOf([tableOf([id, { ...a, notNull: true }])])
    const now = tableOf([id, a], { frozen: true })
    expect(followShapes([now], lake, NEVER).notes).toEqual([
      {
        level: 'warn',
        text: 'thing.a may be null now: a model that demands a value of it fails at the first null, unless its header has it under nullable',
      },
    ])
    const after = lakeOf([now], lake)
    expect(followShapes([now], after, NEVER).notes).toEqual([])
    // And back again changes nothing for anybody.
    expect(followShapes([tableOf([id, { ...a, notNull: true }])], after, NEVER).notes).toEqual([])
  })

  test.each(FOLLOWED.filter(({ notes }) => notes.length > 0))(
    'under freeze $what stops the batch, unless it is accepted, or the config did it',
    ({ now, given, columns }) => {
      const lake = lakeOf([tableOf(BEFORE)])
      const table = tableOf(columnsOf(...now), { ...given, frozen: true })
      if (given?.omitted === undefined) {
        const told = refusal(() => followShapes([table], lake, NEVER))
        expect(told.at(-1)).toBe(fixFor('thing'))
        expect(told.length).toBeGreaterThan(1)
      } else expect(asText(followShapes([table], lake, NEVER))).toEqual(columns)
      expect(asText(followShapes([table], lake, ALWAYS))).toEqual(columns)
    },
  )
})

test('P8: a type that does not hold the old values is refused, and accepted is another column', () => {
  const lake = lakeOf([tableOf(BEFORE)])
  const table = tableOf(columnsOf('id integer', 'a integer', 'b numeric(9,2)'))
  expect(refusal(() => followShapes([table], lake, NEVER))).toEqual([
    'thing.a was text and is integer',
    'thing.b was numeric(10,2) and is numeric(9,2)',
    fixFor('thing'),
  ])
  const followed = followShapes([table], lake, ALWAYS)
  expect(asText(followed)).toEqual([
    '1 id integer',
    '4 a integer partial',
    '5 b numeric(9,2) partial',
    '2 a_dropped_2 text gone',
    '3 b_dropped_3 numeric(10,2) gone',
  ])
  expect(followed.notes.map(({ level, text }) => `${level}: ${text}`)).toContain(
    'warn: thing.a was text and is integer: it is another column from now on',
  )
})

test('P2: of another table under the same name columns are the same by name, whatever their numbers', () => {
  const lake = lakeOf([tableOf(BEFORE)])
  const swapped = columnsOf('b numeric(10,2)', 'id integer', 'a text')
  const expected = ['3 b numeric(10,2)', '1 id integer', '2 a text']
  for (const relationId of ['1.6', undefined])
    expect(asText(followShapes([tableOf(swapped, { relationId })], lake, NEVER))).toEqual(expected)
  const nameless = lakeOf([tableOf(BEFORE, { relationId: undefined })])
  expect(
    asText(followShapes([tableOf(swapped, { relationId: undefined })], nameless, NEVER)),
  ).toEqual(expected)
})

test('a column that was gone and is there again is the same one', () => {
  const without = tableOf(columnsOf('id integer', 'b numeric(10,2) #3'))
  const lake = lakeOf([without], lakeOf([tableOf(BEFORE)]))
  const followed = followShapes([tableOf(BEFORE)], lake, NEVER)
  expect(asText(followed)).toEqual(['1 id integer', '2 a text partial', '3 b numeric(10,2)'])
  expect(followed.notes).toEqual([{ level: 'info', text: 'thing.a is there again' }])
})

test('a column whose name another one takes in case only is refused until accepted', () => {
  const lake = lakeOf([tableOf(columnsOf('id integer', 'Name text'))])
  const table = tableOf(columnsOf('id integer', '^Name text', 'name text'))
  expect(refusal(() => followShapes([table], lake, NEVER))[0]).toBe(
    'thing.Name is called "^Name" now',
  )
  expect(asText(followShapes([table], lake, ALWAYS))).toEqual([
    '1 id integer',
    '2 ^Name text',
    '3 name text partial',
  ])
  // What was gone nobody can mean.
  const gone = lakeOf([tableOf(columnsOf('id integer'))], lake)
  expect(asText(followShapes([table], gone, NEVER))).toContain('2 ^Name text partial')
})

describe('keys', () => {
  let lake: CommittedManifest
  beforeEach(() => {
    lake = lakeOf([tableOf(BEFORE)])
  })
  test('P2: another key at the source changes nothing in the lake, is verified from then on, and is said once', () => {
    const table = tableOf(BEFORE, {
      key: ['a', 'b'],
      pairs: { partitioned: false } as never,
      cursor: { column: 'a', lookBack: '1', reconcileMs: 1 },
    })
    const followed = followShapes([table], lake, NEVER)
    expect(followed.tables).toEqual([
      {
        ...table,
        key: ['id'],
        sourceKey: ['a', 'b'],
        keyGiven: true,
        pairs: undefined,
        cursor: undefined,
      },
    ])
    expect(followed.notes).toEqual([
      {
        level: 'warn',
        text: 'table thing had the key (id) and has (a, b): the lake tells its rows apart by (id) as before, which every batch verifies',
      },
    ])
    const later = lakeOf([table], lake)
    expect(followShapes([table], later, NEVER).notes).toEqual([])
    expect(followShapes([table], later, NEVER).tables[0]).toMatchObject({ keyGiven: true })
    // Back again.
    expect(followShapes([tableOf(BEFORE)], later, NEVER).tables).toEqual([tableOf(BEFORE)])
    expect(followShapes([tableOf(BEFORE)], later, NEVER).notes).toEqual([])
    // And a third.
    expect(followShapes([tableOf(BEFORE, { key: ['b'] })], later, NEVER).notes[0]?.text).toContain(
      'had the key (a, b) and has (b)',
    )
  })

  test('P2: under freeze another key stops the batch', () => {
    const table = tableOf(BEFORE, { key: ['a', 'b'], frozen: true })
    expect(refusal(() => followShapes([table], lake, NEVER))).toEqual([
      'thing had the key (id) and has (a, b)',
      fixFor('thing'),
    ])
  })

  test('P2: keys are other ones by their columns, not by what these are called together', () => {
    const columns = columnsOf('ab integer', 'a integer', 'b integer')
    const [one, two] = [['ab'], ['a', 'b']].map((key) => tableOf(columns, { key }))
    if (one === undefined || two === undefined) throw new Error('two tables')
    const followed = followShapes([two], lakeOf([one]), NEVER)
    expect(followed.tables[0]).toMatchObject({ key: ['ab'], keyGiven: true })
    expect(followed.notes).toHaveLength(1)
    const other = followShapes([one], lakeOf([two]), NEVER)
    expect(other.tables[0]).toMatchObject({ key: ['a', 'b'], keyGiven: true })
    expect(other.notes[0]?.text).toBe(
      'table thing had the key (a, b) and has (ab): the lake tells its rows apart by (a, b) as before, which every batch verifies',
    )
  })

  test('P2: a key that is renamed is the same key', () => {
    const table = tableOf(columnsOf('nr integer', 'a text', 'b numeric(10,2)'), { key: ['nr'] })
    const followed = followShapes([table], lake, NEVER)
    expect(followed.tables).toEqual([table])
    expect(followed.notes.map(({ text }) => text)).toEqual([
      'thing.id is called "nr" now: models that name it must follow',
    ])
  })

  test('P2: a dropped column of the key is refused for good', () => {
    const table = tableOf(columnsOf('a text #2', 'b numeric(10,2) #3'), { key: ['a'] })
    for (const options of [NEVER, ALWAYS])
      expect(refusal(() => followShapes([table], lake, options))).toContain(
        'thing had the key (id) and has (a); rows in the lake are told apart by (id), which it has no more',
      )
    // No consent is asked for where none helps, and what would be followed is not told beside it.
    const more = tableOf(columnsOf('a text #2', 'b numeric(10,2) #3', 'c date #4'), { key: ['a'] })
    expect(refusal(() => followShapes([more], lake, ALWAYS))).toEqual([
      'thing had the key (id) and has (a); rows in the lake are told apart by (id), which it has no more',
      'nothing tells the rows of "thing" in the lake apart any more: undo the change if that can be, leave it out (tables.exclude), or begin a new lake',
    ])
    const two = lakeOf([tableOf(BEFORE), tableOf(BEFORE, { name: 'other' })])
    expect(refusal(() => followShapes([more], two, NEVER)).at(-1)).toBe(
      'tote run --accept-change other; nothing tells the rows of "thing" in the lake apart any more: undo the change if that can be, leave it out (tables.exclude), or begin a new lake',
    )
    // A key of another type, as one that is hashed from now on, would be another column.
    const retyped = tableOf(columnsOf('id text', 'a text', 'b numeric(10,2)'))
    expect(refusal(() => followShapes([retyped], lake, NEVER))).toEqual([
      'thing.id was integer and is text',
      'thing had the key (id) and has (id); rows in the lake are told apart by (id_dropped_1), which it has no more',
      'nothing tells the rows of "thing" in the lake apart any more: undo the change if that can be, leave it out (tables.exclude), or begin a new lake',
    ])
    const both = lakeOf([tableOf(BEFORE, { key: ['id', 'a'] })])
    const half = tableOf(columnsOf('id integer', 'b numeric(10,2) #3'))
    expect(refusal(() => followShapes([half], both, ALWAYS))).toContain(
      'thing had the key (id, a) and has (id); rows in the lake are told apart by (id, a), which it has no more',
    )
  })

  const WHOLE: SourceColumn = {
    name: ROW_COLUMN,
    type: 'text',
    carried: 'VARCHAR',
    notNull: true,
    attribute: 0,
  }
  const keyless = tableOf([...BEFORE, WHOLE], { key: [ROW_COLUMN] })
  test('P2: whole rows stay whole rows when a key comes, and a key stays when it goes', () => {
    const whole = lakeOf([keyless])
    const now = followShapes([tableOf(BEFORE)], whole, NEVER)
    expect(now.tables).toEqual([
      { ...keyless, sourceKey: ['id'], pairs: undefined, cursor: undefined },
    ])
    expect(now.tables[0]?.keyGiven).toBeUndefined()
    expect(asText(now)).toEqual([
      '1 id integer',
      '2 a text',
      '3 b numeric(10,2)',
      `4 ${ROW_COLUMN} text`,
    ])
    expect(now.notes[0]?.text).toContain(`had the key (${ROW_COLUMN}) and has (id)`)
    const lost = followShapes([keyless], lake, NEVER)
    expect(lost.tables[0]).toMatchObject({ key: ['id'], keyGiven: true, sourceKey: [ROW_COLUMN] })
    expect(lost.tables[0]?.columns).toEqual(BEFORE)
    expect(asText(lost)).toEqual(['1 id integer', '2 a text', '3 b numeric(10,2)'])
    expect(lost.notes[0]?.text).toContain(`had the key (id) and has (${ROW_COLUMN})`)
  })
})

describe('tables', () => {
  const thing = tableOf(BEFORE)
  const other = tableOf(columnsOf('id integer'), { name: 'other' })
  test('a new table is carried; under freeze it stops the batch, but for the first', () => {
    const lake = lakeOf([thing])
    const followed = followShapes([thing, other], lake, NEVER)
    expect(followed.tables).toEqual([thing, other])
    expect(asText(followed, 'other')).toEqual(['1 id integer'])
    expect(followed.notes).toEqual([])
    const frozen = { ...other, frozen: true }
    expect(refusal(() => followShapes([thing, frozen], lake, NEVER))).toEqual([
      'other is new',
      fixFor('other'),
    ])
    expect(followShapes([thing, frozen], lake, ALWAYS).notes).toEqual([])
    expect(followShapes([frozen], null, NEVER).tables).toEqual([frozen])
  })

  test('P2: a table that is gone is refused, and accepted is said once and stays', () => {
    const lake = lakeOf([thing, other])
    expect(refusal(() => followShapes([thing], lake, NEVER))).toEqual([
      'other is no longer there',
      fixFor('other'),
    ])
    const followed = followShapes([thing], lake, ALWAYS)
    expect(followed.gone).toEqual(['other'])
    expect(followed.notes).toEqual([
      {
        level: 'warn',
        text: 'table other is no longer there: its rows stay as they are, also where what they refer to goes (a warning then)',
      },
    ])
    const later = lakeOf([thing], lake, ALWAYS)
    expect(followShapes([thing], later, NEVER)).toMatchObject({ gone: ['other'], notes: [] })
    expect(followShapes([thing, other], later, NEVER).gone).toEqual([])
  })

  test('everything that is refused is told at once, and each table is accepted by itself', () => {
    const third = tableOf(columnsOf('id integer'), { name: "Third 'one'" })
    const lake = lakeOf([thing, other, third])
    const text = tableOf(columnsOf('id integer', 'a integer', 'b numeric(10,2)'))
    expect(refusal(() => followShapes([text], lake, NEVER))).toEqual([
      'thing.a was text and is integer',
      'other is no longer there',
      "Third 'one' is no longer there",
      "tote run --accept-change thing --accept-change other --accept-change 'Third '\\''one'\\'''; or undo the change, or leave the tables or columns out in the config",
    ])
    const onlyThing = { source: 'shop', accepts: (table: string) => table === 'thing' }
    expect(refusal(() => followShapes([text], lake, onlyThing))).not.toContain(
      'thing.a was text and is integer',
    )
  })
})

test.each([
  ['plain_1.x-y', 'plain_1.x-y'],
  ['two words', "'two words'"],
  ['ends badly;', "'ends badly;'"],
  ['$(begins) badly', "'$(begins) badly'"],
])('P10: a table called %s can be accepted by the command line that is told', (name, argument) => {
  const lake = lakeOf([tableOf(BEFORE, { name }), tableOf(BEFORE)])
  expect(refusal(() => followShapes([tableOf(BEFORE)], lake, NEVER)).at(-1)).toBe(fixFor(argument))
})

const TYPES = ['smallint', 'integer', 'bigint', 'numeric(5,0)', 'text', 'character varying(3)']
const anyColumns = fc
  .uniqueArray(
    fc.record({
      attribute: fc.integer({ min: 2, max: 7 }),
      name: fc.constantFrom('a', 'A', 'b', 'c', 'd'),
      type: fc.constantFrom(...TYPES),
    }),
    { selector: ({ attribute }) => attribute, maxLength: 4 },
  )
  .filter((all) => new Set(all.map(({ name }) => name.toLowerCase())).size === all.length)
  .map((all) => [
    ...columnsOf('id integer'),
    ...all.map(({ attribute, name, type }) => ({
      name,
      type,
      carried: carriedType(type),
      notNull: false,
      attribute,
    })),
  ])

test("P8: after any changes a column is the source's, no id is used twice, and what was there stays", () => {
  const steps = fc.array(fc.tuple(anyColumns, fc.boolean()), { minLength: 2, maxLength: 6 })
  fc.assert(
    fc.property(steps, (all) => {
      let lake: CommittedManifest | null = null
      const types = new Map<number, string[]>()
      for (const [columns, same] of all) {
        const table = tableOf(columns, { relationId: same ? '1.5' : '1.6' })
        const before: readonly { readonly id: number }[] = lake?.tables['thing']?.columns ?? []
        const followed = followShapes([table], lake, ALWAYS)
        const now = followed.columns.get('thing') ?? []
        expect(now.slice(0, columns.length).map(({ name, type }) => [name, type])).toEqual(
          columns.map(({ name, type }) => [name, type]),
        )
        expect(now.slice(columns.length).every(({ gone }) => gone === true)).toBe(true)
        expect(new Set(now.map(({ id }) => id)).size).toBe(now.length)
        expect(new Set(now.map(({ name }) => name.toLowerCase())).size).toBe(now.length)
        for (const { id } of before) expect(now.map((column) => column.id)).toContain(id)
        const fresh = now.filter(({ id }) => !types.has(id))
        expect(fresh.every(({ id }) => id > Math.max(0, ...types.keys()))).toBe(true)
        for (const { id, type } of now) types.set(id, [...(types.get(id) ?? []), type])
        lake = lakeOf([table], lake, ALWAYS)
      }
      for (const seen of types.values()) {
        const ranks = seen
          .map((type) => TYPES.slice(0, 3).indexOf(type))
          .filter((rank) => rank >= 0)
        // An integer only ever grows.
        expect(ranks).toEqual(ranks.toSorted((one, two) => one - two))
      }
    }),
  )
})

test('of hundreds of columns that come and go the first are said, and how many more', () => {
  const wide = (letter: string, count: number): SourceColumn[] =>
    columnsOf(
      'id integer',
      ...Array.from({ length: count }, (_, n) => `${letter}${n} integer #${n + 2}`),
    )
  const said = (from: number, to: number): FollowedShapes['notes'] =>
    followShapes(
      [tableOf(wide('b', to), { relationId: '1.6' })],
      lakeOf([tableOf(wide('a', from))]),
      NEVER,
    ).notes
  expect(said(8, 12)).toHaveLength(20)
  const notes = said(8, 300)
  expect(notes).toHaveLength(20)
  expect(notes[18]?.text).toMatch(/^thing.b18 is new/)
  // Those that are gone are among them.
  expect(notes[19]).toEqual({
    level: 'warn',
    text: 'table thing: 289 more such changes of columns',
  })
  expect(said(0, 21).at(-1)).toEqual({
    level: 'info',
    text: 'table thing: 2 more such changes of columns',
  })
})

test('P10: a mask that begins later says that earlier batches keep the values', () => {
  const lake = lakeOf([tableOf(BEFORE, { shape: '1 id; hash "a"' })])
  const masked = (...masks: string[]): SourceTable => tableOf(BEFORE, { masks })
  expect(lateMasks([masked('hash "a"')], lake)).toEqual([])
  expect(lateMasks([tableOf(BEFORE)], lake)).toEqual([])
  expect(lateMasks([masked('hash "a"', 'redact "b"')], lake)).toEqual([
    'table "thing": redact "b" holds from this batch on; earlier batches, and the history of facts, keep what they have. Begin a new lake where that must not be',
  ])
  expect(lateMasks([{ ...masked('hash "a"'), name: 'new' }], lake)).toEqual([])
})
