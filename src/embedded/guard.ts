/**
 * The process that owns an embedded server, started detached by the first command. Commands hold a
 * connection each; when the last one closes, by whatever end of the command, kill -9 included, it
 * stops the server and goes. Of several guards started at once one leads:
 *
 *   announce ─▶ ask every other guard ─▶ lead: create, start, serve ─▶ stop, withdraw
 *                    └ another leads or comes first by name ─▶ send our commands elsewhere
 *
 * Both announce before they ask, so of two at least one sees the other; who was asked by a guard
 * that comes first yields in the same turn, so that both never lead.
 */
import { randomBytes } from 'node:crypto'
import { createServer, Socket, type Server } from 'node:net'
import { toToteError } from '../errors.ts'
import { prepareBinaries, type BinaryPackage } from './binaries.ts'
import {
  announce,
  announcements,
  callGuard,
  clearUnannounced,
  GUARD_MARK,
  newGuardName,
  openChannel,
  withdraw,
} from './channel.ts'
import type { Channel, FailureText, Reply, Request } from './channel.ts'
import { createCluster, startPostmaster, type Postmaster, type Settings } from './cluster.ts'
import type { Home } from './home.ts'

/** What a command hands to the guard it starts, as JSON, after the mark. */
export interface GuardOrder {
  readonly home: Home
  readonly binaries: BinaryPackage
  readonly settings: Settings
}

type Command = Channel<Reply, Request>
type Rank = 'asking' | 'yielded' | 'leads' | 'stopping'

/** Guards until the last command has left, or `stopping`, or the server has ended. `starter` is the first command. */
export async function runGuard(
  order: GuardOrder,
  starter: Socket,
  stopping: Promise<void>,
): Promise<void> {
  const home = order.home.folder
  const guard = newGuardName()
  const token = randomBytes(32).toString('hex')
  const sockets = new Set<Socket>([starter])
  const commands = new Set<Command>()
  const state: { rank: Rank; postmaster: Postmaster | undefined; last: Command | undefined } = {
    rank: 'asking',
    postmaster: undefined,
    last: undefined,
  }
  let desert: () => void = () => undefined
  const deserted = new Promise<void>((resolve) => {
    desert = resolve
  })
  const tell = (reply: Reply): void => {
    for (const command of commands) command.send(reply)
  }

  async function serve(command: Command): Promise<void> {
    commands.add(command)
    command.send({ type: 'welcome' })
    if (state.postmaster !== undefined) command.send({ type: 'ready', port: state.postmaster.port })
    // Whatever it says, or saying nothing more: it leaves.
    await command.next()
    commands.delete(command)
    if (commands.size === 0 && state.rank === 'leads') {
      // In the same turn, so that nobody can join a server that is about to stop.
      state.rank = 'stopping'
      state.last = command
      return desert()
    }
    command.send({ type: 'released' })
    command.close()
  }

  async function receive(socket: Socket): Promise<void> {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    const channel: Command = openChannel<Reply, Request>(socket)
    const message = await channel.next()
    if (message === undefined || message.type === 'release' || message.token !== token) {
      socket.destroy()
    } else if (message.type === 'join') {
      if (state.rank === 'asking' || state.rank === 'leads') return serve(channel)
      // Left open until this process ends: then is the time to look again.
      channel.send({ type: 'elsewhere' })
    } else {
      if (state.rank === 'asking' && message.guard < guard) state.rank = 'yielded'
      const answer = {
        asking: 'first',
        yielded: 'yields',
        leads: 'leads',
        stopping: 'leads',
      } as const
      channel.send({ type: 'rank', rank: answer[state.rank] })
    }
  }

  const server = createServer((socket) => void receive(socket))
  try {
    const port = await listen(server)
    void serve(openChannel<Reply, Request>(starter))
    await announce(home, { guard, port, token })
    if (await isOvertaken(home, guard)) state.rank = 'yielded'
    if (state.rank === 'asking') state.rank = commands.size > 0 ? 'leads' : 'stopping'
    if (state.rank === 'yielded') tell({ type: 'elsewhere' })
    if (state.rank !== 'leads') return

    await clearUnannounced(home)
    const binaries = await prepareBinaries(order.binaries, order.home)
    const log = (text: string): void => tell({ type: 'log', text })
    const plan = { home: order.home, binaries, settings: order.settings, log }
    await createCluster(plan)
    if (commands.size === 0) return
    state.postmaster = await startPostmaster(plan)
    tell({ type: 'ready', port: state.postmaster.port })
    await Promise.race([deserted, stopping, state.postmaster.exited])
  } catch (error) {
    tell({ type: 'failed', failure: failureText(error) })
  } finally {
    if (state.rank === 'leads') state.rank = 'stopping'
    await state.postmaster?.stop()
    await withdraw(home, guard)
    state.last?.send({ type: 'released' })
    server.close()
    // Those who were sent elsewhere wait for this end.
    for (const socket of sockets) socket.end()
  }
}

/** Whether another guard leads, or comes before this one. Clears away what dead guards left. */
async function isOvertaken(home: string, guard: string): Promise<boolean> {
  let overtaken = false
  for (const other of await announcements(home)) {
    if (other.guard === guard) continue
    const call = await callGuard(other, (token) => ({ type: 'rival', token, guard }))
    if (call === undefined) {
      await withdraw(home, other.guard)
      continue
    }
    call.channel.close()
    if (call.answer.type === 'rank' && call.answer.rank !== 'yields') overtaken = true
  }
  return overtaken
}

async function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
}

function failureText(error: unknown): FailureText {
  const { message, facts } = toToteError(error)
  const { why, fix } = facts
  return { message, ...(why === undefined ? {} : { why }), ...(fix === undefined ? {} : { fix }) }
}

if (process.argv[2] === GUARD_MARK) {
  const stopping = new Promise<void>((resolve) => {
    for (const event of ['SIGTERM', 'SIGINT', 'SIGHUP', 'uncaughtException'] as const) {
      process.on(event, () => resolve())
    }
  })
  const starter = new Socket({ fd: 3, readable: true, writable: true })
  await runGuard(JSON.parse(process.argv[3] ?? '') as GuardOrder, starter, stopping)
  process.exit(0)
}
