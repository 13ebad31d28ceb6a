/** Which state of a server may follow which, by timeline, snapshot and position in the log; and which tables have pairs. */
import { expect, test } from 'vitest'
import { ToteError } from '../../src/errors.ts'
import { reachesAtLeast } from '../../src/postgres/snapshot.ts'
import type { ServerIdentity } from '../../src/postgres/catalogue.ts'
import type { PairFacts, TableSize } from '../../src/postgres/sizes.ts'
import {
  followDatabase,
  pairsOf,
  reachOf,
  wantsPairs,
  type TableToFind,
} from '../../src/sources/identity-postgres.ts'
import type { SourceMemory, SourcePairs, SourceSnapshot } from '../../src/sources/source.ts'

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

const TABLE: TableToFind = {
  name: 'sale',
  key: ['sale_id'],
  strategy: 'xmin',
  strategyPlace: 'sources.shop.tables.sale',
  where: null,
}
const SIZE: TableSize = { pages: 10, allPages: 30, rows: 100, heap: true }
const FACTS: PairFacts = { leaves: { 5: 'a' }, files: { 5: '99' }, types: 't', fault: null }
const SERVER: ServerIdentity = {
  system: '7',
  timeline: '1',
  started: 'noon',
  counting: 'one',
  database: 'shop',
  databaseOid: '16384',
  version: '18',
}

test('P2: pairs are kept of what asks for them, and else of tables larger than 64 MB, all parts together', () => {
  const wants = (strategy: TableToFind['strategy'], allPages: number): boolean =>
    wantsPairs({ ...TABLE, strategy }, { ...SIZE, pages: 1, allPages })
  expect(wants('xmin', 0)).toBe(true)
  expect(wants('auto', 8193)).toBe(true)
  expect(wants('auto', 8192)).toBe(false)
  expect(wants('compare', 8193)).toBe(false)
})

/** Of one table: its pairs, undefined where it has none, or what is said of it. */
function pairsOfOne({
  table = {},
  size = {},
  kind = 'r',
  facts = FACTS,
}: {
  table?: Partial<TableToFind>
  size?: Partial<TableSize>
  kind?: string
  facts?: PairFacts | null
}): SourcePairs | ToteError | undefined {
  const one = { ...TABLE, ...table }
  const candidates = [{ table: one, relation: { oid: '5', kind }, size: { ...SIZE, ...size } }]
  const known = new Map(facts === null ? [] : [['5', facts]])
  try {
    return pairsOf({ name: 'shop' }, candidates, SERVER, known).get(one)?.pairs
  } catch (error) {
    if (error instanceof ToteError) return error
    throw error
  }
}

test('P2: pairs hang on the server, the start it is in, the database, the table, its types and the files of its parts', () => {
  const pairs = {
    origin: {
      system: '7',
      timeline: '1',
      started: 'noon',
      counting: 'one',
      databaseOid: '16384',
      table: '5',
      types: 't',
    },
    leaves: { 5: 'a' },
    files: { 5: '99' },
    partitioned: false,
    pages: 30,
    inPlace: true,
  }
  expect(pairsOfOne({})).toEqual(pairs)
  expect(pairsOfOne({ kind: 'p' })).toEqual({ ...pairs, partitioned: true })
  expect(pairsOfOne({ table: { where: 'paid' } })).toEqual({ ...pairs, inPlace: false })
})

test('P2: a table whose rows can read differently though none was written has no pairs, and that is wrong only where it asks', () => {
  for (const [given, why] of [
    [{ size: { heap: false } }, 'is no table whose rows have an xmin'],
    [{ facts: null }, 'is no table whose rows have an xmin'],
    [{ table: { key: ['_tote_row'] } }, 'has no key'],
    [{ table: { keyGiven: true } }, 'has a key that the config gives'],
    [{ facts: { ...FACTS, fault: 'calls a function' } }, 'calls a function'],
  ] as const) {
    const message = `table "sale" ${why}, so its changes cannot be found by xmin`
    expect(pairsOfOne(given)).toMatchObject({
      name: 'ConfigInvalid',
      message: 'The strategy that is asked for does not fit the tables of source "shop".',
      facts: {
        where: TABLE.strategyPlace,
        problems: [{ where: TABLE.strategyPlace, message }],
        fix: "strategy: 'auto', or 'compare'",
      },
    })
    const table = { ...('table' in given ? given.table : {}), strategyPlace: null }
    expect(pairsOfOne({ ...given, table })).toBeUndefined()
  }
  expect(pairsOfOne({ table: { keyGiven: false } })).toHaveProperty('inPlace')
})
