/**
 * Faults by the hundred: a run, a stage, a repair or a rebuild stands still at an effect drawn by the seed, something
 * is killed, cut off, filled or set back there, and it is run again; after each the whole world is judged (judge.ts).
 * A world lives for some dozens of them. The seed repeats every choice; where threads race, an effect may be another.
 */
import { openRandom, type Random } from '../attack/random.ts'
import { openPulse } from '../support/pulse.ts'
import { ERRORS } from '../../src/errors.ts'
import { drawFault, FAULTS, openFault, sideOf, type Fault } from './faults.ts'
import { batchOf, poison, problemsOf, seeBatch, wholeStar } from './judge.ts'
import type { Aim, Command, Point, Ran } from './runner.ts'
import { openServers, openWorld, type Servers, type World, type WorldSettings } from './world.ts'

export interface KillOptions {
  readonly seed: number
  readonly kills: number
  /** The first of them are one of each kind. */
  readonly eachOnce?: boolean
  /** How many a world lives for. */
  readonly worldKills?: number
  readonly faults?: readonly Fault[]
  /** Aborting ends it after the step that is under way. */
  readonly signal?: AbortSignal
  readonly log?: (text: string) => void
}

export interface Killed {
  /** Faults that came to something, by their kind and by what was under way. */
  readonly counts: ReadonlyMap<Fault, ReadonlyMap<string, number>>
  readonly kills: number
  /** Runs that ended well although a fault befell them, and those that failed by name. */
  readonly wentOn: number
  readonly failed: number
  /** Faults that the run did not come to. */
  readonly missed: number
  readonly poisoned: number
  readonly problems: readonly string[]
  /** What could not be done here, and why. */
  readonly left: readonly string[]
}

const PHASES = ['extract', 'transform', 'load', 'compact', 'rebuild', 'repair', 'between'] as const

/** Most problems before it ends. */
const ENOUGH = 5

export async function torture(options: KillOptions): Promise<Killed> {
  const startedAt = performance.now()
  const servers = await openServers()
  const counts = new Map<Fault, Map<string, number>>()
  const done = { kills: 0, wentOn: 0, failed: 0, missed: 0, poisoned: 0, problems: [] as string[] }
  const { noDisk, noLimit } = servers
  const none = noDisk !== undefined && noLimit !== undefined
  const left = none ? [`disk full: ${noDisk}, ${noLimit}`] : []
  const faults = (options.faults ?? FAULTS).filter((fault) => fault !== 'disk full' || !none)
  const worldKills = options.worldKills ?? 40
  const isOver = (): boolean =>
    options.signal?.aborted === true ||
    done.kills >= options.kills ||
    done.problems.length >= ENOUGH
  const pulse = openPulse()
  let unjudged = 0
  try {
    for (let index = 0; index < 10_000 && !isOver(); index++) {
      // So that one world is repeated by itself: the seed of the n-th is the seed and n.
      const seed = options.seed + index
      const random = openRandom(seed)
      const format = random.pick<WorldSettings['format']>(['parquet', 'parquet', 'csv', 'json'])
      const settings: WorldSettings = { strategy: random.pick(['compare', 'xmin']), format }
      const world = await openWorld(servers, settings)
      const effects = new Map<string, number>()
      try {
        const most = Math.min(worldKills, options.kills - done.kills)
        for (let step = 0; step < most && !isOver(); step++) {
          const sure =
            options.eachOnce === true ? faults.find((fault) => !counts.has(fault)) : undefined
          const among = sure === undefined ? faults : [sure]
          const beganAt = performance.now()
          const told = await playStep(servers, world, { random, faults: among, effects, step })
          done.poisoned += told.poisoned
          if (told.point === undefined) done.missed += 1
          else {
            done.kills += 1
            const byPhase = counts.get(told.fault) ?? new Map<string, number>()
            counts.set(told.fault, byPhase)
            byPhase.set(told.phase, (byPhase.get(told.phase) ?? 0) + 1)
            if (told.end === 'went on') done.wentOn += 1
            if (told.end === 'failed') done.failed += 1
          }
          if (told.problems.length === 0) continue
          const where = `seed ${seed}, step ${step + 1}, ${settings.strategy}, ${format}: ${told.fault} ${describePoint(told.point)}, ${told.command}`
          const problems = told.problems.map((problem) => `${where}: ${problem}`)
          const stopped = pulse.stoodStillSince(beganAt)
          if (stopped) unjudged += 1
          else done.problems.push(...problems)
          for (const problem of problems)
            options.log?.(
              `${stopped ? 'not judged, since all stood still' : 'PROBLEM'}: ${problem}`,
            )
          // What is wrong here would be wrong at each of the next.
          break
        }
      } finally {
        await servers.heal()
        await world.end()
      }
      const took = Math.round((performance.now() - startedAt) / 1000)
      options.log?.(
        `seed ${seed}: ${done.kills} kills, ${done.problems.length} problems, ${took} s`,
      )
    }
  } finally {
    pulse.end()
    await servers.end()
  }
  if (unjudged > 0) left.push(`judging ${unjudged} steps during which all stood still`)
  return { counts, left, ...done }
}

