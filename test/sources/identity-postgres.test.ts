/** Which state of a server may follow which, by timeline, snapshot and position in the log. */
import { expect, test } from 'vitest'
import { ToteError } from '../../src/errors.ts'
import { reachesAtLeast } from '../../src/postgres/snapshot.ts'
import { followDatabase, reachOf } from '../../src/sources/identity-postgres.ts'
import type { SourceMemory, SourceSnapshot } from '../../src/sources/source.ts'

interface State {
  readonly timeline?: string | null
  readonly position?: string
  readonly standby?: boolean
  /** One position for both ends of the reach. */
  readonly lsn?: string | null
}

function follow(now: State, before: State): string {
  const { timeline = '1', position = '100:100:', standby = false, lsn = '0/5000100' } = now
  const snapshot = {
    identity: { system: '7', database: 'shop', timeline },
    position,
    standby,
    reach: lsn === null ? null : { least: lsn, most: lsn },
  } as unknown as SourceSnapshot
  const memory: SourceMemory = {
    identity: {
      system: '7',
      database: 'shop',
      timeline: before.timeline === undefined ? '1' : before.timeline,
    },
    position: before.position ?? '100:100:',
    ...(before.lsn === null ? {} : { reached: before.lsn ?? '0/5000100' }),
  }
  try {
    followDatabase('shop', snapshot, memory)
    return 'follows'
  } catch (error) {
    return (error as Error).name
  }
}

test('P2: a standby that has not replayed what the last batch saw is behind, though its snapshot names nothing in progress', () => {
  expect(follow({ standby: true, lsn: '0/50000F8' }, {})).toBe('SourceBehind')
  expect(follow({ standby: true, lsn: '0/5000100' }, {})).toBe('follows')
  expect(follow({ standby: true, lsn: '1/100' }, { lsn: '0/FFFFFF00' })).toBe('follows')
  expect(follow({ standby: true, position: '99:99:' }, {})).toBe('SourceBehind')
})

test('a primary tells by its snapshot alone: a crash may lose what nobody had committed', () => {
  expect(follow({ lsn: '0/5000000' }, {})).toBe('follows')
  expect(follow({ position: '99:99:' }, {})).toBe('SourceBehind')
})

test('P2: a later timeline is a promoted standby, an earlier one a server that was left behind', () => {
  expect(follow({ timeline: '2', position: '90:90:' }, {})).toBe('follows')
  expect(follow({ timeline: '2', position: '200:200:' }, { timeline: '3' })).toBe('SourceBehind')
  expect(follow({ timeline: '10', position: '90:90:' }, { timeline: '9' })).toBe('follows')
  // A standby learns late which timeline it follows.
  expect(follow({ timeline: '1', standby: true }, { timeline: '2' })).toBe('follows')
  expect(follow({ timeline: '1', standby: true, lsn: '0/5000000' }, { timeline: '2' })).toBe(
    'SourceBehind',
  )
})

test('where a server does not tell, snapshots are compared alone', () => {
  expect(follow({ standby: true, lsn: null }, {})).toBe('follows')
  expect(follow({ standby: true }, { lsn: null })).toBe('follows')
  expect(follow({ timeline: null, position: '99:99:' }, {})).toBe('SourceBehind')
})

test('two servers behind one name: what was read of the other says nothing', () => {
  const at = (started: string, lsn: string | null) => ({ started, lsn, timeline: null })
  expect(reachOf(at('a', '0/1'), at('a', '0/2'))).toEqual({ least: '0/1', most: '0/2' })
  expect(reachOf(at('a', '0/9'), at('b', '0/2'))).toEqual({ least: '0/0', most: '0/2' })
  expect(reachOf(at('a', null), at('a', '0/2'))).toBeNull()
  expect(reachOf(at('a', '0/1'), at('a', null))).toBeNull()
})

test('positions are compared without the header of a page that nothing was written to', () => {
  // After a switch of files an idle primary stands behind the header, the standby before it.
  expect(reachesAtLeast('0/3000000', '0/3000028')).toBe(true)
  expect(reachesAtLeast('0/3002000', '0/3002018')).toBe(true)
  expect(reachesAtLeast('0/3002000', '0/3002020')).toBe(false)
  expect(reachesAtLeast('0/3000000', '0/3000030')).toBe(false)
  expect(() => reachesAtLeast('0/', '0/1')).toThrow(RangeError)
})

test('a timeline that one side does not tell decides nothing', () => {
  expect(follow({ timeline: null }, { timeline: '2' })).toBe('follows')
  expect(follow({ timeline: '2', position: '99:99:' }, { timeline: null })).toBe('SourceBehind')
})

/** The error that is thrown, or null. */
function refused(
  now: Partial<SourceSnapshot>,
  before: Partial<SourceMemory> = {},
): ToteError | null {
  const same = { identity: { system: '7', database: 'shop', timeline: '1' }, position: '9:9:' }
  try {
    followDatabase('shop', { ...same, ...now } as SourceSnapshot, { ...same, ...before })
    return null
  } catch (error) {
    if (error instanceof ToteError) return error
    throw error
  }
}

test('P2: another system, or another database, is replaced, and says which of the two differs', () => {
  const identity = { system: '7', database: 'shop', timeline: '1' }
  expect(refused({})).toBeNull()
  for (const [other, what] of [
    [{ system: '8' }, 'its system identifier differs'],
    [{ database: 'other' }, 'its database name differs'],
    [{ system: '8', database: 'other' }, 'its system identifier and database name differs'],
  ] as const) {
    const error = refused({ identity: { ...identity, ...other } })
    expect(error?.name).toBe('SourceReplaced')
    expect(error?.message).toBe(
      `Source "shop" is another database than the last batch saw: ${what}.`,
    )
    expect(error?.facts.fix).toBe('tote run --accept-source')
    expect(error?.facts.why).toContain('must be a decision')
  }
  // A right to ask for it that was lost, or given, since.
  expect(refused({ identity: { ...identity, system: null } })).toBeNull()
  expect(refused({}, { identity: { ...identity, system: null } })).toBeNull()
})

test('P2: an older state says whose it is, and whether waiting helps', () => {
  const lagging = refused({ position: '8:8:', standby: true })
  expect(lagging?.name).toBe('SourceBehind')
  expect(lagging?.message).toBe('Source "shop" shows an older state than the last batch saw.')
  expect(lagging?.facts).toMatchObject({
    why: 'a standby that lags would look like deletions',
    fix: 'run again when it has caught up',
    details: { standby: true },
  })
  for (const standby of [false, undefined])
    expect(refused({ position: '8:8:', standby } as Partial<SourceSnapshot>)?.facts).toMatchObject({
      why: 'a server put back to an earlier state would look like deletions',
      fix: 'when it was put back on purpose: tote run --accept-source',
      details: { standby: false },
    })
})

test('a snapshot that was not told decides nothing', () => {
  expect(refused({ position: null })).toBeNull()
  expect(refused({}, { position: null })).toBeNull()
  const memory = { reached: '0/5000100' }
  expect(refused({ standby: true }, memory)).toBeNull()
  expect(refused({ standby: true, reach: null } as Partial<SourceSnapshot>, memory)).toBeNull()
})
