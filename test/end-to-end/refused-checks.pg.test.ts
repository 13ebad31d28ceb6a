/** Checks of severity error and warn, over several batches: what failed is never seen in the warehouse. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createProject, type TestProject } from '../support/project.ts'
import { MODELS } from '../support/project-shop.ts'
import { expectRefusal } from '../support/refusal.ts'

let project: TestProject
beforeAll(async () => {
  const fact = MODELS['fact_sale'] ?? ''
  const checked = fact.replace(
    'units >= 0\n',
    'units >= 0\n-- check warn: units < 1000\n-- unique: note\n-- driven by: shop.sale\n',
  )
  project = await createProject({ models: { ...MODELS, fact_sale: checked } })
  await project.good()
})
afterAll(async () => project.close())

const update = async (set: string, id: number): Promise<unknown> =>
  project.source.query(`update sale set ${set} where sale_id = ${id}`)
const versions = async (id: number): Promise<unknown> =>
  project.warehouse.query(
    'select units, batch, valid_to is null as current from fact_sale where sale_id = $1 order by valid_from',
    [id],
  )

describe('severity error', () => {
  test('P10: nothing is committed; the check, the model and the count are said, keys on the terminal only', async () => {
    await update('units = -1', 8800102)
    await expectRefusal(project, {
      name: 'CheckFailed',
      says: [
        'Check units >= 0 failed on fact_sale: 1 row.',
        'Nothing was committed',
        'where fact_sale',
      ],
      moves: 'ingestion',
    })
    const { stderr, exit } = await project.onTerminal('run')
    expect(exit).toBe(1)
    expect(stderr).toContain('fact_sale units >= 0, first keys: 8800102')
  })
  test('it fails for as long as the rows are there, whatever else changes', async () => {
    await update('units = 7', 8800103)
    await expectRefusal(project, {
      name: 'CheckFailed',
      says: ['failed on fact_sale: 1 row'],
      moves: 'ingestion',
    })
    expect(await versions(8800103)).toEqual([{ units: '30', batch: '1', current: 't' }])
  })
  test('the next batch that passes goes on from the last good one: the bad version never was', async () => {
    await update('units = 8', 8800102)
    const { summary, error } = await project.run()
    expect(error).toBeUndefined()
    expect(summary.batches).toMatchObject({
      ingestion: { shop: { batch: 4 } },
      processed: { batch: 2 },
      warehouse: { batch: 2 },
    })
    for (const [id, before, after] of [
      [8800102, '20', '8'],
      [8800103, '30', '7'],
    ] as const) {
      expect(await versions(id)).toEqual([
        { units: before, batch: '1', current: 'f' },
        { units: after, batch: '2', current: 't' },
      ])
    }
  })
  test('of several batches that wait, a bad one in the middle is passed over, and said', async () => {
    await update('units = 9', 8800102)
    await project.good({ only: 'extract' })
    await update('units = -9', 8800102)
    await project.good({ only: 'extract' })
    await update('units = 10', 8800102)
    const told = await project.tote('run')
    expect(told.exit).toBe(0)
    expect(told.stderr).toMatch(/check units >= 0 on fact_sale found 1 row/)
    expect(told.stderr).toMatch(/passed over, because a check or a model failed/)
    expect(await versions(8800102)).toEqual([
      { units: '20', batch: '1', current: 'f' },
      { units: '8', batch: '2', current: 'f' },
      { units: '9', batch: '3', current: 'f' },
      { units: '10', batch: '4', current: 't' },
    ])
  })
  test('a value that must be unique is looked for among all rows, though only one of them changed', async () => {
    await update("note = 'Qx7 1'", 8800105)
    await expectRefusal(project, {
      name: 'CheckFailed',
      says: ['unique(note) failed on fact_sale: 2 rows'],
      moves: 'ingestion',
    })
    await update("note = 'Qx7 5 again'", 8800105)
    expect((await project.good()).outcome).toBe('succeeded')
  })
  test('a reference to a row that is not there: a fact that arrives without its dimension', async () => {
    await project.source.query(
      'alter table payment drop constraint payment_payment_type_id_fkey; update payment set payment_type_id = 5',
    )
    await expectRefusal(project, {
      name: 'CheckFailed',
      says: ['references(payment_type_id -> dim_payment_type) failed on fact_payment: 1 row'],
      moves: 'ingestion',
    })
    await project.source.query("insert into payment_type values (5, 'CASH')")
    expect((await project.good()).outcome).toBe('succeeded')
  })
  test('a dimension row deleted under a fact is found through the reference, though the fact stayed', async () => {
    await project.source.query('delete from payment_type where payment_type_id = 5')
    await expectRefusal(project, {
      name: 'CheckFailed',
      says: ['references(payment_type_id -> dim_payment_type) failed on fact_payment: 1 row'],
      moves: 'ingestion',
    })
    await project.source.query('update payment set payment_type_id = 1')
    expect((await project.good()).outcome).toBe('succeeded')
  })
})

test('P10: severity warn reports, counts, and lets the rows through', async () => {
  await update('units = 5000', 8800104)
  const told = await project.tote('run', '--json')
  expect(told.exit).toBe(0)
  const lines = told.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(lines).toContainEqual(
    expect.objectContaining({
      type: 'check.failed',
      model: 'fact_sale',
      check: 'units < 1000',
      severity: 'warn',
      rows: 1,
    }),
  )
  expect(lines.find(({ type }) => type === 'check.failed')).not.toHaveProperty('keys')
  expect(JSON.stringify(lines.at(-1))).toContain('"warnings":1')
  expect(await versions(8800104)).toHaveLength(2)
  await update('units = 5001', 8800104)
  const { stderr } = await project.onTerminal('run')
  expect(stderr).toContain('check units < 1000 on fact_sale found 1 row: 8800104')
})
