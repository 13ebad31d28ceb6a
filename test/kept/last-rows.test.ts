/** What differs between two readings of a table, by their bytes: nothing is lost, and little is left to compare. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openPieceWriter, type HeldRows } from '../../src/storage/pieces.ts'
import { compareWithLast, roomForRows, rowsApart } from '../../src/kept/last-rows.ts'
import type { Source, SourceTable } from '../../src/sources/source.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-last-'))
})
afterAll(async () => rm(folder, { recursive: true, force: true }))

function hold(rows: readonly string[]): HeldRows {
  let end = 0
  const ends = Uint32Array.from(rows, (row) => (end += Buffer.byteLength(row)))
  const bytes = Buffer.from(rows.join(''))
  return { bytes, ends, room: bytes }
}

const textsOf = (rows: readonly Buffer[]): string[] => rows.map(String)

/** What is left of `all` without `gone`, each as often as it is there, sorted. */
function without(all: readonly string[], gone: readonly string[]): string[] {
  const left = [...all]
  for (const row of gone) {
    const place = left.indexOf(row)
    expect(place, `${JSON.stringify(row)} was there`).toBeGreaterThanOrEqual(0)
    left.splice(place, 1)
  }
  return left.toSorted()
}

/** CSV rows that begin alike, end alike, hold line ends and bytes of several. */
const row = fc
  .tuple(fc.nat(9), fc.constantFrom('', 'a', '"\n"', '"\n1,\n"', 'é', '🐘', '""""'))
  .map(([n, text]) => `${n},${text}\n`)

test('P2: rows that are left out on both sides are the same rows', () => {
  const sides = fc.oneof(
    fc.tuple(fc.array(row, { maxLength: 12 }), fc.array(row, { maxLength: 12 })),
    // Long ones, most of whose rows are equal and in one order.
    fc
      .tuple(
        fc.integer({ min: 100, max: 400 }),
        fc.array(
          fc.record({ at: fc.nat(400), gone: fc.nat(40), rows: fc.array(row, { maxLength: 40 }) }),
          {
            maxLength: 4,
          },
        ),
      )
      .map(([count, edits]) => {
        const before = Array.from({ length: count }, (_, n) => `${n},x${n % 3}\n`)
        const now = [...before]
        for (const { at, gone, rows } of edits) now.splice(at, gone, ...rows)
        return [before, now] as const
      }),
  )
  fc.assert(
    fc.property(sides, ([before, now]) => {
      const apart = rowsApart(hold(before), hold(now))
      expect(without(before, textsOf(apart.before))).toEqual(without(now, textsOf(apart.now)))
    }),
    { numRuns: 500 },
  )
})

test.each([
  ['an update', 1, 1],
  ['an insert', 0, 1],
  ['many inserts in one place', 0, 90],
  ['a delete', 1, 0],
  ['many deletes in one place', 90, 0],
])('after %s, only what changed is left', (_, gone, added) => {
  const before = Array.from({ length: 5000 }, (_row, n) => `${n},x\n`)
  const now = [...before]
  now.splice(2000, gone, ...Array.from({ length: added }, (_row, n) => `2000.${n},y\n`))
  const apart = rowsApart(hold(before), hold(now))
  expect([apart.before.length, apart.now.length]).toEqual([gone, added])
})

const TABLE: SourceTable = {
  name: 't',
  key: ['id'],
  columns: [
    { name: 'id', type: 'integer', carried: 'INTEGER', notNull: true, attribute: 1 },
    { name: 'name', type: 'text', carried: 'VARCHAR', notNull: false, attribute: 2 },
  ],
  shape: '',
}
const BEFORE = ['1,a\n', '2,b\n', '3,c\n', '4,d\n']
const NOW = ['1,a\n', '2,B\n', '3,c\n', '4,d\n']

