/** What a draft remembers, and when it counts for nothing. */
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openDraft, type DraftPart } from '../../src/extraction/draft.ts'
import type { CommittedManifest } from '../../src/lake/manifest.ts'
import { openZone, type Zone } from '../../src/lake/zone.ts'
import type { SourceTable } from '../../src/sources/source.ts'
import { sealJson } from '../../src/storage/sealed.ts'
import { openFolderStore } from '../../src/storage/store-folder.ts'

let folder: string
let zone: Zone

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-draft-'))
  zone = openZone(openFolderStore(folder))
})
afterEach(async () => rm(folder, { recursive: true, force: true }))

const snapshot = { identity: { system: '1' }, position: '1:1:', comparable: () => true }
const options = () => ({ zone, chain: 'shop', parent: null, batch: 1 })
const table: SourceTable = { name: 'event', columns: [], key: ['id'], shape: 'a' }
const part = { id: 'pages 0 to 127' }
const finished = (rows: number): DraftPart => ({
  columns: [],
  files: [
    {
      data: {
        key: 'd',
        batch: 1,
        rows,
        deletes: 0,
        bytes: 1,
        sha256: 'a',
        least: [],
        greatest: [],
      },
      pairs: {
        key: 'p',
        batch: 1,
        rows,
        deletes: 0,
        bytes: 1,
        sha256: 'b',
        least: [],
        greatest: [],
      },
    },
  ],
})

test('P3: a noted part is found by the next run, its newest note first; notes of two runs keep apart', async () => {
  const [one, other] = [await openDraft(options(), snapshot), await openDraft(options(), snapshot)]
  expect(one?.find(table, part)).toBeUndefined()
  await one?.note(table, part, finished(1))
  await other?.note(table, { id: 'pages 128 to 255' }, finished(2))
  await one?.note(table, part, finished(3))
  const next = await openDraft(options(), snapshot)
  expect(next?.find(table, part)).toMatchObject(finished(3))
  expect(next?.find(table, { id: 'pages 128 to 255' })).toMatchObject(finished(2))
})

test('P2: a note counts for nothing when source, snapshot, shape, key, parent or batch is another', async () => {
  const draft = await openDraft(options(), snapshot)
  await draft?.note(table, part, finished(1))
  const found = async (
    given: Partial<Parameters<typeof openDraft>[0]>,
    seen: Partial<Parameters<typeof openDraft>[1]> = {},
    of: Partial<SourceTable> = {},
  ): Promise<unknown> =>
    (await openDraft({ ...options(), ...given }, { ...snapshot, ...seen }))?.find(
      { ...table, ...of },
      part,
    )
  expect(await found({})).toBeDefined()
  expect(await found({}, { identity: { system: '2' } })).toBeUndefined()
  expect(await found({}, { comparable: () => false })).toBeUndefined()
  expect(await found({}, { position: null })).toBeUndefined()
  expect(await found({}, {}, { shape: 'b' })).toBeUndefined()
  expect(await found({}, {}, { key: ['other'] })).toBeUndefined()
  expect(await found({ batch: 2 })).toBeUndefined()
  expect(await found({ parent: { number: 0, sha256: 'x' } as CommittedManifest })).toBeUndefined()
})

test('P2: where pairs cannot be compared there is no draft', async () => {
  const { identity, position } = snapshot
  expect(await openDraft(options(), { identity, position })).toBeNull()
})

/** What the next run finds when the note of a finished part has these bytes. */
async function foundOf(change: (text: string) => string | Buffer): Promise<unknown> {
  const draft = await openDraft(options(), snapshot)
  await draft?.note(table, part, finished(1))
  const path = join(folder, 'shop/_drafts/0000000001/0000000001.json')
  await writeFile(path, change(await readFile(path, 'utf8')))
  const found = (await openDraft(options(), snapshot))?.find(table, part)
  await rm(path)
  return found
}

test('P3: a note that was touched is no part that was finished', async () => {
  expect(await foundOf((text) => text)).toBeDefined()
  expect(await foundOf(() => '{"format":')).toBeUndefined()
  expect(await foundOf((text) => text.replace('"rows":1', '"rows":2'))).toBeUndefined()
  expect(await foundOf((text) => text.slice(0, -1))).toBeUndefined()
  const open = '{"format":'
  const seal = createHash('sha256').update(open).digest('hex')
  expect(await foundOf(() => `${open},"seal":"${seal}"}\n`)).toBeUndefined()
})

test('P3: a note whose parts are not what they should be is none, though it is sealed', async () => {
  const { columns, files } = finished(1)
  const [file] = files
  const column = { id: 1, name: 'id', type: 'integer', carried: 'INTEGER' }
  const found = async (other: object): Promise<unknown> =>
    foundOf((text) => {
      const { seal: _, ...note } = JSON.parse(text) as Record<string, unknown>
      return sealJson({ ...note, ...other })
    })
  for (const same of [{}, { columns: [column] }, { files: [] }, { files: [file, file] }])
    expect(await found(same)).toBeDefined()
  for (const other of [
    { format: 3 },
    { position: 7 },
    { key: 'id' },
    { columns: null },
    { columns: [{ ...column, id: 'one' }] },
    { files: null },
    { files: {} },
    { files: [null] },
    { files: [file, { ...file, pairs: {} }] },
    { files: [{ ...file, data: null }, file] },
  ])
    expect(await found({ columns, ...other })).toBeUndefined()
})
