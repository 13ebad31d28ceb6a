/**
 * P7: an empty warehouse that gets the whole history at once equals one that got it batch after batch, record ids
 * included. Random histories in a real lake, with bases and merged files.
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import { writeDueBases } from '../../src/lake/base.ts'
import { fromMicros } from '../../src/lake/instant.ts'
import { tableEntries, type CommittedManifest } from '../../src/lake/manifest.ts'
import { writeRows } from '../../src/lake/write.ts'
import { openZone, type Zone } from '../../src/lake/zone.ts'
import { wholeStar } from '../../src/pipeline/history.ts'
import { entryOf, starOf, tableChanges } from '../../src/pipeline/star.ts'
import { openFolderStore } from '../../src/storage/store-folder.ts'
import { openPostgresWarehouse } from '../../src/warehouse/warehouse-postgres.ts'
import type { Warehouse } from '../../src/warehouse/warehouse.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'
import { columns, starTable, testContext } from '../support/star.ts'

const RUNS = 12

/** A key that the lake carries as text: 1 and 1.0 are two there, and one in the warehouse. */
const dim = starTable({
  name: 'dim_thing',
  kind: 'dimension',
  columns: columns(['thing', 'numeric', 'VARCHAR'], ['word?', 'text', 'VARCHAR']),
  key: ['thing'],
})
const fact = starTable({
  name: 'fact_event',
  kind: 'fact',
  columns: columns(['x', 'double precision', 'DOUBLE'], ['y', 'text', 'VARCHAR'], ['thing?', 'numeric', 'VARCHAR'], ['n?', 'integer', 'INTEGER']), // prettier-ignore
  key: ['x', 'y'],
  recordId: 'event_id',
  references: [{ column: 'thing', model: 'dim_thing' }],
})
const plain = starTable({
  name: 'fact_plain',
  kind: 'fact',
  columns: columns(['id', 'integer', 'INTEGER'], ['n?', 'integer', 'INTEGER']),
  key: ['id'],
})
const versions = starTable({
  name: 'dim_old',
  kind: 'dimension',
  history: true,
  columns: columns(['id', 'integer', 'INTEGER'], ['n?', 'integer', 'INTEGER']),
  key: ['id'],
})
const latest = starTable({
  name: 'stock',
  kind: 'table',
  columns: columns(['id', 'integer', 'INTEGER'], ['n?', 'integer', 'INTEGER']),
  key: ['id'],
})
const small = starTable({ ...latest, name: 'dim_small', kind: 'dimension' })
const star = [dim, fact, plain, versions, latest, small]

type Change = readonly [table: number, key: number, value: number | null]
const change = fc.tuple(
  fc.nat(star.length - 1),
  fc.nat(4),
  fc.option(fc.nat(3), { freq: 3, nil: null }),
)
const history = fc.record({
  batches: fc.array(fc.array(change, { minLength: 1, maxLength: 8 }), {
    minLength: 2,
    maxLength: 7,
  }),
  files: fc.nat(3),
  share: fc.constantFrom(0, 1, 8),
})

/** Change files are merged. */
const MERGED = {
  batches: [
    Array.from({ length: 30 }, (_, key): Change => [2, key, 1]),
    ...[2, null, 3].map((value, key): Change[] => [
      [2, key % 3, value],
      [3, 1, value],
    ]),
  ],
  files: 1,
  share: 1,
}
/** One key in two spellings, deleted under the second, and another that comes back. */
const RESPELT = {
  batches: [[[0, 1, 0], [0, 2, 1]], [[0, 1, 1], [0, 2, null]], [[0, 1, null], [0, 2, 2]]] as Change[][], // prettier-ignore
  files: 3,
  share: 8,
}

