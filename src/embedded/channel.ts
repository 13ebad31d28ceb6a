/**
 * How commands and guards of one embedded server talk: JSON lines over a loopback socket, or over
 * the pipe a guard was started with. A guard announces itself in a file whose name is never used
 * twice, so removing a dead one can never remove a living one; whether it lives, the kernel knows:
 * its port answers with its token, or it does not.
 */
import { randomBytes } from 'node:crypto'
import { readFile, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'

export interface FailureText {
  readonly message: string
  readonly why?: string
  readonly fix?: string
}

/** What a command, or another guard that wants to lead, says to a guard. */
export type Request =
  | { readonly type: 'join'; readonly token: string }
  | { readonly type: 'rival'; readonly token: string; readonly guard: string }
  | { readonly type: 'release' }

/** What a guard says. `elsewhere`: look again, another guard leads or this one is stopping. */
export type Reply =
  | { readonly type: 'welcome' }
  | { readonly type: 'log'; readonly text: string }
  | { readonly type: 'ready'; readonly port: number }
  | { readonly type: 'failed'; readonly failure: FailureText }
  | { readonly type: 'elsewhere' }
  | { readonly type: 'rank'; readonly rank: 'leads' | 'first' | 'yields' }
  | { readonly type: 'released' }

export interface Channel<Sent, Received> {
  send(message: Sent): void
  /** The next message, or undefined once the other side is gone. */
  next(): Promise<Received | undefined>
  /** Holds this process open, or lets it end while the channel is open. */
  hold(how: 'held' | 'free'): void
  close(): void
}

export interface Announcement {
  readonly guard: string
  readonly port: number
  readonly token: string
}

/** Wraps a connected socket; messages that arrive before `next` is called are kept. */
export function openChannel<Sent, Received>(socket: Socket): Channel<Sent, Received> {
  const waiting: ((message: Received | undefined) => void)[] = []
  const arrived: Received[] = []
  let gone = false
  // A reset is a goodbye like any other: 'close' follows.
  socket.on('error', () => undefined)
  let rest = ''
  socket.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const message = parseLine<Received>(line)
      if (message === undefined) {
        socket.destroy()
        return
      }
      const waiter = waiting.shift()
      if (waiter === undefined) arrived.push(message)
      else waiter(message)
    }
  })
  socket.on('close', () => {
    gone = true
    for (const waiter of waiting.splice(0)) waiter(undefined)
  })
  return {
    send: (message) => {
      if (!socket.destroyed) socket.write(`${JSON.stringify(message)}\n`)
    },
    next: () => {
      const message = arrived.shift()
      if (message !== undefined) return Promise.resolve(message)
      if (gone) return Promise.resolve(undefined)
      return new Promise((resolve) => waiting.push(resolve))
    },
    hold: (how) => {
      if (how === 'held') socket.ref()
      else socket.unref()
    },
    close: () => {
      socket.end()
    },
  }
}

function parseLine<Received>(line: string): Received | undefined {
  try {
    return JSON.parse(line) as Received
  } catch {
    return undefined
  }
}

/** Connects to an announced guard; undefined when no guard of that announcement lives. */
export async function callGuard(
  to: Announcement,
  greeting: (token: string) => Request,
): Promise<{ channel: Channel<Request, Reply>; answer: Reply } | undefined> {
  const socket = connect({ host: '127.0.0.1', port: to.port })
  const channel = openChannel<Request, Reply>(socket)
  channel.send(greeting(to.token))
  // Another program may have got the port of a dead guard, and may say nothing at all.
  socket.setTimeout(5_000, () => socket.destroy())
  const answer = await channel.next()
  socket.setTimeout(0)
  if (answer === undefined) return undefined
  return { channel, answer }
}

const ANNOUNCEMENT = /^guard-[0-9a-f]{16}\.json$/
const UNANNOUNCED = /^guard-[0-9a-f]{16}\.tmp$/

/** Tells node's guard process from one that only imports its file. */
export const GUARD_MARK = 'tote-embedded-guard'

export function newGuardName(): string {
  return randomBytes(8).toString('hex')
}

/** Returns when every guard and command that looks can see the announcement, whole. */
export async function announce(home: string, announcement: Announcement): Promise<void> {
  const temporary = join(home, `guard-${announcement.guard}.tmp`)
  for (;;) {
    await writeFile(temporary, JSON.stringify(announcement), { mode: 0o600 })
    try {
      return await rename(temporary, join(home, `guard-${announcement.guard}.json`))
    } catch (error) {
      // A guard that leads has cleared it away as left over: once more.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
}

/** Clears what guards that were killed while announcing left behind. */
export async function clearUnannounced(home: string): Promise<void> {
  const names = (await readdir(home)).filter((name) => UNANNOUNCED.test(name))
  await Promise.all(names.map(async (name) => rm(join(home, name), { force: true })))
}

export async function withdraw(home: string, guard: string): Promise<void> {
  await rm(join(home, `guard-${guard}.json`), { force: true })
  await rm(join(home, `guard-${guard}.tmp`), { force: true })
}

/** Every announcement in the folder, of living and dead guards, in the order of their names. */
export async function announcements(home: string): Promise<readonly Announcement[]> {
  const names = (await readdir(home)).filter((name) => ANNOUNCEMENT.test(name)).toSorted()
  const found = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(join(home, name), 'utf8').catch(() => undefined)
      return text === undefined ? undefined : parseLine<Announcement>(text)
    }),
  )
  return found.filter((announcement) => announcement !== undefined)
}
