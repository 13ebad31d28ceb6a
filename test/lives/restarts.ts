/** Servers stop, crash and come back: between two runs, while one lasts, or in its middle. */
import { expect } from 'vitest'
import { killProcess } from '../support/cluster.ts'
import { runAndCheck } from './runs.ts'
import { runOnce } from './stay.ts'
import { newestPoint, observe, said, type State } from './state.ts'
import { changeSql } from './world.ts'

/** A recovery counts anew. */
const COUNTING = 'pg_stat_get_bgwriter_stat_reset_time() as counting'

const WAYS = ['fast', 'immediate', 'kill', 'session'] as const

export async function restart(state: State): Promise<void> {
  const { chance, project, life } = state
  if (chance.yes(0.7)) await project.source.query(said(state, changeSql(chance, state.settings)))
  const side = chance.of(['source', 'warehouse'] as const)
  const how = chance.of(WAYS)
  const when = chance.of(how === 'session' ? [between, amid] : [between, meanwhile, amid])
  life.log(`    ${side}: ${how} ${when.name}`)
  life.count(`${side} ${how} ${when.name}`)
  await when(state, side, how)
}

type Side = 'source' | 'warehouse'
type How = (typeof WAYS)[number]

async function between(state: State, side: Side, how: How): Promise<void> {
  await stop(state, side, how)
  await start(state, side)
  await runAndCheck(state)
}

/** What it does not need goes on; the warehouse then catches up. */
async function meanwhile(state: State, side: Side, how: How): Promise<void> {
  const run = async (): Promise<string> => {
    await stop(state, side, how)
    try {
      const { error } = await runOnce(state, { acceptChange: [...state.accept] })
      return `${error?.name}`
    } finally {
      await start(state, side)
    }
  }
  const recorded = newestPoint(state)
  const name = await run()
  state.life.log(`    ${name}`)
  expect(name, `${side} down`).toBe('SourceUnreachable')
  await observe(state)
  await runAndCheck(state, {}, recorded)
}

async function amid(state: State, side: Side, how: How): Promise<void> {
  const { chance, life } = state
  const recorded = newestPoint(state)
  const after = chance.below(1500)
  const running = runOnce(state, { acceptChange: [...state.accept] })
  await new Promise((resolve) => setTimeout(resolve, after))
  await stop(state, side, how)
  if (chance.yes(0.5)) await new Promise((resolve) => setTimeout(resolve, chance.below(1000)))
  await start(state, side)
  const { error } = await running
  life.log(`    after ${after} ms: ${error?.name}: ${error?.message}`)
  life.count(`amid: ${error?.name ?? 'good'}`)
  if (error !== undefined)
    expect(error.name, `${side} ${how} in a run: ${error.message}`).toBeOneOf([
      'SourceUnreachable',
      'WarehouseUnreachable',
      // By an edit, or by rows: the next run says so, too.
      'ModelInvalid',
      'CheckFailed',
      'ModelEdited',
      'WarehouseDependents',
    ])
  await observe(state)
  await runAndCheck(state, {}, recorded)
}

async function stop({ life: { servers }, admin }: State, side: Side, how: How): Promise<void> {
  const { cluster } = servers[side]
  if (how === 'kill') await cluster.kill()
  else if (how === 'session') {
    const [session] = await admin[side].query(`select pg_backend_pid() as pid, ${COUNTING}`)
    killProcess(Number(session?.['pid']))
    const recovered = async (): Promise<boolean> => {
      const [found] = await cluster.query('postgres', `select ${COUNTING}`).catch(() => [])
      return found !== undefined && found['counting'] !== session?.['counting']
    }
    for (let tries = 0; !(await recovered()) && tries < 200; tries++)
      await new Promise((resolve) => setTimeout(resolve, 50))
  } else await cluster.stop(how)
}

/** It recovers from the crash of a session by itself. */
async function start({ life: { servers } }: State, side: Side): Promise<void> {
  const { cluster } = servers[side]
  for (let tries = 0; ; tries++) {
    try {
      if (!cluster.isRunning()) await cluster.start()
      await cluster.query('postgres', 'select 1')
      break
    } catch (error) {
      if (tries > 200) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  // Whoever was connected must have noticed.
  await new Promise((resolve) => setTimeout(resolve, 100))
}
