/**
 * P6, P7: a table's whole history, in one query, is what applying batch after batch comes to: versions with their
 * numbers, their ends and their deletions, computed here one change at a time.
 */
import fc from 'fast-check'
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import { quoteText } from '../../src/columns/sql.ts'
import { deletedRows, NUMBER_COLUMN, VERSION_COLUMNS, versionsOf } from '../../src/star/versions.ts'

let engine: Engine
beforeAll(async () => {
  engine = await openEngine({ tempFolder: tmpdir() })
  await engine.run("set timezone = 'UTC'")
})
afterAll(() => engine.close())

const COLUMNS = [
  { name: 'a', carried: 'INTEGER' },
  { name: 'B "b"', carried: 'DOUBLE' },
  { name: 'v', carried: 'VARCHAR' },
]
const KEY = ['a', 'B "b"']

interface Change {
  readonly op: 'u' | 'd'
  readonly batch: number
  readonly key: readonly [number, number]
  readonly value: string
}

const KEYS = [1, 2].flatMap((a) => [-1.5, 0, 7].map((b) => [a, b] as const))

/** Batches of at most one change to a key; a key that is not there cannot be deleted. */
const changesOf = fc
  .array(fc.array(fc.tuple(fc.nat(KEYS.length - 1), fc.boolean()), { maxLength: 6 }), {
    minLength: 1,
    maxLength: 6,
  })
  .map((batches) => {
    const there = new Set<number>()
    return batches.flatMap((batch, index) =>
      [...new Map(batch)].flatMap(([number, deletes]): Change[] => {
        const key = KEYS[number] ?? [0, 0]
        if (deletes ? !there.delete(number) : false) return []
        if (!deletes) there.add(number)
        return [
          {
            op: deletes ? 'd' : 'u',
            batch: index + 1,
            key,
            value: deletes ? '' : `${index} ${number}`,
          },
        ]
      }),
    )
  })

const instantOf = (batch: number): string => `2026-11-0${batch}T09:30:00.123456Z`
const instants = new Map([1, 2, 3, 4, 5, 6].map((batch) => [batch, instantOf(batch)]))

function relationOf(changes: readonly Change[]): string {
  const rows = changes.map(
    ({ op, batch, key: [a, b], value }) =>
      `('${op}', ${batch}, ${a}, ${b}::double, ${op === 'd' ? 'null' : quoteText(value)})`,
  )
  return rows.length === 0
    ? `select 'u' as _tote_op, 1::bigint as _tote_batch, 1 as a, 1::double as "B ""b""", 'x' as v where false`
    : `select op as _tote_op, batch::bigint as _tote_batch, a, b as "B ""b""", v from (values ${rows.join(', ')}) x(op, batch, a, b, v)`
}

type Version = readonly (string | number | boolean | null)[]

const byKey = (one: Change, other: Change): number =>
  one.key[0] - other.key[0] || one.key[1] - other.key[1]

/** Number, key, value, from, to, deleted, batch: change after change. */
function expected(changes: readonly Change[]): Version[] {
  const ordered = changes.toSorted((one, other) => one.batch - other.batch || byKey(one, other))
  const versions: Change[] = ordered.filter(({ op }) => op === 'u')
  return versions.map((version, index) => {
    const next = ordered.find(({ key, batch }) => key === version.key && batch > version.batch)
    return [
      index + 1,
      ...version.key,
      version.value,
      instantOf(version.batch),
      next === undefined ? null : instantOf(next.batch),
      next?.op === 'd',
      version.batch,
    ]
  })
}

async function found(history: Parameters<typeof versionsOf>[0]): Promise<Version[]> {
  const { prepare, selects } = versionsOf(history)
  for (const statement of prepare) await engine.run(statement)
  const rows: Version[] = []
  for (const select of selects) {
    for (const row of await engine.rows(
      `select * replace (${['valid_from', 'valid_to'].map((name) => `strftime(${name} at time zone 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ') as ${name}`).join(', ')}) from (${select})`,
    )) {
      expect(Object.keys(row)).toEqual([NUMBER_COLUMN, 'a', 'B "b"', 'v', ...VERSION_COLUMNS])
      rows.push(
        Object.values(row).map((value) =>
          typeof value === 'bigint' ? Number(value) : value,
        ) as Version,
      )
    }
  }
  return rows.toSorted((one, other) => Number(one[0]) - Number(other[0]))
}

test('P6, P7: versions, their numbers, ends and deletions are those of change after change', async () => {
  await fc.assert(
    fc.asyncProperty(changesOf, async (changes) => {
      const history = { columns: COLUMNS, key: KEY, instants }
      expect(await found({ ...history, changes: relationOf(changes), bulk: null })).toEqual(
        expected(changes),
      )
      // The first batch lies in the order of its key already.
      const first = changes.filter(({ batch }) => batch === 1).toSorted(byKey)
      const later = changes.filter(({ batch }) => batch > 1)
      await engine.run(
        `create or replace temp table bulk as select * exclude (_tote_op, _tote_batch), row_number() over (order by a, "B ""b""") - 1 as place from (${relationOf(first)})`,
      )
      const bulk = { relation: 'bulk', place: 'place', batch: 1, rows: first.length }
      expect(await found({ ...history, changes: relationOf(later), bulk })).toEqual(
        expected(changes),
      )
    }),
    { numRuns: 40 },
  )
})

test('P7: without any batch there is no version', async () => {
  const history = { columns: COLUMNS, key: KEY, instants: new Map<number, string>() }
  expect(await found({ ...history, changes: relationOf([]), bulk: null })).toEqual([])
})

test('P6: a deleted key is known by its last values, and one that came back is not', async () => {
  await fc.assert(
    fc.asyncProperty(changesOf, async (changes) => {
      const rows = await engine.rows(
        `select * from (${deletedRows({ changes: relationOf(changes), columns: COLUMNS, key: KEY })}) order by all`,
      )
      const last = KEYS.flatMap((key) => {
        const own = changes.filter((change) => change.key === key)
        const [upsert] = own.filter(({ op }) => op === 'u').slice(-1)
        return own.at(-1)?.op === 'd' && upsert !== undefined ? [upsert] : []
      })
      expect(rows.map((row) => Object.values(row))).toEqual(
        last.map(({ key, value, batch }) => [...key, value, BigInt(batch)]),
      )
    }),
    { numRuns: 40 },
  )
})
