/** Rows of a table that is read in parts: what one part needed of memory serves the next, and nothing of it stays. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, onTestFinished, test } from 'vitest'
import { readParts } from '../../src/extraction/read-rows.ts'
import { takeTurns } from '../../src/extraction/turns.ts'
import type { Source, SourceSnapshot, SourceTable } from '../../src/sources/source.ts'
import { contextOf } from '../sources/reading.ts'

const PARTS = 20
const ROW = Buffer.alloc(100_000, 97)
const ROWS = 120

/** A server's part: rows as they come, as long as the sink is ready. */
const snapshot: Partial<SourceSnapshot> = {
  readers: 2,
  copy: async (_, sink) => {
    for (let row = 0; row < ROWS; row++) {
      sink.row(ROW)
      await sink.ready()
    }
    return ROWS
  },
}

test('of a table of many parts no part keeps memory once it has been read', async () => {
  const tempFolder = await mkdtemp(join(tmpdir(), 'tote-parts-'))
  onTestFinished(async () => rm(tempFolder, { recursive: true, force: true }))
  const parts = Array.from({ length: PARTS }, (_, index) => ({ id: `part ${index}` }))
  const table: Partial<SourceTable> = { name: 't', parts }
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const before = process.memoryUsage().arrayBuffers
  const turns = takeTurns(async () => Promise.reject(new Error('nothing is written')))
  const options = { source: {} as Source, landing: null, turns, tempFolder }
  const read = await readParts(
    snapshot as SourceSnapshot,
    table as SourceTable,
    options,
    contextOf(),
  )
  expect(read.map(({ rows }) => rows)).toEqual(parts.map(() => ROWS))
  const held = (): number => {
    collect()
    return process.memoryUsage().arrayBuffers - before
  }
  // The last part's rows, 12 MB, may still be there; of each other it would be as much.
  await expect.poll(held, { timeout: 10_000 }).toBeLessThan(45_000_000)
  expect(read).toHaveLength(PARTS)
})
