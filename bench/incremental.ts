/**
 * One thousand changed rows among very many, strategy `xmin`, source → warehouse, beside psql's reading of the
 * keys and `xmin` of all rows; a run in which nothing changed; and the longest time that the source had a
 * transaction of ours open. Rows are compared afterwards.
 */
import { connect } from '../src/postgres/connection.ts'
import type { Measured, Sizes } from './benchmark.ts'
import { inFreshProcess, type Answer } from './child.ts'
import { compareRows, type Comparison } from './equal-rows.ts'
import type { Figure, Limit } from './figures.ts'
import { installFiles } from './installation.ts'
import { execute, type Place } from './place.ts'
import { hasPsql, timePsql } from './psql.ts'
import { COLUMNS, createOrders } from './sales-orders.ts'

const CONFIG = `import { defineProject, env } from 'totedata'

export default defineProject({
  name: 'incremental',
  sources: { large: { type: 'postgres', url: env('TOTESYS_URL'), strategy: 'xmin' } },
  lake: { ingestion: env('TOTE_LAKE_INGESTION'), processed: env('TOTE_LAKE_PROCESSED') },
  warehouse: { url: env('WAREHOUSE_URL') },
})
`
const MODEL = `-- kind: fact
-- key: sales_order_id
-- record id: sales_record_id
-- driven by: large.sales_order
select * from large.sales_order
`
const FACT = 'fact_sales_order'
const PAIRS = 'copy (select sales_order_id, xmin from sales_order) to stdout (format csv)'

interface Round {
  readonly changed: Answer
  readonly idle: Answer
  /** Seconds; null without psql. */
  readonly limit: number | null
  /** Seconds. */
  readonly open: number
}

export async function measureIncremental(place: Place, sizes: Sizes): Promise<Measured> {
  const source = await place.createDatabase()
  const reading = `grant select on sales_order to ${place.reader}; analyze sales_order`
  await execute(source.ownerUrl, [...createOrders(sizes.rows), reading].join(';'))
  const files = { 'tote.config.ts': CONFIG, [`models/${FACT}.sql`]: MODEL }
  const { folder: cwd, env, warehouseUrl } = await installFiles(place, source, files)
  const run = async (): Promise<Answer> => inFreshProcess(env, { task: 'whole', cwd, options: {} })
  await run()
  // The first run after a first load finds out where its rows lie.
  await run()
  const rounds: Round[] = []
  const compared: Comparison[] = []
  const every = Math.max(1, Math.floor(sizes.rows / 1000))
  for (let round = 0; round < sizes.rounds; round++) {
    await execute(
      source.ownerUrl,
      `update sales_order set units_sold = units_sold + 1 where sales_order_id % ${every} = ${round % every}`,
    )
    const limit = hasPsql() ? await timePsql(source.ownerUrl, [PAIRS]) : null
    const watch = await watchTransactions(source.readerUrl)
    const changed = await run()
    const open = await watch.longest()
    const idle = await run()
    if (idle.engineLoaded) throw new Error('DuckDB was loaded though nothing had changed')
    rounds.push({ changed, limit, open, idle })
  }
  const current = 'where valid_to is null and not is_deleted'
  const tables = {
    table: FACT,
    source: `select ${COLUMNS} from sales_order`,
    warehouse: `select ${COLUMNS} from ${FACT} ${current}`,
  }
  compared.push(
    ...(await compareRows({ source: source.ownerUrl, warehouse: warehouseUrl }, [tables])),
  )
  return { figures: figuresOf(rounds, sizes.rows), compared }
}

function figuresOf(rounds: readonly Round[], rows: number): Figure[] {
  const among = `among ${rows.toLocaleString('en')}`
  const limits = rounds.flatMap(({ limit }) => limit ?? [])
  const limit: { limit?: Limit } =
    limits.length === 0
      ? {}
      : {
          limit: { what: 'COPY of key and xmin, thrown away (psql)', samples: limits, as: 'times' },
        }
  const bound =
    limits.length === 0 ? {} : { goal: { of: 'ratio', is: 'at most', bound: 2.5 } as const }
  return [
    {
      name: 'xmin-changed',
      what: `1,000 changed rows ${among}, source → warehouse`,
      unit: 's',
      samples: rounds.map(({ changed }) => changed.seconds),
      ...limit,
      ...bound,
    },
    {
      name: 'xmin-changed-memory',
      what: '  the same, peak memory of our process',
      unit: 'MB',
      samples: rounds.map(({ changed }) => changed.peakMb),
      goal: { of: 'figure', is: 'at most', bound: 600 },
    },
    {
      name: 'xmin-open',
      what: '  the same, how long the source had our transaction open',
      unit: 's',
      samples: rounds.map(({ open }) => open),
      goal: { of: 'figure', is: 'at most', bound: 5 },
    },
    {
      name: 'xmin-nothing',
      what: `nothing changed ${among}, a fresh process`,
      unit: 's',
      samples: rounds.map(({ idle }) => idle.seconds),
      ...limit,
    },
  ]
}

const LOOK_MS = 50

/** How long the oldest transaction of the URL's role was open at most, looked at twenty times a second; others are not shown to it. */
async function watchTransactions(url: string): Promise<{ longest(): Promise<number> }> {
  const connection = await connect({ side: 'source', name: 'watch', url })
  let longest = 0
  let ended = false
  const looking = (async () => {
    while (!ended) {
      const [row] = await connection.query(
        'look for transactions',
        `select coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)::text as seconds
         from pg_stat_activity where usename = current_user and datname = current_database() and pid <> pg_backend_pid()`,
      )
      longest = Math.max(longest, Number(row?.['seconds']))
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  })()
  return {
    longest: async () => {
      ended = true
      await looking
      await connection.close()
      return longest
    },
  }
}
