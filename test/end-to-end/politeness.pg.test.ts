/** P11, seen from the other side: what the application notices of a run. */
import pg from 'pg'
import { afterEach, expect, test } from 'vitest'
import { createProject, type TestProject } from '../support/project.ts'

const open: TestProject[] = []
afterEach(async () => {
  for (const project of open.splice(0)) await project.close()
})

const SALES = `
  create table sale (sale_id integer primary key, note text not null);
  insert into sale select n, repeat('Qx7 ', 250) from generate_series(1, 4000) n`
const MODELS = {
  dim_sale: '-- kind: dimension\n-- key: sale_id\nselect sale_id, note from shop.sale\n',
}

async function shopWith(source: string): Promise<TestProject> {
  const project = await createProject({ setup: SALES, models: MODELS, source })
  open.push(project)
  return project
}

test('P11: a rate limit holds: 4 MB at 2 MB/s take two seconds, and at full speed far less', async () => {
  const shop = await shopWith(`rateLimit: '2MB/s'`)
  const slow = await readingMs(shop)
  // Wide margins, for busy machines: the bytes themselves are counted in test/pace.
  expect(slow).toBeGreaterThan(1_600)
  await shop.configure({})
  expect(await readingMs(shop)).toBeLessThan(slow * 0.8)
})

/** How long the table's rows took to come. */
async function readingMs(shop: TestProject): Promise<number> {
  const { events } = await shop.run({ only: 'extract', fullRefresh: true })
  return events.flatMap((event) => (event.type === 'table.extracted' ? event.ms : []))[0] ?? 0
}

test('P11: a migration goes through in the middle of a run, which gives way; the next run has everything', async () => {
  const shop = await shopWith(`rateLimit: '200kB/s', giveWayAfter: '500ms'`)
  const running = shop.start('run', '--json')
  const application = new pg.Client({ connectionString: shop.source.url })
  await application.connect()
  try {
    await untilReading(shop)
    const migration = await timed(async () =>
      application.query('alter table sale add constraint short check (length(note) < 5000)'),
    )
    // The read alone would have taken twenty seconds.
    expect(migration).toBeLessThan(12_000)
    const told = await running.ended
    expect(told.exit).toBe(3)
    expect(told.stdout).toContain('SourceBusy')
  } finally {
    await application.end()
  }
  await shop.configure({})
  const { tables } = await shop.good()
  expect(tables).toMatchObject([{ table: 'sale', inserted: 4000, rowsInSource: 4000 }])
})

async function timed(action: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await action()
  return performance.now() - startedAt
}

async function untilReading(shop: TestProject): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    const [row] = await shop.source.query(
      `select count(*)::text as reading from pg_stat_activity where query like 'copy%' and usename = $1`,
      [shop.reader],
    )
    if (row?.['reading'] === '1') return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('the run never read')
}
