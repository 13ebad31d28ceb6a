/** What is done to a run where it stands still, and how it is made good afterwards. */
import { execFileSync } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '../attack/random.ts'
import { killProcess } from '../support/cluster.ts'
import type { Act } from './runner.ts'
import type { Servers, Side, World } from './world.ts'

export const FAULTS = [
  'process killed',
  'source killed',
  'source session killed',
  'source dropped',
  'source stalled',
  'warehouse killed',
  'warehouse session killed',
  'warehouse dropped',
  'warehouse stalled',
  'disk full',
  'clock back',
] as const
export type Fault = (typeof FAULTS)[number]

/** How often each is drawn; stalls take seconds each. */
const WEIGHTS: Readonly<Record<Fault, number>> = {
  'process killed': 34,
  'source killed': 6,
  'source session killed': 6,
  'source dropped': 8,
  'source stalled': 3,
  'warehouse killed': 8,
  'warehouse session killed': 8,
  'warehouse dropped': 10,
  'warehouse stalled': 4,
  'disk full': 8,
  'clock back': 5,
}

export function drawFault(random: Random, among: readonly Fault[]): Fault {
  let at = random.below(among.reduce((sum, fault) => sum + WEIGHTS[fault], 0))
  for (const fault of among) {
    at -= WEIGHTS[fault]
    if (at < 0) return fault
  }
  return 'process killed'
}

/** The side that a fault befalls. */
export function sideOf(fault: Fault): Side | undefined {
  return fault.startsWith('source')
    ? 'source'
    : fault.startsWith('warehouse')
      ? 'warehouse'
      : undefined
}

export interface Drawn {
  readonly act: Act
  /** Whether it came to something: a session may be gone by the time it is looked for. */
  done(): boolean
  /** After the run: what the servers' own `heal` does not undo. */
  undo(): Promise<void>
}

export function openFault(fault: Fault, random: Random, servers: Servers, world: World): Drawn {
  let done = false
  const act = (action: (point: Parameters<Act>[0]) => ReturnType<Act>): Act => {
    return async (point) => {
      done = true
      return action(point)
    }
  }
  const drawn = (action: Act, undo: () => Promise<void> = async () => undefined): Drawn => ({
    act: act(action),
    done: () => done,
    undo,
  })
  const side = sideOf(fault)
  if (side === undefined) {
    if (fault === 'disk full')
      return drawn(...(servers.noDisk === undefined ? fillDisk(random, world) : limitFiles(random)))
    if (fault === 'clock back') return drawn(...setClock(random, world))
    return drawn(async () => 'kill')
  }
  const { cluster, proxy } = servers[side]
  const later = random.chance(0.5) ? random.below(30_000) : 0
  switch (fault.slice(side.length + 1)) {
    case 'killed':
      return drawn(async () => {
        await cluster.kill()
        // Half of the time it is back before anyone asks again.
        if (later > 0) await cluster.start()
        return {}
      })
    case 'session killed':
      return drawn(async () => {
        const sessions = await cluster.query(
          'postgres',
          `select pid from pg_stat_activity where datname = '${world.name}' and application_name = 'tote'`,
        )
        const [session] = sessions
        if (session === undefined) done = false
        else killProcess(Number(session['pid']))
        return {}
      })
    case 'dropped':
      return drawn(async () => {
        if (later > 0) proxy.after(later, () => proxy.drop())
        else proxy.drop()
        return {}
      })
    default:
      return drawn(async () => {
        proxy.stall(later > 0 ? 'present' : 'all')
        return {}
      })
  }
}

function fillDisk(random: Random, { folder }: World): [Act, () => Promise<void>] {
  const filler = join(folder, 'filler')
  const left = random.pick([0, 0, 1, 4, 16, 64]) * 4096
  return [
    async () => {
      const reserve = join(folder, 'reserve')
      if (left > 0) writeFileSync(reserve, Buffer.alloc(left))
      for (const size of [1 << 20, 4096]) fill(filler, size)
      rmSync(reserve, { force: true })
      return {}
    },
    async () => rmSync(filler, { force: true }),
  ]
}

/** Where no small disk can be had: no file of the process may grow beyond a few kilobytes. */
function limitFiles(random: Random): [Act, () => Promise<void>] {
  const bytes = random.pick([0, 100, 4096])
  let limited: number | undefined
  const limit = (pid: number, to: string): void =>
    void execFileSync('prlimit', ['--pid', String(pid), `--fsize=${to}:`], { stdio: 'ignore' })
  return [
    async ({ pid }) => {
      limit(pid, String(bytes))
      limited = pid
      return {}
    },
    async () => {
      if (limited !== undefined && existsSync(`/proc/${limited}`)) limit(limited, 'unlimited')
    },
  ]
}

/** Appends until the disk takes no more of that size. */
function fill(path: string, size: number): void {
  const chunk = Buffer.alloc(size)
  for (;;) {
    try {
      writeFileSync(path, chunk, { flag: 'a' })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return
      throw error
    }
  }
}

/** The source's clock and the process's own, by a second to a year. */
function setClock(random: Random, { source }: World): [Act, () => Promise<void>] {
  const seconds = random.pick([1, 60, 3600, 86_400, 31_536_000])
  return [
    async () => {
      await source.query(`update oracle.clock set behind = '${seconds} seconds'`)
      return { skewMs: -seconds * 1000 }
    },
    async () => void (await source.query(`update oracle.clock set behind = '0'`)),
  ]
}
