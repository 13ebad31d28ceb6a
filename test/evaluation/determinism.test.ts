/** `tote check --data`: what hangs on the order of rows is found, and named with its columns. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openEngineHome, type Engine, type EngineHome } from '../../src/columns/engine.ts'
import { ToteError } from '../../src/errors.ts'
import { model } from '../models/totesys-tables.ts'
import { openRandomLake, type Change } from './random-lake.ts'

let home: EngineHome
let fresh: Engine
beforeAll(async () => {
  home = openEngineHome({ tempFolder: join(tmpdir(), 'tote-determinism'), threads: 1 })
  fresh = await home.engine()
})
afterAll(async () => {
  fresh.close()
  await home.close()
})

/** Five groups of eight rows that are alike in `c_ref`, and whose text is a number with a fraction. */
const rows: Change[] = Array.from({ length: 40 }, (_, n) => ({
  table: 'a',
  key: [n],
  values: [n % 5, n % 2, n % 3, `${n * n}.${n}1`],
}))

async function verdict(
  ...models: readonly (readonly [string, string])[]
): Promise<ToteError | null> {
  const texts = models.map(([key, sql], index) =>
    model(`m${index}`, `-- kind: table\n-- nullable: all\n-- key: ${key}\n${sql}`),
  )
  const lake = await openRandomLake({ lake: async () => home.engine(), fresh }, texts)
  try {
    await lake.commit(rows)
    await lake.prove()
    return null
  } catch (error) {
    if (error instanceof ToteError) return error
    throw error
  } finally {
    await lake.close()
  }
}

describe('ModelNotDeterministic names the model and the columns', () => {
  test.each([
    [
      'ref',
      'select b_ref as ref, count(*) as n, sum(a_txt::double) as total from shop.a group by 1',
      ['total'],
    ],
    [
      'a_id',
      'select a_id, b_ref, row_number() over (partition by b_ref order by c_ref) as place from shop.a',
      ['place'],
    ],
    [
      'ref',
      'select b_ref as ref, any_value(a_txt) as txt, max(a_val) as val from shop.a group by 1',
      ['txt'],
    ],
    [
      'ref',
      'select b_ref as ref, list(a_id)::varchar as ids, string_agg(a_txt) as txts from shop.a group by 1',
      ['ids', 'txts'],
    ],
    [
      'ref',
      'select b_ref as ref, first(a_txt order by c_ref) as txt from shop.a group by 1',
      ['txt'],
    ],
    ['a_id', 'select a_id, a_val from shop.a order by c_ref limit 7', ['a_id']],
    ['ref', 'select distinct on (b_ref) b_ref as ref, a_id from shop.a', ['a_id']],
  ])('%s: %s', async (key, sql, columns) => {
    const error = await verdict([key, sql])
    expect(error?.name).toBe('ModelNotDeterministic')
    const named = [...(error?.message ?? '').matchAll(/"(\w+)" \(\d+ rows?\)/g)].map(
      (match) => match[1],
    )
    expect(named).toEqual(columns)
    expect(error?.facts.where).toBe('models/m0.sql')
  })
  test('and not those above it, which only hand on what they read', async () => {
    const error = await verdict(
      ['ref', 'select b_ref as ref, any_value(a_txt) as txt from shop.a group by 1'],
      ['ref', 'select ref, txt from m0'],
      ['one', 'select 1 as one, first(txt) as txt from m0'],
    )
    expect(error?.facts.problems?.map(({ where }) => where)).toEqual([
      'models/m0.sql',
      'models/m2.sql',
    ])
  })
})

test('what has a full order is a function of its rows', async () => {
  expect(
    await verdict(
      [
        'ref',
        'select b_ref as ref, sum(a_txt::decimal(18,4)) as total, min(a_txt) as txt from shop.a group by 1',
      ],
      [
        'a_id',
        'select a_id, row_number() over (partition by b_ref order by c_ref, a_id) as place from shop.a',
      ],
      [
        'ref',
        'select ref, first(txt order by ref) as txt, list(total order by total)::varchar as all from m0 group by 1',
      ],
      ['a_id', 'select a_id, place from m1 order by place, a_id limit 7'],
    ),
  ).toBeNull()
})
