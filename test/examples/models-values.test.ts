/** Each transform rule of totesys.md 3, and each pitfall of section 4 that models can fall into, on small rows. */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '../../src/columns/engine.ts'
import { checkFailure, runChecks, type CheckResult } from '../../src/models/checks.ts'
import type { Model } from '../../src/models/model.ts'
import {
  bindTotesys,
  evaluate,
  examples,
  ONE_OF_EACH,
  openTestEngine,
  type Rows,
} from '../models/totesys-tables.ts'

let engine: Engine
let models: Model[]
beforeAll(async () => {
  engine = await openTestEngine()
  models = await bindTotesys(engine)
})
afterAll(() => engine.close())

/** Rows of `sql` once the models were evaluated over `rows`; what `rows` leaves out has one row. */
async function over(rows: Rows, sql: string): Promise<Record<string, unknown>[]> {
  await evaluate(engine, models, { ...ONE_OF_EACH, ...rows })
  return engine.rows(sql)
}

async function failed(): Promise<CheckResult[]> {
  const results: CheckResult[] = []
  for (const model of models)
    results.push(...(await runChecks({ model, models, relationOf: (name) => name, engine })))
  return results.filter(({ rows }) => rows > 0)
}

describe('facts', () => {
  test('created_at and last_updated are split, milliseconds kept (pitfall 14: milliseconds dropped)', async () => {
    const [row] = await over(
      {
        sales_order: [
          { created_at: '2022-11-03 23:59:59.999', last_updated: '2022-11-04 00:00:00.001' },
        ],
      },
      'select created_date, created_time, last_updated_date, last_updated_time from fact_sales_order',
    )
    expect(row).toEqual({
      created_date: '2022-11-03',
      created_time: '23:59:59.999',
      last_updated_date: '2022-11-04',
      last_updated_time: '00:00:00.001',
    })
  })
  test('staff_id becomes sales_staff_id in fact_sales_order and stays in fact_purchase_order', async () => {
    const [row] = await over(
      { sales_order: [{ staff_id: 7 }], purchase_order: [{ staff_id: 8 }] },
      'select sales_staff_id, staff_id from fact_sales_order, fact_purchase_order',
    )
    expect(row).toEqual({ sales_staff_id: 7, staff_id: 8 })
  })
  test('text dates become dates, each its own', async () => {
    const rows = await over(
      {
        sales_order: [{ agreed_payment_date: '2024-02-29', agreed_delivery_date: '2024-03-01' }],
        purchase_order: [{ agreed_payment_date: '2024-02-28', agreed_delivery_date: '2024-03-02' }],
        payment: [{ payment_date: '2024-02-27' }],
      },
      `select agreed_payment_date, agreed_delivery_date from fact_sales_order
       union all select agreed_payment_date, agreed_delivery_date from fact_purchase_order
       union all select payment_date, null from fact_payment order by 1 desc`,
    )
    expect(rows.map((row) => Object.values(row))).toEqual([
      ['2024-02-29', '2024-03-01'],
      ['2024-02-28', '2024-03-02'],
      ['2024-02-27', null],
    ])
  })
  test.each([
    '2023-02-29',
    '2023-13-01',
    '',
    'soon',
    '01/02/2023',
    '2023-01-01 10:00',
    '0044-03-15 BC',
  ])('the text date "%s" stops the model, and no row is dropped', async (date) => {
    await expect(over({ payment: [{ payment_date: date }] }, 'select 1')).rejects.toThrow(/Error/)
  })
  test('pitfall 14: decimals stay exact', async () => {
    const [row] = await over(
      {
        payment: [{ payment_amount: '99999999.99' }],
        sales_order: [{ unit_price: '3.10' }],
        purchase_order: [{ item_unit_price: '0.10' }],
      },
      `select payment_amount, unit_price, item_unit_price, typeof(unit_price) as type
       from fact_payment, fact_sales_order, fact_purchase_order`,
    )
    expect(row).toEqual({
      payment_amount: '99999999.99',
      unit_price: '3.10',
      item_unit_price: '0.10',
      type: 'DECIMAL(10,2)',
    })
  })
  test('item codes of digits keep their zeros, account numbers are dropped', async () => {
    const [row] = await over(
      { purchase_order: [{ item_code: '0012345' }] },
      'select item_code from fact_purchase_order',
    )
    expect(row).toEqual({ item_code: '0012345' })
    expect(
      Object.keys((await engine.rows('select * from fact_payment'))[0] ?? {}).join(),
    ).not.toContain('ac_number')
  })
  test('paid is true or false as at the source', async () => {
    const rows = await over(
      {
        payment: [
          { payment_id: 1, paid: true },
          { payment_id: 2, paid: false },
        ],
      },
      'select paid from fact_payment order by payment_id',
    )
    expect(rows).toEqual([{ paid: true }, { paid: false }])
  })
  test('pitfall 10: the model makes no surrogate id', () => {
    const ids = models.flatMap((model) =>
      model.recordId === null ? [] : model.columns.filter(({ name }) => name === model.recordId),
    )
    expect(ids).toEqual([])
  })
})

