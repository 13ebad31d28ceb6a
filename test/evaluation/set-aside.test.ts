/** What a model of very many leaves in memory: its changes and its driving rows take no table's columns any more. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { differenceTable } from '../../src/columns/difference.ts'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import { keepColumns, setAside } from '../../src/evaluation/set-aside.ts'
import type { Column } from '../../src/types.ts'

let folder: string
let engine: Engine
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-set-aside-'))
  engine = await openEngine({ tempFolder: join(folder, 'engine'), threads: 1 })
})
afterAll(async () => {
  engine.close()
  await rm(folder, { recursive: true, force: true })
})

const columns: readonly Column[] = [
  { id: 1, name: 'id', type: 'integer', carried: 'INTEGER', notNull: true },
  { id: 2, name: 'the "value"', type: 'text', carried: 'VARCHAR', notNull: false },
]

async function tables(): Promise<unknown[]> {
  const rows = await engine.rows(
    'select table_name as name, column_count as n from duckdb_tables() order by 1',
  )
  return rows.map(({ name, n }) => `${String(name)}: ${String(n)}`)
}

test('changes are a view of a file, every one of them, and no table is left', async () => {
  await engine.run(
    differenceTable({
      into: 'changes of m',
      previous: `select * from (values (1, 'a'), (2, 'b'), (3, 'c')) t("id", "the ""value""")`,
      next: `select * from (values (2, 'B'), (3, 'c'), (4, null)) t("id", "the ""value""")`,
      columns,
      key: ['id'],
    }),
  )
  expect(await tables()).toEqual(['changes of m: 4'])
  const asked = `select "_tote_op", "id", "the ""value""" from "changes of m" order by "id"`
  const before = await engine.rows(asked)
  const place = { changes: 'changes of m', columns, key: ['id'], batch: 7, tempFolder: folder }
  const path = await setAside(engine, place)
  expect(await tables()).toEqual([])
  expect(await engine.rows(asked)).toEqual(before)
  expect(before.map((row) => row['_tote_op'])).toEqual(['d', 'u', 'u'])
  expect(
    await engine.rows(
      `select count(*)::integer as n, max("_tote_batch")::integer as batch from '${path}'`,
    ),
  ).toEqual([{ n: 3, batch: 7 }])
})

test('of driving rows the key is kept', async () => {
  await engine.run(`create table "driving m" as select 'u' as "_tote_op", 1 as "a b", 2 as c`)
  await keepColumns(engine, 'driving m', ['a b'])
  expect(await tables()).toEqual(['driving m: 1'])
})
