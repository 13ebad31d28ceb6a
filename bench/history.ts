/** Every run's figures with what they depend on, one JSON line each, kept in git: bench/history/<month>.jsonl. */
import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { appendFile } from 'node:fs/promises'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { medianOf, type Judged } from './figures.ts'

/** Milliseconds are as fine as any figure here. */
const round = (value: number): number => Math.round(value * 1000) / 1000

export interface Circumstances {
  readonly date: string
  /** With a `+` when the checkout differs from it. */
  readonly commit: string
  readonly machine: Readonly<Record<string, string | number>>
  readonly versions: Readonly<Record<string, string>>
  readonly server: Readonly<Record<string, string | null>>
}

export function readCircumstances(server: Circumstances['server'], date: Date): Circumstances {
  const version = (name: string): string => {
    const manifest = createRequire(import.meta.url)(`${name}/package.json`) as { version: string }
    return manifest.version
  }
  return {
    date: date.toISOString(),
    commit: commitHere(),
    machine: {
      cpu: cpus()[0]?.model ?? 'unknown',
      cores: cpus().length,
      memoryGb: Math.round(totalmem() / 2 ** 30),
      system: `${process.platform} ${release()} ${process.arch}`,
    },
    versions: {
      node: process.version,
      duckdb: version('@duckdb/node-api'),
      pg: version('pg'),
    },
    server,
  }
}

/** How busy the machine is: processes that want a core, over the last minute. */
export function readLoad(): number {
  return round(loadavg()[0] ?? 0)
}

/** One line of text: on what the figures were measured. */
export function renderCircumstances({ date, commit, ...given }: Circumstances): string {
  const { machine, versions, server } = given
  const parts = [
    `${machine['cores']} cores of ${machine['cpu']}, ${machine['memoryGb']} GB, ${machine['system']}`,
    `Node ${versions['node']}, DuckDB ${versions['duckdb']}, PostgreSQL ${server['server_version']}`,
    `${date.slice(0, 10)}, commit ${commit}`,
  ]
  return parts.join('; ')
}

export async function appendHistory(
  circumstances: Circumstances & { readonly load: readonly number[] },
  figures: readonly Judged[],
): Promise<void> {
  const kept = figures.map(
    ({ name, unit, samples, median, least, greatest, limit, ratio, met }) => ({
      name,
      unit,
      n: samples.length,
      median: round(median),
      least: round(least),
      greatest: round(greatest),
      ...(limit === undefined || ratio === null
        ? {}
        : { limit: round(medianOf(limit.samples)), ratio: round(ratio) }),
      ...(met === null ? {} : { met }),
    }),
  )
  const month = circumstances.date.slice(0, 7)
  const file = fileURLToPath(new URL(`history/${month}.jsonl`, import.meta.url))
  await appendFile(file, `${JSON.stringify({ ...circumstances, figures: kept })}\n`)
}

function commitHere(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8', stdio: 'pipe' }).trim()
  try {
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain') === '' ? '' : '+')
  } catch {
    return 'unknown'
  }
}