describe('dim_date', () => {
  const day = (date: string) => ({
    created_at: `${date} 08:00:00`,
    last_updated: `${date} 08:00:00`,
    agreed_delivery_date: date,
    agreed_payment_date: date,
    payment_date: date,
  })
  const all = (date: string) => ({
    sales_order: [day(date)],
    purchase_order: [day(date)],
    payment: [day(date)],
  })

  test('covers whole years, from the first to the last date that any fact refers to', async () => {
    const [row] = await over(
      { ...all('2023-06-15'), payment: [{ ...day('2023-06-15'), payment_date: '2025-01-01' }] },
      'select min(date_id) as first, max(date_id) as last, count(*)::integer as days, count(distinct date_id)::integer as different from dim_date',
    )
    expect(row).toEqual({
      first: '2023-01-01',
      last: '2025-12-31',
      days: 365 + 366 + 365,
      different: 1096,
    })
  })
  test.each([
    ['sales_order', 'created_at', '2031-07-01 00:00:00'],
    ['sales_order', 'last_updated', '2031-07-01 00:00:00'],
    ['sales_order', 'agreed_payment_date', '2031-07-01'],
    ['sales_order', 'agreed_delivery_date', '2031-07-01'],
    ['purchase_order', 'created_at', '2031-07-01 00:00:00'],
    ['purchase_order', 'last_updated', '2031-07-01 00:00:00'],
    ['purchase_order', 'agreed_payment_date', '2031-07-01'],
    ['purchase_order', 'agreed_delivery_date', '2031-07-01'],
    ['payment', 'created_at', '2031-07-01 00:00:00'],
    ['payment', 'last_updated', '2031-07-01 00:00:00'],
    ['payment', 'payment_date', '2031-07-01'],
  ])('pitfall 15: grows by itself when %s.%s goes beyond it', async (table, column, value) => {
    const rows = all('2023-06-15')
    const [row] = await over(
      { ...rows, [table]: [{ ...day('2023-06-15'), [column]: value }] },
      "select count(*) filter (where date_id = date '2031-07-01')::integer as there, max(date_id) as last from dim_date",
    )
    expect(row).toEqual({ there: 1, last: '2031-12-31' })
  })
  test('is empty while there is no fact', async () => {
    expect(
      await over({ sales_order: [], purchase_order: [], payment: [] }, 'select * from dim_date'),
    ).toEqual([])
  })
  test('pitfall 15: Monday is 1 and Sunday 7, names are English without padding', async () => {
    const rows = await over(
      all('2024-05-01'),
      "select * from dim_date where date_id between '2024-04-29' and '2024-05-05' order by date_id",
    )
    expect(
      rows.map((row) => [row['day_of_week'], row['day_name'], row['month_name'], row['quarter']]),
    ).toEqual([
      [1, 'Monday', 'April', 2],
      [2, 'Tuesday', 'April', 2],
      [3, 'Wednesday', 'May', 2],
      [4, 'Thursday', 'May', 2],
      [5, 'Friday', 'May', 2],
      [6, 'Saturday', 'May', 2],
      [7, 'Sunday', 'May', 2],
    ])
    const names = await engine.rows(
      'select distinct month, month_name, quarter from dim_date order by month',
    )
    expect(names.map((row) => `${String(row['month_name'])} ${String(row['quarter'])}`)).toEqual([
      'January 1',
      'February 1',
      'March 1',
      'April 2',
      'May 2',
      'June 2',
      'July 3',
      'August 3',
      'September 3',
      'October 4',
      'November 4',
      'December 4',
    ])
  })
  test('pitfall 15: leap days are there in leap years only', async () => {
    const rows = await over(
      { ...all('2023-06-15'), payment: [day('2024-01-01')] },
      'select date_id, year, month, day, day_name from dim_date where month = 2 and day > 27 order by date_id',
    )
    expect(rows.map((row) => `${String(row['date_id'])} ${String(row['day_name'])}`)).toEqual([
      '2023-02-28 Tuesday',
      '2024-02-28 Wednesday',
      '2024-02-29 Thursday',
    ])
    expect(rows[2]).toMatchObject({ year: 2024, month: 2, day: 29 })
  })
})

