/** The embedded DuckDB: pinned, confined, interrupted. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openEngine, openEngineHome, type Engine } from '../../src/columns/engine.ts'
import { corruptFile, diskFailure, placeFailure } from '../../src/columns/engine-failure.ts'
import { ToteError } from '../../src/errors.ts'

let folder: string
let engine: Engine

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-engine-'))
  engine = await openEngine({ tempFolder: join(folder, 'tmp') })
})

afterEach(async () => {
  engine.close()
  await rm(folder, { recursive: true, force: true })
})

test('P8: a query means the same on every machine: UTC, binary order, nulls last', async () => {
  const rows = await engine.rows(
    `select x from (values ('b'), ('B'), (null), ('ä'), ('a')) t(x) order by x`,
  )
  expect(rows.map(({ x }) => x)).toEqual(['B', 'a', 'b', 'ä', null])
  expect(
    await engine.rows(
      `select current_setting('timezone') as zone, '2026-07-01 12:00:00+02'::timestamptz::varchar as at`,
    ),
  ).toEqual([{ zone: 'UTC', at: '2026-07-01 10:00:00+00' }])
  expect(engine.version).toMatch(/^duckdb v1\./)
})

test('values that are not plain become their text; large numbers stay exact', async () => {
  const [row] = await engine.rows(
    `select 9007199254740993::bigint as n, 0.10::decimal(10,2) as d, [1, 2] as list, null as nothing, '2026-11-20'::date as day, true as yes`,
  )
  expect(row).toEqual({
    n: 9007199254740993n,
    d: '0.10',
    list: '[1, 2]',
    nothing: null,
    day: '2026-11-20',
    yes: true,
  })
})

test('a large answer comes in chunks, and every row of it', async () => {
  let rows = 0
  for await (const chunk of engine.chunks('select i from range(300000) r(i)'))
    rows += chunk.rowCount
  expect(rows).toBe(300_000)
})

test('a person gets the first rows, the types, and is told of more', async () => {
  expect(await engine.read('select i, i::varchar as i from range(5) r(i)', 5)).toMatchObject({
    truncated: false,
    columns: [
      { name: 'i', type: 'BIGINT' },
      { name: 'i', type: 'VARCHAR' },
    ],
  })
  const short = await engine.read('select i from range(100000) r(i)', 5)
  expect([short.rows.length, short.truncated]).toEqual([5, true])
})

test('a refused statement is an EngineFailure with DuckDB’s words', async () => {
  await expect(engine.run('select * from nowhere')).rejects.toMatchObject({
    name: 'EngineFailure',
    message: expect.stringContaining('nowhere') as string,
  })
})

test('P10: confined, it reads only the given folders, and cannot be let out again', async () => {
  await writeFile(join(folder, 'inside.csv'), 'a\n')
  const outside = await mkdtemp(join(tmpdir(), 'tote-outside-'))
  await writeFile(join(outside, 'secret.csv'), 'secret\n')
  await engine.confine([folder])
  expect(
    await engine.rows(`select * from read_csv('${join(folder, 'inside.csv')}', header = false)`),
  ).toHaveLength(1)
  for (const statement of [
    `select * from read_csv('${join(outside, 'secret.csv')}')`,
    `select * from read_text('${join(folder, '..', outside.split('/').at(-1) ?? '', 'secret.csv')}')`,
    `copy (select 1) to '${join(outside, 'written.csv')}'`,
    `attach '${join(outside, 'db')}' as other`,
    'set enable_external_access = true',
    "set memory_limit = '10GB'",
    'install httpfs',
    'load httpfs',
  ]) {
    await expect(engine.run(statement), `${statement}`).rejects.toMatchObject({
      name: 'EngineFailure',
    })
  }
  await rm(outside, { recursive: true })
})

test('an abort ends a running query with its own reason, and every later one', async () => {
  const controller = new AbortController()
  const own = await openEngine({ tempFolder: folder, signal: controller.signal })
  try {
    const running = own.rows(
      'select count(*) from range(100000000) a(i), range(1000000) b(j) where hash(i) = hash(j) + 1',
    )
    const reason = new ToteError('RunCancelled', 'stop')
    setTimeout(() => controller.abort(reason), 50)
    await expect(running).rejects.toBe(reason)
    await expect(own.run('select 1')).rejects.toBe(reason)
  } finally {
    own.close()
  }
})

test('engines of one home see nothing of each other, and nothing that an earlier one left', async () => {
  const home = openEngineHome({ tempFolder: join(folder, 'tmp') })
  const first = await home.engine()
  const second = await home.engine()
  await first.run('create schema s; create table s.t as select 1 as n; create temp table u (n int)')
  await expect(second.rows('select * from s.t')).rejects.toMatchObject({ name: 'EngineFailure' })
  await second.run(
    "create schema s; create table s.t as select 2 as n; set timezone = 'Asia/Tokyo'",
  )
  expect(await first.rows('select n from s.t')).toEqual([{ n: 1 }])
  expect(await first.rows(`select current_setting('timezone') as zone`)).toEqual([{ zone: 'UTC' }])
  first.close()
  second.close()
  const third = await home.engine()
  for (const table of ['s.t', 'u'])
    await expect(third.rows(`from ${table}`)).rejects.toMatchObject({ name: 'EngineFailure' })
  expect(await third.rows(`select current_setting('timezone') as zone`)).toEqual([{ zone: 'UTC' }])
  const attached = await third.rows(`from duckdb_databases() where database_name like '_tote%'`)
  expect(attached).toHaveLength(1)
  third.close()
  await home.close()
})

test('an abort reaches only its own engine of a home', async () => {
  const home = openEngineHome({ tempFolder: join(folder, 'tmp') })
  const controller = new AbortController()
  const aborted = await home.engine(controller.signal)
  const other = await home.engine()
  const running = other.rows('select sum(i) as n from range(30000000) r(i)')
  controller.abort(new ToteError('RunCancelled', 'stop'))
  await expect(aborted.run('select 1')).rejects.toMatchObject({ name: 'RunCancelled' })
  expect(await running).toHaveLength(1)
  aborted.close()
  other.close()
  await home.close()
})

test.skipIf(process.platform !== 'linux')(
  'a full disk is LakeUnreachable with the file, not a failed query',
  async () => {
    await expect(
      engine.run(`copy (select i from range(200000) r(i)) to '/dev/full' (format parquet)`),
    ).rejects.toMatchObject({
      name: 'LakeUnreachable',
      message: 'The file "/dev/full" could not be read or written (no space left).',
    })
    await writeFile(join(folder, 'file'), '')
    await expect(
      engine.run(`copy (select 1) to '${join(folder, 'file', 'below.parquet')}' (format parquet)`),
    ).rejects.toMatchObject({ name: 'LakeUnreachable' })
    await expect(
      engine.run(`select * from read_parquet('${join(folder, 'nothing.parquet')}')`),
    ).rejects.toMatchObject({ name: 'EngineFailure' })
  },
)

test('a table of very many columns gets the memory that its buffers need', async () => {
  const small = await openEngine({ tempFolder: join(folder, 'tmp') })
  await small.run("set memory_limit = '64MB'")
  const columns = Array.from({ length: 1600 }, (_, n) => `'x' || (i + ${n}) as c${n}`).join(', ')
  const path = join(folder, 'wide.parquet')
  await small.run(`copy (select ${columns} from range(3) r(i)) to '${path}' (format parquet)`)
  const [row] = await small.rows(`select count(*) as n, max(c1599) as last from '${path}'`)
  expect(row).toEqual({ n: 3n, last: 'x1601' })
  small.close()
  const fixed = await openEngine({ tempFolder: join(folder, 'tmp'), memoryLimit: '64MB' })
  await expect(
    fixed.run(`copy (select ${columns} from range(3) r(i)) to '${path}' (format parquet)`),
  ).rejects.toMatchObject({ name: 'RowTooLarge' })
  fixed.close()
})

test('of files that were read nothing is kept: a project that stays open reads others in every batch', async () => {
  const held = async (): Promise<unknown> =>
    (await engine.rows('select sum(memory_usage_bytes)::varchar as bytes from duckdb_memory()'))[0]
  const before = await held()
  for (let file = 0; file < 5; file++) {
    const path = join(folder, `${file}.parquet`)
    await engine.run(`copy (select range as id from range(100)) to '${path}' (format parquet)`)
    await engine.rows(`select count(*) as n from read_parquet('${path}')`)
  }
  expect(await held()).toEqual(before)
})

test('P8: a leading U+FEFF stays, and an infinite date is infinite', async () => {
  const sql = `select chr(65279) || 'a' as short, chr(65279) || repeat('b', 20) as long,
    'infinity'::date as late, '-infinity'::date as early, interval '1 day' as span`
  const expected = ['\uFEFFa', `\uFEFF${'b'.repeat(20)}`, 'infinity', '-infinity', '1 day']
  const [row] = await engine.rows(sql)
  expect(Object.values(row ?? {})).toEqual(expected)
  expect((await engine.read(sql, 1)).rows).toEqual([expected])
})

test('P8: a number of four bytes is read as the shortest that is the same one', async () => {
  const wanted = [0.1, 16777216, -3.4028235e38, 1e-45, 0.33333334, null, 0, 1234567.9]
  const list = wanted.map((value) => `${value}::float as c`).join(', ')
  const { rows } = await engine.read(`select ${list}`, 1)
  expect(rows[0]).toEqual(wanted)
  expect((await engine.read("select 'nan'::float, '-inf'::float, 0.1::double", 1)).rows[0]).toEqual(
    [NaN, -Infinity, 0.1],
  )
})

test('of rows that do not fit in memory whoever asked says where they are; other failures stay as they are', () => {
  const error = new ToteError('RowTooLarge', 'too large', { fix: 'more memory' })
  expect(placeFailure(error, 'table "t"')).toMatchObject({
    name: 'RowTooLarge',
    message: 'Rows of table "t" are too large for the memory that DuckDB may use.',
    facts: { where: 'table "t"', fix: 'more memory' },
  })
  expect(placeFailure(folder, 'table "t"')).toBe(folder)
})

test('P8: a lake file that says it goes on where it ends is a corrupt one, and no disk that refuses', () => {
  const said = (path: string): string =>
    `IO Error: Could not read enough bytes from file "${path}": attempted to read 8 bytes from location 99`
  const path = '/lake/shop/t/2026/11/27/093000000000-0-9f86d081884c.parquet'
  expect(diskFailure(said(path))).toBeUndefined()
  expect(corruptFile(said(path), undefined)).toMatchObject({
    name: 'LakeCorrupt',
    facts: { where: path },
  })
  expect(diskFailure(said('/tmp/duckdb_temp_block-1.tmp'))).toMatchObject({
    name: 'LakeUnreachable',
  })
})

test('P8: a value that does not fit its type is that, whatever it says, also after a file was read', async () => {
  const path = join(folder, '2026', '11', '27', 'x.parquet')
  await mkdir(dirname(path), { recursive: true })
  await engine.run(`copy (select 'Failed to decompress gzip' as v) to '${path}' (format parquet)`)
  const failed = engine.run(`create table t as select cast(v as integer) from '${path}'`)
  await expect(failed).rejects.toMatchObject({ name: 'EngineFailure' })
})

test('statements have the cores that they are given, and those of the next engine all of them', async () => {
  const home = openEngineHome({ tempFolder: folder, threads: 3 })
  const threads = async (of: Engine): Promise<unknown> =>
    (await of.rows("select current_setting('threads')::integer as n"))[0]?.['n']
  const first = await home.engine()
  expect(await threads(first)).toBe(3)
  first.useCores('one')
  expect(await threads(first)).toBe(1)
  const next = await home.engine()
  expect(await threads(next)).toBe(3)
  first.close()
  next.close()
  await home.close()
})

const SLOW = 'select row_number() over (order by md5(i::varchar)) as n from range(200000) r(i)'

test('closed while statements are under way, it lets go when they have ended, and takes no other', async () => {
  for (let round = 0; round < 24; round++) {
    const other = await openEngine({ tempFolder: join(folder, 'tmp') })
    const beside = await other.beside()
    const under = [
      other.rows(SLOW),
      beside.rows(SLOW),
      other.chunks(SLOW)[Symbol.asyncIterator]().next(),
    ]
    for (let turn = 0; turn < round % 4; turn++)
      await new Promise((resolve) => setImmediate(resolve))
    beside.close()
    other.close()
    // DuckDB ends the process where its connection is closed under a statement.
    await Promise.allSettled(under)
    await expect(other.rows('select 1')).rejects.toThrow('closed')
    await expect(beside.rows('select 1')).rejects.toThrow('closed')
  }
}, 120_000)

test('a home that is closed waits for what is under way in its engines', async () => {
  const home = openEngineHome({ tempFolder: join(folder, 'tmp') })
  const other = await home.engine()
  let ended = false
  const under = other
    .rows(SLOW)
    .catch(() => undefined)
    .finally(() => (ended = true))
  await new Promise((resolve) => setImmediate(resolve))
  other.close()
  await home.close()
  expect(ended).toBe(true)
  await under
})
