import { describe, expect, test } from 'vitest'
import { openEngine } from '../../src/columns/engine.ts'
import { translateRule, type Sort } from '../../src/init/rules.ts'
import { tmpdir } from 'node:os'

const SORTS: Readonly<Record<string, Sort>> = {
  status: 'text',
  'odd "name"': 'text',
  price: 'number',
  quantity: 'number',
  paid: 'boolean',
  made: 'date',
  seen: 'timestamp',
  at: 'timestamptz',
  uid: 'other',
  tags: 'other',
}
const lookup = (name: string) => {
  const sort = SORTS[name]
  return sort === undefined ? undefined : { name, sort }
}

// As pg_get_expr prints them (PostgreSQL 15).
const PLAIN: readonly (readonly [string, string])[] = [
  ['(quantity > 0)', '("quantity" > 0)'],
  ['(price >= (0)::numeric)', '("price" >= 0)'],
  ["(price > '-1'::integer)", '("price" > -1)'],
  ['(price > (0)::double precision)', '("price" > 0)'],
  ['((quantity >= 1) AND (quantity <= 999))', '(("quantity" >= 1) and ("quantity" <= 999))'],
  ["(status = ANY (ARRAY['a'::text, 'it''s'::text]))", `("status" in ('a', 'it''s'))`],
  [
    "((status)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))",
    `("status" in ('a', 'b'))`,
  ],
  [
    "((status)::text <> ALL (ARRAY[('a'::character varying)::text, 'b'::text]))",
    `("status" not in ('a', 'b'))`,
  ],
  ['(status <> \'NEW\'::app."OrderStatus")', `("status" <> 'NEW')`],
  ['(length(status) > 0)', '(length("status") > 0)'],
  ['(char_length((status)::text) <= 10)', '(length("status") <= 10)'],
  ["((status)::text ~~ '%@%'::text)", `("status" like '%@%')`],
  ['("odd ""name""" = \'x\'::text)', `("odd ""name""" = 'x')`],
  ['((made IS NULL) OR (seen IS NOT NULL))', '(("made" is null) or ("seen" is not null))'],
  ["(made >= '1990-01-01'::date)", `("made" >= date '1990-01-01')`],
  [
    "(at < '2100-01-01 00:00:00+00'::timestamp with time zone)",
    `("at" < timestamptz '2100-01-01 00:00:00+00')`,
  ],
  ['(paid OR (NOT (paid = false)))', '("paid" or not ("paid" = false))'],
  ['paid', '"paid"'],
  ['((uid IS NOT NULL) <> (tags IS NOT NULL))', '(("uid" is not null) <> ("tags" is not null))'],
  [
    '(num_nonnulls(uid, tags, status) = 1)',
    '((cast("uid" is not null as integer) + cast("tags" is not null as integer) + cast("status" is not null as integer)) = 1)',
  ],
  ['(num_nulls(uid) <= 1)', '((cast("uid" is null as integer)) <= 1)'],
]

const LEFT_OUT = [
  '(quantity > (price * 2))',
  '(price > 1.5)::boolean',
  "(status > 'a'::text)",
  "(status ~ '^a'::text)",
  "((status)::text ~~ 'a\\_b'::text)",
  '(lower(status) = status)',
  '(unknown > 0)',
  '(made > CURRENT_DATE)',
  "(seen > '2020-01-01'::date)",
  "(status = E'a\\nb'::text)",
  '(price > quantity::real)',
  "(price = ANY ('{1,2}'::integer[]))",
  "(status = ANY (ARRAY['a'::text, NULL::text]))",
  'quantity',
  '(quantity > 0) extra',
  '((quantity > 0)',
  '(status COLLATE "C" = \'a\'::text)',
  '(abs(price) < 5)',
  '(uid = uid)',
  "(uid = 'a'::uuid)",
  '(uid > uid)',
  'uid',
  "(uid = ANY (ARRAY['a'::text]))",
  '(length(uid) > 0)',
  '(uid IS TRUE)',
  '(num_nonnulls(VARIADIC tags) = 1)',
  '(num_nonnulls() = 1)',
  '',
]

test.each(PLAIN)('%s', (written, condition) => {
  expect(translateRule(written, lookup)).toBe(condition)
})

test.each(LEFT_OUT)('what DuckDB might judge otherwise is left out: %s', (written) => {
  expect(translateRule(written, lookup)).toBeUndefined()
})

describe('what is translated', () => {
  test('is understood by DuckDB, and judges a row', async () => {
    const engine = await openEngine({ tempFolder: tmpdir() })
    try {
      await engine.run(
        `create table t as select 'a' as status, 'x' as "odd ""name""", 1.5::decimal(10,2) as price, 3 as quantity,
         true as paid, date '2020-02-02' as made, timestamp '2020-02-02' as seen, timestamptz '2020-02-02 00:00:00+00' as at, uuid() as uid, '{}' as tags`,
      )
      for (const [, condition] of PLAIN) {
        const [row] = await engine.rows(`select ${condition} as judged from t`)
        expect({ condition, judged: typeof row?.['judged'] }).toEqual({
          condition,
          judged: 'boolean',
        })
      }
    } finally {
      engine.close()
    }
  })
})
