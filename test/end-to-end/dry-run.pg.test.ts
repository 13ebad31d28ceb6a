/**
 * `tote run --dry-run`: what a run would do is said by doing it on a lake that goes away. Its counts are
 * those of the run that follows; and lake, warehouse and history of runs stay as they were, to the byte.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { run } from '../../src/pipeline/run.ts'
import { openRehearsal } from '../../src/project/rehearsal.ts'
import type { RunEvent, RunSummary } from '../../src/events.ts'
import { createProject, type TestProject, type Told } from '../support/project.ts'
import { MODELS } from '../support/project-shop.ts'
import { filesUnder } from '../support/project-standing.ts'

let project: TestProject
beforeAll(async () => {
  project = await createProject()
})
afterAll(async () => project.close())

/** All that a run may write: every file of the project but the compiled config, and the warehouse to the last cell. */
async function everything(): Promise<unknown> {
  const files = (await filesUnder(project.folder)).filter((name) => !/^\.tote.cache/.test(name))
  return {
    files: await Promise.all(
      files.map(async (name) => {
        const body = await readFile(join(project.folder, name))
        return `${name} ${createHash('sha256').update(body).digest('hex')}`
      }),
    ),
    warehouse: (await project.standing()).warehouse,
  }
}

/** A dry run, after which everything is as it was before. */
async function dryRun(...args: string[]): Promise<Told> {
  const before = await everything()
  const told = await project.tote('run', '--dry-run', ...args)
  expect(await everything(), 'P3: nothing is written').toEqual(before)
  return told
}

async function dry(
  ...args: string[]
): Promise<{ summary: RunSummary; events: readonly RunEvent[] }> {
  const { exit, stdout, stderr } = await dryRun('--json', ...args)
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
  const events = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as RunEvent)
  const last = events.at(-1)
  if (last?.type !== 'run.finished') throw new Error('the last event is no summary')
  return { summary: last.summary, events }
}

const counts = ({ tables, models }: RunSummary): unknown => ({
  tables: tables.map(({ table, inserted, updated, deleted, rowsInSource, rowsInLake }) => [
    table,
    [inserted, updated, deleted, rowsInSource, rowsInLake],
  ]),
  models: models.map(({ model, inserted, updated, deleted, rowsInLake }) => [
    model,
    [inserted, updated, deleted, rowsInLake],
  ]),
})

/** The model of sales with something else in the place of its units. */
function edited(units: string): string {
  const text = MODELS['fact_sale'] ?? ''
  expect(text).toContain('units, unit_price')
  return text.replace('units, unit_price', `${units}, unit_price`)
}

const notes = (events: readonly RunEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'note' ? [event.text] : []))

describe('before the first run', () => {
  test('P12: the first run does what the dry run said, and the warehouse is asked whether it could', async () => {
    const { summary, events } = await dry()
    expect(summary).toMatchObject({
      outcome: 'succeeded',
      dryRun: { batchesToLoad: 1 },
      batches: { warehouse: null },
      warehouse: [],
    })
    expect(events[0]).toMatchObject({ type: 'run.started', command: 'run --dry-run' })
    // No event tells of an object that nobody will find.
    expect(events.map(({ type }) => type)).not.toContain('file.written')
    expect(events.map(({ type }) => type)).not.toContain('manifest.committed')
    const done = await project.good()
    expect(counts(done)).toEqual(counts(summary))
    expect(done.dryRun).toBeUndefined()
  })
})

