/**
 * What a test kills in: a checkout with databases of its own, put back to where it was as often as it takes; and the
 * killing itself. A command is killed with SIGKILL at one effect on the world after another. Right after each kill the
 * warehouse is read: it stands as before, or as a command that was not killed leaves it. Then the command runs again and
 * must end as that one did, unless what the kill left is what another one left before; a share of those, too.
 *
 * TOTE_KILL=every runs each again; a seed turns the shares, and TOTE_KILL_SEED repeats a choice.
 */
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { fill } from '../../examples/totesys/simulator/fill.ts'
import {
  buildCli,
  checkOut,
  NEVER,
  runWithSwitch,
  startRun,
  type Effect,
  type Ended,
  type KillPoint,
  type Site,
} from './kill.ts'
import { differences, leftBehind, WAREHOUSE_TABLES, type Contents } from './oracle.ts'
import { testServer, type TestDatabase } from './postgres.ts'
import { openPulse } from './pulse.ts'

export const every = process.env['TOTE_KILL'] === 'every'
const seed = Number(process.env['TOTE_KILL_SEED'] ?? Date.now() % 1000)
/** Of the kills that leave what another one left, one in so many is run again nevertheless. */
const AGAIN = 6

/** Whether the n-th of something is in the share of one in so many. */
export function isDrawn(n: number, share: number): boolean {
  return every || n % share === seed % share
}

export interface KillWorld {
  readonly folder: string
  readonly site: Site
  readonly source: TestDatabase
  readonly warehouse: TestDatabase
  /** Runs to the end, which must be a good one. */
  run(command?: string): Promise<void>
  /** Keeps the lake and the rows of these tables of the warehouse aside. */
  keep(tables?: readonly string[]): Promise<void>
  /** Puts back what was kept, after this statement and in its transaction; nothing at all when nothing was. */
  reset(prepare?: string): Promise<void>
  end(): Promise<void>
}

