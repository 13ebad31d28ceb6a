/**
 * A large fact and the five dimensions that it refers to, from an empty lake into an empty warehouse:
 * history, keys and checks on. The load alone, and the whole, each beside what psql needs for the same
 * rows, keys, foreign keys and index; in pairs, one right after the other.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Measured, Sizes } from './benchmark.ts'
import { inFreshProcess, type Answer } from './child.ts'
import { compareRows, type Comparison } from './equal-rows.ts'
import type { Figure, Limit } from './figures.ts'
import { anotherWarehouse, installFiles, type Installation } from './installation.ts'
import { execute, type BenchDatabase, type Place } from './place.ts'
import { hasPsql, timePsql } from './psql.ts'
import { COLUMNS, createOrders } from './sales-orders.ts'

const CONFIG = `import { defineProject, env } from 'totedata'

export default defineProject({
  name: 'first',
  sources: { shop: { type: 'postgres', url: env('TOTESYS_URL') } },
  lake: { ingestion: env('TOTE_LAKE_INGESTION'), processed: env('TOTE_LAKE_PROCESSED') },
  warehouse: { url: env('WAREHOUSE_URL') },
})
`
/** The columns of the fact that refer to a dimension, and how many rows that has. */
const REFERENCES = {
  design_id: 473,
  staff_id: 20,
  counterparty_id: 19,
  currency_id: 3,
  agreed_delivery_location_id: 30,
} as const
export const FACT = 'fact_sales_order'

export function files(): Record<string, string> {
  const columns = Object.keys(REFERENCES)
  const references = columns.map((column) => `${column} -> dim_${column}`).join(', ')
  return {
    'tote.config.ts': CONFIG,
    [`models/${FACT}.sql`]: `-- kind: fact\n-- key: sales_order_id\n-- record id: sales_record_id\n-- references: ${references}\nselect * from shop.sales_order\n`,
    ...Object.fromEntries(
      columns.map((column) => [
        `models/dim_${column}.sql`,
        `-- kind: dimension\n-- key: ${column}\nselect * from shop.of_${column}\n`,
      ]),
    ),
  }
}

interface Round {
  readonly whole: Answer
  readonly readLimit: number
  readonly loaded: Answer
  readonly loadLimit: number
}

/** The fact's source table and those of its dimensions. */
export async function createSource(
  place: Place,
  { rows, unordered }: Pick<Sizes, 'rows' | 'unordered'>,
): Promise<BenchDatabase> {
  const source = await place.createDatabase()
  const dimensions = Object.entries(REFERENCES).map(
    ([column, rows]) =>
      `create table of_${column} as select n as ${column}, 'name of ' || n as name from generate_series(1, ${rows}) as n;
       alter table of_${column} add primary key (${column})`,
  )
  const grant = `grant select on all tables in schema public to ${place.reader}; analyze`
  await execute(
    source.ownerUrl,
    [...createOrders(rows, unordered), ...dimensions, grant].join(';\n'),
  )
  return source
}

/** Nothing without psql: our own client reads no binary COPY, so there would be no limit. */
export async function measureFirstLoad(place: Place, sizes: Sizes): Promise<Measured> {
  if (!hasPsql()) {
    console.error('first load: not measured, because this machine has no psql')
    return { figures: [], compared: [] }
  }
  const source = await createSource(place, sizes)
  const rounds: Round[] = []
  const compared: Comparison[] = []
  for (let round = 0; round < sizes.rounds; round++) {
    const installation = await installFiles(place, source, files())
    rounds.push(await measureRound(place, installation))
    const tables = {
      table: FACT,
      source: `select ${COLUMNS} from sales_order`,
      warehouse: `select ${COLUMNS} from ${FACT} where valid_to is null and not is_deleted`,
    }
    const urls = { source: source.ownerUrl, warehouse: installation.warehouseUrl }
    compared.push(...(await compareRows(urls, [tables])))
    await rm(installation.folder, { recursive: true })
  }
  return { figures: figuresOf(rounds, sayRows(sizes)), compared }
}

export function sayRows({ rows, unordered }: Pick<Sizes, 'rows' | 'unordered'>): string {
  return `${rows.toLocaleString('en')} rows${unordered === true ? ' in no order' : ''}`
}

async function measureRound(place: Place, installation: Installation): Promise<Round> {
  const { folder: cwd, env, source, warehouseUrl } = installation
  const text = 'copy sales_order to stdout (format csv)'
  const readLimit = await timePsql(source.ownerUrl, [text])
  const whole = await inFreshProcess(env, { task: 'whole', cwd, options: {} })
  // The rows that ours has loaded, once more by psql; then by ours alone, into a warehouse of its own.
  const file = join(cwd, 'rows.bin')
  await timePsql(warehouseUrl, [`copy ${FACT} to stdout (format binary)`], { output: file })
  const foreignKeys = Object.keys(REFERENCES).map(
    (column) => `add foreign key (${column}) references dim_${column} (${column})`,
  )
  const loadLimit = await timePsql(
    warehouseUrl,
    [
      `create table beside (like ${FACT})`,
      'copy beside from stdin (format binary)',
      'alter table beside add primary key (sales_record_id)',
      `alter table beside ${foreignKeys.join(', ')}`,
      'create index on beside (sales_order_id) where valid_to is null',
    ],
    { input: file },
  )
  await rm(file)
  await execute(warehouseUrl, 'drop table beside')
  const other = await anotherWarehouse(place, installation)
  const loaded = await inFreshProcess(other.env, { task: 'whole', cwd, options: { only: 'load' } })
  await execute(other.warehouseUrl, `drop table ${FACT} cascade`)
  return { whole, readLimit, loaded, loadLimit }
}

function figuresOf(rounds: readonly Round[], size: string): Figure[] {
  const limit = (what: string, of: (round: Round) => number, as: Limit['as']): Limit => ({
    what,
    samples: rounds.map(of),
    as,
  })
  const peak = (name: string, of: (round: Round) => Answer): Figure => ({
    name,
    what: '  the same, peak memory of our process',
    unit: 'MB',
    samples: rounds.map((round) => of(round).peakMb),
    goal: { of: 'figure', is: 'at most', bound: 600 },
  })
  return [
    {
      name: 'load-new-table',
      what: `lake → new table with key, 5 foreign keys, index; ${size}`,
      unit: 's',
      samples: rounds.map(({ loaded }) => loaded.seconds),
      limit: limit(
        'COPY FROM binary, then the same keys and index (psql)',
        ({ loadLimit }) => loadLimit,
        'share',
      ),
      goal: { of: 'ratio', is: 'at least', bound: 0.85 },
    },
    peak('load-new-table-memory', ({ loaded }) => loaded),
    {
      name: 'first-load',
      what: `first load end to end, history, keys, checks; ${size}`,
      unit: 's',
      samples: rounds.map(({ whole }) => whole.seconds),
      limit: limit(
        'COPY TO csv, and the line above (psql)',
        ({ readLimit, loadLimit }) => readLimit + loadLimit,
        'times',
      ),
      goal: { of: 'ratio', is: 'at most', bound: 1.5 },
    },
    peak('first-load-memory', ({ whole }) => whole),
  ]
}
