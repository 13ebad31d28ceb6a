/**
 * What a restatement meets: batches that the warehouse lacks, and another checkout that restates at once: one is suspended at each decisive moment while the other, with the same
 * edit or another one, runs to its end; then it goes on. Both end well, one of the edits stands everywhere,
 * and the history is what its models make of every batch.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkOutAgain, runIn, startSwitched, writeModels } from '../support/checkout.ts'
import { lakeProblems } from '../support/oracle.ts'
import { createProject, type TestProject } from '../support/project.ts'
import { MODELS } from '../support/project-shop.ts'
import { alwaysSo, rebuilt, wholeStar } from '../support/rebuild.ts'

let project: TestProject
let second: string
beforeAll(async () => {
  project = await createProject()
  second = await mkdtemp(join(tmpdir(), 'tote-second-'))
  await project.good()
  for (const id of [8_800_101, 8_800_102]) {
    await project.source.query(
      `update sale set units = units + 1 where sale_id = ${id}; update payment set amount = amount + 1`,
    )
    await project.good()
  }
})
afterAll(async () => {
  await rm(second, { recursive: true, force: true })
  await project.close()
})

let edits = 0
/** A model that no run has seen. */
function edited(): Record<string, string> {
  edits += 1
  const text = MODELS['fact_sale'] ?? ''
  return {
    ...MODELS,
    fact_sale: text.replace('units, unit_price', `units * ${edits + 1} as units, unit_price`),
  }
}

test('P4, P7: batches that the warehouse lacks come with the restatement, however many', async () => {
  const lacking = async (): Promise<void> => {
    for (const only of ['extract', 'transform'] as const) await project.good({ only })
  }
  for (let batch = 1; batch <= 3; batch++) {
    await project.source.query(
      `update staff set last_name = last_name || '.' where staff_id = 1;
       update payment set amount = amount + ${batch}, paid = not paid`,
    )
    await lacking()
  }
  await writeModels(project.folder, edited())
  expect((await project.good()).batches.warehouse?.batch).toBe(6)
  const live = await wholeStar(project.warehouse)
  expect(await rebuilt(project), 'P7: rebuild').toEqual(live)
  expect(await alwaysSo(project), 'P7: as if always').toEqual(live)
})

const MANIFEST = /^transform fs\.link lake.processed.*_manifests/
const BEGIN = /^load pg\.query begin.*read write/

test.each([
  ['before its manifest is there', 'the same', MANIFEST],
  ['before its manifest is there', 'another', MANIFEST],
  ['as it begins to change the warehouse', 'the same', BEGIN],
  ['as it begins to change the warehouse', 'another', BEGIN],
  ['before it commits in the warehouse', 'the same', /^load pg\.query commit/],
])('P3, P4, P7: one is suspended %s, and the other has %s edit', async (_when, which, on) => {
  const mine = edited()
  await writeModels(project.folder, mine)
  await checkOutAgain(project, second, which === 'the same' ? mine : edited())
  const first = startSwitched(project.folder, { KILL_ON: on.source, KILL_WITH: 'SIGSTOP' })
  expect(await first.thrown, 'the moment').toMatchObject({ killed: 'before' })
  // It may hold the lock in the warehouse, for which the other then waits.
  const other = runIn(second)
  await Promise.race([other, new Promise((resolve) => setTimeout(resolve, 3000))])
  first.child.kill('SIGCONT')
  const [code, { error }] = await Promise.all([first.ended, other])
  expect({ code, error }).toEqual({ code: 0, error: undefined })
  await project.good()
  const lake = {
    ingestion: join(project.folder, 'lake/ingestion'),
    processed: join(project.folder, 'lake/processed'),
  }
  expect(await lakeProblems(lake, project.warehouse), 'P3').toEqual([])
  const live = await wholeStar(project.warehouse)
  expect(await rebuilt(project), 'P7: rebuild').toEqual(live)
  expect(await alwaysSo(project), 'P7: as if always').toEqual(live)
  expect((await project.good()).outcome).toBe('nothing to do')
})
