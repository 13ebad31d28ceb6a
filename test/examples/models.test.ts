/** The 11 warehouse tables: names, column order, types and NOT NULL against totesys.md 3, written by hand. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '../../src/columns/engine.ts'
import type { Model } from '../../src/models/model.ts'
import { bindTotesys, openTestEngine } from '../models/totesys-tables.ts'

const DATE = 'date'
const TIME = 'time without time zone'

const TABLES: Readonly<Record<string, string>> = {
  fact_sales_order: `
    sales_order_id integer
    created_date ${DATE}
    created_time ${TIME}
    last_updated_date ${DATE}
    last_updated_time ${TIME}
    sales_staff_id integer
    counterparty_id integer
    units_sold integer
    unit_price numeric(10,2)
    currency_id integer
    design_id integer
    agreed_payment_date ${DATE}
    agreed_delivery_date ${DATE}
    agreed_delivery_location_id integer`,
  fact_purchase_order: `
    purchase_order_id integer
    created_date ${DATE}
    created_time ${TIME}
    last_updated_date ${DATE}
    last_updated_time ${TIME}
    staff_id integer
    counterparty_id integer
    item_code character varying
    item_quantity integer
    item_unit_price numeric(10,2)
    currency_id integer
    agreed_delivery_date ${DATE}
    agreed_payment_date ${DATE}
    agreed_delivery_location_id integer`,
  fact_payment: `
    payment_id integer
    created_date ${DATE}
    created_time ${TIME}
    last_updated_date ${DATE}
    last_updated_time ${TIME}
    transaction_id integer
    counterparty_id integer
    payment_amount numeric(10,2)
    currency_id integer
    payment_type_id integer
    paid boolean
    payment_date ${DATE}`,
  dim_date: `
    date_id ${DATE}
    year integer
    month integer
    day integer
    day_of_week integer
    day_name text
    month_name text
    quarter integer`,
  dim_staff: `
    staff_id integer
    first_name text
    last_name text
    department_name text
    location text
    email_address text`,
  dim_location: `
    location_id integer
    address_line_1 text
    address_line_2 text?
    district text?
    city text
    postal_code text
    country text
    phone text`,
  dim_currency: `
    currency_id integer
    currency_code character varying(3)
    currency_name text`,
  dim_design: `
    design_id integer
    design_name text
    file_location text
    file_name text`,
  dim_counterparty: `
    counterparty_id integer
    counterparty_legal_name text
    counterparty_legal_address_line_1 text
    counterparty_legal_address_line_2 text?
    counterparty_legal_district text?
    counterparty_legal_city text
    counterparty_legal_postal_code text
    counterparty_legal_country text
    counterparty_legal_phone_number text`,
  dim_transaction: `
    transaction_id integer
    transaction_type text
    sales_order_id integer?
    purchase_order_id integer?`,
  dim_payment_type: `
    payment_type_id integer
    payment_type_name text`,
}

const REFERENCES: Readonly<Record<string, string>> = {
  fact_sales_order:
    'created_date dim_date, last_updated_date dim_date, agreed_payment_date dim_date, agreed_delivery_date dim_date, ' +
    'sales_staff_id dim_staff, counterparty_id dim_counterparty, currency_id dim_currency, design_id dim_design, ' +
    'agreed_delivery_location_id dim_location',
  fact_purchase_order:
    'created_date dim_date, last_updated_date dim_date, agreed_delivery_date dim_date, agreed_payment_date dim_date, ' +
    'staff_id dim_staff, counterparty_id dim_counterparty, currency_id dim_currency, agreed_delivery_location_id dim_location',
  fact_payment:
    'created_date dim_date, last_updated_date dim_date, payment_date dim_date, transaction_id dim_transaction, ' +
    'counterparty_id dim_counterparty, currency_id dim_currency, payment_type_id dim_payment_type',
}

const RECORD_IDS: Readonly<Record<string, string>> = {
  fact_sales_order: 'sales_record_id',
  fact_purchase_order: 'purchase_record_id',
  fact_payment: 'payment_record_id',
}

describe('the warehouse tables of totesys', () => {
  let engine: Engine
  let models: Model[]
  const find = (name: string): Model | undefined => models.find((model) => model.name === name)
  beforeAll(async () => {
    engine = await openTestEngine()
    models = await bindTotesys(engine)
  })
  afterAll(() => engine.close())

  test('are these eleven', () => {
    expect(models.map((model) => model.name).toSorted()).toEqual(Object.keys(TABLES).toSorted())
  })
  test.each(Object.entries(TABLES))(
    '%s has the columns, types and NOT NULL that were specified',
    (name, columns) => {
      const shown = find(name)?.columns.map(
        (column) => `${column.name} ${column.type}${column.notNull ? '' : '?'}`,
      )
      expect(shown).toEqual(
        columns
          .trim()
          .split('\n')
          .map((line) => line.trim()),
      )
    },
  )
  test.each(Object.keys(TABLES))(
    '%s has its first column as key, and refers to what was specified',
    (name) => {
      const model = find(name)
      expect(model?.key).toEqual([model?.columns[0]?.name])
      expect(
        model?.references.map(({ column, model: other }) => `${column} ${other}`).join(', '),
      ).toBe(REFERENCES[name] ?? '')
    },
  )
  test('only facts have record ids, and the loader gives them', () => {
    const given = models
      .filter((model) => model.recordId !== null)
      .map((model) => [model.name, model.recordId])
    expect(Object.fromEntries(given)).toEqual(RECORD_IDS)
    expect(
      models
        .filter((model) => model.kind === 'fact')
        .map((model) => model.name)
        .toSorted(),
    ).toEqual(Object.keys(RECORD_IDS).toSorted())
  })
  test('dim_date comes after the facts that it covers', () => {
    const order = models.map((model) => model.name)
    for (const fact of Object.keys(RECORD_IDS))
      expect(order.indexOf('dim_date')).toBeGreaterThan(order.indexOf(fact))
  })
  test('every table has a comment for the catalogue', () => {
    expect(models.filter((model) => model.comment === null)).toEqual([])
  })
})
