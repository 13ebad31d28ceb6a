/** Rows in pieces: every byte once, in order, cut at row ends, with bounded memory. */
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openPieceWriter, type Pieces, type SpareBlocks } from '../../src/storage/pieces.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-pieces-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

async function write(
  rows: Iterable<Buffer>,
  name = 'p',
  expectedBytes?: number,
): Promise<{ writer: ReturnType<typeof openPieceWriter>; waits: number }> {
  const writer = openPieceWriter(folder, name, { expectedBytes })
  let waits = 0
  for (const row of rows) {
    writer.row(row)
    const wait = writer.ready()
    if (wait !== undefined) waits += 1
    await wait
  }
  return { writer, waits }
}

test('any rows come out whole, in order, with their count, bytes, longest row and sha256', async () => {
  const lengths = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 1, max: 300 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 3 << 20 }) },
  )
  let run = 0
  await fc.assert(
    fc.asyncProperty(fc.array(lengths, { maxLength: 60 }), fc.double(), async (sizes, share) => {
      run += 1
      const sum = sizes.reduce((bytes, size) => bytes + size, 0)
      // Less comes than was expected, or more, or just that, or nobody expected anything.
      const expected = Number.isFinite(share) ? Math.round(sum * Math.abs(share % 2)) : undefined
      const rows = sizes.map((size, index) =>
        Buffer.alloc(size, 97 + (index % 26)).fill('\n', size - 1),
      )
      const whole = Buffer.concat(rows)
      // The sender may reuse its buffer as soon as `row` returns.
      const { writer } = await write(
        (function* reused() {
          for (const row of rows) {
            const lent = Buffer.from(row)
            yield lent
            lent.fill(0)
          }
        })(),
        `p${run}`,
        expected,
      )
      const pieces = await writer.finish()
      if (sum <= 4 << 20) {
        expect(pieces.held?.bytes.equals(whole)).toBe(true)
        let end = 0
        expect([...(pieces.held?.ends ?? [])]).toEqual(sizes.map((size) => (end += size)))
      } else expect(pieces.held).toBe(null)
      expect([pieces.rows, pieces.bytes, pieces.longestRow]).toEqual([
        rows.length,
        whole.length,
        Math.max(0, ...sizes),
      ])
      expect(pieces.digest).toBe(createHash('sha256').update(whole).digest('hex'))
      const files = await pieces.files()
      expect(await pieces.files()).toEqual(files)
      const read = Buffer.concat(await Promise.all(files.map(async (file) => readFile(file))))
      expect(read.equals(whole)).toBe(true)
      await pieces.discard()
      expect(await readdir(folder).catch(() => [])).toEqual([])
    }),
    { numRuns: 60 },
  )
}, 60_000)

test('where each row ends is noted of many', async () => {
  const sizes = Array.from({ length: 5000 }, (_, n) => 1 + (n % 7))
  const { writer } = await write(sizes.map((size) => Buffer.alloc(size, 'x')))
  const { held } = await writer.finish()
  let end = 0
  expect([...(held?.ends ?? [])]).toEqual(sizes.map((size) => (end += size)))
})

test('many rows are spilled to several files, each cut at a row end, and memory stays bounded', async () => {
  const row = Buffer.from(`${'x'.repeat(998)}\n`)
  const count = 60_000
  const before = process.memoryUsage().arrayBuffers
  let most = 0
  const { writer, waits } = await write(
    (function* many() {
      for (let n = 0; n < count; n++) {
        if (n % 500 === 0) most = Math.max(most, process.memoryUsage().arrayBuffers - before)
        yield row
      }
    })(),
  )
  const pieces = await writer.finish()
  const files = await pieces.files()
  expect(files.length).toBeGreaterThan(2)
  let total = 0
  for (const file of files) {
    const body = await readFile(file)
    expect(body.length % row.length, 'whole rows only').toBe(0)
    total += body.length
  }
  expect(total).toBe(count * row.length)
  expect(waits).toBeGreaterThan(2)
  expect(most).toBeLessThan(48 << 20)
  await pieces.discard()
  expect(await readdir(folder)).toEqual([])
})

test('P8: rows that arrive while others are being written overwrite none of them', async () => {
  const writer = openPieceWriter(folder, 'p')
  const hash = createHash('sha256')
  for (let n = 0; n < 30_000; n++) {
    const row = Buffer.from(`${String(n).repeat(200)}\n`)
    hash.update(row)
    writer.row(row)
    // As of one message with many rows, none of them waits for those before.
    if (n % 2000 === 1999) await writer.ready()
    else void writer.ready()?.catch(() => undefined)
  }
  const pieces = await writer.finish()
  const bodies = await Promise.all((await pieces.files()).map(async (path) => readFile(path)))
  const digest = hash.digest('hex')
  expect(createHash('sha256').update(Buffer.concat(bodies)).digest('hex')).toBe(digest)
  expect(pieces.digest).toBe(digest)
})

