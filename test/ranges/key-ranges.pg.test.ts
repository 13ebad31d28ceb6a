/** P2, P11: the keys that a server finds in ranges are those that DuckDB puts there, of every type, and an index finds them. */
import { tmpdir } from 'node:os'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import { quoteText } from '../../src/columns/sql.ts'
import { fromText, isUncarried } from '../../src/columns/text.ts'
import { rowsInRanges } from '../../src/extraction/read-rows.ts'
import { carriedType } from '../../src/postgres/carried.ts'
import { connect, type Connection } from '../../src/postgres/connection.ts'
import { quoteLiteral } from '../../src/postgres/identifiers.ts'
import { numbersOf } from '../../src/ranges/key-numbers.ts'
import { inRanges, type RangedBy } from '../../src/ranges/key-range.ts'
import { boundsOf, spanOf, spansOver } from '../../src/ranges/key-spans.ts'
import { NUMBERED_KEYS } from '../support/numbered-keys.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
let connection: Connection
let engine: Engine
beforeAll(async () => {
  database = await (await testServer()).createDatabase('ranges')
  connection = await connect({ side: 'source', name: 'ranges', url: database.url })
  await connection.query('set', "set timezone = 'UTC'; set datestyle = 'ISO'")
  engine = await openEngine({ tempFolder: tmpdir() })
})
afterAll(async () => {
  engine.close()
  await connection.close()
  await database.drop()
})

/** These, and two that files carry otherwise. */
const TYPES: Readonly<Record<string, (typeof NUMBERED_KEYS)[string]>> = {
  ...NUMBERED_KEYS,
  'numeric(12,3)': fc
    .integer({ min: 1 - 10 ** 12, max: 10 ** 12 - 1 })
    .map((n) => ({ text: String(n / 1000), number: BigInt(Math.floor(n / 1000)) })),
}

describe.each(Object.keys(TYPES))('%s', (type) => {
  const keys = TYPES[type] ?? fc.constant({ text: '', number: 0n })
  const numbers = numbersOf(type)
  if (numbers === undefined) throw new Error(`no numbers of ${type}`)
  const by: RangedBy = { column: 'k', numbers }
  const sorted = (rows: readonly Record<string, unknown>[]): string[] =>
    rows.map(({ k }) => String(k)).toSorted()

  test('P2: the server has in a range what DuckDB has in it, infinities and what no file carries included', async () => {
    await connection.query('make', `drop table if exists keys; create table keys (k ${type})`)
    let beyond = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(keys, { minLength: 20, maxLength: 200 }),
        fc.array(fc.nat(1023), { minLength: 3, maxLength: 40 }),
        async (some, places) => {
          const texts = [...new Set(some.map(({ text }) => text))]
          const values = texts.map((text) => `(${quoteLiteral(text)}::${type})`)
          await connection.query(
            'fill',
            `truncate keys; insert into keys values ${values.join(', ')}`,
          )
          const all = sorted(await connection.query('read', 'select k::text from keys'))
          const relation = `select * from (values ${all.map((text) => `(${quoteText(text)})`).join(', ')}) as t(k)`
          const [ends] = await engine.rows(
            `select quantile_disc(n, 0.2) as least, quantile_disc(n, 0.8) as greatest from (select ${numbers.number('k', 0)} as n from (${relation}))` +
              ` where n between '${numbers.least}'::${numbers.type} and '${numbers.greatest}'::${numbers.type}`,
          )
          const { least, greatest } = ends ?? {}
          fc.pre(typeof least === 'bigint' && typeof greatest === 'bigint')
          const spans = spansOver(numbers, BigInt(least ?? 0), BigInt(greatest ?? 0))
          const most = Number(spans.last - spans.first)
          const found = await engine.rows(
            `select distinct ${spanOf('k', spans)}::bigint as range from (${relation})`,
          )
          const full = found.map(({ range }) => Number(range))
          // Full ones and empty ones, the ends among them now and then.
          const ranges = [...new Set(places.map((n) => (n % 2 === 0 ? full[n % full.length] : n)))]
            .filter((range) => range !== undefined && range <= most)
            .toSorted((a, b) => Number(a) - Number(b)) as number[]
          const bounds = boundsOf({ spans, chosen: ranges })
          const expected = sorted(
            await engine.rows(
              `select k from (${relation}) where ${spanOf('k', spans)} in (${[-1, ...ranges].join(', ')})`,
            ),
          )
          const server = await connection.query(
            'ask',
            `select k::text from keys where ${inRanges(by, bounds)}`,
          )
          expect(sorted(server)).toEqual(expected)
          // In the lake it is a value of the type that carries it, where that holds it.
          const carried = carriedType(type)
          const held = `select ${fromText('k', carried)} as k, k as text from (${relation}) where not ${isUncarried('k', carried)}`
          const lake = await engine.rows(
            `select text as k from (${rowsInRanges(held, { rangedBy: by }, [{ name: 'k', carried }], { spans, chosen: ranges })})`,
          )
          const uncarried = await engine.rows(
            `select k from (${relation}) where ${isUncarried('k', carried)}`,
          )
          const out = new Set(sorted(uncarried))
          expect(sorted(lake)).toEqual(expected.filter((text) => !out.has(text)))
          beyond += expected.length > 0 && expected.length < all.length ? 1 : 0
        },
      ),
      { numRuns: 25 },
    )
    // It would prove nothing if it were always all of them, or none.
    expect(beyond).toBeGreaterThan(10)
  })

  test('P11: an index over the key serves the question, also of a domain over the type', async () => {
    await connection.query(
      'make',
      `drop table if exists keys; drop domain if exists ours; create domain ours as ${type};
       create table keys (k ${type}); create table own_keys (k ours);
       create index on keys (k); create index on own_keys (k); set enable_seqscan = off`,
    )
    const spans = spansOver(numbers, 0n, 5000n)
    for (const table of ['keys', 'own_keys'])
      for (const chosen of [[0], [3], [3, 700], [0, 5, 6]]) {
        const rows = await connection.query(
          'plan',
          `explain select * from ${table} where ${inRanges(by, boundsOf({ spans, chosen }))}`,
        )
        const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
        expect(plan).toMatch(/Index Cond/)
        expect(plan).not.toMatch(/Filter/)
      }
    await connection.query('reset', 'drop table own_keys; reset enable_seqscan')
  })
})
