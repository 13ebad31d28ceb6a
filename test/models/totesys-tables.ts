/** The totesys tables (totesys.md 2) as models see them, and small rows to fill them with. */
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import { quoteText } from '../../src/columns/sql.ts'
import { bindModels } from '../../src/models/bind.ts'
import type { ReadableTable } from '../../src/models/dependencies.ts'
import { parseModelText } from '../../src/models/header.ts'
import { modelQuery, type Model, type ModelText } from '../../src/models/model.ts'
import { readModels } from '../../src/models/read-models.ts'
import { carriedType } from '../../src/postgres/carried.ts'

export const examples = path.join(import.meta.dirname, '../../examples/totesys')

const MOMENT = 'timestamp(3) without time zone'
const STAMPS = `created_at ${MOMENT}; last_updated ${MOMENT}`

const TABLES: Readonly<Record<string, string>> = {
  address: `address_id integer; address_line_1 text; address_line_2 text?; district text?; city text; postal_code text; country text; phone text; ${STAMPS}`,
  counterparty: `counterparty_id integer; counterparty_legal_name text; legal_address_id integer; commercial_contact text?; delivery_contact text?; ${STAMPS}`,
  currency: `currency_id integer; currency_code character varying(3); ${STAMPS}`,
  department: `department_id integer; department_name text; location text?; manager text?; ${STAMPS}`,
  design: `design_id integer; created_at ${MOMENT}; design_name text; file_location text; file_name text; last_updated ${MOMENT}`,
  staff: `staff_id integer; first_name text; last_name text; department_id integer; email_address text; ${STAMPS}`,
  sales_order: `sales_order_id integer; ${STAMPS}; design_id integer; staff_id integer; counterparty_id integer; units_sold integer; unit_price numeric(10,2); currency_id integer; agreed_delivery_date text; agreed_payment_date text; agreed_delivery_location_id integer`,
  purchase_order: `purchase_order_id integer; ${STAMPS}; staff_id integer; counterparty_id integer; item_code text; item_quantity integer; item_unit_price numeric(10,2); currency_id integer; agreed_delivery_date text; agreed_payment_date text; agreed_delivery_location_id integer`,
  payment_type: `payment_type_id integer; payment_type_name "PaymentTypeName"; ${STAMPS}`,
  transaction: `transaction_id integer; transaction_type "TransactionType"; sales_order_id integer?; purchase_order_id integer?; ${STAMPS}`,
  payment: `payment_id integer; ${STAMPS}; transaction_id integer; counterparty_id integer; payment_amount numeric(10,2); currency_id integer; payment_type_id integer; paid boolean; payment_date text; company_ac_number integer; counterparty_ac_number integer`,
}

/** A table by `column type; column type?`, where `?` means that it may be null; the first is its key unless given. */
export function readable(
  schema: string,
  name: string,
  columns: string,
  key?: readonly string[],
): ReadableTable {
  const [, first = ''] = /^"?([^"\s]+)/.exec(columns) ?? []
  return {
    schema,
    name,
    key: key ?? [first],
    columns: columns.split(';').map((text, index) => {
      const [, column = '', written = ''] = /^("[^"]+"|\S+) (.+)$/.exec(text.trim()) ?? []
      const type = written.replace(/\?$/, '')
      return {
        id: index + 1,
        name: column.replaceAll('"', ''),
        type,
        carried: carriedType(type),
        notNull: !written.endsWith('?'),
      }
    }),
  }
}

const sources: readonly ReadableTable[] = [
  ...Object.entries(TABLES).map(([name, columns]) => readable('totesys', name, columns)),
  readable('seeds', 'currency_name', 'currency_code text; currency_name text'),
]

export async function openTestEngine(): Promise<Engine> {
  return openEngine({ tempFolder: path.join(tmpdir(), 'tote-test'), threads: 2 })
}

/** A model from its text; throws with the problems of its header. */
export function model(name: string, text: string): ModelText {
  const parsed = parseModelText(name, `models/${name}.sql`, text)
  if (parsed.model === undefined) throw new Error(JSON.stringify(parsed.problems))
  return parsed.model
}

/** A dimension whose select is `sql` and whose key is `id`. */
export function dimension(name: string, sql: string, header = ''): ModelText {
  return model(name, `-- kind: dimension\n-- key: id\n${header}${sql}`)
}

export async function bindTotesys(engine: Engine): Promise<Model[]> {
  return bindModels(await readModels(path.join(examples, 'models')), engine, sources)
}

type Value = string | number | boolean | null
export type Row = Readonly<Record<string, Value>>
export type Rows = Readonly<Record<string, readonly Row[]>>

/** Everything that a row need not say. */
const DEFAULTS: Row = {
  created_at: '2022-11-03 14:20:49.962',
  last_updated: '2022-11-03 14:20:49.962',
  agreed_delivery_date: '2022-11-05',
  agreed_payment_date: '2022-11-04',
  payment_date: '2022-11-04',
  units_sold: 1001,
  unit_price: '2.50',
  item_code: '00ABC12',
  item_quantity: 3,
  item_unit_price: '3.32',
  payment_amount: '9.96',
  paid: false,
  transaction_type: 'SALE',
  payment_type_name: 'SALES_RECEIPT',
  currency_code: 'GBP',
}

/** One row in every table, so that everything refers to something. */
export const ONE_OF_EACH: Rows = {
  ...Object.fromEntries(Object.keys(TABLES).map((name) => [name, [{}]])),
  department: [{ location: 'Manchester' }],
}

/** Puts rows into tables of the sources' shapes and evaluates the models over them, in order. */
export async function evaluate(
  engine: Engine,
  models: readonly Model[],
  rows: Rows,
): Promise<void> {
  const seed = await readFile(path.join(examples, 'seeds/currency_name.csv'), 'utf8')
  const named = seed
    .trim()
    .split('\n')
    .slice(1)
    .map((line): Row => {
      const [currency_code = '', currency_name = ''] = line.split(',')
      return { currency_code, currency_name }
    })
  await engine.run('create schema if not exists totesys; create schema if not exists seeds')
  for (const table of sources) {
    const { schema, name, columns } = table
    await engine.run(
      `create or replace table ${schema}.${name} (${columns.map((c) => `${c.name} ${c.carried}`).join(', ')})`,
    )
    const filled =
      schema === 'seeds' ? named : (rows[name] ?? []).map((row) => complete(table, row))
    if (filled.length === 0) continue
    const values = filled.map(
      (row) => `(${columns.map((column) => literal(row[column.name] ?? null)).join(', ')})`,
    )
    await engine.run(`insert into ${schema}.${name} values ${values.join(', ')}`)
  }
  for (const bound of models)
    await engine.run(`create or replace table ${bound.name} as ${modelQuery(bound)}`)
}

/** Ids default to 1, texts to their column's name. */
function complete({ columns }: ReadableTable, row: Row): Row {
  return Object.fromEntries(
    columns.map(({ name, type, notNull }) => {
      if (Object.hasOwn(row, name)) return [name, row[name] ?? null]
      if (!notNull) return [name, null]
      return [name, DEFAULTS[name] ?? (type === 'integer' ? 1 : name)]
    }),
  )
}

function literal(value: Value): string {
  return value === null ? 'null' : quoteText(String(value))
}
