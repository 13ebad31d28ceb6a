/** The example end to end: first runs at several sizes, days that are lived, and runs with nothing to do. */
import { fileURLToPath } from 'node:url'
import { fill } from '../examples/totesys/simulator/fill.ts'
import { openSimulation } from '../examples/totesys/simulator/live.ts'
import { quote, TABLE_NAMES } from '../examples/totesys/simulator/schema.ts'
import type { Measured, Sizes } from './benchmark.ts'
import { inFreshProcess, startChild, type Answer } from './child.ts'
import { compareRows, type Comparison } from './equal-rows.ts'
import type { Figure } from './figures.ts'
import { installTotesys, type Installation } from './installation.ts'
import { execute, type BenchDatabase, type Place } from './place.ts'
import { timeProcess } from './timed-process.ts'
import { FACTS } from './totesys-tables.ts'

/** What any reader must do to see that nothing changed, without looking at a row. */
const COPIES = TABLE_NAMES.map((table) => `copy ${quote(table)} to stdout (format csv)`)
const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url))

export async function measureTotesys(place: Place, sizes: Sizes): Promise<Measured> {
  const figures: Figure[] = []
  const compared: Comparison[] = []
  for (const scale of sizes.scales) {
    const source = await place.createDatabase()
    await fill(source.ownerUrl, { scale, years: sizes.years, reader: place.reader })
    const first = await measureFirstRuns(place, source, { scale, rounds: sizes.rounds })
    figures.push(...first.figures)
    compared.push(...(await compareFacts(first.installation)))
    if (scale !== 1) continue
    figures.push(...(await measureNothing(first.installation, sizes)))
    figures.push(await measureChanges(first.installation, sizes))
    figures.push(await measureDays(first.installation, sizes))
    compared.push(...(await compareFacts(first.installation)))
  }
  return { figures, compared }
}

/** Each in a fresh process, with an empty lake and an empty warehouse. */
async function measureFirstRuns(
  place: Place,
  source: BenchDatabase,
  { scale, rounds }: { readonly scale: number; readonly rounds: number },
): Promise<{ figures: Figure[]; installation: Installation }> {
  const answers: Answer[] = []
  let installation = await installTotesys(place, source)
  for (let round = 0; round < rounds; round++) {
    if (round > 0) installation = await installTotesys(place, source)
    const { folder: cwd, env } = installation
    answers.push(await inFreshProcess(env, { task: 'whole', cwd, options: {} }))
  }
  const tables = answers[0]?.summary?.tables.filter(({ source: name }) => name === 'totesys') ?? []
  const rows = tables.reduce((sum, table) => sum + (table.rowsInSource ?? 0), 0)
  const what = `first run, totesys at scale ${scale}, ${rows.toLocaleString('en')} rows in ${tables.length} tables`
  return {
    installation,
    figures: [
      { name: `first-run-${scale}`, what, unit: 's', samples: answers.map((each) => each.seconds) },
      {
        name: `first-run-${scale}-rate`,
        what: `  the same, source rows through all stages`,
        unit: 'rows/s',
        samples: answers.map((each) => rows / each.seconds),
        ...(scale === 100 ? { goal: { of: 'figure', is: 'at least', bound: 150_000 } } : {}),
      },
      {
        name: `first-run-${scale}-memory`,
        what: `  the same, peak memory of our process`,
        unit: 'MB',
        samples: answers.map((each) => each.peakMb),
        ...(scale === 100 ? { goal: { of: 'figure', is: 'at most', bound: 600 } } : {}),
      },
    ],
  }
}

