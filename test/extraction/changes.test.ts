/** Changes as files of the lake, written while other tables are still on their way. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openEngineHome, type Engine, type EngineHome } from '../../src/columns/engine.ts'
import {
  FEW_ROWS,
  openChangesWriter,
  type ChangesWriter,
  type TableChanges,
} from '../../src/extraction/changes.ts'
import { takeTurns, type EngineTurns } from '../../src/extraction/turns.ts'
import { openZone } from '../../src/lake/zone.ts'
import { openFolderStore } from '../../src/storage/store-folder.ts'
import type { NewEvent } from '../../src/events.ts'

let folder: string
let home: EngineHome
let turns: EngineTurns
let writer: ChangesWriter
let written: string[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-changes-'))
  home = openEngineHome({ tempFolder: folder })
  turns = takeTurns(async () => home.engine())
  written = []
  const context = {
    run: 'r',
    signal: new AbortController().signal,
    now: () => new Date(0),
    emit: (event: NewEvent) => void (event.type === 'file.written' && written.push(event.table)),
  }
  const place = {
    zone: openZone(openFolderStore(join(folder, 'lake')), 'parquet'),
    chain: 'shop',
    batch: 2,
    instant: '2026-11-27T17:00:00.000000Z',
  }
  writer = openChangesWriter(turns, place, context)
})

afterEach(async () => {
  await writer.close()
  await turns.close()
  await home.close()
  await rm(folder, { recursive: true, force: true })
})

/** A difference of so many rows, of which the first is a delete. */
async function differ(table: string, rows: number): Promise<TableChanges> {
  await turns.withEngine(async (engine) =>
    engine.run(
      `create table "changes of ${table}" as select case range when 1 then 'd' else 'u' end as "_tote_op", 'u' as "_tote_kind", range as id from range(1, ${rows + 1})`,
    ),
  )
  const id = { id: 3, name: 'id', type: 'bigint', carried: 'BIGINT', notNull: true } as const
  const relation = `changes of ${table}`
  return { table, relation, columns: [id], key: ['id'], rows, deletes: 1 }
}

test('few rows are written as soon as they are known, and once; more wait until all is known', async () => {
  const few = [await differ('a', 3), await differ('b', FEW_ROWS)]
  const many = [await differ('c', FEW_ROWS + 1), await differ('d', FEW_ROWS + 2)]
  for (const changes of [...few, ...many]) writer.begin(changes)
  await expect.poll(() => written.toSorted()).toEqual(['a', 'b'])
  const onOurs: string[] = []
  const files = await turns.withEngine(async (engine) => {
    const rows = async (sql: string): ReturnType<Engine['rows']> => {
      onOurs.push(...(/changes of (.)/.exec(sql)?.slice(1) ?? []))
      return engine.rows(sql)
    }
    const watched = { ...engine, rows }
    return Promise.all([...few, ...many].map(async (changes) => writer.write(changes, watched)))
  })
  // The other one was written beside it.
  expect(onOurs).toEqual(['c'])
  expect(written.toSorted()).toEqual(['a', 'b', 'c', 'd'])
  expect(files).toMatchObject(
    [...few, ...many].map(({ rows }) => ({ rows, deletes: 1, batch: 2, least: ['1'] })),
  )
  // The large ones give their memory back.
  const left = await turns.withEngine(async (engine) =>
    engine.rows(`select table_name as name from duckdb_tables() order by 1`),
  )
  expect(left).toEqual([{ name: 'changes of a' }, { name: 'changes of b' }])
})

test('what could not be written is told with the next table, and again by whoever needs the file', async () => {
  const first = await differ('a', 3)
  // A file where the lake should be a folder.
  await writeFile(join(folder, 'lake'), '')
  writer.begin(first)
  const failure = turns.withEngine(async (engine) => writer.write(first, engine))
  await expect(failure).rejects.toMatchObject({ name: 'LakeUnreachable' })
  const second = await differ('b', 3)
  expect(() => writer.begin(second)).toThrow('could not be read or written')
  await writer.close()
  expect(written).toEqual([])
  expect(await readdir(folder)).toContain('lake')
})

test('a file that does not hold what was announced is no file', async () => {
  const changes = { ...(await differ('a', 3)), rows: 4 }
  writer.begin(changes)
  await expect(
    turns.withEngine(async (engine) => writer.write(changes, engine)),
  ).rejects.toMatchObject({ name: 'Bug' })
})