test('P8: any rows are taken whole, in order and once, a group at a time, and no more than two groups lie on disk', async () => {
  const groupBytes = 16 << 20
  let run = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 6 << 20 }), { minLength: 4, maxLength: 40 }),
      async (sizes) => {
        run += 1
        const taken: Buffer[] = []
        let rows = 0
        let most = 0
        const writer = openPieceWriter(folder, `g${run}`, {
          groupBytes,
          take: async (group) => {
            most = Math.max(most, group.bytes)
            // Meanwhile the next rows arrive.
            await new Promise((resolve) => setTimeout(resolve, 1))
            const parts = await Promise.all(
              (await group.files()).map(async (file) => readFile(file)),
            )
            expect(Buffer.concat(parts)).toHaveLength(group.bytes)
            taken.push(...parts)
            rows += group.rows
          },
        })
        const sent = sizes.map((size, index) => Buffer.alloc(size, 97 + (index % 26)))
        for (const row of sent) {
          writer.row(row)
          await writer.ready()
        }
        const rest = await writer.finish()
        taken.push(...(await Promise.all((await rest.files()).map(async (file) => readFile(file)))))
        const whole = Buffer.concat(sent)
        expect(Buffer.concat(taken).equals(whole)).toBe(true)
        expect([rows + rest.rows, rest.passed]).toEqual([sizes.length, sizes.length])
        expect(rest.digest).toBe(createHash('sha256').update(whole).digest('hex'))
        expect(most).toBeLessThan(groupBytes + (16 << 20))
        await rest.discard()
        expect(await readdir(folder).catch(() => [])).toEqual([])
      },
    ),
    { numRuns: 20 },
  )
}, 60_000)

test('a first group may be smaller: each further one is twice as large, up to the size of all', async () => {
  const taken: number[] = []
  const writer = openPieceWriter(folder, 'growing', {
    firstGroupBytes: 8 << 20,
    groupBytes: 32 << 20,
    take: async ({ bytes }) => void taken.push(bytes >> 20),
  })
  for (let row = 0; row < 100; row++) {
    writer.row(Buffer.alloc(1 << 20, 97))
    await writer.ready()
  }
  const rest = await writer.finish()
  expect(taken).toEqual([8, 16, 32, 32])
  expect(rest.bytes >> 20).toBe(12)
  await rest.discard()
})

test('whoever fails to take a group is heard by the sender and by finish, and leaves no file', async () => {
  const broken = new Error('broken')
  const writer = openPieceWriter(folder, 'p', {
    groupBytes: 1,
    take: async () => Promise.reject(broken),
  })
  const send = async (): Promise<void> => {
    for (let n = 0; n < 40; n++) {
      writer.row(Buffer.alloc(1 << 20, 'x'))
      await writer.ready()
    }
  }
  await expect(send()).rejects.toBe(broken)
  await expect(writer.finish()).rejects.toBe(broken)
  await writer.discard()
  expect(await readdir(folder)).toEqual([])
})

test('few rows touch no disk until somebody wants files', async () => {
  const { writer } = await write([Buffer.from('1\n')])
  const pieces = await writer.finish()
  expect(await readdir(folder)).toEqual([])
  expect(await readFile((await pieces.files())[0] ?? '', 'utf8')).toBe('1\n')
})

test('no rows make no file, and the digest of nothing', async () => {
  const pieces = await openPieceWriter(folder, 'none').finish()
  expect([pieces.rows, pieces.bytes, pieces.digest, await pieces.files()]).toEqual([
    0,
    0,
    createHash('sha256').digest('hex'),
    [],
  ])
})

test('a writer given up in the middle leaves no file behind', async () => {
  const { writer } = await write(
    (function* many() {
      for (let n = 0; n < 20; n++) yield Buffer.alloc(1 << 20, 'x')
    })(),
  )
  expect(await readdir(folder)).not.toEqual([])
  await writer.discard()
  expect(await readdir(folder)).toEqual([])
})

test('a disk that refuses is heard by the sender and by finish, and no row is taken for stored', async () => {
  const blocked = join(folder, 'file')
  await writeFile(blocked, '')
  const writer = openPieceWriter(join(blocked, 'below'), 'p')
  const send = async (): Promise<void> => {
    for (let n = 0; n < 20; n++) {
      writer.row(Buffer.alloc(1 << 20, 'x'))
      await writer.ready()
    }
  }
  const refused = {
    name: 'LakeUnreachable',
    message: expect.stringMatching(/ENOTDIR|EEXIST/) as string,
  }
  await expect(send()).rejects.toMatchObject(refused)
  await expect(writer.finish()).rejects.toMatchObject(refused)
  await writer.discard()
})

test('pieces that come one after another share their memory, which none of them keeps', async () => {
  const spare: SpareBlocks = []
  const left: Pieces[] = []
  const blocks: number[] = []
  for (let part = 0; part < 6; part++) {
    const writer = openPieceWriter(folder, `part-${part}`, { spare })
    for (let row = 0; row < 300; row++) {
      writer.row(Buffer.alloc(100_000, 97))
      await writer.ready()
    }
    const pieces = await writer.finish()
    await pieces.files()
    left.push(pieces)
    blocks.push(new Set(spare).size)
  }
  // Each left as many as the first.
  expect(new Set(blocks).size).toBe(1)
  expect(blocks[0]).toBeGreaterThan(4)
  expect(spare).toHaveLength(blocks[0] ?? 0)
  expect(blocks[0]).toBeLessThan(12)
})