async function measureNothing(
  { folder: cwd, env, source }: Installation,
  { pairs }: Sizes,
): Promise<Figure[]> {
  const fresh = await inFreshProcess(env, { task: 'whole', cwd, options: {} })
  if (fresh.engineLoaded) throw new Error('a run with nothing to do has loaded DuckDB')
  const child = startChild(env)
  const open: number[] = []
  const reads: number[] = []
  const reopened: number[] = []
  try {
    // The first two warm the process up.
    for (let pair = -2; pair < pairs; pair++) {
      const kept = nothingDone(await child.ask({ task: 'run', cwd, options: {} }))
      const whole = nothingDone(await child.ask({ task: 'whole', cwd, options: {} }))
      const { seconds } = await child.ask({ task: 'copyOut', url: source.readerUrl, texts: COPIES })
      if (pair < 0) continue
      reads.push(seconds)
      open.push(kept)
      reopened.push(whole)
    }
  } finally {
    await child.end()
  }
  const commands: number[] = []
  const nodes: number[] = []
  for (let pair = -1; pair < pairs; pair++) {
    const node = await timeProcess(process.execPath, ['-e', '0'])
    const command = await timeProcess(process.execPath, [CLI, 'run', '-C', cwd], { env })
    if (pair < 0) continue
    nodes.push(node)
    commands.push(command)
  }
  return [
    {
      name: 'nothing-warm',
      what: 'a run where nothing changed, project open, warm process',
      unit: 's',
      samples: open,
      limit: { what: 'connect, COPY the 11 tables', samples: reads, as: 'times' },
      goal: { of: 'figure', is: 'at most', bound: 0.2 },
    },
    {
      name: 'nothing-warm-opened',
      what: '  the same, project opened and closed each time',
      unit: 's',
      samples: reopened,
      goal: { of: 'figure', is: 'at most', bound: 0.2 },
    },
    {
      name: 'nothing-command',
      what: 'node dist/cli.js run, nothing changed',
      unit: 's',
      samples: commands,
      limit: { what: 'node -e 0', samples: nodes, as: 'times' },
      goal: { of: 'ratio', is: 'at most', bound: 10 },
    },
    {
      name: 'nothing-memory',
      what: '  the same, peak memory of our process',
      unit: 'MB',
      samples: [fresh.peakMb],
    },
  ]
}

function nothingDone({ seconds, summary }: Answer): number {
  if (summary?.outcome !== 'nothing to do') throw new Error(`the run was ${summary?.outcome}`)
  return seconds
}

/** A thousand changed rows, or a few more: every row of the small tables, and some of the large. */
const CHANGES = [
  'update address set phone = reverse(phone)',
  'update counterparty set commercial_contact = reverse(commercial_contact)',
  "update currency set last_updated = last_updated + interval '1 s'",
  'update department set manager = reverse(manager)',
  'update staff set first_name = reverse(first_name)',
  "update payment_type set last_updated = last_updated + interval '1 s'",
  ...(
    [
      ['design', 120],
      ['sales_order', 220],
      ['purchase_order', 220],
      ['payment', 220],
      ['transaction', 150],
    ] as const
  ).map(
    ([table, rows]) =>
      `update ${table} set last_updated = last_updated + interval '1 s' where ${table}_id in (select ${table}_id from ${table} order by random() limit ${rows})`,
  ),
].join(';\n')

async function measureChanges(
  { folder: cwd, env, source }: Installation,
  { days }: Sizes,
): Promise<Figure> {
  const samples: number[] = []
  const child = startChild(env)
  try {
    // The first two warm the process up.
    for (let round = -2; round < 2 * days; round++) {
      await execute(source.ownerUrl, CHANGES)
      const { seconds, summary } = await child.ask({ task: 'run', cwd, options: {} })
      if (summary?.outcome !== 'succeeded') throw new Error(`the run was ${summary?.outcome}`)
      if (round >= 0) samples.push(seconds)
    }
  } finally {
    await child.end()
  }
  return {
    name: 'warm-change',
    what: 'a run after 1,000 changed rows in 11 tables, project open, warm process',
    unit: 's',
    samples,
    goal: { of: 'figure', is: 'at most', bound: 0.3 },
  }
}

async function measureDays(
  { folder: cwd, env, source }: Installation,
  { days }: Sizes,
): Promise<Figure> {
  const samples: number[] = []
  const child = startChild(env)
  const simulation = await openSimulation(source.ownerUrl)
  try {
    await child.ask({ task: 'run', cwd, options: {} })
    for (let day = 0; day < days; day++) {
      await simulation.day()
      const { seconds, summary } = await child.ask({ task: 'run', cwd, options: {} })
      if (summary?.outcome !== 'succeeded') throw new Error(`the run was ${summary?.outcome}`)
      samples.push(seconds)
    }
  } finally {
    await simulation.close()
    await child.end()
  }
  const what = 'a run after one business day, project open, warm process'
  return { name: 'one-day', what, unit: 's', samples }
}

async function compareFacts({ source, warehouseUrl }: Installation): Promise<Comparison[]> {
  return compareRows({ source: source.ownerUrl, warehouse: warehouseUrl }, FACTS)
}