/** Few rows lie as they came, and not in the order of the key. */
const SCRAMBLED = {
  batches: [[[1, 1, 0], [1, 0, 0], [0, 0, null]], [[0, 0, null]], [[0, 0, null]]] as Change[][], // prettier-ignore
  files: 0,
  share: 0,
}
/** Many lie in the order of the key, which is counted by. */
const SORTED = {
  batches: [
    Array.from({ length: 2100 }, (_, key): Change => [0, 2100 - key, key % 3]),
    [[0, 7, 2], [0, 8, null], [0, 9000, 1]] as Change[], // prettier-ignore
  ],
  files: 3,
  share: 8,
}

let database: TestDatabase
let engine: Engine
let folder: string
beforeAll(async () => {
  database = await (await testServer()).createDatabase('whole')
  folder = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'tote-whole-'))
  engine = await openEngine({ tempFolder: join(folder, 'tmp'), threads: 1 })
})
afterAll(async () => {
  engine.close()
  await database.drop()
  await rm(folder, { recursive: true, force: true })
})

/** What stands in the lake, by key as a number; the text of a row is SQL. */
type State = ReadonlyMap<string, Map<number, readonly string[]>>

/** The row that a change leads to, in the order of the columns. */
function rowOf(table: number, key: number, value: number, state: State): readonly string[] {
  const things = [...(state.get('dim_thing')?.values() ?? [])]
  const thing = things[value % Math.max(1, things.length)]?.[0] ?? 'null'
  switch (star[table]?.name) {
    case 'dim_thing':
      return [`'${key}${['', '.0', '.00', ''][value]}'`, value === 0 ? 'null' : `'w${value}'`]
    case 'fact_event':
      return [
        `'${['-0.0', '1.5', 'nan', '-2', '0'][key] ?? '3'}'::double`,
        `'${'yz'[key % 2]}'`,
        thing,
        `${value}`,
      ]
    default:
      return [`${key}`, value === 0 ? 'null' : `${value}`]
  }
}

function changesOf(table: number, changes: readonly Change[], state: State): string[] {
  const { name = '', key = [], columns: all = [] } = star[table] ?? {}
  const rows = state.get(name) ?? new Map<number, readonly string[]>()
  const ops: string[] = []
  const seen = new Set<number>()
  const gone = (row: readonly string[]): string =>
    `('d', ${all.map((column, index) => (key.includes(column.name) ? row[index] : 'null')).join(', ')})`
  for (const [, at, value] of changes) {
    // 0.0 and -0.0 are one key to every side.
    const id = name === 'fact_event' && at === 4 ? 0 : at
    if (seen.has(id)) continue
    seen.add(id)
    const old = rows.get(id)
    if (value === null) {
      if (old !== undefined) ops.push(gone(old))
      rows.delete(id)
      continue
    }
    const row = rowOf(table, at, value, state)
    if (old?.join() === row.join()) continue
    if (old !== undefined && name === 'dim_thing' && old[0] !== row[0]) ops.push(gone(old))
    ops.push(`('u', ${row.join(', ')})`)
    rows.set(id, row)
  }
  return ops
}

async function commit(
  zone: Zone,
  parent: CommittedManifest | null,
  changes: readonly Change[],
  state: State,
): Promise<CommittedManifest | null> {
  const batch = (parent?.batch ?? 0) + 1
  const instant = fromMicros(1_700_000_000_000_000n + BigInt(batch) * 1_000_001n)
  const tables = tableEntries()
  let any = parent === null
  for (const [index, table] of star.entries()) {
    const ops = changesOf(
      index,
      changes.filter(([at]) => at === index),
      state,
    )
    any ||= ops.length > 0
    const names = table.columns.map(({ name }) => `"${name}"`).join(', ')
    const casts = table.columns.map(({ name, carried }) => `"${name}"::${carried} as "${name}"`)
    const file =
      ops.length === 0
        ? []
        : [
            await writeRows(zone, engine, {
              chain: 'p',
              table: table.name,
              relation: `(select _tote_op, ${casts.join(', ')} from (values ${ops.join(', ')}) as v(_tote_op, ${names}))`,
              columns: table.columns,
              key: table.key,
              batch,
              instant,
              base: false,
              rows: ops.length,
              deletes: ops.filter((op) => op.startsWith("('d'")).length,
            }),
          ]
    const before = parent?.tables[table.name]
    tables[table.name] = {
      columns: table.columns,
      key: table.key,
      shape: '',
      position: {},
      rows: state.get(table.name)?.size ?? 0,
      base: before?.base ?? [],
      files: [...(before?.files ?? []), ...file],
      previous: before?.previous ?? null,
      model: { kind: table.kind, ...(table.history === true ? { history: true } : {}), recordId: table.recordId, references: table.references, comment: null, generation: 1 }, // prettier-ignore
    }
  }
  if (!any) return parent
  return zone
    .chain('p')
    .commit({ chain: 'c', batch, instant, run: 'r', writer: 'test', tables }, parent)
}