interface Step {
  readonly random: Random
  readonly faults: readonly Fault[]
  /** How many effects each stage of each command had at most, to draw among. */
  readonly effects: Map<string, number>
  readonly step: number
}

interface Told {
  readonly fault: Fault
  readonly command: string
  readonly point: Point | undefined
  readonly phase: string
  readonly end: 'killed' | 'failed' | 'went on'
  readonly poisoned: number
  readonly problems: readonly string[]
}

function noteEffects(effects: Map<string, number>, { command }: Command, ran: Ran): void {
  for (const [stage, count] of Object.entries(ran.effects)) {
    // A stage that found nothing to do says little of one that will.
    if (count > 10) effects.set(`${command} ${stage}`, count)
  }
}

async function playStep(servers: Servers, world: World, step: Step): Promise<Told> {
  const { random } = step
  let command = drawCommand(random, step.step)
  if (!step.faults.some((one) => befalls(one, command))) command = RUN
  const fault = drawFault(
    random,
    step.faults.filter((one) => befalls(one, command)),
  )
  const repairs = command.command === 'verify' || command.command === 'rebuild'
  const batch = await batchOf(world.warehouse)
  if (repairs) await world.warehouse.query(damage(random))
  else await world.source.query(change(random))
  const changed = await seeBatch(world.source, batch + 1)
  const before = await wholeStar(world.warehouse)
  const drawn = openFault(fault, random, servers, world)
  const aim = aimAt(random, command, fault, step.effects)
  const ran = await world.runners.run(command, { same: random.chance(0.9), aim, act: drawn.act })
  noteEffects(step.effects, command, ran)
  await drawn.undo()
  await servers.heal()
  const halfway = await wholeStar(world.warehouse)
  const poisoned = poison(world)
  const problems = problemsOfEnd(ran)
  for (const again of commandsAgain(command)) {
    const ended = await world.runners.run(again, { same: random.chance(0.8) })
    if (ended.outcome !== 'succeeded' && ended.outcome !== 'nothing to do')
      problems.push(`run again (${again.command}): ${describeEnd(ended)}`)
    noteEffects(step.effects, again, ended)
  }
  if (problems.length === 0) {
    const now = await batchOf(world.warehouse)
    const after = await wholeStar(world.warehouse)
    if (halfway !== before && halfway !== after)
      problems.push(
        `half a star: ${halfway.slice(0, 300)}\n  before: ${before.slice(0, 300)}\n  after: ${after.slice(0, 300)}`,
      )
    if (now - batch > 1 || (changed && now === batch))
      problems.push(`batch ${now} after batch ${batch}, rows ${changed ? '' : 'not '}changed`)
    problems.push(...(await problemsOf(world)))
  }
  const end = ran.outcome === 'killed' ? 'killed' : ran.error === undefined ? 'went on' : 'failed'
  return {
    fault,
    command: command.command,
    point: drawn.done() ? ran.point : undefined,
    phase: phaseOf(command, ran.point),
    end,
    poisoned,
    problems,
  }
}

const RUN: Command = { command: 'run', settings: {} }

/** The first of a world loads it. */
function drawCommand(random: Random, step: number): Command {
  if (step === 0) return RUN
  return random.pick<Command>([
    RUN,
    RUN,
    RUN,
    RUN,
    RUN,
    { command: 'extract', settings: {} },
    { command: 'rebuild', settings: {} },
    { command: 'rebuild', settings: {} },
    { command: 'verify', settings: { repair: true } },
    { command: 'verify', settings: { repair: true } },
  ])
}

/** Until the warehouse has everything. */
function commandsAgain(command: Command): Command[] {
  return command.command === 'extract' || command.command === 'rebuild' ? [command, RUN] : [command]
}

function befalls(fault: Fault, { command }: Command): boolean {
  const side = sideOf(fault)
  if (command === 'rebuild') return side !== 'source' && fault !== 'clock back'
  return command !== 'extract' || side !== 'warehouse'
}

/** What decides, by what is under way. */
const DECIDES: Readonly<Record<string, string>> = {
  extract: 'extract fs.*_manifests',
  transform: 'transform fs.*_manifests',
  load: 'load pg.* (commit|insert into "tote")',
  rebuild: 'pg.query commit',
  verify: 'verify pg.* (commit|update|insert|delete)',
}

/** How many of them there are; one where nothing is said. */
const DECISIONS: Readonly<Record<string, number>> = { extract: 6, transform: 6, load: 2 }

/** Stages of a command that a fault can befall. */
function stagesOf({ command }: Command, fault: Fault): [string, ...string[]] {
  if (command === 'rebuild') return ['load']
  if (command === 'extract') return ['extract']
  const side = sideOf(fault)
  if (command === 'verify')
    return side === 'warehouse'
      ? ['verify']
      : side === 'source'
        ? ['extract']
        : ['extract', 'verify']
  if (side === 'source') return ['extract']
  if (side === 'warehouse') return ['load']
  return ['extract', 'transform', 'load', 'load', 'between', 'start']
}

