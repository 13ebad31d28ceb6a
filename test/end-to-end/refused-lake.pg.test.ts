/** A lake that something else has touched: what is wrong with which file; files of strangers do not exist. */
import { appendFile, cp, mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { LAKE_FORMAT } from '../../src/lake/manifest.ts'
import { createProject, type TestProject } from '../support/project.ts'
import { filesUnder } from '../support/project-standing.ts'
import { expectRefusal } from '../support/refusal.ts'

let project: TestProject
let lake = ''
beforeAll(async () => {
  project = await createProject()
  lake = join(project.folder, 'lake')
  await project.good()
  await project.source.query('update sale set units = units + 1 where sale_id = 8800101')
  await project.good()
  await cp(lake, join(project.folder, 'sound'), { recursive: true })
  await project.source.query('update sale set units = units + 1 where sale_id = 8800102')
})
beforeEach(async () => {
  await rm(lake, { recursive: true, force: true })
  await cp(join(project.folder, 'sound'), lake, { recursive: true })
})
afterAll(async () => project.close())

/** The first of the lake's files that the pattern names, relative to the lake. */
async function find(pattern: RegExp): Promise<string> {
  const found = (await filesUnder(lake)).find((name) => pattern.test(name))
  if (found === undefined) throw new Error(`no file like ${pattern} in the lake`)
  return found
}

async function flipByte(path: string): Promise<void> {
  const body = await readFile(path)
  body[Math.floor(body.length / 2)] = (body[Math.floor(body.length / 2)] ?? 0) ^ 0xff
  await writeFile(path, body)
}

const SALES = /^ingestion\/shop\/sale\/.*\.parquet$/
const key = (name: string): string => name.replace(/^(ingestion|processed)\//, '')

describe('a data file that a manifest names', () => {
  test('another content: LakeCorrupt with the key, and what to restore', async () => {
    const name = await find(SALES)
    await flipByte(join(lake, name))
    await expectRefusal(project, {
      name: 'LakeCorrupt',
      says: [key(name), 'another content than its manifest says (sha256)', 'restore the file'],
    })
  })
  test('another size', async () => {
    const name = await find(SALES)
    await appendFile(join(lake, name), 'x')
    await expectRefusal(project, {
      name: 'LakeCorrupt',
      says: [key(name), /has \d+ bytes where its manifest says \d+/],
    })
  })
  test('missing', async () => {
    const name = await find(SALES)
    await rm(join(lake, name))
    await expectRefusal(project, { name: 'LakeCorrupt', says: [key(name), 'is missing'] })
  })
  test('of the processed zone: nothing is loaded from it', async () => {
    await project.good({ only: 'extract' })
    await project.good({ only: 'transform' })
    const [, , third] = (await filesUnder(lake)).filter((name) =>
      /^processed\/shop\/fact_sale\/.*\.parquet$/.test(name),
    )
    await flipByte(join(lake, third ?? ''))
    await expectRefusal(project, { name: 'LakeCorrupt', says: [key(third ?? ''), 'sha256'] })
  })
})

describe('a manifest', () => {
  const newest = 'ingestion/shop/_manifests/0000000002.json'
  const edit = async (name: string, change: (text: string) => string): Promise<void> =>
    writeFile(join(lake, name), change(await readFile(join(lake, name), 'utf8')))

  test('P3: torn', async () => {
    await truncate(join(lake, newest), 100)
    await expectRefusal(project, {
      name: 'LakeCorrupt',
      says: ['shop/_manifests/0000000002.json'],
    })
  })
  test('P3: of another chain', async () => {
    await cp(join(lake, 'processed/shop/_manifests/0000000002.json'), join(lake, newest))
    await expectRefusal(project, {
      name: 'LakeCorrupt',
      says: ['shop/_manifests/0000000002.json'],
    })
  })
  test('P3: of another number', async () => {
    await cp(join(lake, newest), join(lake, newest.replace('2.json', '3.json')))
    await expectRefusal(project, {
      name: 'LakeCorrupt',
      says: ['shop/_manifests/0000000003.json'],
    })
  })
  test('P3: whose parent was edited', async () => {
    await edit(newest.replace('2.json', '1.json'), (text) =>
      text.replace('"batch":1', '"batch": 1'),
    )
    await expectRefusal(project, {
      name: 'LakeCorrupt',
      says: ['shop/_manifests/0000000001.json', 'is not as it was written'],
    })
  })
  test('of a newer format is left to the newer version', async () => {
    await edit(newest, (text) => text.replace(/"format":\d+/, `"format":${LAKE_FORMAT + 1}`))
    await expectRefusal(project, {
      name: 'LakeNewer',
      says: ['shop/_manifests/0000000002.json', `format ${LAKE_FORMAT + 1}`],
    })
  })
})

test('P3: files that no manifest names do not exist', async () => {
  const folder = (await find(SALES)).replace(/\/[^/]*$/, '')
  const strangers = [
    'README.txt',
    'ingestion/shop/notes.json',
    'ingestion/shop/_manifests/notes.json',
    'ingestion/shop/_manifests/0000000003.json.6f1c.tmp',
    'ingestion/another/_manifests/0000000001.json',
    `${folder}/235959999999-0-aaaaaaaaaaaa.parquet`,
    `${folder}/000000000000-base-0-bbbbbbbbbbbb.parquet`,
    'processed/shop/fact_sale/stray.parquet',
  ]
  for (const name of strangers) {
    await mkdir(join(lake, name, '..'), { recursive: true })
    await writeFile(join(lake, name), 'PAR1, not really')
  }
  const told = await project.tote('run', '--json')
  expect(told.exit).toBe(0)
  const { rows } = await project.warehouse
    .query('select count(*)::text as rows from fact_sale_current')
    .then(([row]) => row ?? {})
  expect(rows).toBe('6')
  for (const name of strangers)
    expect(await readFile(join(lake, name), 'utf8')).toBe('PAR1, not really')
  // The warehouse has batch 3 now, and so must the lake that the next tests begin with.
  await cp(lake, join(project.folder, 'sound'), { recursive: true })
})

describe('a zone', () => {
  test('that is no folder, and cannot be written', async () => {
    await rm(join(lake, 'ingestion'), { recursive: true })
    await writeFile(join(lake, 'ingestion'), 'a file')
    await expectRefusal(project, {
      name: 'LakeUnreachable',
      says: [join(lake, 'ingestion'), 'ENOTDIR', 'check the folder and its rights'],
    })
  })
  test('of ingestion put back, or begun anew, under a processed zone that has seen more', async () => {
    await rm(join(lake, 'ingestion'), { recursive: true })
    for (const args of [['check'], ['check', '--live'], ['run']])
      await expectRefusal(project, {
        name: 'LakeCorrupt',
        args,
        says: [
          'which the ingestion zone does not hold',
          'source "shop"',
          'restore the ingestion zone',
        ],
      })
  })
})
