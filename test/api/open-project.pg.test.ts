/** The API on a real project: what a program sees of a run, of stages alone, of stopping and of closing. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openProject, type Project, type RunEvent } from 'totedata'
import { createProject, type TestProject } from '../support/project.ts'

let shop: TestProject
let project: Project
beforeAll(async () => {
  shop = await createProject()
  project = await openProject({ cwd: shop.folder })
})
afterAll(async () => {
  await project.close()
  await shop.close()
})

async function eventsOf(run: AsyncIterable<RunEvent>): Promise<RunEvent[]> {
  const events: RunEvent[] = []
  for await (const event of run) events.push(event)
  return events
}

test('P12: events come as they happen, the last with the summary that the command line ends with', async () => {
  const run = project.run()
  const seen = await eventsOf(run)
  const summary = await run.succeeded()
  expect(summary).toMatchObject({ outcome: 'succeeded', run: run.id, project: 'shop' })
  expect(seen[0]).toMatchObject({ v: 1, type: 'run.started', run: run.id })
  expect(seen.at(-1)).toMatchObject({ type: 'run.finished', summary })
  expect(await eventsOf(run), 'a second loop, after the end, gets them all').toEqual(seen)
  const told = await shop.tote('run', '--json')
  const last = JSON.parse(told.stdout.trim().split('\n').at(-1) ?? '') as {
    summary: Record<string, unknown>
  }
  expect(Object.keys(last.summary).sort()).toEqual(Object.keys(summary).sort())
})

test('a run of the API is in the run history', async () => {
  const run = project.run()
  await run.summary
  expect(await readdir(join(project.stateFolder, 'runs'))).toContain(`${run.id}.jsonl`)
  const { stdout } = await shop.tote('status', '--json')
  expect(stdout).toContain(run.id)
})

test('stages run alone, each taking up what the one before has committed', async () => {
  await shop.source.query("update staff set last_name = last_name || '!' where staff_id = 1")
  const extracted = await project.extract().succeeded()
  expect(extracted.stages.map(({ stage }) => stage)).toEqual(['extract'])
  expect(extracted.batches.ingestion['shop']?.batch).toBe(2)
  expect(await project.status()).toMatchObject({ untransformed: 1, pending: 0 })
  const transformed = await project.transform().succeeded()
  expect(transformed.batches.processed?.batch).toBe(2)
  expect(await project.status()).toMatchObject({ untransformed: 0, pending: 1 })
  const loaded = await project.load().succeeded()
  expect(loaded.batches.warehouse?.batch).toBe(2)
  expect(await project.status()).toMatchObject({ untransformed: 0, pending: 0 })
})

test('check and query answer what their commands print', async () => {
  const report = await project.check({ live: true })
  expect(report.passed.map(({ what }) => what)).toContain('warehouse')
  const staff = 'select count(*)::int as n from dim_staff'
  const lake = await project.query(staff)
  const warehouse = await project.query(staff, { on: 'warehouse' })
  expect(lake.rows[0]?.map(Number)).toEqual(warehouse.rows[0]?.map(Number))
  await expect(project.query('drop table dim_staff')).rejects.toMatchObject({
    name: 'QueryInvalid',
  })
})

test('P4: an aborted run ends as cancelled with its own error, and the next one goes on', async () => {
  await shop.source.query("update staff set last_name = last_name || '?' where staff_id = 2")
  const stopped = project.run({ signal: AbortSignal.abort(new Error('enough')) })
  expect(await stopped.summary).toMatchObject({
    outcome: 'cancelled',
    error: { name: 'RunCancelled' },
  })
  await expect(stopped.succeeded()).rejects.toMatchObject({ name: 'RunCancelled' })
  const late = project.run({ signal: AbortSignal.timeout(1) })
  expect(await late.summary).toMatchObject({ error: { name: 'RunTimedOut' } })
  expect(await project.run().succeeded()).toMatchObject({ outcome: 'succeeded' })
})

test('a loop that is left does not stop the run', async () => {
  const run = project.run()
  for await (const event of run) if (event.type === 'run.started') break
  expect(await run.summary).toMatchObject({ outcome: 'nothing to do' })
})

test('close waits for what is under way; a call after it throws ProjectClosed', async () => {
  const own = await openProject({ cwd: shop.folder })
  const run = own.run({ fullRefresh: true })
  await own.close()
  expect(await run.summary).toMatchObject({ outcome: 'nothing to do' })
  expect(() => own.run()).toThrow('was closed')
  await expect(own.status()).rejects.toMatchObject({ name: 'ProjectClosed' })
  await own.close()
})
