/** StrykerJS over one module: installed when it is first asked for, and kept beside the checkout's other dependencies. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { install } from '../installed.ts'
import type { Guarded } from './modules.ts'

/** The last that runs on Node 20. */
const VERSION = '9.6.1'
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FOLDER = path.join(ROOT, 'node_modules', '.cache', 'tote-mutation')
const PACKAGES = path.join(FOLDER, `stryker-${VERSION}`)

export interface Mutant {
  readonly line: number
  readonly kind: string
  readonly was: string
  readonly is: string
  /** `NoCoverage`: no test comes by. */
  readonly status: 'Killed' | 'Timeout' | 'Survived' | 'NoCoverage'
}

interface ReportedMutant {
  readonly mutatorName: string
  readonly replacement?: string
  readonly status: string
  readonly location: {
    readonly start: { readonly line: number; readonly column: number }
    readonly end: { readonly line: number; readonly column: number }
  }
}

interface Report {
  readonly files: Readonly<
    Record<string, { readonly source: string; readonly mutants: readonly ReportedMutant[] }>
  >
}

/** Throws where the packages cannot be had. */
export function installStryker(): void {
  if (existsSync(PACKAGES)) return
  const trouble = install(
    [`@stryker-mutator/core@${VERSION}`, `@stryker-mutator/vitest-runner@${VERSION}`],
    PACKAGES,
  )
  if (trouble !== undefined) throw new Error(trouble)
}

/** Every mutant of a module and what became of it. Throws when the tests fail without any. */
export function mutate(module: string, { tests }: Guarded): readonly Mutant[] {
  const packages = path.join(PACKAGES, 'node_modules', '@stryker-mutator')
  const settings = path.join(FOLDER, `${module.replaceAll('/', '-')}.json`)
  const report = settings.replace('.json', '.report.json')
  const source = `src/${module}.ts`
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(
    settings,
    JSON.stringify({
      mutate: [source],
      testRunner: 'vitest',
      plugins: [path.join(packages, 'vitest-runner', 'dist', 'src', 'index.js')],
      vitest: { configFile: 'scripts/mutation/vitest.config.ts', related: false },
      coverageAnalysis: 'perTest',
      concurrency: 1,
      reporters: ['json'],
      jsonReporter: { fileName: report },
      tempDirName: '.stryker-tmp',
      // It would want the JavaScript interface of older TypeScripts, to rewrite a file that nothing here reads.
      tsconfigFile: 'none.json',
      ignorePatterns: ['/docs', '/dist', '/bench'],
      timeoutMS: 10_000,
      warnings: false,
      logLevel: 'warn',
    }),
  )
  const { status } = spawnSync(
    process.execPath,
    [path.join(packages, 'core', 'bin', 'stryker.js'), 'run', settings],
    {
      cwd: ROOT,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: {
        ...process.env,
        TOTE_MUTATION_TESTS: tests.map((test) => `test/${test}.test.ts`).join(','),
        TOTE_SEED: '1',
      },
    },
  )
  if (status !== 0) throw new Error(`${module}: StrykerJS ended with ${status}`)
  const file = (JSON.parse(readFileSync(report, 'utf8')) as Report).files[source]
  return (file?.mutants ?? []).map((mutant) => told(mutant, file?.source.split('\n') ?? []))
}

function told(mutant: ReportedMutant, lines: readonly string[]): Mutant {
  const { start, end } = mutant.location
  // Native code that is given nonsense takes the process with it: no test passes then.
  const status = mutant.status === 'RuntimeError' ? 'Killed' : mutant.status
  if (!isStatus(status))
    throw new Error(`line ${start.line}: a mutant that is ${status} counts for nothing`)
  const last = start.line === end.line ? end.column - 1 : undefined
  return {
    line: start.line,
    kind: mutant.mutatorName,
    was: lines[start.line - 1]?.slice(start.column - 1, last) ?? '',
    is: mutant.replacement ?? '',
    status,
  }
}

function isStatus(status: string): status is Mutant['status'] {
  return ['Killed', 'Timeout', 'Survived', 'NoCoverage'].includes(status)
}
