/**
 * P8, P12: what a type of the warehouse does not take is said with its table and column, and not with the value, whichever
 * way rows come: every type that can refuse one, by every way into a table.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ToteError } from '../../src/errors.ts'
import type { Column } from '../../src/types.ts'
import { openPostgresWarehouse } from '../../src/warehouse/warehouse-postgres.ts'
import type { StarBatch, Warehouse } from '../../src/warehouse/warehouse.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'
import { columns, openHandMadeLake, starTable, testContext } from '../support/star.ts'

/** What a source's timestamp(3) has where 294276-12-31 23:59:59.9996 was written: a server rounds to it, prints it, and does not read it. */
const ROUNDED = `'294277-01-01 00:00:00'`

/** The type in the warehouse, what the lake carries it as, a value that it takes, one that it does not, and what the server says. */
const REFUSED: readonly (readonly [
  type: string,
  carried: string,
  good: string,
  bad: string,
  sqlstate: string | null,
])[] = [
  ['character varying(3)', 'VARCHAR', `'Qx'`, `'Qx78'`, '22001'],
  ['character(3)', 'VARCHAR', `'Qx'`, `'Qx78'`, '22001'],
  ['character varying(3)[]', 'VARCHAR', `'{Qx}'`, `'{Qx78}'`, '22001'],
  ['bit(3)', 'VARCHAR', `'101'`, `'1010'`, '22026'],
  ['bit varying(3)', 'VARCHAR', `'1'`, `'1010'`, '22001'],
  ['smallint', 'BIGINT', '1', '88001', null],
  ['integer', 'BIGINT', '1', '8800188001', null],
  ['integer', 'VARCHAR', `'1'`, `'NaN'`, '22P02'],
  ['bigint', 'VARCHAR', `'1'`, `'88001880018800188001'`, '22003'],
  ['oid', 'VARCHAR', `'1'`, `'88001880018800188001'`, '22003'],
  ['numeric(5,2)', 'DECIMAL(18,2)', '1.50', '88001.99', '22003'],
  ['numeric(5,2)', 'VARCHAR', `'1.5'`, `'999.995'`, '22003'],
  ['numeric', 'VARCHAR', `'1.5'`, `'Qx7'`, '22P02'],
  ['real', 'VARCHAR', `'1.5'`, `'1e88'`, '22003'],
  ['double precision', 'VARCHAR', `'1.5'`, `'1e8801'`, '22003'],
  ['money', 'VARCHAR', `'1.5'`, `'88001880018800188001'`, '22003'],
  ['boolean', 'VARCHAR', `'t'`, `'Qx7'`, '22P02'],
  ['date', 'VARCHAR', `'2024-02-29'`, `'5874898-01-01'`, '22008'],
  ['date', 'DATE', `'2024-02-29'`, `'5877642-06-25 (BC)'`, null],
  ['time without time zone', 'VARCHAR', `'24:00:00'`, `'25:00:00'`, '22008'],
  ['time(0) with time zone', 'VARCHAR', `'24:00:00+00'`, `'23:00:00+88'`, '22009'],
  ...[0, 1, 2, 3, 4, 5].map(
    (p) =>
      [
        `timestamp(${p}) without time zone`,
        'VARCHAR',
        `'2024-02-29 07:55:10.001'`,
        ROUNDED,
        '22008',
      ] as const,
  ),
  [
    'timestamp(3) with time zone',
    'VARCHAR',
    `'2024-02-29 07:55:10+00'`,
    `'294277-01-01 00:00:00+00'`,
    '22008',
  ],
  ['timestamp(3) without time zone[]', 'VARCHAR', `'{2024-02-29}'`, `'{294277-01-01}'`, '22008'], // prettier-ignore
  ['interval(0)', 'VARCHAR', `'1 day'`, `'88001880018 years'`, '22015'],
  ['interval day to second(3)', 'VARCHAR', `'1 day'`, `'Qx7'`, '22007'],
  ['uuid', 'VARCHAR', `'7f000000-0000-0000-0000-000000000001'`, `'Qx7'`, '22P02'],
  ['json', 'VARCHAR', `'{}'`, `'{Qx7'`, '22P02'],
  ['jsonb', 'VARCHAR', `'{}'`, `'{"a": "\\u0000"}'`, '22P05'],
  ['xml', 'VARCHAR', `'<a/>'`, `'<Qx7'`, '2200N'],
  ['bytea', 'VARCHAR', `'\\x00'`, `'\\xQx7'`, '22023'],
  ['inet', 'VARCHAR', `'10.0.0.1'`, `'Qx7'`, '22P02'],
  ['cidr', 'VARCHAR', `'10.0.0.0/8'`, `'10.0.0.1/8'`, '22P02'],
  ['macaddr', 'VARCHAR', `'08:00:2b:01:02:03'`, `'Qx7'`, '22P02'],
  ['point', 'VARCHAR', `'(1,2)'`, `'Qx7'`, '22P02'],
  ['int4range', 'VARCHAR', `'[1,5)'`, `'[88001,5)'`, '22000'],
  ['tsvector', 'VARCHAR', `'a'`, `'''Qx7'`, '42601'],
  ['text[]', 'VARCHAR', `'{a}'`, `'{Qx7'`, '22P02'],
  ['integer[]', 'VARCHAR', `'{1}'`, `'{NaN}'`, '22P02'],
  ['public.mood', 'VARCHAR', `'fine'`, `'Qx7'`, '22P02'],
  ['public.small', 'VARCHAR', `'5'`, `'88001'`, '23514'],
  ['public.pair', 'VARCHAR', `'(1,a)'`, `'(Qx7,a)'`, '22P02'],
]