async function read(
  source: Source,
  rows: readonly string[],
  digest: string,
  known: unknown,
  table = TABLE,
) {
  const apart = await compareWithLast(source, table, { digest, held: hold(rows), known }, folder)
  if (apart === null) return null
  const paths = await apart.changes.files()
  return [
    (await Promise.all(paths.map(async (path) => readFile(path, 'utf8')))).join(''),
    apart.counts,
  ]
}

const newSource = (): Source => ({}) as Source

test('rows are compared with the last ones only where the lake holds those', async () => {
  const source = newSource()
  expect(await read(source, BEFORE, 'd1', undefined), 'nothing to compare with').toBeNull()
  expect(await read(source, NOW, 'd2', 'd1')).toEqual([
    'u,u,2,B\n',
    { inserted: 0, updated: 1, deleted: 0 },
  ])
  expect(
    await read(source, BEFORE, 'd1', 'd1'),
    'the commit was lost: the lake holds others',
  ).toBeNull()
  expect(await read(source, NOW, 'd2', undefined), 'a digest that counts for nothing').toBeNull()
  expect(await read(newSource(), BEFORE, 'd1', 'd2'), 'another source').toBeNull()
})

test('a key that must be counted over all rows is, and a table of other rows is compared whole', async () => {
  for (const table of [
    { ...TABLE, keyGiven: true },
    { ...TABLE, key: ['_tote_row'] },
    // 0 and -0 are one key.
    { ...TABLE, columns: TABLE.columns.map((column) => ({ ...column, carried: 'DOUBLE' })) },
  ]) {
    const source = newSource()
    expect(await read(source, BEFORE, 'd1', undefined, table)).toBeNull()
    expect(await read(source, NOW, 'd2', 'd1', table)).toBeNull()
  }
  const source = newSource()
  const many = Array.from({ length: 6000 }, (_, n) => `${n},x\n`)
  expect(await read(source, many, 'd1', undefined)).toBeNull()
  const others = many.map((text) => `9${text}`)
  expect(await read(source, others, 'd2', 'd1')).toBeNull()
})

test('P2: memory of rows that nobody needs any more is filled anew, and no other', async () => {
  const source = newSource()
  const rows = (n: number): string[] =>
    Array.from({ length: 900 + n }, (_, id) => `${id},${id % 40 === n % 40 ? 'changed' : 'x'}\n`)
  const rooms: (ArrayBufferLike | undefined)[] = []
  for (let n = 0; n < 12; n++) {
    const writer = openPieceWriter(folder, `room${n}`, roomForRows(source, TABLE))
    for (const text of rows(n)) writer.row(Buffer.from(text))
    const { held } = await writer.finish()
    if (held === null) throw new Error('too many rows')
    rooms.push(held.room.buffer)
    const apart = await compareWithLast(
      source,
      TABLE,
      { digest: `d${n}`, held, known: `d${n - 1}` },
      folder,
    )
    const before = n === 0 ? [] : rows(n - 1)
    const changed = rows(n).filter((text, id) => id < before.length && text !== before[id]).length
    expect(apart?.counts ?? null, `reading ${n}`).toEqual(
      n === 0 ? null : { inserted: 1, updated: changed, deleted: 0 },
    )
  }
  // The first room was as large as nobody knew; then two take turns, until rows have outgrown them.
  expect(new Set(rooms.slice(1)).size).toBeLessThanOrEqual(3)
  expect(new Set(rooms).size).toBeGreaterThan(1)
})

test('P11: of all tables together 16 MB are kept, however often one is read again', async () => {
  const source = newSource()
  const wide = (n: number): string => `1,${'x'.repeat(3 << 20)}${n}\n`
  const tables = Array.from({ length: 6 }, (_, n) => ({ ...TABLE, name: `t${n}` }))
  const kept: boolean[] = []
  for (const table of tables)
    for (let n = 0; n < 4; n++) {
      const apart = await read(source, [wide(n)], `d${n}`, `d${n - 1}`, table)
      if (n === 3) kept.push(apart !== null)
    }
  expect(kept).toEqual([true, true, true, true, true, false])
})
