import { expect, test } from 'vitest'
import { withTimeout } from '../../src/cli/context.ts'

test('a timeout aborts with RunTimedOut, a signal before it with its own reason', async () => {
  const timed = withTimeout(new AbortController().signal, 5)
  await new Promise((resolve) => timed.signal.addEventListener('abort', resolve))
  expect(timed.signal.reason).toMatchObject({ name: 'RunTimedOut' })
  const stopped = withTimeout(AbortSignal.abort('by hand'), 5)
  stopped.stop()
  expect(stopped.signal.reason).toBe('by hand')
})
