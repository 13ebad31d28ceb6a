/** Every way to run a project, each with what must hold afterwards. */
import { expect } from 'vitest'
import type { NewEvent, RunSummary } from '../../src/events.ts'
import { startSwitched } from '../support/checkout.ts'
import { startCli } from '../support/project.ts'
import { rowsAt, type Point } from './history.ts'
import { dropHanging, expectHanging } from './hanging.ts'
import { FIRST_VARIANTS, write } from './models.ts'
import { dump, editSome } from './owner.ts'
import { predict } from './predict.ts'
import { expectCounts, expectSaid, expectStar } from './standing.ts'
import { runOnce } from './stay.ts'
import {
  newestPoint,
  observe,
  pendingEdits,
  said,
  take,
  textOf,
  writeModels,
  type Asked,
  type State,
} from './state.ts'
import { thingSchema, thingWidth } from './thing.ts'
import { changeSql, configOf } from './world.ts'

export async function runAndCheck(
  state: State,
  asked: Asked = {},
  since?: Point,
): Promise<{ readonly summary: RunSummary; readonly events: readonly NewEvent[] } | undefined> {
  const { project, life } = state
  const accept = [...state.accept]
  const before = await project.standing()
  const edits = pendingEdits(state)
  const processedBefore = since ?? newestPoint(state)
  const { summary, error, events } = await runOnce(state, { ...asked, acceptChange: accept })
  await observe(state)
  if (error?.name === 'WarehouseDependents' && state.hung.size > 0) {
    life.count('what hangs is in the way')
    life.log(`    ${error.message} ${JSON.stringify(error.facts.problems)}`)
    const after = await project.standing()
    expect(processedOnly(after.manifests), 'P3: while something is in the way').toEqual(
      processedOnly(before.manifests),
    )
    expect(after.warehouse, 'while something is in the way').toEqual(before.warehouse)
    await dropHanging(state)
    return runAndCheck(state, asked, processedBefore)
  }
  const outcome = await predict(state, asked, processedBefore)
  if (outcome.kind === 'refused') {
    life.count(`refused ${outcome.names.join('/')}`)
    expect(
      error === undefined ? 'nothing' : error.name,
      `refused, ${JSON.stringify(error?.message)} ${JSON.stringify(error?.facts.problems)}`,
    ).toBeOneOf([...outcome.names])
    life.log(
      `    refused: ${error?.name}: ${error?.message} ${JSON.stringify(error?.facts.problems ?? [])}`,
    )
    if (outcome.restated) take(state, asked, { recorded: processedBefore, skips: outcome.skips })
    else {
      const after = await project.standing()
      expect(processedOnly(after.manifests), 'P3: after a refused edit').toEqual(
        processedOnly(before.manifests),
      )
      expect(after.warehouse, 'after a refused edit').toEqual(before.warehouse)
    }
    // Back to what ran last.
    state.models.clear()
    for (const [name, variant] of state.taken) state.models.set(name, variant)
    if (state.models.size === 0)
      for (const [name, variant] of Object.entries(FIRST_VARIANTS)) state.models.set(name, variant)
    await writeModels(state)
    life.log('    taken back, and run')
    const again = await predict(state, {}, processedBefore)
    if (again.kind === 'refused') {
      life.log(`    still refused by the rows: ${again.names.join()}; all models as at first`)
      state.models.clear()
      for (const [name, variant] of Object.entries(FIRST_VARIANTS)) state.models.set(name, variant)
      await writeModels(state)
    }
    await runAndCheck(state)
    return undefined
  }
  const isDown = error !== undefined && asked.failing?.includes(error.name) === true
  if (asked.failing !== undefined)
    expect(error?.name, 'while something is down').toBeOneOf([...asked.failing])
  if (error !== undefined && !isDown)
    throw new Error(
      `${error.name}: ${error.message} ${JSON.stringify(error.facts.problems)} ${JSON.stringify(error.facts)}`,
    )
  state.accept.clear()
  if (since === undefined)
    await expectSaid(state, {
      forward: asked.forward ?? [],
      events,
      recorded: processedBefore,
      edits,
    })
  take(state, asked, { recorded: processedBefore, skips: outcome.skips })
  await expectStar(state)
  await expectHanging(state)
  expectCounts(state, summary)
  return { summary, events }
}

const processedOnly = (manifests: readonly string[]): readonly string[] =>
  manifests.filter((line) => line.includes('processed/'))

/** Where nothing happened there is nothing to do, and nothing is written. */
export async function runAgain(state: State): Promise<void> {
  const { project } = state
  // The one after a change may still keep new positions.
  for (let n = 0; n < 2; n++) await runAndCheck(state)
  const before = await project.standing()
  const { summary } = await runOnce(state)
  expect(summary.outcome, 'a run after which nothing happened').toBe('nothing to do')
  expect(await project.standing(), 'a run after which nothing happened').toEqual(before)
}

