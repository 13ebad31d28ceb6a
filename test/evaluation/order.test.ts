/** The order in which rows lie, in files of several row groups and with several threads. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import { countOrder, isStreamed } from '../../src/evaluation/order.ts'

const folder = mkdtempSync(join(tmpdir(), 'tote-order-'))
let engine: Engine

beforeAll(async () => {
  engine = await openEngine({ tempFolder: folder, threads: 4 })
})
afterAll(() => {
  engine.close()
  rmSync(folder, { recursive: true })
})

test('one row out of its place is found among a million, wherever it is', async () => {
  const path = join(folder, 'large.parquet')
  const from = `read_parquet('${path}')`
  const write = async (of: string): Promise<void> =>
    engine.run(
      `copy (select ${of} as a from range(1000000) r(n)) to '${path}' (format parquet, row_group_size 20480, preserve_order true)`,
    )
  await write('n')
  expect(await countOrder(engine, from, ['a'])).toEqual({
    rows: 1_000_000,
    withoutKey: 0,
    misplaced: 0,
  })
  for (const place of [1, 20_480, 654_321, 999_999]) {
    await write(`case n when ${place} then ${place - 1} else n end`)
    expect((await countOrder(engine, from, ['a'])).misplaced).toBe(1)
  }
})

test('rows are in order where each key is greater than the one before', async () => {
  const value = fc.option(fc.constantFrom('', 'a', 'b', 'aa', 'é', '\u{10000}'), { freq: 8 })
  const rows = fc.array(fc.tuple(value, fc.option(fc.integer({ min: -2, max: 2 }), { freq: 8 })))
  const compare = (a: unknown, b: unknown): number =>
    typeof a === 'string'
      ? Buffer.compare(Buffer.from(a), Buffer.from(String(b)))
      : Number(a) - Number(b)
  await fc.assert(
    fc.asyncProperty(rows, async (given) => {
      const whole = given.map((row) => row.every((part) => part !== null))
      const misplaced = given.filter((row, n) => {
        const before = given[n - 1]
        if (before === undefined || !whole[n] || !whole[n - 1]) return false
        return (compare(before[0], row[0]) || compare(before[1], row[1])) >= 0
      }).length
      const values = given.map(([a, b]) => `(${a === null ? 'null' : `'${a}'`}, ${b})`)
      const from =
        given.length === 0
          ? '(select null::varchar as a, null::integer as b where false)'
          : `(values ${values.join(', ')}) t(a, b)`
      const seen = await countOrder(engine, from, ['a', 'b'])
      expect([seen.rows, seen.withoutKey]).toEqual([given.length, whole.filter((is) => !is).length])
      if (seen.withoutKey === 0) expect(seen.misplaced).toBe(misplaced)
    }),
    { numRuns: 300 },
  )
})

test('a plan tells whether rows pass as they lie', async () => {
  await engine.run('create table big as select n as id, n % 7 as part from range(1000) r(n)')
  await engine.run(`create table part as select n as id, 'name' as name from range(7) r(n)`)
  const file = join(folder, 'streamed.parquet')
  await engine.run(`copy big to '${file}' (format parquet)`)
  const streamed = [
    `select id from read_parquet('${file}')`,
    'select * from (values (1), (2)) t(a)',
    'select b.id from big b join part p on p.id = b.part where b.id + p.id > 5',
    'select * from big',
    'select id + 1 as id from big where part > 2',
    'select b.id, p.name from big b left join part p on p.id = b.part',
    'select b.id, n from big b join (select id, count(*) as n from part group by all) p on p.id = b.part',
  ]
  const collected = [
    'select part, count(*) from big group by all',
    'select distinct part from big',
    'select id from big order by part',
    'select id from big limit 10',
    'select id, row_number() over (order by part) from big',
    'select id from big union all select id from part',
  ]
  const told = async (queries: readonly string[]): Promise<string[]> => {
    const found: string[] = []
    for (const query of queries) if (await isStreamed(engine, query)) found.push(query)
    return found
  }
  expect(await told(streamed)).toEqual(streamed)
  expect(await told(collected)).toEqual([])
})
