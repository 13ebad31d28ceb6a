/** P7: rows that are counted as the same in two schemas are the same to the byte, however they are joined. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { layoutOf } from '../../src/star/layout.ts'
import { countSame } from '../../src/warehouse/remade.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'
import { columns, starTable } from '../support/star.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await (await testServer()).createDatabase('remade')
  await database.query('create schema live; create schema fresh')
})
afterAll(async () => database.drop())

const NAMES = { schema: 'live', beside: 'fresh' } as const

test('P7: of many rows, parts of the record ids count what one join counts: missing, added anywhere, changed in any column', async () => {
  const layout = layoutOf(
    starTable({
      name: 'fact',
      kind: 'fact',
      columns: columns(['n?', 'integer', 'INTEGER'], ['word?', 'text', 'VARCHAR'], ['price?', 'numeric', 'VARCHAR']), // prettier-ignore
      key: ['n'],
      recordId: 'id',
    }),
  )
  for (const schema of ['live', 'fresh'])
    await database.query(
      `create table ${schema}.fact (id bigint primary key, n integer, word text, price numeric, valid_to timestamptz);
       insert into ${schema}.fact select i, i, 'w' || i, i / 4.0, case when i % 3 = 0 then '2026-11-27Z'::timestamptz end from generate_series(1, 20000) as i`,
    )
  await database.query(
    `insert into live.fact values (-5, 1, 'a', 1), (0, 1, 'a', 1), (3000000000, 1, 'a', 1);
     delete from live.fact where id in (2500, 20000); delete from fresh.fact where id = 7501;
     update live.fact set n = -1 where id = 1; update live.fact set word = null where id = 2501;
     update live.fact set word = '' where id = 5000; update fresh.fact set word = null where id = 5000;
     update live.fact set price = price * 1.0 where id in (8, 17500)`,
  )
  const types = [['id', 'bigint'], ['n', 'integer'], ['word', 'text'], ['price', 'numeric'], ['valid_to', 'timestamp with time zone']] as const // prettier-ignore
  const compared = types.map(([name, type]) => ({ name, type }))
  const [alone] = await database.query(
    `select (select count(*) from live.fact)::text as live, (select count(*) from fresh.fact)::text as rebuilt,
      (select count(*) from fresh.fact where valid_to is null)::text as current,
      (select count(*) from live.fact as l join fresh.fact as f using (id) where record_image_eq(l, f))::text as equal`,
  )
  expect(alone).toEqual({ live: '20001', rebuilt: '19999', current: '13333', equal: '19992' })
  for (const rows of [0, 19_999, 40_000]) {
    const text = countSame({ ...NAMES, layout, columns: compared, rows })
    expect(text.split('full join').length - 1).toBe(rows === 0 ? 1 : 8)
    expect(await database.query(text)).toEqual([alone])
  }
})

test.each([
  { type: 'numeric', live: '1.0', fresh: '1.00' },
  { type: 'double precision', live: '0', fresh: '-0' },
  { type: 'real', live: '-0', fresh: '0' },
  { type: 'interval', live: '1 mon', fresh: '30 days' },
  { type: 'jsonb', live: '1.0', fresh: '1.00' },
  { type: 'character(3)[]', live: '{a}', fresh: '{b}' },
  { type: 'numeric[]', live: '{1.0}', fresh: '{1.00}' },
  { type: 'text', live: 'a', fresh: 'a ' },
  { type: 'text', live: '', fresh: null },
  { type: 'character varying(3)', live: 'é', fresh: 'e' },
  { type: 'bytea', live: '\\x00', fresh: '\\x01' },
  { type: 'bigint', live: '9007199254740993', fresh: '9007199254740992' },
  { type: 'boolean', live: 'f', fresh: null },
  { type: 'timestamp(6) without time zone', live: '2026-11-27 00:00:00.000001', fresh: '2026-11-27' }, // prettier-ignore
  { type: 'time with time zone', live: '12:00+00', fresh: '13:00+01' },
] as const)(
  'P7, P8: $live and $fresh of $type are not the same, and each is the same as itself',
  async ({ type, live, fresh }) => {
    const layout = layoutOf(starTable({ name: 'one', kind: 'table', columns: columns(['id', 'integer', 'INTEGER']), key: ['id'] })) // prettier-ignore
    const put = async (schema: string, value: string | null): Promise<void> => {
      const literal = value === null ? 'null' : `'${value}'`
      await database.query(
        `drop table if exists ${schema}.one; create table ${schema}.one (id integer primary key, v ${type}); insert into ${schema}.one values (1, ${literal})`,
      )
    }
    const compared = [{ name: 'id', type: 'integer' }, { name: 'v', type }] // prettier-ignore
    const equal = async (): Promise<unknown> =>
      (await database.query(countSame({ ...NAMES, layout, columns: compared, rows: 1 })))[0]
    const both = { live: '1', rebuilt: '1', current: '1' }
    await put('live', live)
    await put('fresh', fresh)
    expect(await equal()).toEqual({ ...both, equal: '0' })
    await put('fresh', live)
    expect(await equal()).toEqual({ ...both, equal: '1' })
  },
)

test('P7, P8: text is compared by its bytes, whatever its collation takes for equal', async (ctx) => {
  try {
    await database.query(
      "create collation public.blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false)",
    )
  } catch {
    ctx.skip('this server is built without ICU')
  }
  const layout = layoutOf(starTable({ name: 'word', kind: 'table', columns: columns(['id', 'integer', 'INTEGER']), key: ['id'] })) // prettier-ignore
  for (const [schema, word] of [
    ['live', 'A'],
    ['fresh', 'a'],
  ])
    // prettier-ignore
    await database.query(
      `create table ${schema}.word (id integer primary key, v text collate public.blind); insert into ${schema}.word values (1, '${word}')`,
    )
  const compared = [{ name: 'id', type: 'integer' }, { name: 'v', type: 'text' }] // prettier-ignore
  expect(await database.query(countSame({ ...NAMES, layout, columns: compared, rows: 1 }))).toEqual(
    [{ live: '1', rebuilt: '1', current: '1', equal: '0' }],
  )
})