const TYPES = `create type public.mood as enum ('fine', 'low');
  create domain public.small as integer check (value < 100);
  create type public.pair as (n integer, t text)`

let database: TestDatabase
const opened: Warehouse[] = []
beforeAll(async () => {
  database = await (await testServer()).createDatabase('refused')
  await database.query(TYPES)
})
afterAll(async () => {
  await Promise.all(opened.map(async (one) => one.close()))
  await database.drop()
})

let schemas = 0

/** A table with one column of the type among others that take what they hold. */
async function tableOf(
  type: string,
  carried: string,
): Promise<{
  readonly star: ReturnType<typeof starTable>
  readonly lake: Awaited<ReturnType<typeof openHandMadeLake>>
  readonly warehouse: Warehouse
}> {
  const star = starTable({
    name: 'odd',
    kind: 'dimension',
    columns: columns(['id', 'integer', 'INTEGER'], ['fits', 'text', 'VARCHAR'], ['v?', type, carried], ['rest?', 'numeric(9,2)', 'VARCHAR']), // prettier-ignore
    key: ['id'],
  })
  const schema = `refused_${schemas++}`
  const warehouse = await openPostgresWarehouse({ url: database.url, schema, ledger: `${schema}_ledger`, readers: [] }) // prettier-ignore
  opened.push(warehouse)
  return { star, lake: await openHandMadeLake([star]), warehouse }
}

const row = (id: number, value: string): string[] => [String(id), `'Qx7'`, value, `'1.5'`]

async function failure(work: Promise<unknown>): Promise<ToteError> {
  return work.then(
    () => {
      throw new Error('was not refused')
    },
    (error: unknown) => error as ToteError,
  )
}

/** What is to be said of any value, by any way. */
function expectNamed(error: ToteError, type: string, sqlstate: string | null): void {
  const said = JSON.stringify(error)
  expect(said).toContain('odd')
  expect(error).toMatchObject({
    name: sqlstate === null ? 'ValueNotCarried' : 'WarehouseRefused',
    facts: { where: 'odd.v', fix: expect.stringContaining('types') as string },
  })
  expect(error.message).toContain('"v"')
  if (sqlstate !== null) {
    expect(error.message).toContain(type)
    expect(error.message).toContain(sqlstate)
  }
  expect(said, 'a value').not.toMatch(/Qx7|88001/)
}

