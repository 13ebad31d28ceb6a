/**
 * First loads, PostgreSQL to lake, beside `COPY … TO STDOUT (format csv)` of psql: a narrow table, a wide
 * one of mixed types, and the memory of our process at a size and at four times that size. Rows are
 * compared whole, source against lake.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { rowsAsOf } from '../src/lake/read.ts'
import { openProject } from '../src/project/project.ts'
import type { Measured, Sizes } from './benchmark.ts'
import { inFreshProcess, type Answer } from './child.ts'
import type { Comparison, Side } from './equal-rows.ts'
import type { Figure, Goal } from './figures.ts'
import { installFiles } from './installation.ts'
import { execute, type BenchDatabase, type Place } from './place.ts'
import { hasPsql, timePsql } from './psql.ts'
import { COLUMNS, createOrders } from './sales-orders.ts'

const config = (table: string): string => `import { defineProject, env } from 'totedata'

export default defineProject({
  name: 'extract',
  sources: { large: { type: 'postgres', url: env('TOTESYS_URL'), tables: { include: ['${table}'] } } },
  lake: { ingestion: env('TOTE_LAKE_INGESTION'), processed: env('TOTE_LAKE_PROCESSED') },
  warehouse: { url: env('WAREHOUSE_URL') },
})
`

/** Twenty-five columns, about 490 bytes a row. */
const WIDE = `create type mood as enum ('calm', 'busy', 'late');
create table wide (
  id bigint primary key, token uuid not null, amount numeric(12,2), rate numeric(20,8), total numeric(14,4),
  small smallint, medium integer, large bigint, flag boolean, opened date, at time, seen timestamp,
  stamped timestamptz, code char(8), name varchar(80), note text, body text, document jsonb, tags text[],
  numbers integer[], raw bytea, host inet, state mood, span interval, extra text
)`
const wideRows = (count: number): string => `insert into wide
  select n, md5(n::text)::uuid, n % 1000000 / 100.0, n / 7.0, n % 977 / 3.0, n % 30000, n, n * 1000003::bigint,
    n % 3 = 0, date '2020-01-01' + n % 2000, time '00:00' + n % 86400 * interval '1 s',
    timestamp '2021-01-01' + n * interval '1.000123 s', timestamptz '2022-01-01 00:00+00' + n * interval '7 s',
    lpad(n::text, 8, '0'), 'name of ' || n, 'a note, with "quotes" and a comma ' || n, repeat(md5(n::text), 4),
    jsonb_build_object('n', n, 'half', n % 2 = 0, 'text', md5(n::text)), array['a' || n % 10, 'b' || n % 7],
    array[n % 100, n % 17], decode(md5(n::text), 'hex'), ('10.0.' || n % 256 || '.' || n % 251)::inet,
    (array['calm', 'busy', 'late'])[n % 3 + 1]::mood, n % 1000 * interval '1 minute',
    case when n % 5 = 0 then null else 'extra ' || n end
  from generate_series(1, ${count}) as n`
/** Whose text is the same in both databases. */
const WIDE_COLUMNS =
  'id, token, amount, rate, total, small, medium, large, opened, at, code, name, note, body, document, tags, numbers, state, span, extra'

interface Load {
  readonly table: string
  readonly columns: string
  readonly rounds: number
}

export async function measureExtract(place: Place, sizes: Sizes): Promise<Measured> {
  const source = await place.createDatabase()
  const { rows } = sizes
  const wide = Math.ceil(rows / 5)
  const reading = (table: string): string =>
    `grant select on ${table} to ${place.reader}; analyze ${table}`
  await execute(source.ownerUrl, [...createOrders(rows), reading('sales_order')].join('; '))
  await execute(source.ownerUrl, `${WIDE}; ${wideRows(wide)}; ${reading('wide')}`)
  const narrow = { table: 'sales_order', columns: COLUMNS, rounds: sizes.rounds }
  const ofNarrow = await loadTable(place, source, narrow)
  const ofWide = await loadTable(place, source, {
    table: 'wide',
    columns: WIDE_COLUMNS,
    rounds: sizes.rounds,
  })
  const more = ['drop table sales_order', ...createOrders(4 * rows), reading('sales_order')]
  await execute(source.ownerUrl, more.join('; '))
  const ofMore = await loadTable(place, source, { ...narrow, rounds: 1 })
  const named = (count: number): string => `${count.toLocaleString('en')} rows`
  return {
    figures: [
      timeFigure(
        'extract-narrow',
        `PostgreSQL → lake, ${named(rows)} of 12 columns`,
        ofNarrow,
        0.75,
      ),
      memoryFigure('extract-narrow-memory', '  the same, peak memory of our process', ofNarrow),
      memoryFigure('extract-memory', `  of ${named(4 * rows)}, peak memory of our process`, ofMore),
      timeFigure('extract-wide', `PostgreSQL → lake, ${named(wide)} of 25 columns`, ofWide, 0.65),
      memoryFigure('extract-wide-memory', '  the same, peak memory of our process', ofWide),
    ],
    compared: [...ofNarrow.compared, ...ofWide.compared, ...ofMore.compared],
  }
}

