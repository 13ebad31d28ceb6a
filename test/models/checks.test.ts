/** The checks' SQL on a real DuckDB: what each finds, how many rows, and which keys. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '../../src/columns/engine.ts'
import { ToteError } from '../../src/errors.ts'
import { bindModels } from '../../src/models/bind.ts'
import {
  checkFailure,
  checksOf,
  countAll,
  failingRows,
  runChecks,
} from '../../src/models/checks.ts'
import { modelQuery, type Check, type Model } from '../../src/models/model.ts'
import { dimension, model, openTestEngine, readable } from './totesys-tables.ts'

let engine: Engine
let models: Model[]
const sources = [
  readable('s', 'line', 'a integer; "b c" text; ref integer?; n text?; note text?'),
  readable('s', 'dim', 'id integer'),
]

beforeAll(async () => {
  engine = await openTestEngine()
  models = await bindModels(
    [
      dimension('dim', 'select id from s.dim'),
      model(
        'odd "lines"',
        `-- kind: table\n-- key: a, "b c"\n-- nullable: ref, n, note\n-- references: ref -> dim\n` +
          `-- check: length(n) < 3 -- short\n-- check warn: cast(n as integer) > 0\nselect a, "b c", ref, n, note from s.line`,
      ),
    ],
    engine,
    sources,
  )
  await engine.run('create schema s; create table s.dim (id integer)')
  await engine.run(
    'create table s.line (a integer, "b c" varchar, ref integer, n varchar, note varchar)',
  )
})
afterAll(() => engine.close())

const relationOf = (name: string): string => `"rows of ${name.replaceAll('"', '')}"`

async function run(lines: string, dims = '(1)') {
  await engine.run(
    `delete from s.dim; delete from s.line; insert into s.dim values ${dims}; insert into s.line values ${lines}`,
  )
  for (const bound of models)
    await engine.run(`create or replace table ${relationOf(bound.name)} as ${modelQuery(bound)}`)
  const [bound] = models.filter(({ name }) => name !== 'dim')
  if (bound === undefined) throw new Error('no model')
  return runChecks({ model: bound, models, relationOf, engine })
}

async function failing(lines: string) {
  return (await run(lines))
    .filter(({ rows }) => rows > 0)
    .map(({ check, rows, keys }) => [check.name, check.severity, rows, keys])
}

describe('the checks of a model', () => {
  test('follow from its key, columns, references and header', () => {
    const [bound] = models.filter(({ name }) => name !== 'dim')
    if (bound === undefined) throw new Error('no model')
    expect(checksOf(bound, () => 'id').map(({ name, severity }) => `${name}: ${severity}`)).toEqual(
      [
        'not null(a): error',
        'not null(b c): error',
        'unique(a, b c): error',
        'references(ref -> dim): error',
        'length(n) < 3 -- short: error',
        'cast(n as integer) > 0: warn',
      ],
    )
  })
  test('are counted by one query, conditions on rows in one pass', () => {
    const checks: Check[] = [
      { name: 'not null(a)', severity: 'error', rule: { type: 'not null', columns: ['a'] } },
      { name: 'unique(a)', severity: 'error', rule: { type: 'unique', columns: ['a'] } },
      {
        name: 'references(a -> b)',
        severity: 'error',
        rule: { type: 'references', column: 'a', model: 'b', modelColumn: 'id' },
      },
      { name: 'a > 0', severity: 'warn', rule: { type: 'row', condition: 'a > 0' } },
    ]
    expect(countAll(checks, { relation: 't', relationOf: (name) => `u_${name}`, key: ['a'] }))
      .toMatchInlineSnapshot(`
        "select count(*) filter (where r."a" is null) as c0, (select coalesce(sum(_tote_n), 0) from (select "a", count(*) as _tote_n from t where "a" is not null group by "a" having count(*) > 1)) as c1, count(*) filter (where not coalesce((a > 0
        ), true)) as c3, (select count(*) from (select 1 from (select "a" as v from t) as r anti join u_b as o on r.v = o."id" where r.v is not null)) as dangling from t as r"
      `)
    const first = checks[0]
    expect(
      first &&
        failingRows({ check: first, relation: 't', relationOf: String, key: ['a', 'x'] }).sample,
    ).toMatchInlineSnapshot(
      `"select "a", "x" from t as r where r."a" is null order by "a", "x" limit 5"`,
    )
  })
  test('hold on right rows, and on none', async () => {
    expect(await failing("(1, 'x', 1, '1', null), (1, 'y', null, null, null)")).toEqual([])
    await engine.run('delete from s.line')
    expect(
      (await run("(1, 'x', 1, '1', null)")).every(
        ({ rows, keys }) => rows === 0 && keys.length === 0,
      ),
    ).toBe(true)
  })
  test('a null in the key', async () => {
    expect(
      await failing("(null, 'x', 1, '1', null), (1, null, 1, '1', null), (1, null, 1, '1', null)"),
    ).toEqual([
      ['not null(a)', 'error', 1, ['(null, x)']],
      ['not null(b c)', 'error', 2, ['(1, null)', '(1, null)']],
    ])
  })
  test('a key twice: all its rows count, its key is named once', async () => {
    expect(
      await failing(
        "(1, 'x', 1, '1', null), (1, 'x', 1, '1', 'z'), (1, 'x', null, null, null), (2, 'x', 1, '1', null)",
      ),
    ).toEqual([['unique(a, b c)', 'error', 3, ['(1, x)']]])
  })
  test('a reference to nothing; null refers to nothing and passes', async () => {
    expect(
      await failing("(1, 'x', 7, '1', null), (2, 'x', null, '1', null), (3, 'x', 1, '1', null)"),
    ).toEqual([['references(ref -> dim)', 'error', 1, ['(1, x)']]])
  })
  test('a reference to nothing is seen beside a null key', async () => {
    const results = await run("(1, 'x', 7, '1', null)", '(1), (null)')
    expect(results.filter(({ rows }) => rows > 0)).toMatchObject([
      { check: { name: 'references(ref -> dim)' }, rows: 1 },
    ])
  })
  test('several references are told apart, also of columns that refer to one model', async () => {
    const span = readable('s', 'span', 'id integer; v integer?; until integer?; dim integer?')
    const bound = await bindModels(
      [
        dimension('dim', 'select id from s.dim'),
        dimension('other', 'select id from s.dim'),
        model(
          'spans',
          '-- kind: table\n-- key: id\n-- nullable: v, until, dim\n-- references: v -> dim\n-- references: until -> dim\n' +
            '-- references: dim -> other\nselect id, v, until, dim from s.span',
        ),
      ],
      engine,
      [...sources, span],
    )
    const [, , spans] = bound
    if (spans === undefined) throw new Error('no model')
    const dangling = async (values: string) => {
      const relations: Record<string, string> = {
        dim: '(select 1 as id union all select null)',
        other: '(select 2 as id)',
        spans: `(select * from (values ${values}) as t (id, v, until, dim))`,
      }
      const results = await runChecks({
        model: spans,
        models: bound,
        relationOf: (name) => relations[name] ?? '',
        engine,
      })
      return results
        .filter(({ rows }) => rows > 0)
        .map(({ check, rows, keys }) => [check.name, rows, keys])
    }
    expect(await dangling('(1, 1, 1, 2), (2, null, 7, 1), (3, 8, 9, 2)')).toEqual([
      ['references(v -> dim)', 1, ['3']],
      ['references(until -> dim)', 2, ['2', '3']],
      ['references(dim -> other)', 1, ['2']],
    ])
    expect(await dangling('(1, 1, 1, 2), (2, 1, 7, 2)')).toEqual([
      ['references(until -> dim)', 1, ['2']],
    ])
    expect(await dangling('(1, 1, 1, 2), (2, 1, 1, 3)')).toEqual([
      ['references(dim -> other)', 1, ['2']],
    ])
    expect(await dangling('(1, 1, 1, 2), (2, null, null, null)')).toEqual([])
  })
  test('a key that is known to be sound is not counted again; other uniqueness is', async () => {
    const [bound] = models.filter(({ name }) => name !== 'dim')
    if (bound === undefined) throw new Error('no model')
    const unique = { name: 'unique(n)', severity: 'error' } as const
    const checks: Check[] = [{ ...unique, rule: { type: 'unique', columns: ['n'] } }]
    await run("(1, 'x', 1, '1', null)")
    const options = { model: { ...bound, checks }, models, relationOf, engine }
    const names = async (soundKey: boolean) =>
      (await runChecks({ ...options, soundKey })).map(({ check }) => check.name)
    expect(await names(false)).toContain('unique(a, b c)')
    expect(await names(true)).toEqual(
      (await names(false)).filter((name) => name !== 'unique(a, b c)'),
    )
    expect(await names(true)).toContain('unique(n)')
  })
  test('a condition that is false; one that is null passes; a comment in it ends with its line', async () => {
    expect(
      await failing("(1, 'x', 1, '100', null), (2, 'x', 1, null, null), (3, 'x', 1, '-1', null)"),
    ).toEqual([
      ['length(n) < 3 -- short', 'error', 1, ['(1, x)']],
      ['cast(n as integer) > 0', 'warn', 1, ['(3, x)']],
    ])
  })
  test('name at most five keys, the least, in order', async () => {
    const lines = Array.from({ length: 9 }, (_, index) => `(${9 - index}, 'x', 7, '1', null)`).join(
      ', ',
    )
    expect(await failing(lines)).toEqual([
      ['references(ref -> dim)', 'error', 9, ['(1, x)', '(2, x)', '(3, x)', '(4, x)', '(5, x)']],
    ])
  })
})

describe('a column that is text since a value did not fit', () => {
  // Number 9 is below 10, and 2024 before 2025, but not as texts; `x`, `y` hold what DuckDB's types do not.
  const rows = `(1, '9.00', '10.00', '9999-01-01 00:00:00'), (2, '9.00', 'NaN', '294276-12-31 00:00:00'),
    (3, '9.00', '8.00', '10000-01-01 00:00:00'), (4, '9.00', null, '0044-03-15 00:00:00 BC')`
  async function failing(header: string): Promise<unknown[]> {
    const table = readable(
      's',
      'span',
      'id integer; low numeric(4,2); high numeric(4,2)?; until timestamp without time zone',
    )
    const columns = table.columns.map((column) =>
      column.name === 'id' ? column : { ...column, carried: 'VARCHAR' },
    )
    const text = model(
      'span',
      `-- kind: table\n-- key: id\n-- nullable: high\n${header}select id, low, high, until from s.span`,
    )
    const bound = await bindModels([text], engine, [{ ...table, columns }])
    await engine.run(
      `create or replace table span_rows as select * from (values ${rows}) as t (id, low, high, until)`,
    )
    const [one] = bound
    if (one === undefined) throw new Error('no model')
    const relationOf = (): string => 'span_rows'
    const results = await runChecks({ model: one, models: bound, relationOf, engine })
    return results
      .filter(({ rows: count }) => count > 0)
      .map(({ check, rows: count, keys }) => [check.name, count, keys])
  }
  test('P8: is judged by a condition as the number or moment that it is; a row where it does not fit passes', async () => {
    expect(await failing('-- check: low <= high\n')).toEqual([['low <= high', 1, ['3']]])
    expect(await failing('-- check warn: low >= 0\n-- check warn: high < 9\n')).toEqual([
      ['high < 9', 1, ['1']],
    ])
    expect(
      await failing("-- check: until > timestamp '1000-01-01'\n-- check: until is null\n"),
    ).toEqual([
      ["until > timestamp '1000-01-01'", 1, ['4']],
      ['until is null', 3, ['1', '3', '4']],
    ])
    expect(await failing('-- check: high is not null and low > 0\n-- check: id = 1\n')).toEqual([
      ['high is not null and low > 0', 1, ['4']],
      ['id = 1', 3, ['2', '3', '4']],
    ])
  })
  test('is text to a condition that is written for text, and not null to NOT NULL', async () => {
    expect(await failing("-- check: high <> 'NaN'\n")).toEqual([["high <> 'NaN'", 1, ['2']]])
    expect(await failing('-- check: length(high) < 5\n')).toEqual([['length(high) < 5', 1, ['1']]])
    expect(await failing('-- check: try_cast(high as decimal(4,2)) > 8\n')).toEqual([
      ['try_cast(high as decimal(4,2)) > 8', 1, ['3']],
    ])
  })
})

describe('what is said', () => {
  test('P10: a failed check tells rows to everyone and keys only to the terminal', async () => {
    const error = checkFailure(await run("(1, 'secret', 7, '1', null)"))
    expect(error?.message).toBe(
      'Check references(ref -> dim) failed on odd "lines": 1 row. Nothing was committed.',
    )
    expect(error?.facts.terminal).toEqual([
      'odd "lines" references(ref -> dim), first keys: (1, secret)',
    ])
    expect(JSON.stringify(error)).not.toContain('secret')
  })
  test('several failed checks are told together', async () => {
    const error = checkFailure(await run("(null, 'x', 7, '100', null), (2, 'x', 7, '-1', null)"))
    expect(error?.message).toBe('3 checks failed. Nothing was committed.')
    expect(error?.facts.problems).toEqual([
      { where: 'odd "lines"', message: 'not null(a): 1 row' },
      { where: 'odd "lines"', message: 'references(ref -> dim): 2 rows' },
      { where: 'odd "lines"', message: 'length(n) < 3 -- short: 1 row' },
    ])
  })
  test('a warning alone stops nothing', async () => {
    expect(checkFailure(await run("(1, 'x', 1, '-1', null)"))).toBeUndefined()
  })
  test('P10: a condition that cannot be evaluated is ModelFailed, without the value', async () => {
    const error: unknown = await run("(1, 'x', 1, 'ab', null)").catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ToteError)
    expect((error as ToteError).name).toBe('ModelFailed')
    expect((error as ToteError).message).toBe(
      'The model "odd "lines"" could not be evaluated: conversion error.',
    )
    expect((error as ToteError).facts.terminal?.join('\n')).toContain("'ab'")
    expect(JSON.stringify(error)).not.toContain("ab'")
  })
})
