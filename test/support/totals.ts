/**
 * What a test run comes to: counts, names of what failed, and a reason for every skip. The closing
 * line is read by machines, so its form is fixed.
 */

export interface Outcome {
  readonly name: string
  readonly status: 'passed' | 'failed' | 'skipped'
  /** Why it was skipped, or how it failed. */
  readonly reason?: string | undefined
}

/** The lines that end a run: failures, skips with their reasons, and `N passed, N failed[, N skipped]`. */
export function closingLines(outcomes: readonly Outcome[]): string[] {
  const having = (status: Outcome['status']): Outcome[] =>
    outcomes.filter((outcome) => outcome.status === status)
  const passed = having('passed')
  const failed = having('failed')
  const skipped = having('skipped')
  const counts = [`${passed.length} passed`, `${failed.length} failed`]
  if (skipped.length > 0) counts.push(`${skipped.length} skipped`)
  return [
    ...failed.map(
      ({ name, reason }) => `failed: ${name}${reason === undefined ? '' : `: ${reason}`}`,
    ),
    ...skipped.map(({ name, reason }) => `skipped: ${name}: ${reason ?? 'no reason given'}`),
    counts.join(', '),
  ]
}

/** A run that ended badly without a failed test has failed nevertheless: one outcome more says so. */
export function withExitCode(
  outcomes: readonly Outcome[],
  run: { readonly name: string; readonly exitCode: number | null },
): Outcome[] {
  if (run.exitCode === 0 || outcomes.some(({ status }) => status === 'failed')) return [...outcomes]
  const reason =
    run.exitCode === null
      ? 'it was killed'
      : `exit code ${run.exitCode}: coverage under its threshold, or an error outside the tests`
  return [...outcomes, { name: run.name, status: 'failed', reason }]
}
