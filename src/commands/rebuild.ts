/** `tote rebuild`: a new warehouse from the lake alone, in the place of the live one. */
import type { Invocation } from '../cli/context.ts'
import type { RebuildOptions } from '../pipeline/rebuild.ts'
import { conductRun, type ConductFlags } from './run.ts'

export interface RebuildFlags extends Omit<ConductFlags, 'stages' | 'dryRun'>, RebuildOptions {}

/** Returns the exit code; throws what went wrong before the rebuild began. */
export async function commandRebuild(invocation: Invocation, flags: RebuildFlags): Promise<number> {
  const { into, dryRun = false, acceptLake, ...conducted } = flags
  return conductRun(
    invocation,
    { ...conducted, dryRun, stages: ['load'] },
    async (project, context) =>
      invocation.pipeline.rebuild(project, { into, dryRun, acceptLake }, context),
  )
}
