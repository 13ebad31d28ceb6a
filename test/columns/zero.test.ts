/** DuckDB loses the sign of a zero where it sorts by a float, and in `arg_max`: our reads must not. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { currentRows } from '../../src/columns/current.ts'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import type { FileFormat, WrittenFile } from '../../src/columns/file.ts'
import { writeFile } from '../../src/columns/files.ts'

let folder: string
let engine: Engine
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-zero-'))
  engine = await openEngine({ tempFolder: join(folder, 'tmp'), threads: 2 })
})
afterAll(async () => {
  engine.close()
  await rm(folder, { recursive: true, force: true })
})

test.each<FileFormat>(['parquet', 'csv', 'json'])(
  'P8: %s: minus zero stays minus zero, in a key and in a value, in the first batch and in later ones',
  async (format) => {
    const columns = [
      { id: 1, name: 'k', carried: 'DOUBLE' },
      { id: 2, name: 'v', carried: 'FLOAT' },
    ]
    const write = async (batch: number, rows: string): Promise<WrittenFile> => {
      const path = join(folder, `${batch}.${format}`)
      const relation = `(select 'u' as _tote_op, k::double as k, v::float as v from (values ${rows}) r(k, v))`
      await engine.run(writeFile(format, { relation, columns, key: ['k'], batch, path }))
      return { path, format, longest: 0, carried: {} }
    }
    const bulk = [await write(1, "('-0', '-0'), ('1', '-0'), ('2', '2')")]
    const read = async (since: readonly WrittenFile[]): Promise<unknown[]> => {
      const rows = currentRows({ columns, key: ['k'], bulk, since })
      const found = await engine.rows(
        `select k::varchar || ' ' || v::varchar as row from (${rows}) order by 1`,
      )
      return found.map(({ row }) => row)
    }
    expect(await read([])).toEqual(['-0.0 -0.0', '1.0 -0.0', '2.0 2.0'])
    const since = [
      await write(2, "('0', '3'), ('2', '5')"),
      await write(3, "('-0', '7'), ('2', '-0')"),
    ]
    expect(await read(since)).toEqual(['-0.0 7.0', '1.0 -0.0', '2.0 -0.0'])
  },
)

test.each<FileFormat>(['parquet', 'csv', 'json'])(
  'P8: %s: a value that becomes minus zero in a later batch is minus zero',
  async (format) => {
    const columns = [
      { id: 1, name: 'k', carried: 'INTEGER' },
      { id: 2, name: 'v', carried: 'DOUBLE' },
    ]
    const write = async (batch: number, rows: string): Promise<WrittenFile> => {
      const path = join(folder, `whole-${batch}.${format}`)
      const relation = `(select 'u' as _tote_op, k, v::double as v from (values ${rows}) r(k, v))`
      await engine.run(writeFile(format, { relation, columns, key: ['k'], batch, path }))
      return { path, format, longest: 0, carried: {} }
    }
    const bulk = [await write(1, "(1, '-0'), (2, '1')")]
    const since = [await write(2, "(2, '0')"), await write(3, "(2, '-0')")]
    const rows = currentRows({ columns, key: ['k'], bulk, since })
    expect(await engine.rows(`select v::varchar as v from (${rows}) order by k`)).toEqual([
      { v: '-0.0' },
      { v: '-0.0' },
    ])
  },
)

test.each<FileFormat>(['parquet', 'csv', 'json'])(
  'P8: %s: among many equal values each zero keeps its sign',
  async (format) => {
    const columns = [
      { id: 1, name: 'k', carried: 'INTEGER' },
      { id: 2, name: 'v', carried: 'DOUBLE' },
      { id: 3, name: 'f', carried: 'FLOAT' },
    ]
    const path = join(folder, `many.${format}`)
    const zero = "case when i % 7 = 0 then '-0' when i % 5 = 0 then null else (i % 3)::varchar end"
    const relation = `(select 'u' as _tote_op, i::integer as k, (${zero})::double as v, (${zero})::float as f from range(1000) r(i))`
    await engine.run(writeFile(format, { relation, columns, key: ['k'], batch: 1, path }))
    const bulk = [{ path, format, longest: 0, carried: {} }]
    const rows = currentRows({ columns, key: ['k'], bulk, since: [] })
    const signs = (column: string): string => `count(*) filter (${column}::varchar = '-0.0')`
    expect(
      await engine.rows(`select ${signs('v')} as v, ${signs('f')} as f from (${rows})`),
    ).toEqual([{ v: 143n, f: 143n }])
  },
)
