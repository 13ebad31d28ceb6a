/**
 * Ends a vitest run with one line that a machine can read: `N passed, N failed, N skipped`. With
 * TOTE_TEST_OUTCOMES set, the outcomes go to that file instead, and whoever set it prints the line.
 */
import { writeFileSync } from 'node:fs'
import type { Reporter, SerializedError, TestModule } from 'vitest/node'
import { closingLines, withExitCode, type Outcome } from './totals.ts'

export default class ClosingLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    const outcomes = [...modules.flatMap(moduleOutcomes), ...errors.map(strayError)]
    const file = process.env['TOTE_TEST_OUTCOMES']
    if (file !== undefined) {
      writeFileSync(file, JSON.stringify(outcomes))
      return
    }
    // At exit, because the coverage report and its threshold come after this call.
    process.once('exit', (exitCode) => {
      console.log(closingLines(withExitCode(outcomes, { name: 'vitest', exitCode })).join('\n'))
    })
  }
}

function moduleOutcomes(module: TestModule): Outcome[] {
  const outcomes = module.errors().map((error): Outcome => ({
    name: module.relativeModuleId,
    status: 'failed',
    reason: firstLine(error.message),
  }))
  for (const suite of module.children.allSuites()) {
    for (const error of suite.errors()) {
      outcomes.push({ name: suite.fullName, status: 'failed', reason: firstLine(error.message) })
    }
  }
  for (const test of module.children.allTests()) {
    const name = `${module.relativeModuleId} > ${test.fullName}`
    const result = test.result()
    switch (result.state) {
      case 'passed':
        outcomes.push({ name, status: 'passed' })
        break
      case 'failed':
        outcomes.push({ name, status: 'failed', reason: firstLine(result.errors[0]?.message) })
        break
      case 'skipped':
        outcomes.push({ name, status: 'skipped', reason: result.note })
        break
      case 'pending':
        outcomes.push({ name, status: 'failed', reason: 'it did not come to an end' })
        break
      default:
        result satisfies never
    }
  }
  return outcomes
}

function strayError(error: SerializedError): Outcome {
  return { name: 'an error outside any test', status: 'failed', reason: firstLine(error.message) }
}

function firstLine(text: string | undefined): string | undefined {
  return text?.split('\n', 1)[0]
}
