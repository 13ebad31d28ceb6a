/** The first rows of a model, in whatever order its query yields them. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import { writeFirstRows, type FirstRows } from '../../src/evaluation/first-rows.ts'

const folder = mkdtempSync(join(tmpdir(), 'tote-first-rows-'))
let engine: Engine
let written = 0

beforeAll(async () => {
  engine = await openEngine({ tempFolder: join(folder, 'engine'), threads: 4 })
})
afterAll(() => {
  engine.close()
  rmSync(folder, { recursive: true })
})

/** Files that the place holds afterwards are counted: one that was written in vain is gone. */
async function write(query: string): Promise<FirstRows & { readonly files: number }> {
  const tempFolder = join(folder, String(++written))
  const first = await writeFirstRows(engine, {
    tempFolder,
    query,
    columns: [
      { id: 1, name: 'id', type: 'integer', carried: 'INTEGER', notNull: false },
      { id: 2, name: 'value', type: 'integer', carried: 'INTEGER', notNull: false },
    ],
    key: ['id'],
    batch: 1,
    rows: `rows ${written}`,
    changes: `changes ${written}`,
  })
  expect(existsSync(first.path)).toBe(true)
  return { ...first, files: readdirSync(tempFolder).length }
}

async function idsIn({ path }: FirstRows): Promise<number[]> {
  const rows = await engine.rows(
    `select id from read_parquet('${path}', file_row_number = true) order by file_row_number`,
  )
  return rows.map(({ id }) => Number(id))
}

const ascending = (ids: readonly number[]): number[] => ids.toSorted((a, b) => a - b)

test('P7: whatever the order of a query, the file is in that of the key, and a key there twice is seen', async () => {
  const seen = { sound: 0, unsound: 0 }
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 12 }),
      async (ids) => {
        await engine.run(
          `create or replace table given as from (values ${ids.map((id) => `(${id}, 7)`).join(', ')}) t(id, value)`,
        )
        const first = await write('select id, value from given')
        const sound = new Set(ids).size === ids.length
        seen[sound ? 'sound' : 'unsound'] += 1
        expect(first.rows).toBe(sound ? ids.length : null)
        expect(await idsIn(first)).toEqual(ascending(ids))
        expect(first.files).toBe(1)
      },
    ),
    { numRuns: 60, examples: [[[1, 2, 3]], [[3, 2, 1]], [[1, 1]]] },
  )
  expect(Math.min(seen.sound, seen.unsound)).toBeGreaterThan(5)
}, 60_000)

test('a key that is null is seen', async () => {
  expect((await write('select * from (values (1, 1), (null, 2)) t(id, value)')).rows).toBeNull()
})

test('the rows of a large join are in order, too', async () => {
  await engine.run(
    'create or replace table many as select n::integer as id, (n % 5)::integer as part from range(300000) r(n)',
  )
  await engine.run(
    'create or replace table parts as select n::integer as part, n::integer as value from range(5) r(n)',
  )
  const first = await write('select m.id, p.value from many m join parts p using (part)')
  expect(first.rows).toBe(300_000)
  const ids = await idsIn(first)
  expect(ids).toEqual(ascending(ids))
})
