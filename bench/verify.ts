/**
 * `tote verify` of one larger table, source, lake and warehouse, beside COPY of that table by psql: a fact with
 * two batches, every value of every row compared three ways, the batch that comes first included.
 */
import type { Measured, Sizes } from './benchmark.ts'
import { inFreshProcess, type Answer } from './child.ts'
import { installFiles } from './installation.ts'
import { execute, type Place } from './place.ts'
import { hasPsql, timePsql } from './psql.ts'
import { createOrders } from './sales-orders.ts'

const CONFIG = `import { defineProject, env } from 'totedata'

export default defineProject({
  name: 'verified',
  sources: { shop: { type: 'postgres', url: env('TOTESYS_URL') } },
  lake: { ingestion: env('TOTE_LAKE_INGESTION'), processed: env('TOTE_LAKE_PROCESSED') },
  warehouse: { url: env('WAREHOUSE_URL') },
})
`
const MODEL = `-- kind: fact
-- key: sales_order_id
-- record id: sales_record_id
select * from shop.sales_order
`

/** Throws when anything differs. Nothing without psql: there would be no limit. */
export async function measureVerify(place: Place, sizes: Sizes): Promise<Measured> {
  if (!hasPsql()) {
    console.error('verify: not measured, because this machine has no psql')
    return { figures: [], compared: [] }
  }
  const source = await place.createDatabase()
  const reading = `grant select on sales_order to ${place.reader}; analyze sales_order`
  await execute(source.ownerUrl, [...createOrders(sizes.rows), reading].join(';'))
  const files = { 'tote.config.ts': CONFIG, 'models/fact_sales_order.sql': MODEL }
  const { folder: cwd, env } = await installFiles(place, source, files)
  await inFreshProcess(env, { task: 'whole', cwd, options: {} })
  await execute(
    source.ownerUrl,
    `update sales_order set units_sold = units_sold + 1 where sales_order_id % ${Math.ceil(sizes.rows / 1000)} = 0`,
  )
  await inFreshProcess(env, { task: 'whole', cwd, options: {} })
  const answers: Answer[] = []
  const limits: number[] = []
  for (let round = 0; round < sizes.rounds; round++) {
    limits.push(await timePsql(source.ownerUrl, ['copy sales_order to stdout (format csv)']))
    answers.push(await inFreshProcess(env, { task: 'verify', cwd }))
  }
  const rows = `${sizes.rows.toLocaleString('en')} rows of 12 columns, source, lake and warehouse`
  return {
    figures: [
      {
        name: 'verify',
        what: `verify ${rows}`,
        unit: 's',
        samples: answers.map(({ seconds }) => seconds),
        limit: { what: 'COPY TO csv, thrown away (psql)', samples: limits, as: 'times' },
        goal: { of: 'ratio', is: 'at most', bound: 2.5 },
      },
      {
        name: 'verify-memory',
        what: '  the same, peak memory of our process',
        unit: 'MB',
        samples: answers.map(({ peakMb }) => peakMb),
        goal: { of: 'figure', is: 'at most', bound: 600 },
      },
    ],
    compared: [],
  }
}
