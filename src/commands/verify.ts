/** `tote verify`: a batch, and then source, lake and warehouse compared row by row; exit 5 where they differ. */
import type { Invocation } from '../cli/context.ts'
import { conductRun, STAGES, type ConductFlags } from './run.ts'

export interface VerifyFlags extends Omit<ConductFlags, 'stages'> {
  readonly repair?: boolean
  readonly wait: boolean
}

export async function commandVerify(
  invocation: Invocation,
  tables: readonly string[],
  flags: VerifyFlags,
): Promise<number> {
  const { repair = false, wait } = flags
  const stages = [...STAGES, 'verify'] as const
  return conductRun(invocation, { ...flags, stages }, async (project, context) =>
    invocation.pipeline.verify(project, { tables, repair, wait }, context),
  )
}