/** The source is filled at that scale, with a year. */
export async function openKillWorld(scale: number): Promise<KillWorld> {
  buildCli()
  const server = await testServer()
  const source = await server.createDatabase('kill_source')
  const warehouse = await server.createDatabase('kill_warehouse')
  await fill(source.url, { scale, years: 1 })
  const folder = mkdtempSync(join(tmpdir(), 'tote-kill-'))
  const site = checkOut(folder, folder, { source: source.url, warehouse: warehouse.url })
  let kept: readonly string[] | undefined
  return {
    folder,
    site,
    source,
    warehouse,
    run: async (command) => {
      const ended = await startRun(site, undefined, command).ended
      if (ended.exit !== 0) throw new Error(describeEnd(ended))
    },
    keep: async (tables = WAREHOUSE_TABLES) => {
      kept = tables
      cpSync(join(folder, 'lake'), join(folder, 'kept'), { recursive: true })
      const all = ['tote.ledger', ...tables.map((table) => `public.${table}`)]
      await warehouse.query(
        `create schema kept; ${all.map((table) => `create table kept.${table.split('.')[1]} as table ${table}`).join('; ')}`,
      )
    },
    reset: async (prepare = '') => {
      emptyFolders(site)
      if (kept === undefined) {
        await warehouse.query(
          'drop schema if exists tote cascade; drop schema public cascade; create schema public',
        )
        return
      }
      cpSync(join(folder, 'kept'), join(folder, 'lake'), { recursive: true })
      const tables = kept.toReversed()
      await warehouse.query(
        `begin; ${prepare};
         truncate tote.ledger, ${tables.map((table) => `public.${table}`).join(', ')}; insert into tote.ledger table kept.ledger;
         ${tables.map((table) => `insert into public.${table} table kept.${table}`).join('; ')}; commit`,
      )
    },
    end: async () => {
      await source.drop()
      await warehouse.drop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Removes the lake and the state folder's content, but for the transpiled config, which takes time only. */
function emptyFolders({ folder, lake }: Site): void {
  const state = join(folder, '.tote')
  const names = existsSync(state) ? readdirSync(state).filter((name) => name !== 'cache') : []
  for (const gone of [join(lake.ingestion, '..'), ...names.map((name) => join(state, name))])
    rmSync(gone, { recursive: true, force: true })
}

export interface KillPlan {
  readonly name: string
  /** `run` unless it says otherwise. */
  readonly command?: string
  /** Puts a world to where the command begins. */
  reset(world: KillWorld): Promise<void>
  /** Every cell that a kill leaves as it was or as it shall be. */
  whole(world: KillWorld): Promise<Contents>
  /** Where to kill, by KILL_AT, of the effects of a command that is not killed. */
  points(effects: readonly Effect[]): readonly number[]
  /** What is wrong when it has come to its end. */
  problems?(world: KillWorld): Promise<string[]>
}

export interface Played {
  readonly before: Contents
  readonly after: Contents
  readonly killed: readonly KillPoint[]
}

/** In worlds that are alike, each at its own. Throws when anything is wrong after any of the kills. */
export async function killEach(worlds: readonly KillWorld[], plan: KillPlan): Promise<Played> {
  const startedAt = Date.now()
  const [first] = worlds
  if (first === undefined) throw new Error('no world')
  await plan.reset(first)
  const before = await plan.whole(first)
  const untouched = await runWithSwitch(first.site, { at: NEVER }, plan.command)
  expect(untouched.ended).toMatchObject({ exit: 0, summary: { outcome: 'succeeded' } })
  const after = await plan.whole(first)
  expect(differences(before, after)).not.toEqual([])

  const problemsOf = async (world: KillWorld): Promise<string[]> => [
    ...differences(after, await plan.whole(world)).map((text) => `unlike the unkilled: ${text}`),
    ...((await plan.problems?.(world)) ?? []),
    ...(await leftBehind(world.source, world.warehouse)),
  ]
  expect(await problemsOf(first)).toEqual([])

  const points = [...plan.points(untouched.effects)]
  const killed: KillPoint[] = []
  const problems: string[] = []
  const seen = new Map<string, number>()
  let repeated = 0
  const playPoint = async (world: KillWorld, at: number): Promise<string[]> => {
    await plan.reset(world)
    const { ended, point } = await runWithSwitch(world.site, { at }, plan.command)
    // One effect may come more or less than in the run that was not killed.
    if (point === undefined)
      return ended.exit === 0 ? problemsOf(world) : [`not killed: ${describeEnd(ended)}`]
    const place = `killed ${point.killed} effect ${point.n} (${point.stage}, ${point.effect})`
    if (ended.signal !== 'SIGKILL') return [`${place}, which it was not: ${describeEnd(ended)}`]
    killed.push(point)
    const found = await plan.whole(world)
    const stands = [before, after].findIndex((rows) => differences(rows, found).length === 0)
    if (stands < 0) return [`${place}: half a batch: ${differences(before, found).join('; ')}`]
    const left = `${stands} ${stateOf(world.site, point)}`
    const times = seen.get(left) ?? 0
    seen.set(left, times + 1)
    if (times > 0 && !isDrawn(times, AGAIN))
      return (await leftBehind(world.source, world.warehouse)).map((text) => `${place}: ${text}`)
    repeated += 1
    const again = await startRun(world.site, undefined, plan.command).ended
    const wrong = again.exit === 0 ? await problemsOf(world) : [`run again: ${describeEnd(again)}`]
    return wrong.map((text) => `${place}: ${text}`)
  }
  const pulse = openPulse()
  await Promise.all(
    worlds.map(async (world) => {
      for (let at = points.shift(); at !== undefined && problems.length < 5; at = points.shift()) {
        const beganAt = performance.now()
        const found = await playPoint(world, at)
        if (found.length > 0 && pulse.stoodStillSince(beganAt)) points.push(at)
        else problems.push(...found)
      }
    }),
  )
  pulse.end()
  const stages = [...new Set(killed.map(({ stage }) => stage))].map(
    (stage) => `${stage} ${killed.filter((point) => point.stage === stage).length}`,
  )
  process.stdout.write(
    `${plan.name}: ${untouched.effects.length} effects, killed ${killed.length} times (${stages.join(', ')}), ` +
      `${seen.size} states left, run again ${repeated} times, seed ${seed}, ${Math.round((Date.now() - startedAt) / 1000)} s\n`,
  )
  expect(problems).toEqual([])
  return { before, after, killed }
}

/** What makes something visible. */
export function isDecisive(effect: string): boolean {
  return /^(fs\.link|pg\.query commit|pg\.parse insert into "tote")/.test(effect)
}

/** What a kill left on disk, without what is random in it; and what of a server was under way. */
function stateOf({ folder, lake }: Site, { stage, effect, killed }: KillPoint): string {
  const list = (path: string, sizes: boolean): string[] =>
    (existsSync(path) ? readdirSync(path, { recursive: true, encoding: 'utf8' }) : []).map(
      (name) => {
        const { size } = statSync(join(path, name))
        return `${keyOf(name)} ${sizes ? size : ''}`
      },
    )
  const deciding = isDecisive(effect) ? `${killed} ${effect}` : ''
  return [
    stage,
    deciding,
    ...list(join(lake.ingestion, '..'), true),
    '',
    ...list(join(folder, '.tote'), false),
  ].join('\n')
}

function keyOf(name: string): string {
  return name
    .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '…')
    .replaceAll(/\d{12}(-base)?-\d+-[0-9a-f]{12}|[0-9A-Z]{10,16}(?=\.jsonl)|\d+(?=-…)/g, '…')
}

function describeEnd({ exit, summary, stderr }: Ended): string {
  return `exit ${exit} ${JSON.stringify(summary?.error ?? stderr)}`
}