export async function runForward(state: State): Promise<void> {
  const { chance, models, life } = state
  if (chance.yes(0.5)) await editSome(state)
  const { added, changed } = pendingEdits(state)
  const names = [...added, ...changed]
  // Who reads a model that is restated is restated with it; not asked for here is to go on nevertheless.
  const forward = names.filter((name) => chance.yes(0.8) && models.has(name))
  life.log(`    forward ${forward.join(', ')} of ${names.join(', ')}`)
  await runAndCheck(state, { forward })
}

export async function runStages(state: State): Promise<void> {
  const { project, chance, life } = state
  await dropHanging(state)
  const recorded = newestPoint(state)
  const warehouse = (await project.standing()).warehouse
  const before = await runOnce(state, { only: 'extract', acceptChange: [...state.accept] })
  if (before.error !== undefined) throw before.error
  state.accept.clear()
  await observe(state)
  expect((await project.standing()).warehouse, 'extract alone').toEqual(warehouse)
  if (chance.yes(0.4)) {
    await state.project.source.query(said(state, changeSql(chance, state.settings)))
    const more = await runOnce(state, { only: 'extract' })
    if (more.error !== undefined) throw more.error
    await observe(state)
  }
  if (chance.yes(0.3)) return
  const outcome = await predict(state, {}, recorded)
  if (outcome.kind === 'refused') return void (await runAndCheck(state))
  const transformed = await runOnce(state, { only: 'transform' })
  if (transformed.error !== undefined) throw transformed.error
  await observe(state)
  life.log(`    transformed to batch ${newestPoint(state)?.batch}`)
  take(state, {}, { recorded, skips: outcome.skips })
  expect((await project.standing()).warehouse, 'transform alone').toEqual(warehouse)
  const next = chance.of(['nothing', 'load', 'rebuild', 'the dump'] as const)
  if (next === 'nothing') return
  if (next === 'the dump' && state.dump) await dump(state)
  if (next === 'rebuild') {
    life.count('rebuilt from what was not loaded')
    const { exit, stdout } = await project.tote('rebuild', '--json')
    expect(exit, `tote rebuild: ${stdout}`).toBe(0)
    return expectStar(state)
  }
  const loaded = await runOnce(state, { only: 'load' })
  if (loaded.error !== undefined) throw loaded.error
  await expectStar(state)
}

export async function killThenRun(state: State): Promise<void> {
  const { project, chance, life } = state
  if (state.accept.size > 0) await runAndCheck(state)
  await project.source.query(said(state, changeSql(chance, state.settings)))
  const at = chance.below(160)
  const recorded = newestPoint(state)
  const started = startSwitched(project.folder, { KILL_AT: String(at + 2) })
  const [code, point] = await Promise.all([started.ended, started.thrown])
  life.count(point === undefined ? 'kill came too late' : `killed in ${point.stage}`)
  life.log(
    `    ${point === undefined ? `exit ${code}` : `killed ${point.killed} ${point.stage} ${point.effect}`}`,
  )
  await observe(state)
  // As if it had not run: the next one makes it good.
  await runAndCheck(state, {}, recorded)
}

export async function rehearseThenRun(state: State): Promise<void> {
  const { project } = state
  const before = await project.standing()
  const dry = await runOnce(state, { dryRun: true, acceptChange: [...state.accept] })
  expect(await project.standing(), 'a dry run writes nothing').toEqual(before)
  const told = await runAndCheck(state)
  if (told === undefined) return
  const counts = ({ tables, models }: RunSummary): unknown => ({ tables, models })
  expect(counts(dry.summary), 'a dry run says what the run does').toEqual(counts(told.summary))
  const notes = (events: readonly NewEvent[]): readonly string[] =>
    events.flatMap((event) => (event.type === 'note' ? [event.text] : []))
  expect(notes(dry.events), 'a dry run says what the run says').toEqual(notes(told.events))
}

export async function checkThenRun(state: State): Promise<void> {
  const { project } = state
  const { added, changed, removed } = pendingEdits(state)
  const before = await project.standing()
  const told = await project.tote('check', '--live', '--json')
  expect(await project.standing(), 'check writes nothing').toEqual(before)
  const text = told.stdout
  state.life.log(`    check: exit ${told.exit}`)
  for (const name of [...added, ...changed, ...removed])
    if (told.exit === 0)
      expect(
        text,
        `check says which models were edited: ${added.join()}; ${changed.join()}; ${removed.join()} ${textOf(name, state.taken)} ${textOf(name, state.models)}`,
      ).toContain(name)
  await runAndCheck(state)
}

