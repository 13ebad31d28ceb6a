/** What befalls warehouse and source from outside, and how it is made good. */
import { expect } from 'vitest'
import { openProject } from '../../src/index.ts'
import { write } from './models.ts'
import { runAndCheck } from './runs.ts'
import { expectStar, expectVerified } from './standing.ts'
import { runOnce } from './stay.ts'
import { observe, said, type State } from './state.ts'
import { changeSql } from './world.ts'

/** Somebody writes in the star; perhaps it is run for a while before a verification makes it good. */
export async function repair(state: State): Promise<void> {
  const { project, chance, life } = state
  await runAndCheck(state)
  const sql = chance.of(tampers(state))
  try {
    await project.warehouse.query(said(state, sql))
  } catch (error) {
    // The star's own keys are in the way.
    life.log(`    ${(error as Error).message}`)
    return
  }
  if (chance.yes(0.4)) {
    await project.source.query(said(state, changeSql(chance, state.settings)))
    const { error } = await runOnce(state)
    await observe(state)
    life.count(`run on a damaged star: ${error?.name ?? 'good'}`)
    life.log(`    ${error?.name}: ${error?.message}`)
    expect(error?.name ?? 'CountMismatch').toBe('CountMismatch')
  }
  const api = await openProject({ cwd: project.folder })
  try {
    const run = api.verify({ repair: true })
    const { error } = await run.summary
    expect(error && `${error.name}: ${error.message}`, 'a repair').toBeUndefined()
  } finally {
    await api.close()
  }
  await observe(state)
  await expectStar(state)
  await expectVerified(state)
}

function tampers({ models, chance }: State): readonly string[] {
  const n = chance.below(3)
  return [...models].flatMap(([name, variant]) => {
    const { key, columns, whole, recordId } = write(name, variant)
    const [first = ''] = key
    const other = columns.find((column) => !key.includes(column)) ?? first
    return [
      `delete from ${name} where ${first} % 3 = ${n}`,
      `update ${name} set ${first} = ${first} + 1000`,
      `update ${name} set ${first} = ${first} + 1000 where ${first} % 3 = ${n}`,
      ...(variant.kind === 'table'
        ? []
        : [`update ${name} set is_deleted = not is_deleted where ${first} % 3 = ${n}`]),
      ...(whole || columns.length === key.length
        ? []
        : [
            `update ${name} as a set ${other} = b.${other} from ${name} as b where b.${first} = a.${first} + 1`,
          ]),
      ...(recordId === null
        ? []
        : [
            `truncate ${name}`,
            `update ${name} set ${recordId} = ${recordId} + 1000`,
            `update ${name} set ${recordId} = -${recordId} where ${first} % 3 = ${n}`,
            `update ${name} set valid_to = valid_to + interval '1 microsecond' where valid_to is not null`,
            `update ${name} set valid_to = null where ${first} % 3 = ${n}`,
            `update ${name} set valid_to = valid_from, is_deleted = true where valid_to is null and ${first} % 3 = ${n}`,
            `update ${name} set batch = batch + 1 where ${first} % 3 = ${n}`,
            `insert into ${name} select (jsonb_populate_record(t, jsonb_build_object('${recordId}', 5000 + ${recordId}, '${first}', ${first} + ${n}))).* from ${name} as t`,
          ]),
    ]
  })
}

/** The source's database is put back from a copy, under its name: nothing has changed, and nothing of its numbers counts. */
export async function moveSource(state: State): Promise<void> {
  const {
    project: { source },
    admin: { source: admin },
  } = state
  await runAndCheck(state)
  const copy = `${source.name}_copy`
  await admin.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${source.name}'`,
  )
  await new Promise((resolve) => setTimeout(resolve, 50))
  await admin.query(`create database ${copy} template ${source.name}`)
  await admin.query(`drop database ${source.name} with (force)`)
  await admin.query(`alter database ${copy} rename to ${source.name}`)
  await runAndCheck(state)
  // A batch, so that what is kept here knows that its tables are others.
  await source.query('update beat set n = n + 1')
  await runAndCheck(state)
}

/** The ledger is lost, or a part of it: no batch is loaded twice without a word, and a rebuild makes it good. */
export async function loseLedger(state: State): Promise<void> {
  const { project, chance, life } = state
  await runAndCheck(state)
  const sql = chance.of([
    'delete from tote.ledger where batch = (select max(batch) from tote.ledger)',
    'delete from tote.ledger where batch > 1',
    'truncate tote.ledger',
    'drop schema tote cascade',
  ])
  await project.warehouse.query(said(state, sql))
  if (chance.yes(0.5)) await project.source.query(said(state, changeSql(chance, state.settings)))
  const { error } = await runOnce(state)
  await observe(state)
  life.count(`run without its ledger: ${error?.name ?? 'good'}`)
  life.log(`    ${error?.name}: ${error?.message}`)
  // Behind its tables, it may also have the star altered as it is already.
  expect(error?.name ?? 'good').toBeOneOf([
    'good',
    'LedgerMismatch',
    'CountMismatch',
    'WarehouseShapeMismatch',
    'WarehouseRefused',
  ])
  if (error === undefined) await expectStar(state)
  const told = await project.tote('rebuild', '--accept-lake', '--json')
  expect(told.exit, `tote rebuild: ${told.stdout}`).toBe(0)
  await runAndCheck(state)
}