interface Loaded {
  readonly answers: readonly Answer[]
  /** Empty without psql: a limit by other means would be another limit. */
  readonly limits: readonly number[]
  readonly compared: readonly Comparison[]
}

async function loadTable(place: Place, source: BenchDatabase, load: Load): Promise<Loaded> {
  const { table, columns, rounds } = load
  const answers: Answer[] = []
  const limits: number[] = []
  const compared: Comparison[] = []
  for (let round = 0; round < rounds; round++) {
    const { folder, env } = await installFiles(place, source, { 'tote.config.ts': config(table) })
    if (hasPsql())
      limits.push(await timePsql(source.ownerUrl, [`copy ${table} to stdout (format csv)`]))
    answers.push(
      await inFreshProcess(env, { task: 'whole', cwd: folder, options: { only: 'extract' } }),
    )
    compared.push(await compareWithLake(source, { folder, env, table, columns }))
    await rm(join(folder, 'lake'), { recursive: true, force: true })
  }
  return { answers, limits, compared }
}

/** Rows and a sum over their digests, in PostgreSQL and in DuckDB. Throws when they differ. */
async function compareWithLake(
  source: BenchDatabase,
  lake: {
    readonly folder: string
    readonly env: NodeJS.ProcessEnv
    readonly table: string
    readonly columns: string
  },
): Promise<Comparison> {
  const { folder, env, table, columns } = lake
  const texts = columns.split(',').map((name) => `coalesce("${name.trim()}"::text, '-')`)
  const row = `md5(concat_ws('|', ${texts.join(', ')}))`
  const [counted] = await execute(
    source.ownerUrl,
    `select count(*)::text as rows, sum(('x' || substr(${row}, 1, 15))::bit(60)::bigint)::text as digest from ${table}`,
  )
  const before = { ...process.env }
  Object.assign(process.env, env)
  const project = await openProject({ cwd: folder })
  try {
    const manifest = await project.ingestion.chain('large').newest()
    if (manifest === null) throw new Error('nothing was extracted')
    const engine = await project.engine()
    const rows = await rowsAsOf(project.ingestion, manifest, table, manifest.batch)
    const [found] = await engine.rows(
      `select count(*)::text as rows, sum(('0x' || substr(${row}, 1, 15))::bigint::hugeint)::text as digest from (${rows})`,
    )
    engine.close()
    const side = (given: Readonly<Record<string, unknown>> | undefined): Side => ({
      rows: Number(given?.['rows']),
      digest: String(given?.['digest']),
    })
    const comparison = { table, source: side(counted), warehouse: side(found) }
    if (JSON.stringify(comparison.source) !== JSON.stringify(comparison.warehouse))
      throw new Error(`the lake differs from the source: ${JSON.stringify(comparison)}`)
    return comparison
  } finally {
    await project.close()
    process.env = before
  }
}

function timeFigure(
  name: string,
  what: string,
  { answers, limits }: Loaded,
  bound: number,
): Figure {
  const samples = answers.map(({ seconds }) => seconds)
  if (limits.length === 0)
    return { name, what: `${what} (no psql, so no limit)`, unit: 's', samples }
  const limit = { what: 'COPY TO csv, thrown away (psql)', samples: limits, as: 'share' } as const
  return { name, what, unit: 's', samples, limit, goal: { of: 'ratio', is: 'at least', bound } }
}

function memoryFigure(name: string, what: string, { answers }: Loaded): Figure {
  const goal: Goal = { of: 'figure', is: 'at most', bound: 600 }
  return { name, what, unit: 'MB', samples: answers.map(({ peakMb }) => peakMb), goal }
}
