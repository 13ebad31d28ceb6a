/** The benchmarks at the smallest sizes: that they run, and that what they load is equal. Never time. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Measured, Sizes } from '../bench/benchmark.ts'
import { judge, medianOf } from '../bench/figures.ts'
import { measureHelp } from '../bench/commands.ts'
import { compareRows } from '../bench/equal-rows.ts'
import { measureExtract } from '../bench/extract.ts'
import { measureGrowth } from '../bench/growth.ts'
import { measureIncremental } from '../bench/incremental.ts'
import { measureInit } from '../bench/init.ts'
import { measureFirstLoad } from '../bench/first-load.ts'
import { measureLargeTable } from '../bench/large-table.ts'
import { openPlace, type Place } from '../bench/place.ts'
import { hasPsql } from '../bench/psql.ts'
import { renderFigures, renderMarkdown } from '../bench/table.ts'
import { measureRebuild } from '../bench/rebuild.ts'
import { measureTransactions } from '../bench/transactions.ts'
import { measureTotesys } from '../bench/totesys.ts'
import { buildWhenStale } from '../scripts/build.js'
import { testServer } from './support/postgres.ts'

const sizes: Sizes = { pairs: 1, rounds: 1, years: 1, scales: [0.1, 1], days: 1, rows: 2000 }

let place: Place

beforeAll(async () => {
  if (!buildWhenStale()) throw new Error('dist/ is not built: see above')
  place = await openPlace((await testServer()).url('postgres'))
})

afterAll(async () => place.close())

function names({ figures }: Measured): string[] {
  return figures.map(({ name }) => name)
}

test('totesys: first runs, runs with nothing to do (which load no DuckDB), a day; the facts equal their source', async () => {
  const measured = await measureTotesys(place, sizes)
  expect(names(measured)).toEqual([
    'first-run-0.1',
    'first-run-0.1-rate',
    'first-run-0.1-memory',
    'first-run-1',
    'first-run-1-rate',
    'first-run-1-memory',
    'nothing-warm',
    'nothing-warm-opened',
    'nothing-command',
    'nothing-memory',
    'warm-change',
    'one-day',
  ])
  // Three facts after each first run, and once more after the day.
  expect(measured.compared.map(({ table }) => table)).toHaveLength(9)
  for (const { source, warehouse } of measured.compared) {
    expect(source.rows).toBeGreaterThan(100)
    expect(warehouse).toEqual(source)
  }
})

test('a larger table: each stage beside its limit; the rows equal their source', async () => {
  const measured = await measureLargeTable(place, sizes)
  expect(names(measured)).toEqual([
    'large-read',
    'large-read-memory',
    'large-load',
    'large-load-memory',
  ])
  expect(measured.compared).toMatchObject([
    { table: 'fact_sales_order', source: { rows: 2000 }, warehouse: { rows: 2000 } },
  ])
})

test('first loads, narrow and wide, and four times as large: lake and source are equal', async () => {
  const measured = await measureExtract(place, sizes)
  expect(names(measured)).toEqual([
    'extract-narrow',
    'extract-narrow-memory',
    'extract-memory',
    'extract-wide',
    'extract-wide-memory',
  ])
  expect(measured.compared.map(({ table, warehouse }) => [table, warehouse.rows])).toEqual([
    ['sales_order', 2000],
    ['wide', 400],
    ['sales_order', 8000],
  ])
})

test('a few rows among many, by their pairs: lake and warehouse are equal; with nothing to do no DuckDB is loaded', async () => {
  const measured = await measureIncremental(place, sizes)
  expect(names(measured)).toEqual([
    'xmin-changed',
    'xmin-changed-memory',
    'xmin-open',
    'xmin-nothing',
  ])
  expect(measured.compared).toMatchObject([
    { table: 'fact_sales_order', source: { rows: 2000 }, warehouse: { rows: 2000 } },
  ])
})

test('init, check and run on a stranger: every table equals its source', async () => {
  const { figures, compared } = await measureInit(place, { tables: 6, rows: 50, rounds: 1 })
  expect(figures).toMatchObject([{ name: 'init-6', unit: 's', goal: { bound: 60 } }])
  expect(compared).toHaveLength(6)
  for (const { source, warehouse } of compared) expect(warehouse).toEqual(source)
})

test('a first load: alone and end to end beside psql; the rows equal their source', async (ctx) => {
  if (!hasPsql()) return ctx.skip('no psql on this machine: the limit cannot be measured')
  const measured = await measureFirstLoad(place, sizes)
  expect(names(measured)).toEqual([
    'load-new-table',
    'load-new-table-memory',
    'first-load',
    'first-load-memory',
  ])
  expect(measured.compared).toMatchObject([
    { table: 'fact_sales_order', source: { rows: 2000 }, warehouse: { rows: 2000 } },
  ])
})

test('a rebuild of a fact with history beside its first load: live, rebuilt and source are equal', async () => {
  const measured = await measureRebuild(place, sizes)
  expect(names(measured)).toEqual(['rebuild', 'rebuild-memory'])
  expect(measured.compared).toMatchObject([
    { table: 'fact_sales_order', source: { rows: 2000 }, warehouse: { rows: 2000 } },
  ])
})

test('ten times the rows: all of them are equal to their source', async () => {
  const measured = await measureGrowth(place, { ...sizes, unordered: true })
  expect(names(measured)).toEqual(['growth', 'growth-memory'])
  expect(measured.compared.map(({ warehouse }) => warehouse.rows)).toEqual([200, 2000])
})

test("the source's own transactions, with loads and runs beside them: once they rest, all rows are equal", async () => {
  const pace = { perSecond: 100, everySeconds: 0.3, runs: 2 }
  const { figures, compared } = await measureTransactions(
    { source: place, warehouse: place },
    sizes,
    pace,
  )
  expect(figures.map(({ name }) => name)).toEqual([
    ...(hasPsql() ? ['transactions-first'] : []),
    'transactions-incremental',
  ])
  expect(compared.map(({ table, source }) => [table, source.rows > 20])).toEqual([
    ['fact_sales_order', true],
    ['fact_movement', true],
    ['dim_account', true],
  ])
  for (const { source, warehouse } of compared) expect(warehouse).toEqual(source)
})

test('the table has a line for every figure', async () => {
  const figures = [judge(await measureHelp(1))]
  expect(renderFigures(figures)).toHaveLength(2)
  expect(renderMarkdown(figures)[2]).toMatch(/^\| tote --help \| \d+\.\d+ s \|/)
})

test('rows that differ are an error, whatever the time', async () => {
  const { ownerUrl } = await place.createDatabase()
  const select = (value: number): string => `select ${value} as n`
  const compared = { table: 't', source: select(1), warehouse: select(2) }
  await expect(compareRows({ source: ownerUrl, warehouse: ownerUrl }, [compared])).rejects.toThrow(
    'differs',
  )
})

test('a ratio is the median of its pairs, and a goal is judged on what it is of', () => {
  const figure = { name: 'f', what: 'f', unit: 's', samples: [2, 8, 3] } as const
  const limit = { what: 'limit', samples: [1, 2, 3] } as const
  expect(medianOf([4, 1, 3, 2])).toBe(2.5)
  expect(judge({ ...figure, limit: { ...limit, as: 'times' } }).ratio).toBe(2)
  expect(judge({ ...figure, limit: { ...limit, as: 'share' } }).ratio).toBe(0.5)
  expect(judge(figure)).toMatchObject({ median: 3, least: 2, greatest: 8, ratio: null, met: null })
  const goal = { of: 'ratio', is: 'at most', bound: 1.9 } as const
  expect(judge({ ...figure, limit: { ...limit, as: 'times' }, goal }).met).toBe(false)
  expect(judge({ ...figure, goal: { of: 'figure', is: 'at least', bound: 3 } }).met).toBe(true)
})