/** As a restatement or a repair sends a table. */
function whole(batch: StarBatch): {
  table: ReturnType<typeof starTable>
  rowsInLake: number
  rows: StarBatch['changes'][number]['rows']
} {
  const [change] = batch.changes
  if (change === undefined) throw new Error('no change')
  const { table, rowsInLake, rows } = change
  const list = [...table.columns.map(({ name }: Column) => `"${name}"`), 'false as is_deleted', '1::bigint as _tote_batch'] // prettier-ignore
  return {
    table,
    rowsInLake,
    rows: {
      chunks: (select) =>
        rows.chunks((relation) => select(`(select ${list.join(', ')} from ${relation})`, null)),
    },
  }
}

describe.each(REFUSED)('%s (%s)', (type, carried, good, bad, sqlstate) => {
  test('a first load, a later one, a history, a repair and a restatement name table and column', async () => {
    const first = await tableOf(type, carried)
    const refused = await first.lake.batch({ odd: { upserts: [row(1, good), row(2, bad)] } })
    expectNamed(await failure(first.warehouse.apply(refused, testContext())), type, sqlstate)
    const all = { entry: refused.entry, entries: [refused.entry], tables: [whole(refused)] }
    expectNamed(await failure(first.warehouse.begin(all, testContext())), type, sqlstate)

    const later = await tableOf(type, carried)
    const taken = await later.lake.batch({ odd: { upserts: [row(1, good)] } })
    await later.warehouse.apply(taken, testContext())
    const second = await later.lake.batch({ odd: { upserts: [row(2, bad)] } })
    expectNamed(await failure(later.warehouse.apply(second, testContext())), type, sqlstate)
    const repair = { after: taken.entry, star: [later.star], remade: [whole(second)] }
    expectNamed(await failure(later.warehouse.repair(repair, testContext())), type, sqlstate)
    const restatement = { entry: { ...second.entry, generation: 2 }, after: taken.entry, star: [later.star], live: [later.star], remade: [whole(second)], passed: [], batches: [] } // prettier-ignore
    expectNamed(await failure(later.warehouse.restate(restatement, testContext())), type, sqlstate)
    expect((await later.warehouse.last('star'))?.batch).toBe(1)
    await first.lake.close()
    await later.lake.close()
  })
})

test('several columns that do not take their values are named together; what is not about values is left as it is', async () => {
  const star = starTable({
    name: 'odd',
    kind: 'fact',
    columns: columns(['id', 'integer', 'INTEGER'], ['a', 'character varying(2)', 'VARCHAR'], ['b', 'date', 'VARCHAR'], ['c', 'text', 'VARCHAR']), // prettier-ignore
    key: ['id'],
  })
  const lake = await openHandMadeLake([star])
  const warehouse = await openPostgresWarehouse({ url: database.url, schema: 'several', ledger: 'several_ledger', readers: [] }) // prettier-ignore
  opened.push(warehouse)
  const batch = await lake.batch({ odd: { upserts: [['1', `'Qx7'`, `'Qx7'`, `'c'`]] } })
  const error = await failure(warehouse.apply(batch, testContext()))
  expect(error.message).toContain('2 columns')
  expect(error.facts.problems).toEqual([
    { where: 'odd.a', message: 'character varying(2) does not take all of its values (SQLSTATE 22001)' }, // prettier-ignore
    { where: 'odd.b', message: 'date does not take all of its values (SQLSTATE 22007)' },
  ])
  const good = await lake.batch({ odd: { upserts: [['1', `'a'`, `'2024-01-01'`, `'c'`]] } }, { batch: 1 }) // prettier-ignore
  await warehouse.apply(good, testContext())
  await database.query('alter table several.odd add constraint short check (length(c) < 3)')
  const long = await lake.batch({ odd: { upserts: [['2', `'a'`, `'2024-01-01'`, `'Qx7Qx7'`]] } }, { batch: 2 }) // prettier-ignore
  const refused = await failure(warehouse.apply(long, testContext()))
  expect(refused.message).toContain('constraint "short"')
  expect(refused.facts.where).toContain('@')
  await lake.close()
})
