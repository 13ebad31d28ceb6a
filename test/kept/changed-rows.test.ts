/** What became of each row, found by its bytes, is what whole columns say. */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { csvRelation } from '../../src/columns/csv.ts'
import {
  DIFFERENCE_COLUMNS,
  differenceTable,
  keepDifference,
} from '../../src/columns/difference.ts'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import { changedRows } from '../../src/kept/changed-rows.ts'

let folder: string
let engine: Engine
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-changed-'))
  engine = await openEngine({ tempFolder: folder, threads: 1 })
})
afterAll(async () => {
  engine.close()
  await rm(folder, { recursive: true, force: true })
})

test('an update, an insert, a delete; rows that are on both sides are no change', () => {
  const before = ['1,a,x\n', '2,b,x\n', '3,"c\n,""",x\n'].map((row) => Buffer.from(row))
  const now = ['2,b,x\n', '1,A,x\n', '4,é,\n'].map((row) => Buffer.from(row))
  const { rows, counts } = changedRows({ before, now }, [0], 3)
  expect(String(rows.bytes)).toBe('u,u,1,A,x\nu,i,4,é,\nd,d,3,,\n')
  expect([rows.count, Array.from(rows.ends), rows.longest]).toEqual([3, [10, 20, 28], 10])
  expect(counts).toEqual({ inserted: 1, updated: 1, deleted: 1 })
})

/** As PostgreSQL prints CSV: quotes where they must be, nothing for NULL, `""` for a text without characters. */
const print = (values: readonly (string | null)[]): string =>
  `${values.map((value) => (value === null ? '' : value === '' || /[",\n\r]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value)).join(',')}\n`

const text = fc.constantFrom(null, '', 'a', 'b', 'é🐘', 'a"b', ',', '\n', '"', 'two\nlines,"here"')
const key = fc.constantFrom('a', 'b', 'a,b', '"', 'é', '1', '', 'x\ny')
const table = fc.uniqueArray(fc.tuple(key, text, key, text), {
  selector: ([a, , b]) => JSON.stringify([a, b]),
  maxLength: 12,
})

test('P2, P8: it is the difference that a join of whole columns finds, whatever the values hold', async () => {
  const columns = ['a', 'v', 'b', 'w'].map((name) => ({ name, carried: 'VARCHAR' }))
  let round = 0
  await fc.assert(
    fc.asyncProperty(table, table, async (before, now) => {
      round += 1
      const relationOf = async (
        name: string,
        rows: readonly string[],
        read: typeof columns,
      ): Promise<string> => {
        const path = join(folder, `${name}-${round}.csv`)
        await writeFile(path, rows.join(''))
        return csvRelation([path], read, 1000)
      }
      const [was, is] = [before.map(print), now.map(print)]
      const bytes = (rows: readonly string[]): Buffer[] => rows.map((row) => Buffer.from(row))
      const { rows, counts } = changedRows({ before: bytes(was), now: bytes(is) }, [0, 2], 4)
      const changes = await relationOf(
        'changes',
        [String(rows.bytes)],
        [...DIFFERENCE_COLUMNS, ...columns],
      )
      const [found, joined] = [`found_${round}`, `joined_${round}`]
      await engine.run(keepDifference({ into: found, rows: changes, gone: [] }))
      const [previous, next] = [
        await relationOf('before', was, columns),
        await relationOf('now', is, columns),
      ]
      const sides = { previous, next, columns, key: ['a', 'b'] }
      await engine.run(differenceTable({ into: joined, ...sides }))
      const missed = `(from ${joined} except all from ${found}) union all (from ${found} except all from ${joined})`
      expect(await engine.rows(missed)).toEqual([])
      const [counted] = await engine.rows(
        `select count(*) filter (where _tote_kind = 'i') as i, count(*) filter (where _tote_kind = 'u') as u, count(*) filter (where _tote_kind = 'd') as d from ${joined}`,
      )
      expect([counts.inserted, counts.updated, counts.deleted].map(BigInt)).toEqual([
        counted?.['i'],
        counted?.['u'],
        counted?.['d'],
      ])
      await engine.run(`drop table ${found}; drop table ${joined}`)
    }),
    { numRuns: 150 },
  )
})