describe('after it', () => {
  test('P12: changes of every kind are counted as the run then counts them', async () => {
    await project.source.query(
      `update sale set units = 5 where sale_id = 8800101; delete from payment where payment_id = 1;
       insert into sale values (8800107, '2024-11-05', '2024-11-05', 1, 1, 70, 2.10, null);
       update department set location = 'Leeds Qx7' where department_id = 1`,
    )
    const told = await dryRun()
    expect(told.exit).toBe(0)
    expect(told.stdout).toMatch(
      /✔ shop · dry run in .*: this is what a run would do; nothing was written/,
    )
    expect(told.stdout).toMatch(/shop\.sale +6 +1 +1 +– +7 +7 +✔/)
    expect(told.stdout).toMatch(/fact_sale +fact +1 +1 +– +7\n/)
    expect(told.stdout).toMatch(/warehouse batch 1 \(.*\) · 1 batch to load\n/)
    expect(told.stdout).not.toContain('tote status')
    const { summary } = await dry()
    const done = await project.good()
    expect(counts(done)).toEqual(counts(summary))
    expect(done.outcome).toBe('succeeded')
    expect((await dry()).summary).toMatchObject({
      outcome: 'nothing to do',
      dryRun: { batchesToLoad: 0 },
    })
    expect((await project.tote('runs')).stdout).not.toContain('dry')
  })
  test('what a run would be refused for is said with the same exit code', async () => {
    await project.write(
      'models/fact_sale.sql',
      edited('units - 1000 as units').replace('-- check: ', '-- check: units < 0 and '),
    )
    const refused = await dryRun()
    expect([refused.exit, refused.stderr]).toEqual([1, expect.stringContaining('CheckFailed')])
    await project.write('models/fact_sale.sql', MODELS['fact_sale'] ?? '')
    await project.warehouse.query('create view mine as select note from fact_sale')
    const withoutNote = edited('units').replace('unit_price, note', 'unit_price')
    await project.write('models/fact_sale.sql', withoutNote.replace('-- nullable: note\n', ''))
    const { exit, stderr } = await dryRun()
    expect([exit, stderr]).toEqual([1, expect.stringContaining('WarehouseDependents')])
    await project.warehouse.query('drop view mine')
    expect((await dryRun()).exit).toBe(0)
    await project.write('models/fact_sale.sql', edited('units'))
  })
  test('an edited model says how many rows change, and --select asks about it and what it needs alone', async () => {
    await project.write(
      'models/fact_payment.sql',
      '-- kind: fact\n-- key: x\n-- record id: r\nselect y from shop.none\n',
    )
    await project.write('models/fact_sale.sql', edited('units + 1 as units'))
    expect((await dryRun()).exit).toBe(2)
    const { summary, events } = await dry('--select', 'fact_s*')
    expect(notes(events)).toEqual([
      'needed as well: dim_customer, dim_staff',
      expect.stringMatching(
        /^fact_sale was edited: 7 of 7 rows change; .*restated over 2 batches$/,
      ),
    ])
    expect(summary.stages.map(({ stage }) => stage)).toEqual(['extract', 'transform'])
    expect(summary.dryRun).toEqual({ batchesToLoad: null })
    await project.source.query(
      'update sale set units = units + 1; update payment set amount = amount + 1',
    )
    const changed = await dry('--select', 'fact_*', 'dim_staff', '--exclude', 'fact_payment')
    expect(changed.summary.models.map(({ model, updated }) => [model, updated])).toEqual([
      ['dim_staff', 0],
      ['fact_sale', 7],
    ])
    const others = await dryRun('--exclude', 'dim_*')
    expect([others.exit, others.stderr]).toEqual([
      2,
      expect.stringContaining('models/fact_payment.sql'),
    ])
    for (const [name, text] of Object.entries(MODELS))
      await project.write(`models/${name}.sql`, text)
  })
  test('a selection that is nobody, or that is to be committed, is refused before anything is read', async () => {
    const unknown = await dryRun('--select', 'fact_sales')
    expect([unknown.exit, unknown.stderr]).toEqual([
      2,
      expect.stringContaining('No model is named "fact_sales"'),
    ])
    expect(unknown.stderr).toContain('did you mean "fact_sale"?')
    expect(unknown.stderr).not.toContain('extract')
    const empty = await dryRun('--select', 'fact_*', '--exclude', '*')
    expect([empty.exit, empty.stderr]).toEqual([2, expect.stringContaining('No model is left')])
    const before = await project.standing()
    const partial = await project.tote('run', '--select', 'fact_sale')
    expect([partial.exit, partial.stderr]).toEqual([
      2,
      expect.stringContaining('a batch carries the whole star'),
    ])
    expect(await project.standing()).toEqual(before)
  })
  test('runs that commit meanwhile are not waited for, and do not mix with what is rehearsed', async () => {
    await project.source.query('update sale set units = units + 1')
    const rehearsed = await project.opened(async (opened) => {
      const { project: rehearsal, remove } = await openRehearsal(opened)
      await project.good()
      const context = {
        run: 'rehearsal',
        signal: new AbortController().signal,
        now: () => new Date(),
        emit: () => undefined,
      }
      const result = await run(rehearsal, { dryRun: true }, context)
      await remove()
      return result
    })
    expect(rehearsed.error).toBeUndefined()
    expect(rehearsed.summary.stages.map(({ outcome }) => outcome)).toEqual(['done', 'done', 'done'])
    expect(rehearsed.summary.dryRun).toEqual({ batchesToLoad: 1 })
    expect((await project.good()).outcome).toBe('nothing to do')
  })
})

describe('-x', () => {
  test('the first failure ends the run: later stages are not tried', async () => {
    await project.source.query(
      'alter role current_user set search_path = public; update sale set units = units + 1',
    )
    await project.environment({ SHOP_URL: 'postgres://nobody:x@127.0.0.1:1/none' })
    const stages = async (...args: string[]): Promise<string[]> => {
      const { stdout } = await project.tote('run', '--json', ...args)
      const last = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as { summary: RunSummary }
      return last.summary.stages.map(({ stage, outcome }) => `${stage} ${outcome}`)
    }
    expect(await stages()).toEqual([
      'extract failed',
      'transform nothing to do',
      'load nothing to do',
    ])
    expect(await stages('-x')).toEqual(['extract failed'])
    await project.environment({})
    await project.good()
  })
})
