/** The guard in this process: who leads of several, who may join, what is told when it cannot start. */
import { once } from 'node:events'
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { findBinaries, prepareBinaries } from '../../src/embedded/binaries.ts'
import {
  announcements,
  callGuard,
  openChannel,
  type Announcement,
  type Channel,
  type Reply,
  type Request,
} from '../../src/embedded/channel.ts'
import { answersAs, hasPostmaster } from '../../src/embedded/cluster.ts'
import { runGuard, type GuardOrder } from '../../src/embedded/guard.ts'
import { findHome } from '../../src/embedded/home.ts'

let folder: string
let order: GuardOrder

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-guard-'))
  await chmod(folder, 0o755)
})

beforeEach(async () => {
  order = {
    home: await findHome(folder),
    binaries: await findBinaries([import.meta.url]),
    settings: { fsync: 'off' },
  }
})

afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

interface Started {
  readonly channel: Channel<Request, Reply>
  readonly ended: Promise<void>
  stop(): void
}

async function startGuard(): Promise<Started> {
  const [ours, theirs] = await socketPair()
  let stop: () => void = () => undefined
  const stopping = new Promise<void>((resolve) => {
    stop = resolve
  })
  return {
    channel: openChannel<Request, Reply>(ours),
    ended: runGuard(order, theirs, stopping),
    stop,
  }
}

async function socketPair(): Promise<[Socket, Socket]> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const ours = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [theirs] = (await once(server, 'connection')) as [Socket]
  server.close()
  return [ours, theirs]
}

/** Reads on until a message of one of these kinds, or the end. */
async function read(
  channel: Channel<Request, Reply>,
  ...types: Reply['type'][]
): Promise<Reply | undefined> {
  for (;;) {
    const reply = await channel.next()
    if (reply === undefined || types.includes(reply.type)) return reply
  }
}

const joining = (token: string): Request => ({ type: 'join', token })

test('of guards that start at the same moment exactly one leads; the others send their commands elsewhere', async () => {
  for (let round = 0; round < 5; round++) {
    const guards = await Promise.all(Array.from({ length: 4 }, startGuard))
    const replies = await Promise.all(
      guards.map(async ({ channel }) => read(channel, 'ready', 'elsewhere', 'failed')),
    )
    const told = replies.map((reply) => reply?.type)
    expect(told.filter((type) => type === 'ready')).toHaveLength(1)
    expect(told.filter((type) => type === 'elsewhere')).toHaveLength(3)
    for (const { channel } of guards) channel.close()
    await Promise.all(guards.map(async ({ ended }) => ended))
    expect(await announcements(order.home.folder)).toEqual([])
    expect(await hasPostmaster(order.home.folder)).toBe(false)
  }
})

test('what dead guards left is cleared away, also where another program has got the port', async () => {
  const stranger = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  stranger.listen(0, '127.0.0.1')
  await once(stranger, 'listening')
  const { port } = stranger.address() as AddressInfo
  const leave = async (guard: string, at: number): Promise<void> => {
    const text = JSON.stringify({ guard, port: at, token: 'x' } satisfies Announcement)
    await writeFile(join(order.home.folder, `guard-${guard}.json`), text)
  }
  await leave('0000000000000001', port)
  await leave('0000000000000002', 1)
  await writeFile(join(order.home.folder, 'guard-0000000000000003.tmp'), '{"gua')
  const guard = await startGuard()
  expect(await read(guard.channel, 'ready', 'elsewhere', 'failed')).toMatchObject({ type: 'ready' })
  expect(await announcements(order.home.folder)).toHaveLength(1)
  expect((await readdir(order.home.folder)).filter((name) => name.endsWith('.tmp'))).toEqual([])
  guard.channel.close()
  await guard.ended
  stranger.close()
})

test('a command joins with the token only; told to stop, the guard stops the server under all of them', async () => {
  const guard = await startGuard()
  const ready = await read(guard.channel, 'ready')
  const [announcement] = await announcements(order.home.folder)
  if (announcement === undefined || ready?.type !== 'ready') throw new Error('nothing announced')
  expect(await callGuard({ ...announcement, token: 'guessed' }, joining)).toBeUndefined()
  const call = await callGuard(announcement, joining)
  expect(call?.answer).toEqual({ type: 'welcome' })
  expect(await call?.channel.next()).toEqual(ready)

  const data = join(order.home.folder, 'cluster/data')
  expect(await answersAs(ready.port, data)).toBe(true)
  expect(await answersAs(ready.port, '/elsewhere')).toBe(false)
  expect(await answersAs(announcement.port, data)).toBe(false)

  call?.channel.send({ type: 'release' })
  expect(await call?.channel.next()).toEqual({ type: 'released' })
  const rival = await callGuard(announcement, (token) => ({
    type: 'rival',
    token,
    guard: '0000000000000000',
  }))
  expect(rival?.answer).toEqual({ type: 'rank', rank: 'leads' })
  guard.stop()
  await guard.ended
  expect(await read(guard.channel, 'released')).toBeUndefined()
  expect(await hasPostmaster(order.home.folder)).toBe(false)
  expect(await answersAs(ready.port, data)).toBe(false)
})

test('a guard whose command left before the server was ready does not start it', async () => {
  const guard = await startGuard()
  guard.channel.close()
  await guard.ended
  expect(await announcements(order.home.folder)).toEqual([])
  expect(await hasPostmaster(order.home.folder)).toBe(false)
})

test('a server that cannot start is told to the command in its own words', async () => {
  order = { ...order, settings: { max_connections: 'many' } }
  const guard = await startGuard()
  const reply = await read(guard.channel, 'failed', 'ready')
  expect(reply).toMatchObject({
    type: 'failed',
    failure: { why: expect.stringContaining('max_connections') },
  })
  await guard.ended
})

test('binaries that cannot run where they are, are copied and made whole; once', async () => {
  const broken = await mkdtemp(join(folder, 'package-'))
  await chmod(broken, 0o755)
  await cp(order.binaries.native, broken, {
    recursive: true,
    filter: async (path) => !(await lstat(path)).isSymbolicLink(),
  })
  await chmod(join(broken, 'bin/postgres'), 0o600)
  await mkdir(join(order.home.folder, 'binaries-old'))
  const copy = await prepareBinaries({ native: broken, version: '1' }, order.home)
  expect(copy).toBe(join(order.home.folder, 'binaries-1'))
  expect(await readdir(order.home.folder)).not.toContain('binaries-old')
  expect(await readdir(join(copy, 'lib'))).toContain('libpq.so.5')
  expect((await stat(join(copy, 'bin/postgres'))).mode & 0o777).toBe(0o755)
  const before = await stat(copy)
  await prepareBinaries({ native: broken, version: '1' }, order.home)
  expect((await stat(copy)).ino).toBe(before.ino)
  await chmod(join(broken, 'bin/postgres'), 0o755)
  expect(await prepareBinaries({ native: broken, version: '1' }, order.home)).toBe(broken)
})