async function rowsIn(schema: string): Promise<readonly string[]> {
  const rows = await database.query(
    star
      .map(({ name }) => `select '${name} ' || t::text as row from ${schema}.${name} as t`)
      .join(' union all ') + ' order by 1',
  )
  return rows.map(({ row }) => row ?? '')
}

async function ledgerIn(schema: string): Promise<unknown> {
  return database.query(
    `select pipeline, batch, generation, chain, manifest, manifest_sha256, instant, run from ${schema}.ledger order by generation, batch`,
  )
}

test(
  'P4, P6, P7: the whole history at once is what batch after batch comes to, record ids and ledger included',
  { timeout: 240_000 },
  async () => {
    let number = 0
    const compacted = { base: 0, merged: 0 }
    await fc.assert(
      fc.asyncProperty(history, async ({ batches, files, share }) => {
        number += 1
        const zone = openZone(openFolderStore(join(folder, `lake-${number}`)))
        const state = new Map(star.map(({ name }) => [name, new Map<number, readonly string[]>()]))
        let newest: CommittedManifest | null = null
        const context = testContext()
        const project = { name: 'p', processed: zone }
        const open = async (schema: string): Promise<Warehouse> =>
          openPostgresWarehouse({ url: database.url, schema, ledger: schema, readers: [] })
        const [live, once] = await Promise.all([open('live'), open('once')])
        try {
          await database.query(
            'drop schema if exists live cascade; drop schema if exists once cascade',
          )
          for (const changes of batches) {
            const before = newest?.number
            newest = await commit(zone, newest, changes, state)
            if (newest === null || newest.number === before) continue
            const manifest = newest
            const made = await Promise.all(
              starOf(manifest).map(async (table) =>
                tableChanges(project, engine, {
                  newest: manifest,
                  table,
                  manifest,
                  batch: manifest.batch,
                }),
              ),
            )
            await live.apply({ entry: entryOf(project, manifest, context), changes: made, live: [] }, context) // prettier-ignore
            newest = await writeDueBases(zone, engine, manifest, { files, share, fewRows: share }, context) // prettier-ignore
          }
          if (newest === null) return
          for (const { base, files: since } of Object.values(newest.tables)) {
            compacted.base += base.length
            compacted.merged += since.filter(({ merged }) => merged !== undefined).length
          }
          const whole = await wholeStar(project, engine, { newest, star: starOf(newest) }, context)
          expect((await once.begin(whole, context)).status).toBe('applied')
          expect(await rowsIn('once')).toEqual(await rowsIn('live'))
          expect(await ledgerIn('once')).toEqual(await ledgerIn('live'))
          expect((await once.begin(whole, context)).status).toBe('stale')
        } finally {
          await Promise.all([live.close(), once.close()])
          await rm(join(folder, `lake-${number}`), { recursive: true, force: true })
        }
      }),
      { numRuns: RUNS, examples: [[MERGED], [RESPELT], [SCRAMBLED], [SORTED]] },
    )
    expect(compacted.base).toBeGreaterThan(0)
    expect(compacted.merged).toBeGreaterThan(0)
  },
)
