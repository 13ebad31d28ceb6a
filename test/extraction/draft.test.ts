/** What a draft remembers, and when it counts for nothing. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openDraft, type DraftPart } from '../../src/extraction/draft.ts'
import type { CommittedManifest } from '../../src/lake/manifest.ts'
import { openZone, type Zone } from '../../src/lake/zone.ts'
import type { SourceTable } from '../../src/sources/source.ts'
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

test('a note that was touched is no part that was finished', async () => {
  const draft = await openDraft(options(), snapshot)
  await draft?.note(table, part, finished(1))
  await writeFile(join(folder, 'shop/_drafts/0000000001/0000000001.json'), '{"format":')
  expect((await openDraft(options(), snapshot))?.find(table, part)).toBeUndefined()
})
