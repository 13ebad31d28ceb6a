/** Losing the race for a manifest: the loser computes its difference again on the new parent (P3). */
import { ToteError } from '../errors.ts'
import type { Context } from '../events.ts'

const MAX_ATTEMPTS = 5

/** Runs `attempt` again, a few times, as long as it ends with LakeConflict. */
export async function untilCommitted<T>(
  chain: string,
  context: Context,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof ToteError && error.name === 'LakeConflict') || tried === MAX_ATTEMPTS)
        throw error
      context.emit({
        type: 'note',
        level: 'info',
        text: `another run committed to "${chain}" first; computing again`,
      })
    }
  }
}
