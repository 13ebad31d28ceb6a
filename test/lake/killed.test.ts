/**
 * Writers that are killed at any effect on the store, between batches and compactions in any order:
 * whoever comes next finds a whole chain, whose every state is that of a model, and goes on from there.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import type { Context } from '../../src/events.ts'
import { writeDueBases, type BasePolicy } from '../../src/lake/base.ts'
import { fromMicros } from '../../src/lake/instant.ts'
import type { CommittedManifest, DataFile } from '../../src/lake/manifest.ts'
import { changesUpTo, rowsAsOf } from '../../src/lake/read.ts'
import { writeRows } from '../../src/lake/write.ts'
import { openZone, type Zone } from '../../src/lake/zone.ts'
import { openFolderStore } from '../../src/storage/store-folder.ts'
import type { Store } from '../../src/storage/store.ts'
import type { Column } from '../../src/types.ts'

let folder: string
let engine: Engine

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-killed-'))
  engine = await openEngine({ tempFolder: join(folder, 'tmp'), threads: 1 })
})

afterAll(async () => {
  engine.close()
  await rm(folder, { recursive: true, force: true })
})

const COLUMNS: readonly Column[] = [
  { id: 1, name: 'id', type: 'integer', carried: 'INTEGER', notNull: true },
  { id: 2, name: 'value', type: 'integer', carried: 'INTEGER', notNull: false },
]
const context: Context = {
  run: 'r',
  signal: new AbortController().signal,
  now: () => new Date(0),
  emit: () => undefined,
}
const POLICIES: Readonly<Record<'base' | 'merge', BasePolicy>> = {
  base: { files: 0 },
  merge: { files: 1, fewRows: 0, share: 0 },
}

class Killed extends Error {
  override readonly name = 'Killed'
}

/** After so many effects nothing happens any more; an effect is cut off before it, or after it, its answer lost. */
function openMortalStore(url: string, effects: number): Store {
  const store = openFolderStore(url)
  let left = effects
  const mortal = async <T>(effect: () => Promise<T>): Promise<T> => {
    left -= 1
    if (left < 0) throw new Killed()
    const answer = await effect()
    left -= 1
    if (left < 0) throw new Killed()
    return answer
  }
  return {
    ...store,
    create: async (key, body) => mortal(async () => store.create(key, body)),
    writeFile: async (key, produce) => mortal(async () => store.writeFile(key, produce)),
  }
}

const step = fc.record({
  type: fc.constantFrom('batch', 'batch', 'batch', 'base', 'merge'),
  /** 0 deletes the row. */
  changes: fc.uniqueArray(fc.record({ id: fc.nat(12), value: fc.nat(3) }), {
    selector: ({ id }) => id,
    minLength: 1,
    maxLength: 4,
  }),
  /** Effects that the writer lives to see: many are more than it needs. */
  effects: fc.constantFrom(0, 1, 2, 3, 5, 100, 100, 100),
})
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never
type Rows = ReadonlyMap<number, number>

function apply(rows: Rows, changes: Step['changes']): { after: Rows; real: Step['changes'] } {
  const real = changes.filter(({ id, value }) =>
    value === 0 ? rows.has(id) : rows.get(id) !== value,
  )
  const after = new Map(rows)
  for (const { id, value } of real) {
    if (value === 0) after.delete(id)
    else after.set(id, value)
  }
  return { after, real }
}

async function commitBatch(
  zone: Zone,
  parent: CommittedManifest | null,
  changes: Step['changes'],
  rows: number,
): Promise<CommittedManifest> {
  const batch = (parent?.batch ?? 0) + 1
  const instant = fromMicros(BigInt(batch))
  const values = changes.map(
    ({ id, value }) => `('${value === 0 ? 'd' : 'u'}', ${id}, nullif(${value}, 0))`,
  )
  const file: DataFile | null =
    changes.length === 0
      ? null
      : await writeRows(zone, engine, {
          chain: 'shop',
          table: 't',
          relation: `(values ${values.join(', ')}) v("_tote_op", "id", "value")`,
          columns: COLUMNS,
          key: ['id'],
          batch,
          instant,
          base: false,
          rows: changes.length,
          deletes: changes.filter(({ value }) => value === 0).length,
        })
  const { base = [], files = [], previous = null } = parent?.tables['t'] ?? {}
  const t = {
    columns: COLUMNS,
    key: ['id'],
    shape: '',
    position: {},
    rows,
    base,
    files: [...files, ...(file === null ? [] : [file])],
    previous,
  }
  const draft = { chain: 'c', batch, instant, run: 'r', writer: 'test', tables: { t } }
  return zone.chain('shop').commit(draft, parent)
}

test('P3, P7: killed at any effect, a lake is what its newest manifest says, and the next writer goes on', async () => {
  const seen = { killed: 0, committedAndKilled: 0, compacted: 0 }
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
      const url = await mkdtemp(join(folder, 'lake-'))
      /** By batch. */
      let states: Rows[] = [new Map()]
      for (const { type, changes, effects } of steps) {
        const zone = openZone(openMortalStore(url, effects))
        const before = await zone.chain('shop').newest()
        const { after, real } = apply(states.at(-1) ?? new Map(), changes)
        let killed = false
        try {
          if (type === 'batch') await commitBatch(zone, before, real, after.size)
          else if (before !== null) {
            const policy = POLICIES[type === 'base' ? 'base' : 'merge']
            const compacted = await writeDueBases(zone, engine, before, policy, context)
            if (compacted.number > before.number) seen.compacted += 1
          }
        } catch (error) {
          if (!(error instanceof Killed)) throw error
          killed = true
          seen.killed += 1
        }
        // Another process, which checks every file that it reads.
        const reader = openZone(openFolderStore(url))
        const newest = await reader.chain('shop').newest()
        const grown = (newest?.batch ?? 0) - (before?.batch ?? 0)
        if (!killed) expect(grown).toBe(type === 'batch' ? 1 : 0)
        if (killed && grown === 1) seen.committedAndKilled += 1
        if (grown === 1) states = [...states, after]
        if (newest === null) continue
        await expectStates(reader, newest, states)
      }
    }),
    { numRuns: 60 },
  )
  expect(seen.killed).toBeGreaterThan(10)
  expect(seen.committedAndKilled).toBeGreaterThan(0)
  expect(seen.compacted).toBeGreaterThan(5)
}, 240_000)

/** Every state, and that the changes add up to the last. */
async function expectStates(
  reader: Zone,
  newest: CommittedManifest,
  states: readonly Rows[],
): Promise<void> {
  const sorted = (rows: Rows): number[][] => [...rows].toSorted(([a], [b]) => a - b)
  const rowsOf = async (sql: string): Promise<number[][]> =>
    (await engine.rows(`select id, value from (${sql}) order by id`)).map(({ id, value }) => [
      Number(id),
      Number(value),
    ])
  for (const batch of new Set([1, Math.ceil(newest.batch / 2), newest.batch]))
    expect(await rowsOf(await rowsAsOf(reader, newest, 't', batch)), `as of ${batch}`).toEqual(
      sorted(states[batch] ?? new Map()),
    )
  expect(newest.tables['t']?.rows).toBe(states.at(-1)?.size)
  const all = await changesUpTo(reader, newest, 't', newest.batch)
  const last = `select id, arg_max("_tote_op", "_tote_batch") as op, arg_max(coalesce(value, 0), "_tote_batch") as value from (${all}) group by id`
  expect(await rowsOf(`select * from (${last}) where op = 'u'`)).toEqual(
    sorted(states.at(-1) ?? new Map()),
  )
}
