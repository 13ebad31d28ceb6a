/** Seeds: each CSV file a table of text, exactly as it is written, or a named refusal. */
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Context } from '../../src/events.ts'
import { openSeedsSource } from '../../src/sources/source-seeds.ts'
import type { SourceSnapshot } from '../../src/sources/source.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-seeds-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

const context: Context = {
  run: 'run',
  signal: new AbortController().signal,
  now: () => new Date('2026-11-20T09:30:00.123Z'),
  emit: () => undefined,
}
const seed = async (name: string, body: string | Buffer): Promise<void> =>
  writeFile(join(folder, name), body)
const open = async (): Promise<SourceSnapshot> =>
  openSeedsSource({ name: 'seeds', folder, tempFolder: join(folder, 'tmp') }).snapshot(context)

/** The rows of one table as CSV, each told to be whole. */
async function rowsOf(name: string): Promise<string[]> {
  const snapshot = await open()
  try {
    const table = snapshot.tables.find((candidate) => candidate.name === name)
    if (table === undefined) throw new Error(`no table ${name}`)
    const rows: string[] = []
    // As extraction hands it back: with the columns that the lake goes on with.
    const count = await snapshot.copy(
      { ...table },
      {
        row: (csv) => rows.push(csv.toString()),
        ready: () => undefined,
      },
    )
    expect(count).toBe(rows.length)
    return rows
  } finally {
    await snapshot.close()
  }
}

test('each file is a table: text columns, the first the key, the sha256 its fingerprint', async () => {
  await seed('currency.csv', 'code,name\nEUR,Euro\n')
  await seed('notes.txt', 'not a seed')
  const snapshot = await open()
  await snapshot.close()
  expect(snapshot.instant).toBe('2026-11-20T09:30:00.123000Z')
  expect(snapshot.tables).toEqual([
    {
      name: 'currency',
      key: ['code'],
      shape: 'code,name',
      fingerprint: createHash('sha256').update('code,name\nEUR,Euro\n').digest('hex'),
      columns: [
        { name: 'code', type: 'text', carried: 'VARCHAR', notNull: true, attribute: 1 },
        { name: 'name', type: 'text', carried: 'VARCHAR', notNull: false, attribute: 2 },
      ],
    },
  ])
})

test('P8: values are kept as written, empty is not NULL, rows come in the order of their key', async () => {
  await seed(
    't.csv',
    'id,value\n2,"a ""quoted"", value\nof two lines"\n10,""\n1,\n03,  spaces  \n4,0044.50\n',
  )
  expect(await rowsOf('t')).toEqual([
    '"03","  spaces  "\n',
    '"1",\n',
    '"10",""\n',
    '"2","a ""quoted"", value\nof two lines"\n',
    '"4","0044.50"\n',
  ])
})

test('P8: Windows line ends, a byte order mark and no last line end change no value', async () => {
  await seed('t.csv', '\uFEFFid,value\r\n1,one\r\n2,two')
  expect(await rowsOf('t')).toEqual(['"1","one"\n', '"2","two"\n'])
})

test('a header alone is an empty table', async () => {
  await seed('t.csv', 'id,value\n')
  expect(await rowsOf('t')).toEqual([])
})

test('every header that cannot be used is said at once', async () => {
  await seed('a.csv', 'id,,x\n')
  await seed('b.csv', 'id,x,id\n')
  await seed('c.csv', '')
  await expect(open()).rejects.toMatchObject({
    name: 'SeedInvalid',
    facts: {
      problems: [
        { where: join(folder, 'a.csv') },
        { where: join(folder, 'b.csv'), message: 'has column "id" twice in its header' },
        { where: join(folder, 'c.csv') },
      ],
    },
  })
})

test.each([
  ['a row with too many values', 'id,x\n1,a,b\n'],
  ['a row with too few values', 'id,x,y\n1,a\n'],
  ['a row without a key', 'id,x\n,a\n'],
  ['a key twice', 'id,x\n1,a\n1,b\n'],
  ['bytes that are not UTF-8', Buffer.from('id,x\n1,\xE9\n', 'latin1')],
])('P10: %s is SeedInvalid, names the file, and shows no value', async (_, body) => {
  await seed('t.csv', body)
  const error: unknown = await rowsOf('t').catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ name: 'SeedInvalid' })
  expect(JSON.stringify(error)).toContain(join(folder, 't.csv'))
})
