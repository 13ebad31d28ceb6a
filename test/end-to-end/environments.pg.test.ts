/** Environments of one project side by side in one warehouse database: nothing of one is another's. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createProject, type TestProject } from '../support/project.ts'
import { expectRefusal } from '../support/refusal.ts'

const MODELS = {
  dim_staff: `-- kind: dimension
-- key: staff_id
select staff_id, last_name from shop.staff
`,
  fact_sale: `-- kind: fact
-- key: sale_id
-- record id: sale_record_id
-- references: staff_id -> dim_staff
select sale_id, staff_id, units from shop.sale
`,
}

const ENVIRONMENTS = `
  environments: {
    dev: { sources: { shop: { table: { sale: { where: 'units <= 30' } } } } },
    prod: { warehouse: { schema: 'mart' } },
  },`

let project: TestProject
beforeAll(async () => {
  project = await createProject({ models: MODELS, project: ENVIRONMENTS })
})
afterAll(async () => project.close())

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout, stderr } = await project.tote(...args, '--json')
  expect(stderr).toBe('')
  const last = stdout.trimEnd().split('\n').at(-1) ?? ''
  return JSON.parse(last) as Record<string, unknown>
}

/** How far each ledger and each star is. */
async function standing(): Promise<string[]> {
  const parts = [
    ['tote', 'public'],
    ['tote_dev', 'public_dev'],
    ['tote_prod', 'mart'],
  ]
  const texts: string[] = []
  for (const [ledger, star] of parts) {
    const [row] = await project.warehouse.query(
      `select (select count(*) from ${ledger}.ledger) || ' batches, ' ||
        (select count(*) from ${star}.fact_sale_current) || ' sales' as text`,
    )
    texts.push(row?.['text'] ?? '')
  }
  return texts
}

test('each environment loads its own star with its own ledger, from its own lake; none is the project as ever', async () => {
  for (const args of [[], ['-e', 'dev'], ['--env', 'prod']]) {
    const told = await project.tote('run', ...args)
    expect(told.stderr + told.stdout).toContain('succeeded')
    expect(told.exit).toBe(0)
  }
  expect(await standing()).toEqual([
    '1 batches, 6 sales',
    '1 batches, 3 sales',
    '1 batches, 6 sales',
  ])
  const there = async (path: string): Promise<boolean> =>
    stat(join(project.folder, path)).then(
      () => true,
      () => false,
    )
  for (const path of [
    'lake/ingestion/shop',
    'lake/ingestion-dev/shop',
    'lake/processed-prod/shop',
    '.tote/runs',
    '.tote/environments/dev/runs',
    '.tote/environments/prod/runs',
  ])
    expect(await there(path), `${path} is there`).toBe(true)
})

test('what one environment loads, the others do not notice', async () => {
  await project.source.query('update sale set units = 7 where sale_id = 8800101')
  await project.tote('run', '-e', 'dev')
  expect(await standing()).toEqual([
    '1 batches, 6 sales',
    '2 batches, 3 sales',
    '1 batches, 6 sales',
  ])
  const history = await project.warehouse.query(
    `select (select count(*) from public.fact_sale) as base, (select count(*) from public_dev.fact_sale) as dev,
      (select count(*) from mart.fact_sale) as prod`,
  )
  expect(history).toEqual([{ base: '6', dev: '4', prod: '6' }])
  await Promise.all([project.tote('run'), project.tote('run', '-e', 'prod')])
  expect(await standing()).toEqual([
    '2 batches, 6 sales',
    '2 batches, 3 sales',
    '2 batches, 6 sales',
  ])
})

test('every answer says the environment, as a heading and as JSON', async () => {
  const run = await project.tote('run', '-e', 'dev')
  expect(run.stdout).toMatch(/shop \(dev\) · run \w+ nothing to do/)
  expect((await json('run', '-e', 'dev'))['summary']).toMatchObject({ environment: 'dev' })
  const status = await project.tote('status', '-e', 'dev')
  expect(status.stdout).toMatch(/^shop \(dev\)\n/)
  expect((await json('status', '-e', 'dev'))['data']).toMatchObject({
    project: 'shop',
    environment: 'dev',
    pending: 0,
    ledger: { batch: 2 },
  })
  const check = await project.tote('check', '-e', 'dev', '--live')
  expect(check.stdout).toMatch(/environment +dev\n/)
  expect((await json('check', '-e', 'dev'))['data']).toMatchObject({ environment: 'dev' })
  const query = await project.tote('query', '-e', 'dev', 'select count(*) from fact_sale')
  expect(query.stdout).toContain('3')
  expect(query.stderr).toContain('environment dev')
  expect((await json('query', '-e', 'dev', 'select 1'))['data']).toMatchObject({
    environment: 'dev',
  })
  const warehouse = 'select count(*) as n from fact_sale join ledger using (batch)'
  expect(
    (await project.tote('query', '--csv', '-e', 'prod', '--warehouse', warehouse)).stdout,
  ).toBe('n\r\n7\r\n')
  for (const args of [['run'], ['status'], ['check'], ['query', 'select 1']])
    expect(JSON.stringify(await json(...args)), `tote ${args.join()}`).not.toContain('environment')
})

test('TOTE_ENV chooses too, also from .env; the flag wins; an empty one is none', async () => {
  const of = async (args: string[], variables: Record<string, string>): Promise<unknown> => {
    await project.environment(variables)
    return (await json('status', ...args))['data']
  }
  expect(await of([], { TOTE_ENV: 'dev' })).toMatchObject({ environment: 'dev' })
  expect(await of(['-e', 'prod'], { TOTE_ENV: 'dev' })).toMatchObject({ environment: 'prod' })
  expect(await of(['-e', ''], { TOTE_ENV: 'dev' })).not.toHaveProperty('environment')
  expect(await of([], { TOTE_ENV: '' })).not.toHaveProperty('environment')
  await project.environment({})
})

test('an environment has its own .env files', async () => {
  await project.write('.env.dev', 'SHOP_URL=postgres://nobody@127.0.0.1:1/nothing\n')
  expect((await project.tote('check', '--live', '-e', 'dev')).stderr).toContain('SourceUnreachable')
  await project.write('.env.dev.local', `SHOP_URL=${project.urls.source}\n`)
  expect((await project.tote('check', '--live', '-e', 'dev')).exit).toBe(0)
  expect((await project.tote('check', '--live')).exit).toBe(0)
  await project.write('.env.dev', '')
})

test('an environment that is not there is refused with the nearest name, whoever asked for it', async () => {
  await expectRefusal(project, {
    name: 'UsageInvalid',
    args: ['run', '-e', 'pord'],
    says: ['There is no environment "pord". Did you mean "prod"?', '--env', 'one of: dev, prod'],
  })
  await project.environment({ TOTE_ENV: 'test' })
  await expectRefusal(project, {
    name: 'UsageInvalid',
    args: ['status'],
    says: ['There is no environment "test"', 'TOTE_ENV', 'one of: dev, prod'],
  })
  await project.environment({})
})

test('a star that another environment filled is never taken over', async () => {
  await project.configure({
    project: `environments: { other: { warehouse: { schema: 'mart' } } },`,
  })
  await expectRefusal(project, {
    name: 'LedgerMismatch',
    args: ['run', '-e', 'other'],
    says: ['already holds rows'],
    moves: 'lake',
  })
  await project.configure({ project: ENVIRONMENTS })
})
