/**
 * The simulator's command line. It prints; everything else is in the other files.
 */
import { parseArgs } from 'node:util'
import { SimulatorError } from './database.ts'
import { fill } from './fill.ts'
import { netChanges, type Journal } from './journal.ts'
import { openSimulation } from './live.ts'

const USAGE = `The totesys simulator: an operational database that behaves like the real one.

  fill --url URL [--seed 42] [--scale 1] [--years 2] [--until 2024-12-31] [--reader ROLE] [--replace]
       Creates the schema and fills it. The same seed gives the same rows.
  day  --url URL [--journal FILE] [--days 1] [--ordinary] [--seed 42] [--scale 1]
       Lives the next business day; everything that can happen does, unless --ordinary.
  live --url URL --ms-per-day 1000 [--journal FILE] [--seed 42] [--scale 1]
       Lives one ordinary day after another until Ctrl-C.

URL names a database and the role that owns the tables: postgres://user:password@host:port/database
`

const OPTIONS = {
  url: { type: 'string' },
  seed: { type: 'string', default: '42' },
  scale: { type: 'string', default: '1' },
  years: { type: 'string', default: '2' },
  until: { type: 'string', default: '2024-12-31' },
  reader: { type: 'string' },
  replace: { type: 'boolean', default: false },
  journal: { type: 'string' },
  days: { type: 'string', default: '1' },
  ordinary: { type: 'boolean', default: false },
  'ms-per-day': { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const

async function run(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args, options: OPTIONS, allowPositionals: true })
  const [command, ...rest] = positionals
  if (values.help || command === undefined) return console.log(USAGE)
  if (rest.length > 0) throw new SimulatorError(`"${rest[0]}" is one word too many.`)
  if (!['fill', 'day', 'live'].includes(command)) {
    throw new SimulatorError(`There is no command "${command}". There are: fill, day, live.`)
  }
  const { url } = values
  if (url === undefined) throw new SimulatorError(`${command} needs --url.`)
  const seed = number('seed', values.seed)
  const scale = number('scale', values.scale)

  if (command === 'fill') {
    const { until, reader } = values
    const years = number('years', values.years)
    const existing = values.replace ? 'replace' : 'refuse'
    const filled = await fill(url, {
      seed,
      scale,
      years,
      until,
      existing,
      ...(reader === undefined ? {} : { reader }),
    })
    console.log(`Business from ${filled.from} to ${filled.until}:`)
    for (const [table, rows] of Object.entries(filled.rows)) {
      console.log(`  ${table.padEnd(16)}${rows.toLocaleString('en').padStart(12)}`)
    }
    return
  }

  const days = number('days', values.days)
  const msPerDay = command === 'live' ? number('ms-per-day', values['ms-per-day'] ?? '') : 0
  const { journal } = values
  const simulation = await openSimulation(url, {
    seed,
    scale,
    ...(journal === undefined ? {} : { journal }),
  })
  try {
    if (command === 'live') {
      const stop = new AbortController()
      process.once('SIGINT', () => stop.abort())
      process.once('SIGTERM', () => stop.abort())
      await simulation.live({ msPerDay, signal: stop.signal, onDay: report })
      return
    }
    const pace = values.ordinary ? 'ordinary' : 'eventful'
    for (let day = 0; day < days; day += 1) {
      const entries = await simulation.day({ pace })
      report(simulation.today(), entries)
    }
  } finally {
    await simulation.close()
  }
}

function number(option: string, text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= 0))
    throw new SimulatorError(`--${option} needs a number, not "${text}".`)
  return value
}

function report(date: string, entries: Journal): void {
  const counts = new Map<string, number>()
  for (const { kind } of entries) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  const kinds = [...counts].map(([kind, count]) => `${kind} ${count}`).join(', ')
  console.log(`${date}  ${netChanges(entries).length} rows changed: ${kinds}`)
}

try {
  await run(process.argv.slice(2))
} catch (error) {
  // A stack trace helps nobody whose option or database is wrong; for our own mistakes it is needed.
  const code = (error as { code?: unknown }).code
  const known = error instanceof SimulatorError || typeof code === 'string'
  console.error(known ? (error as Error).message : error)
  process.exitCode = 1
}
