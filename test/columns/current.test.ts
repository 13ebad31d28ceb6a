/** P2, P6: what is current, of all rows or of some, is what the changes of one batch after the other leave. */
import fc from 'fast-check'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { changedRows, currentRows, isAmong, newestChanges } from '../../src/columns/current.ts'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import type { WrittenFile } from '../../src/columns/file.ts'
import { writeFile } from '../../src/columns/files.ts'

let folder: string
let engine: Engine
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-current-'))
  engine = await openEngine({ tempFolder: join(folder, 'tmp'), threads: 1 })
})
afterAll(async () => {
  engine.close()
  await rm(folder, { recursive: true, force: true })
})

const KEY = ['a "a"', 'b']
const columnsOf = (carried: string): { id: number; name: string; carried: string }[] => [
  { id: 1, name: 'b', carried: 'VARCHAR' },
  { id: 2, name: 'v', carried },
  { id: 3, name: 'a "a"', carried: 'INTEGER' },
]

interface Change {
  readonly op: 'u' | 'd'
  readonly a: number
  readonly b: string
  readonly v: number
}

const nameOf = ({ a, b }: Change): string => `${a} ${b}`
/** At most one change to a key. */
const batch = (op: fc.Arbitrary<'u' | 'd'>): fc.Arbitrary<Change[]> =>
  fc.uniqueArray(fc.record({ op, a: fc.nat(2), b: fc.constantFrom('x', 'y'), v: fc.nat(9) }), {
    selector: nameOf,
    maxLength: 5,
  })
const batches = fc.tuple(
  batch(fc.constant('u')),
  fc.array(batch(fc.constantFrom('u', 'u', 'd')), { maxLength: 3 }),
)

let written = 0

async function write(
  changes: readonly Change[],
  number: number,
  carried: string,
): Promise<WrittenFile> {
  const path = join(folder, `${++written}.parquet`)
  const rows = changes.map(({ op, a, b, v }) => `('${op}', ${a}, '${b}', ${v})`)
  const relation =
    `(select o::varchar as _tote_op, b::varchar as b, v::${carried} as v, a::integer as "a ""a"""` +
    ` from (values ${[...rows, '(null, null, null, null)'].join(', ')}) r(o, a, b, v) where o is not null)`
  await engine.run(
    writeFile('parquet', { relation, columns: columnsOf(carried), key: KEY, batch: number, path }),
  )
  return { path, format: 'parquet', longest: 0, carried: {} }
}

const shown = async (select: string): Promise<string[]> =>
  (
    await engine.rows(
      `select concat_ws(' ', "a ""a""", b, v::integer) as row from (${select}) order by row`,
    )
  ).map(({ row }) => String(row))

test('P2: the newest change of each key is current, a deleted key is none, and some rows are those of all', async () => {
  const types = fc.constantFrom('INTEGER', 'DOUBLE')
  await fc.assert(
    fc.asyncProperty(batches, types, fc.nat(2), async ([first, later], carried, wanted) => {
      const columns = columnsOf(carried)
      const bulk = [await write(first, 1, carried)]
      const since = await Promise.all(
        later.map(async (changes, index) => write(changes, index + 2, carried)),
      )
      const newest = new Map([...later].flat().map((change) => [nameOf(change), change]))
      const current = new Map(
        [...first, ...newest.values()].map((change) => [nameOf(change), change]),
      )
      const left = [...current.values()].filter(({ op }) => op === 'u')
      const text = (changes: readonly Change[]): string[] =>
        changes.map((change) => `${nameOf(change)} ${change.v}`).toSorted()
      const rows = { columns, key: KEY, bulk, since }
      expect(await shown(currentRows(rows))).toEqual(text(left))
      const relation = `(select ${wanted} as "of ""a""", 'x' as "of b")`
      const both = {
        relation,
        on: [
          { column: 'of "a"', as: 'a "a"' },
          { column: 'of b', as: 'b' },
        ],
      }
      const half = { relation, on: both.on.slice(1) }
      const x = left.filter(({ b }) => b === 'x')
      expect(await shown(currentRows(rows, both))).toEqual(text(x.filter(({ a }) => a === wanted)))
      expect(await shown(currentRows(rows, half))).toEqual(text(x))
      expect(await shown(`select * from (${currentRows(rows)}) where ${isAmong(half)}`)).toEqual(
        text(x),
      )
      if (since.length === 0) return
      const changes = await engine.rows(newestChanges(columns, KEY, since, false))
      expect(changes.map((row) => Object.keys(row))).toEqual(
        changes.map(() => ['_tote_op', 'b', 'v', 'a "a"']),
      )
      expect(
        changes
          .map((row) => `${String(row['_tote_op'])} ${String(row['a "a"'])} ${String(row['b'])}`)
          .toSorted(),
      ).toEqual([...newest.values()].map((change) => `${change.op} ${nameOf(change)}`).toSorted())
      const all = await engine.rows(changedRows(columns, since))
      expect(
        all
          .map(
            (row) =>
              `${String(row['_tote_batch'])} ${String(row['_tote_op'])} ${String(row['a "a"'])} ${String(row['b'])}`,
          )
          .toSorted(),
      ).toEqual(
        later
          .flatMap((each, index) =>
            each.map((change) => `${index + 2} ${change.op} ${nameOf(change)}`),
          )
          .toSorted(),
      )
    }),
    { numRuns: 40 },
  )
})
