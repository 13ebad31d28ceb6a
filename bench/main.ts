/**
 * `npm run bench`: measures what docs/benchmarks.md publishes, prints it as one table, and keeps it in
 * bench/history. Exit code 1 when a goal is not met.
 */
import { parseArgs } from 'node:util'
import type { Measured, Sizes } from './benchmark.ts'
import { measureDemo, measureHelp, measureInstallAndDemo } from './commands.ts'
import { judge } from './figures.ts'
import { appendHistory, readCircumstances, readLoad, renderCircumstances } from './history.ts'
import { measureExtract } from './extract.ts'
import { measureFirstLoad } from './first-load.ts'
import { measureGrowth } from './growth.ts'
import { measureIncremental } from './incremental.ts'
import { measureInit } from './init.ts'
import { measureLargeTable } from './large-table.ts'
import { openPlace, type Place } from './place.ts'
import { renderFigures, renderMarkdown } from './table.ts'
import { measureRebuild } from './rebuild.ts'
import { measureRivals } from './rivals/rivals.ts'
import { measureTransactions } from './transactions.ts'
import { measureTotesys } from './totesys.ts'
import { measureVerify } from './verify.ts'

const USAGE = `npm run bench -- [options]

  --only NAME    one of commands, totesys, large, first, extract, rebuild, verify, incremental, transactions, growth,
                 init, rivals; may be given several times. rivals, which needs Python and installs dlt, ingestr and Sling, runs only when named
  --install      also npm ci && npm run demo, in a checkout without node_modules
  --rounds N     of what takes seconds (3); --pairs N of what does not (20)
  --rows N       of the larger table (5000000)
  --unordered    its keys lie in no order, in first loads and growth
  --scales N,…   of totesys (1,10,100)
  --markdown     the table as Markdown
  --no-history   keep no record
`
const OPTIONS = {
  only: { type: 'string', multiple: true },
  install: { type: 'boolean', default: false },
  rounds: { type: 'string', default: '3' },
  pairs: { type: 'string', default: '20' },
  rows: { type: 'string', default: '5000000' },
  unordered: { type: 'boolean', default: false },
  scales: { type: 'string', default: '1,10,100' },
  markdown: { type: 'boolean', default: false },
  history: { type: 'boolean', default: true },
  help: { type: 'boolean', default: false },
} as const

async function main(): Promise<number> {
  const { values } = parseArgs({ options: OPTIONS, allowNegative: true })
  if (values.help) {
    console.log(USAGE)
    return 0
  }
  const sizes: Sizes = {
    pairs: Number(values.pairs),
    rounds: Number(values.rounds),
    years: 2,
    scales: values.scales.split(',').map(Number),
    days: 5,
    rows: Number(values.rows),
    unordered: values.unordered,
  }
  const measures: Readonly<Record<string, (place: Place) => Promise<Measured>>> = {
    commands: async (place) => ({
      figures: [
        await measureHelp(sizes.pairs),
        await measureDemo(place),
        ...(values.install ? [await measureInstallAndDemo(place)] : []),
      ],
      compared: [],
    }),
    totesys: async (place) => measureTotesys(place, sizes),
    large: async (place) => measureLargeTable(place, sizes),
    first: async (place) => measureFirstLoad(place, sizes),
    extract: async (place) => measureExtract(place, sizes),
    rebuild: async (place) => measureRebuild(place, sizes),
    verify: async (place) => measureVerify(place, sizes),
    incremental: async (place) => measureIncremental(place, sizes),
    transactions: async (source) => {
      const warehouse = await openPlace(undefined)
      try {
        return await measureTransactions({ source, warehouse }, sizes)
      } finally {
        await warehouse.close()
      }
    },
    growth: async (place) => measureGrowth(place, sizes),
    init: async (place) => measureInit(place, { tables: 100, rows: 1000, rounds: sizes.rounds }),
    rivals: async (place) => measureRivals(place, sizes),
  }
  const chosen = values.only ?? Object.keys(measures).filter((name) => name !== 'rivals')
  const place = await openPlace(process.env['TEST_PG'])
  try {
    const circumstances = readCircumstances(place.server, new Date())
    // Before, and after each part: our own work counts in all but the first.
    const load = [readLoad()]
    const measured: Measured[] = []
    for (const [name, measure] of Object.entries(measures)) {
      if (!chosen.includes(name)) continue
      console.error(`measuring ${name} …`)
      measured.push(await measure(place))
      load.push(readLoad())
    }
    const figures = measured.flatMap((each) => each.figures).map(judge)
    console.log((values.markdown ? renderMarkdown : renderFigures)(figures).join('\n'))
    for (const { notes } of measured) if (notes !== undefined) console.log(`\n${notes.join('\n')}`)
    console.log(`\n${renderCircumstances(circumstances)}; load ${load.join(', ')}`)
    if (values.history) await appendHistory({ ...circumstances, load }, figures)
    return figures.some(({ met }) => met === false) ? 1 : 0
  } finally {
    await place.close()
  }
}

process.exitCode = await main()
