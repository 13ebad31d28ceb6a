/**
 * `npm run demo`: two simulated years of totesys, carried into a warehouse; one more business day, with
 * everything that earlier systems lost; and the proof that Tote found exactly what happened.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openProject, type Project, type RunSummary } from 'totedata'
import { compareWithJournal, foundChanges } from './demo/changes.ts'
import { countEverywhere } from './demo/counts.ts'
import { renderChanges, renderCounts, renderNext, renderRun, renderTables } from './demo/report.ts'
import { netChanges, type JournalEntry } from './simulator/journal.ts'
import { openSimulation } from './simulator/live.ts'

const folder = import.meta.dirname

async function main(): Promise<number> {
  const interrupted = new AbortController()
  process.once('SIGINT', () => interrupted.abort(new Error('interrupted')))
  say('Tote demo: totesys, from its database to three star schemas\n')
  // The demo lives in its own databases, whatever the environment names.
  for (const name of ['TOTESYS_URL', 'WAREHOUSE_URL', 'TOTE_LAKE_INGESTION', 'TOTE_LAKE_PROCESSED'])
    delete process.env[name]
  const project = await openProject({
    cwd: folder,
    signal: interrupted.signal,
    log: (text) => say(`  … ${text}`),
  })
  try {
    return await demonstrate(project)
  } finally {
    await project.close()
  }
}

async function demonstrate(project: Project): Promise<number> {
  const source = await timed(
    'a PostgreSQL with the source, two years of business in it',
    async () => project.embedded('totesys'),
  )
  await timed('an empty PostgreSQL database for the warehouse', async () =>
    project.embedded('warehouse'),
  )
  if (source === null) throw new Error('the demo needs the embedded source')
  const simulation = await openSimulation(source.ownerUrl, {
    journal: join(project.stateFolder, 'journal.jsonl'),
  })
  try {
    // Stamped before the first run's snapshot and committed after it: what a watermark never sees.
    const late = await simulation.lateCommit()
    const first = await carry(project, 'First run')
    say('')
    const happened: JournalEntry[] = [...(await late.commit())]
    happened.push(...(await timed('one more business day is lived', async () => simulation.day())))
    say('')
    const second = await carry(project, 'Second run')
    const batches = {
      from: first.batches.ingestion['totesys']?.batch ?? 0,
      to: second.batches.ingestion['totesys']?.batch ?? 0,
    }
    const comparison = compareWithJournal(
      netChanges(happened),
      await foundChanges(project, batches),
    )
    const counts = await countEverywhere(project, source.ownerUrl)
    print(renderTables(first, second, counts))
    print(renderChanges(comparison))
    print(renderCounts(counts))
    const proven =
      comparison.missing.length === 0 &&
      comparison.extra.length === 0 &&
      counts.every((count) => count.equal)
    print(renderNext(proven))
    return proven ? 0 : 1
  } finally {
    await simulation.close()
  }
}

async function carry(project: Project, title: string): Promise<RunSummary> {
  const run = project.run()
  for await (const event of run) {
    if (event.type === 'check.failed')
      say(`  ! ${event.model}: ${event.check} (${event.severity}) for ${event.rows} rows`)
  }
  const summary = await run.succeeded()
  print(renderRun(title, summary))
  return summary
}

async function timed<T>(what: string, action: () => Promise<T>): Promise<T> {
  const startedAt = performance.now()
  const result = await action()
  say(`✔ ${what}  ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
  return result
}

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

try {
  process.exitCode = await main()
} catch (error) {
  say(`✖ ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`)
  process.exitCode = 1
}
// Output may still be on its way to a pipe.
await sleep(0)
