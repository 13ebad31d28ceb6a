/**
 * The embedded PostgreSQL of a project, for a command: joins the server that runs, or starts a guard
 * that starts it (guard.ts). A command holds its connection to the guard until `release`;
 * ending in any other way releases too. Nothing here keeps a process from ending by itself.
 */
import { spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { ToteError } from '../errors.ts'
import { findBinaries } from './binaries.ts'
import { announcements, callGuard, GUARD_MARK, openChannel, withdraw } from './channel.ts'
import type { Channel, Reply, Request } from './channel.ts'
import { hasPostmaster, readSecret, rolePassword, type Settings } from './cluster.ts'
import type { GuardOrder } from './guard.ts'
import { findHome, type Home } from './home.ts'

export interface EmbeddedServer {
  /** A URL on 127.0.0.1, password included; without a role, the superuser's. */
  url(database: string, role?: string): string
  /** The password that this server gives to a role of ours. */
  password(role: string): string
  /** Where the server's files lie; deleting it, while nothing runs, begins anew. */
  readonly folder: string
  /** Leaves the server; the last one waits until it has stopped. Safe to call twice. */
  release(): Promise<void>
}

export interface EmbeddedOptions {
  /** The project's `.tote` folder. */
  readonly folder: string
  readonly log?: (text: string) => void
  /** Server settings over ours, for whoever starts it first; `fsync: 'off'` is for tests. */
  readonly settings?: Settings
}

interface Attached {
  readonly channel: GuardChannel
  readonly port: number
}

type GuardChannel = Channel<Request, Reply>

const START_MS = 120_000

/** Starts or joins the project's server. Throws DependencyMissing, EmbeddedFailed. */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const home = await findHomeOf(options.folder)
  if (home.note !== undefined) options.log?.(home.note)
  const { channel, port } = await attach(home, options)
  const secret = await readSecret(home.folder)
  let released: Promise<void> | undefined
  const password = (role: string): string => rolePassword(secret, role)
  return {
    url: (database, role = 'postgres') => {
      const user = `${encodeURIComponent(role)}:${password(role)}`
      return `postgres://${user}@127.0.0.1:${port}/${encodeURIComponent(database)}`
    },
    password,
    folder: home.folder,
    release: async () => {
      released ??= release(channel, home, options)
      await released
    },
  }
}

async function findHomeOf(folder: string): Promise<Home> {
  try {
    return await findHome(folder)
  } catch (error) {
    if (error instanceof ToteError) throw error
    const { message } = error as Error
    throw new ToteError(
      'EmbeddedFailed',
      `The folder of the embedded PostgreSQL cannot be used: ${message}.`,
      { where: folder, cause: error },
    )
  }
}

async function attach(home: Home, options: EmbeddedOptions): Promise<Attached> {
  const deadline = performance.now() + START_MS
  while (performance.now() < deadline) {
    const attached = (await joinRunning(home, options)) ?? (await startGuard(home, options))
    if (attached !== 'elsewhere') return attached
    await sleep(10)
  }
  throw new ToteError(
    'EmbeddedFailed',
    `The embedded PostgreSQL in "${home.folder}" was not ready within ${START_MS / 1000} s.`,
    {
      where: home.folder,
      fix: `look into server.log in ${home.folder}`,
    },
  )
}

/** Undefined: no guard lives. */
async function joinRunning(
  home: Home,
  options: EmbeddedOptions,
): Promise<Attached | 'elsewhere' | undefined> {
  for (const announcement of await announcements(home.folder)) {
    const call = await callGuard(announcement, (token) => ({ type: 'join', token }))
    if (call !== undefined) return await untilReady(call.channel, call.answer, options)
    await withdraw(home.folder, announcement.guard)
  }
  return undefined
}

async function startGuard(home: Home, options: EmbeddedOptions): Promise<Attached | 'elsewhere'> {
  const binaries = await findBinaries([import.meta.url, pathToFileURL(`${options.folder}/`).href])
  const order: GuardOrder = { home, binaries, settings: options.settings ?? {} }
  const child = spawn(process.execPath, [...guardEntry(), GUARD_MARK, JSON.stringify(order)], {
    // Its own session, so that Ctrl-C in a terminal reaches us and not the server we still use.
    detached: true,
    cwd: home.folder,
    // None of ours: it may hold secrets, and would be kept as long as the guard lives.
    env: {},
    // The pipe is our connection: it closes when we end, however we end.
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    windowsHide: true,
  })
  const failure = new Promise<string>((resolve) =>
    child.on('error', (error) => resolve(error.message)),
  )
  child.unref()
  const channel = openChannel<Request, Reply>(child.stdio[3] as Socket)
  const attached = await Promise.race([
    untilReady(channel, undefined, options),
    failure.then((why) => ({ why })),
  ])
  if (attached === 'elsewhere' || 'port' in attached) return attached
  throw new ToteError(
    'EmbeddedFailed',
    'The guard of the embedded PostgreSQL could not be started.',
    { why: attached.why },
  )
}

/** How node runs the guard: compiled beside us, or from source when we run from source. */
function guardEntry(): string[] {
  if (!import.meta.url.endsWith('.ts'))
    return [fileURLToPath(new URL('./guard.js', import.meta.url))]
  const jiti = createRequire(import.meta.url).resolve('jiti/package.json')
  const register = new URL('./lib/jiti-register.mjs', pathToFileURL(jiti)).href
  return ['--import', register, fileURLToPath(new URL('./guard.ts', import.meta.url))]
}

async function untilReady(
  channel: GuardChannel,
  first: Reply | undefined,
  options: EmbeddedOptions,
): Promise<Attached | 'elsewhere'> {
  for (
    let reply = first ?? (await channel.next());
    reply !== undefined;
    reply = await channel.next()
  ) {
    switch (reply.type) {
      case 'ready':
        channel.hold('free')
        return { channel, port: reply.port }
      case 'failed':
        channel.close()
        throw new ToteError('EmbeddedFailed', reply.failure.message, {
          why: reply.failure.why,
          fix: reply.failure.fix,
        })
      case 'log':
        options.log?.(reply.text)
        break
      case 'welcome':
      case 'elsewhere':
      case 'released':
      case 'rank':
        // After `elsewhere` that guard goes away, and with it the channel.
        break
      default:
        reply satisfies never
    }
  }
  return 'elsewhere'
}

async function release(channel: GuardChannel, home: Home, options: EmbeddedOptions): Promise<void> {
  if (await leave(channel)) return
  // The guard is gone: by itself, with its server; or killed, and a new one takes the server over to stop it.
  if (!(await hasPostmaster(home.folder))) return
  const again = await attach(home, options)
  await leave(again.channel)
}

/** Says goodbye and waits until the guard has closed: at once, or, for the last one, when the server has stopped. */
async function leave(channel: GuardChannel): Promise<boolean> {
  channel.hold('held')
  channel.send({ type: 'release' })
  let released = false
  for (let reply = await channel.next(); reply !== undefined; reply = await channel.next()) {
    released ||= reply.type === 'released'
  }
  return released
}