describe('dimensions', () => {
  test('pitfall 12: staff follow their department, and a missing one keeps the row', async () => {
    const staff = [
      { staff_id: 1, department_id: 1 },
      { staff_id: 2, department_id: 99 },
    ]
    const sql = 'select staff_id, department_name, location from dim_staff order by staff_id'
    expect(
      await over(
        { staff, department: [{ department_name: 'Sales', location: 'Manchester' }] },
        sql,
      ),
    ).toEqual([
      { staff_id: 1, department_name: 'Sales', location: 'Manchester' },
      { staff_id: 2, department_name: 'Unknown', location: 'Unknown' },
    ])
    // Only the department moved.
    expect(
      await over({ staff, department: [{ department_name: 'Sales', location: 'Leeds' }] }, sql),
    ).toContainEqual({
      staff_id: 1,
      department_name: 'Sales',
      location: 'Leeds',
    })
  })
  test('a department without a location is Unknown, with a warning and no error', async () => {
    const [row] = await over({ department: [{ location: null }] }, 'select location from dim_staff')
    expect(row).toEqual({ location: 'Unknown' })
    const results = await failed()
    expect(
      results.map(({ model, check, rows }) => [model, check.name, check.severity, rows]),
    ).toEqual([['dim_staff', "location <> 'Unknown'", 'warn', 1]])
    expect(checkFailure(results)).toBeUndefined()
  })
  test('pitfall 12: counterparties follow their address, several may share one, and a missing one keeps the row', async () => {
    const rows = await over(
      {
        counterparty: [
          { counterparty_id: 1, legal_address_id: 5 },
          { counterparty_id: 2, legal_address_id: 5 },
          { counterparty_id: 3, legal_address_id: 99 },
        ],
        address: [
          {
            address_id: 5,
            city: 'Leds',
            district: null,
            address_line_2: 'Suite 0042',
            phone: '0161 496 0000',
            postal_code: '08841',
          },
        ],
      },
      'select * from dim_counterparty order by counterparty_id',
    )
    expect(rows[0]).toEqual({
      counterparty_id: 1,
      counterparty_legal_name: 'counterparty_legal_name',
      counterparty_legal_address_line_1: 'address_line_1',
      counterparty_legal_address_line_2: 'Suite 0042',
      counterparty_legal_district: null,
      counterparty_legal_city: 'Leds',
      counterparty_legal_postal_code: '08841',
      counterparty_legal_country: 'country',
      counterparty_legal_phone_number: '0161 496 0000',
    })
    expect(rows[1]).toMatchObject({ counterparty_id: 2, counterparty_legal_postal_code: '08841' })
    expect(rows[2]).toMatchObject({
      counterparty_id: 3,
      counterparty_legal_city: 'Unknown',
      counterparty_legal_district: null,
    })
  })
  test('dim_location has every address, address_id renamed', async () => {
    const rows = await over(
      { address: [{ address_id: 3 }, { address_id: 9, district: 'Avon' }] },
      'select location_id, district from dim_location order by 1',
    )
    expect(rows).toEqual([
      { location_id: 3, district: null },
      { location_id: 9, district: 'Avon' },
    ])
  })
  test('pitfall 14: postal codes, apostrophes, commas and the text NULL stay as they are', async () => {
    const [row] = await over(
      {
        address: [
          {
            postal_code: '08841',
            country: "Democratic People's Republic of Korea",
            phone: 'NULL',
            address_line_1: '007 None',
          },
        ],
        staff: [{ last_name: "O'Keefe" }],
        counterparty: [{ counterparty_legal_name: 'Fahey, Kuhn and (Sons)' }],
      },
      `select postal_code, country, phone, address_line_1, address_line_2 is null as is_null, last_name, counterparty_legal_name
       from dim_location, dim_staff, dim_counterparty`,
    )
    expect(row).toEqual({
      postal_code: '08841',
      country: "Democratic People's Republic of Korea",
      phone: 'NULL',
      address_line_1: '007 None',
      is_null: true,
      last_name: "O'Keefe",
      counterparty_legal_name: 'Fahey, Kuhn and (Sons)',
    })
  })
  test('pitfall 15: currency names go by code, not by position; an unknown one is kept with a warning', async () => {
    const rows = await over(
      {
        currency: [
          { currency_id: 1, currency_code: 'USD' },
          { currency_id: 2, currency_code: 'EUR' },
          { currency_id: 3, currency_code: 'GBP' },
          { currency_id: 4, currency_code: 'QQQ' },
        ],
      },
      'select currency_id, currency_name from dim_currency order by 1',
    )
    expect(rows.map((row) => row['currency_name'])).toEqual([
      'US Dollar',
      'Euro',
      'Pound Sterling',
      'Unknown',
    ])
    expect((await failed()).map(({ check, keys }) => [check.name, check.severity, keys])).toEqual([
      ["currency_name <> 'Unknown'", 'warn', ['4']],
    ])
  })
  test('enums become text, and a transaction may lack either order', async () => {
    const [row] = await over(
      {
        transaction: [{ transaction_type: 'PURCHASE', sales_order_id: null, purchase_order_id: 4 }],
        payment_type: [{ payment_type_name: 'PURCHASE_REFUND' }],
      },
      'select transaction_type, sales_order_id, purchase_order_id, payment_type_name from dim_transaction, dim_payment_type',
    )
    expect(row).toEqual({
      transaction_type: 'PURCHASE',
      sales_order_id: null,
      purchase_order_id: 4,
      payment_type_name: 'PURCHASE_REFUND',
    })
    expect(await failed()).toEqual([])
  })
  test('dim_design has its four columns', async () => {
    const [row] = await over(
      {
        design: [
          { design_id: 5, design_name: 'Wooden', file_location: '/usr', file_name: 'wooden.json' },
        ],
      },
      'select * from dim_design',
    )
    expect(row).toEqual({
      design_id: 5,
      design_name: 'Wooden',
      file_location: '/usr',
      file_name: 'wooden.json',
    })
  })
})

