/** Two at once: what starts while another run is under way, on this machine or from another checkout. */
import { cp, mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { checkOutAgain, runIn } from '../support/checkout.ts'
import { startCli } from '../support/project.ts'
import { runAndCheck } from './runs.ts'
import { runOnce } from './stay.ts'
import { newestPoint, observe, said, type State } from './state.ts'
import { changeSql } from './world.ts'

/** Each ends well, and together they are what one would have been. */
export async function runTogether(state: State): Promise<void> {
  const { project, chance, life } = state
  await runAndCheck(state)
  await project.source.query(said(state, changeSql(chance, state.settings)))
  const recorded = newestPoint(state)
  const ways: Readonly<Record<string, () => Promise<string>>> = {
    run: async () => command('run'),
    verify: async () => command('verify'),
    rebuild: async () => command('rebuild'),
    here: async () => (await runOnce(state)).error?.name ?? '',
    elsewhere: async () => elsewhere(),
    dev: async () => dev(),
  }
  async function command(name: string): Promise<string> {
    const { exit, stdout, stderr } = await startCli(project.folder, [name, '--json']).ended
    return exit === 0 ? '' : `${name}: exit ${exit} ${stdout} ${stderr}`
  }
  async function elsewhere(): Promise<string> {
    const folder = await mkdtemp(join(project.folder, 'other-'))
    await checkOutAgain(project, folder, {})
    await cp(join(project.folder, 'seeds'), join(folder, 'seeds'), { recursive: true })
    const { error } = await runIn(folder)
    return error === undefined ? '' : `${error.name}: ${error.message}`
  }
  /** Another environment, whose lake may know other columns: then it is refused, and nothing else is. */
  async function dev(): Promise<string> {
    const { exit, stdout } = await startCli(project.folder, ['run', '-e', 'dev', '--json']).ended
    return exit === 0 || /"name":"(CheckFailed|ModelInvalid|SourceChanged)"/.test(stdout)
      ? ''
      : `dev: exit ${exit} ${stdout}`
  }
  const first = chance.of(Object.keys(ways))
  const second = chance.of(Object.keys(ways).filter((name) => name !== 'here' || first !== 'here'))
  life.log(`    ${first} and ${second}`)
  life.count(`together: ${[first, second].toSorted().join(' and ')}`)
  const ended = await Promise.all([ways[first]?.(), ways[second]?.()])
  expect(ended, `${first} and ${second} together`).toEqual(['', ''])
  await observe(state)
  await runAndCheck(state, {}, recorded)
}
