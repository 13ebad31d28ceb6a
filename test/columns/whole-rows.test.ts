/** Tables without a key: the whole row, and which of its equals, tells rows apart. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { csvRelation } from '../../src/columns/csv.ts'
import { countChanges, differenceTable, insertTable } from '../../src/columns/difference.ts'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import { ROW_COLUMN } from '../../src/columns/sql.ts'

let folder: string
let engine: Engine

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-whole-rows-'))
  engine = await openEngine({ tempFolder: folder, threads: 2 })
})

afterAll(async () => {
  engine.close()
  await rm(folder, { recursive: true, force: true })
})

type Row = readonly (string | null)[]

const COLUMNS = [
  { name: 'a', carried: 'VARCHAR' },
  { name: 'digest', carried: 'VARCHAR' },
  { name: 'n', carried: 'INTEGER' },
  { name: ROW_COLUMN, carried: 'VARCHAR' },
]

/** As PostgreSQL's COPY writes them. */
async function relationOf(name: string, rows: readonly Row[]): Promise<string> {
  const path = join(folder, `${name}.csv`)
  const field = (value: string | null): string =>
    value === null ? '' : `"${value.replaceAll('"', '""')}"`
  await writeFile(path, rows.map((row) => `${row.map(field).join(',')}\n`).join(''))
  return csvRelation([path], COLUMNS, 0)
}

const texts = fc.constantFrom(null, '', 'n', '1:a', '1:', ':', 'a', 'an', '0:', ',', '"', '\n')
const row: fc.Arbitrary<Row> = fc.tuple(texts, texts, fc.constantFrom(null, '1', '2', '-1'))
/** Two of few different rows, so that many are equal, within each and between them. */
const multisets: fc.Arbitrary<[Row[], Row[]]> = fc
  .array(row, { minLength: 1, maxLength: 5 })
  .chain((some) => {
    const rows = fc.array(fc.constantFrom(...some), { maxLength: 15 })
    return fc.tuple(rows, rows)
  })

const show = (rows: readonly Row[]): string[] => rows.map((one) => JSON.stringify(one)).toSorted()

test('P2, P8: the difference of two tables without keys, applied to the one, gives the other, equal rows and NULLs counted', async () => {
  let equalRows = 0
  await fc.assert(
    fc.asyncProperty(multisets, async ([before, after]) => {
      equalRows += before.length - new Set(show(before)).size
      await engine.run(
        'drop table if exists held; drop table if exists first; drop table if exists changes',
      )
      const columns = COLUMNS
      await engine.run(
        insertTable({ into: 'first', next: await relationOf('before', before), columns }),
      )
      await engine.run(
        `create temp table held as select ${columns.map(({ name }) => `"${name}"`).join(', ')} from first`,
      )
      await engine.run(
        differenceTable({
          into: 'changes',
          previous: 'from held',
          next: await relationOf('after', after),
          columns,
          key: [ROW_COLUMN],
        }),
      )
      const counts = await countChanges(engine, 'changes')
      // A row that is in both as often is no change, and no row is ever updated.
      const left = show(after)
      const kept = show(before).filter((one) => {
        const at = left.indexOf(one)
        if (at !== -1) left.splice(at, 1)
        return at !== -1
      }).length
      expect(counts).toEqual({
        inserted: after.length - kept,
        updated: 0,
        deleted: before.length - kept,
      })
      await engine.run(
        `delete from held using changes c where c._tote_op = 'd' and held."${ROW_COLUMN}" = c."${ROW_COLUMN}"`,
      )
      await engine.run(
        `insert into held select a, digest, n, "${ROW_COLUMN}" from changes where _tote_op = 'u'`,
      )
      const rows = await engine.rows('select a, digest, n::varchar as n from held')
      expect(show(rows.map(({ a, digest, n }) => [a, digest, n] as Row))).toEqual(show(after))
    }),
    { numRuns: 150 },
  )
  expect(equalRows, 'equal rows among all cases').toBeGreaterThan(300)
})

test('P8: no two rows read alike: NULL, the empty text and values that look like the encoding', async () => {
  const values = [null, '', 'n', '1:a', 'a', '0:']
  const rows = values.flatMap((a) => values.map((b): Row => [a, b, null]))
  const digests = await engine.rows(await relationOf('alike', rows))
  for (const one of digests) expect(one[ROW_COLUMN]).toMatch(/^[0-9a-f]{64}-1$/)
  expect(new Set(digests.map((one) => one[ROW_COLUMN])).size).toBe(rows.length)
})

test('a table without columns has as many rows as it has', async () => {
  const path = join(folder, 'nothing.csv')
  await writeFile(path, '\n\n\n')
  const rows = await engine.rows(csvRelation([path], COLUMNS.slice(3), 0))
  expect(new Set(rows.map((one) => String(one[ROW_COLUMN]).slice(64)))).toEqual(
    new Set(['-1', '-2', '-3']),
  )
})
