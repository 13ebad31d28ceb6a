/**
 * `npm test`: builds, checks types, lint, format and dead code, runs every lane with coverage, then
 * the fast lane, but for what takes long and is about rows alone, on the newest supported Node. All of
 * it runs even when a part fails; each part and each test counts once in the closing line, which is the
 * last line of the output.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { closingLines, withExitCode, type Outcome } from '../test/support/totals.ts'
import { newerNode } from './newer-node.ts'

const parts: readonly (readonly [name: string, script: string])[] = [
  ['build', 'build'],
  ['types', 'check:types'],
  ['lint', 'check:lint'],
  ['format', 'check:format'],
  ['unused code', 'check:unused'],
]

/** They take two fifths of the fast lane's time, in DuckDB; what they say of a Node, shorter ones say, too. */
const OF_ROWS: readonly string[] = [
  'test/evaluation/incremental.test.ts',
  'test/lake/many-batches.test.ts',
  'test/lake/versioned-table.test.ts',
  'test/verification/compare.test.ts',
]

const outcomes = [...parts.map(runPart), ...runLanes(), runOnNewerNode()]
console.log(closingLines(outcomes).join('\n'))
process.exitCode = outcomes.some(({ status }) => status === 'failed') ? 1 : 0

function runPart([name, script]: readonly [string, string]): Outcome {
  console.log(`${name}: npm run ${script}`)
  return outcomeOf(name, run('npm', ['run', '--silent', script]))
}

function runLanes(): Outcome[] {
  const scratch = mkdtempSync(path.join(tmpdir(), 'tote-test-'))
  const file = path.join(scratch, 'outcomes.json')
  try {
    const exitCode = runVitest(process.execPath, ['--coverage'], { TOTE_TEST_OUTCOMES: file })
    return withExitCode(readOutcomes(file), { name: 'vitest', exitCode })
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

function readOutcomes(file: string): Outcome[] {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Outcome[]
  } catch {
    return [{ name: 'vitest', status: 'failed', reason: 'it reported nothing' }]
  }
}

function runOnNewerNode(): Outcome {
  const node = newerNode()
  const name = `fast lane and command line on Node ${node.major}`
  if (node.path === undefined) return { name, status: 'skipped', reason: node.reason }
  console.log(name)
  const help = run(node.path, ['bin/tote.js', '--help'], {}, 'ignore')
  if (help !== 0) return outcomeOf(name, help)
  const scratch = mkdtempSync(path.join(tmpdir(), 'tote-test-'))
  try {
    return outcomeOf(
      name,
      runVitest(node.path, ['--project', 'unit'], {
        TOTE_TEST_OUTCOMES: path.join(scratch, 'outcomes.json'),
        TOTE_TEST_EXCLUDE: OF_ROWS.join(','),
      }),
    )
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

function runVitest(node: string, args: readonly string[], env: NodeJS.ProcessEnv): number | null {
  return run(node, ['node_modules/vitest/vitest.mjs', 'run', ...args], env)
}

function run(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  stdout: 'inherit' | 'ignore' = 'inherit',
): number | null {
  return spawnSync(command, args, {
    stdio: ['ignore', stdout, 'inherit'],
    env: { ...process.env, ...env },
  }).status
}

function outcomeOf(name: string, exitCode: number | null): Outcome {
  return exitCode === 0
    ? { name, status: 'passed' }
    : {
        name,
        status: 'failed',
        reason: exitCode === null ? 'it was killed' : `exit code ${exitCode}`,
      }
}