/** An effect of a stage, of as many as it last had; one that decides; or one of a compaction. */
function aimAt(
  random: Random,
  command: Command,
  fault: Fault,
  effects: ReadonlyMap<string, number>,
): Aim {
  const side = random.pick<Point['when']>(['before', 'after'])
  // The source's clock is asked once, soon after it begins.
  if (fault === 'clock back') return { on: '^extract pg', skip: random.below(7), side }
  if (command.command !== 'rebuild' && sideOf(fault) === undefined && random.chance(0.15))
    return { on: '…-base', skip: random.below(3), side }
  const stage = random.pick(stagesOf(command, fault))
  const place = command.command === 'rebuild' ? 'rebuild' : stage
  const decides = DECIDES[place]
  if (decides !== undefined && random.chance(0.25))
    return { on: decides, skip: random.below(DECISIONS[place] ?? 1), side }
  const most = effects.get(`${command.command} ${stage}`) ?? (stage in DECIDES ? 30 : 4)
  return { on: `^${stage} `, skip: random.below(most), side }
}

function phaseOf({ command }: Command, point: Point | undefined): string {
  if (command === 'rebuild') return 'rebuild'
  if (point?.effect.includes('-base') === true) return 'compact'
  const stage = point?.stage ?? 'between'
  if (command === 'verify' && stage === 'verify') return 'repair'
  return (PHASES as readonly string[]).includes(stage) ? stage : 'between'
}

/** What a run must not end in, whatever befell it. */
function problemsOfEnd(ran: Ran): string[] {
  if (['killed', 'succeeded', 'nothing to do'].includes(ran.outcome)) return []
  if (ran.outcome !== 'failed' || ran.error === undefined) return [describeEnd(ran)]
  // All that is done here passes, so whatever it is called must be worth a retry.
  return ERRORS[ran.error.name].retry ? [] : [`no retry: ${describeEnd(ran)}`]
}

function describeEnd({ outcome, error }: Ran): string {
  return `${outcome} ${error === undefined ? '' : `${error.name}: ${error.message} ${error.why ?? ''} ${JSON.stringify(error.problems ?? '')}`}`
}

function describePoint(point: Point | undefined): string {
  return point === undefined
    ? ''
    : `${point.when} effect ${point.n} (${point.stage}, ${point.effect})`
}

/** What an application may do between two runs. */
function change(random: Random): string {
  const id = 8_800_101 + random.below(40)
  const of = random.below(1000)
  const changes = [
    `update sale set units = units + 1 where sale_id = ${id}`,
    `delete from sale where sale_id = ${id}`,
    `insert into sale values (${id}, '2024-11-05', '2024-11-05', ${1 + (of % 3)}, 1, ${of}, 2.10, null)
       on conflict (sale_id) do update set unit_price = sale.unit_price + 0.01`,
    `insert into sale select n, '2024-11-06', '2024-11-06', 1 + n % 3, 2, n % 100, 0.10, 'many' from generate_series(${id}, ${id + 9}) n on conflict do nothing`,
    `delete from sale where sale_id % 3 = ${of % 3}`,
    `update sale set note = case when note is null then 'was none' end where sale_id % 2 = ${of % 2}`,
    `update department set department_name = 'department ${of}' where department_id = ${1 + (of % 2)}`,
    `update address set phone = case when phone is null then '0${of}' end`,
    `update staff set last_name = last_name`,
    `insert into payment values (${of}, ${id}, 1, ${of}.5, false) on conflict (payment_id) do update set paid = not payment.paid`,
  ]
  // Two of them, and a payment as a rule, so that most runs have a batch.
  const one = changes[random.below(changes.length)] ?? ''
  const two = changes[random.below(changes.length)] ?? ''
  return random.chance(0.1)
    ? 'select 1'
    : `${one}; ${two}; update payment set amount = amount + 1 where payment_id = 1`
}

/** What somebody may do to a warehouse that is not theirs. */
function damage(random: Random): string {
  return random.pick([
    'select 1',
    'update fact_sale set units = units + 1 where sale_record_id % 2 = 0',
    "update dim_staff set last_name = 'somebody else'",
    'delete from fact_sale where sale_record_id % 3 = 0',
    'update fact_payment set is_deleted = true where valid_to is null',
  ])
}

/** What was done, as a table, for whoever watches. */
export function sayKilled(killed: Killed): string {
  const row = (cells: readonly string[]): string =>
    cells.map((cell, index) => (index === 0 ? cell.padEnd(26) : cell.padStart(10))).join('')
  const lines = [...killed.counts].map(([fault, phases]) => {
    const all = [...phases.values()].reduce((sum, count) => sum + count, 0)
    return row([fault, ...PHASES.map((phase) => String(phases.get(phase) ?? 0)), String(all)])
  })
  return [
    row(['fault', ...PHASES, 'all']),
    ...lines,
    `${killed.kills} faults survived; of the runs ${killed.failed} failed by name, ${killed.wentOn} went on, the others were killed; ${killed.missed} came to nothing; ${killed.poisoned} files that no manifest names were overwritten`,
    ...killed.left.map((text) => `not done: ${text}`),
  ].join('\n')
}