export async function badEdit(state: State): Promise<void> {
  const { project, settings } = state
  await runAndCheck(state)
  const before = await project.standing()
  await project.configure({
    ...configOf(settings),
    lake: `format: 'xml', baseAfter: { files: -1 }`,
  })
  const config = await project.tote('run', '--json')
  expect(config.exit, 'a config that is wrong').toBe(2)
  for (const word of ['format', 'files']) expect(config.stdout + config.stderr).toContain(word)
  await project.configure(configOf(settings))
  await project.write(
    'models/dim_place.sql',
    '-- kind: dimension\n-- key: place_id\nselect place_id, nope from shop.place\n',
  )
  await project.write(
    'models/fact_beat.sql',
    '-- kind: fakt\n-- key: id\nselect id, n from shop.beat\n',
  )
  const models = await project.tote('run', '--json')
  expect(models.exit, 'models that are wrong').toBe(2)
  for (const word of ['fakt', 'nope']) expect(models.stdout + models.stderr).toContain(word)
  const after = await project.standing()
  expect(
    after.manifests.filter((line) => !before.manifests.includes(line)),
    'manifests after refused edits',
  ).toEqual([])
  expect(after, 'after refused edits').toEqual(before)
  await writeModels(state)
  await runAndCheck(state)
}

export async function runElsewhere(state: State): Promise<void> {
  const { project, models, known, life } = state
  await runAndCheck(state)
  const before = await project.standing()
  const told = await startCli(project.folder, ['run', '-e', 'dev', '--json']).ended
  const after = await project.standing()
  const main = (list: readonly string[]): readonly string[] =>
    list.filter((line) => !line.includes('-dev/'))
  const tables = (all: Readonly<Record<string, unknown>>): unknown =>
    Object.entries(all).filter(([name]) => !/^(dev|tote_dev)\./.test(name))
  expect(main(after.manifests), 'another environment').toEqual(main(before.manifests))
  expect(tables(after.warehouse), 'another environment').toEqual(tables(before.warehouse))
  if (told.exit !== 0) {
    const last = JSON.parse(told.stdout.trim().split('\n').at(-1) ?? '{}') as {
      summary?: RunSummary
    }
    life.log(`    dev: ${JSON.stringify(last.summary?.error)}`)
    life.count(`dev: ${last.summary?.error?.name}`)
    expect(last.summary?.error?.name).toBeOneOf(['CheckFailed', 'ModelInvalid', 'SourceChanged'])
    return
  }
  const point = newestPoint(state)
  for (const name of ['fact_sale', 'fact_beat', 'tags']) {
    const variant = models.get(name)
    if (variant === undefined || point === undefined) continue
    if (name === 'tags' && state.settings.tagLeftOut) continue
    const { columns } = write(name, variant)
    if (columns.includes('extra')) continue
    const wanted = await rowsAt(project.source, state.segments, {
      name,
      variant,
      point,
      points: state.points,
      known,
    })
    const from =
      variant.kind === 'fact' || variant.kind === 'history'
        ? `dev.${name}_current`
        : `(select * from dev.${name}) t`
    const found = await project.warehouse.query(
      `select row_to_json(r)::text as row from (select ${columns.join(', ')} from ${from}) r`,
    )
    expect(
      found.map(({ row }) => JSON.stringify(JSON.parse(row ?? ''))).toSorted(),
      `dev: ${name}`,
    ).toEqual(wanted.map((row) => JSON.stringify(row)).toSorted())
  }
  const command = state.chance.of(['verify', 'rebuild'])
  const more = await startCli(project.folder, [command, '-e', 'dev', '--json']).ended
  expect(more.exit, `dev: ${command} ${more.stdout}`).toBe(0)
}

/** Its columns change, or the table itself; what is refused is accepted then. */
export async function changeThing(state: State, width = 0): Promise<void> {
  const { project, chance, life } = state
  const { source } = project
  const { sql, refused, retyped, first } = await (width > 0
    ? thingWidth(source, chance, { thing: state.thing, width })
    : thingSchema(source, chance, state.thing))
  if (first === true) await runAndCheck(state)
  said(state, sql.slice(0, 500))
  await source.query(sql)
  await source.query('update beat set n = n + 1')
  if (refused !== true) {
    if (first === true) await runAndCheck(state)
    return
  }
  const before = await project.standing()
  const { error } = await runOnce(state, { acceptChange: [...state.accept] })
  life.count('another type')
  expect(error?.name, `refused: ${error?.message}`).toBe('SourceChanged')
  expect(await project.standing(), 'a change that is refused').toEqual(before)
  if (retyped !== undefined)
    state.thing = { ...state.thing, retyped: new Set([...state.thing.retyped, retyped]) }
  state.accept.add('thing')
  await runAndCheck(state)
}
