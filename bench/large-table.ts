/**
 * One larger table through the lake, each stage beside its limit: reading it beside COPY TO, loading it
 * beside COPY FROM of the very same rows and the same key and index.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Stage } from '../src/types.ts'
import type { Measured, Sizes } from './benchmark.ts'
import { inFreshProcess, type Answer } from './child.ts'
import { compareRows, type Comparison } from './equal-rows.ts'
import type { Figure } from './figures.ts'
import { installFiles, type Installation } from './installation.ts'
import { execute, type Place } from './place.ts'
import { hasPsql, timePsql } from './psql.ts'
import { COLUMNS, createOrders } from './sales-orders.ts'

const CONFIG = `import { defineProject, env } from 'totedata'

export default defineProject({
  name: 'large',
  sources: { large: { type: 'postgres', url: env('TOTESYS_URL') } },
  lake: { ingestion: env('TOTE_LAKE_INGESTION'), processed: env('TOTE_LAKE_PROCESSED') },
  warehouse: { url: env('WAREHOUSE_URL') },
})
`
const MODEL = `-- kind: fact
-- key: sales_order_id
-- record id: sales_record_id
select * from large.sales_order
`
const FACT = 'fact_sales_order'

interface Round {
  readonly read: Answer
  readonly readLimit: number
  readonly loaded: Answer
  /** null without psql: our client reads no binary COPY. */
  readonly loadLimit: number | null
}

export async function measureLargeTable(place: Place, sizes: Sizes): Promise<Measured> {
  const source = await place.createDatabase()
  const reading = `grant select on sales_order to ${place.reader}; analyze sales_order`
  await execute(source.ownerUrl, [...createOrders(sizes.rows), reading].join(';'))
  const rounds: Round[] = []
  const compared: Comparison[] = []
  for (let round = 0; round < sizes.rounds; round++) {
    const files = { 'tote.config.ts': CONFIG, [`models/${FACT}.sql`]: MODEL }
    const installation = await installFiles(place, source, files)
    rounds.push(await measureRound(installation))
    const current = 'where valid_to is null and not is_deleted'
    const tables = {
      table: FACT,
      source: `select ${COLUMNS} from sales_order`,
      warehouse: `select ${COLUMNS} from ${FACT} ${current}`,
    }
    const urls = { source: source.ownerUrl, warehouse: installation.warehouseUrl }
    compared.push(...(await compareRows(urls, [tables])))
  }
  return {
    figures: figuresOf(rounds, `${sizes.rows.toLocaleString('en')} rows of 12 columns`),
    compared,
  }
}

function figuresOf(rounds: readonly Round[], size: string): Figure[] {
  const client = hasPsql() ? 'psql' : 'our client'
  const loadLimits = rounds.flatMap(({ loadLimit }) => loadLimit ?? [])
  return [
    {
      name: 'large-read',
      what: `PostgreSQL → lake, ${size}`,
      unit: 's',
      samples: rounds.map(({ read }) => read.seconds),
      limit: {
        what: `COPY TO csv, thrown away (${client})`,
        samples: rounds.map(({ readLimit }) => readLimit),
        as: 'share',
      },
    },
    memoryFigure(
      'large-read-memory',
      rounds.map(({ read }) => read),
    ),
    {
      name: 'large-load',
      what: `lake → warehouse, the same rows, history on`,
      unit: 's',
      samples: rounds.map(({ loaded }) => loaded.seconds),
      ...(loadLimits.length === 0
        ? {}
        : {
            limit: {
              what: `COPY FROM binary, then key and index (${client})`,
              samples: loadLimits,
              as: 'share' as const,
            },
          }),
    },
    memoryFigure(
      'large-load-memory',
      rounds.map(({ loaded }) => loaded),
    ),
  ]
}

function memoryFigure(name: string, answers: readonly Answer[]): Figure {
  return {
    name,
    what: '  the same, peak memory of our process',
    unit: 'MB',
    samples: answers.map(({ peakMb }) => peakMb),
  }
}

async function measureRound({
  folder: cwd,
  env,
  source,
  warehouseUrl,
}: Installation): Promise<Round> {
  const stage = async (only: Stage): Promise<Answer> =>
    inFreshProcess(env, { task: 'whole', cwd, options: { only } })
  const readLimit = await timeReading(source.ownerUrl, env)
  const read = await stage('extract')
  await stage('transform')
  const loaded = await stage('load')
  const loadLimit = hasPsql() ? await timeLoading(warehouseUrl, join(cwd, 'rows.bin')) : null
  return { read, readLimit, loaded, loadLimit }
}

async function timeReading(url: string, env: NodeJS.ProcessEnv): Promise<number> {
  const text = 'copy sales_order to stdout (format csv)'
  if (hasPsql()) return timePsql(url, [text])
  return (await inFreshProcess(env, { task: 'copyOut', url, texts: [text] })).seconds
}

/** The rows that ours has loaded, once more, by the server's own means into a table of the same shape. */
async function timeLoading(url: string, file: string): Promise<number> {
  await timePsql(url, [`copy ${FACT} to stdout (format binary)`], { output: file })
  const seconds = await timePsql(
    url,
    [
      `create table beside (like ${FACT})`,
      'copy beside from stdin (format binary)',
      'alter table beside add primary key (sales_record_id)',
      'create index on beside (sales_order_id) where valid_to is null',
    ],
    { input: file },
  )
  await rm(file)
  return seconds
}
