/** Which refusals of a source are tried again within the run, and when. */
import { expect, test } from 'vitest'
import { ToteError } from '../../src/errors.ts'
import { TRIES, waitBeforeNext } from '../../src/pace/back-off.ts'

const cancelled = new ToteError('SourceUnreachable', 'cancelled', { sqlstate: '40001' })

test('P11: a standby that cancels us is asked again a few times, each later than the one before', () => {
  const waits = [1, 2, 3, 4].map((tried) => waitBeforeNext(cancelled, tried))
  expect(waits).toEqual([1000, 2000, 4000, 8000])
  expect(waitBeforeNext(cancelled, TRIES)).toBeNull()
})

test.each([
  ['a standby that lags', new ToteError('SourceBehind', '', { details: { standby: true } }), 1000],
  [
    'a primary that went back',
    new ToteError('SourceBehind', '', { details: { standby: false } }),
    null,
  ],
  ['a server that starts', new ToteError('SourceUnreachable', '', { sqlstate: '57P03' }), 1000],
  ['a server that is gone', new ToteError('SourceUnreachable', ''), null],
  ['a session that was ended', new ToteError('SourceUnreachable', '', { sqlstate: '57P01' }), 1000],
  ['another that crashed', new ToteError('SourceUnreachable', '', { sqlstate: '57P02' }), 1000],
  ['too many clients', new ToteError('SourceUnreachable', '', { sqlstate: '53300' }), null],
  ['a migration that waits', new ToteError('SourceBusy', ''), null],
  ['a warehouse', new ToteError('WarehouseUnreachable', '', { sqlstate: '40001' }), null],
])('%s', (_, error, wait) => {
  expect(waitBeforeNext(error, 1)).toBe(wait)
})

test('P11: a server that sent us away and is not there meanwhile is waited for', () => {
  const gone = new ToteError('SourceUnreachable', '')
  expect([1, 2, 3, 4, 5].map((tried) => waitBeforeNext(gone, tried))).toEqual([null, 2000, 4000, 8000, null]) // prettier-ignore
})