describe('checks', () => {
  test('pitfall 13: a fact whose dimension row is missing is an error, in whatever order they are evaluated', async () => {
    await over({ sales_order: [{ sales_order_id: 3, design_id: 77 }] }, 'select 1')
    const results = await failed()
    expect(results.map(({ model, check, keys }) => [model, check.name, keys])).toEqual([
      ['fact_sales_order', 'references(design_id -> dim_design)', ['3']],
    ])
    expect(checkFailure(results)?.message).toBe(
      'Check references(design_id -> dim_design) failed on fact_sales_order: 1 row. Nothing was committed.',
    )
  })
  test('hold on rows that are as they should be', async () => {
    await over({}, 'select 1')
    expect(await failed()).toEqual([])
  })
  test('no model adds currencies together (pitfall 19: pounds, dollars and euros)', () => {
    expect(
      models.filter(({ sql }) => /\b(sum|avg)\s*\(/i.test(sql)).map(({ name }) => name),
    ).toEqual([])
  })
})

test('the seed names each code once', async () => {
  const lines = (await readFile(path.join(examples, 'seeds/currency_name.csv'), 'utf8'))
    .trim()
    .split('\n')
    .slice(1)
  expect(lines.filter((line) => !/^[A-Z]{3},[^,"]+$/.test(line))).toEqual([])
  const codes = lines.map((line) => line.slice(0, 3))
  expect(codes).toEqual([...new Set(codes)].toSorted())
  expect(lines).toEqual(expect.arrayContaining(['EUR,Euro', 'GBP,Pound Sterling', 'USD,US Dollar']))
})
