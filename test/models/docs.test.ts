/** docs/models.md says what is so: its example binds, and its lists are the code's. */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { bindModels } from '../../src/models/bind.ts'
import { HEADER_NAMES } from '../../src/models/header.ts'
import { dimension, model, openTestEngine, readable } from './totesys-tables.ts'

const docs = await readFile(path.join(import.meta.dirname, '../../docs/models.md'), 'utf8')

test('the example is a model', async () => {
  const [example, ...more] = [...docs.matchAll(/```sql\n([\s\S]*?)```/g)].map(
    (match) => match[1] ?? '',
  )
  expect(more).toEqual([])
  const engine = await openTestEngine()
  try {
    const models = await bindModels(
      [
        model('fact_sales_order', example ?? ''),
        dimension('dim_staff', 'select staff_id as id from shop.sales_order'),
        dimension('dim_date', 'select distinct created_date as id from fact_sales_order'),
      ],
      engine,
      [
        readable(
          'shop',
          'sales_order',
          'sales_order_id bigint; created_at timestamp with time zone; staff_id integer; units_sold integer; currency_code text; note text?',
        ),
      ],
    )
    const fact = models.find(({ name }) => name === 'fact_sales_order')
    expect(
      fact?.columns.map(({ name, type, notNull }) => `${name} ${type}${notNull ? '' : '?'}`),
    ).toEqual([
      'sales_order_id bigint',
      'created_date date',
      'sales_staff_id integer',
      'units_sold integer',
      'currency character varying(3)',
      'note text?',
    ])
  } finally {
    engine.close()
  }
})

test('every header line has its row', () => {
  const table = docs.slice(docs.indexOf('## The header'), docs.indexOf('## What a model reads'))
  const rows = [...table.matchAll(/^\| `([a-z ]+)`/gm)].map((match) => match[1])
  expect(rows).toEqual([...HEADER_NAMES])
})
